//! Changes, as they happen, for pages that are open.
//!
//! Owns the fan-out. Invariant: an update says only what changed and its id; whoever may see it reads it
//! through the API, where the role is checked.

use so_model::id::WorkspaceId;
use so_store::memberships;
use tokio::sync::broadcast;

use super::{App, failure::Outcome, sessions, tokens::Bearer};

/// Updates that a slow listener may fall behind; it is told to read everything again.
const BUFFER: usize = 1024;

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveUpdate {
    /// Where.
    pub workspace: WorkspaceId,
    /// Of what: `post`, `run`, `workspace`.
    pub what: &'static str,
    /// Its id.
    pub id: String,
}

/// Tells listeners of changes.
#[derive(Debug, Clone)]
pub struct Live(broadcast::Sender<LiveUpdate>);

impl Default for Live {
    fn default() -> Self {
        Self(broadcast::channel(BUFFER).0)
    }
}

impl Live {
    /// Tells of a change; nobody needs to listen.
    pub fn announce(&self, workspace: WorkspaceId, what: &'static str, id: impl ToString) {
        let _ = self.0.send(LiveUpdate {
            workspace,
            what,
            id: id.to_string(),
        });
    }
    /// Listens to every workspace; the listener picks.
    pub fn listen(&self) -> broadcast::Receiver<LiveUpdate> {
        self.0.subscribe()
    }
}

/// Whether a listener may go on listening.
pub async fn may_listen(app: &App, bearer: Bearer, workspace: WorkspaceId) -> Outcome<bool> {
    let is_live = sessions::check(app, bearer).await?;
    Ok(is_live
        && memberships::find_role(&mut app.reader(), workspace, bearer.user)
            .await?
            .is_some())
}
