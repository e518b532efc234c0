//! Calls to a network's JSON API and what their answers mean.
//!
//! Owns the difference between a call nobody sees and the one that publishes.
//! Must not know a network but by its [`Dialect`]. Invariant: a commit whose
//! answer cannot be read, or that failed after it was sent, is unknown.

use std::time::Duration;

use serde_json::{Value, json};
use so_model::Timestamp;
use so_net::{NetError, OutboundRequest, OutboundResponse, Purpose};

use crate::{
    connector::CommitOutcome,
    context::Cx,
    error::{ConnectorError, ErrorClass, ErrorRow, Said, may_have_reached, read_error},
};

/// Bound on a call that nobody sees.
pub const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// Bound on an upload: 100 MB on a line of 1 MB/s, with some to spare.
pub const UPLOAD_DEADLINE: Duration = Duration::from_secs(150);
/// Longest that a commit may take, whatever its attempt says.
const COMMIT_DEADLINE_MAX: Duration = Duration::from_secs(120);

/// How one network speaks.
pub struct Dialect {
    /// The network's key.
    pub network: &'static str,
    /// Its errors.
    pub errors: &'static [ErrorRow],
    /// Reads its own code and message from an error body.
    pub said: fn(&Value) -> Said,
}

impl Dialect {
    /// Makes a call that nobody sees and gives its JSON.
    pub async fn call(&self, cx: &Cx, request: OutboundRequest) -> Result<Value, ConnectorError> {
        let answer = self.answer(cx, request.deadline(CALL_DEADLINE)).await?;
        self.read(cx, &answer)
    }

    /// Asks a question that changes nothing and gives its JSON.
    pub async fn ask(
        &self,
        cx: &Cx,
        request: impl Fn() -> OutboundRequest,
    ) -> Result<Value, ConnectorError> {
        let answer = self.ask_whole(cx, request).await?;
        self.read(cx, &answer)
    }

    /// Asks a question that changes nothing; once more if the line broke, as it does when a server closes an idle
    /// connection in the moment of its use.
    pub async fn ask_whole(
        &self,
        cx: &Cx,
        request: impl Fn() -> OutboundRequest,
    ) -> Result<OutboundResponse, ConnectorError> {
        let first = self.send(cx, request().deadline(CALL_DEADLINE)).await;
        let answer = match first {
            Err(NetError::ConnectionCut { .. }) => {
                self.send(cx, request().deadline(CALL_DEADLINE)).await
            }
            other => other,
        };
        answer.map_err(|error| ConnectorError::from_net(self.network, &error))
    }

    async fn send(&self, cx: &Cx, request: OutboundRequest) -> Result<OutboundResponse, NetError> {
        cx.outbound
            .send(request.allow_http(cx.config.allow_http))
            .await
    }

    /// Sends an upload and gives the status and JSON of its answer.
    pub async fn upload(
        &self,
        cx: &Cx,
        request: OutboundRequest,
    ) -> Result<(u16, Value), ConnectorError> {
        let request = request.purpose(Purpose::Media).deadline(UPLOAD_DEADLINE);
        let answer = self.answer(cx, request).await?;
        Ok((answer.status, self.read(cx, &answer)?))
    }

    /// Sends a request that nobody sees and gives the answer whatever its status.
    pub async fn answer(
        &self,
        cx: &Cx,
        request: OutboundRequest,
    ) -> Result<OutboundResponse, ConnectorError> {
        let answer = self.send(cx, request).await;
        answer.map_err(|error| ConnectorError::from_net(self.network, &error))
    }

    /// Gives the JSON of a good answer, or what the table says of a bad one.
    pub fn read(&self, cx: &Cx, answer: &OutboundResponse) -> Result<Value, ConnectorError> {
        if !answer.is_success() {
            return Err(self.error(cx.now, answer));
        }
        answer
            .json()
            .map_err(|_| ConnectorError::garbled(self.network, answer.status))
    }

    /// What the table says of an error answer.
    pub fn error(&self, now: Timestamp, answer: &OutboundResponse) -> ConnectorError {
        let body: Value = answer.json().unwrap_or(Value::Null);
        read_error(
            self.network,
            self.errors,
            answer,
            &(self.said)(&body),
            now.micros(),
        )
    }

    /// Makes the one call with public effect.
    pub async fn commit(
        &self,
        cx: &Cx,
        deadline_at: Timestamp,
        request: OutboundRequest,
        published: impl FnOnce(&OutboundResponse) -> Option<CommitOutcome>,
    ) -> CommitOutcome {
        let left = u64::try_from(deadline_at.since(cx.now)).unwrap_or(0);
        if left == 0 {
            return too_late(self.network);
        }
        let deadline = Duration::from_micros(left).min(COMMIT_DEADLINE_MAX);
        let request = request
            .purpose(Purpose::Publish)
            .allow_http(cx.config.allow_http)
            .deadline(deadline);
        match cx.outbound.send(request).await {
            Err(error) => self.commit_failed(&error),
            Ok(answer) if answer.is_success() => published(&answer).unwrap_or_else(|| {
                unknown(json!({
                    "status": answer.status, "seen": "an answer without the id of a post",
                }))
            }),
            Ok(answer) => self.commit_refused(cx.now, &answer),
        }
    }

    fn commit_failed(&self, error: &NetError) -> CommitOutcome {
        if may_have_reached(error) {
            return unknown(json!({ "seen": error.to_string() }));
        }
        let said = ConnectorError::from_net(self.network, error);
        match said.class {
            ErrorClass::Config => CommitOutcome::Rejected(said),
            _ => CommitOutcome::NotTaken {
                retry_after: said.retry_after,
                error: said,
            },
        }
    }

    fn commit_refused(&self, now: Timestamp, answer: &OutboundResponse) -> CommitOutcome {
        let error = self.error(now, answer);
        // Only a status below 500 is a refusal: a gateway's error says nothing about the server behind it.
        match error.class {
            ErrorClass::RateLimited | ErrorClass::Expired => CommitOutcome::NotTaken {
                retry_after: error.retry_after.or(Some(0)),
                error,
            },
            // Some networks report trouble after they have published.
            _ if error.may_have_acted => {
                unknown(json!({ "status": answer.status, "code": error.code }))
            }
            _ if !(400..500).contains(&answer.status) => {
                unknown(json!({ "status": answer.status, "code": error.code }))
            }
            // A proxy gave up on a request that it had passed on, or the same request is under way.
            _ if matches!(answer.status, 408 | 425 | 499) => {
                unknown(json!({ "status": answer.status, "code": error.code }))
            }
            ErrorClass::Transient => CommitOutcome::NotTaken {
                retry_after: error.retry_after,
                error,
            },
            ErrorClass::Reconnect => CommitOutcome::Reconnect(error),
            _ => CommitOutcome::Rejected(error),
        }
    }
}

// Another worker may hold the publication by now, so the call is not even begun.
fn too_late(network: &str) -> CommitOutcome {
    let error = ConnectorError::new(
        ErrorClass::Transient,
        format!("{network}.deadline_passed"),
        "The time for this attempt had passed before the post was sent.",
    )
    .next_step("It is tried again.");
    CommitOutcome::NotTaken {
        error,
        retry_after: Some(0),
    }
}

/// A doubtful commit with what was seen.
pub fn unknown(evidence: Value) -> CommitOutcome {
    CommitOutcome::Unknown { evidence }
}

/// How far the clock that dated an answer is behind ours, in microseconds; 0 if it is not or does not say.
pub fn clock_behind(answer: &OutboundResponse, now: Timestamp) -> i64 {
    let date = answer
        .header("date")
        .and_then(|date| chrono::DateTime::parse_from_rfc2822(date).ok());
    date.map_or(0, |date| {
        now.since(Timestamp::from_chrono(date.to_utc())).max(0)
    })
}

/// Text from a JSON object.
pub fn text_of(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// Adds path segments, each encoded, to a base address.
pub fn url_of(
    network: &str,
    base: &str,
    segments: &[&str],
    query: &[(&str, &str)],
) -> Result<String, ConnectorError> {
    let bad = || {
        ConnectorError::new(
            ErrorClass::Config,
            format!("{network}.address"),
            "The address of the network cannot be read.",
        )
    };
    let mut url = url::Url::parse(base).map_err(|_| bad())?;
    url.path_segments_mut()
        .map_err(|()| bad())?
        .pop_if_empty()
        .extend(segments);
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url.into())
}
