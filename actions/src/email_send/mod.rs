//! `email.send`: a mail through the instance's mail server.
//!
//! Owns the message and its identity. Must not choose a server: the operator
//! does. Invariant: every try of a step sends the same Message-ID.

use std::sync::Arc;

use async_trait::async_trait;
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Mailbox, MultiPart},
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use so_engine::{
    plugin::{
        ActionError, DescribeContext, Described, Describer, LocalError, RemoteAction,
        RemoteContext, RemoteEnd, Repeat,
    },
    rule::ActionSpec,
};
use so_model::effect::EffectKind;

use crate::{ActionDeps, MailConfig, MailTls, params};

/// Most recipients of one mail: a note to a team, not a newsletter.
const RECIPIENTS_MAX: usize = 50;
/// Longest subject: longer ones are cut by every reader.
const SUBJECT_MAX: usize = 200;
/// Bytes of a text; mail servers refuse far larger ones, people do not read them.
const TEXT_MAX: usize = 256 * 1024;
/// Bound on one dialogue with the mail server.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// Parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Addresses such as ann@example.com or Ann <ann@example.com>
    to: Vec<String>,
    /// Subject
    subject: String,
    /// Plain text
    text: String,
    /// The same as HTML
    #[serde(default)]
    html: Option<String>,
    /// Address that answers go to
    #[serde(default)]
    reply_to: Option<String>,
}

/// Sends a mail.
pub struct EmailSend {
    mailer: Option<MailConfig>,
}

impl EmailSend {
    /// Through the instance's mail server, if it has one.
    pub fn new(deps: &ActionDeps) -> Self {
        Self {
            mailer: deps.mailer.clone(),
        }
    }
}

fn mailbox(field: &str, text: &str) -> Result<Mailbox, ActionError> {
    // The address itself is not repeated in messages: they end up in traces.
    text.trim()
        .parse()
        .map_err(|_| params::bad(field, "not an address such as ann@example.com"))
}

/// One line: a line break in a header would begin another header.
fn one_line(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SUBJECT_MAX)
        .collect();
    line.trim().to_owned()
}

fn check_size(params: &Params) -> Result<(), ActionError> {
    if params.to.is_empty() || params.to.len() > RECIPIENTS_MAX {
        return Err(params::bad(
            "to",
            format!(
                "1 to {RECIPIENTS_MAX} addresses, these are {}",
                params.to.len()
            ),
        ));
    }
    let size = params.text.len() + params.html.as_ref().map_or(0, String::len);
    if size > TEXT_MAX {
        return Err(params::bad(
            "text",
            format!("at most {TEXT_MAX} bytes with html, these are {size}"),
        ));
    }
    Ok(())
}

fn message(
    config: &MailConfig,
    params: &Params,
    key: &str,
    now: so_model::Timestamp,
) -> Result<Message, ActionError> {
    check_size(params)?;
    let from: Mailbox = config.from.parse().map_err(|_| {
        ActionError::fail(
            "email.not_configured",
            "the sender's address of this server cannot be read",
        )
        .next_step("the instance owner sets it in the mail settings")
    })?;
    let digest = Sha256::digest(key.as_bytes());
    let name: String = digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let id = format!("<{name}@{}>", from.email.domain());
    let mut builder = Message::builder()
        .from(from)
        .subject(one_line(&params.subject))
        .message_id(Some(id))
        .date(now.to_chrono().into());
    for (index, to) in params.to.iter().enumerate() {
        builder = builder.to(mailbox(&format!("to/{index}"), to)?);
    }
    if let Some(reply_to) = &params.reply_to {
        builder = builder.reply_to(mailbox("reply_to", reply_to)?);
    }
    let built = match &params.html {
        Some(html) => builder.multipart(MultiPart::alternative_plain_html(
            params.text.clone(),
            html.clone(),
        )),
        None => builder.body(params.text.clone()),
    };
    built.map_err(|error| params::bad("with", format!("the mail cannot be built: {error}")))
}

fn transport(config: &MailConfig) -> Result<AsyncSmtpTransport<Tokio1Executor>, ActionError> {
    let parameters = || {
        TlsParameters::new(config.host.clone()).map_err(|error| {
            ActionError::later(
                "email.tls",
                format!("TLS to the mail server cannot be set up: {error}"),
            )
        })
    };
    let tls = match config.tls {
        MailTls::None => Tls::None,
        MailTls::StartTls => Tls::Required(parameters()?),
        MailTls::Implicit => Tls::Wrapper(parameters()?),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(config.host.clone())
        .port(config.port)
        .tls(tls)
        .timeout(Some(TIMEOUT));
    if let Some(user) = &config.user {
        let password = config
            .password
            .as_ref()
            .map(|password| password.expose().to_owned())
            .unwrap_or_default();
        builder = builder.credentials(Credentials::new(user.clone(), password));
    }
    Ok(builder.build())
}

fn told(error: &lettre::transport::smtp::Error) -> ActionError {
    // The server's sentence may repeat the recipient's address; its code says enough.
    let code = error
        .status()
        .map(|code| format!(" with {code}"))
        .unwrap_or_default();
    if error.is_permanent() {
        return ActionError::fail(
            "email.refused",
            format!("the mail server refused the mail{code}"),
        )
        .next_step("check the addresses, and that the server may send for this sender");
    }
    if error.is_client() {
        return ActionError::fail(
            "email.sign_in",
            "the mail server offers no way to sign in that this server knows",
        )
        .next_step("the instance owner checks user, password and TLS in the mail settings");
    }
    let what = if error.is_timeout() {
        "did not answer in time"
    } else {
        "did not take the mail for now"
    };
    ActionError::later("email.unavailable", format!("the mail server {what}{code}"))
        .next_step("it is tried again")
}

/// Tells of a mail; it can write one, but has nothing to send it with.
struct Told {
    mailer: Option<MailConfig>,
}

#[async_trait]
impl Describer for Told {
    async fn describe(
        &self,
        cx: &mut DescribeContext<'_>,
        params: Value,
    ) -> Result<Described, LocalError> {
        let params: Params = params::read(params)?;
        let problem = match &self.mailer {
            Some(mailer) => message(mailer, &params, &cx.run.id.to_string(), cx.now)
                .err()
                .map(|error| error.message),
            None => Some("this server has no mail server to send with".to_owned()),
        };
        Ok(Described {
            effects: vec![EffectKind::Mailed {
                recipients: params.to.len() as u64,
                subject: params.subject.clone(),
                problem,
            }],
            output: None,
        })
    }
}

#[async_trait]
impl RemoteAction for EmailSend {
    fn spec(&self) -> ActionSpec {
        let spec = params::spec::<Params>(
            "email.send",
            "Send a mail",
            "Sends a mail through the mail server that the instance owner set up.",
            json!({"message_id": "<0123456789abcdef0123456789abcdef@example.com>", "recipients": 1}),
            &[],
        );
        ActionSpec {
            is_remote: true,
            ..spec
        }
    }

    // There is one mail server.
    fn lane(&self, _: &Value) -> Option<String> {
        Some("mail".into())
    }

    // A lost alert is worse than one that comes twice, and mailboxes fold equal Message-IDs.
    fn repeat(&self, _: &Value) -> Repeat {
        Repeat::Allowed
    }

    fn describer(&self) -> Arc<dyn Describer> {
        let mailer = self.mailer.clone().map(|mailer| MailConfig {
            password: None,
            ..mailer
        });
        Arc::new(Told { mailer })
    }

    async fn perform(
        &self,
        cx: &RemoteContext<'_>,
        params: Value,
    ) -> Result<RemoteEnd, ActionError> {
        let params: Params = params::read(params)?;
        let config = self.mailer.as_ref().ok_or_else(|| {
            ActionError::fail(
                "email.not_configured",
                "this server has no mail server to send with",
            )
            .next_step("the instance owner sets one up in the mail settings; notify works without")
        })?;
        let message = message(config, &params, &cx.key, cx.now)?;
        let id = message
            .headers()
            .get_raw("Message-ID")
            .unwrap_or_default()
            .to_owned();
        transport(config)?
            .send(message)
            .await
            .map_err(|error| told(&error))?;
        Ok(RemoteEnd {
            output: json!({"message_id": id, "recipients": params.to.len()}),
            events: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests;
