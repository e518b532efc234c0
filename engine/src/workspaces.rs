//! Workspaces as decisions see them, kept in memory.
//!
//! Invariant: a change made by this process counts from its commit on, one made by another on the same database within
//! a second: changes are counted there, and a new count makes every copy worthless.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use lru::LruCache;
use so_model::{Timestamp, id::WorkspaceId};
use so_store::{StoreError, workspaces};

use crate::{counted::Counted, decide::WorkspaceFacts, engine::Engine};

/// Workspaces kept in memory.
const KEPT_MAX: NonZeroUsize = NonZeroUsize::new(10_000).expect("it is not zero");

/// A workspace's settings, and how often any had changed before they were looked up.
#[derive(Debug, Clone)]
pub struct SeenWorkspace {
    pub(crate) facts: Arc<WorkspaceFacts>,
    changes: u64,
}

/// Copies of settings.
#[derive(Debug)]
pub(crate) struct Workspaces {
    kept: Mutex<Kept>,
    /// Changes that this process knows of.
    changes: AtomicU64,
}

#[derive(Debug)]
struct Kept {
    facts: LruCache<WorkspaceId, Arc<WorkspaceFacts>>,
    counted: Counted,
}

impl Default for Workspaces {
    fn default() -> Self {
        let kept = Kept {
            facts: LruCache::new(KEPT_MAX),
            counted: Counted::default(),
        };
        Self {
            kept: Mutex::new(kept),
            changes: AtomicU64::new(0),
        }
    }
}

impl Workspaces {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Takes a count of changes that was asked for at a moment.
    fn count(&self, now: Timestamp, changes: i64) {
        let mut kept = self.lock();
        if kept.counted.take(now, changes) {
            kept.facts.clear();
            self.changes.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Keeps a copy, unless it was read while a workspace changed.
    fn keep(&self, seen: &SeenWorkspace) {
        let mut kept = self.lock();
        if seen.changes == self.changes() {
            kept.facts.put(seen.facts.id, seen.facts.clone());
        }
    }

    fn forget(&self, id: WorkspaceId) {
        let mut kept = self.lock();
        kept.facts.pop(&id);
        self.changes.fetch_add(1, Ordering::AcqRel);
    }
}

impl Engine {
    /// What the engine knows of a workspace.
    pub async fn workspace(&self, id: WorkspaceId) -> Result<Arc<WorkspaceFacts>, StoreError> {
        Ok(self.see_workspace(id).await?.facts)
    }

    /// The same, to be asked for again with [`Self::workspace_again`].
    pub(crate) async fn see_workspace(&self, id: WorkspaceId) -> Result<SeenWorkspace, StoreError> {
        self.count_workspace_changes().await?;
        // Before the look, so that a change in between makes what was seen worthless.
        let changes = self.workspaces.changes();
        if let Some(facts) = self.workspaces.lock().facts.get(&id).cloned() {
            return Ok(SeenWorkspace { facts, changes });
        }
        let mut reader = self.store.clone();
        let found = workspaces::find(&mut reader, id).await?;
        let (name, zone) = found.map_or_else(
            || (String::new(), String::new()),
            |workspace| (workspace.name, workspace.time_zone),
        );
        let facts = Arc::new(WorkspaceFacts {
            id,
            name,
            // Zones are checked when they are stored; a table that shrank must not stop a rule.
            time_zone: zone.parse().unwrap_or(chrono_tz::UTC),
        });
        let seen = SeenWorkspace { facts, changes };
        self.workspaces.keep(&seen);
        Ok(seen)
    }

    /// What was seen of a workspace, or what it is now if any changed since.
    pub(crate) async fn workspace_again(
        &self,
        seen: SeenWorkspace,
    ) -> Result<SeenWorkspace, StoreError> {
        self.count_workspace_changes().await?;
        if seen.changes == self.workspaces.changes() {
            return Ok(seen);
        }
        self.see_workspace(seen.facts.id).await
    }

    /// Forgets a workspace's settings after they changed.
    pub fn forget_workspace(&self, id: WorkspaceId) {
        self.workspaces.forget(id);
    }

    // Once a second where other processes share the database.
    async fn count_workspace_changes(&self) -> Result<(), StoreError> {
        if self.config.is_alone {
            return Ok(());
        }
        let now = self.now();
        if self.workspaces.lock().counted.holds(now) {
            return Ok(());
        }
        let changes = workspaces::changes(&mut self.store.clone()).await?;
        self.workspaces.count(now, changes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::{counted::COUNTED, testing::World};

    use super::*;

    async fn move_to(world: &World, zone: &str) {
        let mut tx = world.engine.store.begin().await.unwrap();
        let found = workspaces::find(&mut tx, world.workspace).await.unwrap();
        let mut workspace = found.unwrap();
        workspace.time_zone = zone.into();
        assert!(workspaces::update(&mut tx, &workspace).await.unwrap());
        tx.commit().await.unwrap();
    }

    #[tokio::test]
    async fn what_another_process_changed_in_a_workspace_counts_within_a_second() {
        let mut world = World::new().await;
        world.engine.share_database();
        let zone = async || {
            let seen = world.engine.workspace(world.workspace).await.unwrap();
            seen.time_zone.name()
        };
        let before = zone().await;
        let seen = world.engine.see_workspace(world.workspace).await.unwrap();
        // As another process does it: this engine is not told.
        move_to(&world, "Asia/Tokyo").await;
        assert_eq!(zone().await, before, "asked once a second");
        world.clock.advance(COUNTED);
        assert_eq!(zone().await, "Asia/Tokyo");
        let again = world.engine.workspace_again(seen).await.unwrap();
        assert_eq!(again.facts.time_zone.name(), "Asia/Tokyo");
    }

    #[tokio::test]
    async fn a_run_that_waited_in_memory_sees_the_workspace_as_it_is_now() {
        let world = World::new().await;
        let seen = world.engine.see_workspace(world.workspace).await.unwrap();
        move_to(&world, "Asia/Tokyo").await;
        world.engine.forget_workspace(world.workspace);
        let again = world.engine.workspace_again(seen).await.unwrap();
        assert_eq!(again.facts.time_zone.name(), "Asia/Tokyo");
    }

    #[tokio::test]
    async fn what_was_read_while_a_workspace_changed_is_not_kept() {
        let world = World::new().await;
        let seen = world.engine.see_workspace(world.workspace).await.unwrap();
        world.engine.forget_workspace(world.workspace);
        world.engine.workspaces.keep(&seen);
        assert!(world.engine.workspaces.lock().facts.is_empty());
    }
}
