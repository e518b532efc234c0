//! Workspaces: the tenants.

use so_model::{
    id::{UserId, WorkspaceId},
    workspace::{Role, Workspace},
};

use super::{instance, parsed};
use crate::{Result, Row, Sql, Tx, args};

fn read(row: &Row) -> Result<Workspace> {
    Ok(Workspace {
        id: row.id(0)?,
        name: row.text(1)?,
        time_zone: row.text(2)?,
        approval_required: row.truth(3)?,
        created_at: row.at(4)?,
    })
}

/// Stores a workspace.
pub async fn insert(tx: &mut Tx, workspace: &Workspace) -> Result<()> {
    tx.run(
        "INSERT INTO workspaces (id, name, time_zone, approval_required, created_at) VALUES ($1, $2, $3, $4, $5)",
        args![
            workspace.id, &workspace.name, &workspace.time_zone, workspace.approval_required, workspace.created_at
        ],
    )
    .await?;
    Ok(())
}

/// The workspace with an id.
pub async fn find(sql: &mut dyn Sql, id: WorkspaceId) -> Result<Option<Workspace>> {
    let row = sql
        .one(
            "SELECT id, name, time_zone, approval_required, created_at FROM workspaces WHERE id = $1",
            args![id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Changes name, zone and approval; false when there is no such workspace.
pub async fn update(tx: &mut Tx, workspace: &Workspace) -> Result<bool> {
    let changed = tx
        .run(
            "UPDATE workspaces SET name = $2, time_zone = $3, approval_required = $4 WHERE id = $1",
            args![
                workspace.id,
                &workspace.name,
                &workspace.time_zone,
                workspace.approval_required
            ],
        )
        .await?;
    if changed == 1 {
        instance::count_up(tx, CHANGES).await?;
    }
    Ok(changed == 1)
}

/// The fact that counts changes.
const CHANGES: &str = "workspace_changes";

/// How often workspaces were changed: whoever keeps copies of them asks for this in place of each.
pub async fn changes(sql: &mut dyn Sql) -> Result<i64> {
    instance::counted(sql, CHANGES).await
}

/// Workspaces a person is a member of, with the role in each.
pub async fn list_for_user(sql: &mut dyn Sql, user: UserId) -> Result<Vec<(Workspace, Role)>> {
    sql.all(
        "SELECT workspaces.id, workspaces.name, workspaces.time_zone, workspaces.approval_required, \
         workspaces.created_at, memberships.role FROM memberships \
         JOIN workspaces ON workspaces.id = memberships.workspace_id \
         WHERE memberships.user_id = $1 ORDER BY workspaces.id",
        args![user],
    )
    .await?
    .iter()
    .map(|row| Ok((read(row)?, parsed("role", row.text(5)?, Role::parse)?)))
    .collect()
}

/// Ids of all workspaces after a cursor, for housekeeping.
pub async fn list_ids(sql: &mut dyn Sql, after: &str, limit: i64) -> Result<Vec<WorkspaceId>> {
    sql.all(
        "SELECT id FROM workspaces WHERE id > $1 ORDER BY id LIMIT $2",
        args![after, limit],
    )
    .await?
    .iter()
    .map(|row| row.id(0))
    .collect()
}
