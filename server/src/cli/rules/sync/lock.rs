//! The lock file: which file of a folder is which rule of which workspace, at which version.
//!
//! Invariant: a folder is brought into line with the workspace it was made of, and with no other.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use so_model::{api::rule::RuleDetail, id::RuleId};

use super::{super::folder, modules::LockedModule};

/// Stands in the folder; it belongs into version control.
const LOCK: &str = ".rules.lock.json";
/// Said in the lock file, for whoever opens it.
const NOTE: &str = "Made by `social-orchestrator rules pull` and `push`: which file is which rule, at which version.";

/// What a folder was made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lock {
    note: String,
    workspace: String,
    /// By path in the folder.
    pub rules: BTreeMap<String, Locked>,
    /// Modules of the library, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub modules: BTreeMap<String, LockedModule>,
}

/// A rule as it was when file and server were last the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Locked {
    pub id: RuleId,
    pub version: i64,
    pub is_enabled: bool,
    /// Of the file and its cases; empty in locks of before it was kept.
    #[serde(default)]
    pub digest: String,
}

impl Locked {
    /// The server's rule, and the digest of the file that says the same.
    pub fn of(detail: &RuleDetail, digest: String) -> Self {
        Self {
            id: detail.rule.id,
            version: detail.rule.version,
            is_enabled: detail.rule.is_enabled,
            digest,
        }
    }
}

impl Lock {
    /// The folder's lock; an empty one where there is none, and an error if it is another workspace's.
    pub fn open(folder: &Path, workspace: &str) -> anyhow::Result<Self> {
        let path = folder.join(LOCK);
        let mut lock: Self = match path.exists() {
            true => serde_json::from_str(&folder::read(&path)?)
                .with_context(|| format!("{} cannot be read", path.display()))?,
            false => Self::default(),
        };
        if !lock.workspace.is_empty() && lock.workspace != workspace {
            bail!(
                "{} was made of workspace {}, not of {workspace}: name that one with --workspace, take another folder, \
                 or delete {} to bring these files into {workspace} as new rules",
                folder.display(),
                lock.workspace,
                path.display()
            );
        }
        workspace.clone_into(&mut lock.workspace);
        NOTE.clone_into(&mut lock.note);
        Ok(lock)
    }

    /// Writes it into the folder.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self).context("could not write the lock file")?;
        folder::write(&folder.join(LOCK), &(text + "\n"))
    }

    /// The file of a rule.
    pub fn file_of(&self, id: RuleId) -> Option<&str> {
        let known = self.rules.iter().find(|(_, locked)| locked.id == id);
        known.map(|(file, _)| file.as_str())
    }
}
