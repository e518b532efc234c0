//! The fingerprint of everything the page is made from.
//!
//! Owns the list of inputs. Never looks at outputs. Invariant: equal fingerprints mean equal files, names included;
//! a new compiler may change the fingerprint, which costs one build and nothing else.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Files and folders, from the workspace root, whose change means the page must be built again.
const INPUTS: &[&str] = &[
    "model/src",
    "model/Cargo.toml",
    "ui/src",
    "ui/styles",
    "ui/assets",
    "ui/index.html",
    "ui/Cargo.toml",
    "ui/Cargo.lock",
    "ui/bindgen/src",
    "ui/bindgen/Cargo.toml",
    "ui/bindgen/Cargo.lock",
];

/// Hashes the names and contents of all inputs under `root`.
pub fn hash(root: &Path) -> anyhow::Result<String> {
    let mut files = BTreeSet::new();
    for input in INPUTS {
        collect(&root.join(input), &mut files)?;
    }
    let mut hasher = DefaultHasher::new();
    for file in &files {
        let name = file.strip_prefix(root).unwrap_or(file).to_string_lossy();
        let content =
            std::fs::read(file).with_context(|| format!("could not read {}", file.display()))?;
        hasher.write_usize(name.len());
        hasher.write(name.as_bytes());
        hasher.write_usize(content.len());
        hasher.write(&content);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn collect(path: &Path, files: &mut BTreeSet<PathBuf>) -> anyhow::Result<()> {
    if !path.is_dir() {
        files.insert(path.to_path_buf());
        return Ok(());
    }
    for entry in
        std::fs::read_dir(path).with_context(|| format!("could not list {}", path.display()))?
    {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for input in INPUTS {
            let path = dir.path().join(input);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            if path.extension().is_some() {
                std::fs::write(path, "x").unwrap();
            } else {
                std::fs::create_dir_all(&path).unwrap();
                std::fs::write(path.join("a"), "1").unwrap();
            }
        }
        dir
    }

    #[test]
    fn an_untouched_tree_keeps_its_fingerprint() {
        let dir = tree();
        assert_eq!(hash(dir.path()).unwrap(), hash(dir.path()).unwrap());
    }

    #[test]
    fn a_changed_style_a_renamed_source_and_a_new_model_file_each_change_the_fingerprint() {
        let dir = tree();
        let before = hash(dir.path()).unwrap();
        std::fs::write(dir.path().join("ui/styles/a"), "2").unwrap();
        let styled = hash(dir.path()).unwrap();
        std::fs::rename(dir.path().join("ui/src/a"), dir.path().join("ui/src/b")).unwrap();
        let renamed = hash(dir.path()).unwrap();
        std::fs::write(dir.path().join("model/src/new"), "").unwrap();
        let added = hash(dir.path()).unwrap();
        assert_eq!(BTreeSet::from([before, styled, renamed, added]).len(), 4);
    }

    #[test]
    fn a_missing_input_is_an_error_and_not_an_old_page() {
        let dir = tree();
        std::fs::remove_file(dir.path().join("ui/index.html")).unwrap();
        assert!(hash(dir.path()).is_err());
    }
}
