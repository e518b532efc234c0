//! Carries a run on: step by step until it ends, waits, or calls the outside.
//!
//! Invariant: every transaction here begins by fencing the job's lease, so a
//! worker that lost it changes nothing. Steps on our own database share one
//! transaction; a call to the outside is made with none open.

use std::sync::Arc;

use serde_json::{Value, json};
use so_model::{
    IdSource as _, Timestamp,
    event::{Cause, NewEvent, kind},
    id::RunId,
    rule::{Step, StepBody},
    run::{Memo, RunState, StepOutcome},
};
use so_store::{StoreError, Tx, events, jobs, jobs::Job, rules, runs};

use super::{
    state::{RunContext, shorten},
    walk::{Memos, Next, next_step},
};
use crate::{
    admit::{Admission, JOB_RUN},
    config::RUN_EVENTS_MAX,
    decide::FactValues,
    engine::{Engine, Handed},
    facts, failpoint,
    schedule::parse_duration,
};

/// What a step leaves the run to do.
pub(super) enum After {
    /// The next step.
    Go,
    /// Nothing until this moment.
    Until(Timestamp, String),
    /// Nothing until somebody wakes it.
    Sleep(String),
    /// The end.
    End(RunState, Option<String>),
}

/// Work of one transaction that goes out after its commit.
#[derive(Default)]
pub(super) struct Outbox {
    pub(super) admissions: Vec<Admission>,
}

/// Makes sure that a waiting run is carried on at or after a moment.
pub async fn wake_run(
    engine: &Engine,
    tx: &mut Tx,
    workspace: so_model::id::WorkspaceId,
    run: RunId,
    at: Timestamp,
) -> Result<(), StoreError> {
    jobs::wake(
        tx,
        engine.ids.new_id(),
        workspace,
        JOB_RUN,
        &run.to_string(),
        at,
    )
    .await?;
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
        .get(ended.rule)
        .is_some_and(|rule| is_queue(rule));
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

impl Engine {
    /// Carries on the run of a claimed job.
    pub(crate) async fn advance(&self, handed: Handed) -> Result<(), StoreError> {
        let Handed { job, fresh } = handed;
        let Some(mut cx) = self.load_run(&job, fresh).await? else {
            let mut tx = self.store.begin().await?;
            jobs::finish(&mut tx, &job).await?;
            failpoint::hit("run.gone.commit");
            return tx.commit().await;
        };
        loop {
            // A step that calls the outside is looked up before a transaction is opened.
            if let Next::Step(path, step) = next_step(&cx.rule.clone().document.steps, &cx.memos)
                && let Some(call) = self.remote_call(&cx, &path, step)
            {
                match self.call_outside(&job, &mut cx, &path, step, call).await? {
                    true => continue,
                    false => return Ok(()),
                }
            }
            if !self.local_stretch(&job, &mut cx).await? {
                return Ok(());
            }
        }
    }

    async fn load_run(
        &self,
        job: &Job,
        fresh: Option<Box<(so_model::run::Run, Arc<so_model::event::Event>)>>,
    ) -> Result<Option<RunContext>, StoreError> {
        let mut reader = self.store.clone();
        let (run, event, memos) = match fresh {
            Some(fresh) => (fresh.0, fresh.1, Vec::new()),
            None => {
                let Ok(id) = job.subject.parse() else {
                    return Ok(None);
                };
                let Some(run) = runs::find(&mut reader, job.workspace, id).await? else {
                    return Ok(None);
                };
                if run.state.is_over() {
                    return Ok(None);
                }
                let Some(event) = events::find(&mut reader, job.workspace, run.event).await? else {
                    return Ok(None);
                };
                let memos = runs::list_memos(&mut reader, job.workspace, id).await?;
                (run, Arc::new(event), memos)
            }
        };
        let workspace = self.workspace(run.workspace).await?;
        match self
            .rule_version(run.workspace, run.rule, run.version)
            .await?
        {
            Ok(rule) => Ok(Some(RunContext {
                run,
                event,
                rule,
                workspace,
                memos: Memos::new(memos),
            })),
            Err(reason) => {
                let now = self.now();
                let mut tx = self.store.begin().await?;
                jobs::fence(&mut tx, job).await?;
                runs::set_state(
                    &mut tx,
                    run.workspace,
                    run.id,
                    RunState::Failed,
                    Some(&reason),
                    now,
                )
                .await?;
                start_next_queued(self, &mut tx, &run, now).await?;
                let data = json!({"run": {"id": run.id, "rule": run.rule, "rule_name": null,
                    "reason": reason, "event": run.event}});
                let failed = NewEvent::new(run.workspace, kind::RUN_FAILED, data)
                    .about(run.id)
                    .because(Cause::of(&event, run.id, run.rule));
                let admission = self.admit(&mut tx, failed).await?;
                failpoint::hit("run.unreadable.commit");
                tx.commit().await?;
                self.hand_over_all(vec![admission]);
                Ok(None)
            }
        }
    }

    /// Steps on our own database, in one transaction. False when the job is settled.
    async fn local_stretch(&self, job: &Job, cx: &mut RunContext) -> Result<bool, StoreError> {
        let now = self.now();
        let rule = cx.rule.clone();
        let mut outbox = Outbox::default();
        let mut tx = self.store.begin().await?;
        jobs::fence(&mut tx, job).await?;
        // Cancelled meanwhile, by a person or a later start: nothing further is done.
        if !runs::is_active(&mut tx, cx.run.workspace, cx.run.id).await? {
            jobs::finish(&mut tx, job).await?;
            failpoint::hit("run.cancelled.commit");
            tx.commit().await?;
            return Ok(false);
        }
        let after = loop {
            let Next::Step(path, step) = next_step(&rule.document.steps, &cx.memos) else {
                break After::End(RunState::Finished, None);
            };
            if self.remote_call(cx, &path, step).is_some() {
                break After::Go;
            }
            match self
                .local_step(&mut tx, cx, &path, step, now, &mut outbox)
                .await?
            {
                After::Go => {}
                other => break other,
            }
        };
        let goes_on = self
            .settle(&mut tx, job, cx, after, now, &mut outbox)
            .await?;
        failpoint::hit("run.local.commit");
        tx.commit().await?;
        // A step may have stored an earlier moment, such as a post's due time, or work, such as publications.
        self.timers_changed.notify_one();
        self.jobs_changed.ring();
        self.hand_over_all(outbox.admissions);
        self.announce(cx.run.workspace, "run", cx.run.id);
        Ok(goes_on)
    }

    /// Writes what a stretch of steps left to do. True when the run goes on at once.
    pub(super) async fn settle(
        &self,
        tx: &mut Tx,
        job: &Job,
        cx: &RunContext,
        after: After,
        now: Timestamp,
        outbox: &mut Outbox,
    ) -> Result<bool, StoreError> {
        let (workspace, id) = (cx.run.workspace, cx.run.id);
        match after {
            After::Go => Ok(true),
            After::Until(at, reason) => {
                runs::set_state(tx, workspace, id, RunState::Waiting, Some(&reason), now).await?;
                jobs::put_off(tx, job, at, None).await?;
                self.jobs_changed.ring();
                Ok(false)
            }
            After::Sleep(reason) => {
                runs::set_state(tx, workspace, id, RunState::Waiting, Some(&reason), now).await?;
                jobs::finish(tx, job).await?;
                Ok(false)
            }
            After::End(state, reason) => {
                let ended =
                    runs::set_state(tx, workspace, id, state, reason.as_deref(), now).await?;
                jobs::finish(tx, job).await?;
                if ended {
                    self.after_end(tx, cx, state, reason, now, outbox).await?;
                }
                Ok(false)
            }
        }
    }

    async fn after_end(
        &self,
        tx: &mut Tx,
        cx: &RunContext,
        state: RunState,
        reason: Option<String>,
        now: Timestamp,
        outbox: &mut Outbox,
    ) -> Result<(), StoreError> {
        start_next_queued(self, tx, &cx.run, now).await?;
        if state == RunState::Failed {
            self.counters
                .failed
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let data = json!({"run": {"id": cx.run.id, "rule": cx.run.rule,
                "rule_name": cx.rule.document.name, "reason": reason, "event": cx.run.event}});
            let event = NewEvent::new(cx.run.workspace, kind::RUN_FAILED, data)
                .about(cx.run.id)
                .because(Cause::of(&cx.event, cx.run.id, cx.run.rule));
            outbox.admissions.push(self.admit(tx, event).await?);
        }
        Ok(())
    }

    async fn local_step(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        path: &str,
        step: &Step,
        now: Timestamp,
        outbox: &mut Outbox,
    ) -> Result<After, StoreError> {
        match &step.body {
            StepBody::Action(action) => {
                self.local_action(tx, cx, path, step, action, now, outbox)
                    .await
            }
            StepBody::If(_) | StepBody::Choose(_) => self.branch(tx, cx, path, step, now).await,
            StepBody::Set(_) => {
                let output = match cx.render(&format!("{path}/set"), now) {
                    Ok(values) => json!({"set": values}),
                    Err(reason) => return self.fail_step(tx, cx, path, step, reason, now).await,
                };
                self.put_done(tx, cx, path, step, Value::Null, output, now)
                    .await?;
                Ok(After::Go)
            }
            StepBody::Delay(body) => self.delay(tx, cx, path, step, &body.delay, now).await,
            StepBody::Stop(body) => {
                let reason = match cx.render(&format!("{path}/stop"), now) {
                    Ok(value) => text_of(&value["reason"]),
                    Err(reason) => return self.fail_step(tx, cx, path, step, reason, now).await,
                };
                let mut memo = begun(path, step, 1, now);
                memo.outcome = StepOutcome::Stopped;
                memo.output = json!({"reason": reason, "error": body.stop.error});
                memo.finished_at = Some(now);
                self.put(tx, cx, memo).await?;
                let state = if body.stop.error {
                    RunState::Failed
                } else {
                    RunState::Finished
                };
                Ok(After::End(state, Some(reason)))
            }
            // Refused when the rule is saved; a document from elsewhere still ends cleanly.
            StepBody::ForEach(_) | StepBody::Parallel(_) | StepBody::WaitFor(_) => {
                let reason = "this server cannot run this kind of step".to_string();
                self.fail_step(tx, cx, path, step, reason, now).await
            }
        }
    }

    async fn branch(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        path: &str,
        step: &Step,
        now: Timestamp,
    ) -> Result<After, StoreError> {
        let pointers: Vec<(String, String)> = match &step.body {
            StepBody::Choose(body) => (0..body.choose.len())
                .map(|n| (format!("{path}/choose/{n}/if"), format!("choose/{n}/then")))
                .collect(),
            _ => vec![(format!("{path}/if"), "then".to_string())],
        };
        let fallback = if matches!(step.body, StepBody::If(_)) {
            "else"
        } else {
            "otherwise"
        };
        let mut taken = fallback.to_string();
        let mut traces = Vec::new();
        for (pointer, branch) in pointers {
            let mut values = FactValues::default();
            for request in cx.facts_asked(&pointer, now) {
                let value = facts::fetch(
                    tx,
                    cx.run.workspace,
                    cx.run.rule,
                    &request.fact,
                    &request.params,
                    now,
                )
                .await?;
                values.insert(request.key, value);
            }
            let trace = cx.explain(&pointer, now, &values);
            let held = trace.as_ref().is_some_and(|trace| trace.held == Some(true));
            traces.extend(trace);
            if held {
                taken = branch;
                break;
            }
        }
        let mut memo = begun(path, step, 1, now);
        memo.outcome = StepOutcome::Done;
        memo.output = json!({"branch": taken});
        memo.condition = match traces.len() {
            1 => traces.pop(),
            _ => Some(so_model::run::ConditionTrace {
                path: format!("{path}/choose"),
                held: Some(taken != fallback),
                saw: Value::Null,
                text: "the first branch whose condition holds".into(),
                error: None,
                parts: traces,
            }),
        };
        memo.finished_at = Some(now);
        self.put(tx, cx, memo).await?;
        Ok(After::Go)
    }

    async fn delay(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        path: &str,
        step: &Step,
        delay: &so_model::rule::Delay,
        now: Timestamp,
    ) -> Result<After, StoreError> {
        if let Some(memo) = cx.memos.get(path).cloned() {
            let until = memo.output["until"]
                .as_str()
                .and_then(Timestamp::parse)
                .unwrap_or(now);
            if until > now {
                return Ok(After::Until(until, format!("waits until {until}")));
            }
            let mut memo = memo;
            memo.outcome = StepOutcome::Done;
            memo.finished_at = Some(now);
            self.put(tx, cx, memo).await?;
            return Ok(After::Go);
        }
        let until = cx
            .render(&format!("{path}/delay"), now)
            .and_then(|value| end_of_delay(delay, &value, now));
        let until = match until {
            Ok(until) => until,
            Err(reason) => return self.fail_step(tx, cx, path, step, reason, now).await,
        };
        let mut memo = begun(path, step, 1, now);
        memo.outcome = StepOutcome::Waiting;
        memo.output = json!({"until": until});
        self.put(tx, cx, memo).await?;
        Ok(After::Until(until, format!("waits until {until}")))
    }

    /// Notes that a step failed for good and ends the run.
    pub(super) async fn fail_step(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        path: &str,
        step: &Step,
        reason: String,
        now: Timestamp,
    ) -> Result<After, StoreError> {
        let mut memo = match cx.memos.get(path) {
            Some(memo) if memo.finished_at.is_none() => memo.clone(),
            Some(memo) => begun(path, step, memo.attempt + 1, now),
            None => begun(path, step, 1, now),
        };
        memo.outcome = StepOutcome::Failed;
        memo.error = Some(reason.clone());
        memo.finished_at = Some(now);
        self.put(tx, cx, memo).await?;
        Ok(After::End(
            RunState::Failed,
            Some(format!("step {}: {reason}", step.id)),
        ))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a finished memo has this many parts"
    )]
    pub(super) async fn put_done(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        path: &str,
        step: &Step,
        input: Value,
        output: Value,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let memo = done_memo(cx, path, step, input, output, now);
        self.put(tx, cx, memo).await
    }

    pub(super) async fn put(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        memo: Memo,
    ) -> Result<(), StoreError> {
        runs::put_memo(tx, cx.run.workspace, cx.run.id, &memo).await?;
        cx.memos.put(memo);
        Ok(())
    }

    /// Stores events that a step made, within the run's budget.
    pub(super) async fn emit_all(
        &self,
        tx: &mut Tx,
        cx: &RunContext,
        made: Vec<NewEvent>,
        outbox: &mut Outbox,
    ) -> Result<Option<String>, StoreError> {
        if made.is_empty() {
            return Ok(None);
        }
        let own = cx
            .rule
            .document
            .limits
            .max_events_per_run
            .map_or(RUN_EVENTS_MAX, i64::from);
        let max = own.min(RUN_EVENTS_MAX);
        let count = i64::try_from(made.len()).unwrap_or(i64::MAX);
        if runs::add_events(tx, cx.run.id, count).await? > max {
            return Ok(Some(format!("the run made more than {max} events")));
        }
        for mut event in made {
            event.cause = Cause::of(&cx.event, cx.run.id, cx.run.rule);
            outbox.admissions.push(self.admit(tx, event).await?);
        }
        Ok(None)
    }
}

/// The memo of a step that came to its end.
pub(super) fn done_memo(
    cx: &RunContext,
    path: &str,
    step: &Step,
    input: Value,
    output: Value,
    now: Timestamp,
) -> Memo {
    let mut memo = match cx.memos.get(path) {
        Some(memo) if memo.finished_at.is_none() => memo.clone(),
        Some(memo) => begun(path, step, memo.attempt + 1, now),
        None => begun(path, step, 1, now),
    };
    memo.outcome = StepOutcome::Done;
    if !input.is_null() {
        memo.input = shorten(input);
    }
    memo.output = output;
    memo.finished_at = Some(now);
    memo
}

/// A memo of a try that begins now.
pub(super) fn begun(path: &str, step: &Step, attempt: i64, now: Timestamp) -> Memo {
    Memo {
        path: path.to_string(),
        step: step.id.clone(),
        attempt,
        outcome: StepOutcome::Started,
        input: Value::Null,
        output: Value::Null,
        error: None,
        condition: None,
        started_at: now,
        finished_at: None,
    }
}

fn end_of_delay(
    delay: &so_model::rule::Delay,
    value: &Value,
    now: Timestamp,
) -> Result<Timestamp, String> {
    if delay.until.is_some() {
        let text = text_of(&value["until"]);
        return Timestamp::parse(&text)
            .ok_or_else(|| format!("“{text}” is not a moment of the form 2026-11-24T09:00:00Z"));
    }
    parse_duration(&text_of(&value["for"]))
        .map(|span| now.plus(span))
        .map_err(|error| error.to_string())
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
