//! Folders copied whole, and the list of what a backup holds.
//!
//! Invariant: what is copied is on disk before the list is written, and the list is what makes a folder a
//! backup.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Name of the list.
pub(super) const MANIFEST_FILE: &str = "backup.json";
/// Uploads are stored two folders deep.
const DEPTH_MAX: usize = 8;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Form of the backup.
    pub format: u32,
    /// The version that made it.
    pub version: String,
    /// When.
    pub made_at: String,
    /// SHA-256 of the database.
    pub database_sha256: String,
    /// Files of uploads.
    pub media_files: u64,
    /// The master key that its secrets need; the key itself is kept elsewhere.
    pub key_id: String,
}

/// The form that this version makes and reads.
pub(super) const FORMAT: u32 = 1;

/// Copies a folder with everything in it; answers how many files there were.
pub(super) fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<u64> {
    if !from.exists() {
        return Ok(0);
    }
    copy_level(from, to, 0)
}

fn copy_level(from: &Path, to: &Path, depth: usize) -> anyhow::Result<u64> {
    if depth > DEPTH_MAX {
        bail!("{} is deeper than uploads can be", from.display());
    }
    super::data::make_private(to)?;
    let mut count = 0;
    for entry in fs::read_dir(from).with_context(|| format!("could not read {}", from.display()))? {
        let entry = entry.with_context(|| format!("could not read {}", from.display()))?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            count += copy_level(&entry.path(), &target, depth + 1)?;
        } else if kind.is_file() {
            copy_file(&entry.path(), &target)?;
            count += 1;
        }
    }
    Ok(count)
}

/// Copies a file for its owner alone and waits until it is on disk.
pub(super) fn copy_file(from: &Path, to: &Path) -> anyhow::Result<()> {
    // A copy has the mode of the original otherwise, whatever the umask says.
    fs::copy(from, to)
        .and_then(|_| fs::set_permissions(to, fs::Permissions::from_mode(0o600)))
        .and_then(|()| File::open(to)?.sync_all())
        .with_context(|| format!("could not copy {} to {}", from.display(), to.display()))
}

/// SHA-256 of a file in hexadecimal.
pub(super) fn hash_file(path: &Path) -> anyhow::Result<String> {
    let mut file =
        File::open(path).with_context(|| format!("could not open {}", path.display()))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1024 * 1024];
    loop {
        let count = file
            .read(&mut buffer)
            .with_context(|| format!("could not read {}", path.display()))?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
    }
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Writes the list.
pub(super) fn write_manifest(folder: &Path, manifest: &Manifest) -> anyhow::Result<()> {
    let path = folder.join(MANIFEST_FILE);
    let text = serde_json::to_string_pretty(manifest)?;
    File::create_new(&path)
        .and_then(|mut file| writeln!(file, "{text}").and_then(|()| file.sync_all()))
        .and_then(|()| File::open(folder)?.sync_all())
        .with_context(|| format!("could not write {}", path.display()))
}

/// Reads the list.
pub(super) fn read_manifest(folder: &Path) -> anyhow::Result<Manifest> {
    let path = folder.join(MANIFEST_FILE);
    let text = fs::read_to_string(&path)
        .with_context(|| format!("{} is not a backup of ours", folder.display()))?;
    let manifest: Manifest = serde_json::from_str(&text)
        .with_context(|| format!("could not read {}", path.display()))?;
    if manifest.format != FORMAT {
        bail!(
            "the backup has form {}, this version reads form {FORMAT}",
            manifest.format
        );
    }
    Ok(manifest)
}
