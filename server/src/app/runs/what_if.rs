//! What another version would do about a run's event; nothing is done.

use so_model::{
    api::{
        again::WhatIf,
        dry_run::{DryRun, DryRunRequest},
    },
    id::{RunId, WorkspaceId},
};
use so_store::events;

use super::read::find;
use crate::app::{
    App, dry_run,
    failure::{Failure, Outcome},
};

/// Rehearses another version on the event that started a run, at the moment it started.
pub async fn what_if(
    app: &App,
    workspace: WorkspaceId,
    id: RunId,
    request: WhatIf,
) -> Outcome<DryRun> {
    let mut reader = app.reader();
    let run = find(&mut reader, workspace, id).await?;
    let event = events::find(&mut reader, workspace, run.event).await?;
    let event = event.ok_or_else(|| {
        Failure::new(
            409,
            "run.cannot_repeat",
            "This run cannot be looked at again",
        )
        .detail("Its event is gone.")
        .next_step("Try the rule on another event.")
    })?;
    let asked = DryRunRequest {
        rule: Some(run.rule),
        version: request.version,
        document: request.document,
        text: request.text,
        at: Some(run.created_at),
        anyway: true,
        ..DryRunRequest::default()
    };
    dry_run::of_version(app, workspace, asked, event).await
}
