//! `restore`: puts a backup into the data folder of a stopped server.
//!
//! Invariant: a restored database carries the mark `recovery_epoch`, so that the engine takes nothing that
//! is due for unsent: what went out after the backup was taken is in no row.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};
use so_model::IdSource as _;
use so_store::{instance, vault::Vault};

use super::{
    copy::{copy_file, copy_folder, hash_file, read_manifest},
    data::{DATABASE_FILE, DataFolder, KEY_FILE, MEDIA_FOLDER, open_store, open_vault},
};
use so_engine::clock::Ids;

use crate::{app::secrets::TokenKeys, config::Config};

/// The mark of a restored database: when it was restored.
pub(super) const RECOVERY_MARK: &str = "recovery_epoch";

pub(super) async fn run(config: &Config, source: &Path, force: bool) -> anyhow::Result<()> {
    if config.database.url.is_some() {
        bail!(
            "only a SQLite database in the data folder is restored; use pg_restore for PostgreSQL"
        );
    }
    let manifest = read_manifest(source)?;
    let database = source.join(DATABASE_FILE);
    if hash_file(&database)? != manifest.database_sha256 {
        bail!(
            "the database in {} is damaged: it is not the one that was backed up",
            source.display()
        );
    }
    let folder = &config.server.data_dir;
    let _lock = DataFolder::take(config)?;
    let is_used = [DATABASE_FILE, MEDIA_FOLDER]
        .iter()
        .any(|name| folder.join(name).exists());
    if is_used && !force {
        bail!(
            "{} holds data already; --force replaces them",
            folder.display()
        );
    }
    let vault = open_vault(config)?;
    clear(folder)?;
    copy_file(&database, &folder.join(DATABASE_FILE))?;
    let media_files = copy_folder(&source.join(MEDIA_FOLDER), &folder.join(MEDIA_FOLDER))?;
    if media_files != manifest.media_files {
        bail!(
            "the backup holds {media_files} uploads instead of {}",
            manifest.media_files
        );
    }
    mark(config, &vault).await?;
    super::print(&format!(
        "restored the backup of {}\nposts that were due since then wait until somebody has looked at them\n",
        manifest.made_at
    ))
}

fn clear(folder: &Path) -> anyhow::Result<()> {
    for name in [
        DATABASE_FILE.to_string(),
        format!("{DATABASE_FILE}-wal"),
        format!("{DATABASE_FILE}-shm"),
    ] {
        match fs::remove_file(folder.join(&name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("could not remove {name}"));
            }
            _ => {}
        }
    }
    match fs::remove_dir_all(folder.join(MEDIA_FOLDER)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {MEDIA_FOLDER}"))
        }
        _ => Ok(()),
    }
}

async fn mark(config: &Config, vault: &Vault) -> anyhow::Result<()> {
    let store = open_store(config).await?;
    let now = Ids::system().now();
    let mut tx = store.begin().await?;
    instance::set(&mut tx, RECOVERY_MARK, &now.to_string()).await?;
    tx.commit().await?;
    // Told now rather than by the first post that fails.
    let opened = TokenKeys::load_or_create(&store, vault, now).await;
    store.close().await?;
    opened.map(drop).with_context(|| {
        format!("the data were restored, but their secrets need the former master key; put it into {KEY_FILE} or auth.master_keys")
    })
}
