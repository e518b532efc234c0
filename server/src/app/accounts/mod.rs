//! Connected accounts: listing, pausing, removing, checking, connecting.
//!
//! Owns an account's state as people change it. Never shows a token. Invariant: whatever makes an account
//! usable wakes what waited for it in the same transaction.

mod callback;
mod check;
mod connect;
mod form;
mod sign_in;

pub use callback::{Returned, finish};
pub use check::check;
pub use sign_in::{Begun, CALLBACK_PATH, Ticket, begin, reconnect, ticket_name};

use serde_json::json;
use so_engine::publish::JOB_PUBLICATION;
use so_model::{
    account::{Account, AccountState},
    api::account::{AccountList, AccountQuery},
    event::kind,
    id::{AccountId, WorkspaceId, kind as id_kind},
    problem::FieldError,
    publication::PublicationState,
};
use so_store::{Page, Tx, accounts, publications, secrets};

use super::{
    App,
    change::{Change, PageAsk},
    failure::{Failure, Outcome},
    members::Actor,
};

/// Publications of one account that may wait for it.
const HELD_MAX: i64 = 10_000;

/// A page of accounts, the oldest first.
pub async fn list(app: &App, workspace: WorkspaceId, query: &AccountQuery) -> Outcome<AccountList> {
    let page = PageAsk::of::<id_kind::Account>(query.cursor.as_deref(), query.limit)?;
    let found = accounts::list(&mut app.reader(), workspace, &page.cursor, page.fetch()).await?;
    let mut found = Page::cut(found, page.limit, |account| account.id.to_string());
    if query.removed != Some(true) {
        found
            .items
            .retain(|account| account.state != AccountState::Removed);
    }
    Ok(AccountList {
        items: found.items,
        next_cursor: found.next_cursor,
    })
}

/// An account.
pub async fn get(app: &App, workspace: WorkspaceId, id: AccountId) -> Outcome<Account> {
    accounts::find(&mut app.reader(), workspace, id)
        .await?
        .ok_or_else(|| Failure::not_found("account"))
}

/// What is wrong with a list of accounts that somebody chose, each at its place below `/accounts`.
pub(super) async fn strangers(
    tx: &mut Tx,
    workspace: WorkspaceId,
    ids: &[AccountId],
) -> Outcome<Vec<FieldError>> {
    let mut errors = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        let pointer = format!("/accounts/{index}");
        let found = accounts::find(tx, workspace, *id).await?;
        if !found.is_some_and(|account| account.state != AccountState::Removed) {
            let error = FieldError::new(pointer, "is no connected account of this workspace");
            errors.push(error.expected("the id of an account"));
        } else if ids[..index].contains(id) {
            errors.push(FieldError::new(pointer, "is named twice").expected("each account once"));
        }
    }
    Ok(errors)
}

async fn hold(tx: &mut Tx, workspace: WorkspaceId, id: AccountId) -> Outcome<Account> {
    accounts::find_for_update(tx, workspace, id)
        .await?
        .ok_or_else(|| Failure::not_found("account"))
}

fn wrong_state(account: &Account, what: &str) -> Failure {
    let next_step = match account.state {
        AccountState::Removed => "Connect it anew; it is the same account then.",
        AccountState::ReconnectRequired => "Connect the account again.",
        AccountState::Active | AccountState::Paused => "Load the account again to see where it is.",
    };
    Failure::new(
        409,
        "account.wrong_state",
        format!("The account cannot be {what} now"),
    )
    .detail(format!(
        "It is {}.",
        account.state.as_str().replace('_', " ")
    ))
    .next_step(next_step)
}

/// Switches an account off; its posts wait.
pub async fn pause(app: &App, actor: Actor, id: AccountId) -> Outcome<Account> {
    let mut change = Change::begin(app, actor.workspace).await?;
    let account = hold(&mut change.tx, actor.workspace, id).await?;
    if !matches!(
        account.state,
        AccountState::Active | AccountState::ReconnectRequired
    ) {
        return Err(wrong_state(&account, "paused"));
    }
    let account = put(&mut change, account, AccountState::Paused, None).await?;
    disabled(&mut change, &account, actor, "paused").await?;
    change.commit().await?;
    Ok(account)
}

/// Switches an account on; what waited goes on.
pub async fn resume(app: &App, actor: Actor, id: AccountId) -> Outcome<Account> {
    let mut change = Change::begin(app, actor.workspace).await?;
    let account = hold(&mut change.tx, actor.workspace, id).await?;
    if account.state != AccountState::Paused {
        return Err(wrong_state(&account, "resumed"));
    }
    let account = put(&mut change, account, AccountState::Active, None).await?;
    wake_held(&mut change, &account).await?;
    change.commit().await?;
    Ok(account)
}

/// Removes an account; its history stays, its secrets do not.
pub async fn remove(app: &App, actor: Actor, id: AccountId) -> Outcome<()> {
    let mut change = Change::begin(app, actor.workspace).await?;
    let account = hold(&mut change.tx, actor.workspace, id).await?;
    if account.state == AccountState::Removed {
        return Err(wrong_state(&account, "removed"));
    }
    secrets::delete_for_owner(&mut change.tx, actor.workspace, &id.to_string()).await?;
    let mut account = account;
    account.token_expires_at = None;
    let account = put(&mut change, account, AccountState::Removed, None).await?;
    disabled(&mut change, &account, actor, "removed").await?;
    // What waited for it will never go out; the engine gives it up.
    wake_held(&mut change, &account).await?;
    change.commit().await
}

async fn put(
    change: &mut Change,
    mut account: Account,
    state: AccountState,
    problem: Option<String>,
) -> Outcome<Account> {
    account.state = state;
    account.problem = problem;
    account.updated_at = change.now;
    accounts::update(&mut change.tx, &account).await?;
    change.touch("account", account.id);
    Ok(account)
}

async fn disabled(
    change: &mut Change,
    account: &Account,
    actor: Actor,
    reason: &str,
) -> Outcome<()> {
    let data = json!({"account": account, "reason": reason, "by": actor.user});
    change.emit(kind::ACCOUNT_DISABLED, account.id, data).await
}

/// Makes the engine look at everything that waits for an account.
async fn wake_held(change: &mut Change, account: &Account) -> Outcome<()> {
    let (workspace, held) = (account.workspace, PublicationState::Held);
    let waiting =
        publications::list_for_account(&mut change.tx, workspace, account.id, held, HELD_MAX)
            .await?;
    for publication in waiting {
        change.wake(JOB_PUBLICATION, publication.id).await?;
    }
    Ok(())
}
