//! Power cuts for tests: takes back what a dead process wrote and never synced.
//!
//! Owns the shim (`shim.c`, compiled when a test asks for it), the reading of its journal and a small disk
//! that can be filled. A killed process leaves everything it wrote with the kernel, so a kill proves nothing
//! about a missing sync; a machine that loses its power does. Invariant: what was synced before the cut is
//! there after it, byte for byte, whatever the seed.
//!
//! What counts as lost, and why, is written in `docs/durability.md`.

mod disk;
mod replay;
#[cfg(test)]
mod tests;

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::Command,
};

pub use disk::SmallDisk;
pub use replay::{Cut, Dice, Lost};

use crate::counterpart::Unavailable;

/// What the shim is made of.
const SOURCE: &str = include_str!("shim.c");

/// The compiled shim; its file lives as long as this.
pub struct Shim {
    library: PathBuf,
    _folder: tempfile::TempDir,
}

impl Shim {
    /// Compiles the shim; fails where there is no C compiler, or no Linux.
    pub fn compile() -> Result<Self, Unavailable> {
        let unavailable = |reason: String| Unavailable::new("power-cut shim", reason);
        if !cfg!(all(target_os = "linux", target_pointer_width = "64")) {
            return Err(unavailable("it is made for 64-bit Linux".into()));
        }
        let folder = tempfile::tempdir().map_err(|error| unavailable(error.to_string()))?;
        let (source, library) = (folder.path().join("shim.c"), folder.path().join("shim.so"));
        std::fs::write(&source, SOURCE).map_err(|error| unavailable(error.to_string()))?;
        let built = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .args(["-ldl", "-pthread"])
            .output()
            .map_err(|error| unavailable(format!("no C compiler `cc`: {error}")))?;
        if !built.status.success() {
            let told = String::from_utf8_lossy(&built.stderr).into_owned();
            return Err(unavailable(format!("cc refused it: {told}")));
        }
        Ok(Self {
            library,
            _folder: folder,
        })
    }

    /// The environment in which a process is watched.
    pub fn environment(&self, watch: &Watch) -> Vec<(&'static str, OsString)> {
        let mut all = vec![
            ("LD_PRELOAD", self.library.clone().into_os_string()),
            ("SO_POWER_FOLDER", watch.folder.clone().into_os_string()),
            ("SO_POWER_JOURNAL", watch.journal.clone().into_os_string()),
            ("SO_POWER_FULL", watch.full_flag().into_os_string()),
        ];
        if let Some(count) = watch.cut_at {
            all.push(("SO_POWER_CUT_AT", count.to_string().into()));
        }
        all
    }
}

/// A folder whose unsynced changes are noted.
#[derive(Debug, Clone)]
pub struct Watch {
    folder: PathBuf,
    journal: PathBuf,
    cut_at: Option<u64>,
}

impl Watch {
    /// Watches `folder`; the journal lies in `beside`, on the same file system and outside of it.
    pub fn new(folder: &Path, beside: &Path) -> io::Result<Self> {
        Ok(Self {
            // The shim compares names, so links must be resolved.
            folder: folder.canonicalize()?,
            journal: beside.canonicalize()?.join("power.journal"),
            cut_at: None,
        })
    }

    /// The process dies before its n-th write or sync below the folder.
    pub fn cut_at(&self, count: u64) -> Self {
        Self {
            cut_at: Some(count),
            ..self.clone()
        }
    }

    /// While this file exists, nothing but spill files finds space below the folder.
    pub fn full_flag(&self) -> PathBuf {
        self.journal.with_extension("full")
    }

    /// The power fails: takes back what was not synced. The process must have ended.
    pub fn cut(&self, lost: Lost) -> io::Result<Cut> {
        replay::cut(&self.folder, &self.journal, lost)
    }
}
