//! The director: two or three processes on one database, and who moves next.
//!
//! Invariant: nothing here waits for real time; what happens next is drawn
//! from the scene's chance, and time passes only in `advance`.

use std::{
    collections::BTreeMap,
    future::Future,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, atomic::Ordering},
    task::Poll,
    time::Duration,
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
    network::{Network, Port},
    people::{Wish, grant},
    stage::{Harm, OUTSIDE, Parked, START, Stage, Why},
};

/// Jobs that one process works on at a time.
const CREW: usize = 6;
/// The longest call, as the engine has it.
const CALL: i64 = MINUTE;

/// Something that the seed has in store.
#[derive(Debug, Clone)]
pub enum Item {
    Wish(Wish),
    Boot(usize),
    Kill(usize),
    Harm(usize, Harm, u32),
    Steal,
    Away(i64),
    Step(i64),
    Sleep(i64),
    Round,
}

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
        let clock: Arc<dyn Clock> = Arc::new(own.clock.clone());
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
        let publishing = jobs::next_due(&mut self.truth, "publication").await.unwrap();
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

    fn wish_again(&mut self, wish: Wish) {
        // What a person said of a publication holds for what they saw; they look again.
        if matches!(wish, Wish::Decide(..)) {
            return;
        }
        let at = {
            let mut scene = self.stage.scene();
            scene.at + scene.between(SECOND, 20 * SECOND)
        };
        self.plan(at, Item::Wish(wish));
    }

    async fn begin_items(&mut self) {
        loop {
            let at = self.stage.scene().at;
            match self.agenda.first_entry() {
                Some(first) if first.key().0 <= at => {
                    let item = first.remove();
                    self.item(item).await;
                }
                _ => return,
            }
        }
    }

    async fn item(&mut self, item: Item) {
        match item {
            Item::Wish(wish) => self.begin_wish(wish).await,
            Item::Boot(process) => self.boot(process).await,
            Item::Kill(process) => {
                if self.processes[process].running.is_some() {
                    self.stage.scene().fault("process killed");
                    self.kill(process, "between two moments").await;
                }
            }
            Item::Harm(process, harm, after) => {
                self.stage.scene().harm[process] = Some((harm, after));
            }
            Item::Steal => self.steal_leases().await,
            Item::Away(span) => {
                let mut scene = self.stage.scene();
                scene.away_until = scene.at + span;
                scene.fault("database away");
                scene.note(&format!("database away for {span}"));
            }
            Item::Step(by) => {
                let mut scene = self.stage.scene();
                scene.off += by;
                scene.fault("clock set");
                scene.note(&format!("clock set by {by}"));
                drop(scene);
                self.set_clocks();
            }
            Item::Sleep(span) => {
                self.stage.scene().fault("machine slept");
                self.pass(span).await;
            }
            Item::Round => self.round().await,
        }
    }

    async fn begin_wish(&mut self, wish: Wish) {
        let up: Vec<usize> = (0..self.processes.len())
            .filter(|number| self.processes[*number].is_ready)
            .collect();
        if up.is_empty() {
            return self.wish_again(wish);
        }
        let process = up[self.stage.scene().below(up.len())];
        let Some((engine, _)) = &self.processes[process].running else {
            return self.wish_again(wish);
        };
        let (engine, workspace, own) = (engine.clone(), self.workspace, wish.clone());
        let future = Box::pin(async move {
            let answer = grant(engine, workspace, own.clone()).await;
            Out::Granted(own, answer)
        });
        let what = named(&wish);
        self.begin(process, Kind::Wish, what, Some(wish), future)
            .await;
    }

    async fn boot(&mut self, process: usize) {
        if self.processes[process].running.is_some() {
            return;
        }
        self.processes[process].life += 1;
        let (engine, receiver) = self.engine(process);
        self.processes[process].running = Some((engine.clone(), receiver));
        let future = Box::pin(async move {
            let is_up = engine.recover().await.is_ok() && engine.reload_rules().await.is_ok();
            Out::Booted(is_up)
        });
        Box::pin(self.begin(process, Kind::Boot, "boot".into(), None, future)).await;
    }

    /// The process is gone, with everything it had in memory.
    async fn kill(&mut self, process: usize, when: &str) {
        self.stage.note(format!("process {process} dies {when}"));
        let (dead, alive) = std::mem::take(&mut self.tasks)
            .into_iter()
            .partition(|task: &Task| task.process == process);
        self.tasks = alive;
        let dead: Vec<Task> = dead;
        for task in dead {
            self.stage
                .note(format!("cut {} {}", task.number, task.what));
            drop(task.future);
            // Its client hears nothing and asks again.
            if let Some(wish) = task.wish {
                self.wish_again(wish);
            }
        }
        let own = &mut self.processes[process];
        own.running = None;
        own.is_ready = false;
        let at = {
            let mut scene = self.stage.scene();
            scene.harm[process] = None;
            scene.who = OUTSIDE;
            scene.at + scene.between(SECOND, 90 * SECOND)
        };
        self.plan(at, Item::Boot(process));
    }

    async fn steal_leases(&mut self) {
        let mut tx = self.store.begin().await.unwrap();
        let ever = Timestamp::from_micros(i64::MAX / 2);
        let now = self.outside.now();
        let stolen = jobs::rescue(&mut tx, ever).await.unwrap();
        tx.commit().await.unwrap();
        // Due from the beginning of time would be due; the rescued keep their own moment.
        let mut scene = self.stage.scene();
        for _ in 0..stolen {
            scene.fault("lease stolen");
        }
        scene.note(&format!("{stolen} leases stolen at {now}"));
    }

    fn set_clocks(&mut self) {
        let mut scene = self.stage.scene();
        scene.highest = scene.highest.max(scene.at + scene.off);
        let wall = START.plus(scene.at + scene.off);
        self.outside.set(wall);
        for process in &self.processes {
            process.clock.set(wall.plus(process.skew));
        }
    }

    /// Time goes on to the next moment at which something can happen, and now and then beyond.
    async fn advance(&mut self, until: i64) {
        if self.stage.scene().is_dirty {
            self.look_at_rows().await;
        }
        let (at, off) = {
            let scene = self.stage.scene();
            (scene.at, scene.off)
        };
        let mut next = until.max(at);
        let mut by = |moment: i64| {
            if moment > at && moment < next {
                next = moment;
            }
        };
        let skew = self
            .processes
            .iter()
            .map(|process| process.skew)
            .max()
            .unwrap_or(0);
        for moment in [self.next_job, self.next_timer].into_iter().flatten() {
            by(moment.since(START) - off - skew);
            by(moment.since(START) - off);
        }
        for task in &self.tasks {
            match &task.parked {
                Some((Why::Until(Some(moment)), _)) => by(*moment),
                Some((Why::Until(None), _)) => by((task.since + CALL).max(at + SECOND)),
                _ => {}
            }
        }
        if let Some(moment) = self.network.next() {
            by(moment);
        }
        if let Some(((moment, _), _)) = self.agenda.first_key_value() {
            by(*moment);
        }
        for process in &self.processes {
            if process.is_ready {
                by(process.next_upkeep);
            }
        }
        let more = {
            let mut scene = self.stage.scene();
            match scene.below(100) {
                0..=74 => scene.between(0, 20_000),
                75..=94 => scene.between(0, 5 * SECOND),
                _ => scene.between(0, 2 * MINUTE),
            }
        };
        self.pass((next - at + more).max(1_000)).await;
    }

    async fn pass(&mut self, span: i64) {
        self.stage.scene().at += span;
        self.set_clocks();
        tokio::time::advance(Duration::from_micros(span.unsigned_abs())).await;
        self.network.play();
        // Calls whose time ran out notice it.
        let waiting: Vec<u64> = self
            .tasks
            .iter()
            .filter(|task| matches!(task.parked, Some((Why::Until(_), _))))
            .map(|task| task.number)
            .collect();
        let at = self.stage.scene().at;
        for number in waiting {
            let is_due = self.tasks.iter().any(|task| {
                task.number == number
                    && matches!(&task.parked, Some((Why::Until(Some(moment)), _)) if *moment <= at)
            });
            // Which comes first of an answer and the end of patience, when both are due, is open.
            if !is_due {
                self.turn(number, false).await;
            }
        }
    }
}

fn named(wish: &Wish) -> String {
    match wish {
        Wish::Deliver(events) => {
            let names: Vec<_> = events
                .iter()
                .map(|event| event.dedupe.clone().unwrap_or_default())
                .collect();
            format!("delivery {}", names.join(" "))
        }
        Wish::Schedule(post) => format!("schedule {}", post.id),
        other => format!("{other:?}"),
    }
}
