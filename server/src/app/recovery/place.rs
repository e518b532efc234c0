//! Where an instance lives.
//!
//! Owns telling places apart. Invariant: what cannot be told counts as another place only where a witness
//! says so; a container, which has no name of its own that lasts, is told by its folder.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::mark::Mark;
use crate::app::secrets::sha256_hex;

/// The lock that a process with a SQLite database holds, in its data folder.
pub const LOCK_FILE: &str = "lock";
/// Names the machine; the same until it is installed anew.
const MACHINE_FILE: &str = "/etc/machine-id";
/// There in containers, whose machine file belongs to an image.
const CONTAINER_FILES: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

/// Where a database lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Home {
    /// In a data folder.
    Folder {
        /// Random, made with the folder.
        token: String,
        /// Its path.
        path: String,
        /// The machine, as a hash, where that can be told.
        machine: Option<String>,
    },
    /// At a PostgreSQL server.
    Server {
        /// The cluster.
        system: String,
        /// The database within it.
        database: String,
    },
}

impl Home {
    /// Whether two are the same place.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Folder {
                    token,
                    path,
                    machine,
                },
                Self::Folder {
                    token: t,
                    path: p,
                    machine: m,
                },
            ) => token == t && path == p && may_be_one(machine.as_deref(), m.as_deref()),
            _ => self == other,
        }
    }
}

/// A folder on a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub path: String,
    pub machine: Option<String>,
}

impl Place {
    pub(super) fn is(&self, path: &str, machine: Option<&str>) -> bool {
        self.path == path && may_be_one(self.machine.as_deref(), machine)
    }
}

// A machine that cannot be told may be any.
fn may_be_one(one: Option<&str>, other: Option<&str>) -> bool {
    one.is_none() || other.is_none() || one == other
}

/// The place of a folder.
pub(super) fn of(folder: &Path) -> io::Result<Place> {
    let path = folder.canonicalize()?.display().to_string();
    let is_container = CONTAINER_FILES.iter().any(|file| Path::new(file).exists());
    let machine = match is_container {
        true => None,
        false => std::fs::read_to_string(MACHINE_FILE).ok(),
    };
    let machine = machine
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .map(|text| sha256_hex(text.as_bytes()));
    Ok(Place { path, machine })
}

/// What became of a database's former life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Former {
    /// It is over: no process has its folder.
    Over,
    /// It goes on.
    GoesOn,
    /// It was elsewhere; nobody here can tell.
    Unknown,
}

/// Looks for the life that a database had at `home`, for whoever holds the lock of `folder`.
pub(super) fn former(home: Option<&Home>, folder: &Path) -> io::Result<Former> {
    let Some(Home::Folder {
        token,
        path,
        machine,
    }) = home
    else {
        return Ok(Former::Unknown);
    };
    let here = of(folder)?;
    if !may_be_one(here.machine.as_deref(), machine.as_deref()) {
        return Ok(Former::Unknown);
    }
    let is_machine_known = here.machine.is_some() && machine.is_some();
    let there = Path::new(path);
    let is_witnessed = match there.exists() {
        true => is_machine_known || Mark::read(there)?.is_some_and(|mark| mark.token == *token),
        false => is_machine_known,
    };
    if !is_witnessed {
        return Ok(Former::Unknown);
    }
    if here.path == *path {
        return Ok(Former::Over);
    }
    match File::open(there.join(LOCK_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Former::Over),
        Err(_) => Ok(Former::Unknown),
        Ok(lock) => match lock.try_lock() {
            Ok(()) => Ok(Former::Over),
            Err(TryLockError::WouldBlock) => Ok(Former::GoesOn),
            Err(TryLockError::Error(_)) => Ok(Former::Unknown),
        },
    }
}
