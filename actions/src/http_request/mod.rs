//! `http.request`: a call to any address, with its answer as output.
//!
//! Owns which calls may be made twice. Must not know any service. Invariant: a
//! call that changes something is repeated only if the author said that it may.

mod answer;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use so_engine::{
    plugin::{
        ActionError, DescribeContext, Described, Describer, LocalError, RemoteAction,
        RemoteContext, RemoteEnd, Repeat,
    },
    rule::ActionSpec,
    schedule::parse_duration,
};
use so_model::effect::EffectKind;
use so_net::{MAX_REDIRECTS, NetError, Outbound, OutboundRequest, Purpose, Redirects, Sent};

use crate::{ActionDeps, params};

/// Longest time a call may take: below the engine's own bound of a minute.
const TIMEOUT_MAX: Duration = Duration::from_secs(50);
/// Time a call may take when the author says nothing.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(20);
/// Most headers of a request.
const HEADERS_MAX: usize = 50;

/// Parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// GET, HEAD, POST, PUT, PATCH or DELETE
    #[serde(default)]
    method: Verb,
    /// The address
    url: String,
    /// Headers by name
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Body as JSON
    #[serde(default)]
    json: Option<Value>,
    /// Body as text
    #[serde(default)]
    text: Option<String>,
    /// Body as a form
    #[serde(default)]
    form: Option<BTreeMap<String, String>>,
    /// Duration after which the call is given up, at most 50s
    #[serde(default)]
    timeout: Option<String>,
    /// Statuses that are a success; 200 to 299 if absent
    #[serde(default)]
    expect: Vec<u16>,
    /// A POST or PATCH may be made twice, as when the service knows idempotency-key
    #[serde(default)]
    repeat: bool,
}

/// Methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the methods of HTTP")]
pub enum Verb {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    fn method(self) -> so_net::Method {
        match self {
            Self::Get => so_net::Method::GET,
            Self::Head => so_net::Method::HEAD,
            Self::Post => so_net::Method::POST,
            Self::Put => so_net::Method::PUT,
            Self::Patch => so_net::Method::PATCH,
            Self::Delete => so_net::Method::DELETE,
        }
    }
    fn is_repeatable(self) -> bool {
        !matches!(self, Self::Post | Self::Patch)
    }
}

/// Calls any address.
pub struct HttpRequest {
    outbound: Outbound,
    allow_http: bool,
}

impl HttpRequest {
    /// With the instance's client.
    pub fn new(deps: &ActionDeps) -> Self {
        Self {
            outbound: deps.access.outbound().clone(),
            allow_http: deps.allow_http,
        }
    }
}

fn timeout(params: &Params) -> Result<Duration, ActionError> {
    let Some(text) = &params.timeout else {
        return Ok(TIMEOUT_DEFAULT);
    };
    let micros = parse_duration(text)
        .map_err(|error| params::bad("timeout", error.reason).next_step(error.next_step))?;
    let wanted = Duration::from_micros(micros.unsigned_abs());
    if wanted > TIMEOUT_MAX {
        return Err(params::bad(
            "timeout",
            format!("at most {}s", TIMEOUT_MAX.as_secs()),
        ));
    }
    Ok(wanted)
}

fn request(params: &Params, key: &str) -> Result<OutboundRequest, ActionError> {
    if params.headers.len() > HEADERS_MAX {
        return Err(params::bad(
            "headers",
            format!("at most {HEADERS_MAX}, these are {}", params.headers.len()),
        ));
    }
    let bodies = [
        params.json.is_some(),
        params.text.is_some(),
        params.form.is_some(),
    ];
    if bodies.into_iter().filter(|there| *there).count() > 1 {
        return Err(params::bad(
            "json",
            "json, text and form are different bodies; keep one of them",
        ));
    }
    let redirects = match params.method {
        Verb::Get | Verb::Head => Redirects::Follow(MAX_REDIRECTS),
        _ => Redirects::None,
    };
    let mut request = OutboundRequest::new(params.method.method(), params.url.trim())
        .purpose(Purpose::Webhook)
        .redirects(redirects)
        .deadline(timeout(params)?)
        .header("idempotency-key", key);
    if let Some(json) = &params.json {
        request = request.json(json);
    } else if let Some(text) = &params.text {
        request = request
            .header("content-type", "text/plain; charset=utf-8")
            .bytes(text.clone());
    } else if let Some(form) = &params.form {
        let fields: Vec<(&str, &str)> = form
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        request = request.form(&fields);
    }
    for (name, value) in &params.headers {
        request = request.header(name, value);
    }
    Ok(request)
}

fn unreachable(error: &NetError, may_repeat: bool) -> ActionError {
    let message = format!("the call failed: {error}");
    if error.is_permanent() {
        return ActionError::fail("http.blocked", message)
            .next_step("correct the address or the headers");
    }
    if error.was_sent() == Sent::No || may_repeat {
        return ActionError::later("http.unreachable", message).next_step("it is tried again");
    }
    ActionError::fail(
        "http.outcome_unknown",
        format!("{message}, and nobody knows whether it took effect"),
    )
    .next_step("look at the service; set repeat: true if it may be called twice")
}

/// Tells of a call; has no client.
struct Told;

#[async_trait]
impl Describer for Told {
    async fn describe(
        &self,
        cx: &mut DescribeContext<'_>,
        params: Value,
    ) -> Result<Described, LocalError> {
        let params: Params = params::read(params)?;
        // Built as it would be sent, so that mistakes in it are found.
        request(&params, &cx.run.id.to_string())?;
        Ok(Described {
            effects: vec![EffectKind::Called {
                method: params.method.method().to_string(),
                place: crate::webhook_send::place_of(params.url.trim()),
                is_signed: false,
                problem: None,
            }],
            output: None,
        })
    }
}

#[async_trait]
impl RemoteAction for HttpRequest {
    fn spec(&self) -> ActionSpec {
        let spec = params::spec::<Params>(
            "http.request",
            "HTTP request",
            "Calls an address; later steps see status, headers and body of the answer.",
            json!({"status": 200, "headers": {}, "json": null, "text": "{}", "is_cut": false}),
            &[],
        );
        ActionSpec {
            is_remote: true,
            ..spec
        }
    }

    fn lane(&self, params: &Value) -> Option<String> {
        let url = params.get("url").and_then(Value::as_str)?;
        Some(crate::webhook_send::place_of(url))
    }

    // GET, HEAD, PUT and DELETE are idempotent by their definition; of others only the author can know.
    fn repeat(&self, params: &Value) -> Repeat {
        match params::read::<Params>(params.clone()) {
            Ok(params) if params.repeat || params.method.is_repeatable() => Repeat::Allowed,
            Ok(_) => Repeat::Never,
            // Nothing is sent with parameters that cannot be read.
            Err(_) => Repeat::Allowed,
        }
    }

    fn describer(&self) -> Arc<dyn Describer> {
        Arc::new(Told)
    }

    async fn perform(
        &self,
        cx: &RemoteContext<'_>,
        params: Value,
    ) -> Result<RemoteEnd, ActionError> {
        let params: Params = params::read(params)?;
        let may_repeat = params.repeat || params.method.is_repeatable();
        let request = request(&params, &cx.key)?
            .max_response_bytes(answer::READ_MAX)
            .allow_http(self.allow_http);
        let opened = self
            .outbound
            .open(request)
            .await
            .map_err(|error| unreachable(&error, may_repeat))?;
        let answer = answer::read(opened)
            .await
            .map_err(|error| unreachable(&error, may_repeat))?;
        answer.judge(&params.expect, may_repeat, cx.now)
    }
}
