//! One call by the Standard Webhooks form, and what its answer means.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use so_engine::plugin::ActionError;
use so_model::Timestamp;
use so_net::{NetError, OutboundRequest, OutboundResponse, Purpose, Redirects};

use crate::params;

/// Bytes of a body must stay below: receivers of the form may refuse more.
const BODY_MAX: usize = 20_000;
/// Bound on a call; receivers are meant to answer at once and work later.
const DEADLINE: Duration = Duration::from_secs(20);
/// The answer's text is not used.
const ANSWER_MAX: u64 = 64 * 1024;

/// A call that can be made any number of times.
pub(super) struct Call {
    /// The same for every try.
    pub id: String,
    body: Vec<u8>,
}

/// How a delivery went.
pub(super) enum Answer {
    /// The receiver has it.
    Taken {
        /// HTTP status.
        status: u16,
    },
    /// It does not, or nobody knows.
    Failed {
        /// Why, and whether to try again.
        error: ActionError,
        /// The receiver said that the address is no more.
        is_gone: bool,
    },
}

impl Call {
    pub(super) fn new(
        key: &str,
        kind: &str,
        at: Timestamp,
        data: &Value,
    ) -> Result<Self, ActionError> {
        let body = json!({"type": kind, "timestamp": at, "data": data})
            .to_string()
            .into_bytes();
        if body.len() >= BODY_MAX {
            let reason = format!(
                "the body has {} bytes and must have less than {BODY_MAX}",
                body.len()
            );
            return Err(params::bad("data", reason)
                .next_step("send ids and let the receiver ask for the rest"));
        }
        let digest = Sha256::digest(key.as_bytes());
        let name: String = digest[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Self {
            id: format!("msg_{name}"),
            body,
        })
    }

    pub(super) fn request(
        &self,
        url: &str,
        secret: Option<&str>,
        now: Timestamp,
    ) -> Result<OutboundRequest, ActionError> {
        let mut request = OutboundRequest::post(url)
            .purpose(Purpose::Webhook)
            .redirects(Redirects::None)
            .deadline(DEADLINE)
            .max_response_bytes(ANSWER_MAX)
            .header("content-type", "application/json")
            .header("webhook-id", &self.id)
            .header("webhook-timestamp", &now.seconds().to_string());
        if let Some(secret) = secret {
            let signature = sign(secret, &self.id, now.seconds(), &self.body)?;
            request = request.header("webhook-signature", &signature);
        }
        Ok(request.bytes(self.body.clone()))
    }
}

fn sign(secret: &str, id: &str, at_s: i64, body: &[u8]) -> Result<String, ActionError> {
    let unusable = || {
        ActionError::fail(
            "endpoint.secret",
            "the signing secret of the webhook address cannot be used",
        )
        .next_step("give the address a new secret")
    };
    let key = secret
        .strip_prefix("whsec_")
        .and_then(|text| BASE64.decode(text).ok())
        .ok_or_else(unusable)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| unusable())?;
    mac.update(format!("{id}.{at_s}.").as_bytes());
    mac.update(body);
    Ok(format!("v1,{}", BASE64.encode(mac.finalize().into_bytes())))
}

impl Answer {
    pub(super) fn of(result: Result<OutboundResponse, NetError>, now: Timestamp) -> Self {
        match result {
            Ok(answer) => Self::judge(&answer, now),
            // The status came, or so much of it: a large page is still an answer we cannot count on.
            Err(error) => Self::Failed {
                error: unreachable(&error),
                is_gone: false,
            },
        }
    }

    fn judge(answer: &OutboundResponse, now: Timestamp) -> Self {
        let status = answer.status;
        let failed = |error: ActionError| Self::Failed {
            error,
            is_gone: status == 410,
        };
        match status {
            200..=299 => Self::Taken { status },
            410 => failed(
                ActionError::fail(
                    "webhook.gone",
                    "the webhook address answered 410: it is no more",
                )
                .next_step("make a new address at the receiver"),
            ),
            300..=399 => failed(
                ActionError::fail(
                    "webhook.redirected",
                    format!("the webhook address answered {status} and points elsewhere"),
                )
                .next_step("enter the address it points to; redirects are not followed"),
            ),
            _ => {
                let wait = answer.retry_after(now.micros());
                let error = ActionError::later(
                    "webhook.refused",
                    format!("the webhook address answered {status}"),
                )
                .next_step("it is tried again; look at the receiver if it lasts");
                failed(match wait {
                    Some(wait) => {
                        error.not_before(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX))
                    }
                    None => error,
                })
            }
        }
    }
}

fn unreachable(error: &NetError) -> ActionError {
    let message = format!("the webhook address could not be called: {error}");
    if error.is_permanent() {
        return ActionError::fail("webhook.blocked", message).next_step("correct the address");
    }
    ActionError::later("webhook.unreachable", message).next_step("it is tried again")
}
