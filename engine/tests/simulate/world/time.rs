//! Time: it passes only here.
//!
//! Invariant: the clocks of the processes, of the runtime and of the networks
//! move together, except where the seed sets the machine's clock.

use std::time::Duration;

use so_model::time::{MINUTE, SECOND};

use super::{CALL, World};
use crate::stage::{START, Why};

impl World {
    pub(super) fn set_clocks(&mut self) {
        let mut scene = self.stage.scene();
        scene.highest = scene.highest.max(scene.at + scene.off);
        let wall = START.plus(scene.at + scene.off);
        self.outside.set(wall);
        for process in &self.processes {
            process.clock.set(wall.plus(process.skew));
        }
    }

    /// Time goes on to the next moment at which something can happen, and now and then beyond.
    pub(super) async fn advance(&mut self, until: i64) {
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

    pub(super) async fn pass(&mut self, span: i64) {
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
