//! Claimed work on its way to the workers of this process.
//!
//! Owns in which order it is taken. Invariant: workspaces take turns, and one
//! that has its share of places waits although others go on, so that nobody's
//! backlog or slow calls keep another's work from being picked up. Publications
//! are not behind runs: they come with their place at the network.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use so_model::id::WorkspaceId;
use tokio::sync::Notify;

use crate::{
    engine::{Handed, lock},
    publish::JOB_PUBLICATION,
};

/// The giving end.
#[derive(Clone)]
pub(crate) struct HandOver(Arc<Shared>);

/// The taking end, for the work loop.
pub struct HandedReceiver(Arc<Shared>);

#[derive(Default)]
struct Shared {
    lanes: Mutex<Lanes>,
    changed: Notify,
    has_publication: Notify,
}

#[derive(Default)]
struct Lanes {
    /// Workspaces with work, in the order of their turns.
    turns: VecDeque<WorkspaceId>,
    waiting: HashMap<WorkspaceId, VecDeque<Handed>>,
    publications: VecDeque<Handed>,
    /// Of those in `waiting`.
    count: usize,
    /// Jobs under way by workspace, whichever way they came.
    busy: HashMap<WorkspaceId, usize>,
    share: usize,
    is_closed: bool,
}

/// Both ends; a workspace has at most `share` jobs under way at a time.
pub(crate) fn pair(share: usize) -> (HandOver, HandedReceiver) {
    let shared = Arc::new(Shared::default());
    lock(&shared.lanes).share = share.max(1);
    (HandOver(shared.clone()), HandedReceiver(shared))
}

impl Lanes {
    fn next(&mut self) -> Option<Handed> {
        for _ in 0..self.turns.len() {
            let workspace = self.turns.pop_front()?;
            if self.busy_of(workspace) >= self.share {
                self.turns.push_back(workspace);
                continue;
            }
            let lane = self.waiting.get_mut(&workspace)?;
            let handed = lane.pop_front();
            if lane.is_empty() {
                self.waiting.remove(&workspace);
            } else {
                self.turns.push_back(workspace);
            }
            if handed.is_some() {
                self.count -= 1;
                return handed;
            }
        }
        None
    }

    fn take(&mut self, kind: &str) -> Option<Handed> {
        match kind {
            JOB_PUBLICATION => self.publications.pop_front(),
            _ => self.next(),
        }
    }

    fn busy_of(&self, workspace: WorkspaceId) -> usize {
        self.busy.get(&workspace).copied().unwrap_or(0)
    }
}

impl HandOver {
    /// Gives one job; false when nobody takes any more.
    pub(crate) fn give(&self, handed: Handed) -> bool {
        let mut lanes = lock(&self.0.lanes);
        if lanes.is_closed {
            return false;
        }
        if handed.job.kind == JOB_PUBLICATION {
            lanes.publications.push_back(handed);
            drop(lanes);
            self.0.has_publication.notify_one();
            return true;
        }
        let workspace = handed.job.workspace;
        let lane = lanes.waiting.entry(workspace).or_default();
        let is_first = lane.is_empty();
        lane.push_back(handed);
        if is_first {
            lanes.turns.push_back(workspace);
        }
        lanes.count += 1;
        drop(lanes);
        self.0.changed.notify_one();
        true
    }

    /// Nobody takes any more.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.0.lanes).is_closed
    }

    /// How many jobs of runs wait.
    pub(crate) fn len(&self) -> usize {
        lock(&self.0.lanes).count
    }

    /// How many more jobs of a workspace may be under way.
    pub(crate) fn share_left(&self, workspace: WorkspaceId) -> usize {
        let lanes = lock(&self.0.lanes);
        lanes.share.saturating_sub(lanes.busy_of(workspace))
    }

    /// Counts a job as under way until the guard is dropped.
    pub(crate) fn occupy(&self, workspace: WorkspaceId) -> Occupied {
        *lock(&self.0.lanes).busy.entry(workspace).or_default() += 1;
        Occupied {
            shared: self.0.clone(),
            workspace,
        }
    }
}

impl HandedReceiver {
    /// The next job of a kind, if a run's then of a workspace whose share is not used up; none after `close`.
    pub async fn recv(&self, kind: &str) -> Option<Handed> {
        let bell = match kind {
            JOB_PUBLICATION => &self.0.has_publication,
            _ => &self.0.changed,
        };
        loop {
            let changed = bell.notified();
            {
                let mut lanes = lock(&self.0.lanes);
                if let Some(handed) = lanes.take(kind) {
                    return Some(handed);
                }
                if lanes.is_closed {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        let lanes = lock(&self.0.lanes);
        lanes.count == 0 && lanes.publications.is_empty()
    }

    /// What `recv` would give at once.
    pub fn try_recv(&mut self) -> Option<Handed> {
        let mut lanes = lock(&self.0.lanes);
        lanes.next().or_else(|| lanes.publications.pop_front())
    }

    /// Takes nothing more; answers what still waited.
    pub fn close(&self) -> Vec<Handed> {
        let mut lanes = lock(&self.0.lanes);
        lanes.is_closed = true;
        lanes.count = 0;
        lanes.turns.clear();
        let mut left: Vec<Handed> = lanes.waiting.drain().flat_map(|(_, lane)| lane).collect();
        left.extend(lanes.publications.drain(..));
        left
    }
}

impl Drop for HandedReceiver {
    fn drop(&mut self) {
        lock(&self.0.lanes).is_closed = true;
    }
}

/// A place that a workspace uses.
pub(crate) struct Occupied {
    shared: Arc<Shared>,
    workspace: WorkspaceId,
}

impl Drop for Occupied {
    fn drop(&mut self) {
        let mut lanes = lock(&self.shared.lanes);
        if let Some(count) = lanes.busy.get_mut(&self.workspace) {
            *count -= 1;
            if *count == 0 {
                lanes.busy.remove(&self.workspace);
            }
        }
        drop(lanes);
        self.shared.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use so_model::{
        Timestamp,
        id::{JobId, WorkspaceId},
    };
    use so_store::jobs::Job;

    use super::*;

    fn workspace(n: u8) -> WorkspaceId {
        WorkspaceId::from_parts(Timestamp::from_micros(1), [n; 10])
    }

    fn job(of: u8, n: u8) -> Handed {
        Handed {
            job: Job {
                id: JobId::from_parts(Timestamp::from_micros(1), [n; 10]),
                workspace: workspace(of),
                kind: "run".into(),
                subject: format!("{of}/{n}"),
                epoch: 1,
                tries: 1,
            },
            fresh: None,
            read: None,
            place: None,
        }
    }

    fn taken(receiver: &mut HandedReceiver) -> Vec<String> {
        std::iter::from_fn(|| receiver.try_recv())
            .map(|handed| handed.job.subject)
            .collect()
    }

    #[test]
    fn workspaces_take_turns_and_each_keeps_its_order() {
        let (give, mut take) = pair(100);
        for n in 0..4 {
            give.give(job(1, n));
        }
        give.give(job(2, 0));
        give.give(job(3, 0));
        assert_eq!(give.len(), 6);
        assert_eq!(taken(&mut take), ["1/0", "2/0", "3/0", "1/1", "1/2", "1/3"]);
        assert_eq!(give.len(), 0);
    }

    #[test]
    fn a_workspace_with_its_share_under_way_waits_while_others_go_on() {
        let (give, mut take) = pair(2);
        let places: Vec<Occupied> = (0..2).map(|_| give.occupy(workspace(1))).collect();
        give.give(job(1, 0));
        give.give(job(2, 0));
        assert_eq!(give.share_left(workspace(1)), 0);
        assert_eq!(taken(&mut take), ["2/0"]);
        drop(places);
        assert_eq!(taken(&mut take), ["1/0"]);
    }

    fn publication(n: u8) -> Handed {
        let mut handed = job(1, n);
        handed.job.kind = JOB_PUBLICATION.into();
        handed.job.subject = format!("publication {n}");
        handed
    }

    #[tokio::test]
    async fn a_publication_is_behind_no_run_and_needs_no_share() {
        let (give, take) = pair(1);
        let _busy = give.occupy(workspace(1));
        give.give(job(1, 0));
        give.give(publication(1));
        let taken = take.recv(JOB_PUBLICATION).await.unwrap();
        assert_eq!(taken.job.subject, "publication 1");
        assert_eq!(give.len(), 1, "the run waits for its share");
    }

    #[tokio::test]
    async fn a_freed_place_wakes_the_taker() {
        let (give, take) = pair(1);
        let place = give.occupy(workspace(1));
        give.give(job(1, 0));
        let waiting = tokio::spawn(async move { take.recv("run").await });
        tokio::task::yield_now().await;
        drop(place);
        assert_eq!(waiting.await.unwrap().unwrap().job.subject, "1/0");
    }

    #[test]
    fn what_waited_at_the_close_is_given_back_and_nothing_is_taken_after() {
        let (give, take) = pair(1);
        give.give(job(1, 0));
        give.give(publication(1));
        assert_eq!(take.close().len(), 2);
        assert!(!give.give(job(1, 1)));
    }
}
