//! Calls of one run that are made at the same time: those of elements and ways that stand side by side.
//!
//! Invariant: what came of every call is stored in one transaction, in the order of the document and whatever came of
//! the others. A way that ends the run keeps no call back that could be made at the same moment.

use futures_util::future::join_all;
use serde_json::Value;
use so_model::run::{RunState, StepOutcome};
use so_store::{StoreError, jobs::Job};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    advance::Outbox,
    local::next_attempt,
    memo::{begun, done_memo},
    remote::RemoteCall,
    rest::{Rest, Waits},
    state::RunContext,
    walk::Place,
};
use crate::{engine::Engine, failpoint, lanes::LanePlace, plugin::Repeat};

/// Calls of one run that are under way at a time, as many as a loop has elements side by side.
const TOGETHER_MAX: usize = 20;

/// A call that is about to be made beside others.
pub(super) struct Beside<'a> {
    place: Place<'a>,
    call: RemoteCall,
    params: Value,
    attempt: i64,
    /// Held until what came of the call has been stored.
    _lane: Option<LanePlace>,
    /// None of the first call: it has the place of the run's worker.
    _place: Option<OwnedSemaphorePermit>,
}

impl Engine {
    /// Of the calls that could be made now those that can be made together; the others are made in turn.
    ///
    /// Left out are calls whose parameters cannot be written, that are in doubt, whose lane is full, or for which the
    /// process has no place: beside the workers' own calls there are as many others at the most.
    pub(super) fn beside_each_other<'a>(
        &self,
        cx: &RunContext,
        calls: &[(Place<'a>, RemoteCall)],
    ) -> Vec<Beside<'a>> {
        let now = self.now();
        let mut is_first = true;
        let fit = calls.iter().filter_map(|(place, call)| {
            let params = cx.render(&format!("{}/with", place.path), now).ok()?;
            let was_begun = cx
                .memos
                .get(&place.path)
                .is_some_and(|memo| memo.outcome == StepOutcome::Started);
            if was_begun && call.action.repeat(&params) == Repeat::Never {
                return None;
            }
            let beside = match is_first {
                true => None,
                false => Some(self.calls_beside.clone().try_acquire_owned().ok()?),
            };
            let lane = match call.action.lane(&params) {
                None => None,
                Some(name) => Some(self.enter_free_lane(&name)?),
            };
            is_first = false;
            Some(Beside {
                attempt: next_attempt(cx, &place.path),
                place: place.clone(),
                call: call.clone(),
                params,
                _lane: lane,
                _place: beside,
            })
        });
        fit.take(TOGETHER_MAX).collect()
    }

    /// Makes the calls and settles them. True when the run goes on at once.
    pub(super) async fn call_together(
        &self,
        job: &Job,
        cx: &mut RunContext,
        waits: &mut Waits,
        calls: Vec<Beside<'_>>,
    ) -> Result<bool, StoreError> {
        let mut reader = self.store.clone();
        if !so_store::runs::is_active(&mut reader, cx.run.workspace, cx.run.id).await? {
            return self.local_stretch(job, cx, waits).await;
        }
        self.intend(job, cx, &calls).await?;
        failpoint::hit("calls.before");
        let now = self.now();
        let made = calls.iter().map(|one| {
            let limit = self.time_for(cx, &one.place.path, one.place.step, now);
            let (path, params) = (one.place.path.as_str(), one.params.clone());
            self.perform(cx, path, one.attempt, &one.call, params, limit)
        });
        let results = join_all(made).await;
        failpoint::hit("calls.after");
        let now = self.now();
        let mut outbox = Outbox::default();
        let mut ended = None;
        let mut tx = self.begin_to_settle(job).await?;
        for (one, result) in calls.iter().zip(results) {
            let (path, step) = (one.place.path.as_str(), one.place.step);
            let params = one.params.clone();
            match result {
                Ok(end) => {
                    let memo = done_memo(cx, path, step, params, end.output, now);
                    self.put(&mut tx, cx, memo).await?;
                    let reason = self.emit_all(&mut tx, cx, end.events, &mut outbox).await?;
                    ended = ended.or(reason);
                }
                Err(error) => {
                    let body = &one.call.body;
                    self.failed_try(&mut tx, cx, path, step, body, params, &error, now)
                        .await?;
                }
            }
        }
        let rest = match ended {
            Some(reason) => Rest::End(RunState::Failed, Some(reason)),
            None => self.rest(cx, waits, now),
        };
        let goes_on = self
            .settle(&mut tx, job, cx, rest, now, &mut outbox)
            .await?;
        failpoint::hit("calls.done.commit");
        tx.commit().await?;
        self.hand_over_all(outbox.admissions);
        self.announce(cx.run.workspace, "run", cx.run.id);
        Ok(goes_on)
    }

    /// Commits that the calls which must not be made twice are begun.
    async fn intend(
        &self,
        job: &Job,
        cx: &mut RunContext,
        calls: &[Beside<'_>],
    ) -> Result<(), StoreError> {
        let once = |one: &&Beside<'_>| one.call.action.repeat(&one.params) == Repeat::Never;
        let once: Vec<&Beside<'_>> = calls.iter().filter(once).collect();
        if once.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let mut tx = self.begin_to_settle(job).await?;
        for one in once {
            let memo = begun(&one.place.path, one.place.step, one.attempt, now);
            self.put(&mut tx, cx, memo).await?;
        }
        failpoint::hit("calls.intent.commit");
        tx.commit().await
    }
}
