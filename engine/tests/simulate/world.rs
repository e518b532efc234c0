//! The director: two or three processes on one database, and who moves next.
//!
//! Invariant: nothing here waits for real time; what happens next is drawn
//! from the scene's chance, and time passes only in `advance`.

mod items;
mod time;

use std::{
    collections::BTreeMap,
    future::Future,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, atomic::Ordering},
    task::Poll,
};

use rand::RngExt as _;
use so_engine::{
    Engine, EngineParts,
    clock::{Clock, Ids, ManualClock},
    config::EngineConfig,
    engine::{Handed, HandedReceiver},
    loops::next_handed,
    script::{ScriptEngine, ScriptLimits},
};
use so_model::{
    Timestamp,
    id::{AccountId, RuleId, WorkspaceId},
    time::{MINUTE, SECOND},
};
use so_store::{Store, StoreError, StoreOptions, jobs, timers};

use crate::{
    cast::{Calls, plugins},
    network::{CALL, Network, Port},
    people::Wish,
    stage::{OUTSIDE, Parked, START, Stage, Why},
};

pub use items::Item;
use items::named;

/// Jobs that one process works on at a time.
const CREW: usize = 6;

/// What a piece of work comes to.
enum Out {
    Done,
    Claimed(Vec<Handed>),
    Booted(bool),
    Granted(Wish, Result<bool, StoreError>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Boot,
    Job,
    Claim,
    Timers,
    Upkeep,
    Wish,
}

struct Task {
    number: u64,
    process: usize,
    kind: Kind,
    what: String,
    wish: Option<Wish>,
    parked: Option<Parked>,
    since: i64,
    future: Pin<Box<dyn Future<Output = Out>>>,
}

pub struct Process {
    running: Option<(Engine, HandedReceiver)>,
    clock: ManualClock,
    skew: i64,
    is_ready: bool,
    next_upkeep: i64,
    life: u32,
}

/// The machine's clock, which is set now and then, and time as it passes.
struct ProcessClock {
    shown: ManualClock,
    stage: Stage,
}

impl Clock for ProcessClock {
    fn now(&self) -> Timestamp {
        self.shown.now()
    }
    fn steady(&self) -> i64 {
        self.stage.scene().at
    }
}

enum Choice {
    Task(u64),
    Handed(usize),
    Claim(usize),
    Timers(usize),
    Upkeep(usize),
}

/// What a seed is played in.
pub struct World {
    pub stage: Stage,
    pub network: Network,
    pub calls: Arc<Mutex<Calls>>,
    pub store: Store,
    /// Reads what is committed, past every fault.
    pub truth: Store,
    pub workspace: WorkspaceId,
    pub accounts: Vec<(AccountId, &'static str)>,
    pub rules: Vec<RuleId>,
    pub ids: Ids,
    pub agenda: BTreeMap<(i64, u64), Item>,
    pub granted: Vec<Wish>,
    outside: ManualClock,
    folder: PathBuf,
    is_alone: bool,
    processes: Vec<Process>,
    tasks: Vec<Task>,
    made: u64,
    next_job: Option<Timestamp>,
    next_timer: Option<Timestamp>,
}

impl World {
    pub async fn open(stage: Stage, folder: PathBuf) -> Self {
        let path = folder.join("social-orchestrator.db");
        let store = Store::open_simulated(&path, Arc::new(stage.clone()))
            .await
            .unwrap();
        let truth = Store::open(&StoreOptions::in_folder(&folder))
            .await
            .unwrap();
        let (seed, count, skews) = {
            let mut scene = stage.scene();
            let count = [1, 2, 2, 3][scene.below(4)];
            let skews: Vec<i64> = (0..count).map(|_| scene.between(0, SECOND)).collect();
            (scene.rng.random(), count, skews)
        };
        let outside = ManualClock::at(START);
        let clock: Arc<dyn Clock> = Arc::new(outside.clone());
        let ids = Ids::new(clock, seed);
        let processes = skews.into_iter().map(|skew| Process {
            running: None,
            clock: ManualClock::at(START),
            skew,
            is_ready: false,
            next_upkeep: 0,
            life: 0,
        });
        Self {
            network: Network::new(stage.clone()),
            calls: Arc::default(),
            store,
            truth,
            workspace: so_model::IdSource::new_id(&ids),
            accounts: Vec::new(),
            rules: Vec::new(),
            ids,
            agenda: BTreeMap::new(),
            granted: Vec::new(),
            outside,
            folder,
            is_alone: count == 1,
            processes: processes.collect(),
            tasks: Vec::new(),
            made: 0,
            next_job: None,
            next_timer: None,
            stage,
        }
    }

    pub fn count_processes(&self) -> usize {
        self.processes.len()
    }

    pub fn plan(&mut self, at: i64, item: Item) {
        self.made += 1;
        self.agenda.insert((at, self.made), item);
    }

    /// An engine that no process owns, for the set-up.
    pub fn engine(&self, process: usize) -> (Engine, HandedReceiver) {
        let own = &self.processes[process];
        let clock: Arc<dyn Clock> = Arc::new(ProcessClock {
            shown: own.clock.clone(),
            stage: self.stage.clone(),
        });
        let seed = self.stage.scene().rng.random();
        Engine::new(EngineParts {
            store: self.store.clone(),
            ids: Ids::new(clock, seed),
            config: EngineConfig {
                spill_file: Some(self.folder.join(format!("outcomes-{process}.spill"))),
                is_alone: self.is_alone,
                ..EngineConfig::new(format!("process-{process}-{}", own.life))
            },
            plugins: plugins(&self.stage, &self.calls),
            scripts: ScriptEngine::new(ScriptLimits::default()),
            publisher: Arc::new(Port {
                stage: self.stage.clone(),
                network: self.network.clone(),
                truth: self.truth.clone(),
                clock: own.clock.clone(),
            }),
        })
    }

    /// Plays until the moment has come and nothing is left to do at it.
    pub async fn play(&mut self, until: i64) {
        loop {
            self.network.play();
            self.begin_items().await;
            if self.stage.scene().breach.is_some() {
                return;
            }
            let (at, lull) = {
                let mut scene = self.stage.scene();
                (scene.at, scene.chance(4.0))
            };
            if at >= until && (self.stage.scene().is_calm || at > until + MINUTE) {
                // The last moment's work is done in the next act.
                return;
            }
            let choices = self.choices().await;
            if choices.is_empty() || lull {
                self.advance(until).await;
                continue;
            }
            let pick = self.stage.scene().below(choices.len());
            match choices[pick] {
                Choice::Task(number) => self.turn(number, true).await,
                Choice::Handed(process) => self.take_handed(process).await,
                Choice::Claim(process) => self.begin_loop(process, Kind::Claim).await,
                Choice::Timers(process) => self.begin_loop(process, Kind::Timers).await,
                Choice::Upkeep(process) => self.begin_loop(process, Kind::Upkeep).await,
            }
        }
    }

    fn wall(&self, process: usize) -> Timestamp {
        self.processes[process].clock.now()
    }

    async fn look_at_rows(&mut self) {
        let runs = jobs::next_due(&mut self.truth, "run").await.unwrap();
        let publishing = jobs::next_due(&mut self.truth, "publication")
            .await
            .unwrap();
        self.next_job = runs.into_iter().chain(publishing).min();
        self.next_timer = timers::next_due(&mut self.truth).await.unwrap();
        self.stage.scene().is_dirty = false;
    }

    async fn choices(&mut self) -> Vec<Choice> {
        let at = self.stage.scene().at;
        let mut choices = Vec::new();
        for task in &self.tasks {
            let is_ready = match &task.parked {
                None | Some((Why::Turn, _)) => true,
                Some((Why::Until(Some(moment)), _)) => *moment <= at,
                Some(_) => false,
            };
            if is_ready {
                choices.push(Choice::Task(task.number));
            }
        }
        let looks = {
            let mut scene = self.stage.scene();
            scene.is_dirty && (choices.is_empty() || scene.chance(8.0))
        };
        if looks {
            self.look_at_rows().await;
        }
        for number in 0..self.processes.len() {
            let process = &self.processes[number];
            let Some((_, receiver)) = &process.running else {
                continue;
            };
            if !process.is_ready {
                continue;
            }
            let wall = self.wall(number);
            let has = |kind| {
                self.tasks
                    .iter()
                    .any(|t| t.process == number && t.kind == kind)
            };
            let jobs = self.count_jobs(number);
            if jobs < CREW && !receiver.is_empty() {
                choices.push(Choice::Handed(number));
            }
            let is_due = |moment: Option<Timestamp>| moment.is_some_and(|moment| moment <= wall);
            if jobs < CREW && is_due(self.next_job) && !has(Kind::Claim) {
                choices.push(Choice::Claim(number));
            }
            if is_due(self.next_timer) && !has(Kind::Timers) {
                choices.push(Choice::Timers(number));
            }
            if process.next_upkeep <= at && !has(Kind::Upkeep) {
                choices.push(Choice::Upkeep(number));
            }
        }
        choices
    }

    fn count_jobs(&self, process: usize) -> usize {
        let own = |task: &&Task| task.process == process && task.kind == Kind::Job;
        self.tasks.iter().filter(own).count()
    }

    async fn begin(
        &mut self,
        process: usize,
        kind: Kind,
        what: String,
        wish: Option<Wish>,
        future: Pin<Box<dyn Future<Output = Out>>>,
    ) {
        self.made += 1;
        let number = self.made;
        let since = {
            let mut scene = self.stage.scene();
            scene.who = process;
            scene.note(&format!("begins {number}: {what}"));
            scene.who = OUTSIDE;
            scene.at
        };
        self.tasks.push(Task {
            number,
            process,
            kind,
            what,
            wish,
            parked: None,
            since,
            future,
        });
        self.turn(number, true).await;
    }

    async fn take_handed(&mut self, process: usize) {
        let Some((engine, receiver)) = &mut self.processes[process].running else {
            return;
        };
        let Some(handed) = next_handed(engine, receiver) else {
            return;
        };
        let engine = engine.clone();
        self.begin_job(process, engine, handed).await;
    }

    async fn begin_job(&mut self, process: usize, engine: Engine, handed: Handed) {
        let what = format!("{} epoch {}", handed.job.subject, handed.job.epoch);
        // Its lease wants to be prolonged in time.
        let soon = {
            let mut scene = self.stage.scene();
            scene.at + scene.seconds(15, 75)
        };
        let own = &mut self.processes[process];
        own.next_upkeep = own.next_upkeep.min(soon);
        let future = Box::pin(async move {
            engine.carry_out(handed).await;
            Out::Done
        });
        self.begin(process, Kind::Job, what, None, future).await;
    }

    async fn begin_loop(&mut self, process: usize, kind: Kind) {
        let Some((engine, _)) = &self.processes[process].running else {
            return;
        };
        let engine = engine.clone();
        let room = CREW - self.count_jobs(process).min(CREW);
        let future: Pin<Box<dyn Future<Output = Out>>> =
            match kind {
                Kind::Claim => Box::pin(async move {
                    Out::Claimed(engine.claim_jobs(room).await.unwrap_or_default())
                }),
                Kind::Timers => Box::pin(async move {
                    let _ = engine.fire_timers().await;
                    Out::Done
                }),
                _ => Box::pin(async move {
                    let _ = engine.upkeep(0).await;
                    Out::Done
                }),
            };
        if kind == Kind::Upkeep {
            // As seldom as the leases allow: a look that finds nothing costs real time.
            let is_busy = self.count_jobs(process) > 0;
            let next = {
                let mut scene = self.stage.scene();
                let span = if is_busy {
                    scene.seconds(15, 75)
                } else {
                    scene.seconds(60, 300)
                };
                scene.at + span
            };
            self.processes[process].next_upkeep = next;
        }
        self.begin(process, kind, format!("{kind:?}"), None, future)
            .await;
    }

    /// One piece of work moves until it waits or ends.
    async fn turn(&mut self, number: u64, goes: bool) {
        let Some(index) = self.tasks.iter().position(|task| task.number == number) else {
            return;
        };
        let stage = self.stage.clone();
        let task = &mut self.tasks[index];
        let process = task.process;
        if let Some((_, go)) = task.parked.take()
            && goes
        {
            go.store(true, Ordering::Relaxed);
        }
        stage.scene().who = process;
        let future = &mut task.future;
        let ended = std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(out) => Poll::Ready(Ok(out)),
            Poll::Pending => match stage.take_parked() {
                Some(parked) => Poll::Ready(Err(parked)),
                // The database works; nobody else moves meanwhile.
                None => Poll::Pending,
            },
        })
        .await;
        match ended {
            Err((Why::Crash, _)) => self.kill(process, "at a commit").await,
            Err(parked) => {
                let mut scene = stage.scene();
                if goes {
                    task.since = scene.at;
                }
                task.parked = Some(parked);
                scene.who = OUTSIDE;
            }
            Ok(out) => {
                stage.note(format!("ends {number}"));
                stage.scene().who = OUTSIDE;
                let task = self.tasks.remove(index);
                drop(task.future);
                self.network.keep(process, &task.what);
                self.ended(process, task.kind, out).await;
            }
        }
    }

    async fn ended(&mut self, process: usize, kind: Kind, out: Out) {
        if matches!(kind, Kind::Claim | Kind::Timers) {
            self.stage.scene().is_dirty = true;
        }
        match out {
            Out::Done => {}
            Out::Claimed(claimed) => {
                let Some((engine, _)) = &self.processes[process].running else {
                    return;
                };
                let engine = engine.clone();
                for handed in claimed {
                    // A neighbour's crash may have taken the process with it.
                    if self.processes[process].running.is_some() {
                        Box::pin(self.begin_job(process, engine.clone(), handed)).await;
                    }
                }
            }
            Out::Booted(true) => self.processes[process].is_ready = true,
            Out::Booted(false) => {
                self.processes[process].running = None;
                let at = self.stage.scene().at + 5 * SECOND;
                self.plan(at, Item::Boot(process));
            }
            Out::Granted(wish, Ok(true)) => self.granted.push(wish),
            Out::Granted(wish, Ok(false)) => self.stage.note(format!("too late: {}", named(&wish))),
            Out::Granted(wish, Err(error)) => {
                self.stage.note(format!("no answer: {error}"));
                self.wish_again(wish);
            }
        }
    }
}
