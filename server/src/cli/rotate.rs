//! `secrets rotate`: a new master key for every secret.
//!
//! Invariant: at no moment is there a secret whose key is not stored: the new key is written first, the
//! former keys stay in the file until their owner removes them.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::{Context as _, bail};
use so_store::{
    secrets,
    vault::{self, MasterKey, Vault},
};

use super::data::{DataFolder, KEY_FILE, open_store};
use crate::config::Config;

/// Secrets sealed anew in one transaction.
const BATCH: i64 = 500;

pub(super) async fn run(config: &Config) -> anyhow::Result<()> {
    let _folder = DataFolder::take(config)?;
    let vault = match &config.auth.master_keys {
        // Given from outside: the owner has put the new key first.
        Some(text) => Vault::new(vault::parse_keys(text)?)?,
        None => add_key(&config.server.data_dir.join(KEY_FILE))?,
    };
    let store = open_store(config).await?;
    let mut remaining = i64::MAX;
    loop {
        let mut tx = store.begin().await?;
        let left = secrets::rotate(&mut tx, &vault, BATCH)
            .await
            .context("could not seal a secret anew")?;
        tx.commit().await?;
        if left == 0 {
            break;
        }
        if left >= remaining {
            bail!("{left} secrets could not be sealed anew");
        }
        remaining = left;
    }
    store.close().await?;
    super::print(&format!(
        "every secret is sealed under the master key {}; former keys are needed for older backups only\n",
        vault.current_key_id()
    ))
}

fn add_key(path: &Path) -> anyhow::Result<Vault> {
    let mut keys = vault::load_or_create_key_file(path)?;
    keys.insert(0, MasterKey::generate()?);
    let aside = path.with_extension("new");
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&aside)
        .and_then(|mut file| {
            for key in &keys {
                writeln!(file, "{}", key.to_text().as_str())?;
            }
            file.sync_all()
        })
        .and_then(|()| fs::rename(&aside, path));
    written.with_context(|| format!("could not write the key file {}", path.display()))?;
    Ok(Vault::new(keys)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_key_stands_first_and_the_former_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(KEY_FILE);
        let former = vault::load_or_create_key_file(&path).unwrap().remove(0).id;
        let vault = add_key(&path).unwrap();
        let keys = vault::load_or_create_key_file(&path).unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(
            (keys[0].id.as_str(), keys[1].id.as_str()),
            (vault.current_key_id(), former.as_str())
        );
    }
}
