//! The button, and why a rule did not start.

use serde_json::json;
use so_model::{
    api::rule::{DecisionList, DecisionQuery, PressRule, Pressed},
    event::{NewEvent, kind},
    id::{RuleId, WorkspaceId},
};
use so_store::{decisions, decisions::StoredDecision, runs, runs::RunFilter};

use super::read::{find, find_version};
use crate::app::{
    App,
    change::limit_of,
    failure::{Failure, Outcome},
    members::Actor,
    overload,
    runs::Names,
};

/// Name of the trigger that listens to the button.
const BUTTON: &str = "manual";
/// Runs of one event that are named; the button of one rule starts one.
const RUNS_MAX: i64 = 50;

/// Presses a rule's button.
pub async fn press(app: &App, actor: Actor, id: RuleId, request: PressRule) -> Outcome<Pressed> {
    let mut reader = app.reader();
    let row = find(&mut reader, actor.workspace, id).await?;
    let version = find_version(&mut reader, actor.workspace, id, row.version).await?;
    if !version
        .document
        .triggers
        .iter()
        .any(|trigger| trigger.kind == BUTTON)
    {
        return Err(
            Failure::new(409, "rule.no_button", "This rule has no button")
                .next_step("Add a trigger of the kind manual to the rule."),
        );
    }
    if !row.is_enabled {
        return Err(
            Failure::new(409, "rule.disabled", "This rule is switched off")
                .next_step("Switch it on first."),
        );
    }
    let data = json!({"rule": id, "user": actor.user, "input": request.input});
    let event = NewEvent::new(actor.workspace, kind::MANUAL, data).about(id);
    overload::check(app, "rule.overloaded")?;
    let admitted = app.engine.ingest(event).await?;
    // Read back: a run that waits its turn is not among those that were handed over.
    let event = admitted.event.id.to_string();
    let filter = RunFilter {
        event: &event,
        ..RunFilter::default()
    };
    let started = runs::list(&mut reader, actor.workspace, &filter, RUNS_MAX).await?;
    let decided =
        decisions::list_for_event(&mut reader, actor.workspace, admitted.event.id).await?;
    let own = decided
        .into_iter()
        .filter(|decision| decision.decision.rule == id)
        .collect();
    let decisions = Names::new(app, actor.workspace).decisions(own).await?;
    Ok(Pressed {
        event: admitted.event.id,
        runs: started.into_iter().map(|run| run.id).collect(),
        decisions,
    })
}

/// The latest events on which a rule did not start.
pub async fn decisions(
    app: &App,
    workspace: WorkspaceId,
    id: RuleId,
    query: &DecisionQuery,
) -> Outcome<DecisionList> {
    let limit = limit_of(query.limit)?;
    let mut reader = app.reader();
    find(&mut reader, workspace, id).await?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found: Vec<StoredDecision> =
        decisions::list_for_rule(&mut reader, workspace, id, limit).await?;
    Ok(DecisionList {
        items: Names::new(app, workspace).decisions(found).await?,
    })
}
