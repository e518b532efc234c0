//! Workspaces: making, reading, changing.
//!
//! Invariant: a workspace is made with an owner and furnished in the same transaction.

use so_model::{
    IdSource as _,
    api::{
        auth::Membership,
        workspace::{ChangeWorkspace, CreateWorkspace},
    },
    id::{UserId, WorkspaceId},
    problem::FieldError,
    workspace::{Role, Workspace},
};
use so_store::{Tx, memberships, workspaces};

use super::{
    App,
    failure::{Failure, Outcome},
    rules, text,
};

/// Workspaces one person may be a member of.
const PER_USER_MAX: usize = 100;

/// Stores a workspace with its owner and furnishes it.
pub async fn store(
    app: &App,
    tx: &mut Tx,
    owner: UserId,
    name: &str,
    time_zone: &str,
) -> Outcome<Workspace> {
    let workspace = Workspace {
        id: app.ids.new_id(),
        name: name.to_string(),
        time_zone: time_zone.to_string(),
        approval_required: false,
        created_at: app.now(),
    };
    workspaces::insert(tx, &workspace).await?;
    memberships::put(tx, workspace.id, owner, Role::Owner, app.now()).await?;
    app.workspace_hook
        .on_workspace_created(tx, &workspace, owner)
        .await?;
    Ok(workspace)
}

/// Makes a workspace for a person.
pub async fn create(app: &App, owner: UserId, request: &CreateWorkspace) -> Outcome<Membership> {
    let mut errors: Vec<FieldError> = Vec::new();
    let mut keep = |result: Result<String, FieldError>| {
        result
            .map_err(|error| errors.push(error))
            .unwrap_or_default()
    };
    let name = keep(text::name(&request.name, "/name"));
    let zone = keep(text::time_zone(
        request.time_zone.as_deref().unwrap_or("UTC"),
        "/time_zone",
    ));
    if !errors.is_empty() {
        return Err(Failure::invalid(errors));
    }
    let mut tx = app.store.begin().await?;
    if workspaces::list_for_user(&mut tx, owner).await?.len() >= PER_USER_MAX {
        return Err(Failure::new(
            409,
            "workspace.too_many",
            "You are in as many workspaces as one person may be",
        )
        .detail(format!(
            "One person may be a member of {PER_USER_MAX} workspaces."
        ))
        .next_step("Leave a workspace first."));
    }
    let workspace = store(app, &mut tx, owner, &name, &zone).await?;
    tx.commit().await?;
    rules::reload(app).await;
    Ok(Membership {
        workspace,
        role: Role::Owner,
    })
}

/// A workspace by its id.
pub async fn get(app: &App, id: WorkspaceId) -> Outcome<Workspace> {
    workspaces::find(&mut app.reader(), id)
        .await?
        .ok_or_else(|| Failure::not_found("workspace"))
}

/// Changes what a request names.
pub async fn change(app: &App, id: WorkspaceId, request: &ChangeWorkspace) -> Outcome<Workspace> {
    let mut errors: Vec<FieldError> = Vec::new();
    let mut keep =
        |result: Result<String, FieldError>| result.map_err(|error| errors.push(error)).ok();
    let name = request
        .name
        .as_deref()
        .and_then(|name| keep(text::name(name, "/name")));
    let zone = request
        .time_zone
        .as_deref()
        .and_then(|zone| keep(text::time_zone(zone, "/time_zone")));
    if !errors.is_empty() {
        return Err(Failure::invalid(errors));
    }
    let mut tx = app.store.begin().await?;
    let mut workspace = workspaces::find(&mut tx, id)
        .await?
        .ok_or_else(|| Failure::not_found("workspace"))?;
    workspace.name = name.unwrap_or(workspace.name);
    workspace.time_zone = zone.unwrap_or(workspace.time_zone);
    workspace.approval_required = request
        .approval_required
        .unwrap_or(workspace.approval_required);
    workspaces::update(&mut tx, &workspace).await?;
    if request.time_zone.is_some() {
        rules::resync_timers(app, &mut tx, id, &workspace.time_zone, app.now()).await?;
    }
    tx.commit().await?;
    app.engine.forget_workspace(id);
    app.engine.announce(id, "workspace", id);
    Ok(workspace)
}

/// The workspaces of a person.
pub async fn list(app: &App, user: UserId) -> Outcome<Vec<Membership>> {
    let found = workspaces::list_for_user(&mut app.reader(), user).await?;
    Ok(found
        .into_iter()
        .map(|(workspace, role)| Membership { workspace, role })
        .collect())
}
