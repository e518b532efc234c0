//! Hooks as calls meet them, kept for a while.
//!
//! Owns the copy of a hook and its secret that busy addresses are judged by.
//! Invariant: a change made by this process counts from its commit on, one
//! made by another server on the same database within `KEPT`.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use lru::LruCache;
use so_model::{
    Timestamp,
    api::hook::HookVerify,
    time::{HOUR, SECOND},
};
use so_store::{hooks, hooks::Hook, secrets, vault::SecretText};

use super::{manage::SECRET, scheme::verify_of};
use crate::app::{App, failure::Outcome, secrets::sha256_hex};

/// How long a copy is used: as long as a session that was revoked elsewhere may live on.
const KEPT: i64 = SECOND;
/// The same where no other server can change a hook.
const KEPT_ALONE: i64 = HOUR;
/// Hooks that are kept, of some 500 bytes each.
const DOORS_MAX: NonZeroUsize = NonZeroUsize::new(20_000).expect("it is not zero");

/// A hook with the secret that its calls are signed by.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) hook: Hook,
    pub(super) secret: Option<SecretText>,
}

/// Copies by the hash of the secret part of their address.
pub struct Doors(Mutex<LruCache<String, (Timestamp, Arc<Door>)>>);

impl Default for Doors {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(DOORS_MAX)))
    }
}

impl Doors {
    /// Has every hook read anew; called after each change of one.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn known(&self, token_hash: &str, now: Timestamp, kept: i64) -> Option<Arc<Door>> {
        let mut doors = self.lock();
        let (read_at, door) = doors.get(token_hash)?;
        // A clock that was set back must not keep a copy for ever.
        let age = now.since(*read_at);
        (0..kept).contains(&age).then(|| door.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<String, (Timestamp, Arc<Door>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hook at an address, if there is one and it is on.
pub(super) async fn find(app: &App, token: &str) -> Outcome<Option<Arc<Door>>> {
    let token_hash = sha256_hex(token.as_bytes());
    let now = app.now();
    let kept = if app.engine.config.is_alone {
        KEPT_ALONE
    } else {
        KEPT
    };
    if let Some(door) = app.doors.known(&token_hash, now, kept) {
        return Ok(Some(door));
    }
    let mut reader = app.reader();
    let found = hooks::find_by_token_hash(&mut reader, &token_hash).await?;
    let Some(hook) = found.filter(|hook| hook.is_enabled) else {
        return Ok(None);
    };
    let secret = match verify_of(&hook)? {
        HookVerify::None {} => None,
        HookVerify::Hmac { .. } | HookVerify::StandardWebhooks {} => {
            let owner = hook.id.to_string();
            secrets::get(&mut reader, &app.vault, hook.workspace, &owner, SECRET).await?
        }
    };
    let door = Arc::new(Door { hook, secret });
    app.doors.lock().put(token_hash, (now, door.clone()));
    Ok(Some(door))
}
