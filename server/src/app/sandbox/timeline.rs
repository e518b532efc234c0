//! The sandbox's timeline in the database.
//!
//! Owns how its posts are stored. Must not know behaviour. Invariants: ids begin with the moment, so that
//! their order is that of time; a key that is there already adds nothing.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::json;
use so_connectors::sandbox::{SandboxPost, SandboxTimeline, TimelineError};
use so_model::{Timestamp, content::Content, id::AccountId, id::WorkspaceId};
use so_store::{Store, StoreError, accounts, sandbox};

use crate::app::failure::chain;

/// Key of the sandbox's manifest.
pub(super) const KEY: &str = "sandbox";
/// Hexadecimal digits taken from the connector's own id: enough to tell two posts of one microsecond apart.
const UNIQUE_DIGITS: usize = 20;
/// Posts of one account that a list looks through at most.
const LIST_MAX: usize = 1000;

/// The timeline over the database.
pub struct StoreTimeline {
    store: Store,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

impl StoreTimeline {
    /// A timeline whose deletions are dated by `now`.
    pub fn new(store: Store, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            store,
            now: Box::new(now),
        }
    }

    async fn workspace(&self, account: AccountId) -> Result<WorkspaceId, TimelineError> {
        let found = accounts::workspace_of(&mut self.store.clone(), account)
            .await
            .map_err(|e| unavailable(&e))?;
        found.ok_or_else(|| TimelineError::Refused("The account is not there any more.".into()))
    }

    async fn try_insert(
        &self,
        workspace: WorkspaceId,
        post: &SandboxPost,
    ) -> Result<String, StoreError> {
        let mut tx = self.store.begin().await?;
        // Held until the commit, so that two servers cannot both find the key new.
        accounts::find_for_update(&mut tx, workspace, post.account).await?;
        if let Some(key) = &post.key
            && let Some(first) = sandbox::find_by_key(&mut tx, workspace, post.account, key).await?
        {
            tx.rollback().await?;
            return Ok(first.id);
        }
        let unique: String = post.id.chars().take(UNIQUE_DIGITS).collect();
        let id = format!("{:014x}{unique}", post.published_at.micros());
        let row = sandbox::SandboxPost {
            id: id.clone(),
            workspace,
            account: post.account,
            idem_key: post.key.clone().unwrap_or_default(),
            reply_to: post.reply_to.clone(),
            doc: json!({"content": post.content}),
            created_at: post.published_at,
            deleted_at: None,
        };
        sandbox::insert(&mut tx, &row).await?;
        tx.commit().await?;
        Ok(id)
    }

    async fn try_delete(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        id: &str,
    ) -> Result<bool, StoreError> {
        let mut tx = self.store.begin().await?;
        let found = sandbox::find(&mut tx, workspace, id).await?;
        if found.is_none_or(|post| post.account != account) {
            tx.rollback().await?;
            return Ok(false);
        }
        let was_there = sandbox::delete(&mut tx, workspace, id, (self.now)()).await?;
        tx.commit().await?;
        Ok(was_there)
    }
}

/// What a stored post says.
pub(super) fn read_doc(post: &sandbox::SandboxPost) -> Option<Content> {
    serde_json::from_value(post.doc.get("content")?.clone()).ok()
}

fn unavailable(error: &StoreError) -> TimelineError {
    tracing::error!(error = %chain(error), "the sandbox's timeline could not be reached");
    TimelineError::Unavailable
}

#[async_trait]
impl SandboxTimeline for StoreTimeline {
    async fn insert(&self, post: SandboxPost) -> Result<String, TimelineError> {
        let workspace = self.workspace(post.account).await?;
        self.try_insert(workspace, &post)
            .await
            .map_err(|error| unavailable(&error))
    }

    async fn list(
        &self,
        account: AccountId,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<SandboxPost>, TimelineError> {
        let workspace = self.workspace(account).await?;
        let limit = i64::try_from(limit.min(LIST_MAX)).unwrap_or(0);
        let found = sandbox::list(&mut self.store.clone(), workspace, account, "", limit).await;
        let found = found.map_err(|error| unavailable(&error))?;
        let post = |row: sandbox::SandboxPost| {
            Some(SandboxPost {
                content: read_doc(&row)?,
                id: row.id,
                account: row.account,
                key: Some(row.idem_key).filter(|key| !key.is_empty()),
                reply_to: row.reply_to,
                published_at: row.created_at,
            })
        };
        Ok(found
            .into_iter()
            .filter(|row| row.created_at >= since)
            .filter_map(post)
            .collect())
    }

    async fn delete(&self, account: AccountId, id: &str) -> Result<bool, TimelineError> {
        let workspace = self.workspace(account).await?;
        self.try_delete(workspace, account, id)
            .await
            .map_err(|error| unavailable(&error))
    }

    async fn counts(
        &self,
        account: AccountId,
        ids: &[String],
    ) -> Result<Vec<(String, BTreeMap<String, i64>)>, TimelineError> {
        let workspace = self.workspace(account).await?;
        let mut reader = self.store.clone();
        let limit = i64::try_from(LIST_MAX).unwrap_or(0);
        let all = sandbox::list(&mut reader, workspace, account, "", limit)
            .await
            .map_err(|e| unavailable(&e))?;
        let mut seen = Vec::new();
        for id in ids {
            let found = sandbox::find(&mut reader, workspace, id)
                .await
                .map_err(|e| unavailable(&e))?;
            if found.is_some_and(|post| post.account == account) {
                let replies = all
                    .iter()
                    .filter(|post| post.reply_to.as_deref() == Some(id))
                    .count();
                let values = [
                    ("likes".to_string(), 0),
                    ("replies".to_string(), replies as i64),
                ];
                seen.push((id.clone(), values.into()));
            }
        }
        Ok(seen)
    }
}
