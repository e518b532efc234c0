//! The rules a new workspace comes with.
//!
//! Invariant: they are ordinary rules; nothing in the product depends on one being there.

use std::sync::OnceLock;

use async_trait::async_trait;
use serde_json::Value;
use so_actions::Starter;
use so_engine::{
    Engine,
    loops::sync_rule_timers,
    rule::{Format, analysis::Around, parse},
};
use so_model::{
    IdSource as _, Timestamp,
    id::{UserId, WorkspaceId},
    rule::RuleDocument,
    workspace::Workspace,
};
use so_store::{
    StoreError, Tx, rules,
    rules::{RuleRow, RuleVersion},
};

use super::document::examine;
use crate::app::hooks::WorkspaceHook;

/// Installs the starter rules, within the transaction that makes the workspace.
///
/// Whoever commits it lets the engine read its rules anew; otherwise the engine does so within a second.
pub async fn install_starters(
    engine: &Engine,
    tx: &mut Tx,
    workspace: WorkspaceId,
    zone: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    for starter in so_actions::starters()
        .iter()
        .filter(|starter| starter.installed_by_default)
    {
        match document_of(engine, starter) {
            Ok((document, is_enabled)) => {
                let row = row_of(engine, workspace, starter, &document, is_enabled, now);
                let version = RuleVersion {
                    rule: row.id,
                    version: 1,
                    document,
                    source: starter.yaml.to_string(),
                    author: None,
                    reason: String::new(),
                    created_at: now,
                    is_trial: false,
                };
                rules::insert(tx, &row, &version).await?;
                sync_rule_timers(engine, tx, &row, &version.document, zone, now).await?;
            }
            // A fault of ours, which the tests find; a workspace without one rule is better than none.
            Err(reason) => tracing::error!(
                starter = starter.name,
                reason,
                "a starter rule was not installed"
            ),
        }
    }
    Ok(())
}

fn document_of(engine: &Engine, starter: &Starter) -> Result<(RuleDocument, bool), String> {
    let first = |errors: Vec<so_model::problem::FieldError>| {
        errors.first().map_or_else(String::new, |error| {
            format!("{}: {}", error.pointer, error.reason)
        })
    };
    let (value, _) = parse(starter.yaml, Format::Yaml).map_err(first)?;
    let checked = examine(engine, &engine.scripts, &value, &Around::default()).map_err(first)?;
    let is_enabled = value
        .get("enabled")
        .and_then(Value::as_bool)
        .unwrap_or(true);
    Ok((
        RuleDocument {
            enabled: true,
            ..checked.document
        },
        is_enabled,
    ))
}

fn row_of(
    engine: &Engine,
    workspace: WorkspaceId,
    starter: &Starter,
    document: &RuleDocument,
    is_enabled: bool,
    now: Timestamp,
) -> RuleRow {
    RuleRow {
        id: engine.ids.new_id(),
        workspace,
        name: document.name.clone(),
        is_enabled,
        version: 1,
        generation: 1,
        starter: Some(starter.name.to_string()),
        problem: None,
        created_at: now,
        updated_at: now,
    }
}

/// Furnishes new workspaces with the starter rules.
///
/// It is needed to build the server, whose engine it needs: the engine is attached afterwards.
#[derive(Default)]
pub struct Furnish(OnceLock<Engine>);

impl Furnish {
    /// Gives it the engine; later calls change nothing.
    pub fn attach(&self, engine: &Engine) {
        let _ = self.0.set(engine.clone());
    }
}

#[async_trait]
impl WorkspaceHook for Furnish {
    async fn on_workspace_created(
        &self,
        tx: &mut Tx,
        workspace: &Workspace,
        _: UserId,
    ) -> Result<(), StoreError> {
        let Some(engine) = self.0.get() else {
            tracing::error!(
                "a workspace was made before the engine was there; it has no starter rules"
            );
            return Ok(());
        };
        install_starters(engine, tx, workspace.id, &workspace.time_zone, engine.now()).await
    }
}
