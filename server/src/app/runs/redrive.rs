//! Going on with a run that failed or was cancelled.
//!
//! Invariant: the run keeps its event, its version and every outcome it has; only the steps that failed are open
//! again. A call of which nobody knows whether it took effect is not made again unless somebody says so.

use serde_json::json;
use so_engine::admit::JOB_RUN;
use so_model::{
    api::{again::Redrive, run::RunView},
    id::RunId,
    rule::ModeKind,
    run::{Memo, RunState, StepOutcome},
};
use so_store::{events, rules, runs};

use super::{change::view, read::find};
use crate::app::{
    App,
    change::Change,
    failure::{Failure, Outcome},
    members::Actor,
};

/// Code of a step of which nobody knows whether it took effect.
const UNKNOWN: &str = "step.outcome_unknown";
/// Runs of a key that are looked at; a mode counts no more.
const ACTIVE_MAX: i64 = 1_001;

/// Goes on with a run from the step that failed.
pub async fn redrive(app: &App, actor: Actor, id: RunId, request: &Redrive) -> Outcome<RunView> {
    let workspace = actor.workspace;
    let mut change = Change::begin(app, workspace).await?;
    let run = runs::find(&mut change.tx, workspace, id)
        .await?
        .ok_or_else(|| Failure::not_found("run"))?;
    if !matches!(run.state, RunState::Failed | RunState::Cancelled) {
        return Err(Failure::new(
            409,
            "run.not_broken",
            "This run neither failed nor was cancelled",
        )
        .detail(format!("It is {}.", run.state.as_str()))
        .next_step("Re-run it if it is to begin anew."));
    }
    let gone = |what: &str| {
        Failure::new(409, "run.cannot_redrive", "This run cannot go on")
            .detail(format!("Its {what} is gone."))
            .next_step("Let a new event start the rule.")
    };
    rules::lock(&mut change.tx, run.rule).await?;
    if events::find(&mut change.tx, workspace, run.event)
        .await?
        .is_none()
    {
        return Err(gone("event"));
    }
    let version = rules::find_version(&mut change.tx, workspace, run.rule, run.version).await?;
    let version = version.ok_or_else(|| gone("version of the rule"))?;
    let memos = runs::list_memos(&mut change.tx, workspace, id).await?;
    let failed = unhandled(&memos);
    if failed.is_empty() && run.state == RunState::Failed {
        return Err(
            Failure::new(409, "run.cannot_redrive", "This run failed at no step")
                .detail(run.reason.unwrap_or_default())
                .next_step("Re-run it instead."),
        );
    }
    let doubtful = failed.iter().find(|memo| memo.output["code"] == UNKNOWN);
    if let Some(memo) = doubtful.filter(|_| !request.even_if_unknown) {
        return Err(Failure::new(
            409,
            "run.outcome_unknown",
            "Nobody knows whether the call took effect",
        )
        .detail(format!("The step {} may have been done.", memo.step))
        .next_step(
            "Look at the other side. If it is missing there, say that it may be made again.",
        ));
    }
    let active = runs::list_active(&mut change.tx, run.rule, &run.key, ACTIVE_MAX).await?;
    let is_alone = version.document.mode.kind != ModeKind::Parallel;
    if active.len() as i64 >= ACTIVE_MAX || (is_alone && !active.is_empty()) {
        return Err(Failure::new(
            409,
            "run.mode_refused",
            "The rule is running and takes one run at a time",
        )
        .next_step("Wait until it is over."));
    }
    for memo in failed {
        let again = Memo {
            attempt: memo.attempt + 1,
            outcome: StepOutcome::Retrying,
            // A loop goes on with the elements that it has.
            output: json!({"code": "run.redriven", "next_try_at": change.now, "items": memo.output["items"]}),
            error: Some("a person had the run go on from here".into()),
            condition: None,
            started_at: change.now,
            finished_at: Some(change.now),
            ..memo.clone()
        };
        runs::put_memo(&mut change.tx, workspace, id, &again).await?;
    }
    if !runs::reopen(&mut change.tx, workspace, id).await? {
        return Err(
            Failure::new(409, "run.changed", "The run was changed meanwhile")
                .next_step("Load it again and repeat the change."),
        );
    }
    change.wake(JOB_RUN, id).await?;
    change.touch("run", id);
    change.commit().await?;
    view(app, find(&mut app.reader(), workspace, id).await?).await
}

/// The latest tries that failed with nothing to stand in for them.
fn unhandled(memos: &[Memo]) -> Vec<&Memo> {
    let is_latest = |memo: &&Memo| {
        memos
            .iter()
            .all(|other| other.path != memo.path || other.attempt <= memo.attempt)
    };
    memos
        .iter()
        .filter(is_latest)
        .filter(|memo| memo.outcome == StepOutcome::Failed)
        .filter(|memo| !is_handled(&memo.path, memos))
        .collect()
}

/// Steps for errors were begun for it, or for a step around it.
fn is_handled(path: &str, memos: &[Memo]) -> bool {
    let mut ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at).collect();
    ends.push(path.len());
    ends.into_iter().skip(1).any(|end| {
        let handler = format!("{}/on_error/", &path[..end]);
        !path.starts_with(&handler) && memos.iter().any(|memo| memo.path.starts_with(&handler))
    })
}

#[cfg(test)]
mod tests {
    use so_model::Timestamp;

    use super::*;

    fn memo(path: &str, attempt: i64, outcome: StepOutcome) -> Memo {
        Memo {
            path: path.into(),
            step: path.replace('/', "_"),
            attempt,
            outcome,
            input: json!(null),
            output: json!(null),
            error: None,
            condition: None,
            started_at: Timestamp::default(),
            finished_at: None,
        }
    }

    #[test]
    fn only_what_failed_last_and_was_not_handled_is_open_again() {
        use StepOutcome::{Done, Failed, Retrying};
        let memos = [
            memo("/steps/0", 1, Retrying),
            memo("/steps/0", 2, Failed),
            memo("/steps/0/on_error/0", 1, Done),
            memo("/steps/1", 1, Failed),
            memo("/steps/1", 2, Done),
            memo("/steps/2/then/0", 1, Failed),
            memo("/steps/3/parallel/0/0", 1, Failed),
            memo("/steps/3/on_error/0", 1, Failed),
        ];
        let open: Vec<&str> = unhandled(&memos)
            .iter()
            .map(|memo| memo.path.as_str())
            .collect();
        assert_eq!(open, ["/steps/2/then/0", "/steps/3/on_error/0"]);
    }
}
