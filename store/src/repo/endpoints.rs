//! Outbound webhook addresses.

use serde::{Deserialize, Serialize};
use so_model::{
    id::{EndpointId, WorkspaceId},
    time::Timestamp,
};

use super::expect_one;
use crate::{Result, Row, Sql, Tx, args};

/// An outbound webhook address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Own id.
    pub id: EndpointId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// Name.
    pub name: String,
    /// Address.
    pub url: String,
    /// Whether anything is sent.
    pub is_enabled: bool,
    /// What went wrong, for people.
    pub problem: Option<String>,
    /// Since when every delivery fails.
    pub failing_since: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, workspace_id, name, url, is_enabled, problem, failing_since, created_at FROM endpoints ",
            $rest
        )
    };
}

fn read(row: &Row) -> Result<Endpoint> {
    Ok(Endpoint {
        id: row.id(0)?,
        workspace: row.id(1)?,
        name: row.text(2)?,
        url: row.text(3)?,
        is_enabled: row.truth(4)?,
        problem: row.opt_text(5)?,
        failing_since: row.opt_at(6)?,
        created_at: row.at(7)?,
    })
}

/// Stores an address.
pub async fn insert(tx: &mut Tx, endpoint: &Endpoint) -> Result<()> {
    tx.run(
        "INSERT INTO endpoints (id, workspace_id, name, url, is_enabled, problem, failing_since, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        args![
            endpoint.id,
            endpoint.workspace,
            &endpoint.name,
            &endpoint.url,
            endpoint.is_enabled,
            endpoint.problem.clone(),
            endpoint.failing_since,
            endpoint.created_at
        ],
    )
    .await?;
    Ok(())
}

/// The address with an id.
pub async fn find(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    id: EndpointId,
) -> Result<Option<Endpoint>> {
    let row = sql
        .one(
            select!("WHERE workspace_id = $1 AND id = $2"),
            args![workspace, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// The first address with a URL.
pub async fn find_by_url(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    url: &str,
) -> Result<Option<Endpoint>> {
    let row = sql
        .one(
            select!("WHERE workspace_id = $1 AND url = $2 ORDER BY id LIMIT 1"),
            args![workspace, url],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Addresses of a workspace after a cursor, oldest first.
pub async fn list(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    after: &str,
    limit: i64,
) -> Result<Vec<Endpoint>> {
    sql.all(
        select!("WHERE workspace_id = $1 AND id > $2 ORDER BY id LIMIT $3"),
        args![workspace, after, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Changes name, URL and whether it is on; switching it on forgets the problem.
pub async fn update(tx: &mut Tx, endpoint: &Endpoint) -> Result<()> {
    let changed = tx
        .run(
            "UPDATE endpoints SET name = $3, url = $4, is_enabled = $5, \
             problem = CASE WHEN $5 = 1 AND is_enabled = 0 THEN NULL ELSE problem END, \
             failing_since = CASE WHEN $5 = 1 AND is_enabled = 0 THEN NULL ELSE failing_since END \
             WHERE workspace_id = $1 AND id = $2",
            args![
                endpoint.workspace,
                endpoint.id,
                &endpoint.name,
                &endpoint.url,
                endpoint.is_enabled
            ],
        )
        .await?;
    expect_one(changed, "endpoint")
}

/// Deletes an address; false when there is none.
pub async fn delete(tx: &mut Tx, workspace: WorkspaceId, id: EndpointId) -> Result<bool> {
    let changed = tx
        .run(
            "DELETE FROM endpoints WHERE workspace_id = $1 AND id = $2",
            args![workspace, id],
        )
        .await?;
    Ok(changed == 1)
}

/// Switches an address off with a reason; false when it is off already.
pub async fn disable(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: EndpointId,
    problem: &str,
) -> Result<bool> {
    let changed = tx
        .run(
            "UPDATE endpoints SET is_enabled = 0, problem = $3 WHERE workspace_id = $1 AND id = $2 AND is_enabled = 1",
            args![workspace, id, problem],
        )
        .await?;
    Ok(changed == 1)
}

/// Notes that a delivery failed; answers since when all have.
pub async fn record_failure(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: EndpointId,
    problem: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    let row = tx
        .one(
            "UPDATE endpoints SET problem = $3, failing_since = COALESCE(failing_since, $4) \
             WHERE workspace_id = $1 AND id = $2 RETURNING failing_since",
            args![workspace, id, problem, now],
        )
        .await?;
    row.map_or(Ok(None), |row| row.opt_at(0))
}

/// Notes that a delivery was taken.
pub async fn record_success(tx: &mut Tx, workspace: WorkspaceId, id: EndpointId) -> Result<()> {
    tx.run(
        "UPDATE endpoints SET problem = NULL, failing_since = NULL \
         WHERE workspace_id = $1 AND id = $2 AND failing_since IS NOT NULL",
        args![workspace, id],
    )
    .await?;
    Ok(())
}
