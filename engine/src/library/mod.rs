//! Libraries of workspaces as their rules call them.
//!
//! Owns the compiled states of libraries; what a library may hold is decided in `script`. Invariant: a version of a
//! rule always calls the state of the library that was noted when it was stored, whatever was saved since.

use std::sync::Arc;

use so_model::{
    id::{RuleId, WorkspaceId},
    rule::RuleDocument,
};
use so_store::{StoreError, script_library};

use crate::{
    engine::{Engine, lock},
    script::{Library, ScriptEngine, mentioned},
};

/// Compiled states of libraries kept: every one that runs are pinned to, and the newest of each workspace.
pub(crate) const LIBRARIES_CACHED: usize = 1_000;

impl Engine {
    /// The sandbox with a workspace's library as it is now.
    pub async fn scripts_now(&self, workspace: WorkspaceId) -> Result<ScriptEngine, StoreError> {
        let mut reader = self.store.clone();
        let revision = script_library::revision(&mut reader, workspace).await?;
        self.scripts_at(workspace, revision).await
    }

    /// The sandbox with a workspace's library as it was at a revision.
    pub async fn scripts_at(
        &self,
        workspace: WorkspaceId,
        revision: i64,
    ) -> Result<ScriptEngine, StoreError> {
        if revision == 0 {
            return Ok(self.scripts.clone());
        }
        let key = (workspace, revision);
        let cached = lock(&self.libraries).get(&key).cloned();
        if let Some(found) = cached {
            return Ok(self.scripts.with_library(found));
        }
        let mut reader = self.store.clone();
        let modules = script_library::at_revision(&mut reader, workspace, revision).await?;
        let sources = modules
            .iter()
            .map(|one| (one.name.as_str(), one.source.as_str()));
        let (library, problems) = Library::build(&self.scripts, sources);
        for problem in problems {
            // Saved by a server that took more.
            tracing::error!(module = %problem.module, error = %problem.error, "a stored module cannot be compiled");
        }
        let library = Arc::new(library);
        lock(&self.libraries).put(key, Arc::clone(&library));
        Ok(self.scripts.with_library(library))
    }

    /// The sandbox with the library that a version of a rule calls.
    pub async fn scripts_of(
        &self,
        workspace: WorkspaceId,
        rule: RuleId,
        version: i64,
        document: &RuleDocument,
    ) -> Result<ScriptEngine, StoreError> {
        let value = serde_json::to_value(document).unwrap_or_default();
        if mentioned(&value).is_empty() {
            return Ok(self.scripts.clone());
        }
        let mut reader = self.store.clone();
        let pinned = script_library::pinned(&mut reader, workspace, rule, version).await?;
        self.scripts_at(workspace, pinned.unwrap_or(0)).await
    }
}

#[cfg(test)]
mod tests;
