//! Asking a network whether an account still works.
//!
//! Invariant: a network that could not be asked changes nothing.

use serde_json::json;
use so_connectors::{ConnectorError, ErrorClass, Verified};
use so_model::{
    account::{Account, AccountState},
    api::account::AccountCheck,
    event::kind,
    id::AccountId,
};
use so_store::accounts;

use super::{form, hold, put, wake_held, wrong_state};
use crate::app::{App, change::Change, failure::Outcome, members::Actor};

/// Asks the network, and keeps what it says.
pub async fn check(app: &App, actor: Actor, id: AccountId) -> Outcome<AccountCheck> {
    let account = super::get(app, actor.workspace, id).await?;
    if account.state == AccountState::Removed {
        return Err(wrong_state(&account, "checked"));
    }
    match ask(app, &account).await {
        Ok(seen) => works(app, actor, id, seen).await,
        Err(error) if is_refusal(&error) => refused(app, actor, id, &error).await,
        Err(error) => Err(form::failure(error, "")),
    }
}

fn is_refusal(error: &ConnectorError) -> bool {
    matches!(
        error.class,
        ErrorClass::Reconnect | ErrorClass::Expired | ErrorClass::AccountProblem | ErrorClass::Gone
    )
}

async fn ask(app: &App, account: &Account) -> Result<Verified, ConnectorError> {
    let connector = app.access.connector(account)?;
    let token = app
        .access
        .token(&app.store, connector.as_ref(), account)
        .await?;
    match connector.check(&app.access.cx(), account, &token).await {
        Err(error) if error.class == ErrorClass::Expired => {
            let token = app
                .access
                .renew(&app.store, connector.as_ref(), account, &token)
                .await?;
            connector.check(&app.access.cx(), account, &token).await
        }
        other => other,
    }
}

async fn works(app: &App, actor: Actor, id: AccountId, seen: Verified) -> Outcome<AccountCheck> {
    let mut change = Change::begin(app, actor.workspace).await?;
    let mut account = hold(&mut change.tx, actor.workspace, id).await?;
    let is_back = account.state == AccountState::ReconnectRequired;
    account.name = seen.name;
    account.handle = seen.handle;
    account.avatar_url = seen.avatar_url;
    account.destinations = seen.destinations;
    // The sandbox's behaviour may have been changed while it was asked.
    let behaviour = account.settings.get("behaviour").cloned();
    account.settings = seen.settings;
    if let (Some(behaviour), true) = (behaviour, account.settings.is_object()) {
        account.settings["behaviour"] = behaviour;
    }
    let state = if is_back {
        AccountState::Active
    } else {
        account.state
    };
    let account = put(&mut change, account, state, None).await?;
    if is_back {
        let data = json!({"account": account, "by": actor.user});
        change.emit(kind::ACCOUNT_CONNECTED, id, data).await?;
        wake_held(&mut change, &account).await?;
    }
    change.commit().await?;
    Ok(AccountCheck {
        account,
        works: true,
        problem: None,
    })
}

async fn refused(
    app: &App,
    actor: Actor,
    id: AccountId,
    error: &ConnectorError,
) -> Outcome<AccountCheck> {
    let problem = format!("{} {}", error.message, error.next_step)
        .trim()
        .to_string();
    let mut change = Change::begin(app, actor.workspace).await?;
    let account = hold(&mut change.tx, actor.workspace, id).await?;
    let account = match account.state {
        AccountState::Active => {
            let account = put(
                &mut change,
                account,
                AccountState::ReconnectRequired,
                Some(problem.clone()),
            )
            .await?;
            let data = json!({"account": account, "reason": problem});
            change
                .emit(kind::ACCOUNT_RECONNECT_REQUIRED, id, data)
                .await?;
            account
        }
        _ => {
            let mut account = account;
            account.problem = Some(problem.clone());
            account.updated_at = change.now;
            accounts::update(&mut change.tx, &account).await?;
            account
        }
    };
    change.touch("account", id);
    change.commit().await?;
    Ok(AccountCheck {
        account,
        works: false,
        problem: Some(problem),
    })
}
