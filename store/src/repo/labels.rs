//! Labels on posts.

use serde::{Deserialize, Serialize};
use so_model::{
    id::{LabelId, WorkspaceId},
    time::Timestamp,
};

use super::{expect_one, posts};
use crate::{Result, Row, Sql, Tx, args};

/// Posts rewritten at a time when their label goes; bounds memory, not the work.
const BATCH: i64 = 100;

/// A label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Own id.
    pub id: LabelId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// Name, unique in the workspace.
    pub name: String,
    /// Colour it is shown in.
    pub color: String,
    /// When it was made.
    pub created_at: Timestamp,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, workspace_id, name, color, created_at FROM labels ",
            $rest
        )
    };
}

fn read(row: &Row) -> Result<Label> {
    Ok(Label {
        id: row.id(0)?,
        workspace: row.id(1)?,
        name: row.text(2)?,
        color: row.text(3)?,
        created_at: row.at(4)?,
    })
}

/// Stores a label; a conflict when the name is taken.
pub async fn insert(tx: &mut Tx, label: &Label) -> Result<()> {
    tx.run(
        "INSERT INTO labels (id, workspace_id, name, color, created_at) VALUES ($1, $2, $3, $4, $5)",
        args![label.id, label.workspace, &label.name, &label.color, label.created_at],
    )
    .await?;
    Ok(())
}

/// The label with an id.
pub async fn find(sql: &mut dyn Sql, workspace: WorkspaceId, id: LabelId) -> Result<Option<Label>> {
    let row = sql
        .one(
            select!("WHERE workspace_id = $1 AND id = $2"),
            args![workspace, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// The label with a name.
pub async fn find_by_name(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    name: &str,
) -> Result<Option<Label>> {
    let row = sql
        .one(
            select!("WHERE workspace_id = $1 AND name = $2"),
            args![workspace, name],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Labels of a workspace after a cursor, oldest first.
pub async fn list(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    after: &str,
    limit: i64,
) -> Result<Vec<Label>> {
    sql.all(
        select!("WHERE workspace_id = $1 AND id > $2 ORDER BY id LIMIT $3"),
        args![workspace, after, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Changes name and colour; a conflict when the name is taken.
pub async fn update(tx: &mut Tx, label: &Label) -> Result<()> {
    let changed = tx
        .run(
            "UPDATE labels SET name = $3, color = $4 WHERE workspace_id = $1 AND id = $2",
            args![label.workspace, label.id, &label.name, &label.color],
        )
        .await?;
    expect_one(changed, "label")
}

/// Deletes a label and takes it off every post; false when there is none.
///
/// Stale when a post is changed at the same moment.
pub async fn delete(tx: &mut Tx, workspace: WorkspaceId, id: LabelId) -> Result<bool> {
    let changed = tx
        .run(
            "DELETE FROM labels WHERE workspace_id = $1 AND id = $2",
            args![workspace, id],
        )
        .await?;
    if changed == 0 {
        return Ok(false);
    }
    let filter = posts::PostFilter {
        label: Some(id),
        ..posts::PostFilter::default()
    };
    loop {
        // Each round takes the label off what it found, so the next finds others.
        let batch = posts::list(tx, workspace, &filter, BATCH).await?;
        if batch.is_empty() {
            return Ok(true);
        }
        for mut post in batch {
            let revision = post.revision;
            post.labels.retain(|label| *label != id);
            posts::update(tx, &post, revision).await?;
        }
    }
}
