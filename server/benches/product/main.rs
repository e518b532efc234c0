//! The whole product as a user would run it, on SQLite and on PostgreSQL: one
//! process, one data folder, measured from outside.
//!
//! Prints figures for `cargo xtask bench`; run it by that command.

#![allow(clippy::unwrap_used)]

mod client;
mod events;
mod feeds;
mod fill;
mod forecast;
mod ground;
mod growth;
mod loopback;
mod machine;
mod pages;
mod product;
mod punctual;
mod retention;
mod scheduled;
mod start;

use ground::Ground;
use so_testkit::figures::{Ask, progress};

/// Names of the parts in the order of the table; the last ones fill databases with millions of rows.
const PARTS: [&str; 10] = [
    "events",
    "start",
    "punctual",
    "forecast",
    "feeds",
    "pages",
    "growth",
    "workspaces",
    "scheduled",
    "retention",
];

fn main() {
    let ask = Ask::from_args();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    for part in PARTS.into_iter().filter(|part| ask.wants(part)) {
        for database in ["sqlite", "postgres"] {
            if !ask.wants_database(database) {
                continue;
            }
            progress(&format!("{part} on {database}"));
            // A database of its own for each part, gone with it: millions of rows take gigabytes.
            let Some(ground) = Ground::new(database) else {
                continue;
            };
            runtime.block_on(measure(part, &ask, &ground));
        }
    }
}

async fn measure(part: &str, ask: &Ask, ground: &Ground) {
    match part {
        "events" => events::measure(ask, ground).await,
        "start" => start::measure(ask, ground).await,
        "punctual" => punctual::measure(ask, ground).await,
        "forecast" => forecast::measure(ask, ground).await,
        "feeds" => feeds::measure(ask, ground).await,
        "pages" => pages::measure(ask, ground).await,
        "growth" => growth::measure_runs(ask, ground).await,
        "workspaces" => growth::measure_workspaces(ask, ground).await,
        "retention" => retention::measure(ask, ground).await,
        _ => scheduled::measure(ask, ground).await,
    }
}
