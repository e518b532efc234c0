//! The sandbox: a network inside the instance, to try everything out.
//!
//! Owns a connector that behaves like any other and, when told to, misbehaves
//! like any other. Must not know where its timeline is kept. Invariant: it
//! claims to recognise a repeated key only in the classes that really do.

mod behaviour;
mod manifest;
mod timeline;

#[cfg(any(test, feature = "doubles"))]
pub mod memory;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use so_model::{
    account::Account,
    network::{Manifest, Reconciliation},
    publication::Attempt,
    text::normalise,
    time::{MINUTE, SECOND},
};

pub use behaviour::{Behaviour, Fault};
pub use timeline::{SandboxPost, SandboxTimeline, TimelineError};

use crate::{
    CommitOutcome, ConnectedAccount, Connector, ConnectorError, Cx, Deleted, ErrorClass, Found,
    Metrics, Prepared, PublishCx, SecretValue, SignInStart, Verified,
};

const KEY: &str = "sandbox";
/// Posts read when the timeline is asked for one; more than anybody publishes within a settle window.
const LIST_LIMIT: usize = 200;
/// Posts listed count as ours from this long before the intent, as at networks with clocks of their own.
const CLOCK_SLACK: i64 = 2 * MINUTE;
/// Wait after "unavailable".
const UNAVAILABLE_WAIT: i64 = 10 * SECOND;

/// The connector of the sandbox.
pub struct Sandbox {
    timeline: Arc<dyn SandboxTimeline>,
    manifest: Manifest,
}

impl Sandbox {
    /// A sandbox that writes to this timeline.
    pub fn new(timeline: Arc<dyn SandboxTimeline>) -> Self {
        Self {
            timeline,
            manifest: manifest::manifest(),
        }
    }

    async fn insert(
        &self,
        cx: &PublishCx<'_>,
        behaviour: &Behaviour,
        attempt: &Attempt,
    ) -> CommitOutcome {
        let post = SandboxPost::from_part(cx, attempt, behaviour.keeps_keys());
        match self.timeline.insert(post).await {
            Ok(id) => published(&id),
            Err(TimelineError::Refused(reason)) => CommitOutcome::Rejected(
                ConnectorError::new(ErrorClass::Content, "sandbox.refused", reason)
                    .next_step("Change the post."),
            ),
            // The store may have kept the post and lost the answer, as any network may.
            Err(TimelineError::Unavailable) => unknown("the timeline gave no answer"),
        }
    }
}

fn published(id: &str) -> CommitOutcome {
    CommitOutcome::Published {
        remote_id: id.to_owned(),
        remote_url: Some(url(id)),
        extra: Value::Null,
    }
}

fn url(id: &str) -> String {
    format!("/sandbox/{id}")
}

fn unknown(seen: &str) -> CommitOutcome {
    CommitOutcome::Unknown {
        evidence: json!({ "seen": seen }),
    }
}

fn unavailable() -> ConnectorError {
    ConnectorError::new(
        ErrorClass::Transient,
        "sandbox.unavailable",
        "The sandbox does not answer at the moment.",
    )
    .next_step("It is tried again.")
    .retry_after(UNAVAILABLE_WAIT)
}

fn reconnect() -> ConnectorError {
    ConnectorError::new(
        ErrorClass::Reconnect,
        "sandbox.token_ended",
        "The sandbox no longer accepts this account.",
    )
    .next_step("Connect the account again.")
}

#[async_trait]
impl Connector for Sandbox {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn manifest_for(&self, account: &Account) -> Manifest {
        let behaviour = Behaviour::of(account);
        Manifest {
            reconciliation: behaviour.class,
            ..self.manifest.clone()
        }
    }

    async fn begin_sign_in(
        &self,
        cx: &Cx,
        form: &Map<String, Value>,
        _redirect_uri: &str,
        _state: &str,
    ) -> Result<SignInStart, ConnectorError> {
        let name = form
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or("")
            .trim();
        if name.is_empty() || name.chars().count() > manifest::NAME_MAX {
            let reason = format!("The name must have 1 to {} characters.", manifest::NAME_MAX);
            return Err(ConnectorError::form(KEY, "name", reason));
        }
        let id: String = cx.random[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(SignInStart::Done(Box::new(ConnectedAccount {
            remote_id: id.clone(),
            name: name.to_owned(),
            handle: format!("@{}", name.to_lowercase().replace(char::is_whitespace, "-")),
            avatar_url: None,
            settings: json!({ "behaviour": {} }),
            destinations: Vec::new(),
            token: SecretValue::new(json!({ "access_token": format!("sandbox-{id}") })),
            token_expires_at: None,
        })))
    }

    async fn finish_sign_in(
        &self,
        _cx: &Cx,
        _pending: &SecretValue,
        _callback: &BTreeMap<String, String>,
    ) -> Result<ConnectedAccount, ConnectorError> {
        Err(ConnectorError::form(
            KEY,
            "name",
            "The sandbox is connected at once; there is nothing to finish.",
        ))
    }

    async fn check(
        &self,
        _cx: &Cx,
        account: &Account,
        token: &SecretValue,
    ) -> Result<Verified, ConnectorError> {
        if token.text("access_token").is_none() || Behaviour::of(account).fault == Fault::Reconnect
        {
            return Err(reconnect());
        }
        Ok(Verified {
            name: account.name.clone(),
            handle: account.handle.clone(),
            avatar_url: None,
            settings: account.settings.clone(),
            destinations: Vec::new(),
        })
    }

    async fn prepare(
        &self,
        cx: &PublishCx<'_>,
        progress: Value,
    ) -> Result<Prepared, ConnectorError> {
        let behaviour = Behaviour::of(cx.account);
        let done = progress.get("steps").and_then(Value::as_u64).unwrap_or(0);
        let progress = json!({ "steps": done + 1, "container": cx.publication.id.to_string() });
        // Each file and each "slow" step is one sub-step, so that crashes between them can be tried.
        if done < behaviour.prepare_steps + cx.media.len() as u64 {
            return Ok(Prepared::Again {
                progress,
                after_micros: behaviour.step_micros,
            });
        }
        Ok(Prepared::Ready { progress })
    }

    async fn commit(
        &self,
        cx: &PublishCx<'_>,
        _progress: &Value,
        attempt: &Attempt,
    ) -> CommitOutcome {
        if cx.token.text("access_token").is_none() {
            return CommitOutcome::Reconnect(reconnect());
        }
        let behaviour = Behaviour::of(cx.account);
        if behaviour.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(behaviour.delay_ms)).await;
        }
        match self.timeline.fault(cx.account, &behaviour).await {
            Fault::None => self.insert(cx, &behaviour, attempt).await,
            Fault::Reject => CommitOutcome::Rejected(
                ConnectorError::new(
                    ErrorClass::Content,
                    "sandbox.refused",
                    "The sandbox was told to refuse this post.",
                )
                .next_step("Change the behaviour of the account."),
            ),
            Fault::RateLimited => CommitOutcome::NotTaken {
                error: ConnectorError::new(
                    ErrorClass::RateLimited,
                    "sandbox.rate_limited",
                    "Too many posts at once.",
                )
                .next_step("It is tried again after the wait.")
                .retry_after(behaviour.retry_after),
                retry_after: Some(behaviour.retry_after),
            },
            Fault::Unavailable => CommitOutcome::NotTaken {
                error: unavailable(),
                retry_after: Some(UNAVAILABLE_WAIT),
            },
            Fault::Reconnect => CommitOutcome::Reconnect(reconnect()),
            Fault::LostAnswer => {
                self.insert(cx, &behaviour, attempt).await;
                unknown("taken, and the answer was lost")
            }
            Fault::LostRequest => unknown("the line broke before the post was taken"),
        }
    }

    async fn find_published(
        &self,
        cx: &PublishCx<'_>,
        _progress: &Value,
        attempt: &Attempt,
        bound_remote_ids: &[String],
    ) -> Found {
        let behaviour = Behaviour::of(cx.account);
        if behaviour.class == Reconciliation::None {
            let reason = "This account of the sandbox cannot be asked for its posts.".to_owned();
            return Found::CannotTell { reason };
        }
        let since = attempt.intent_at.plus(-CLOCK_SLACK);
        let Ok(posts) = self.timeline.list(cx.account.id, since, LIST_LIMIT).await else {
            return Found::TryLater {
                after: UNAVAILABLE_WAIT,
            };
        };
        let complete = posts.len() < LIST_LIMIT;
        let fits = |post: &&SandboxPost| match behaviour.keeps_keys() {
            true => post.key.as_deref() == Some(attempt.key.as_str()),
            false => {
                normalise(&post.content.text) == attempt.fingerprint.text
                    && post.content.media.len() == attempt.fingerprint.media
                    && post.reply_to == attempt.fingerprint.reply_to
                    && !bound_remote_ids.contains(&post.id)
            }
        };
        let ids: Vec<String> = posts
            .iter()
            .filter(fits)
            .map(|post| post.id.clone())
            .collect();
        match ids.as_slice() {
            [] => Found::Absent { complete },
            [id] => Found::One {
                remote_id: id.clone(),
                remote_url: Some(url(id)),
                extra: Value::Null,
            },
            _ => Found::Several { remote_ids: ids },
        }
    }

    async fn delete(
        &self,
        _cx: &Cx,
        account: &Account,
        _token: &SecretValue,
        remote_id: &str,
    ) -> Result<Deleted, ConnectorError> {
        match self.timeline.delete(account.id, remote_id).await {
            Ok(true) => Ok(Deleted::Gone),
            Ok(false) => Ok(Deleted::NotThere),
            Err(_) => Err(unavailable()),
        }
    }

    async fn read_metrics(
        &self,
        _cx: &Cx,
        account: &Account,
        _token: &SecretValue,
        remote_ids: &[String],
    ) -> Result<Vec<Metrics>, ConnectorError> {
        let counts = self
            .timeline
            .counts(account.id, remote_ids)
            .await
            .map_err(|_| unavailable())?;
        Ok(counts
            .into_iter()
            .map(|(remote_id, values)| Metrics { remote_id, values })
            .collect())
    }
}
