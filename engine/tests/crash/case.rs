//! One post, one or more processes that die, and one that lives.

use std::{os::unix::process::ExitStatusExt as _, process::Stdio, time::Duration};

use so_model::{post::PostState, run::RunState};
use so_store::{Sql as _, Store, StoreOptions, args};
use so_testkit::postgres::PostgresCluster;
use tokio::process::{Child, Command};

use crate::{
    child::{CUT_SHORT, Orders, Report},
    ground::{Ground, Migrations, Odd, happened},
    network::{Class, Network},
    points::{End, Life, Point},
};

/// A process that does not end within this is stuck.
const PATIENCE: Duration = Duration::from_secs(180);
/// A kill that did not happen proves nothing: the case is tried again so often.
const TRIES: usize = 3;
/// The write-ahead log is longer than this only within the endless migration.
const MIGRATING_BYTES: u64 = 6 * 1024 * 1024;
/// Seconds of lease of a process that dies.
const SHORT_LEASE: u64 = 2;
const LOOK: Duration = Duration::from_millis(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Database {
    Sqlite,
    Postgres,
}

#[derive(Debug, Clone)]
pub struct Case {
    pub point: Point,
    pub class: Class,
    pub database: Database,
}

/// What came of a case.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub kills: usize,
    pub lost: usize,
    pub doubled: usize,
    pub orphans: usize,
    pub wrong: Vec<String>,
}

enum Trouble {
    /// The process ended otherwise than it should have been made to.
    NotReached(String),
    Wrong(String),
}

impl<E: std::error::Error> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Wrong(error.to_string())
    }
}

impl Case {
    pub async fn run(&self, cluster: Option<&PostgresCluster>) -> Seen {
        let mut why = String::new();
        for _ in 0..TRIES {
            match self.try_once(cluster).await {
                Ok(seen) => return seen,
                Err(Trouble::NotReached(reason)) => why = reason,
                Err(Trouble::Wrong(reason)) => {
                    why = reason;
                    break;
                }
            }
        }
        Seen {
            wrong: vec![why],
            ..Seen::default()
        }
    }

    async fn try_once(&self, cluster: Option<&PostgresCluster>) -> Result<Seen, Trouble> {
        let room = tempfile::tempdir()?;
        let url = match (self.database, cluster) {
            (Database::Postgres, Some(cluster)) => cluster
                .create_fresh_database()
                .map_err(|unavailable| Trouble::Wrong(unavailable.reason))?,
            _ => StoreOptions::in_folder(room.path()).url,
        };
        let point = &self.point;
        let ground = Ground::lay(&url, point.start, point.odd, point.accounts).await;
        // Nothing was driven yet: a machine that is too busy to open a database disproves nothing.
        let ground = ground.map_err(|error| Trouble::NotReached(error.to_string()))?;
        let network = Network::start(self.class).await;
        let stage = Stage {
            case: self,
            room: room.path(),
            ground: &ground,
            network: &network,
            migrations: Migrations::copy(room.path(), self.database == Database::Sqlite),
        };
        let mut due_before = Vec::new();
        for life in &point.lives {
            stage.play(life).await?;
            if due_before.is_empty() {
                due_before = ground.due_events().await.unwrap_or_default();
            }
        }
        let report = stage.survive().await?;
        let mut wrong = self.judge(&network, &report);
        if !point.calls() && !due_before.is_empty() {
            let due = ground.due_events().await.unwrap_or(due_before.clone());
            if due != due_before {
                wrong.push(format!("the event's id changed: {due_before:?}, {due:?}"));
            }
        }
        let (public, expected) = (network.public().len(), point.expected(self.class).0);
        Ok(Seen {
            kills: point.lives.len(),
            lost: expected.saturating_sub(public),
            doubled: public.saturating_sub(expected),
            orphans: network.orphans(),
            wrong,
        })
    }

    fn judge(&self, network: &Network, report: &Report) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut claim = |holds: bool, what: String| {
            if !holds {
                wrong.push(what);
            }
        };
        let point = &self.point;
        let public = network.public();
        let (count, state) = point.expected(self.class);
        claim(
            public.len() == count,
            format!("{} public, not {count}", public.len()),
        );
        claim(
            report.posts.first().copied() == state,
            format!("the post is {:?}, not {state:?}", report.posts),
        );
        let is_known = |id: &String| public.iter().any(|post| post.id == *id);
        claim(
            report.remote_ids.iter().all(is_known),
            format!("{:?} are not at the network", report.remote_ids),
        );
        claim(!network.has_unknown_upload(), "an upload is unknown".into());
        if point.obeys_wait {
            claim(!network.was_called_too_early(), "called too early".into());
        }
        let is_published = state == Some(PostState::Published);
        let posts = usize::from(state.is_some());
        claim(report.due == posts, format!("{} due events", report.due));
        let follows = usize::from(is_published);
        claim(
            report.published == follows,
            format!("{} events that it is live", report.published),
        );
        let unreadable = usize::from(point.odd == Odd::UnreadableRun);
        claim(
            report.runs.len() == posts + follows + report.happened + unreadable,
            format!("runs: {:?}", report.runs),
        );
        claim(report.unlawful.is_empty(), report.unlawful.join("; "));
        self.judge_notes(network, report, follows, &mut claim);
        wrong
    }

    /// What rules call outside: once each, whatever was killed.
    fn judge_notes(
        &self,
        network: &Network,
        report: &Report,
        follows: usize,
        claim: &mut impl FnMut(bool, String),
    ) {
        let is_blind = self.class == Class::F;
        let happened = match self.point.end {
            End::Called { by_blind } if is_blind => by_blind,
            _ => report.happened * self.point.start.calls_each(),
        };
        let (notes, received) = (network.notes(), network.notes_received());
        let failed = report.runs.contains(&RunState::Failed);
        let expected = follows + happened;
        // The blow at a publication's step may meet the run that follows it as well, between intent and call: such a call is
        // not made again where nobody can be asked, and its run fails.
        let is_in_doubt = is_blind && failed && self.point.odd != Odd::UnreadableRun;
        claim(
            notes == expected || is_in_doubt && notes + 1 == expected,
            format!("{notes} notes, not {expected}, with runs {:?}", report.runs),
        );
        claim(
            !is_blind || received == notes,
            format!("{received} notes where none may be repeated"),
        );
        claim(
            report.happened == usize::from(self.point.calls()) + self.point.sent_last,
            format!("{} events of the sender", report.happened),
        );
        claim(
            failed == (report.run_failed == 1) && report.run_failed <= 1,
            format!("{} events that a run failed", report.run_failed),
        );
    }
}

/// A case while it is played.
struct Stage<'a> {
    case: &'a Case,
    room: &'a std::path::Path,
    ground: &'a Ground,
    network: &'a Network,
    migrations: Migrations,
}

impl Stage<'_> {
    fn command(&self, is_last: bool) -> Command {
        let point = &self.case.point;
        // Whoever dies must free its work soon. Whoever lives must not call it doubt that the machine is busy,
        // least of all where nobody can be asked.
        let (lease_secs, call_secs) = match (is_last, self.case.class) {
            (false, _) => (SHORT_LEASE as i64, 1),
            (true, Class::F) => (40, 30),
            (true, _) => (14, 4),
        };
        let orders = Orders {
            url: self.ground.url.clone(),
            port: self.network.port,
            class: self.case.class,
            workspace: self.ground.workspace,
            lease_secs,
            call_secs,
            workers: point.workers,
            spill: Some(self.room.join("outcomes.spill")),
            sent: self.ground.sent.clone(),
            sent_last: (0..point.sent_last).map(happened).collect(),
            jobs_that_stay: i64::from(matches!(point.odd, Odd::BrokenRun | Odd::NewerJob)),
            has_person: point.has_person,
            prunes: point.prunes,
        };
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["child", &serde_json::to_string(&orders).unwrap()])
            .env_remove("KILL_AT")
            .kill_on_drop(true);
        if point.lives.iter().any(|life| life.migrates) && (is_last || self.is_migrating()) {
            command.env("SO_DRILL_MIGRATIONS", &self.migrations.folder);
        }
        command
    }

    fn is_migrating(&self) -> bool {
        self.migrations.folder.join("9000_drill.sql").exists()
    }

    async fn play(&self, life: &Life) -> Result<(), Trouble> {
        if let Some((op, blow)) = &life.blow {
            self.network.next(op, blow.clone());
        }
        if life.migrates {
            return self.die_migrating().await;
        }
        let mut command = self.command(false);
        if let Some(point) = life.at {
            command.env("KILL_AT", point);
        }
        let mut child = command.stdout(Stdio::null()).spawn()?;
        if life.is_told_to_stop {
            self.stop(&mut child).await?;
        }
        let status = end(&mut child).await?;
        let is_right = match life.at {
            None if life.is_told_to_stop => status.code() == Some(CUT_SHORT),
            _ => status.signal() == Some(9),
        };
        if !is_right {
            let reason = format!("{life:?} ended with {status}");
            return Err(Trouble::NotReached(reason));
        }
        self.network.let_go();
        // On a busy machine it may die before it calls; the next process must meet a network at peace.
        self.network.calm_down();
        if life.then_spill {
            let public = self.network.public();
            let Some(entry) = public.first() else {
                return Err(Trouble::NotReached("nothing was published".into()));
            };
            let file = self.room.join("outcomes.spill");
            self.ground.spill(&file, &entry.id).await?;
        }
        Ok(())
    }

    /// SIGTERM while a call is held.
    async fn stop(&self, child: &mut Child) -> Result<(), Trouble> {
        let held = tokio::time::timeout(PATIENCE, async {
            tokio::select! {
                () = self.network.held() => true,
                _ = child.wait() => false,
            }
        });
        if held.await != Ok(true) {
            return Err(Trouble::NotReached("no call was held".into()));
        }
        signal(child, rustix::process::Signal::TERM);
        Ok(())
    }

    /// K15: killed when the migration has written, and cannot have ended.
    async fn die_migrating(&self) -> Result<(), Trouble> {
        self.migrations.endless();
        let gate = Gate::shut(self.ground, self.room, self.case.database).await?;
        let mut child = self.command(false).stdout(Stdio::null()).spawn()?;
        let seen = tokio::time::timeout(PATIENCE, async {
            loop {
                if gate.is_somebody_before_it().await? {
                    return Ok::<bool, Trouble>(true);
                }
                if child.try_wait()?.is_some() {
                    return Ok(false);
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        let is_reached = seen.await.unwrap_or(Ok(false))?;
        signal(&child, rustix::process::Signal::KILL);
        end(&mut child).await?;
        gate.open().await?;
        self.migrations.mended();
        match is_reached {
            true => Ok(()),
            false => Err(Trouble::NotReached("no migration was under way".into())),
        }
    }

    /// The last process; answers what it found.
    async fn survive(&self) -> Result<Report, Trouble> {
        // A process that comes late finds the leases of the dead ended; one of class A waits for their end itself.
        if self.case.database == Database::Postgres && self.case.class != Class::A {
            tokio::time::sleep(Duration::from_secs(SHORT_LEASE)).await;
        }
        let mut command = self.command(true);
        let child = command.stdout(Stdio::piped()).spawn()?;
        let Ok(output) = tokio::time::timeout(PATIENCE, child.wait_with_output()).await else {
            return Err(Trouble::Wrong("not settled in time".into()));
        };
        let output = output?;
        if !output.status.success() {
            let reason = format!("the last process ended with {}", output.status);
            return Err(Trouble::Wrong(reason));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
        rustix::process::kill_process(pid, signal).ok();
    }
}

async fn end(child: &mut Child) -> Result<std::process::ExitStatus, Trouble> {
    match tokio::time::timeout(PATIENCE, child.wait()).await {
        Ok(status) => Ok(status?),
        Err(_) => {
            child.kill().await.ok();
            Err(Trouble::NotReached("it did not die in time".into()))
        }
    }
}

/// What holds a migration up: a lock on PostgreSQL, the migration's own length on SQLite.
enum Gate {
    Log(std::path::PathBuf),
    Lock(Store, Box<so_store::Tx>),
}

impl Gate {
    async fn shut(
        ground: &Ground,
        room: &std::path::Path,
        database: Database,
    ) -> Result<Self, Trouble> {
        if database == Database::Sqlite {
            return Ok(Self::Log(room.join("social-orchestrator.db-wal")));
        }
        let store = Store::open(&StoreOptions::at(&ground.url)).await?;
        let mut tx = store.begin().await?;
        tx.run("CREATE TABLE gate (i bigint)", args![]).await?;
        tx.commit().await?;
        let mut tx = store.begin().await?;
        tx.run("LOCK TABLE gate", args![]).await?;
        Ok(Self::Lock(store, Box::new(tx)))
    }

    async fn is_somebody_before_it(&self) -> Result<bool, Trouble> {
        match self {
            Self::Log(file) => {
                let length = std::fs::metadata(file).map_or(0, |file| file.len());
                Ok(length > MIGRATING_BYTES)
            }
            Self::Lock(store, _) => {
                let sql = "SELECT COUNT(*) FROM pg_locks WHERE relation = 'gate'::regclass AND NOT granted";
                let row = store.clone().one(sql, args![]).await?;
                Ok(row.map_or(Ok(0), |row| row.int(0))? > 0)
            }
        }
    }

    async fn open(self) -> Result<(), Trouble> {
        if let Self::Lock(store, tx) = self {
            tx.rollback().await?;
            store.close().await?;
        }
        Ok(())
    }
}
