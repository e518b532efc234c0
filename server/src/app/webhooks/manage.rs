//! Making and looking after inbound webhooks.
//!
//! The address is found by a hash and sealed to be shown to admins; the signing secret is sealed and shown once.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use so_model::{
    IdSource as _,
    api::hook::{
        ChangeHook, CreateHook, HookDetail, HookList, HookQuery, HookSecrets, HookVerify, HookView,
        RotateHook,
    },
    id::{HookId, WorkspaceId, kind},
    time::Timestamp,
    workspace::Role,
};
use so_store::{Page, StoreError, Tx, hooks, hooks::Hook, secrets};
use so_triggers::webhook::new_signing_secret;

use super::scheme::{check_fits, check_secret, check_verify, stored, verify_of};
use crate::app::{
    App,
    change::{Change, PageAsk},
    failure::{Failure, Outcome},
    members::Actor,
    secrets::{random_bytes, sha256_hex},
    text,
};

/// Name of the address among a hook's secrets.
const ADDRESS: &str = "address";
/// Name of the signing secret among a hook's secrets.
pub(super) const SECRET: &str = "secret";
/// Webhooks of one workspace.
const HOOKS_MAX: i64 = 200;
/// A page of webhooks, the oldest first.
pub async fn list(app: &App, workspace: WorkspaceId, query: &HookQuery) -> Outcome<HookList> {
    let page = PageAsk::of::<kind::Hook>(query.cursor.as_deref(), query.limit)?;
    let found = hooks::list(&mut app.reader(), workspace, &page.cursor, page.fetch()).await?;
    let found = Page::cut(found, page.limit, |hook| hook.id.to_string());
    let ids: Vec<HookId> = found.items.iter().map(|hook| hook.id).collect();
    let called = hooks::latest_calls_at(&mut app.reader(), workspace, &ids).await?;
    let items = found.items.iter();
    let items = items
        .map(|hook| view(hook, called.get(&hook.id).copied()))
        .collect::<Outcome<_>>()?;
    Ok(HookList {
        items,
        next_cursor: found.next_cursor,
    })
}

/// A webhook with its last call, and its address for admins.
pub async fn get(app: &App, actor: Actor, id: HookId) -> Outcome<HookDetail> {
    let mut reader = app.reader();
    let hook = hooks::find(&mut reader, actor.workspace, id)
        .await?
        .ok_or_else(|| Failure::not_found("hook"))?;
    let url = match actor.role >= Role::Admin {
        true => secrets::get(
            &mut reader,
            &app.vault,
            actor.workspace,
            &id.to_string(),
            ADDRESS,
        )
        .await?
        .map(|token| url_of(app, token.expose())),
        false => None,
    };
    let call = hooks::latest_call(&mut reader, actor.workspace, id).await?;
    let (sample, called_at) = call.unzip();
    Ok(HookDetail {
        hook: view(&hook, called_at)?,
        url,
        sample,
    })
}

/// Makes a webhook.
pub async fn create(app: &App, actor: Actor, request: CreateHook) -> Outcome<HookSecrets> {
    let mut errors = Vec::new();
    let name = text::name(&request.name, "/name")
        .map_err(|error| errors.push(error))
        .unwrap_or_default();
    let verify = request.verify.unwrap_or(HookVerify::None {});
    errors.extend(check_verify(&verify));
    errors.extend(check_secret(&verify, request.secret.as_deref()));
    if !errors.is_empty() {
        return Err(Failure::invalid(errors));
    }
    let token = new_token()?;
    let mut change = Change::begin(app, actor.workspace).await?;
    if hooks::list(&mut change.tx, actor.workspace, "", HOOKS_MAX)
        .await?
        .len() as i64
        >= HOOKS_MAX
    {
        return Err(Failure::new(
            409,
            "hook.too_many",
            "The workspace has as many webhooks as it may have",
        )
        .next_step("Delete a webhook first."));
    }
    let hook = Hook {
        id: app.engine.ids.new_id(),
        workspace: actor.workspace,
        name,
        token_hash: sha256_hex(token.as_bytes()),
        verify: stored(&verify)?,
        is_enabled: true,
        created_at: change.now,
    };
    hooks::insert(&mut change.tx, &hook).await?;
    seal(app, &mut change.tx, &hook, ADDRESS, &token).await?;
    let secret = match verify {
        HookVerify::None {} => None,
        _ => Some(request.secret.map_or_else(new_secret, Ok)?),
    };
    if let Some(secret) = &secret {
        seal(app, &mut change.tx, &hook, SECRET, secret).await?;
    }
    change.touch("hook", hook.id);
    change.commit().await?;
    Ok(HookSecrets {
        hook: view(&hook, None)?,
        url: url_of(app, &token),
        secret,
    })
}

/// Changes name, verification and whether calls are taken.
pub async fn change(app: &App, actor: Actor, id: HookId, request: ChangeHook) -> Outcome<HookView> {
    let mut errors = Vec::new();
    let name = request.name.map(|name| {
        text::name(&name, "/name")
            .map_err(|error| errors.push(error))
            .unwrap_or_default()
    });
    errors.extend(
        request
            .verify
            .as_ref()
            .map(check_verify)
            .unwrap_or_default(),
    );
    if !errors.is_empty() {
        return Err(Failure::invalid(errors));
    }
    let mut change = Change::begin(app, actor.workspace).await?;
    let mut hook = hold(&mut change.tx, actor, id).await?;
    hook.name = name.unwrap_or(hook.name);
    hook.is_enabled = request.is_enabled.unwrap_or(hook.is_enabled);
    if let Some(verify) = &request.verify {
        let known = secrets::get(
            &mut change.tx,
            &app.vault,
            actor.workspace,
            &id.to_string(),
            SECRET,
        )
        .await?;
        check_fits(verify, known.as_ref().map(|secret| secret.expose()))?;
        hook.verify = stored(verify)?;
    }
    hooks::update(&mut change.tx, &hook).await?;
    change.touch("hook", id);
    change.commit().await?;
    app.doors.forget();
    view(&hook, called_at(app, &hook).await?)
}

/// Replaces address, secret or both.
pub async fn rotate(
    app: &App,
    actor: Actor,
    id: HookId,
    request: &RotateHook,
) -> Outcome<HookSecrets> {
    if !request.address && !request.secret {
        return Err(Failure::field(
            "/secret",
            "nothing is to be replaced",
            "address, secret or both as true",
        ));
    }
    let mut change = Change::begin(app, actor.workspace).await?;
    let mut hook = hold(&mut change.tx, actor, id).await?;
    let owner = id.to_string();
    let token = match request.address {
        true => new_token()?,
        false => secrets::get(&mut change.tx, &app.vault, actor.workspace, &owner, ADDRESS)
            .await?
            .map(|token| token.expose().to_string())
            .ok_or_else(Failure::internal)?,
    };
    if request.address {
        hook.token_hash = sha256_hex(token.as_bytes());
    }
    // Also for a secret alone: other servers keep it with the hook, and count changes of hooks.
    hooks::update(&mut change.tx, &hook).await?;
    if request.address {
        seal(app, &mut change.tx, &hook, ADDRESS, &token).await?;
    }
    let secret = match request.secret {
        true => Some(new_secret()?),
        false => None,
    };
    if let Some(secret) = &secret {
        seal(app, &mut change.tx, &hook, SECRET, secret).await?;
    }
    change.touch("hook", id);
    change.commit().await?;
    app.doors.forget();
    Ok(HookSecrets {
        hook: view(&hook, called_at(app, &hook).await?)?,
        url: url_of(app, &token),
        secret,
    })
}

/// Deletes a webhook; its address is unknown from now on.
pub async fn delete(app: &App, actor: Actor, id: HookId) -> Outcome<()> {
    let mut change = Change::begin(app, actor.workspace).await?;
    if !hooks::delete(&mut change.tx, actor.workspace, id).await? {
        return Err(Failure::not_found("hook"));
    }
    secrets::delete_for_owner(&mut change.tx, actor.workspace, &id.to_string()).await?;
    change.touch("hook", id);
    change.commit().await?;
    app.doors.forget();
    Ok(())
}

async fn hold(tx: &mut Tx, actor: Actor, id: HookId) -> Outcome<Hook> {
    hooks::find(tx, actor.workspace, id)
        .await?
        .ok_or_else(|| Failure::not_found("hook"))
}

async fn seal(
    app: &App,
    tx: &mut Tx,
    hook: &Hook,
    name: &str,
    text: &str,
) -> Result<(), StoreError> {
    secrets::put(
        tx,
        &app.vault,
        hook.workspace,
        &hook.id.to_string(),
        name,
        text,
        app.now(),
    )
    .await
}

fn new_token() -> Outcome<String> {
    Ok(URL_SAFE_NO_PAD.encode(random_bytes()?))
}

fn new_secret() -> Outcome<String> {
    Ok(new_signing_secret(&random_bytes()?))
}

fn url_of(app: &App, token: &str) -> String {
    format!("{}/in/{token}", app.public_url())
}

async fn called_at(app: &App, hook: &Hook) -> Outcome<Option<Timestamp>> {
    let called = hooks::latest_calls_at(&mut app.reader(), hook.workspace, &[hook.id]).await?;
    Ok(called.get(&hook.id).copied())
}

fn view(hook: &Hook, sample_at: Option<Timestamp>) -> Outcome<HookView> {
    Ok(HookView {
        id: hook.id,
        name: hook.name.clone(),
        verify: verify_of(hook)?,
        is_enabled: hook.is_enabled,
        sample_at,
        created_at: hook.created_at,
    })
}
