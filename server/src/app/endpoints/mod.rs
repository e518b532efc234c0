//! Outbound webhook addresses.
//!
//! Owns making, changing and trying them. Must not deliver events: rules do. Invariant: an address passes the
//! outbound guard before it is stored, and its signing secret is shown once.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::json;
use so_actions::webhook_send::{SIGNING_SECRET, place_of};
use so_model::{
    IdSource as _, Timestamp,
    api::endpoint::{
        ChangeEndpoint, CreateEndpoint, EndpointList, EndpointQuery, EndpointSecret,
        EndpointTested, EndpointView,
    },
    id::{EndpointId, WorkspaceId, kind},
    workspace::Role,
};
use so_net::{OutboundRequest, Purpose, Redirects};
use so_store::{Page, Tx, endpoints, endpoints::Endpoint, secrets};
use so_triggers::webhook::{new_signing_secret, sign};

use super::{
    App,
    change::{Change, PageAsk},
    failure::{Failure, Outcome},
    feeds::judge_url,
    members::Actor,
    secrets::random_bytes,
    text,
};

/// Addresses of one workspace.
const ENDPOINTS_MAX: i64 = 200;
/// Bound on a test: a person waits for it.
const TEST_DEADLINE: Duration = Duration::from_secs(10);
/// The answer's text is not used.
const ANSWER_MAX: u64 = 64 * 1024;

/// A page of addresses, the oldest first.
pub async fn list(app: &App, actor: Actor, query: &EndpointQuery) -> Outcome<EndpointList> {
    let workspace = actor.workspace;
    let page = PageAsk::of::<kind::Endpoint>(query.cursor.as_deref(), query.limit)?;
    let found = endpoints::list(&mut app.reader(), workspace, &page.cursor, page.fetch()).await?;
    let found = Page::cut(found, page.limit, |endpoint| endpoint.id.to_string());
    Ok(EndpointList {
        items: found
            .items
            .into_iter()
            .map(|endpoint| shown(endpoint, actor.role))
            .collect(),
        next_cursor: found.next_cursor,
    })
}

/// One address.
pub async fn get(app: &App, actor: Actor, id: EndpointId) -> Outcome<EndpointView> {
    let found = endpoints::find(&mut app.reader(), actor.workspace, id).await?;
    found
        .map(|endpoint| shown(endpoint, actor.role))
        .ok_or_else(|| Failure::not_found("endpoint"))
}

/// Makes an address with a secret.
pub async fn create(
    app: &App,
    workspace: WorkspaceId,
    request: &CreateEndpoint,
) -> Outcome<EndpointSecret> {
    let name = text::name(&request.name, "/name").map_err(|error| Failure::invalid(vec![error]))?;
    let url = judge_url(app, &request.url, app.config.outbound.allow_http)?;
    let secret = new_signing_secret(&random_bytes()?);
    let mut change = Change::begin(app, workspace).await?;
    if endpoints::list(&mut change.tx, workspace, "", ENDPOINTS_MAX)
        .await?
        .len() as i64
        >= ENDPOINTS_MAX
    {
        return Err(Failure::new(
            409,
            "endpoint.too_many",
            "The workspace has as many webhook addresses as it may have",
        )
        .next_step("Delete an address first."));
    }
    let endpoint = Endpoint {
        id: app.engine.ids.new_id(),
        workspace,
        name,
        url: url.to_string(),
        is_enabled: true,
        problem: None,
        failing_since: None,
        created_at: change.now,
    };
    endpoints::insert(&mut change.tx, &endpoint).await?;
    let now = change.now;
    seal(app, &mut change.tx, workspace, endpoint.id, &secret, now).await?;
    change.touch("endpoint", endpoint.id);
    change.commit().await?;
    Ok(EndpointSecret {
        endpoint: view(endpoint),
        secret,
    })
}

/// Changes name and address, switches on and off.
pub async fn change(
    app: &App,
    workspace: WorkspaceId,
    id: EndpointId,
    request: &ChangeEndpoint,
) -> Outcome<EndpointView> {
    let name = request
        .name
        .as_deref()
        .map(|name| text::name(name, "/name"))
        .transpose();
    let name = name.map_err(|error| Failure::invalid(vec![error]))?;
    let url = request
        .url
        .as_deref()
        .map(|url| judge_url(app, url, app.config.outbound.allow_http))
        .transpose()?;
    let mut change = Change::begin(app, workspace).await?;
    let mut endpoint = hold(&mut change.tx, workspace, id).await?;
    endpoint.name = name.unwrap_or(endpoint.name);
    endpoint.url = url.map_or(endpoint.url, String::from);
    endpoint.is_enabled = request.is_enabled.unwrap_or(endpoint.is_enabled);
    endpoints::update(&mut change.tx, &endpoint).await?;
    let changed = hold(&mut change.tx, workspace, id).await?;
    change.touch("endpoint", id);
    change.commit().await?;
    Ok(view(changed))
}

/// Replaces the secret; the old one is void at once.
pub async fn rotate(app: &App, workspace: WorkspaceId, id: EndpointId) -> Outcome<EndpointSecret> {
    let secret = new_signing_secret(&random_bytes()?);
    let mut change = Change::begin(app, workspace).await?;
    let endpoint = hold(&mut change.tx, workspace, id).await?;
    let now = change.now;
    seal(app, &mut change.tx, workspace, id, &secret, now).await?;
    change.commit().await?;
    Ok(EndpointSecret {
        endpoint: view(endpoint),
        secret,
    })
}

/// Deletes an address with its secret.
pub async fn delete(app: &App, workspace: WorkspaceId, id: EndpointId) -> Outcome<()> {
    let mut change = Change::begin(app, workspace).await?;
    if !endpoints::delete(&mut change.tx, workspace, id).await? {
        return Err(Failure::not_found("endpoint"));
    }
    secrets::delete_for_owner(&mut change.tx, workspace, &id.to_string()).await?;
    change.touch("endpoint", id);
    change.commit().await
}

/// Sends a signed test message once, also to an address that is switched off. Changes nothing.
pub async fn test(app: &App, workspace: WorkspaceId, id: EndpointId) -> Outcome<EndpointTested> {
    let mut reader = app.reader();
    let endpoint = endpoints::find(&mut reader, workspace, id)
        .await?
        .ok_or_else(|| Failure::not_found("endpoint"))?;
    let secret = secrets::get(
        &mut reader,
        &app.vault,
        workspace,
        &id.to_string(),
        SIGNING_SECRET,
    )
    .await?;
    let secret = secret.ok_or_else(|| {
        Failure::new(
            409,
            "endpoint.no_secret",
            "The address has no signing secret",
        )
        .next_step("Replace the secret.")
    })?;
    let request = test_request(app, &endpoint, secret.expose())?;
    Ok(match app.outbound.send(request).await {
        Ok(answer) if answer.is_success() => EndpointTested {
            is_delivered: true,
            status: Some(answer.status),
            problem: None,
        },
        Ok(answer) => EndpointTested {
            is_delivered: false,
            status: Some(answer.status),
            problem: Some(format!("the address answered {}", answer.status)),
        },
        Err(error) => EndpointTested {
            is_delivered: false,
            status: None,
            problem: Some(error.to_string()),
        },
    })
}

fn test_request(app: &App, endpoint: &Endpoint, secret: &str) -> Outcome<OutboundRequest> {
    let now = app.now();
    let event: so_model::id::EventId = app.engine.ids.new_id();
    let id = format!("msg_{}", event.to_string().trim_start_matches("evt_"));
    let data = json!({"endpoint": {"id": endpoint.id, "name": endpoint.name}});
    let body = json!({"type": "endpoint.tested", "timestamp": now, "data": data})
        .to_string()
        .into_bytes();
    let signature = sign(secret, &id, now.seconds(), &body).map_err(|error| {
        tracing::error!(endpoint.id = %endpoint.id, %error, "a signing secret cannot be used");
        Failure::new(
            409,
            "endpoint.secret_unfit",
            "The signing secret cannot be used",
        )
        .next_step("Replace the secret.")
    })?;
    Ok(OutboundRequest::post(endpoint.url.as_str())
        .purpose(Purpose::Webhook)
        .allow_http(app.config.outbound.allow_http)
        .redirects(Redirects::None)
        .deadline(TEST_DEADLINE)
        .max_response_bytes(ANSWER_MAX)
        .header("content-type", "application/json")
        .header("webhook-id", &id)
        .header("webhook-timestamp", &now.seconds().to_string())
        .header("webhook-signature", &signature)
        .bytes(body))
}

async fn hold(tx: &mut Tx, workspace: WorkspaceId, id: EndpointId) -> Outcome<Endpoint> {
    endpoints::find(tx, workspace, id)
        .await?
        .ok_or_else(|| Failure::not_found("endpoint"))
}

async fn seal(
    app: &App,
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: EndpointId,
    secret: &str,
    now: Timestamp,
) -> Outcome<()> {
    secrets::put(
        tx,
        &app.vault,
        workspace,
        &id.to_string(),
        SIGNING_SECRET,
        secret,
        now,
    )
    .await?;
    Ok(())
}

// Many addresses are secrets by themselves: whoever knows them may send.
fn shown(endpoint: Endpoint, role: Role) -> EndpointView {
    let mut view = view(endpoint);
    if role < Role::Admin {
        view.url = place_of(&view.url);
    }
    view
}

fn view(endpoint: Endpoint) -> EndpointView {
    EndpointView {
        id: endpoint.id,
        name: endpoint.name,
        url: endpoint.url,
        is_enabled: endpoint.is_enabled,
        problem: endpoint.problem,
        failing_since: endpoint.failing_since,
        created_at: endpoint.created_at,
    }
}
