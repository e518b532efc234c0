//! A year of a busy workspace on disk: a million events with their runs, before and after ordinary runs were let go.

use std::{process::Command, time::Instant};

use so_store::{Backend, Sql as _, Store};
use so_testkit::figures::{Ask, Goal, progress};

use crate::{
    fill::RunFill, ground::Ground, loopback::Loopback, machine, pages::run_of_workload,
    product::Product,
};

/// Milliseconds of a year of 365 days.
const YEAR: i64 = 365 * 86_400_000;
/// What a million events of a year may take when every event is kept and ordinary runs of the last 45 days are.
///
/// In SQLite an event of workload E takes about 1.0 kB with its indexes, and a run with its memo about 1.4 kB; what is
/// left of a run is 0.14 kB. So a million events make 1.0 GB, what is left of 877 000 runs 0.12 GB, and 123 000 runs
/// that are not old enough 0.18 GB; the rest is for pages that are not full, and for PostgreSQL's longer rows.
const YEAR_BYTES_MAX: f64 = 1_500.0;

pub async fn measure(ask: &Ask, ground: &Ground) {
    let teller = ground.teller("retention");
    let sink = Loopback::sink().await;
    let product = Product::start(ground, sink.port).await;
    let desk = product.register().await;
    product.workload(&desk, sink.port).await;
    let run = run_of_workload(&product, &desk, &sink).await;
    product.end().await;
    let total = ask.size(1_000_000, 10_000);
    let fill = RunFill {
        second_rule: so_model::id::RuleId::derived(&["second"]).to_string(),
        run,
        total,
    };
    let store = ground.store().await;
    let empty = used(&store).await;
    fill.copy_every(&store, 0..total, YEAR / total as i64).await;
    let before = used(&store).await;
    store.close().await.unwrap();
    // The figures of a million, also where fewer were made.
    let of_million = |bytes: f64| (bytes - empty) * 1e6 / total as f64 / 1e6;
    teller.tell("with every run", of_million(before), "MB", Goal::None);

    let began = Instant::now();
    prune(ground, ("400", "45"), false);
    let took = began.elapsed();
    let store = ground.store().await;
    let after = settled(ground, &store).await;
    let (gone, kept) = (
        count(&store, "runs_let_go").await,
        count(&store, "runs").await,
    );
    let events = count(&store, "events").await;
    store.close().await.unwrap();
    assert!(events >= total as f64, "every event is still there");
    teller.tell(
        "with ordinary runs of 45 days",
        of_million(after),
        "MB",
        Goal::AtMost(YEAR_BYTES_MAX),
    );
    teller.tell("runs let go", gone, "", Goal::None);
    teller.tell("runs kept", kept, "", Goal::None);
    let rate = total as f64 / took.as_secs_f64();
    teller.tell("runs looked at per s", rate, "1/s", Goal::None);

    prune(ground, ("90", "45"), false);
    let store = ground.store().await;
    let usual = settled(ground, &store).await;
    store.close().await.unwrap();
    teller.tell(
        "with the usual settings, 90 and 45 days",
        of_million(usual),
        "MB",
        Goal::None,
    );
    if ground.database_url().is_none() {
        let folder = machine::folder_bytes(&ground.data()) as f64 / 1e6;
        teller.tell("data folder, space kept for use", folder, "MB", Goal::None);
        prune(ground, ("90", "45"), true);
        let folder = machine::folder_bytes(&ground.data()) as f64 / 1e6;
        teller.tell("data folder, space given back", folder, "MB", Goal::None);
    }
}

/// Removes what is beyond its time, as an operator would.
fn prune(ground: &Ground, (runs, dull): (&str, &str), compacts: bool) {
    let mut command = Command::new(crate::product::program());
    command
        .args(["prune", "--data-dir"])
        .arg(ground.data())
        .env_remove(crate::product::PROGRAM)
        .env("SO_RETENTION_RUNS_DAYS", runs)
        .env("SO_RETENTION_DULL_DAYS", dull)
        .env("SO_SERVER_LOG_FILTER", "warn");
    if let Some(url) = ground.database_url() {
        command.args(["--database-url", &url]);
    }
    if compacts {
        command.arg("--compact");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    progress(String::from_utf8_lossy(&output.stdout).trim());
}

/// Bytes that hold something; free pages of SQLite's file are used again.
async fn used(store: &Store) -> f64 {
    let sql = match store.backend() {
        Backend::Sqlite => {
            "SELECT (page_count - freelist_count) * page_size AS bytes \
             FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()"
        }
        Backend::Postgres => "SELECT pg_database_size(current_database()) AS bytes",
    };
    let row = store.clone().one(sql, Vec::new()).await.unwrap().unwrap();
    row.int(0).unwrap() as f64
}

/// The same after PostgreSQL wrote its tables anew: what is dead there is used again, and cannot be told from what lives.
async fn settled(ground: &Ground, store: &Store) -> f64 {
    for table in ["memos", "runs", "events", "runs_let_go"] {
        ground.run_on_postgres(&format!("VACUUM FULL {table}"));
    }
    used(store).await
}

async fn count(store: &Store, table: &'static str) -> f64 {
    let sql = match table {
        "runs_let_go" => "SELECT COUNT(*) FROM runs_let_go",
        "events" => "SELECT COUNT(*) FROM events",
        _ => "SELECT COUNT(*) FROM runs",
    };
    let row = store.clone().one(sql, Vec::new()).await.unwrap().unwrap();
    row.int(0).unwrap() as f64
}
