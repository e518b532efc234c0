//! What the seed has in store: wishes, faults, deaths of processes.
//!
//! Invariant: what a dead process had in memory is gone; its clients ask again.

use rand::RngExt as _;
use so_model::{Timestamp, time::SECOND};
use so_store::jobs;

use super::{Kind, Out, Task, World};
use crate::{
    people::{Wish, grant},
    stage::{Harm, OUTSIDE},
};

/// A call that is accepted after so long is late.
const LATE: i64 = 36 * SECOND;

/// Something that the seed has in store.
#[derive(Debug, Clone)]
pub enum Item {
    Wish(Wish),
    Boot(usize),
    Kill(usize),
    Harm(usize, Harm, u32),
    Steal,
    Away(i64),
    /// The clock is set by so much, after so many looks for a bad moment at the most.
    Step(i64, u32),
    /// A clock that was set by so much is set right.
    SetRight(i64),
    Sleep(i64),
    Round,
}

impl World {
    pub(super) fn wish_again(&mut self, wish: Wish) {
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

    pub(super) async fn begin_items(&mut self) {
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

    pub(super) async fn item(&mut self, item: Item) {
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
            // Where it hurts most: a call is under way that others may soon take for dead.
            Item::Step(by, patience) => {
                let at = self.stage.scene().at;
                let is_bad = by < 0 || self.network.has_late_call(at + LATE);
                if !is_bad && patience > 0 {
                    return self.plan(at + 5 * SECOND, Item::Step(by, patience - 1));
                }
                self.set_clock(by);
                // Somebody notices and sets it right.
                let later = at + self.stage.scene().seconds(600, 5_400);
                self.plan(later, Item::SetRight(by));
            }
            Item::SetRight(by) => self.set_clock(-by),
            Item::Sleep(span) => {
                self.stage.scene().fault("machine slept");
                self.pass(span).await;
            }
            Item::Round => self.round().await,
        }
    }

    fn set_clock(&mut self, by: i64) {
        let mut scene = self.stage.scene();
        scene.off += by;
        scene.fault("clock set");
        scene.note(&format!("clock set by {by}"));
        // Loops look every second; here they do so when it matters.
        let soon: Vec<i64> = self
            .processes
            .iter()
            .map(|_| scene.at + scene.rng.random_range(0..2 * SECOND))
            .collect();
        drop(scene);
        for (process, soon) in self.processes.iter_mut().zip(soon) {
            process.next_upkeep = soon;
        }
        self.set_clocks();
    }

    pub(super) async fn begin_wish(&mut self, wish: Wish) {
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

    pub(super) async fn boot(&mut self, process: usize) {
        if self.processes[process].running.is_some() {
            return;
        }
        self.processes[process].life += 1;
        let (engine, receiver) = self.engine(process);
        self.processes[process].running = Some((engine.clone(), receiver));
        let future = Box::pin(async move {
            let is_up = engine.recover().await.is_ok();
            Out::Booted(is_up)
        });
        Box::pin(self.begin(process, Kind::Boot, "boot".into(), None, future)).await;
    }

    /// The process is gone, with everything it had in memory.
    pub(super) async fn kill(&mut self, process: usize, when: &str) {
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
        self.network.forget(process);
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

    pub(super) async fn steal_leases(&mut self) {
        let mut tx = self.store.begin().await.unwrap();
        let ever = Timestamp::from_micros(i64::MAX / 2);
        let stolen = jobs::rescue(&mut tx, ever).await.unwrap();
        tx.commit().await.unwrap();
        let mut scene = self.stage.scene();
        for _ in 0..stolen {
            scene.fault("lease stolen");
        }
        scene.note(&format!("{stolen} leases stolen"));
    }
}

pub(super) fn named(wish: &Wish) -> String {
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
