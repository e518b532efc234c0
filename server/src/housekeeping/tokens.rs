//! Tokens are renewed ahead of their end.
//!
//! Invariants: a renewal that has begun is never cut short, because the network may have ended the old token
//! with its answer; an account whose token is lost is flagged, so that nobody learns of it by a post that fails.

use futures_util::{StreamExt as _, stream};
use serde_json::json;
use so_connectors::ErrorClass;
use so_model::{
    account::{Account, AccountState},
    event::kind,
    time::MINUTE,
};
use so_store::{StoreError, accounts};

use crate::app::{App, change::Change, failure::Failure};

/// Renewed this long before the end: what a publish asks for, so that it finds a token that is good.
const AHEAD: i64 = 5 * MINUTE;
/// Accounts of one look; more wait for the next.
const BATCH: i64 = 500;
/// Renewals at a time.
const AT_ONCE: usize = 8;

/// Renews the tokens that end soon; answers how many accounts were looked at.
pub async fn refresh_tokens(app: &App) -> Result<usize, StoreError> {
    let due = accounts::list_expiring(&mut app.reader(), app.now().plus(AHEAD), BATCH).await?;
    let count = due.len();
    stream::iter(due)
        .for_each_concurrent(AT_ONCE, |account| async move {
            if !app.stopping.is_cancelled() {
                refresh(app, &account).await;
            }
        })
        .await;
    Ok(count)
}

async fn refresh(app: &App, account: &Account) {
    let Ok(connector) = app.access.connector(account) else {
        tracing::warn!(account.id = %account.id, "an account's network is unknown to this server");
        return;
    };
    let Err(error) = app
        .access
        .token(&app.store, connector.as_ref(), account)
        .await
    else {
        return;
    };
    if error.class != ErrorClass::Reconnect {
        tracing::info!(account.id = %account.id, code = %error.code, "a token could not be renewed yet");
        return;
    }
    if let Err(failure) = flag(app, account, &error.message).await {
        tracing::warn!(account.id = %account.id, code = %failure.problem.code, "an account could not be flagged");
    }
}

/// Flags an account that needs its person, and lets rules know.
async fn flag(app: &App, account: &Account, reason: &str) -> Result<(), Failure> {
    let mut change = Change::begin(app, account.workspace).await?;
    let (from, to, now) = (
        [AccountState::Active],
        AccountState::ReconnectRequired,
        change.now,
    );
    match accounts::set_state(
        &mut change.tx,
        account.workspace,
        account.id,
        &from,
        to,
        Some(reason),
        now,
    )
    .await
    {
        // A publish has flagged it, or its person has mended or removed it.
        Err(StoreError::Stale { .. }) => return Ok(()),
        done => done?,
    };
    let shown = json!({
        "id": account.id, "network": account.network, "name": account.name, "handle": account.handle
    });
    change
        .emit(
            kind::ACCOUNT_RECONNECT_REQUIRED,
            account.id,
            json!({"account": shown, "reason": reason}),
        )
        .await?;
    change.touch("account", account.id);
    so_engine::failpoint::hit("reconnect.commit");
    change.commit().await
}
