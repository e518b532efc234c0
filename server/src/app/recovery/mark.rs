//! The file in the data folder that holds what the database said last.
//!
//! Invariant: it is replaced as a whole and on disk before anything rests on it. A broken one is none.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use serde::{Deserialize, Serialize};
use so_model::Timestamp;

const FILE: &str = "instance.json";
/// Far more than it ever holds.
const BYTES_MAX: u64 = 64 * 1024;

/// What the folder knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Random, made with the folder.
    pub token: String,
    /// Where it was written.
    pub path: String,
    /// On which machine.
    pub machine: Option<String>,
    /// The instance.
    pub instance: String,
    /// Its epoch.
    pub epoch: i64,
    /// Its heartbeat.
    pub heartbeat: Timestamp,
}

impl Mark {
    pub(super) fn read(folder: &Path) -> io::Result<Option<Self>> {
        let path = folder.join(FILE);
        match fs::metadata(&path) {
            Ok(found) if found.len() <= BYTES_MAX => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        Ok(serde_json::from_slice(&fs::read(path)?).ok())
    }

    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        // Processes of one PostgreSQL may share a folder; each writes a file of its own first.
        let aside = folder.join(format!("{FILE}.{}", std::process::id()));
        let text = serde_json::to_vec_pretty(self)?;
        let mut file = File::create(&aside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&aside, folder.join(FILE))?;
        File::open(folder)?.sync_all()
    }
}
