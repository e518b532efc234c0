//! The data folder: its lock, the key file, the database.
//!
//! Invariant: with SQLite one process at a time has the folder; a second one is told so instead of
//! disturbing the first.

use std::{
    fs::{DirBuilder, File, TryLockError},
    os::unix::fs::DirBuilderExt as _,
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, bail};
use so_engine::clock::Ids;
use so_net::Outbound;
use so_store::{
    Store,
    vault::{self, Vault},
};

use crate::{
    app::{App, AppSetup, recovery::LOCK_FILE, rules::Furnish},
    config::Config,
};

/// Holds the master keys.
pub(super) const KEY_FILE: &str = "secrets.key";
/// Holds the SQLite database.
pub(super) const DATABASE_FILE: &str = "social-orchestrator.db";
/// Holds uploads.
pub(super) const MEDIA_FOLDER: &str = "media";

/// The data folder, for this process alone as long as this lives.
#[derive(Debug)]
pub(super) struct DataFolder {
    _lock: Option<File>,
}

impl DataFolder {
    /// Makes the folder if need be and, with SQLite, takes its lock.
    pub(super) fn take(config: &Config) -> anyhow::Result<Self> {
        let folder = &config.server.data_dir;
        make_private(folder)?;
        let lock = if config.database.is_sqlite() {
            Some(lock(folder)?)
        } else {
            None
        };
        Ok(Self { _lock: lock })
    }
}

/// Makes a folder that only its owner can look into.
pub(super) fn make_private(folder: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("could not make the folder {}", folder.display()))
}

fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join(LOCK_FILE);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("could not open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!(
                "another process uses the data folder {}; stop it first",
                folder.display()
            )
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("could not lock {}", path.display()))
        }
    }
}

/// The vault with the keys of configuration or key file.
pub(super) fn open_vault(config: &Config) -> anyhow::Result<Vault> {
    let keys = match &config.auth.master_keys {
        Some(text) => vault::parse_keys(text).context("auth.master_keys cannot be used")?,
        None => vault::load_or_create_key_file(&config.server.data_dir.join(KEY_FILE))?,
    };
    Ok(Vault::new(keys)?)
}

/// The database, with its schema brought up to date.
pub(super) async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let options = config.database.store_options(&config.server.data_dir);
    Store::open(&options)
        .await
        .context("could not open the database")
}

/// Everything that is shared, over the data folder.
pub(super) async fn open_app(config: Config) -> anyhow::Result<App> {
    let vault = open_vault(&config)?;
    let store = open_store(&config).await?;
    let outbound = Outbound::new(config.outbound.outbound());
    let furnish = Arc::new(Furnish::default());
    let setup = AppSetup {
        store,
        ids: Ids::system(),
        vault,
        outbound,
        config,
        workspace_hook: furnish.clone(),
    };
    let app = App::build(setup)
        .await
        .context("could not prepare the server")?;
    furnish.attach(&app.engine);
    Ok(app)
}

/// Brings the schema up to date.
pub(super) async fn migrate(config: &Config) -> anyhow::Result<()> {
    let _folder = DataFolder::take(config)?;
    let store = open_store(config).await?;
    store.close().await?;
    super::print("the schema is up to date\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_told_that_the_folder_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.data_dir = folder.path().join("data");
        let first = DataFolder::take(&config).unwrap();
        let error = DataFolder::take(&config).unwrap_err().to_string();
        assert!(error.contains("another process"), "{error}");
        drop(first);
        DataFolder::take(&config).unwrap();
    }
}
