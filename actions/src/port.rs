//! The way from the publish protocol to the networks.
//!
//! Owns the translation of work, outcomes and errors, and the one renewal of a
//! token that a network calls expired. Must not retry anything else: that is
//! the engine's. Invariant: only what provably had no effect is told as refused.

use std::{future::Future, sync::Arc};

use async_trait::async_trait;
use serde_json::Value;
use so_connectors as net;
use so_connectors::{
    CommitOutcome, Connector, ConnectorError, Cx, ErrorClass, MediaFile, Prepared, PublishCx,
    SecretValue,
};
use so_engine::publish::{
    Commit, Found, ParentRef, PortError, PortErrorClass, Prepare, PublishPort, PublishWork,
};
use so_model::{
    Timestamp,
    publication::{Attempt, Fingerprint},
    time::{MINUTE, SECOND},
};
use so_store::Store;

use crate::access::Access;

/// Settle window of a network that is gone from this server.
const SETTLE_DEFAULT: i64 = MINUTE;

/// The networks as the publish protocol sees them.
pub struct ConnectorPort {
    store: Store,
    access: Access,
}

impl ConnectorPort {
    /// A port over the database and the access that actions share.
    pub fn new(store: Store, access: Access) -> Self {
        Self { store, access }
    }

    async fn open<'a>(&self, work: &'a PublishWork) -> Result<Opened<'a>, ConnectorError> {
        let connector = self.access.connector(&work.account)?;
        let token = self
            .access
            .token(&self.store, connector.as_ref(), &work.account)
            .await?;
        let media = self
            .access
            .media_files(&self.store, &work.account, &work.content)
            .await?;
        let reference = |to: &Option<ParentRef>| to.as_ref().map(parent);
        let (parent, root) = (reference(&work.parent), reference(&work.root));
        Ok(Opened {
            work,
            connector,
            token,
            media,
            parent,
            root,
        })
    }

    async fn renewed<'a>(&self, mut opened: Opened<'a>) -> Result<Opened<'a>, ConnectorError> {
        so_engine::failpoint::hit("port.renew");
        let seen = opened.token.clone();
        opened.token = self
            .access
            .renew(
                &self.store,
                opened.connector.as_ref(),
                &opened.work.account,
                &seen,
            )
            .await?;
        Ok(opened)
    }
}

/// A work with everything a call needs.
struct Opened<'a> {
    work: &'a PublishWork,
    connector: Arc<dyn Connector>,
    token: SecretValue,
    media: Vec<MediaFile>,
    parent: Option<net::ParentRef>,
    root: Option<net::ParentRef>,
}

impl Opened<'_> {
    fn publish_cx<'b>(&'b self, cx: &'b Cx) -> PublishCx<'b> {
        PublishCx {
            cx,
            account: &self.work.account,
            token: &self.token,
            destination: self.work.destination.as_deref(),
            content: &self.work.content,
            part: self.work.publication.part,
            parent: self.parent.as_ref(),
            root: self.root.as_ref(),
            media: &self.media,
            publication: &self.work.publication,
            now: cx.now,
        }
    }
}

fn parent(reference: &ParentRef) -> net::ParentRef {
    net::ParentRef {
        remote_id: reference.remote_id.clone(),
        remote_url: None,
        extra: reference.extra.clone(),
    }
}

#[async_trait]
impl PublishPort for ConnectorPort {
    async fn prepare(
        &self,
        work: &PublishWork,
        progress: Value,
        _now: Timestamp,
    ) -> Result<Prepare, PortError> {
        let opened = self.open(work).await.map_err(port_error)?;
        let cx = self.access.cx();
        so_engine::failpoint::hit("port.prepare");
        let first = opened
            .connector
            .prepare(&opened.publish_cx(&cx), progress.clone())
            .await;
        let result = match first {
            Err(error) if error.class == ErrorClass::Expired => {
                let opened = self.renewed(opened).await.map_err(port_error)?;
                let cx = self.access.cx();
                opened
                    .connector
                    .prepare(&opened.publish_cx(&cx), progress)
                    .await
            }
            other => other,
        };
        match result.map_err(port_error)? {
            Prepared::Again {
                progress,
                after_micros,
            } => Ok(Prepare::Again {
                progress,
                after: after_micros,
            }),
            Prepared::Ready { progress } => Ok(Prepare::Ready { progress }),
        }
    }

    fn fingerprint(&self, work: &PublishWork) -> Fingerprint {
        let reference = work.parent.as_ref().map(parent);
        match self.access.connector(&work.account) {
            Ok(connector) => connector.fingerprint(&work.content, reference.as_ref()),
            Err(_) => Fingerprint {
                text: so_model::text::normalise(&work.content.text),
                media: work.content.media.len(),
                reply_to: reference.map(|parent| parent.remote_id),
            },
        }
    }

    async fn commit(&self, work: &PublishWork, progress: &Value, attempt: &Attempt) -> Commit {
        // Nothing was sent when the account or a file cannot be opened.
        let opened = match self.open(work).await {
            Ok(opened) => opened,
            Err(error) => return Commit::Refused(port_error(error)),
        };
        let cx = self.access.cx();
        so_engine::failpoint::hit("port.commit");
        let first = opened
            .connector
            .commit(&opened.publish_cx(&cx), progress, attempt)
            .await;
        match first {
            // Provably not taken, so the second call is still the same attempt.
            CommitOutcome::NotTaken { error, .. } if error.class == ErrorClass::Expired => {
                let opened = match self.renewed(opened).await {
                    Ok(opened) => opened,
                    Err(error) => return Commit::Refused(port_error(error)),
                };
                let cx = self.access.cx();
                so_engine::failpoint::hit("port.commit.renewed");
                outcome(
                    opened
                        .connector
                        .commit(&opened.publish_cx(&cx), progress, attempt)
                        .await,
                )
            }
            other => outcome(other),
        }
    }

    async fn find(
        &self,
        work: &PublishWork,
        progress: &Value,
        attempt: &Attempt,
        bound: &[String],
    ) -> Found {
        let ask = async {
            let opened = self.open(work).await?;
            let cx = self.access.cx();
            so_engine::failpoint::hit("port.find");
            let found = opened
                .connector
                .find_published(&opened.publish_cx(&cx), progress, attempt, bound)
                .await;
            Ok::<_, ConnectorError>(found)
        };
        match ask.await {
            Ok(seen) => found(seen),
            Err(error) if error.code == "network.unknown" => Found::CannotTell(error.message),
            Err(error) => Found::Later(port_error(error)),
        }
    }

    fn settle(&self, network: &str) -> i64 {
        self.access
            .connectors()
            .find(network)
            .map_or(SETTLE_DEFAULT, |connector| {
                i64::from(connector.manifest().settle_s) * SECOND
            })
    }
}

fn outcome(outcome: CommitOutcome) -> Commit {
    match outcome {
        CommitOutcome::Published {
            remote_id,
            remote_url,
            extra,
        } => Commit::Published {
            remote_id,
            remote_url,
            extra,
        },
        CommitOutcome::Rejected(error) => {
            // Refused for good: trying again would be refused again, whatever the class suggests.
            let mut error = port_error(error);
            if matches!(
                error.class,
                PortErrorClass::Transient | PortErrorClass::Limited
            ) {
                error.class = PortErrorClass::Content;
            }
            Commit::Refused(error)
        }
        CommitOutcome::NotTaken { error, retry_after } => {
            let expired = error.class == ErrorClass::Expired;
            let mut error = port_error(error);
            if !expired && error.class != PortErrorClass::Limited {
                error.class = PortErrorClass::Transient;
            }
            error.retry_after = retry_after.or(error.retry_after);
            Commit::Refused(error)
        }
        CommitOutcome::Reconnect(error) => Commit::Refused(PortError {
            class: PortErrorClass::Reconnect,
            ..port_error(error)
        }),
        CommitOutcome::Unknown { evidence } => Commit::Unknown {
            evidence: evidence.to_string(),
        },
    }
}

fn found(seen: net::Found) -> Found {
    match seen {
        net::Found::One { remote_id, remote_url, extra } => Found::One { remote_id, remote_url, extra },
        net::Found::Absent { complete: true } => Found::Absent,
        net::Found::Absent { complete: false } => Found::CannotTell(
            "the network's list of posts does not reach back to the attempt, so it may have been published".into(),
        ),
        net::Found::Several { remote_ids } => Found::Several(remote_ids),
        net::Found::CannotTell { reason } => Found::CannotTell(reason),
        net::Found::TryLater { after } => Found::Later(PortError {
            class: PortErrorClass::Transient,
            code: "network.later".into(),
            message: "the network could not be asked now".into(),
            next_step: "it is asked again".into(),
            retry_after: Some(after),
        }),
    }
}

/// What follows from a network's error.
fn class_of(class: ErrorClass) -> PortErrorClass {
    match class {
        // The account is blocked or its token ended: the post waits, it is not lost.
        ErrorClass::Expired | ErrorClass::Reconnect | ErrorClass::AccountProblem => {
            PortErrorClass::Reconnect
        }
        ErrorClass::RateLimited => PortErrorClass::Limited,
        ErrorClass::Transient => PortErrorClass::Transient,
        ErrorClass::Content | ErrorClass::Gone | ErrorClass::Config | ErrorClass::Unknown => {
            PortErrorClass::Content
        }
    }
}

fn port_error(error: ConnectorError) -> PortError {
    PortError {
        class: class_of(error.class),
        message: match &error.field {
            Some(field) => format!("{field}: {}", error.message.trim_end_matches('.')),
            None => error.message.trim_end_matches('.').to_owned(),
        },
        code: error.code,
        next_step: error.next_step,
        retry_after: error.retry_after,
    }
}

/// Calls `with` a token, and once more with a renewed one if the network calls it expired.
pub(crate) async fn with_token<T, F>(
    access: &Access,
    store: &Store,
    connector: &dyn Connector,
    account: &so_model::account::Account,
    with: impl Fn(SecretValue) -> F,
) -> Result<T, ConnectorError>
where
    F: Future<Output = Result<T, ConnectorError>>,
{
    let token = access.token(store, connector, account).await?;
    so_engine::failpoint::hit("port.call");
    match with(token.clone()).await {
        Err(error) if error.class == ErrorClass::Expired => {
            with(access.renew(store, connector, account, &token).await?).await
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(class: ErrorClass) -> ConnectorError {
        ConnectorError::new(class, "net.code", "It broke.")
            .next_step("mend it")
            .field("/text")
    }

    #[test]
    fn a_refusal_for_good_is_never_tried_again() {
        let Commit::Refused(told) = outcome(CommitOutcome::Rejected(error(ErrorClass::Transient)))
        else {
            panic!()
        };
        assert_eq!(told.class, PortErrorClass::Content);
        assert_eq!(told.message, "/text: It broke");
    }

    #[test]
    fn what_was_not_taken_waits_as_long_as_the_network_says() {
        let not_taken = CommitOutcome::NotTaken {
            error: error(ErrorClass::RateLimited),
            retry_after: Some(7),
        };
        let Commit::Refused(told) = outcome(not_taken) else {
            panic!()
        };
        assert_eq!(
            (told.class, told.retry_after),
            (PortErrorClass::Limited, Some(7))
        );
    }

    #[test]
    fn an_incomplete_list_is_no_proof_of_absence() {
        assert_eq!(found(net::Found::Absent { complete: true }), Found::Absent);
        assert!(matches!(
            found(net::Found::Absent { complete: false }),
            Found::CannotTell(_)
        ));
    }

    #[test]
    fn a_blocked_account_holds_its_posts() {
        assert_eq!(
            class_of(ErrorClass::AccountProblem),
            PortErrorClass::Reconnect
        );
        assert_eq!(class_of(ErrorClass::Config), PortErrorClass::Content);
    }
}
