//! Memberships: who may enter a workspace, and as what.
//!
//! Invariant: a workspace that has an owner keeps one.

use so_model::{
    id::{UserId, WorkspaceId},
    time::Timestamp,
    workspace::{Role, User},
};

use super::parsed;
use crate::{Result, Sql, StoreError, Tx, args, dialect};

/// A member of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Member {
    /// The person.
    pub user: User,
    /// As what.
    pub role: Role,
    /// Since when.
    pub since: Timestamp,
}

/// The role of a person in a workspace; none when not a member.
pub async fn find_role(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Option<Role>> {
    let row = sql
        .one(
            "SELECT role FROM memberships WHERE workspace_id = $1 AND user_id = $2",
            args![workspace, user],
        )
        .await?;
    row.map(|row| parsed("role", row.text(0)?, Role::parse))
        .transpose()
}

/// Members of a workspace, longest first.
pub async fn list(sql: &mut dyn Sql, workspace: WorkspaceId, limit: i64) -> Result<Vec<Member>> {
    sql.all(
        "SELECT users.id, users.email, users.name, users.created_at, memberships.role, memberships.created_at \
         FROM memberships JOIN users ON users.id = memberships.user_id \
         WHERE memberships.workspace_id = $1 ORDER BY memberships.created_at, users.id LIMIT $2",
        args![workspace, limit],
    )
    .await?
    .iter()
    .map(|row| {
        Ok(Member {
            user: User {
                id: row.id(0)?,
                email: row.text(1)?,
                name: row.text(2)?,
                created_at: row.at(3)?,
            },
            role: parsed("role", row.text(4)?, Role::parse)?,
            since: row.at(5)?,
        })
    })
    .collect()
}

/// Adds a member or changes the role; refuses to demote the last owner.
pub async fn put(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
    role: Role,
    now: Timestamp,
) -> Result<()> {
    if role != Role::Owner {
        keep_an_owner(tx, workspace, user).await?;
    }
    tx.run(
        "INSERT INTO memberships (workspace_id, user_id, role, created_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (workspace_id, user_id) DO UPDATE SET role = excluded.role",
        args![workspace, user, role.as_str(), now],
    )
    .await?;
    Ok(())
}

/// Removes a member; refuses to remove the last owner. False when not a member.
pub async fn remove(tx: &mut Tx, workspace: WorkspaceId, user: UserId) -> Result<bool> {
    keep_an_owner(tx, workspace, user).await?;
    let changed = tx
        .run(
            "DELETE FROM memberships WHERE workspace_id = $1 AND user_id = $2",
            args![workspace, user],
        )
        .await?;
    Ok(changed == 1)
}

// Two owners who leave at once would each see the other stay; the lock makes them take turns.
async fn keep_an_owner(tx: &mut Tx, workspace: WorkspaceId, user: UserId) -> Result<()> {
    let lock = dialect::lock_workspace(tx.backend());
    tx.one(lock, args![workspace]).await?;
    if find_role(tx, workspace, user).await? != Some(Role::Owner) {
        return Ok(());
    }
    let other = tx
        .one(
            "SELECT 1 AS found FROM memberships WHERE workspace_id = $1 AND role = 'owner' AND user_id <> $2 LIMIT 1",
            args![workspace, user],
        )
        .await?;
    if other.is_some() {
        Ok(())
    } else {
        Err(StoreError::LastOwner)
    }
}
