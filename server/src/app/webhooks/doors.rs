//! Hooks as calls meet them, kept for a while.
//!
//! Owns the copy of a hook and its secret that busy addresses are judged by.
//! Invariant: a change made by this process counts from its commit on, one
//! made by another server on the same database within a second: changes are
//! counted there, and a new count makes every copy worthless.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lru::LruCache;
use so_engine::{
    batch::{Batcher, Piece},
    counted::Counted,
};
use so_model::{Timestamp, api::hook::HookVerify, time::HOUR};
use so_store::{Store, hooks, hooks::Hook, secrets, vault::SecretText};

use super::{manage::SECRET, scheme::verify_of};
use crate::app::{
    App,
    failure::{Failure, Outcome},
    secrets::sha256_hex,
};

/// How long a copy is used.
const KEPT: i64 = HOUR;
/// Hooks that are kept, of some 500 bytes each.
const DOORS_MAX: NonZeroUsize = NonZeroUsize::new(20_000).expect("it is not zero");

/// Addresses looked up together, and how many statements do so side by side.
const ASKED_MAX: usize = 64;
const ASKED_LINES: usize = 2;

/// A hook with the secret that its calls are signed by.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) hook: Hook,
    pub(super) secret: Option<SecretText>,
}

/// Copies by the hash of the secret part of their address.
pub struct Doors {
    kept: Mutex<Kept>,
    asked: Batcher<String, Answer>,
}

struct Kept {
    doors: LruCache<String, (Timestamp, Arc<Door>)>,
    /// How often all copies were thrown away.
    emptied: u64,
    counted: Counted,
}

impl Kept {
    fn empty(&mut self) {
        self.doors.clear();
        self.emptied += 1;
    }
}

type Answer = Outcome<Option<Hook>>;

impl Default for Doors {
    fn default() -> Self {
        Self {
            kept: Mutex::new(Kept {
                doors: LruCache::new(DOORS_MAX),
                emptied: 0,
                counted: Counted::default(),
            }),
            asked: Batcher::new(ASKED_MAX, ASKED_LINES),
        }
    }
}

impl Doors {
    /// Has every hook read anew; called after each change of one.
    pub(super) fn forget(&self) {
        self.lock().empty();
    }

    fn is_counted(&self, now: Timestamp) -> bool {
        self.lock().counted.holds(now)
    }

    /// Takes a count of changes that was asked for at a moment.
    fn count(&self, now: Timestamp, changes: i64) {
        let mut kept = self.lock();
        if kept.counted.take(now, changes) {
            kept.empty();
        }
    }

    /// A copy that is not too old, or how often all were thrown away before it is read.
    fn known(&self, token_hash: &str, now: Timestamp) -> Result<Arc<Door>, u64> {
        let mut kept = self.lock();
        let emptied = kept.emptied;
        let (read_at, door) = kept.doors.get(token_hash).ok_or(emptied)?;
        let is_fresh = (0..KEPT).contains(&now.since(*read_at));
        is_fresh.then(|| door.clone()).ok_or(emptied)
    }

    /// Keeps a copy, unless it was read while a hook changed.
    fn keep(&self, token_hash: String, read_at: Timestamp, emptied: u64, door: Arc<Door>) {
        let mut kept = self.lock();
        if kept.emptied == emptied {
            kept.doors.put(token_hash, (read_at, door));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hook at an address, if there is one and it is on.
pub(super) async fn find(app: &App, token: &str) -> Outcome<Option<Arc<Door>>> {
    let token_hash = sha256_hex(token.as_bytes());
    let now = app.now();
    if !app.engine.config.is_alone && !app.doors.is_counted(now) {
        let changes = hooks::changes(&mut app.reader()).await?;
        app.doors.count(now, changes);
    }
    let emptied = match app.doors.known(&token_hash, now) {
        Ok(door) => return Ok(Some(door)),
        Err(emptied) => emptied,
    };
    let found = app.doors.asked.submit(token_hash.clone(), |pieces| {
        let store = app.reader();
        async move { read_together(store, pieces).await }
    });
    let found = found.await.ok_or_else(Failure::internal)??;
    let Some(hook) = found.filter(|hook| hook.is_enabled) else {
        return Ok(None);
    };
    let secret = match verify_of(&hook)? {
        HookVerify::None {} => None,
        HookVerify::Hmac { .. } | HookVerify::StandardWebhooks {} => {
            let owner = hook.id.to_string();
            secrets::get(
                &mut app.reader(),
                &app.vault,
                hook.workspace,
                &owner,
                SECRET,
            )
            .await?
        }
    };
    let door = Arc::new(Door { hook, secret });
    app.doors.keep(token_hash, now, emptied, door.clone());
    Ok(Some(door))
}

// Many addresses that are called at the same time are looked up by one statement.
async fn read_together(mut store: Store, pieces: Vec<Piece<String, Answer>>) {
    let (hashes, answers): (Vec<String>, Vec<_>) = pieces.into_iter().map(Piece::split).unzip();
    let found = hooks::list_by_token_hashes(&mut store, &hashes).await;
    let found = found.map_err(Failure::from);
    for (hash, answer) in hashes.iter().zip(answers) {
        let own = found.as_ref().map(|found| {
            let mut found = found.iter();
            found.find(|hook| hook.token_hash == *hash).cloned()
        });
        answer(own.map_err(Failure::clone));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use so_model::{
        id::{HookId, WorkspaceId},
        time::SECOND,
    };

    use super::*;

    fn door() -> Arc<Door> {
        let at = Timestamp::from_micros(0);
        let hook = Hook {
            id: HookId::from_parts(at, [1; 10]),
            workspace: WorkspaceId::from_parts(at, [1; 10]),
            name: "shop".into(),
            token_hash: "h".into(),
            verify: serde_json::json!({"scheme": "none"}),
            is_enabled: true,
            created_at: at,
        };
        Arc::new(Door { hook, secret: None })
    }

    #[test]
    fn a_copy_is_used_for_its_time_and_not_when_the_clock_was_set_back() {
        let doors = Doors::default();
        let at = |seconds: i64| Timestamp::from_micros(seconds * SECOND);
        let emptied = doors.known("h", at(10)).unwrap_err();
        doors.keep("h".into(), at(10), emptied, door());
        for (now, is_used) in [
            (at(10), true),
            (at(3_609), true),
            (at(3_610), false),
            (at(9), false),
        ] {
            assert_eq!(doors.known("h", now).is_ok(), is_used, "{now:?}");
        }
    }

    #[test]
    fn what_was_read_while_a_hook_changed_is_not_kept() {
        let doors = Doors::default();
        let now = Timestamp::from_micros(0);
        doors.count(now, 1);
        for change in [&(|| doors.forget()) as &dyn Fn(), &|| doors.count(now, 2)] {
            let emptied = doors.known("h", now).unwrap_err();
            change();
            doors.keep("h".into(), now, emptied, door());
            assert!(doors.known("h", now).is_err());
        }
    }

    #[test]
    fn copies_are_used_until_another_server_changed_a_hook_and_counted_again_each_second() {
        let doors = Doors::default();
        let at = |millis: i64| Timestamp::from_micros(millis * 1_000);
        assert!(!doors.is_counted(at(0)));
        doors.count(at(0), 7);
        let emptied = doors.known("h", at(0)).unwrap_err();
        doors.keep("h".into(), at(0), emptied, door());
        assert!(doors.is_counted(at(999)));
        assert!(!doors.is_counted(at(1_000)));
        assert!(!doors.is_counted(at(-1)), "the clock was set back");
        doors.count(at(1_000), 7);
        assert!(doors.known("h", at(1_000)).is_ok());
        doors.count(at(2_000), 8);
        assert!(doors.known("h", at(2_000)).is_err());
    }
}
