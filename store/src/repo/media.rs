//! Uploaded files: what is known of them; the bytes lie in the object store.

use serde::{Deserialize, Serialize};
use so_model::{
    id::{MediaId, WorkspaceId},
    time::Timestamp,
};

use super::expect_one;
use crate::{Result, Row, Sql, Tx, args};

/// An uploaded file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaFile {
    /// Own id.
    pub id: MediaId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// Name it was uploaded under.
    pub name: String,
    /// MIME type as found in the bytes.
    pub mime: String,
    /// Length.
    pub bytes: i64,
    /// Pixels across; 0 when not known.
    pub width: i64,
    /// Pixels down; 0 when not known.
    pub height: i64,
    /// Description for people who cannot see it.
    pub alt: String,
    /// Hash of the bytes in hexadecimal.
    pub sha256: String,
    /// Where the object store keeps it.
    pub storage_key: String,
    /// When it was uploaded.
    pub created_at: Timestamp,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, workspace_id, name, mime, bytes, width, height, alt, sha256, storage_key, created_at FROM media ",
            $rest
        )
    };
}

fn read(row: &Row) -> Result<MediaFile> {
    Ok(MediaFile {
        id: row.id(0)?,
        workspace: row.id(1)?,
        name: row.text(2)?,
        mime: row.text(3)?,
        bytes: row.int(4)?,
        width: row.int(5)?,
        height: row.int(6)?,
        alt: row.text(7)?,
        sha256: row.text(8)?,
        storage_key: row.text(9)?,
        created_at: row.at(10)?,
    })
}

/// Stores what is known of a file.
pub async fn insert(tx: &mut Tx, file: &MediaFile) -> Result<()> {
    tx.run(
        "INSERT INTO media (id, workspace_id, name, mime, bytes, width, height, alt, sha256, storage_key, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        args![
            file.id, file.workspace, &file.name, &file.mime, file.bytes, file.width, file.height, &file.alt,
            &file.sha256, &file.storage_key, file.created_at
        ],
    )
    .await?;
    Ok(())
}

/// The file with an id.
pub async fn find(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    id: MediaId,
) -> Result<Option<MediaFile>> {
    let row = sql
        .one(
            select!("WHERE workspace_id = $1 AND id = $2"),
            args![workspace, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// The first file with these bytes.
pub async fn find_by_sha256(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    sha256: &str,
) -> Result<Option<MediaFile>> {
    let row = sql
        .one(
            select!("WHERE workspace_id = $1 AND sha256 = $2 ORDER BY id LIMIT 1"),
            args![workspace, sha256],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Files of a workspace, newest first.
pub async fn list(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    before: &str,
    limit: i64,
) -> Result<Vec<MediaFile>> {
    sql.all(
        select!("WHERE workspace_id = $1 AND ($2 = '' OR id < $2) ORDER BY id DESC LIMIT $3"),
        args![workspace, before, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Changes name and description.
pub async fn update(tx: &mut Tx, file: &MediaFile) -> Result<()> {
    let changed = tx
        .run(
            "UPDATE media SET name = $3, alt = $4 WHERE workspace_id = $1 AND id = $2",
            args![file.workspace, file.id, &file.name, &file.alt],
        )
        .await?;
    expect_one(changed, "file")
}

/// Forgets a file; answers the object store's key if no other file uses it.
///
/// None when there is no such file or its bytes are still needed.
pub async fn delete(tx: &mut Tx, workspace: WorkspaceId, id: MediaId) -> Result<Option<String>> {
    let row = tx
        .one(
            "DELETE FROM media WHERE workspace_id = $1 AND id = $2 RETURNING storage_key",
            args![workspace, id],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let key = row.text(0)?;
    // Asked of every workspace: where equal bytes are stored once, another one may hold them.
    let other = tx
        .one(
            "SELECT 1 AS found FROM media WHERE storage_key = $1 LIMIT 1",
            args![&key],
        )
        .await?;
    Ok(other.is_none().then_some(key))
}
