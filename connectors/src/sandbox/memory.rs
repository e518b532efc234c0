//! A timeline in memory, for tests.
//!
//! Owns the posts and a log of every insert that had an effect. Must not be
//! used by the server. Invariant: the log only grows, so it counts doubles.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use so_model::{Timestamp, account::Account, id::AccountId};

use super::{
    Behaviour, Fault,
    timeline::{SandboxPost, SandboxTimeline, TimelineError},
};

/// The timeline.
#[derive(Default)]
pub struct MemoryTimeline {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    posts: Vec<SandboxPost>,
    published: Vec<SandboxPost>,
    faults: VecDeque<Fault>,
}

impl MemoryTimeline {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that was ever published, deleted posts included.
    pub fn published(&self) -> Vec<SandboxPost> {
        self.state().published.clone()
    }

    /// What goes wrong with the next post, before what its account is told.
    pub fn fail_next(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }
}

#[async_trait]
impl SandboxTimeline for MemoryTimeline {
    async fn insert(&self, post: SandboxPost) -> Result<String, TimelineError> {
        let mut state = self.state();
        let known = state
            .posts
            .iter()
            .find(|old| old.account == post.account && post.key.is_some() && old.key == post.key);
        if let Some(known) = known {
            return Ok(known.id.clone());
        }
        let id = post.id.clone();
        state.published.push(post.clone());
        state.posts.push(post);
        Ok(id)
    }

    async fn list(
        &self,
        account: AccountId,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<SandboxPost>, TimelineError> {
        let fits = |post: &&SandboxPost| post.account == account && post.published_at >= since;
        Ok(self
            .state()
            .posts
            .iter()
            .rev()
            .filter(fits)
            .take(limit)
            .cloned()
            .collect())
    }

    async fn delete(&self, account: AccountId, id: &str) -> Result<bool, TimelineError> {
        let mut state = self.state();
        let before = state.posts.len();
        state
            .posts
            .retain(|post| post.account != account || post.id != id);
        Ok(state.posts.len() < before)
    }

    async fn counts(
        &self,
        account: AccountId,
        ids: &[String],
    ) -> Result<Vec<(String, BTreeMap<String, i64>)>, TimelineError> {
        let state = self.state();
        let there = |id: &&String| {
            state
                .posts
                .iter()
                .any(|post| post.account == account && post.id == **id)
        };
        let zero = || BTreeMap::from([("likes".to_owned(), 0), ("replies".to_owned(), 0)]);
        Ok(ids
            .iter()
            .filter(there)
            .map(|id| (id.clone(), zero()))
            .collect())
    }

    async fn fault(&self, _account: &Account, behaviour: &Behaviour) -> Fault {
        self.state().faults.pop_front().unwrap_or(behaviour.fault)
    }
}
