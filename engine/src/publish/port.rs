//! What the protocol asks of the networks.

use async_trait::async_trait;
use serde_json::Value;
use so_model::{
    Timestamp,
    account::Account,
    content::Content,
    publication::{Attempt, Fingerprint, Publication},
};

/// One publication with all that a network needs to know.
#[derive(Debug, Clone)]
pub struct PublishWork {
    /// The publication.
    pub publication: Publication,
    /// The account.
    pub account: Account,
    /// Page, board or channel.
    pub destination: Option<String>,
    /// What this part says.
    pub content: Content,
    /// The part this one answers to.
    pub parent: Option<ParentRef>,
    /// The first part.
    pub root: Option<ParentRef>,
}

/// A published part that others answer to.
#[derive(Debug, Clone, PartialEq)]
pub struct ParentRef {
    /// What the network calls it.
    pub remote_id: String,
    /// What else the network needs to refer to it.
    pub extra: Value,
}

/// How a private sub-step ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Prepare {
    /// Another follows after so many microseconds; `progress` is stored first.
    Again {
        /// Ids of uploads and containers.
        progress: Value,
        /// Microseconds to wait.
        after: i64,
    },
    /// The commit call can be made.
    Ready {
        /// Ids of uploads and containers.
        progress: Value,
    },
}

/// How the call with public effect ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Commit {
    /// Live.
    Published {
        /// What the network calls it.
        remote_id: String,
        /// Where people see it.
        remote_url: Option<String>,
        /// What else the network needs to refer to it.
        extra: Value,
    },
    /// Refused or provably not taken.
    Refused(PortError),
    /// Nobody knows: time-out, cut connection, server error, garbage.
    Unknown {
        /// What was seen, without secrets.
        evidence: String,
    },
}

/// What the network says of an earlier attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// Exactly one match that is not bound to another publication.
    One {
        /// What the network calls it.
        remote_id: String,
        /// Where people see it.
        remote_url: Option<String>,
        /// What else the network needs to refer to it.
        extra: Value,
    },
    /// Not there, and the answer reaches back beyond the intent.
    Absent,
    /// Several posts match.
    Several(Vec<String>),
    /// The network cannot be asked.
    CannotTell(String),
    /// It could not be asked now.
    Later(PortError),
}

/// What went wrong and what follows from it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct PortError {
    /// What follows.
    pub class: PortErrorClass,
    /// Stable code.
    pub code: String,
    /// For people: what and why.
    pub message: String,
    /// For people: what to do.
    pub next_step: String,
    /// Not before so many microseconds.
    pub retry_after: Option<i64>,
}

/// What follows from an error of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortErrorClass {
    /// The content cannot be published as it is: no retry.
    Content,
    /// The account must be connected again: the post waits.
    Reconnect,
    /// It may pass: retry.
    Transient,
    /// The network takes no more from this account for now: the account waits, and it costs no try.
    Limited,
}

/// The way to the networks.
#[async_trait]
pub trait PublishPort: Send + Sync {
    /// One private sub-step without public effect.
    async fn prepare(
        &self,
        work: &PublishWork,
        progress: Value,
        now: Timestamp,
    ) -> Result<Prepare, PortError>;
    /// What identifies the content when the network is asked.
    fn fingerprint(&self, work: &PublishWork) -> Fingerprint;
    /// The call with public effect.
    async fn commit(&self, work: &PublishWork, progress: &Value, attempt: &Attempt) -> Commit;
    /// What became of an attempt.
    async fn find(
        &self,
        work: &PublishWork,
        progress: &Value,
        attempt: &Attempt,
        bound: &[String],
    ) -> Found;
    /// Microseconds after a call's deadline before the network is believed.
    fn settle(&self, network: &str) -> i64;
}
