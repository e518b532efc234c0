//! Where one part is measured: a database of its own that is gone afterwards.

use std::path::PathBuf;

use so_store::{Backend, Sql as _, Store, StoreOptions};
use so_testkit::{
    figures::{Teller, progress},
    postgres::PostgresCluster,
};

/// A fresh data folder, and a fresh PostgreSQL if that is what is measured.
pub struct Ground {
    pub database: &'static str,
    folder: tempfile::TempDir,
    cluster: Option<PostgresCluster>,
}

impl Ground {
    /// None where the database cannot be had.
    pub fn new(database: &'static str) -> Option<Self> {
        let cluster = match database {
            "sqlite" => None,
            _ => match PostgresCluster::start() {
                Ok(cluster) => Some(cluster),
                Err(unavailable) => {
                    progress(&format!("PostgreSQL is left out: {unavailable}"));
                    return None;
                }
            },
        };
        Some(Self {
            database,
            folder: tempfile::tempdir().unwrap(),
            cluster,
        })
    }

    pub fn teller(&self, part: &'static str) -> Teller {
        Teller::on(part, self.database)
    }

    /// The server's data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What the server is told, if it is not its own file.
    pub fn database_url(&self) -> Option<String> {
        self.cluster.as_ref().map(PostgresCluster::url)
    }

    /// Opens the database beside a server that has ended.
    pub async fn store(&self) -> Store {
        let options = match self.database_url() {
            Some(url) => StoreOptions::at(url),
            None => StoreOptions::in_folder(self.data()),
        };
        Store::open(&options).await.unwrap()
    }

    /// Runs a statement that may be silent for longer than the product would wait; nothing on SQLite.
    pub fn run_on_postgres(&self, statement: &str) {
        if let Some(cluster) = &self.cluster {
            cluster.run(statement).unwrap();
        }
    }

    /// Bytes that the database takes.
    pub async fn database_bytes(&self, store: &Store) -> f64 {
        let sql = match store.backend() {
            Backend::Sqlite => {
                "SELECT page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()"
            }
            Backend::Postgres => "SELECT pg_database_size(current_database()) AS bytes",
        };
        let row = store.clone().one(sql, Vec::new()).await.unwrap().unwrap();
        row.int(0).unwrap() as f64
    }
}
