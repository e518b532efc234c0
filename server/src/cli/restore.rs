//! `restore`: puts a backup into the data folder of a stopped server.
//!
//! Invariants: a database gets its place only when it knows that it was restored (see `app::recovery`) and its
//! secrets can be opened, so that neither a crash nor a wrong key leaves one that publishes what went out
//! already; it is held unless the life it was copied from is known to be over, or is said to be; what was
//! there goes only after everything new is whole on the same disk, so that what then remains is renaming.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};
use so_model::{IdSource as _, Timestamp};
use so_store::{Store, StoreOptions, vault::Vault};

use super::{
    copy::{copy_file, copy_folder, hash_file, read_manifest},
    data::{DATABASE_FILE, DataFolder, KEY_FILE, MEDIA_FOLDER, open_vault},
};
use so_engine::clock::Ids;

use crate::{
    app::{
        recovery::{self, Former},
        secrets::TokenKeys,
    },
    config::Config,
};

/// Where the database lies until it is ready.
const ASIDE: &str = "restoring.db";
/// Where uploads lie until they are ready.
const MEDIA_ASIDE: &str = "restoring-media";
/// Why a restored database is held.
const HELD_BECAUSE: &str = "a backup was restored, and the server it was made of may run still";
/// Told when it is known that two would run.
const GOES_ON: &str = "the server it was made of runs still, so this one publishes nothing until its owner confirms it: in \
                       the page, with `instance confirm`, or with serve --resume";
/// Told when nothing is known.
const UNKNOWN: &str = "nobody can tell from here whether the server it was made of runs still, so this one publishes \
                       nothing until its owner confirms it: in the page, with `instance confirm`, or with serve --resume; \
                       restore --take-over says so beforehand";
/// Results that the former database could not take; they belong to no row of the restored one.
const SPILL_FILE: &str = "outcomes.spill";

/// What the operator says along with the command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    /// What the data folder holds may go.
    pub force: bool,
    /// The server that the backup was made of will not run again.
    pub take_over: bool,
}

pub(super) async fn run(config: &Config, source: &Path, said: Said) -> anyhow::Result<()> {
    if config.database.url.is_some() {
        bail!(
            "only a SQLite database in the data folder is restored; use pg_restore for PostgreSQL, and then `instance restored`"
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
    if is_used && !said.force {
        bail!(
            "{} holds data already; --force replaces them",
            folder.display()
        );
    }
    let vault = open_vault(config)?;
    let aside = folder.join(ASIDE);
    remove_database(&aside)?;
    copy_file(&database, &aside)?;
    let made_at = Timestamp::parse(&manifest.made_at).unwrap_or_else(|| Ids::system().now());
    let reason = prepare(&aside, &vault, folder, made_at, said.take_over).await?;
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
         {}\n",
        manifest.made_at,
        match reason {
            None =>
                "what may have gone out after it was made is looked for at the networks before anything is sent",
            Some(reason) => reason,
        }
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

// Makes the copy know what it is; answers why it is held, if it is.
async fn prepare(
    database: &Path,
    vault: &Vault,
    folder: &Path,
    made_at: Timestamp,
    take_over: bool,
) -> anyhow::Result<Option<&'static str>> {
    let options = StoreOptions::at(format!("sqlite:{}", database.display()));
    let store = Store::open(&options)
        .await
        .context("could not open the database of the backup")?;
    let now = Ids::system().now();
    let mut tx = store.begin().await?;
    let reason = match recovery::former(&mut tx, folder).await? {
        Former::GoesOn => Some(GOES_ON),
        Former::Unknown if !take_over => Some(UNKNOWN),
        Former::Unknown | Former::Over => None,
    };
    match reason {
        Some(_) => recovery::hold(&mut tx, now, HELD_BECAUSE).await?,
        None => recovery::release(&mut tx, made_at).await?,
    }
    tx.commit().await?;
    // Told now rather than by the first post that fails.
    let opened = TokenKeys::load_or_create(&store, vault, now).await;
    store.close().await?;
    opened.map(drop).with_context(|| {
        format!("nothing was replaced: the backup needs its own master key; put it into {KEY_FILE} or auth.master_keys")
    })?;
    Ok(reason)
}
