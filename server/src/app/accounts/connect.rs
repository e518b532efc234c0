//! Storing an account that a network has just confirmed.
//!
//! Invariants: an account at a network is one account of a workspace, also after a removal; its token is
//! sealed in the transaction that stores it.

use serde_json::json;
use so_connectors::ConnectedAccount;
use so_model::{
    IdSource as _,
    account::{Account, AccountState},
    event::kind,
    id::{AccountId, UserId, WorkspaceId},
};
use so_store::accounts;

use super::wake_held;
use crate::app::{
    App,
    change::Change,
    failure::{Failure, Outcome},
};

/// Accounts of one workspace, removed ones included.
const ACCOUNTS_MAX: i64 = 1000;

/// For whom an account is connected.
pub(super) struct Place {
    pub(super) workspace: WorkspaceId,
    pub(super) user: UserId,
    pub(super) network: String,
    /// The account that is connected again; none for whichever it turns out to be.
    pub(super) account: Option<AccountId>,
}

/// Stores the account and wakes what waited for it.
pub(super) async fn store(
    app: &App,
    place: Place,
    connected: ConnectedAccount,
) -> Outcome<Account> {
    let mut change = Change::begin(app, place.workspace).await?;
    if let Some(id) = place.account {
        let wanted = accounts::find_for_update(&mut change.tx, place.workspace, id).await?;
        let wanted = wanted.ok_or_else(|| Failure::not_found("account"))?;
        if wanted.remote_id != connected.remote_id || wanted.network != place.network {
            return Err(other_account(&wanted, &connected));
        }
    } else if accounts::list(&mut change.tx, place.workspace, "", ACCOUNTS_MAX)
        .await?
        .len() as i64
        >= ACCOUNTS_MAX
    {
        return Err(Failure::new(
            409,
            "account.too_many",
            "The workspace has as many accounts as it may have",
        )
        .next_step("Use another workspace."));
    }
    let account = Account {
        id: app.engine.ids.new_id(),
        workspace: place.workspace,
        network: place.network,
        remote_id: connected.remote_id,
        name: connected.name,
        handle: connected.handle,
        avatar_url: connected.avatar_url,
        state: AccountState::Active,
        problem: None,
        settings: connected.settings,
        destinations: connected.destinations,
        token_expires_at: connected.token_expires_at,
        created_at: change.now,
        updated_at: change.now,
    };
    let account = accounts::insert_or_replace(&mut change.tx, &account).await?;
    let now = change.now;
    so_actions::put_token(&mut change.tx, &app.vault, &account, &connected.token, now).await?;
    let data = json!({"account": account, "by": place.user});
    change
        .emit(kind::ACCOUNT_CONNECTED, account.id, data)
        .await?;
    wake_held(&mut change, &account).await?;
    change.touch("account", account.id);
    change.commit().await?;
    Ok(account)
}

fn other_account(wanted: &Account, connected: &ConnectedAccount) -> Failure {
    Failure::new(409, "account.other", "This is another account")
        .detail(format!("You signed in as {}, but {} was to be connected again.", connected.handle, wanted.handle))
        .next_step("Sign in at the network as the right account, or connect the other one as a new account.")
}
