//! Members of a workspace.
//!
//! Invariants: a workspace keeps an owner; only an owner makes, demotes or removes an owner, so that an
//! admin cannot rise by themselves.

use so_model::{
    api::workspace::{AddMember, MemberView},
    id::{UserId, WorkspaceId},
    workspace::Role,
};
use so_store::{Tx, memberships, users};

use super::{
    App,
    failure::{Failure, Outcome},
    text,
};

/// Members shown and permitted in one workspace.
const MEMBERS_MAX: i64 = 500;

/// Who acts, where, with what power.
#[derive(Debug, Clone, Copy)]
pub struct Actor {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The person.
    pub user: UserId,
    /// Their role there.
    pub role: Role,
}

/// The members, the longest first.
pub async fn list(app: &App, workspace: WorkspaceId) -> Outcome<Vec<MemberView>> {
    let found = memberships::list(&mut app.reader(), workspace, MEMBERS_MAX).await?;
    let view = |member: memberships::Member| MemberView {
        user: member.user,
        role: member.role,
        since: member.since,
    };
    Ok(found.into_iter().map(view).collect())
}

/// Adds somebody who has registered here, by address.
///
/// Adding tells whether an address is known here; it is slowed down.
pub async fn add(app: &App, actor: Actor, request: &AddMember) -> Outcome<MemberView> {
    let email =
        text::email(&request.email, "/email").map_err(|error| Failure::invalid(vec![error]))?;
    app.throttle.before_lookup(actor.user, app.now())?;
    let mut tx = app.store.begin().await?;
    let Some((user, _)) = users::find_by_email(&mut tx, &email).await? else {
        return Err(Failure::field(
            "/email",
            "is the address of nobody here",
            "the address of a person who has registered",
        ));
    };
    if memberships::find_role(&mut tx, actor.workspace, user.id)
        .await?
        .is_some()
    {
        return Err(
            Failure::new(409, "member.exists", "This person is a member already")
                .next_step("Change the role of the member instead."),
        );
    }
    if memberships::list(&mut tx, actor.workspace, MEMBERS_MAX)
        .await?
        .len() as i64
        >= MEMBERS_MAX
    {
        return Err(Failure::new(
            409,
            "member.too_many",
            "The workspace has as many members as it may have",
        )
        .next_step("Remove a member first."));
    }
    put(app, tx, actor, user.id, request.role).await
}

/// Changes the role of a member.
pub async fn change_role(app: &App, actor: Actor, user: UserId, role: Role) -> Outcome<MemberView> {
    let mut tx = app.store.begin().await?;
    let present = memberships::find_role(&mut tx, actor.workspace, user).await?;
    let present = present.ok_or_else(|| Failure::not_found("member"))?;
    check_owner(actor, present)?;
    put(app, tx, actor, user, role).await
}

async fn put(app: &App, mut tx: Tx, actor: Actor, user: UserId, role: Role) -> Outcome<MemberView> {
    check_owner(actor, role)?;
    memberships::put(&mut tx, actor.workspace, user, role, app.now()).await?;
    let all = memberships::list(&mut tx, actor.workspace, MEMBERS_MAX).await?;
    tx.commit().await?;
    app.engine.announce(actor.workspace, "member", user);
    let found = all
        .into_iter()
        .find(|member| member.user.id == user)
        .ok_or_else(Failure::internal)?;
    Ok(MemberView {
        user: found.user,
        role: found.role,
        since: found.since,
    })
}

/// Removes a member; everybody may remove themselves.
pub async fn remove(app: &App, actor: Actor, user: UserId) -> Outcome<()> {
    let mut tx = app.store.begin().await?;
    let present = memberships::find_role(&mut tx, actor.workspace, user).await?;
    let present = present.ok_or_else(|| Failure::not_found("member"))?;
    if actor.user != user && actor.role < Role::Admin {
        return Err(insufficient(Role::Admin));
    }
    check_owner(actor, present)?;
    memberships::remove(&mut tx, actor.workspace, user).await?;
    tx.commit().await?;
    app.engine.announce(actor.workspace, "member", user);
    Ok(())
}

fn check_owner(actor: Actor, touched: Role) -> Outcome<()> {
    if touched == Role::Owner && actor.role != Role::Owner {
        return Err(insufficient(Role::Owner));
    }
    Ok(())
}

/// A member whose role is too small.
pub fn insufficient(needed: Role) -> Failure {
    Failure::new(
        403,
        "workspace.role_insufficient",
        "Your role does not permit this",
    )
    .detail(format!(
        "This needs the role {} or a higher one.",
        needed.as_str()
    ))
    .next_step("Ask an owner or admin of the workspace.")
}
