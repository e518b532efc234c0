//! Whom the server tells of changes as they happen.
//!
//! Invariant: an update says only what changed and its id; whoever may see it reads it through the API,
//! where the role is checked.

use so_model::id::WorkspaceId;
use so_store::memberships;

use super::{App, failure::Outcome, sessions, tokens::Bearer};

/// Whether a listener may go on listening.
pub async fn may_listen(app: &App, bearer: Bearer, workspace: WorkspaceId) -> Outcome<bool> {
    let is_live = sessions::check(app, bearer).await?;
    Ok(is_live
        && memberships::find_role(&mut app.reader(), workspace, bearer.user)
            .await?
            .is_some())
}
