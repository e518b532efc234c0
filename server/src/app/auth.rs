//! Registering, logging in, changing the password.
//!
//! Invariant: whether an address is known shows neither in the answer to a wrong log-in nor in its time.

use std::net::IpAddr;

use so_model::{
    api::auth::{ChangePassword, LogIn, Me, Membership, Register},
    id::UserId,
    workspace::User,
};
use so_store::{Tx, users, workspaces};

use super::{
    App,
    failure::{Failure, Outcome},
    password, sessions,
    sessions::Grant,
    text,
    tokens::Bearer,
    users::NewUser,
};
use crate::config::Registration;

/// Where a request comes from.
#[derive(Debug, Clone)]
pub struct Client {
    /// The peer's address, or what a trusted proxy says it is.
    pub peer: IpAddr,
    /// What the browser calls itself.
    pub user_agent: String,
}

/// Makes an account and signs in.
pub async fn register(app: &App, client: &Client, request: Register) -> Outcome<(Grant, Me)> {
    let new = NewUser::check(
        &request.name,
        &request.email,
        &request.password,
        request.time_zone.as_deref(),
    )?;
    app.throttle.before_registration(client.peer, app.now())?;
    check_open(app, &mut app.reader()).await?;
    let hash = new.hash(app).await?;
    let mut tx = app.store.begin().await?;
    lock_registration(app, &mut tx).await?;
    let (user, _) = new.store(app, &mut tx, &hash).await?;
    let grant = sessions::begin(app, &mut tx, user.id, &client.user_agent).await?;
    tx.commit().await?;
    super::rules::reload(app).await;
    tracing::info!(user.id = %user.id, "a person registered");
    let me = me(app, user.id).await?;
    Ok((grant, me))
}

// Asked again inside the transaction, so that two cannot both be the first.
async fn lock_registration(app: &App, tx: &mut Tx) -> Outcome<()> {
    if app.config.auth.registration == Registration::First {
        so_store::instance::set_once(tx, "first_user", "being made").await?;
        check_open(app, tx).await?;
    }
    Ok(())
}

async fn check_open(app: &App, sql: &mut dyn so_store::Sql) -> Outcome<()> {
    let is_open = match app.config.auth.registration {
        Registration::Open => true,
        Registration::First => users::count(sql).await? == 0,
        Registration::Closed => false,
    };
    if is_open {
        return Ok(());
    }
    Err(
        Failure::new(403, "auth.registration_closed", "Nobody can register here")
            .next_step("Ask the owner of this instance to make an account for you."),
    )
}

/// Opens a session.
pub async fn log_in(app: &App, client: &Client, request: LogIn) -> Outcome<(Grant, Me)> {
    let wrong = || {
        Failure::new(
            401,
            "auth.wrong_password",
            "The address or the password is wrong",
        )
        .next_step("Check both and try again.")
    };
    // An address that cannot be one is nobody's; it takes as long as any other.
    let email = text::email(&request.email, "/email").unwrap_or_default();
    if request.password.chars().count() > password::LENGTH_MAX {
        return Err(wrong());
    }
    app.throttle
        .before_password(&email, client.peer, app.now())?;
    let found = users::find_by_email(&mut app.reader(), &email).await?;
    let hash = found.as_ref().map(|(_, hash)| hash.clone());
    let is_right = app.hasher.verify(request.password.clone(), hash).await?;
    let Some((user, hash)) = found.filter(|_| is_right) else {
        return Err(wrong());
    };
    app.throttle.was_right(&email, client.peer);
    let renewed = match password::is_outdated(&hash) {
        true => Some(app.hasher.hash(request.password).await?),
        false => None,
    };
    let mut tx = app.store.begin().await?;
    if let Some(renewed) = renewed {
        users::set_password_hash(&mut tx, user.id, &renewed).await?;
    }
    let grant = sessions::begin(app, &mut tx, user.id, &client.user_agent).await?;
    tx.commit().await?;
    let me = me(app, user.id).await?;
    Ok((grant, me))
}

/// Changes the password and ends every other session.
pub async fn change_password(
    app: &App,
    client: &Client,
    bearer: Bearer,
    request: ChangePassword,
) -> Outcome<()> {
    let user = get_user(app, bearer.user).await?;
    password::check_new(&request.new, &user.email, "/new")
        .map_err(|error| Failure::invalid(vec![error]))?;
    app.throttle
        .before_password(&user.email, client.peer, app.now())?;
    let found = users::find_by_email(&mut app.reader(), &user.email).await?;
    let hash = found.map(|(_, hash)| hash);
    if !app.hasher.verify(request.current, hash).await? {
        return Err(Failure::field(
            "/current",
            "is not the present password",
            "the password you log in with",
        ));
    }
    app.throttle.was_right(&user.email, client.peer);
    let hash = app.hasher.hash(request.new).await?;
    let mut tx = app.store.begin().await?;
    users::set_password_hash(&mut tx, user.id, &hash).await?;
    sessions::end_others(app, &mut tx, bearer).await?;
    tx.commit().await?;
    sessions::forget_ended(app, user.id);
    tracing::info!(user.id = %user.id, "a person changed the password");
    Ok(())
}

/// A person and their workspaces.
pub async fn me(app: &App, id: UserId) -> Outcome<Me> {
    let user = get_user(app, id).await?;
    let found = workspaces::list_for_user(&mut app.reader(), id).await?;
    let workspaces = found
        .into_iter()
        .map(|(workspace, role)| Membership { workspace, role })
        .collect();
    Ok(Me { user, workspaces })
}

/// Changes the name shown.
pub async fn rename(app: &App, id: UserId, name: &str) -> Outcome<Me> {
    let name = text::name(name, "/name").map_err(|error| Failure::invalid(vec![error]))?;
    let mut tx = app.store.begin().await?;
    users::set_name(&mut tx, id, &name).await?;
    tx.commit().await?;
    me(app, id).await
}

async fn get_user(app: &App, id: UserId) -> Outcome<User> {
    users::find(&mut app.reader(), id)
        .await?
        .ok_or_else(Failure::signed_out)
}
