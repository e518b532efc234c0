//! What an instance says about itself.
//!
//! Owns the address and the limits of an instance, as kept in the account's
//! settings. Must not guess where the instance speaks. Invariant: limits that
//! are not stated are those of an unchanged server.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use so_net::{OutboundRequest, Redirects, Url};

use super::{DIALECT, KEY};
use crate::{
    ConnectorError, Cx, ErrorClass,
    call::{text_of, url_of},
};

/// Redirects followed from a handle's domain to its server.
const DOMAIN_REDIRECTS: u8 = 3;
/// Largest limit taken from an instance: a mistaken number must not open the gates for texts of any size.
const TEXT_MAX: u64 = 200_000;

/// Limits of an instance. Defaults: an unchanged Mastodon 4.5.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Limits {
    pub text_max: u64,
    pub media_max: u64,
    pub url_length: u64,
    pub alt_max: u64,
    pub image_bytes: u64,
    pub video_bytes: u64,
    pub mime_types: Vec<String>,
    pub poll_options: u64,
    pub poll_option_length: u64,
    pub poll_min_s: u64,
    pub poll_max_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            text_max: 500,
            media_max: 4,
            url_length: 23,
            alt_max: 1500,
            image_bytes: 16_777_216,
            video_bytes: 103_809_024,
            mime_types: [
                "image/jpeg",
                "image/png",
                "image/gif",
                "image/webp",
                "video/mp4",
                "video/webm",
                "video/quicktime",
            ]
            .map(str::to_owned)
            .to_vec(),
            poll_options: 4,
            poll_option_length: 50,
            poll_min_s: 300,
            poll_max_s: 2_629_746,
        }
    }
}

impl Limits {
    /// As kept in an account's settings.
    pub fn of(settings: &Value) -> Self {
        settings
            .get("limits")
            .cloned()
            .and_then(|limits| serde_json::from_value(limits).ok())
            .unwrap_or_default()
    }

    pub(super) fn of_instance(instance: &Value) -> Self {
        let number = |pointer: &str| {
            instance
                .pointer(pointer)
                .and_then(Value::as_u64)
                .filter(|n| *n > 0)
        };
        let default = Self::default();
        let types: Vec<String> = instance
            .pointer("/configuration/media_attachments/supported_mime_types")
            .and_then(Value::as_array)
            .map(|list| {
                list.iter()
                    .filter_map(|mime| mime.as_str().map(str::to_owned))
                    .collect()
            })
            .unwrap_or_default();
        Self {
            // The last two are how forks name it in the older answer.
            text_max: number("/configuration/statuses/max_characters")
                .or_else(|| number("/max_toot_chars"))
                .or_else(|| number("/pleroma/metadata/max_toot_chars"))
                .unwrap_or(default.text_max)
                .min(TEXT_MAX),
            media_max: number("/configuration/statuses/max_media_attachments")
                .unwrap_or(default.media_max),
            url_length: number("/configuration/statuses/characters_reserved_per_url")
                .unwrap_or(default.url_length),
            alt_max: number("/configuration/media_attachments/description_limit")
                .or_else(|| number("/description_limit"))
                .unwrap_or(default.alt_max),
            image_bytes: number("/configuration/media_attachments/image_size_limit")
                .unwrap_or(default.image_bytes),
            video_bytes: number("/configuration/media_attachments/video_size_limit")
                .unwrap_or(default.video_bytes),
            mime_types: if types.is_empty() {
                default.mime_types
            } else {
                types
            },
            poll_options: number("/configuration/polls/max_options")
                .unwrap_or(default.poll_options),
            poll_option_length: number("/configuration/polls/max_characters_per_option")
                .unwrap_or(default.poll_option_length),
            poll_min_s: number("/configuration/polls/min_expiration").unwrap_or(default.poll_min_s),
            poll_max_s: number("/configuration/polls/max_expiration").unwrap_or(default.poll_max_s),
        }
    }
}

/// An instance that answers.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub base: String,
    pub domain: String,
    pub version: String,
    pub limits: Limits,
}

impl Instance {
    /// The account settings that describe it.
    pub fn settings(&self, account_id: &str) -> Value {
        serde_json::json!({
            "base_url": self.base,
            "domain": self.domain,
            "version": self.version,
            "account_id": account_id,
            "limits": self.limits,
        })
    }
}

/// The base address kept in an account's settings.
pub(super) fn base_of(settings: &Value) -> Result<String, ConnectorError> {
    text_of(settings, "base_url").ok_or_else(|| {
        ConnectorError::new(
            ErrorClass::Reconnect,
            "mastodon.no_instance",
            "The account does not say at which server it is.",
        )
        .next_step("Connect the account again.")
    })
}

/// Makes a base address of what people type: `m.example`, `@ann@m.example`, `https://m.example/@ann`.
pub(super) fn base_from_input(input: &str, allow_http: bool) -> Result<String, ConnectorError> {
    let bad = |reason: &str| {
        ConnectorError::form(KEY, "instance", reason)
            .next_step("Type the server's name, such as mastodon.example.")
    };
    let text = input.trim();
    let with_scheme = if text.starts_with("http://") || text.starts_with("https://") {
        text.to_owned()
    } else {
        format!("https://{}", text.rsplit('@').next().unwrap_or(""))
    };
    let url = Url::parse(&with_scheme).map_err(|_| bad("That is not the name of a server."))?;
    if url.scheme() == "http" && !allow_http {
        return Err(bad("The server must be reached through https."));
    }
    let host = url
        .host_str()
        .filter(|host| host.contains('.') || *host == "localhost" || host.contains(':'));
    let Some(host) = host else {
        return Err(bad("That is not the name of a server."));
    };
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    Ok(format!("{}://{host}{port}", url.scheme()))
}

/// Asks the instance about itself; if the handle's domain is another one, finds the server behind it.
pub(super) async fn ask(cx: &Cx, base: &str) -> Result<Instance, ConnectorError> {
    let first = match describe(cx, base).await {
        Ok(instance) => return Ok(instance),
        Err(error) if error.class == ErrorClass::Config => return Err(error),
        Err(error) => error,
    };
    match server_behind(cx, base).await {
        Some(server) if server != base => describe(cx, &server).await,
        _ => Err(not_an_instance(first)),
    }
}

async fn describe(cx: &Cx, base: &str) -> Result<Instance, ConnectorError> {
    let ask = async |version: &str| {
        let url = url_of(KEY, base, &["api", version, "instance"], &[])?;
        DIALECT.ask(cx, || OutboundRequest::get(&url)).await
    };
    let answer = match ask("v2").await {
        Ok(answer) if answer.get("domain").is_some() || answer.get("version").is_some() => answer,
        Err(error) if error.class == ErrorClass::Config => return Err(error),
        _ => ask("v1").await?,
    };
    let domain = text_of(&answer, "domain")
        .or_else(|| text_of(&answer, "uri"))
        .unwrap_or_default();
    let domain = domain
        .trim_start_matches("https://")
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    let version = text_of(&answer, "version").ok_or_else(|| ConnectorError::garbled(KEY, 200))?;
    let domain = if domain.is_empty() {
        base.split("://").nth(1).unwrap_or(base).to_owned()
    } else {
        domain
    };
    Ok(Instance {
        base: base.to_owned(),
        domain,
        version,
        limits: Limits::of_instance(&answer),
    })
}

async fn server_behind(cx: &Cx, base: &str) -> Option<String> {
    let url = url_of(KEY, base, &[".well-known", "host-meta"], &[]).ok()?;
    let request = OutboundRequest::get(url).redirects(Redirects::Follow(DOMAIN_REDIRECTS));
    let answer = DIALECT.answer(cx, request).await.ok()?;
    base_from_input(answer.final_url.as_str(), cx.config.allow_http).ok()
}

fn not_an_instance(cause: ConnectorError) -> ConnectorError {
    if cause.code == "mastodon.unreachable" {
        return cause;
    }
    ConnectorError::form(
        KEY,
        "instance",
        "There is no server with Mastodon's API at this address.",
    )
    .next_step("Check the spelling; it is the part after the second @ of the handle.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn people_may_type_a_server_in_many_ways() {
        for text in [
            "m.example",
            " m.example ",
            "@ann@m.example",
            "ann@m.example",
            "https://m.example/@ann",
            "https://m.example",
        ] {
            assert_eq!(
                base_from_input(text, false).unwrap(),
                "https://m.example",
                "{text}"
            );
        }
        assert_eq!(
            base_from_input("http://127.0.0.1:99", true).unwrap(),
            "http://127.0.0.1:99"
        );
        for text in [
            "",
            "mastodon",
            "http://m.example",
            "https://",
            "ftp://m.example",
        ] {
            assert!(base_from_input(text, false).is_err(), "{text}");
        }
    }

    #[test]
    fn stated_limits_win_and_missing_ones_are_those_of_an_unchanged_server() {
        let limits =
            Limits::of_instance(&json!({"configuration": {"statuses": {"max_characters": 5000}}}));
        assert_eq!((limits.text_max, limits.media_max), (5000, 4));
        assert_eq!(
            Limits::of_instance(&json!({"max_toot_chars": 1234})).text_max,
            1234
        );
        assert_eq!(Limits::of(&json!({"limits": {"text_max": 7}})).text_max, 7);
        assert_eq!(Limits::of(&Value::Null), Limits::default());
    }
}
