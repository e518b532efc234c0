//! What follows when a run is over: whoever waited for it goes on.
//!
//! Invariant: called in the transaction that ends the run, so nobody waits for a run that is over.

use so_model::{
    IdSource as _, Timestamp,
    event::{Event, kind},
    id::{RunId, WorkspaceId},
    run::{Run, RunState},
};
use so_store::{StoreError, Tx, events, jobs, jobs::NewJob, rules, runs, waits};

use crate::{admit::JOB_RUN, engine::Engine};

/// Makes sure that a waiting run is carried on at or after a moment.
pub async fn wake_run(
    engine: &Engine,
    tx: &mut Tx,
    workspace: so_model::id::WorkspaceId,
    run: RunId,
    at: Timestamp,
) -> Result<(), StoreError> {
    wake_runs(engine, tx, vec![(run, workspace)], at).await
}

/// The same of several runs, each named once.
pub(crate) async fn wake_runs(
    engine: &Engine,
    tx: &mut Tx,
    runs: Vec<(RunId, WorkspaceId)>,
    at: Timestamp,
) -> Result<(), StoreError> {
    if runs.is_empty() {
        return Ok(());
    }
    let woken = runs.into_iter().map(|(run, workspace)| NewJob {
        id: engine.ids.new_id(),
        workspace,
        kind: JOB_RUN,
        subject: run.to_string(),
    });
    jobs::wake_many(tx, woken.collect(), at).await?;
    engine.jobs_changed.ring();
    Ok(())
}

/// Gives the next run in the queue of a key its turn, after one of that key ended.
///
/// Looked at whatever mode the ended run had: the rule may be a queue by now.
pub async fn start_next_queued(
    engine: &Engine,
    tx: &mut Tx,
    ended: &so_model::run::Run,
    now: Timestamp,
) -> Result<(), StoreError> {
    use so_model::rule::ModeKind::Queued;
    let is_queue = |rule: &crate::decide::CompiledRule| rule.document.mode.kind == Queued;
    let now_queue = engine
        .index()
        .starting(ended.rule)
        .any(|rule| is_queue(rule));
    let then = engine
        .rule_version(ended.workspace, ended.rule, ended.version)
        .await?;
    if !now_queue && !then.is_ok_and(|rule| is_queue(&rule)) {
        return Ok(());
    }
    // Whoever is about to queue behind the ended run waits for this lock and sees that it is over.
    rules::lock(tx, ended.rule).await?;
    let waiting = runs::list_active(tx, ended.rule, &ended.key, 1).await?;
    if let Some((next, RunState::Queued)) = waiting.first() {
        runs::set_state(tx, ended.workspace, *next, RunState::Running, None, now).await?;
        wake_run(engine, tx, ended.workspace, *next, now).await?;
    }
    Ok(())
}

/// The run that the event started is awaited by the one that called it.
pub(crate) fn is_awaited(event: &Event) -> bool {
    event.kind == kind::RULE_CALLED && event.data["caller"]["waits"] == true
}

/// Wakes the run that waits for the run which this event started.
pub(crate) async fn wake_caller(
    engine: &Engine,
    tx: &mut Tx,
    event: &Event,
    now: Timestamp,
) -> Result<(), StoreError> {
    let caller = event.data["caller"]["run"].as_str();
    match caller.and_then(|text| text.parse::<RunId>().ok()) {
        Some(caller) if is_awaited(event) => {
            wake_run(engine, tx, event.workspace, caller, now).await
        }
        _ => Ok(()),
    }
}

/// Everything that follows from the end of a run whose event is not at hand.
pub async fn after_over(
    engine: &Engine,
    tx: &mut Tx,
    ended: &Run,
    now: Timestamp,
) -> Result<(), StoreError> {
    start_next_queued(engine, tx, ended, now).await?;
    if let Some(event) = events::find(tx, ended.workspace, ended.event).await? {
        wake_caller(engine, tx, &event, now).await?;
    }
    Ok(())
}

/// Somebody wants the end of a run: at once if it only waits, else before its next step.
///
/// Answers the state it has now. A call that is under way is not taken back, and what the run has begun elsewhere,
/// such as a publication, goes on by itself.
pub async fn cancel(
    engine: &Engine,
    tx: &mut Tx,
    run: &Run,
    now: Timestamp,
) -> Result<RunState, StoreError> {
    let (workspace, id) = (run.workspace, run.id);
    let rests = matches!(run.state, RunState::Queued | RunState::Waiting);
    if rests {
        let reason = Some(super::advance::CANCELLED);
        if runs::set_state(tx, workspace, id, RunState::Cancelled, reason, now).await? {
            waits::delete_below(tx, id, super::advance::STEPS).await?;
            after_over(engine, tx, run, now).await?;
        }
        return Ok(RunState::Cancelled);
    }
    let reason = Some("ends before its next step");
    // Whatever it waits for in the meantime, it looks again. Its job comes first: whoever carries a run on locks job
    // and run in this order, and the other way round the two could wait for each other.
    wake_run(engine, tx, workspace, id, now).await?;
    runs::set_state(tx, workspace, id, RunState::Cancelling, reason, now).await?;
    Ok(RunState::Cancelling)
}

/// Wakes whoever waits for runs that a later start ended.
pub(crate) async fn wake_callers(
    engine: &Engine,
    tx: &mut Tx,
    workspace: WorkspaceId,
    ended: &[RunId],
    now: Timestamp,
) -> Result<(), StoreError> {
    for id in ended {
        if let Some(run) = runs::find(tx, workspace, *id).await?
            && let Some(event) = events::find(tx, workspace, run.event).await?
        {
            wake_caller(engine, tx, &event, now).await?;
        }
    }
    Ok(())
}
