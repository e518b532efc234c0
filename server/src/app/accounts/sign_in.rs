//! Beginning a sign-in at a network.
//!
//! Owns the state that the network gives back. Invariants: a state is good once, for minutes, in the
//! browser that began; what the network needs to finish lies sealed meanwhile.

use serde_json::{Map, Value, json};
use so_connectors::SignInStart;
use so_model::{
    IdSource as _, Timestamp,
    account::{Account, AccountState},
    id::AccountId,
    network::SignInForm,
    time::MINUTE,
};
use so_store::{secrets, sign_ins, sign_ins::SignIn};

use super::{
    check::check,
    connect::{Place, store},
    form,
};
use crate::{
    app::{
        App,
        failure::{Failure, Outcome},
        members::Actor,
        secrets::{random_bytes, sha256_hex},
    },
    config::nearest,
};

/// Time for a person to sign in at the network and agree.
pub(super) const LIFE: i64 = 15 * MINUTE;
/// Name of the sealed part.
pub(super) const PENDING: &str = "pending";
/// Where networks send people back to.
pub const CALLBACK_PATH: &str = "/api/v1/sign-in/callback";

/// What the beginning of a sign-in led to.
#[derive(Debug)]
pub enum Begun {
    /// The account is connected.
    Done(Box<Account>),
    /// The person has to go to the network.
    Away {
        /// Where to.
        url: String,
        /// To be kept by the browser until it comes back.
        ticket: Ticket,
    },
}

/// What binds a sign-in to the browser that began it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Tells sign-ins of one browser apart.
    pub name: String,
    /// Known to the browser alone.
    pub secret: String,
    /// Seconds that it is good for.
    pub seconds: i64,
}

/// The name under which a browser keeps the ticket of a state.
pub fn ticket_name(state: &str) -> String {
    format!("so_sign_in_{}", &sha256_hex(state.as_bytes())[..16])
}

/// Begins connecting an account.
pub async fn begin(
    app: &App,
    actor: Actor,
    network: &str,
    form: &Map<String, Value>,
) -> Outcome<Begun> {
    start(app, actor, network, form, None).await
}

/// Begins connecting an account again.
pub async fn reconnect(
    app: &App,
    actor: Actor,
    id: AccountId,
    form: &Map<String, Value>,
) -> Outcome<Begun> {
    let account = super::get(app, actor.workspace, id).await?;
    let connector = app.access.connectors().find(&account.network);
    let is_instant =
        connector.is_some_and(|c| matches!(c.manifest().sign_in, SignInForm::Instant { .. }));
    if is_instant && account.state != AccountState::Removed {
        // There is nothing to sign in to; what can be had again is the network's word.
        let seen = check(app, actor, id).await?;
        return match seen.problem {
            None => Ok(Begun::Done(Box::new(seen.account))),
            Some(problem) => Err(Failure::new(
                409,
                "account.still_refused",
                "The network still refuses the account",
            )
            .detail(problem)
            .next_step("Change the behaviour of the account, then connect it again.")),
        };
    }
    start(app, actor, &account.network, form, Some(id)).await
}

async fn start(
    app: &App,
    actor: Actor,
    network: &str,
    form: &Map<String, Value>,
    account: Option<AccountId>,
) -> Outcome<Begun> {
    let connector = app
        .access
        .connectors()
        .find(network)
        .ok_or_else(|| unknown_network(app, network))?;
    form::check(connector.manifest(), form)?;
    let state = token()?;
    let callback = format!("{}{CALLBACK_PATH}", app.public_url());
    let begun = connector
        .begin_sign_in(&app.access.cx(), form, &callback, &state)
        .await;
    match begun.map_err(|error| form::failure(error, "/form"))? {
        SignInStart::Done(connected) => {
            let place = Place {
                workspace: actor.workspace,
                user: actor.user,
                network: network.into(),
                account,
            };
            Ok(Begun::Done(Box::new(store(app, place, *connected).await?)))
        }
        SignInStart::Redirect { url, pending } => {
            let ticket = Ticket {
                name: ticket_name(&state),
                secret: token()?,
                seconds: LIFE / so_model::time::SECOND,
            };
            let sealed = json!({"pending": pending.expose(), "browser": sha256_hex(ticket.secret.as_bytes())});
            note(app, actor, network, account, &state, &sealed).await?;
            Ok(Begun::Away { url, ticket })
        }
    }
}

async fn note(
    app: &App,
    actor: Actor,
    network: &str,
    account: Option<AccountId>,
    state: &str,
    sealed: &Value,
) -> Outcome<()> {
    let now: Timestamp = app.engine.now();
    let sign_in = SignIn {
        id: app.engine.ids.new_id(),
        workspace: actor.workspace,
        user: actor.user,
        network: network.to_string(),
        account,
        state_hash: sha256_hex(state.as_bytes()),
        expires_at: now.plus(LIFE),
    };
    let mut tx = app.store.begin().await?;
    sign_ins::prune(&mut tx, now).await?;
    sign_ins::insert(&mut tx, &sign_in).await?;
    let owner = sign_in.id.to_string();
    secrets::put(
        &mut tx,
        &app.vault,
        actor.workspace,
        &owner,
        PENDING,
        &sealed.to_string(),
        now,
    )
    .await?;
    tx.commit().await?;
    Ok(())
}

fn token() -> Outcome<String> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    Ok(URL_SAFE_NO_PAD.encode(random_bytes()?))
}

fn unknown_network(app: &App, network: &str) -> Failure {
    let known: Vec<&str> = app
        .access
        .connectors()
        .manifests()
        .map(|manifest| manifest.key.as_str())
        .collect();
    let short: String = network.chars().take(40).collect();
    let near = nearest(&short, known.iter().copied()).map(str::to_string);
    let error = so_model::problem::FieldError::new("/network", "is no network of this server");
    Failure::invalid(vec![error.expected(known.join(", ")).suggest(near)])
}
