//! Sessions: beginning, prolonging, ending.
//!
//! Owns the exchange of refresh tokens. Invariants: a former refresh token that comes back ends its
//! session, however old it is; an ended session is refused within [`CACHE_SPAN`] by every process.
//!
//! One repetition is forgiven: within [`LOST_ANSWER_SPAN`] of an exchange the former token is answered
//! with the same successor again, as long as nobody has used that. A client whose answer was lost stays
//! signed in, and a thief gains nothing: both hold the same token, and whoever comes second after its
//! exchange ends the session.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
};

use lru::LruCache;
use so_model::{
    IdSource as _,
    id::{SessionId, UserId},
    time::{DAY, SECOND, Timestamp},
};
use so_store::{
    StoreError, Tx,
    sessions::{self, Session},
};

use super::{
    App,
    failure::{Failure, Outcome},
    secrets::random_bytes,
    tokens::{Bearer, RefreshToken, issue_access},
};

/// A session found live is believed for so long.
pub const CACHE_SPAN: i64 = SECOND;
/// A repeated exchange is answered again for so long.
pub const LOST_ANSWER_SPAN: i64 = 10 * SECOND;
/// Sessions believed at a time.
const CACHED_MAX: usize = 10_000;
/// Live sessions of one person; the oldest end when more are begun.
const PER_USER_MAX: usize = 50;
/// Longest text kept of what a browser calls itself, in characters.
const USER_AGENT_MAX: usize = 200;

/// Both tokens of a session.
#[derive(Clone)]
pub struct Grant {
    /// Whose.
    pub bearer: Bearer,
    /// Goes to the program.
    pub access_token: String,
    /// Goes into the cookie.
    pub refresh_token: String,
    /// Seconds until the cookie is worthless.
    pub cookie_secs: i64,
}

/// Sessions found live a moment ago.
pub struct LiveSessions(Mutex<LruCache<SessionId, (UserId, Timestamp)>>);

impl Default for LiveSessions {
    fn default() -> Self {
        let size = NonZeroUsize::new(CACHED_MAX).unwrap_or(NonZeroUsize::MIN);
        Self(Mutex::new(LruCache::new(size)))
    }
}

impl LiveSessions {
    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<SessionId, (UserId, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn forget(&self, id: SessionId) {
        self.lock().pop(&id);
    }
    fn forget_user(&self, user: UserId) {
        let mut all = self.lock();
        let ended: Vec<SessionId> = all
            .iter()
            .filter(|(_, (owner, _))| *owner == user)
            .map(|(id, _)| *id)
            .collect();
        for id in ended {
            all.pop(&id);
        }
    }
}

/// Begins a session in the transaction of whatever proved who this is.
pub async fn begin(app: &App, tx: &mut Tx, user: UserId, user_agent: &str) -> Outcome<Grant> {
    let now = app.now();
    let token = RefreshToken::first(app.ids.new_id(), random_bytes()?);
    let session = Session {
        id: token.session,
        user,
        refresh_hash: token.hash(),
        previous_hash: None,
        rotated_at: now,
        created_at: now,
        expires_at: now.plus(days(app.config.auth.session_days)),
        revoked_at: None,
        user_agent: user_agent
            .chars()
            .filter(|c| !c.is_control())
            .take(USER_AGENT_MAX)
            .collect(),
    };
    let limit = i64::try_from(PER_USER_MAX * 2).unwrap_or(i64::MAX);
    let others = sessions::list(tx, user, now, limit).await?;
    for old in others.iter().skip(PER_USER_MAX - 1) {
        sessions::revoke(tx, old.id, now).await?;
        app.live_sessions.forget(old.id);
    }
    sessions::insert(tx, &session).await?;
    grant(app, &session, &token)
}

/// Exchanges a refresh token for new tokens.
pub async fn refresh(app: &App, text: &str) -> Outcome<Grant> {
    let refused = || Failure::signed_out().ending_session();
    let token = RefreshToken::read(&app.keys, text).ok_or_else(refused)?;
    let now = app.now();
    let mut tx = app.store.begin().await?;
    let session = sessions::find(&mut tx, token.session)
        .await?
        .filter(|session| is_live(app, session));
    let session = session.ok_or_else(refused)?;
    let next = token.successor(&app.keys);
    if session.refresh_hash == token.hash() {
        match sessions::rotate(&mut tx, session.id, &token.hash(), &next.hash(), now).await {
            Ok(()) => tx.commit().await?,
            // Exchanged by another request in this very moment: the answer is the same.
            Err(StoreError::Stale { .. }) => tx.rollback().await?,
            Err(error) => return Err(error.into()),
        }
        return grant(app, &session, &next);
    }
    let is_repetition = session.previous_hash.as_deref() == Some(&token.hash())
        && session.refresh_hash == next.hash()
        && now.since(session.rotated_at) <= LOST_ANSWER_SPAN;
    if is_repetition {
        tx.rollback().await?;
        return grant(app, &session, &next);
    }
    sessions::revoke(&mut tx, session.id, now).await?;
    tx.commit().await?;
    app.live_sessions.forget(session.id);
    tracing::warn!(session.id = %session.id, user.id = %session.user, "a former refresh token came back; its session was ended");
    Err(Failure::new(
        401,
        "auth.token_reused",
        "This session was ended for safety",
    )
    .detail("A sign-in token was used a second time, as if somebody had copied it.")
    .next_step("Log in again; change your password if you did not expect this.")
    .ending_session())
}

/// The session of a refresh token, whatever its state; for logging out.
pub async fn end_by_token(app: &App, text: &str) -> Outcome<()> {
    if let Some(token) = RefreshToken::read(&app.keys, text) {
        end(app, token.session).await?;
    }
    Ok(())
}

/// Ends a session.
pub async fn end(app: &App, id: SessionId) -> Outcome<bool> {
    let mut tx = app.store.begin().await?;
    let was_live = sessions::revoke(&mut tx, id, app.now()).await?;
    tx.commit().await?;
    app.live_sessions.forget(id);
    Ok(was_live)
}

/// Ends one of a person's own sessions.
pub async fn end_own(app: &App, user: UserId, id: SessionId) -> Outcome<()> {
    let found = sessions::find(&mut app.reader(), id).await?;
    if found.is_none_or(|session| session.user != user) || !end(app, id).await? {
        return Err(Failure::not_found("session"));
    }
    Ok(())
}

/// Ends every session of a person.
pub async fn end_all(app: &App, user: UserId) -> Outcome<()> {
    let mut tx = app.store.begin().await?;
    sessions::revoke_all(&mut tx, user, app.now()).await?;
    tx.commit().await?;
    app.live_sessions.forget_user(user);
    Ok(())
}

/// Ends every session of a person but one, inside a transaction; call [`forget_ended`] after its commit.
pub async fn end_others(app: &App, tx: &mut Tx, keep: Bearer) -> Outcome<()> {
    let limit = i64::try_from(PER_USER_MAX * 2).unwrap_or(i64::MAX);
    for session in sessions::list(tx, keep.user, app.now(), limit).await? {
        if session.id != keep.session {
            sessions::revoke(tx, session.id, app.now()).await?;
        }
    }
    Ok(())
}

/// Forgets what was believed of a person's sessions.
pub fn forget_ended(app: &App, user: UserId) {
    app.live_sessions.forget_user(user);
}

/// The live sessions of a person, the newest first.
pub async fn list(app: &App, user: UserId) -> Outcome<Vec<Session>> {
    let limit = i64::try_from(PER_USER_MAX).unwrap_or(i64::MAX);
    let found = sessions::list(&mut app.reader(), user, app.now(), limit).await?;
    Ok(found
        .into_iter()
        .filter(|session| is_live(app, session))
        .collect())
}

/// Whether a bearer's session may still be used, asking the database at most once a second.
pub async fn check(app: &App, bearer: Bearer) -> Outcome<bool> {
    let now = app.now();
    let known = app.live_sessions.lock().get(&bearer.session).copied();
    if let Some((user, at)) = known
        && user == bearer.user
        && (0..CACHE_SPAN).contains(&now.since(at))
    {
        return Ok(true);
    }
    let found = sessions::find(&mut app.reader(), bearer.session).await?;
    let live = found.is_some_and(|session| session.user == bearer.user && is_live(app, &session));
    if live {
        app.live_sessions
            .lock()
            .put(bearer.session, (bearer.user, now));
    } else {
        app.live_sessions.forget(bearer.session);
    }
    Ok(live)
}

fn is_live(app: &App, session: &Session) -> bool {
    let now = app.now();
    let idle_end = session
        .rotated_at
        .plus(days(app.config.auth.session_idle_days));
    session.revoked_at.is_none() && now < session.expires_at && now < idle_end
}

fn grant(app: &App, session: &Session, token: &RefreshToken) -> Outcome<Grant> {
    let bearer = Bearer {
        user: session.user,
        session: session.id,
    };
    let now = app.now();
    let idle = days(app.config.auth.session_idle_days);
    Ok(Grant {
        bearer,
        access_token: issue_access(&app.keys, bearer, now).ok_or_else(Failure::internal)?,
        refresh_token: token.to_text(&app.keys),
        cookie_secs: session.expires_at.since(now).min(idle) / SECOND,
    })
}

fn days(days: u64) -> i64 {
    i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(DAY)
}
