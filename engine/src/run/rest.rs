//! What a run does when no step on our own database is left to do: it ends, calls, or waits for something.
//!
//! Invariant: computed from the position and the memos alone, after every step, so that a run which was lost
//! comes to the same rest.

use std::collections::BTreeMap;

use so_model::{
    Timestamp,
    rule::{Step, StepBody},
    run::{RunState, StepOutcome},
};

use super::{
    remote::RemoteCall,
    state::RunContext,
    walk::{Memos, Place, Position, Standing, position},
};
use crate::{config::RUN_STEPS_MAX, engine::Engine};

/// What a run does next.
pub(super) enum Rest {
    /// Something at once.
    Go,
    /// Nothing until this moment.
    Until(Timestamp, String),
    /// Nothing until somebody wakes it.
    Sleep(String),
    /// The end.
    End(RunState, Option<String>),
}

/// Open steps that were looked at in this claim and wait, with what they wait for.
#[derive(Debug, Default)]
pub(super) struct Waits(BTreeMap<String, String>);

impl Waits {
    pub(super) fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }
    pub(super) fn note(&mut self, path: &str, reason: String) {
        self.0.insert(path.to_owned(), reason);
    }
}

/// An open step has something to do at this moment, or must be looked at.
pub(super) fn is_ready(memos: &Memos, place: &Place<'_>, now: Timestamp) -> bool {
    match wakes_at(memos, place) {
        Some(at) if !matches!(place.step.body, StepBody::WaitFor(_)) => at <= now,
        _ => true,
    }
}

/// When an open step goes on by itself.
pub(super) fn wakes_at(memos: &Memos, place: &Place<'_>) -> Option<Timestamp> {
    let memo = memos.get(&place.path)?;
    let name = match (memo.outcome, &place.step.body) {
        (StepOutcome::Retrying, _) => "next_try_at",
        (StepOutcome::Waiting, StepBody::Delay(_) | StepBody::WaitFor(_)) => "until",
        _ => return None,
    };
    memo.output[name].as_str().and_then(Timestamp::parse)
}

impl Engine {
    /// The calls to the outside that are next; none while something on our own database is to be done.
    pub(super) fn next_calls<'a>(
        &self,
        steps: &'a [Step],
        cx: &RunContext,
        waits: &Waits,
    ) -> Vec<(Place<'a>, RemoteCall)> {
        let now = self.now();
        let position = position(steps, &cx.memos);
        if self.is_too_long(cx) || is_late(&position, &cx.memos, now) {
            return Vec::new();
        }
        let ready = position
            .open
            .into_iter()
            .filter(|place| is_ready(&cx.memos, place, now) && !waits.has(&place.path));
        // What takes no time goes first, so that every wait has begun before a call takes long.
        let calls: Option<Vec<_>> = ready
            .map(|place| self.remote_call(place.step).map(|call| (place, call)))
            .collect();
        calls.unwrap_or_default()
    }

    /// The run took so many steps that it must be a mistake.
    pub(super) fn is_too_long(&self, cx: &RunContext) -> bool {
        cx.memos.tries() > RUN_STEPS_MAX
    }

    /// What a run does next.
    pub(super) fn rest(&self, cx: &RunContext, waits: &Waits, now: Timestamp) -> Rest {
        let position = position(cx.rule.steps(), &cx.memos);
        match position.standing {
            Standing::Open => {}
            Standing::Done => return Rest::End(RunState::Finished, None),
            Standing::Failed | Standing::Stopped => return end_of(cx, &position),
        }
        if self.is_too_long(cx) {
            let reason = format!("the run took more than {RUN_STEPS_MAX} steps");
            return Rest::End(RunState::Failed, Some(reason));
        }
        let is_next =
            |place: &Place<'_>| is_ready(&cx.memos, place, now) && !waits.has(&place.path);
        if is_late(&position, &cx.memos, now) || position.open.iter().any(is_next) {
            return Rest::Go;
        }
        let own = position
            .open
            .iter()
            .filter_map(|place| wakes_at(&cx.memos, place));
        let deadlines = position.timed.iter();
        let deadlines = deadlines.filter_map(|place| cx.memos.deadline(&place.path, place.step));
        let reason = reason_of(cx, &position, waits);
        match own.chain(deadlines).min() {
            Some(at) => Rest::Until(at, reason),
            None => Rest::Sleep(reason),
        }
    }
}

fn is_late(position: &Position<'_>, memos: &Memos, now: Timestamp) -> bool {
    let mut deadlines = position.timed.iter();
    deadlines.any(|place| {
        let deadline = memos.deadline(&place.path, place.step);
        deadline.is_some_and(|deadline| deadline <= now)
    })
}

pub(super) fn end_of(cx: &RunContext, position: &Position<'_>) -> Rest {
    let culprit = position.culprit.as_ref();
    let memo = culprit.and_then(|place| cx.memos.get(&place.path));
    let Some(memo) = memo else {
        return Rest::End(RunState::Failed, None);
    };
    if position.standing == Standing::Failed {
        let error = memo.error.as_deref().unwrap_or("failed");
        return Rest::End(
            RunState::Failed,
            Some(format!("step {}: {error}", memo.step)),
        );
    }
    let state = if memo.output["error"] == true {
        RunState::Failed
    } else {
        RunState::Finished
    };
    let reason = memo.output["reason"].as_str().unwrap_or_default();
    Rest::End(state, Some(reason.to_owned()))
}

fn reason_of(cx: &RunContext, position: &Position<'_>, waits: &Waits) -> String {
    let mut reasons = position.open.iter().map(|place| {
        let memo = cx.memos.get(&place.path);
        let at = wakes_at(&cx.memos, place);
        match (waits.0.get(&place.path), memo, at) {
            (Some(reason), _, _) => reason.clone(),
            (None, Some(memo), Some(at)) if memo.outcome == StepOutcome::Retrying => format!(
                "step {}: try {} failed; the next is at {at}",
                place.step.id, memo.attempt
            ),
            (None, _, Some(at)) => format!("waits until {at}"),
            _ => format!("waits at step {}", place.step.id),
        }
    });
    let first = reasons.next().unwrap_or_default();
    match position.open.len() {
        0 | 1 => first,
        more => format!("{first}; and {} more", more - 1),
    }
}
