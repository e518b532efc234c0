//! Lanes: how many calls go to one other side at a time.
//!
//! A side that never answers holds each call until its time-out. Owns keeping such calls from taking every
//! worker. Invariant: at least half of the workers are free of any one lane; what waits for a place in its
//! lane holds no worker, its claim is kept alive, and whoever leaves hands the place itself on to it: nobody who comes
//! later takes it, and what waits is looked at once only.
//! Calls of one run side by side take a place each; those beyond the first also one of `Engine::calls_beside`.

use std::{
    collections::{HashMap, VecDeque},
    sync::Mutex,
};

use so_model::time::SECOND;
use so_store::{StoreError, jobs, jobs::Job};

use crate::engine::{Engine, Handed, lock};

/// Claimed jobs that wait in memory for one lane: as many posts as may be due in one second.
const LANE_WAITS_MAX: usize = 5_000;
/// Claimed jobs that wait in memory for any lane.
const WAITS_MAX: usize = 10_000;
/// Beyond that, rows wait for so long.
const PUT_OFF: i64 = 5 * SECOND;

/// The lanes in use.
#[derive(Debug, Default)]
pub(crate) struct Lanes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    lanes: HashMap<String, Lane>,
    waits: usize,
}

#[derive(Debug, Default)]
struct Lane {
    under_way: usize,
    waiting: VecDeque<Job>,
}

impl State {
    /// Frees a place; the job that has it now, if one waits.
    fn leave(&mut self, name: &str) -> Option<Job> {
        let lane = self.lanes.get_mut(name)?;
        if let Some(next) = lane.waiting.pop_front() {
            self.waits -= 1;
            return Some(next);
        }
        lane.under_way = lane.under_way.saturating_sub(1);
        if lane.under_way == 0 {
            self.lanes.remove(name);
        }
        None
    }

    /// The server stops: nobody goes on with what waits here.
    fn close(&mut self, name: &str) {
        if let Some(lane) = self.lanes.remove(name) {
            self.waits -= lane.waiting.len();
        }
    }
}

/// Whether a call may be made now.
pub(crate) enum Entered {
    /// It may, until this is dropped.
    Now(LanePlace),
    /// The job waits in memory or as a row; whoever works on it leaves it.
    Waits,
}

/// A place in a lane; whoever drops it hands it on.
pub(crate) struct LanePlace {
    engine: Engine,
    name: String,
}

impl std::fmt::Debug for LanePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LanePlace").field(&self.name).finish()
    }
}

impl Drop for LanePlace {
    fn drop(&mut self) {
        let next = {
            let mut state = lock(&self.engine.lanes.0);
            // Nobody would take it, and it would come back here.
            if self.engine.handed.is_closed() {
                state.close(&self.name);
                return;
            }
            state.leave(&self.name)
        };
        let Some(job) = next else { return };
        let place = Self {
            engine: self.engine.clone(),
            name: std::mem::take(&mut self.name),
        };
        self.engine.hand_over(vec![Handed {
            place: Some(place),
            ..Handed::of(job)
        }]);
    }
}

impl Engine {
    fn lane_places(&self) -> usize {
        (self.config.workers / 2).max(1)
    }

    /// Takes a place in a lane for the job, or lets the job wait; one that waited brings its place.
    pub(crate) async fn enter_lane(
        &self,
        name: &str,
        job: &Job,
        brought: Option<LanePlace>,
    ) -> Result<Entered, StoreError> {
        if let Some(place) = brought.filter(|place| place.name == name) {
            return Ok(Entered::Now(place));
        }
        let places = self.lane_places();
        let is_kept = {
            let mut state = lock(&self.lanes.0);
            let waits = state.waits;
            let lane = state.lanes.entry(name.to_owned()).or_default();
            if lane.under_way < places {
                lane.under_way += 1;
                return Ok(Entered::Now(LanePlace {
                    engine: self.clone(),
                    name: name.to_owned(),
                }));
            }
            let has_room = lane.waiting.len() < LANE_WAITS_MAX && waits < WAITS_MAX;
            if has_room {
                lane.waiting.push_back(job.clone());
                state.waits += 1;
            }
            has_room
        };
        if !is_kept {
            let mut tx = self.store.begin().await?;
            let reason = "many calls to the same place are under way";
            jobs::put_off(&mut tx, job, self.now().plus(PUT_OFF), Some(reason)).await?;
            crate::failpoint::hit("lane.put_off.commit");
            tx.commit().await?;
        }
        Ok(Entered::Waits)
    }

    /// Takes a place in a lane if one is free; nobody waits.
    pub(crate) fn enter_free_lane(&self, name: &str) -> Option<LanePlace> {
        let places = self.lane_places();
        let mut state = lock(&self.lanes.0);
        let lane = state.lanes.entry(name.to_owned()).or_default();
        (lane.under_way < places && lane.waiting.is_empty()).then(|| {
            lane.under_way += 1;
            LanePlace {
                engine: self.clone(),
                name: name.to_owned(),
            }
        })
    }

    /// Jobs that wait for a place; their leases are kept alive.
    pub(crate) fn waiting_in_lanes(&self) -> Vec<Job> {
        let state = lock(&self.lanes.0);
        let lanes = state.lanes.values();
        lanes
            .flat_map(|lane| lane.waiting.iter().cloned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{engine::HandedReceiver, testing::World};

    fn job(world: &World, number: u8) -> Job {
        Job {
            id: so_model::IdSource::new_id(&world.engine.ids),
            workspace: world.workspace,
            kind: "run".into(),
            subject: number.to_string(),
            epoch: 1,
            tries: 1,
        }
    }

    fn handed(receiver: &mut HandedReceiver) -> Vec<Handed> {
        std::iter::from_fn(|| receiver.try_recv()).collect()
    }

    fn subjects(handed: &[Handed]) -> Vec<&str> {
        handed.iter().map(|one| one.job.subject.as_str()).collect()
    }

    async fn enter(world: &World, lane: &str, job: &Job) -> Option<LanePlace> {
        match world.engine.enter_lane(lane, job, None).await.unwrap() {
            Entered::Now(place) => Some(place),
            Entered::Waits => None,
        }
    }

    #[tokio::test]
    async fn a_side_that_never_answers_leaves_half_of_the_workers_to_others() {
        let mut world = World::new().await;
        let half = world.engine.config.workers / 2;
        let mut dead = Vec::new();
        for _ in 0..half {
            dead.push(enter(&world, "dead", &job(&world, 0)).await.unwrap());
        }
        for number in 1..=3 {
            assert!(enter(&world, "dead", &job(&world, number)).await.is_none());
        }
        assert!(enter(&world, "alive", &job(&world, 9)).await.is_some());
        assert_eq!(world.engine.waiting_in_lanes().len(), 3);
        assert_eq!(
            world.engine.held_jobs().len(),
            3,
            "their leases are renewed"
        );
        assert!(handed(&mut world.receiver).is_empty());

        dead.pop();
        let first = handed(&mut world.receiver);
        assert_eq!(subjects(&first), ["1"]);
        assert!(
            enter(&world, "dead", &job(&world, 4)).await.is_none(),
            "the place is that of the job that waited for it"
        );
        // That one found nothing to call for any more: the others are not forgotten.
        drop(first);
        let second = handed(&mut world.receiver);
        assert_eq!(subjects(&second), ["2"]);
        drop(dead);
        let others = handed(&mut world.receiver);
        assert_eq!(subjects(&others), ["3", "4"]);
        drop((second, others));
        assert!(world.engine.waiting_in_lanes().is_empty());
        assert!(lock(&world.engine.lanes.0).lanes.is_empty());
    }

    #[tokio::test]
    async fn a_server_that_stops_hands_no_place_on() {
        let mut world = World::new().await;
        let half = world.engine.config.workers / 2;
        let mut places = Vec::new();
        for _ in 0..half {
            places.push(enter(&world, "slow", &job(&world, 0)).await.unwrap());
        }
        for number in 1..=3 {
            assert!(enter(&world, "slow", &job(&world, number)).await.is_none());
        }
        world.receiver.close();
        drop(places);
        assert!(handed(&mut world.receiver).is_empty());
        assert_eq!(lock(&world.engine.lanes.0).waits, 0);
    }
}
