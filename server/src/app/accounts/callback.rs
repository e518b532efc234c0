//! Ending a sign-in with what the network sent along with the person.
//!
//! Invariants: a state is used up by the browser that began, whatever comes of it, and by no other, so that
//! whoever learns it can neither use nor end it; it counts for a person who may still connect accounts.

use std::collections::BTreeMap;

use serde_json::Value;
use so_connectors::SecretValue;
use so_model::{account::Account, workspace::Role};
use so_store::{memberships, secrets, sign_ins, sign_ins::SignIn};
use subtle::ConstantTimeEq as _;

use super::{
    connect::{Place, store},
    form,
    sign_in::PENDING,
};
use crate::app::{
    App,
    failure::{Failure, Outcome},
    secrets::sha256_hex,
};

/// Longest value that a network sends along; codes have some hundred characters.
const VALUE_MAX: usize = 4000;

/// What came back with a person.
#[derive(Debug, Clone, Default)]
pub struct Returned {
    /// Everything in the address.
    pub callback: BTreeMap<String, String>,
    /// What the browser kept; none in another browser.
    pub ticket: Option<String>,
}

/// Connects the account for which a person was sent away.
pub async fn finish(app: &App, returned: Returned) -> Outcome<Account> {
    let state = returned
        .callback
        .get("state")
        .map(String::as_str)
        .unwrap_or_default();
    if returned
        .callback
        .values()
        .any(|value| value.len() > VALUE_MAX)
        || state.is_empty()
    {
        return Err(over());
    }
    let (sign_in, sealed) = take(app, state, returned.ticket.as_deref()).await?;
    check_role(app, &sign_in).await?;
    let connector = app
        .access
        .connectors()
        .find(&sign_in.network)
        .ok_or_else(over)?;
    let pending = SecretValue::new(
        sealed
            .expose()
            .get("pending")
            .cloned()
            .unwrap_or(Value::Null),
    );
    check_issuer(&pending, returned.callback.get("iss").map(String::as_str))?;
    let connected = connector
        .finish_sign_in(&app.access.cx(), &pending, &returned.callback)
        .await;
    let connected = connected.map_err(|error| form::failure(error, ""))?;
    let SignIn {
        workspace,
        user,
        network,
        account,
        ..
    } = sign_in;
    store(
        app,
        Place {
            workspace,
            user,
            network,
            account,
        },
        connected,
    )
    .await
}

// Otherwise whoever begins a sign-in could have somebody else end it, with that person's account.
fn check_browser(sealed: &SecretValue, ticket: Option<&str>) -> Outcome<()> {
    let browser = sealed.text("browser").unwrap_or_default();
    let shown = ticket
        .map(|ticket| sha256_hex(ticket.as_bytes()))
        .unwrap_or_default();
    if !browser.is_empty() && bool::from(browser.as_bytes().ct_eq(shown.as_bytes())) {
        return Ok(());
    }
    Err(Failure::new(
        403,
        "sign_in.other_browser",
        "The sign-in was begun in another browser",
    )
    .next_step("Connect the account anew, and go to the network in the same browser."))
}

// A code that another server issued must not be sent to this one (RFC 9207).
fn check_issuer(pending: &SecretValue, issuer: Option<&str>) -> Outcome<()> {
    let (Some(issuer), Some(base)) = (issuer, pending.text("base_url")) else {
        return Ok(());
    };
    let origin = |text: &str| url::Url::parse(text).ok().map(|url| url.origin());
    if let (Some(issuer), Some(base)) = (origin(issuer), origin(base))
        && issuer.is_tuple()
        && issuer == base
    {
        return Ok(());
    }
    Err(Failure::new(
        403,
        "sign_in.other_network",
        "The answer came from another server than the one you were sent to",
    )
    .next_step("Connect the account anew, and check the address of the server."))
}

// Rights may have ended while the person was away.
async fn check_role(app: &App, sign_in: &SignIn) -> Outcome<()> {
    let mut reader = app.reader();
    match memberships::find_role(&mut reader, sign_in.workspace, sign_in.user).await? {
        Some(role) if role >= Role::Admin => Ok(()),
        _ => Err(crate::app::members::insufficient(Role::Admin)),
    }
}

async fn take(app: &App, state: &str, ticket: Option<&str>) -> Outcome<(SignIn, SecretValue)> {
    let mut tx = app.store.begin().await?;
    let taken = sign_ins::take(&mut tx, &sha256_hex(state.as_bytes()), app.engine.now()).await?;
    let Some(sign_in) = taken else {
        // One that is over is gone all the same.
        tx.commit().await?;
        return Err(over());
    };
    let owner = sign_in.id.to_string();
    let sealed = secrets::get(&mut tx, &app.vault, sign_in.workspace, &owner, PENDING).await?;
    let value = sealed.and_then(|text| serde_json::from_str(text.expose()).ok());
    let sealed = SecretValue::new(value.unwrap_or(Value::Null));
    if let Err(refused) = check_browser(&sealed, ticket) {
        // The person who began may still come back.
        tx.rollback().await?;
        return Err(refused);
    }
    secrets::delete_for_owner(&mut tx, sign_in.workspace, &owner).await?;
    tx.commit().await?;
    Ok((sign_in, sealed))
}

fn over() -> Failure {
    Failure::new(410, "sign_in.over", "This sign-in is over")
        .detail("It was used already, took too long, or was never begun here.")
        .next_step("Connect the account anew.")
}
