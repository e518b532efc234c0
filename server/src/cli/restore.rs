//! `restore`: puts a backup into the data folder of a stopped server.
//!
//! Invariants: a database gets its place only when it is held (see `app::recovery`) and its secrets can be
//! opened, so that neither a crash nor a wrong key leaves one that publishes what went out already; what was
//! there goes only after everything new is whole on the same disk, so that what then remains is renaming.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};
use so_model::IdSource as _;
use so_store::{Store, StoreOptions, vault::Vault};

use super::{
    copy::{copy_file, copy_folder, hash_file, read_manifest},
    data::{DATABASE_FILE, DataFolder, KEY_FILE, MEDIA_FOLDER, open_vault},
};
use so_engine::clock::Ids;

use crate::{
    app::{recovery, secrets::TokenKeys},
    config::Config,
};

/// Where the database lies until it is ready.
const ASIDE: &str = "restoring.db";
/// Where uploads lie until they are ready.
const MEDIA_ASIDE: &str = "restoring-media";
/// Results that the former database could not take; they belong to no row of the restored one.
const SPILL_FILE: &str = "outcomes.spill";

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
    let aside = folder.join(ASIDE);
    remove_database(&aside)?;
    copy_file(&database, &aside)?;
    prepare(&aside, &vault).await?;
    let media_aside = folder.join(MEDIA_ASIDE);
    remove_folder(&media_aside)?;
    let media_files = copy_folder(&source.join(MEDIA_FOLDER), &media_aside)?;
    clear(folder)?;
    if media_aside.exists() {
        fs::rename(&media_aside, folder.join(MEDIA_FOLDER))
            .context("could not put the uploads into their place")?;
    }
    fs::rename(&aside, folder.join(DATABASE_FILE))
        .and_then(|()| fs::File::open(folder)?.sync_all())
        .context("could not put the database into its place")?;
    super::print(&format!(
        "restored the backup of {} with {media_files} uploads\n\
         nothing is published until you have looked at what is due and started the server once with \
         serve --resume: whatever went out after the backup would go out again\n",
        manifest.made_at
    ))?;
    if media_files != manifest.media_files {
        bail!(
            "the backup held {} uploads when it was made",
            manifest.media_files
        );
    }
    Ok(())
}

fn clear(folder: &Path) -> anyhow::Result<()> {
    remove_database(&folder.join(DATABASE_FILE))?;
    remove(&folder.join(SPILL_FILE))?;
    remove_folder(&folder.join(MEDIA_FOLDER))
}

fn remove_folder(path: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn remove_database(path: &Path) -> anyhow::Result<()> {
    // The log first: without its database it is nothing, the other way round it would be read into the next one.
    for end in ["-wal", "-shm", ""] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        remove(Path::new(&name))?;
    }
    Ok(())
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

async fn prepare(database: &Path, vault: &Vault) -> anyhow::Result<()> {
    let options = StoreOptions::at(format!("sqlite:{}", database.display()));
    let store = Store::open(&options)
        .await
        .context("could not open the database of the backup")?;
    let now = Ids::system().now();
    let mut tx = store.begin().await?;
    recovery::hold(&mut tx, now).await?;
    tx.commit().await?;
    // Told now rather than by the first post that fails.
    let opened = TokenKeys::load_or_create(&store, vault, now).await;
    store.close().await?;
    opened.map(drop).with_context(|| {
        format!("nothing was replaced: the backup needs its own master key; put it into {KEY_FILE} or auth.master_keys")
    })
}
