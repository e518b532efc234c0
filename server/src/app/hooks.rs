//! What happens when a workspace is made.
//!
//! Owns the border at which starter rules are installed. Invariant: the hook works in the transaction
//! that makes the workspace, so that there is none without its rules.

use async_trait::async_trait;
use so_model::{id::UserId, workspace::Workspace};
use so_store::{StoreError, Tx};

/// Furnishes new workspaces.
#[async_trait]
pub trait WorkspaceHook: Send + Sync {
    /// Called once for each workspace, made by `owner`, before it is committed.
    async fn on_workspace_created(
        &self,
        tx: &mut Tx,
        workspace: &Workspace,
        owner: UserId,
    ) -> Result<(), StoreError>;
}

/// Leaves new workspaces as they are.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unfurnished;

#[async_trait]
impl WorkspaceHook for Unfurnished {
    async fn on_workspace_created(
        &self,
        _: &mut Tx,
        _: &Workspace,
        _: UserId,
    ) -> Result<(), StoreError> {
        Ok(())
    }
}
