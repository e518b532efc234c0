//! What the engine does alone, without HTTP: deciding, and carrying jobs.
//!
//! Prints figures for `cargo xtask bench`; run it by that command.

#![allow(clippy::unwrap_used)]

mod jobs;
mod rules;
mod simulation;
mod why;
mod world;

use so_testkit::{
    figures::{Ask, progress},
    postgres::PostgresCluster,
};

/// The program's own allocator: with another one these would be figures of something else.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let ask = Ask::from_args();
    if ask.wants("rules") {
        rules::measure(&ask);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    if ask.wants("why") && ask.wants_database("sqlite") {
        let folder = tempfile::tempdir().unwrap();
        runtime.block_on(why::measure(&ask, folder.path()));
    }
    if ask.wants("simulation") && ask.wants_database("sqlite") {
        let folder = tempfile::tempdir().unwrap();
        runtime.block_on(simulation::measure(&ask, folder.path()));
    }
    if !ask.wants("jobs") {
        return;
    }
    if ask.wants_database("sqlite") {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("jobs.db").display());
        runtime.block_on(jobs::measure(&ask, "sqlite", &url));
    }
    if ask.wants_database("postgres") {
        match PostgresCluster::start() {
            Ok(cluster) => runtime.block_on(jobs::measure(&ask, "postgres", &cluster.url())),
            Err(unavailable) => progress(&format!("PostgreSQL is left out: {unavailable}")),
        }
    }
}
