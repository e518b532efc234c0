//! The answer of a call as later steps see it.
//!
//! Invariant: no more is kept than its bound, and a large answer is no failure
//! of a call that has taken effect.

use std::time::Duration;

use serde_json::{Map, Value, json};
use so_engine::plugin::{ActionError, RemoteEnd};
use so_model::Timestamp;
use so_net::{HeaderMap, NetError, OutboundStream};

/// Bytes of a body that are kept.
pub(super) const KEPT_MAX: usize = 256 * 1024;
/// Bytes the client may read; reading stops at [`KEPT_MAX`].
pub(super) const READ_MAX: u64 = so_net::MAX_DECODED_BYTES;
/// Headers kept.
const HEADERS_MAX: usize = 50;
/// Bytes of one header's value that are kept.
const HEADER_MAX: usize = 1_000;

pub(super) struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    is_cut: bool,
}

/// Reads an answer up to its bound.
pub(super) async fn read(mut opened: OutboundStream) -> Result<Answer, NetError> {
    let mut body = Vec::new();
    let mut is_cut = false;
    while let Some(chunk) = opened.chunk().await? {
        let room = KEPT_MAX - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            is_cut = true;
            break;
        }
    }
    Ok(Answer {
        status: opened.status,
        headers: opened.headers.clone(),
        body,
        is_cut,
    })
}

impl Answer {
    pub(super) fn judge(
        self,
        expect: &[u16],
        may_repeat: bool,
        now: Timestamp,
    ) -> Result<RemoteEnd, ActionError> {
        let is_fine = match expect {
            [] => (200..300).contains(&self.status),
            wanted => wanted.contains(&self.status),
        };
        if is_fine {
            return Ok(RemoteEnd {
                output: self.shown(),
                events: Vec::new(),
            });
        }
        let message = format!("the address answered {}", self.status);
        // 429 says that nothing was done; other trouble of the server may have come after the effect.
        let may_pass =
            self.status == 429 || (may_repeat && matches!(self.status, 408 | 425 | 500..=599));
        if !may_pass {
            return Err(ActionError::fail("http.status", message)
                .next_step("correct the request, or name the status in expect"));
        }
        let error = ActionError::later("http.status", message).next_step("it is tried again");
        let wait = so_net::retry_after(self.status, &self.headers, now.micros());
        Err(match wait {
            Some(wait) => error.not_before(micros(wait)),
            None => error,
        })
    }

    fn shown(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        let json: Value = match self.is_cut {
            true => Value::Null,
            false => serde_json::from_slice(&self.body).unwrap_or(Value::Null),
        };
        let mut headers = Map::new();
        for (name, value) in self.headers.iter().take(HEADERS_MAX) {
            // Cookies are sessions, and outputs are kept.
            if name.as_str() != "set-cookie"
                && let Ok(value) = value.to_str()
            {
                headers.insert(
                    name.to_string(),
                    json!(&value[..value.len().min(HEADER_MAX)]),
                );
            }
        }
        json!({"status": self.status, "headers": headers, "json": json, "text": text, "is_cut": self.is_cut})
    }
}

fn micros(wait: Duration) -> i64 {
    i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)
}
