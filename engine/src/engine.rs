//! The engine: store, rules, plugins and the hand-over of work.
//!
//! Owns the rule index and what has just been claimed. Invariant: nothing
//! important is only in memory; work handed over here is a leased row as well.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, RwLock, atomic::Ordering},
};

use lru::LruCache;
use so_model::{
    IdSource as _, Timestamp,
    event::Event,
    id::{RuleId, WorkspaceId},
    run::Run,
};
use so_store::{
    Backend, Sql, Store, StoreError, Tx, jobs::Job, rule_canaries, rule_canaries::RuleCanary,
    rules, rules::RuleRow,
};
use tokio::sync::{Notify, broadcast};

pub use crate::handover::HandedReceiver;
use crate::{
    admit::Intake,
    bell::Bell,
    clock::Ids,
    config::EngineConfig,
    decide::{Canary, CompiledRule, Plans, RuleIndex, accounts_of, is_about_only},
    handover::{self, HandOver},
    lanes::LanePlace,
    plugin::{LiveUpdate, Plugins},
    publish::{PublishPort, Together},
    run::{Ends, ReadRun, Stretches},
    script::ScriptEngine,
    workspaces::{SeenWorkspace, Workspaces},
};

/// Compiled rule versions kept for runs that are pinned to them.
const VERSIONS_CACHED: usize = 10_000;
/// Claimed jobs that may wait in memory; beyond it they wait as rows.
const HANDED_MAX: usize = 10_000;
/// Clocks of the processes of one database may differ by so much.
const CLOCKS_APART_MAX: i64 = 2 * so_model::time::SECOND;
/// When rules were read that have not been read.
const NEVER: i64 = i64::MIN;
/// Live updates that a slow listener may fall behind.
const LIVE_BUFFER: usize = 1_024;

/// A claimed job, with what is known when it is fresh.
#[derive(Debug)]
pub struct Handed {
    /// The job.
    pub job: Job,
    /// A run that has just been made.
    pub fresh: Option<Box<Fresh>>,
    /// What was read of the run after the claim.
    pub(crate) read: Option<Box<ReadRun>>,
    /// The place in a lane that it waited for.
    pub(crate) place: Option<LanePlace>,
}

/// A run that has just been made, with what it was made from.
#[derive(Debug)]
pub struct Fresh {
    /// The run.
    pub run: Run,
    /// Its event.
    pub event: Arc<Event>,
    /// The version that it is pinned to.
    pub(crate) rule: Arc<CompiledRule>,
    /// Its workspace as the decision saw it.
    pub(crate) workspace: SeenWorkspace,
}

impl Handed {
    /// A job that was claimed as a row.
    pub fn of(job: Job) -> Self {
        Self {
            job,
            fresh: None,
            read: None,
            place: None,
        }
    }
}

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

/// Parts of the engine.
pub struct Inner {
    /// The database.
    pub store: Store,
    /// Clock and randomness.
    pub ids: Ids,
    /// Bounds and spans.
    pub config: EngineConfig,
    /// Triggers, actions, facts.
    pub plugins: Plugins,
    /// The sandbox.
    pub scripts: ScriptEngine,
    /// The way to the networks.
    pub publisher: Arc<dyn PublishPort>,
    /// Wakes the timer loop when an earlier moment was stored.
    pub timers_changed: Notify,
    /// Wakes the work loop when rows became available.
    pub jobs_changed: Bell,
    /// Good ticks of each loop.
    pub pulse: crate::loops::Pulse,
    /// Counters.
    pub counters: crate::loops::Counters,
    /// Held while the spill file is written or set aside.
    pub(crate) spill_lock: Mutex<()>,
    /// Outcomes that the spill file could not take either.
    pub(crate) unspilled: Mutex<Vec<crate::publish::Outcome>>,
    /// Jobs that the database could not take back, and why they failed.
    pub(crate) owed: Mutex<Vec<(Job, String)>>,
    /// Places of calls to one other side.
    pub(crate) lanes: crate::lanes::Lanes,
    /// Accounts whose networks take no more for now.
    pub(crate) pauses: crate::publish::Pauses,
    /// Calls of runs beside the one of their worker: as many as there are workers.
    pub(crate) calls_beside: Arc<tokio::sync::Semaphore>,
    /// Spans whose history the database lost and that still count.
    pub(crate) gaps: RwLock<Vec<so_store::instance::Gap>>,
    index: RwLock<Arc<RuleIndex>>,
    index_stamp: Mutex<(i64, i64)>,
    index_read_at: std::sync::atomic::AtomicI64,
    versions: Mutex<LruCache<(RuleId, i64), Arc<CompiledRule>>>,
    plans: Plans,
    pub(crate) workspaces: Workspaces,
    pub(crate) libraries: Mutex<LruCache<(WorkspaceId, i64), Arc<crate::script::Library>>>,
    rates: Mutex<std::collections::HashMap<RuleId, (i64, i64)>>,
    pub(crate) handed: HandOver,
    pub(crate) intake: Intake,
    pub(crate) ends: Ends,
    pub(crate) stretches: Stretches,
    pub(crate) together: Together,
    held: Mutex<std::collections::HashMap<so_model::id::JobId, Job>>,
    live: broadcast::Sender<LiveUpdate>,
}

impl std::ops::Deref for Engine {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// What an engine is built of.
pub struct EngineParts {
    /// The database.
    pub store: Store,
    /// Clock and randomness.
    pub ids: Ids,
    /// Bounds and spans.
    pub config: EngineConfig,
    /// Triggers, actions, facts.
    pub plugins: Plugins,
    /// The sandbox.
    pub scripts: ScriptEngine,
    /// The way to the networks.
    pub publisher: Arc<dyn PublishPort>,
}

impl Engine {
    /// Builds an engine; call `reload_rules` before the first event.
    pub fn new(parts: EngineParts) -> (Self, HandedReceiver) {
        // Takes everything, because a committed claim must find its way; `room` is what bounds it.
        let (handed, receiver) = handover::pair(parts.config.share());
        // SQLite has one writer; on PostgreSQL the next batch is prepared while one is synced, and steps, which take many
        // statements, are taken by several connections at a time.
        let is_simulated = parts.store.is_simulated();
        let workers = parts.config.workers;
        let (lines, lines_of_steps) = match parts.store.backend() {
            Backend::Sqlite => (1, 1),
            Backend::Postgres => (2, 8),
        };
        let (live, _) = broadcast::channel(LIVE_BUFFER);
        let inner = Inner {
            store: parts.store,
            ids: parts.ids,
            config: parts.config,
            plugins: parts.plugins,
            scripts: parts.scripts,
            publisher: parts.publisher,
            timers_changed: Notify::new(),
            jobs_changed: Bell::default(),
            pulse: crate::loops::Pulse::default(),
            counters: crate::loops::Counters::default(),
            spill_lock: Mutex::new(()),
            unspilled: Mutex::default(),
            owed: Mutex::default(),
            lanes: crate::lanes::Lanes::default(),
            pauses: crate::publish::Pauses::default(),
            calls_beside: Arc::new(tokio::sync::Semaphore::new(workers)),
            gaps: RwLock::default(),
            index: RwLock::new(Arc::new(RuleIndex::default())),
            index_stamp: Mutex::new((-1, -1)),
            index_read_at: std::sync::atomic::AtomicI64::new(NEVER),
            versions: Mutex::new(LruCache::new(nonzero(VERSIONS_CACHED))),
            plans: Plans::default(),
            workspaces: Workspaces::default(),
            libraries: Mutex::new(LruCache::new(nonzero(crate::library::LIBRARIES_CACHED))),
            rates: Mutex::default(),
            handed,
            intake: Intake::new(lines, is_simulated),
            ends: Ends::new(lines, is_simulated),
            stretches: Stretches::new(lines_of_steps, is_simulated),
            together: Together::new(lines, is_simulated),
            held: Mutex::default(),
            live,
        };
        (Self(Arc::new(inner)), receiver)
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.ids.now()
    }

    /// Listens to changes.
    pub fn listen(&self) -> broadcast::Receiver<LiveUpdate> {
        self.live.subscribe()
    }

    /// Tells listeners of a change; nobody needs to listen.
    pub fn announce(&self, workspace: WorkspaceId, what: &'static str, id: impl ToString) {
        if self.live.receiver_count() == 0 {
            return;
        }
        let _ = self.live.send(LiveUpdate {
            workspace,
            what,
            id: id.to_string(),
        });
    }

    /// The rules as they are indexed now.
    pub fn index(&self) -> Arc<RuleIndex> {
        self.index
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// Reads every live rule if any changed since the last time.
    pub async fn reload_rules(&self) -> Result<(), StoreError> {
        let began = self.now().micros();
        let mut reader = self.store.clone();
        let stamp = rules::stamp(&mut reader).await?;
        if *lock(&self.index_stamp) == stamp {
            self.index_read_at.store(began, Ordering::Relaxed);
            return Ok(());
        }
        let mut compiled = Vec::new();
        for (row, document) in rules::list_live(&mut reader).await? {
            let made = self
                .compiled(row.workspace, row.id, row.version, document)
                .await?;
            match made {
                Ok(rule) => compiled.push(rule),
                // Saved by an older server; its owner sees the problem in the list of rules.
                Err(reason) => {
                    tracing::error!(rule.id = %row.id, %reason, "a stored rule cannot be compiled");
                }
            }
        }
        let canaries = self.canaries(&mut reader).await?;
        let index = Arc::new(RuleIndex::build(compiled).with_canaries(canaries));
        *self
            .index
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = index;
        *lock(&self.index_stamp) = stamp;
        self.index_read_at.store(began, Ordering::Relaxed);
        Ok(())
    }

    async fn canaries(&self, reader: &mut Store) -> Result<Vec<Canary>, StoreError> {
        let mut found = Vec::new();
        for (row, document) in rule_canaries::list_deciding(reader).await? {
            let made = self
                .compiled(row.workspace, row.rule, row.version, document)
                .await?;
            match made {
                Ok(rule) => found.push(Canary {
                    rule,
                    accounts: row.accounts.into_iter().collect(),
                }),
                // The live version decides until a server that can run it comes.
                Err(reason) => {
                    tracing::error!(rule.id = %row.rule, %reason, "a canary cannot be compiled");
                }
            }
        }
        Ok(found)
    }

    /// The canary of a rule that decides an event, as the database has it.
    pub(crate) async fn canary_of(
        &self,
        sql: &mut dyn Sql,
        rule: &RuleRow,
        event: &Event,
    ) -> Result<Option<RuleCanary>, StoreError> {
        let found = rule_canaries::find(sql, rule.workspace, rule.id).await?;
        let about = accounts_of(&event.data);
        Ok(found.filter(|canary| {
            canary.is_deciding(rule.version)
                && is_about_only(&about, |one| canary.accounts.contains(one))
        }))
    }

    /// The rule index is empty because nobody has filled it yet.
    pub(crate) fn has_read_no_rules(&self) -> bool {
        self.index_read_at.load(Ordering::Relaxed) == NEVER
    }

    /// Another process may have changed a rule after this one read them.
    pub(crate) fn may_be_outdated(&self, newest_change: Timestamp) -> bool {
        let read_at = Timestamp::from_micros(self.index_read_at.load(Ordering::Relaxed));
        newest_change.plus(CLOCKS_APART_MAX) >= read_at
    }

    async fn compiled(
        &self,
        workspace: WorkspaceId,
        rule: RuleId,
        version: i64,
        document: so_model::rule::RuleDocument,
    ) -> Result<Result<Arc<CompiledRule>, String>, StoreError> {
        if let Some(found) = lock(&self.versions).get(&(rule, version)) {
            return Ok(Ok(found.clone()));
        }
        let scripts = self.scripts_of(workspace, rule, version, &document).await?;
        let compiled = CompiledRule::compile(
            rule,
            workspace,
            version,
            Arc::new(document),
            self.plugins.catalogue(),
            &scripts,
        );
        let compiled = match compiled {
            Ok(compiled) => Arc::new(compiled.sharing(&self.plans)),
            Err(errors) => {
                return Ok(Err(errors.first().map_or_else(String::new, |error| {
                    format!("{}: {}", error.pointer, error.reason)
                })));
            }
        };
        lock(&self.versions).put((rule, version), compiled.clone());
        Ok(Ok(compiled))
    }

    /// The compiled rule of a version, from memory or the database.
    pub async fn rule_version(
        &self,
        workspace: WorkspaceId,
        rule: RuleId,
        version: i64,
    ) -> Result<Result<Arc<CompiledRule>, String>, StoreError> {
        if let Some(live) = self
            .index()
            .get(rule)
            .filter(|live| live.version == version)
        {
            return Ok(Ok(live.clone()));
        }
        if let Some(found) = lock(&self.versions).get(&(rule, version)) {
            return Ok(Ok(found.clone()));
        }
        let mut reader = self.store.clone();
        let Some(stored) = rules::find_version(&mut reader, workspace, rule, version).await? else {
            return Ok(Err("the version of the rule is gone".into()));
        };
        self.compiled(workspace, rule, version, stored.document)
            .await
    }

    /// Gives committed, claimed jobs to the workers of this process.
    pub fn hand_over(&self, jobs: Vec<Handed>) {
        for job in jobs {
            lock(&self.held).insert(job.job.id, job.job.clone());
            if !self.handed.give(job) {
                tracing::info!("the server stops; a claimed job waits for its lease to end");
            }
        }
    }

    /// Keeps a job's lease alive until the guard is dropped, also by a panic.
    pub(crate) fn hold_lease(&self, job: &Job) -> HeldLease<'_> {
        lock(&self.held).insert(job.id, job.clone());
        HeldLease {
            engine: self,
            job: job.id,
        }
    }

    /// What is being worked on, or waits in memory for its turn.
    pub(crate) fn held_jobs(&self) -> Vec<Job> {
        let mut all: Vec<Job> = lock(&self.held).values().cloned().collect();
        all.extend(self.waiting_in_lanes());
        all
    }

    /// As if other processes worked on the same database.
    #[cfg(test)]
    pub(crate) fn share_database(&mut self) {
        let inner = Arc::get_mut(&mut self.0);
        if let Some(inner) = inner {
            inner.config.is_alone = false;
        }
    }

    /// As if every worker of this process had been lost.
    #[cfg(test)]
    pub(crate) fn forget_held(&self) {
        lock(&self.held).clear();
    }

    /// Room for claimed jobs in memory.
    pub fn room(&self) -> usize {
        HANDED_MAX.saturating_sub(self.handed.len())
    }

    /// So little room that new runs wait as rows instead.
    pub(crate) fn is_crowded(&self) -> bool {
        self.room() < self.config.workers
    }

    /// Counts a start of a rule; false when this hour's budget is used up.
    ///
    /// Kept in memory: it bounds what one process can be made to do.
    pub(crate) fn spend_start(&self, rule: RuleId, now: Timestamp) -> bool {
        let hour = now.micros() / so_model::time::HOUR;
        let mut rates = lock(&self.rates);
        let spent = rates.entry(rule).or_insert((hour, 0));
        *spent = if spent.0 == hour {
            (hour, spent.1 + 1)
        } else {
            (hour, 1)
        };
        spent.1 <= crate::config::RULE_RUNS_PER_HOUR_MAX
    }

    pub(crate) fn hand_over_admitted(&self, result: &crate::admit::Admitted, jobs: Vec<Handed>) {
        if result.is_new {
            self.announce(result.event.workspace, "event", result.event.id);
        }
        for handed in &jobs {
            if let Some(fresh) = &handed.fresh {
                self.announce(fresh.run.workspace, "run", fresh.run.id);
            }
        }
        self.hand_over(jobs);
    }

    /// Begins a unit of work for callers outside the engine.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        self.store.begin().await
    }
}

/// A lease that is prolonged while this lives.
pub(crate) struct HeldLease<'a> {
    engine: &'a Engine,
    job: so_model::id::JobId,
}

impl Drop for HeldLease<'_> {
    fn drop(&mut self) {
        lock(&self.engine.held).remove(&self.job);
    }
}

fn nonzero(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN)
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
