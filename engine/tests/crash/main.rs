//! The kill drill: a process that publishes is killed (SIGKILL) at named points of the protocol, started
//! again, and the network counts what became public.
//!
//! The oracle is the double network's log in this parent process, never our database. Points × network
//! classes × both databases; `cargo test` runs each point with two classes, `cargo xtask crash` with all and
//! five times. A control with the protocol switched off must show doubles, or the drill is blind.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod acts;
mod case;
mod child;
mod control;
mod ground;
mod network;
mod points;
mod port;
mod table;

use std::{process::Stdio, time::Instant};

use futures_util::StreamExt as _;
use so_store::StoreOptions;
use so_testkit::postgres::PostgresCluster;

use case::{Case, Database, Seen};
use ground::{Ground, Odd, Start};
use network::{Blow, Class, Network};

/// Cases that share a PostgreSQL, which ends with them: their databases take 9 MB each.
const BATCH: usize = 240;
/// Cases side by side; each waits far more than it works.
const SIDE_BY_SIDE: usize = 12;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    match words.as_slice() {
        ["child", orders] => {
            let orders = serde_json::from_str(orders).unwrap();
            // Nobody waits for it once the drill is gone.
            let kill = Some(rustix::process::Signal::KILL);
            rustix::process::set_parent_process_death_signal(kill).unwrap();
            let report = runtime.block_on(child::run(orders));
            print!("{}", serde_json::to_string(&report).unwrap());
        }
        ["control", url, port, workspace] => {
            let (port, workspace) = (port.parse().unwrap(), workspace.parse().unwrap());
            runtime.block_on(control::run(url, port, workspace));
        }
        // `cargo test some_filter` must not start a drill of a minute.
        [filter, ..] if !filter.starts_with('-') && !"kill_drill".contains(filter) => {}
        words => {
            if !runtime.block_on(drill(&Wish::read(words))) {
                std::process::exit(1);
            }
        }
    }
}

/// What is to be driven.
struct Wish {
    /// None: each point once, with two classes.
    repeats: Option<usize>,
    only: Option<String>,
    database: Option<Database>,
}

impl Wish {
    fn read(words: &[&str]) -> Self {
        let after = |name: &str| {
            let at = words.iter().position(|word| *word == name)?;
            Some((*words.get(at + 1)?).to_string())
        };
        Self {
            repeats: after("--repeats").map(|text| text.parse().unwrap()),
            only: after("--only"),
            database: after("--database").map(|text| match text.as_str() {
                "sqlite" => Database::Sqlite,
                "postgres" => Database::Postgres,
                other => panic!("there is no database {other}"),
            }),
        }
    }

    fn cases(&self) -> Vec<Case> {
        let is_wanted = |name: &str| {
            self.only
                .as_deref()
                .is_none_or(|only| name.split(' ').next() == Some(only))
        };
        let mut cases = Vec::new();
        for (number, point) in points::all().into_iter().enumerate() {
            if !is_wanted(point.name) {
                continue;
            }
            let mut classes: Vec<Class> = Class::ALL
                .into_iter()
                .filter(|class| point.has(*class))
                .collect();
            if self.repeats.is_none() && classes.len() > 2 {
                // The last one is the hardest; the others take turns.
                let turn = number % (classes.len() - 1);
                classes = vec![classes[turn], classes[classes.len() - 1]];
            }
            for class in classes {
                for database in [Database::Sqlite, Database::Postgres] {
                    let is_other = self.database.is_some_and(|wanted| wanted != database);
                    let is_impossible = point.on_sqlite_only && database == Database::Postgres;
                    if !is_other && !is_impossible {
                        let point = point.clone();
                        cases.push(Case {
                            point,
                            class,
                            database,
                        });
                    }
                }
            }
        }
        let repeats = self.repeats.unwrap_or(1);
        std::iter::repeat_n(cases, repeats).flatten().collect()
    }
}

async fn drill(wish: &Wish) -> bool {
    let began = Instant::now();
    let cases = wish.cases();
    if cases.is_empty() && wish.only.is_some() {
        println!("kill drill: no case of that name");
        return true;
    }
    let mut done = Vec::new();
    for batch in cases.chunks(BATCH) {
        done.extend(drive(batch.to_vec()).await);
    }
    for (point, reason) in points::NOT_DRIVEN {
        println!("  not driven: {point}: {reason}");
    }
    let is_good = table::tell(&done, began.elapsed());
    let sees = control_shows_doubles().await;
    is_good && sees
}

/// Cases of one batch side by side, on a PostgreSQL of their own.
async fn drive(mut cases: Vec<Case>) -> Vec<(Case, Seen)> {
    let wants_postgres = cases.iter().any(|case| case.database == Database::Postgres);
    let cluster = match wants_postgres.then(PostgresCluster::start) {
        Some(Ok(cluster)) => Some(cluster),
        Some(Err(unavailable)) => {
            eprintln!("\n!!! SKIPPED on PostgreSQL: {}\n", unavailable.reason);
            None
        }
        None => None,
    };
    cases.retain(|case| case.database == Database::Sqlite || cluster.is_some());
    let cluster = cluster.as_ref();
    futures_util::stream::iter(cases)
        .map(|case| async move {
            let seen = case.run(cluster).await;
            for wrong in &seen.wrong {
                println!(
                    "  FAILED {} {} {:?}: {wrong}",
                    case.point.name, case.class, case.database
                );
            }
            (case, seen)
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .collect()
        .await
}

/// What the drill must be able to see: without the protocol, kills make doubles.
async fn control_shows_doubles() -> bool {
    let points = ["K8", "K9", "K10"];
    let cases = Class::ALL
        .iter()
        .flat_map(|class| points.map(|point| (point, *class)));
    let public: Vec<usize> = futures_util::stream::iter(cases)
        .map(|(point, class)| without_protocol(point, class))
        .buffer_unordered(SIDE_BY_SIDE)
        .collect()
        .await;
    let kills = public.len();
    let doubles: usize = public.iter().map(|count| count.saturating_sub(1)).sum();
    println!("  control without the protocol, SQLite: {kills} kills, {doubles} doubled posts");
    if doubles == 0 {
        println!("  FAILED: the control shows no double, so the drill sees none");
    }
    doubles > 0
}

/// Public posts after a kill and a restart of a process that keeps no intents.
async fn without_protocol(point: &'static str, class: Class) -> usize {
    let room = tempfile::tempdir().unwrap();
    let url = StoreOptions::in_folder(room.path()).url;
    let ground = Ground::lay(&url, Start::Timer, Odd::Nothing, 1)
        .await
        .unwrap();
    let network = Network::start(class).await;
    match point {
        "K8" => network.next("commit", Blow::Accepted),
        "K9" => network.next("commit", Blow::HalfAnswer),
        _ => {}
    }
    // `nowhere`: the second process lives.
    for kill_at in [point, "nowhere"] {
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "control",
                &url,
                &network.port.to_string(),
                &ground.workspace.to_string(),
            ])
            .env("KILL_AT", kill_at)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.wait().await.unwrap();
    }
    network.public().len()
}
