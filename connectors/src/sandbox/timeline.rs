//! Where the sandbox keeps its posts: a port that the server implements.
//!
//! Owns the form of a stored post. Must not know SQL. Invariant: an insert
//! with a key that is there already changes nothing and gives the first id.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use so_model::{
    Id, Timestamp, account::Account, content::Content, id::AccountId, publication::Attempt,
};

use super::behaviour::{Behaviour, Fault};
use crate::PublishCx;

/// A post of the sandbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SandboxPost {
    /// Its id, equal for equal keys.
    pub id: String,
    /// The account.
    pub account: AccountId,
    /// The key it was published with; none in the classes that know no keys.
    pub key: Option<String>,
    /// What it says.
    pub content: Content,
    /// The post it answers to.
    pub reply_to: Option<String>,
    /// When it was published.
    pub published_at: Timestamp,
}

impl SandboxPost {
    pub(super) fn from_part(cx: &PublishCx<'_>, attempt: &Attempt, keeps_key: bool) -> Self {
        let key = keeps_key.then(|| attempt.key.clone());
        let unique = match &key {
            Some(key) => key.clone(),
            None => format!("{}/{:?}", attempt.id, cx.cx.random),
        };
        let account = cx.account.id.to_string();
        Self {
            id: Id::<so_model::id::kind::Post>::derived(&[&account, &unique])
                .uuid()
                .simple()
                .to_string(),
            account: cx.account.id,
            key,
            content: cx.content.clone(),
            reply_to: cx.parent.map(|parent| parent.remote_id.clone()),
            published_at: cx.now,
        }
    }
}

/// Why the timeline did not take or show a post.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimelineError {
    /// It will not be taken.
    #[error("the timeline refused the post: {0}")]
    Refused(String),
    /// It may or may not have been taken.
    #[error("the timeline could not be reached")]
    Unavailable,
}

/// The sandbox's timeline.
#[async_trait]
pub trait SandboxTimeline: Send + Sync {
    /// Adds a post unless one with its key is there; gives the id of the one that is there now.
    async fn insert(&self, post: SandboxPost) -> Result<String, TimelineError>;

    /// Posts of an account since a moment, newest first.
    async fn list(
        &self,
        account: AccountId,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<SandboxPost>, TimelineError>;

    /// Deletes a post; false if it is not there.
    async fn delete(&self, account: AccountId, id: &str) -> Result<bool, TimelineError>;

    /// Counts of posts that are there, by the manifest's names.
    async fn counts(
        &self,
        account: AccountId,
        ids: &[String],
    ) -> Result<Vec<(String, BTreeMap<String, i64>)>, TimelineError>;

    /// What goes wrong with the next post. May count down, so that a fault ends by itself.
    async fn fault(&self, _account: &Account, behaviour: &Behaviour) -> Fault {
        behaviour.fault
    }
}
