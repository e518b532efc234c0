//! `[database]`: SQLite in the data folder, or a PostgreSQL server.

use std::path::Path;

use serde::{Deserialize, Serialize};
use so_store::StoreOptions;

use super::Problems;

/// Settings of the database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `sqlite:PATH` or `postgres://…`; without it, SQLite in the data folder.
    pub url: Option<String>,
    /// Connections to PostgreSQL.
    pub connections: u32,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self {
            url: None,
            connections: 20,
        }
    }
}

impl DatabaseConfig {
    pub(super) fn validate(&self, problems: &mut Problems) {
        let known = ["sqlite:", "postgres://", "postgresql://"];
        if let Some(url) = &self.url
            && !known.iter().any(|scheme| url.starts_with(scheme))
        {
            problems.add(
                "database.url",
                "expected sqlite:PATH or postgres://user@host/database",
            );
        }
        problems.check_range("database.connections", self.connections.into(), 2, 500);
    }

    /// How the store is opened.
    pub fn store_options(&self, data_dir: &Path) -> StoreOptions {
        match &self.url {
            None => StoreOptions::in_folder(data_dir),
            Some(url) => StoreOptions {
                connections: self.connections,
                ..StoreOptions::at(url)
            },
        }
    }

    /// Whether one process must have the data folder for itself.
    pub fn is_sqlite(&self) -> bool {
        self.url
            .as_ref()
            .is_none_or(|url| url.starts_with("sqlite:"))
    }
}
