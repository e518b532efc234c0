//! Fires timers: schedule triggers, due posts, recurring posts, queue slots,
//! quiet spells, silence.
//!
//! Invariant: the next moment is computed from the definition, and stored with
//! the event of this one in one transaction; an occurrence's identity makes a
//! second firing the same event.

use std::{collections::HashMap, sync::atomic::Ordering, time::Duration};

use serde_json::{Value, json};
use so_model::{
    IdSource as _, Timestamp,
    event::{NewEvent, kind},
    id::{EventId, PostId, QueueId, RuleId, TimerId},
    post::Post,
    rule::{CatchUp, RuleDocument},
    time::SECOND,
};
use so_store::{StoreError, Tx, events, posts, queues, rule_keys, rules, timers, timers::Timer};
use tokio_util::sync::CancellationToken;

use super::{LoopName, TIMER_SILENCE};
use crate::{
    admit::Admission,
    engine::Engine,
    failpoint,
    schedule::{self, CompiledSchedule, Occurrence, Schedule, plan_catch_up},
};

/// Timers of rules' schedule triggers.
pub const TIMER_RULE: &str = "rule";
/// Timers of posts that are due.
pub const TIMER_POST: &str = "post";
/// Timers of recurring posts.
pub const TIMER_RECURRENCE: &str = "recurrence";
/// Timers of queues' slots.
pub const TIMER_QUEUE: &str = "queue";
/// Timers of quiet spells.
const TIMER_DEBOUNCE: &str = "debounce";
/// Member of a schedule's timer: when it was fired last.
const SINCE: &str = "since";
/// A timer that cannot be fired is tried again after this.
const PUT_OFF: i64 = so_model::time::HOUR;
/// Timers fired in one transaction.
const BATCH: i64 = 100;
/// Timers are looked at this often even if none is known.
const POLL: Duration = Duration::from_secs(1);
/// What is due and cannot be had is being fired by another process; it is done with it in a moment.
const TAKEN: Duration = Duration::from_millis(50);

pub(super) async fn run(engine: Engine, stop: CancellationToken) {
    while !stop.is_cancelled() {
        // A look costs a read; only what is due opens a transaction.
        let due = match timers::next_due(&mut engine.store.clone()).await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "timers cannot be read");
                wait(&engine, &stop, POLL).await;
                continue;
            }
        };
        let now = engine.now();
        if due.is_some_and(|due| due <= now) {
            match engine.fire_timers().await {
                Ok(fired) => {
                    engine.pulse.beat(LoopName::Timers, now);
                    if fired == 0 {
                        wait(&engine, &stop, TAKEN).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "timers cannot be fired");
                    wait(&engine, &stop, POLL).await;
                }
            }
            continue;
        }
        engine.pulse.beat(LoopName::Timers, now);
        let sleep = due.map_or(POLL, |due| {
            Duration::from_micros(u64::try_from(due.since(now)).unwrap_or(0)).min(POLL)
        });
        wait(&engine, &stop, sleep).await;
    }
}

async fn wait(engine: &Engine, stop: &CancellationToken, sleep: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = engine.timers_changed.notified() => {}
        () = tokio::time::sleep(sleep) => {}
    }
}

impl Engine {
    /// Fires what is due; answers how many timers that were.
    pub async fn fire_timers(&self) -> Result<usize, StoreError> {
        let now = self.now();
        let mut tx = self.store.begin().await?;
        let due = timers::claim_due(&mut tx, now, BATCH).await?;
        if due.is_empty() {
            tx.rollback().await?;
            return Ok(0);
        }
        let mut admissions = Vec::new();
        let (posts, others): (Vec<&Timer>, Vec<&Timer>) =
            due.iter().partition(|timer| timer.kind == TIMER_POST);
        // One bad timer must not hold back those of everybody else.
        tx.savepoint().await?;
        let left = match self.fire_posts(&mut tx, &posts, now).await {
            Ok(made) => {
                tx.keep_savepoint().await?;
                admissions.extend(made);
                others
            }
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                tx.undo_to_savepoint().await?;
                tracing::info!(%error, timers = posts.len(), "posts that are due are fired one by one");
                due.iter().collect()
            }
        };
        for timer in left {
            tx.savepoint().await?;
            match self.fire(&mut tx, timer, now).await {
                Ok(made) => {
                    tx.keep_savepoint().await?;
                    admissions.extend(made);
                }
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    tx.undo_to_savepoint().await?;
                    tracing::error!(timer.id = %timer.id, kind = %timer.kind, %error, "a timer is put off");
                    let mut timer = timer.clone();
                    timer.due_at = now.plus(PUT_OFF);
                    timers::put(&mut tx, &timer).await?;
                }
            }
        }
        failpoint::hit("timer.commit");
        tx.commit().await?;
        failpoint::hit("K16");
        self.counters
            .timers
            .fetch_add(due.len() as u64, Ordering::Relaxed);
        self.hand_over_all(admissions);
        Ok(due.len())
    }

    pub(crate) async fn fire(
        &self,
        tx: &mut Tx,
        timer: &Timer,
        now: Timestamp,
    ) -> Result<Vec<Admission>, StoreError> {
        match timer.kind.as_str() {
            TIMER_RULE => self.fire_rule(tx, timer, now).await,
            TIMER_POST => self.fire_posts(tx, &[timer], now).await,
            TIMER_RECURRENCE => self.fire_recurrence(tx, timer, now).await,
            TIMER_QUEUE => self.fire_queue(tx, timer, now).await,
            TIMER_DEBOUNCE => self.fire_debounce(tx, timer, now).await,
            TIMER_SILENCE => self.fire_silence(tx, timer, now).await,
            other => {
                tracing::error!(timer.id = %timer.id, kind = other, "an unknown timer is dropped");
                timers::delete(tx, timer.id).await?;
                Ok(Vec::new())
            }
        }
    }

    async fn fire_rule(
        &self,
        tx: &mut Tx,
        timer: &Timer,
        now: Timestamp,
    ) -> Result<Vec<Admission>, StoreError> {
        let compiled = timer_schedule(timer);
        let (Some(rule), Some(schedule)) = (rule_of(tx, timer).await?, compiled) else {
            timers::delete(tx, timer.id).await?;
            return Ok(Vec::new());
        };
        let policy = timer_policy(timer);
        let source = format!("rule/{}/{}", rule.id, timer.slot);
        let data = |at: &Occurrence| {
            json!({"rule": rule.id, "trigger": timer.slot, "occurrence": occurrence(at),
                   "late_by_s": late_by(at, now)})
        };
        self.fire_schedule(
            tx,
            timer,
            &schedule,
            &policy,
            &source,
            kind::TIME_DUE,
            data,
            &rule.id.to_string(),
            now,
        )
        .await
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one schedule, its policy and how its event looks"
    )]
    async fn fire_schedule(
        &self,
        tx: &mut Tx,
        timer: &Timer,
        schedule: &CompiledSchedule,
        policy: &schedule::CatchUp,
        source: &str,
        event_kind: &str,
        data: impl Fn(&Occurrence) -> Value,
        subject: &str,
        now: Timestamp,
    ) -> Result<Vec<Admission>, StoreError> {
        // A newer time zone database may have moved the occurrence that is waited for to an earlier
        // moment; it still lies after the last firing.
        let due = timer.due_at.micros();
        let from = timer.doc[SINCE]
            .as_i64()
            .map_or(due, |since| due.min(since + 1));
        let plan = match plan_catch_up(policy, schedule, from, now.micros()) {
            Ok(plan) => plan,
            Err(error) => {
                tracing::error!(timer.id = %timer.id, %error, "a schedule cannot be planned");
                timers::delete(tx, timer.id).await?;
                return Ok(Vec::new());
            }
        };
        let mut admissions = Vec::new();
        let asked = plan.ask.iter().map(|at| (kind::TIME_MISSED, at));
        for (event_kind, at) in plan.fire.iter().map(|at| (event_kind, at)).chain(asked) {
            let moment = Timestamp::from_micros(at.at_micros);
            let mut event = NewEvent::new(timer.workspace, event_kind, data(at))
                .from_source(source, format!("{event_kind}@{moment}"))
                .about(subject);
            event.time = Some(moment);
            admissions.push(self.admit(tx, event).await?);
        }
        match plan.next {
            Some(next) => {
                let mut timer = timer.clone();
                timer.due_at = Timestamp::from_micros(next.at_micros);
                if let Some(doc) = timer.doc.as_object_mut() {
                    doc.insert(SINCE.into(), now.micros().into());
                }
                timers::put(tx, &timer).await?;
            }
            None => timers::delete(tx, timer.id).await?,
        }
        Ok(admissions)
    }

    async fn fire_posts(
        &self,
        tx: &mut Tx,
        due: &[&Timer],
        now: Timestamp,
    ) -> Result<Vec<Admission>, StoreError> {
        let ids: Vec<TimerId> = due.iter().map(|timer| timer.id).collect();
        timers::delete_many(tx, &ids).await?;
        let id_of = |timer: &Timer| timer.subject.parse::<PostId>().ok();
        let ids: Vec<PostId> = due.iter().filter_map(|timer| id_of(timer)).collect();
        let found = posts::list_for_update(tx, &ids).await?;
        let found: HashMap<PostId, &Post> = found.iter().map(|post| (post.id, post)).collect();
        let mut events = Vec::new();
        for timer in due {
            // A post that was moved has another due time, and a timer of its own.
            let is_due = |post: &&&Post| {
                post.workspace == timer.workspace && post.due_at == Some(timer.due_at)
            };
            let post = id_of(timer).and_then(|id| found.get(&id).filter(is_due));
            let Some(post) = post else { continue };
            let late_by_s = (now.since(timer.due_at) / SECOND).max(0);
            let data = json!({"post": post, "late_by_s": late_by_s});
            let mut event = NewEvent::new(timer.workspace, kind::POST_DUE, data)
                .from_source(
                    format!("post/{}", post.id),
                    format!("due@{}#{}", timer.due_at, post.revision),
                )
                .about(post.id);
            event.time = Some(timer.due_at);
            events.push(event);
        }
        self.admit_all(tx, events).await
    }

    async fn fire_recurrence(
        &self,
        tx: &mut Tx,
        timer: &Timer,
        now: Timestamp,
    ) -> Result<Vec<Admission>, StoreError> {
        let post = match timer.subject.parse::<PostId>() {
            Ok(id) => posts::find(tx, timer.workspace, id).await?,
            Err(_) => None,
        };
        let schedule = timer_schedule(timer);
        let (Some(post), Some(schedule)) =
            (post.filter(|post| post.recurrence.is_some()), schedule)
        else {
            timers::delete(tx, timer.id).await?;
            return Ok(Vec::new());
        };
        let policy = timer_policy(timer);
        let source = format!("recurrence/{}", post.id);
        let data = |at: &Occurrence| json!({"post": post, "occurrence": occurrence(at), "late_by_s": late_by(at, now)});
        self.fire_schedule(
            tx,
            timer,
            &schedule,
            &policy,
            &source,
            kind::POST_RECURRED,
            data,
            &post.id.to_string(),
            now,
        )
        .await
    }

    async fn fire_queue(
        &self,
        tx: &mut Tx,
        timer: &Timer,
        now: Timestamp,
    ) -> Result<Vec<Admission>, StoreError> {
        let queue = match timer.subject.parse::<QueueId>() {
            Ok(id) => queues::find(tx, timer.workspace, id).await?,
            Err(_) => None,
        };
        let valid = queue.filter(|queue| queue.generation == timer.generation && !queue.is_paused);
        let (Some(queue), Some(schedule)) = (valid, timer_schedule(timer)) else {
            timers::delete(tx, timer.id).await?;
            return Ok(Vec::new());
        };
        let source = format!("queue/{}", queue.id);
        let data = |at: &Occurrence| {
            json!({"queue": {"id": queue.id, "name": queue.name}, "occurrence": occurrence(at),
                   "late_by_s": late_by(at, now)})
        };
        let policy = schedule::CatchUp::Skip;
        self.fire_schedule(
            tx,
            timer,
            &schedule,
            &policy,
            &source,
            kind::QUEUE_SLOT,
            data,
            &queue.id.to_string(),
            now,
        )
        .await
    }

    async fn fire_debounce(
        &self,
        tx: &mut Tx,
        timer: &Timer,
        now: Timestamp,
    ) -> Result<Vec<Admission>, StoreError> {
        timers::delete(tx, timer.id).await?;
        let Ok(id) = timer.subject.parse::<RuleId>() else {
            return Ok(Vec::new());
        };
        let waiting: Option<EventId> = rule_keys::take_debounced(tx, id, &timer.slot).await?;
        let Some(event) = waiting else {
            return Ok(Vec::new());
        };
        let Some(row) = rules::find(tx, timer.workspace, id).await? else {
            return Ok(Vec::new());
        };
        let Some(event) = events::find(tx, timer.workspace, event).await? else {
            return Ok(Vec::new());
        };
        let event = std::sync::Arc::new(event);
        if !row.is_enabled {
            return Ok(Vec::new());
        }
        let canary = self.canary_of(tx, &row, &event).await?;
        let version = canary.map_or(row.version, |canary| canary.version);
        let Ok(rule) = self.rule_version(timer.workspace, id, version).await? else {
            return Ok(Vec::new());
        };
        let started = self.start_debounced(tx, &rule, &event, now).await?;
        let runs = started
            .iter()
            .filter_map(|h| h.fresh.as_ref().map(|f| f.run.id))
            .collect();
        Ok(vec![Admission {
            result: crate::admit::Admitted {
                event,
                is_new: false,
                runs,
            },
            jobs: started.into_iter().collect(),
        }])
    }
}

/// The rule that a timer belongs to, if it is on and the timer is of its live version.
pub(super) async fn rule_of(
    tx: &mut Tx,
    timer: &Timer,
) -> Result<Option<rules::RuleRow>, StoreError> {
    let rule = match timer.subject.parse::<RuleId>() {
        Ok(id) => rules::find(tx, timer.workspace, id).await?,
        Err(_) => None,
    };
    Ok(rule.filter(|rule| rule.is_enabled && rule.generation == timer.generation))
}

fn occurrence(at: &Occurrence) -> Value {
    json!({"at": Timestamp::from_micros(at.at_micros), "local": at.local, "zone": at.zone,
           "explanation": at.explanation()})
}

fn late_by(at: &Occurrence, now: Timestamp) -> i64 {
    ((now.micros() - at.at_micros) / SECOND).max(0)
}

fn timer_schedule(timer: &Timer) -> Option<CompiledSchedule> {
    let schedule: Schedule = serde_json::from_value(timer.doc["schedule"].clone()).ok()?;
    schedule.compile().ok()
}

fn timer_policy(timer: &Timer) -> schedule::CatchUp {
    // What a rule without a policy of its own gets: late, within an hour.
    serde_json::from_value(timer.doc["catch_up"].clone()).unwrap_or(schedule::CatchUp::Late {
        within: "1h".into(),
    })
}

/// Makes the timers of a rule's schedule triggers, and of its silence, those of its live version.
///
/// Called in the transaction that saves, enables, disables or deletes the rule.
pub async fn sync_rule_timers(
    engine: &Engine,
    tx: &mut Tx,
    rule: &rules::RuleRow,
    document: &RuleDocument,
    zone: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    timers::delete_for(tx, TIMER_RULE, &rule.id.to_string()).await?;
    engine.sync_silence(tx, rule, document, now).await?;
    if !rule.is_enabled {
        return Ok(());
    }
    for trigger in &document.triggers {
        let Some(plugin) = engine.plugins.trigger(&trigger.kind) else {
            continue;
        };
        // A schedule that cannot be made was refused when the rule was saved.
        let Ok(Some(schedule)) = plugin.schedule(&trigger.with, zone) else {
            continue;
        };
        let Ok(compiled) = schedule.compile() else {
            continue;
        };
        let Some(next) = compiled.next_after(now.micros()) else {
            continue;
        };
        let timer = Timer {
            id: engine.ids.new_id(),
            workspace: rule.workspace,
            kind: TIMER_RULE.into(),
            subject: rule.id.to_string(),
            slot: trigger.id.clone(),
            generation: rule.generation,
            due_at: Timestamp::from_micros(next.at_micros),
            doc: json!({"schedule": schedule, "catch_up": trigger.catch_up.as_ref().map(policy_json)}),
        };
        timers::put(tx, &timer).await?;
    }
    engine.timers_changed.notify_one();
    Ok(())
}

fn policy_json(policy: &CatchUp) -> Value {
    serde_json::to_value(policy).unwrap_or(Value::Null)
}
