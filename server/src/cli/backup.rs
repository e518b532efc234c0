//! `backup`: a copy of database and uploads, taken while the server runs.
//!
//! Invariant: the master key is never part of a backup; whoever finds one finds no token in it.

use std::path::Path;

use anyhow::{Context as _, bail};
use so_model::IdSource as _;

use super::{
    copy::{FORMAT, Manifest, copy_folder, hash_file, write_manifest},
    data::{DATABASE_FILE, KEY_FILE, MEDIA_FOLDER, make_private, open_store, open_vault},
};
use so_engine::clock::Ids;

use crate::config::Config;

pub(super) async fn run(config: &Config, destination: &Path) -> anyhow::Result<()> {
    if !config.database.is_sqlite() {
        bail!(
            "a PostgreSQL database is copied with pg_dump; copy the folder {MEDIA_FOLDER} along with it"
        );
    }
    if destination.exists() {
        bail!(
            "{} exists already; name a folder that does not",
            destination.display()
        );
    }
    let vault = open_vault(config)?;
    // No lock: SQLite copies a database while another process writes to it.
    let store = open_store(config).await?;
    make_private(destination)?;
    let database = destination.join(DATABASE_FILE);
    store
        .backup_sqlite(&database)
        .await
        .context("could not copy the database")?;
    store.close().await?;
    // After the database: a file it names is then there, as uploads are never changed.
    let media_files = copy_folder(
        &config.server.data_dir.join(MEDIA_FOLDER),
        &destination.join(MEDIA_FOLDER),
    )?;
    std::fs::File::open(&database)?.sync_all()?;
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").into(),
        made_at: Ids::system().now().to_string(),
        database_sha256: hash_file(&database)?,
        media_files,
        key_id: vault.current_key_id().into(),
    };
    write_manifest(destination, &manifest)?;
    super::print(&format!(
        "backed up to {}\nthe secrets in it need the master key {}, which is not part of it; keep {KEY_FILE} of the data \
         folder (or auth.master_keys) at another place\n",
        destination.display(),
        manifest.key_id,
    ))
}
