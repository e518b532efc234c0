//! The one seam to networks: what every connector can do.
//!
//! Owns the trait and the answers it gives. Must not know the database, rules
//! or the engine's states. Invariant: only [`Connector::commit`] and
//! [`Connector::delete`] have an effect that people can see.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::{Map, Value};
use so_model::{
    Timestamp,
    account::{Account, Destination},
    content::Content,
    network::Manifest,
    problem::FieldError,
    publication::{Attempt, Fingerprint},
};

use crate::{
    checks,
    context::{Cx, MediaFacts, ParentRef, PublishCx},
    error::ConnectorError,
    secret::SecretValue,
};

/// What the start of a sign-in leads to.
#[derive(Debug, Clone)]
pub enum SignInStart {
    /// The account is connected already.
    Done(Box<ConnectedAccount>),
    /// The person has to go to the network first.
    Redirect {
        /// Where to.
        url: String,
        /// Needed to finish; sealed by the server meanwhile.
        pending: SecretValue,
    },
}

/// An account that has just been connected.
#[derive(Debug, Clone)]
pub struct ConnectedAccount {
    /// The network's own id for it, unique in the network.
    pub remote_id: String,
    /// Name shown.
    pub name: String,
    /// Handle such as `@ann@m.example`.
    pub handle: String,
    /// Picture.
    pub avatar_url: Option<String>,
    /// Base address and limits; no secret.
    pub settings: Value,
    /// What it may post to.
    pub destinations: Vec<Destination>,
    /// To be sealed.
    pub token: SecretValue,
    /// When the token ends, if that is known.
    pub token_expires_at: Option<Timestamp>,
}

/// What a refresh led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refresh {
    /// The token stays as it is.
    Unchanged,
    /// To be stored before it is used: the old one may be dead already.
    Rotated {
        /// The whole new secret.
        token: SecretValue,
        /// When it ends.
        expires_at: Option<Timestamp>,
    },
}

/// An account as the network describes it now.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// Name shown.
    pub name: String,
    /// Handle.
    pub handle: String,
    /// Picture.
    pub avatar_url: Option<String>,
    /// Settings with limits read anew.
    pub settings: Value,
    /// What it may post to.
    pub destinations: Vec<Destination>,
}

/// What one private sub-step led to.
#[derive(Debug, Clone, PartialEq)]
pub enum Prepared {
    /// Store the progress and call again after so many microseconds.
    Again {
        /// To be stored.
        progress: Value,
        /// Microseconds.
        after_micros: i64,
    },
    /// Store the progress; the commit call can be made.
    Ready {
        /// To be stored before the intent.
        progress: Value,
    },
}

/// What the one call with public effect led to.
#[derive(Debug, Clone, PartialEq)]
pub enum CommitOutcome {
    /// Live.
    Published {
        /// What the network calls it.
        remote_id: String,
        /// Where people see it, if that is known yet.
        remote_url: Option<String>,
        /// What an answer to it needs, such as a content hash.
        extra: Value,
    },
    /// Refused for good.
    Rejected(ConnectorError),
    /// Provably not taken; may be tried again.
    NotTaken {
        /// Why.
        error: ConnectorError,
        /// Microseconds.
        retry_after: Option<i64>,
    },
    /// Not taken: the token is no longer accepted.
    Reconnect(ConnectorError),
    /// The network may have acted. Never tried again without asking.
    Unknown {
        /// What was seen, without tokens.
        evidence: Value,
    },
}

/// What became of a doubtful call.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// It is live.
    One {
        /// What the network calls it.
        remote_id: String,
        /// Where people see it.
        remote_url: Option<String>,
        /// As in [`CommitOutcome::Published`].
        extra: Value,
    },
    /// Not there.
    Absent {
        /// The answer covers everything since before the intent.
        complete: bool,
    },
    /// More than one post would fit.
    Several {
        /// Those.
        remote_ids: Vec<String>,
    },
    /// This network cannot be asked.
    CannotTell {
        /// Why, for people.
        reason: String,
    },
    /// It could not be asked now.
    TryLater {
        /// Microseconds.
        after: i64,
    },
}

/// What a deletion led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// It was there and is gone.
    Gone,
    /// It was not there.
    NotThere,
}

/// Counts of one post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// The post.
    pub remote_id: String,
    /// By the names of the manifest.
    pub values: BTreeMap<String, i64>,
}

/// A social network.
#[async_trait]
pub trait Connector: Send + Sync {
    /// The network as data.
    fn manifest(&self) -> &Manifest;

    /// The network as data with the limits that hold for one account.
    fn manifest_for(&self, _account: &Account) -> Manifest {
        self.manifest().clone()
    }

    /// Starts connecting an account. `state` comes from the server and must come back.
    async fn begin_sign_in(
        &self,
        cx: &Cx,
        form: &Map<String, Value>,
        redirect_uri: &str,
        state: &str,
    ) -> Result<SignInStart, ConnectorError>;

    /// Ends a sign-in with what the network sent along with the person.
    async fn finish_sign_in(
        &self,
        cx: &Cx,
        pending: &SecretValue,
        callback: &BTreeMap<String, String>,
    ) -> Result<ConnectedAccount, ConnectorError>;

    /// Tokens of this network are renewed without their person, as long as the network goes along.
    fn renews_tokens(&self) -> bool {
        false
    }

    /// Renews a token. Callers go through [`crate::oauth::Refresher`], which lets one renewal run at a time.
    async fn refresh(
        &self,
        _cx: &Cx,
        _account: &Account,
        _token: &SecretValue,
    ) -> Result<Refresh, ConnectorError> {
        Ok(Refresh::Unchanged)
    }

    /// Asks whether the token works, and reads profile and limits.
    async fn check(
        &self,
        cx: &Cx,
        account: &Account,
        token: &SecretValue,
    ) -> Result<Verified, ConnectorError>;

    /// What the network would refuse; pointers start at the content (`/text`).
    fn problems(
        &self,
        manifest: &Manifest,
        content: &Content,
        media: &[MediaFacts],
    ) -> Vec<FieldError> {
        checks::problems(manifest, content, media)
    }

    /// One sub-step that nobody sees, such as one upload. Called again and again with the stored progress,
    /// `null` at first; also before every further attempt, so it may renew what has gone stale, and end in a
    /// content error if the network has refused the former attempt for good.
    async fn prepare(
        &self,
        cx: &PublishCx<'_>,
        progress: Value,
    ) -> Result<Prepared, ConnectorError>;

    /// The one call with public effect. Given up at `attempt.deadline_at`.
    async fn commit(
        &self,
        cx: &PublishCx<'_>,
        progress: &Value,
        attempt: &Attempt,
    ) -> CommitOutcome;

    /// Asks what became of an attempt, whose evidence holds what the commit saw. Posts in `bound_remote_ids` belong to other publications.
    async fn find_published(
        &self,
        cx: &PublishCx<'_>,
        progress: &Value,
        attempt: &Attempt,
        bound_remote_ids: &[String],
    ) -> Found;

    /// Deletes a post; one that is not there is no failure.
    async fn delete(
        &self,
        cx: &Cx,
        account: &Account,
        token: &SecretValue,
        remote_id: &str,
    ) -> Result<Deleted, ConnectorError>;

    /// Reads counts; posts that are gone are left out.
    async fn read_metrics(
        &self,
        cx: &Cx,
        account: &Account,
        token: &SecretValue,
        remote_ids: &[String],
    ) -> Result<Vec<Metrics>, ConnectorError>;

    /// What identifies the content among the account's posts after the network's rewriting.
    fn fingerprint(&self, content: &Content, parent: Option<&ParentRef>) -> Fingerprint {
        Fingerprint {
            text: so_model::text::normalise(&content.text),
            media: content.media.len(),
            reply_to: parent.map(|parent| parent.remote_id.clone()),
        }
    }
}
