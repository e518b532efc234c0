//! Which due jobs this process takes next.
//!
//! Owns the fairness among workspaces. Invariant: as long as two workspaces
//! have due work, no claim goes to one of them alone.

use so_model::id::WorkspaceId;
use so_store::{StoreError, jobs};

use crate::{
    admit::JOB_RUN,
    engine::{Engine, Handed},
    publish::JOB_PUBLICATION,
};

/// What is written at a job that this server cannot do.
const UNKNOWN_KIND: &str = "this server does not know this kind of job; it waits for a newer one";

/// Jobs at which that is written in one transaction.
const NOTED_AT_ONCE: i64 = 500;

/// Whose turn it is when more is due than can be claimed.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// The last workspace of the former claim.
    after: String,
}

impl Engine {
    /// Claims jobs that are due, of every kind.
    pub async fn claim_jobs(&self, limit: usize) -> Result<Vec<Handed>, StoreError> {
        let mut claimed = Vec::new();
        for kind in [JOB_RUN, JOB_PUBLICATION] {
            let mut turn = Turn::default();
            claimed.extend(self.claim_in_turn(kind, limit, &mut turn).await?);
        }
        Ok(claimed)
    }

    /// Writes at jobs whose kind only a newer server knows why nothing happens; they are left to that server.
    pub(super) async fn note_unknown(&self) -> Result<(), StoreError> {
        let now = self.now();
        let mut reader = self.store.clone();
        let known = [JOB_RUN, JOB_PUBLICATION];
        for kind in jobs::list_other_kinds(&mut reader, known, UNKNOWN_KIND, now).await? {
            let mut tx = self.store.begin().await?;
            let noted = jobs::note(&mut tx, &kind, UNKNOWN_KIND, now, NOTED_AT_ONCE).await?;
            crate::failpoint::hit("job.note.commit");
            tx.commit().await?;
            if noted > 0 {
                tracing::warn!(job.kind = %kind, noted, "jobs wait for a newer server");
            }
        }
        Ok(())
    }

    /// Claims due jobs of a kind. If not all can be had, workspaces take turns.
    pub(crate) async fn claim_in_turn(
        &self,
        kind: &'static str,
        limit: usize,
        turn: &mut Turn,
    ) -> Result<Vec<Handed>, StoreError> {
        let now = self.now();
        let limit = i64::try_from(limit).unwrap_or(1);
        let mut reader = self.store.clone();
        let due = jobs::count_due(&mut reader, kind, now, limit + 1).await?;
        if due == 0 {
            return Ok(Vec::new());
        }
        let until = now.plus(self.config.lease);
        let owner = &self.config.owner;
        let mut claimed = Vec::new();
        let mut tx = self.store.begin().await?;
        // A quarter of the places is free, and what is due leaves half of the free ones.
        let quarter = i64::try_from(self.config.workers / 4).unwrap_or(1);
        if due <= limit / 2 && limit >= quarter {
            claimed = jobs::claim(&mut tx, kind, now, owner, until, limit).await?;
        } else {
            for (workspace, share) in self.shares(kind, limit, turn).await? {
                claimed.extend(
                    jobs::claim_of(&mut tx, kind, workspace, now, owner, until, share).await?,
                );
            }
        }
        if claimed.is_empty() {
            tx.rollback().await?;
        } else {
            crate::failpoint::hit("job.claim.commit");
            tx.commit().await?;
        }
        Ok(claimed.into_iter().map(Handed::of).collect())
    }

    /// How many jobs of which workspace are to be claimed next.
    async fn shares(
        &self,
        kind: &'static str,
        limit: i64,
        turn: &mut Turn,
    ) -> Result<Vec<(WorkspaceId, i64)>, StoreError> {
        let now = self.now();
        let mut reader = self.store.clone();
        let mut waiting = jobs::workspaces_due(&mut reader, kind, &turn.after, now, limit).await?;
        if i64::try_from(waiting.len()).unwrap_or(limit) < limit && !turn.after.is_empty() {
            // The round is over; the rest of this claim belongs to the next one.
            for workspace in jobs::workspaces_due(&mut reader, kind, "", now, limit).await? {
                if !waiting.contains(&workspace) {
                    waiting.push(workspace);
                }
            }
            waiting.truncate(usize::try_from(limit).unwrap_or(1));
        }
        turn.after = waiting.last().map_or_else(String::new, ToString::to_string);
        let count = i64::try_from(waiting.len()).unwrap_or(1).max(1);
        let each = (limit / count).max(1);
        let shares = waiting.into_iter().filter_map(|workspace| {
            let left = match kind {
                JOB_RUN => self.handed.share_left(workspace),
                _ => self.config.share(),
            };
            let share = each.min(i64::try_from(left).unwrap_or(each));
            (share > 0).then_some((workspace, share))
        });
        Ok(shares.collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use so_model::{IdSource as _, id::WorkspaceId};
    use so_store::jobs;

    use super::*;
    use crate::testing::World;

    async fn queue(world: &World, workspace: WorkspaceId, count: usize) {
        let mut tx = world.engine.store.begin().await.unwrap();
        for n in 0..count {
            let (id, at) = (world.engine.ids.new_id(), world.engine.now());
            let subject = format!("{workspace}/{n}");
            jobs::wake(&mut tx, id, workspace, JOB_RUN, &subject, at)
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();
    }

    fn by_workspace(claimed: &[Handed]) -> BTreeMap<WorkspaceId, usize> {
        let mut count = BTreeMap::new();
        for handed in claimed {
            *count.entry(handed.job.workspace).or_default() += 1;
        }
        count
    }

    #[tokio::test]
    async fn a_long_queue_of_one_workspace_leaves_the_others_their_turns() {
        let world = World::new().await;
        let crowd: WorkspaceId = world.engine.ids.new_id();
        queue(&world, crowd, 2_000).await;
        let others: Vec<WorkspaceId> = (0..20).map(|_| world.engine.ids.new_id()).collect();
        for other in &others {
            queue(&world, *other, 1).await;
        }
        let mut turn = Turn::default();
        let claimed = world.engine.claim_in_turn(JOB_RUN, 64, &mut turn).await;
        let count = by_workspace(&claimed.unwrap());
        assert!(others.iter().all(|other| count.get(other) == Some(&1)));
        assert!(count[&crowd] >= 1);
    }

    #[tokio::test]
    async fn more_workspaces_than_places_all_get_their_turn_in_rounds() {
        let world = World::new().await;
        let all: Vec<WorkspaceId> = (0..10).map(|_| world.engine.ids.new_id()).collect();
        for workspace in &all {
            queue(&world, *workspace, 30).await;
        }
        let mut turn = Turn::default();
        let mut total = BTreeMap::new();
        for _ in 0..5 {
            let claimed = world.engine.claim_in_turn(JOB_RUN, 4, &mut turn).await;
            for (workspace, count) in by_workspace(&claimed.unwrap()) {
                *total.entry(workspace).or_insert(0) += count;
            }
        }
        assert_eq!(total.len(), all.len());
        assert!(total.values().all(|count| *count == 2), "{total:?}");
    }

    #[tokio::test]
    async fn a_job_that_only_a_newer_server_knows_is_left_to_it_and_says_so() {
        let world = World::new().await;
        let engine = &world.engine;
        let mut tx = engine.store.begin().await.unwrap();
        let (id, at) = (engine.ids.new_id(), engine.now());
        jobs::wake(&mut tx, id, world.workspace, "of_tomorrow", "x", at)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        engine.upkeep(0).await.unwrap();
        let mut tx = engine.store.begin().await.unwrap();
        let told = jobs::note(&mut tx, "of_tomorrow", UNKNOWN_KIND, at, 9).await;
        assert_eq!(told.unwrap(), 0, "it is noted already");
        let until = at.plus(engine.config.lease);
        let claimed = jobs::claim(&mut tx, "of_tomorrow", at, "newer", until, 10).await;
        let [job] = &claimed.unwrap()[..] else {
            panic!("the newer server finds no job");
        };
        assert_eq!((job.epoch, job.tries), (1, 1));
    }

    #[tokio::test]
    async fn a_workspace_whose_share_is_under_way_is_passed_over() {
        let world = World::new().await;
        let (busy, quiet) = (world.engine.ids.new_id(), world.engine.ids.new_id());
        queue(&world, busy, 200).await;
        let share = world.engine.config.share();
        let places: Vec<_> = (0..share)
            .map(|_| world.engine.handed.occupy(busy))
            .collect();
        let mut turn = Turn::default();
        let claimed = world.engine.claim_in_turn(JOB_RUN, 16, &mut turn).await;
        assert!(claimed.unwrap().is_empty());
        queue(&world, quiet, 1).await;
        let claimed = world.engine.claim_in_turn(JOB_RUN, 16, &mut turn).await;
        assert_eq!(by_workspace(&claimed.unwrap()), [(quiet, 1)].into());
        drop(places);
        let claimed = world.engine.claim_in_turn(JOB_RUN, 16, &mut turn).await;
        assert_eq!(by_workspace(&claimed.unwrap()), [(busy, 16)].into());
    }
}
