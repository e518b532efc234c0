//! Ending a run that waits, and starting one again.

use serde_json::Value;
use so_engine::admit::JOB_RUN;
use so_model::{
    IdSource as _, Timestamp,
    api::run::RunView,
    event::Event,
    id::RunId,
    rule::ModeKind,
    run::{ConditionTrace, Run, RunState},
};
use so_store::{events, rules, runs};

use super::{Names, read::find};
use crate::app::{
    App,
    change::Change,
    failure::{Failure, Outcome},
    members::Actor,
};

/// Runs that may be under way for a rule and still be joined by one that was started again.
const ACTIVE_MAX: usize = 1000;

/// Cancels a run: at once if it waits or is queued, else before its next step; then it is `cancelling` until that.
pub async fn cancel(app: &App, actor: Actor, id: RunId) -> Outcome<RunView> {
    let mut change = Change::begin(app, actor.workspace).await?;
    let run = runs::find(&mut change.tx, actor.workspace, id)
        .await?
        .ok_or_else(|| Failure::not_found("run"))?;
    if run.state.is_over() {
        return Err(Failure::new(409, "run.over", "This run is over")
            .detail(format!("It is {}.", run.state.as_str()))
            .next_step("Nothing is left to cancel; load it again to see its end."));
    }
    let now = change.now;
    so_engine::run::cancel(&app.engine, &mut change.tx, &run, now).await?;
    change.touch("run", id);
    change.commit().await?;
    view(app, find(&mut app.reader(), actor.workspace, id).await?).await
}

/// Runs the rule of today once more on what started a run that is over; no other rule hears of it.
///
/// Its steps are new steps: what the former run published is published again if the rule says so.
pub async fn rerun(app: &App, actor: Actor, id: RunId) -> Outcome<RunView> {
    let mut change = Change::begin(app, actor.workspace).await?;
    let old = runs::find(&mut change.tx, actor.workspace, id)
        .await?
        .ok_or_else(|| Failure::not_found("run"))?;
    if !old.state.is_over() {
        return Err(Failure::new(409, "run.under_way", "This run is not over")
            .next_step("Wait for its end, or cancel it."));
    }
    rules::lock(&mut change.tx, old.rule).await?;
    let gone = |what: &str| {
        Failure::new(409, "run.cannot_repeat", "This run cannot be repeated")
            .detail(format!("Its {what} is gone."))
            .next_step("Let a new event start the rule.")
    };
    let rule = rules::find(&mut change.tx, actor.workspace, old.rule)
        .await?
        .ok_or_else(|| gone("rule"))?;
    let version =
        rules::find_version(&mut change.tx, actor.workspace, old.rule, rule.version).await?;
    let version = version.ok_or_else(|| gone("rule"))?;
    let event = events::find(&mut change.tx, actor.workspace, old.event)
        .await?
        .ok_or_else(|| gone("event"))?;
    let active = runs::list_active(&mut change.tx, old.rule, &old.key, 1001).await?;
    if active.len() > ACTIVE_MAX
        || (version.document.mode.kind != ModeKind::Parallel && !active.is_empty())
    {
        return Err(Failure::new(
            409,
            "run.mode_refused",
            "The rule is running and takes one run at a time",
        )
        .next_step("Wait until it is over."));
    }
    let copy = copy_of(app, &event, change.now);
    events::insert(&mut change.tx, &copy, true, change.now).await?;
    let trigger = version
        .document
        .triggers
        .iter()
        .find(|trigger| trigger.id == old.trigger);
    let trigger = trigger
        .or(version.document.triggers.first())
        .map(|trigger| trigger.id.clone())
        .unwrap_or_default();
    let run = Run {
        id: app.engine.ids.new_id(),
        version: rule.version,
        event: copy.id,
        trigger,
        state: RunState::Running,
        decision: by_hand(),
        reason: None,
        created_at: change.now,
        finished_at: None,
        ..old
    };
    runs::insert(&mut change.tx, &run).await?;
    change.wake(JOB_RUN, run.id).await?;
    change.touch("run", run.id);
    change.commit().await?;
    view(app, run).await
}

// A new event, so that nothing that is unique for an event (keys of posts, seeds of scripts) meets the old run.
fn copy_of(app: &App, event: &Event, now: Timestamp) -> Event {
    let id = app.engine.ids.new_id();
    Event {
        id,
        source: "engine".into(),
        dedupe: format!("rerun/{id}"),
        time: now,
        ..event.clone()
    }
}

fn by_hand() -> ConditionTrace {
    ConditionTrace {
        path: "/if".into(),
        held: None,
        saw: Value::Null,
        text: "started again by a person; the condition was not looked at".into(),
        error: None,
        parts: Vec::new(),
    }
}

pub(super) async fn view(app: &App, run: Run) -> Outcome<RunView> {
    let workspace = run.workspace;
    Names::new(app, workspace)
        .runs(vec![run])
        .await?
        .pop()
        .ok_or_else(Failure::internal)
}
