//! Limits of networks: an account whose network takes no more for now is left alone until it does.
//!
//! Owns the moments until which accounts wait, in memory: what a restart forgets costs one call that the
//! network refuses again. Must not hold up other accounts. Invariant: while an account waits, no intent is
//! committed for it, and being refused for a limit costs a publication none of its tries.

use std::{collections::HashMap, sync::Mutex};

use so_model::{Timestamp, id::AccountId, publication::Publication, time::DAY};
use so_store::{Sql, StoreError, attempts};

use super::port::PortError;
use crate::engine::{Engine, lock};

/// Accounts that wait at once; an account beyond it is called and refused again.
const PAUSES_MAX: usize = 10_000;
/// Longest wait that one answer puts on a post or an account: a mistaken header must not silence them for weeks.
pub(super) const PAUSE_MAX: i64 = DAY;
/// From so late on a limit counts as a try like any other refusal, or a post could wait for ever.
const WAITED_OUT: i64 = 14 * DAY;
/// Member of a closed attempt's evidence: it cost no try.
const LIMITED: &str = "limited";

/// Accounts that wait.
#[derive(Debug, Default)]
pub(crate) struct Pauses(Mutex<HashMap<AccountId, Pause>>);

#[derive(Debug)]
struct Pause {
    until: Timestamp,
    error: PortError,
}

impl Pauses {
    /// The network refused a post of this account and said for how long.
    pub(super) fn begin(&self, account: AccountId, now: Timestamp, error: &PortError) {
        let Some(wait) = error.retry_after else {
            return;
        };
        let mut pauses = lock(&self.0);
        if pauses.len() >= PAUSES_MAX {
            pauses.retain(|_, pause| pause.until > now);
        }
        if pauses.len() >= PAUSES_MAX && !pauses.contains_key(&account) {
            return;
        }
        let pause = Pause {
            until: now.plus(wait.min(PAUSE_MAX)),
            error: error.clone(),
        };
        pauses.insert(account, pause);
    }

    /// What the network would say now, if it is known.
    pub(super) fn of(&self, account: AccountId, now: Timestamp) -> Option<PortError> {
        let mut pauses = lock(&self.0);
        let pause = pauses.get(&account)?;
        let left = pause.until.since(now);
        // A clock that was set back must not prolong it.
        if left <= 0 || left > PAUSE_MAX {
            pauses.remove(&account);
            return None;
        }
        Some(PortError {
            retry_after: Some(left),
            ..pause.error.clone()
        })
    }
}

/// Whether a refusal for a limit costs no try.
pub(super) fn is_free(publication: &Publication, now: Timestamp) -> bool {
    now.since(publication.due_at) < WAITED_OUT
}

/// Marks the evidence of an attempt that cost no try.
pub(super) fn mark_free(evidence: &mut serde_json::Value) {
    evidence[LIMITED] = true.into();
}

/// What people read while a publication waits.
pub(super) fn told(message: &str, at: Timestamp) -> String {
    let at = at.to_chrono().format("%Y-%m-%d %H:%M");
    format!("{message}. It goes out after {at} UTC, when the network takes posts again")
}

impl Engine {
    /// Tries of a publication without those that a limit refused.
    pub(super) async fn counted_tries(
        &self,
        sql: &mut dyn Sql,
        publication: &Publication,
    ) -> Result<i64, StoreError> {
        let tries = publication.attempts;
        if tries < self.config.publish_tries {
            return Ok(tries);
        }
        let all = attempts::list_for_publication(sql, publication.workspace, publication.id);
        let free = all.await?;
        let free = free
            .iter()
            .filter(|attempt| attempt.evidence[LIMITED] == true)
            .count();
        Ok(tries.saturating_sub(i64::try_from(free).unwrap_or(i64::MAX)))
    }
}
