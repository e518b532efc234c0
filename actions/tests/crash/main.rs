//! The kill drill of tokens: a process that publishes with a token that has ended is killed at the points of
//! the port and of the renewal, and the network's double in this parent process counts what became public.
//!
//! The network is Bluesky, which ends a token for renewals with its first use: what was answered and not
//! stored is lost. Then the account must ask for its person, and the post must wait and go out once.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod child;
mod ground;

use std::{
    os::unix::process::ExitStatusExt as _,
    process::Stdio,
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use so_connectors::{
    bluesky::double::BlueskyDouble,
    doubles::{Fault, Op},
};
use so_model::{
    account::AccountState,
    post::PostState,
    time::{HOUR, MINUTE},
};
use so_store::StoreOptions;
use so_testkit::postgres::PostgresCluster;

use child::{Orders, Report};
use ground::Ground;

/// A process that does not end within this is stuck.
const PATIENCE: Duration = Duration::from_secs(90);
/// Cases side by side: all of one round; each waits far more than it works.
const SIDE_BY_SIDE: usize = 24;
/// So much faster does the clock of the process run that lives: claims of dead processes last for minutes.
const HASTE: i64 = 60;
/// On PostgreSQL a process is started only when the lease of the dead one is over: leases are looked at at once and
/// then so seldom that most of the drill would be waiting. On SQLite it is started at once, within claims that hold.
const LEASE_OVER: i64 = 15 * MINUTE;

/// How a case must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Public once.
    Once,
    /// The account asks for its person, the post waits; connected again, it is public once.
    Flagged,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    name: &'static str,
    kills: &'static [&'static str],
    /// A photo is uploaded while preparing, a text needs no call before the commit.
    is_photo: bool,
    is_expired: bool,
    is_renewal_refused: bool,
    knows_end: bool,
    end: End,
}

const fn point(name: &'static str, kills: &'static [&'static str], end: End) -> Point {
    Point {
        name,
        kills,
        is_photo: true,
        is_expired: true,
        is_renewal_refused: false,
        knows_end: true,
        end,
    }
}

const fn text(point: Point) -> Point {
    Point {
        is_photo: false,
        ..point
    }
}

const fn surprised(point: Point) -> Point {
    Point {
        knows_end: false,
        ..point
    }
}

const POINTS: [Point; 12] = [
    point("K17", &["K17"], End::Flagged),
    text(point("K17 in the call", &["K17"], End::Flagged)),
    point("token.store.commit", &["token.store.commit"], End::Flagged),
    text(point(
        "token.store.commit in the call",
        &["token.store.commit"],
        End::Flagged,
    )),
    point("token.claim.commit", &["token.claim.commit"], End::Once),
    Point {
        is_renewal_refused: true,
        ..point("token.release.commit", &["token.release.commit"], End::Once)
    },
    surprised(point("port.renew", &["port.renew"], End::Once)),
    point("port.prepare", &["port.prepare"], End::Once),
    point("port.commit", &["port.commit"], End::Once),
    surprised(text(point(
        "port.commit.renewed",
        &["port.commit.renewed"],
        End::Once,
    ))),
    text(point(
        "port.find unsent",
        &["port.commit", "port.find"],
        End::Once,
    )),
    Point {
        is_expired: false,
        ..point("port.find", &["K10", "port.find"], End::Once)
    },
];

/// Points that no process here passes, and why that is no gap.
const NOT_DRIVEN: [(&str, &str); 1] = [(
    "port.call",
    "the call of a remote step such as a deletion; the engine's drill kills before and after those",
)];

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
            let report = runtime.block_on(child::run(orders));
            print!("{}", serde_json::to_string(&report).unwrap());
        }
        // `cargo test some_filter` must not start a drill.
        [filter, ..] if !filter.starts_with('-') && !"kill_drill_of_tokens".contains(filter) => {}
        words => {
            if !runtime.block_on(drill(words)) {
                std::process::exit(1);
            }
        }
    }
}

fn after<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    let at = words.iter().position(|word| *word == name)?;
    words.get(at + 1).copied()
}

async fn drill(words: &[&str]) -> bool {
    let began = Instant::now();
    let repeats = after(words, "--repeats").map_or(1, |text| text.parse().unwrap());
    let (only, database) = (after(words, "--only"), after(words, "--database"));
    let cluster = match database {
        Some("sqlite") => None,
        _ => match PostgresCluster::start() {
            Ok(cluster) => Some(cluster),
            Err(unavailable) => {
                eprintln!("\n!!! SKIPPED on PostgreSQL: {}\n", unavailable.reason);
                None
            }
        },
    };
    let cluster = cluster.as_ref();
    let is_wanted =
        |point: &Point| only.is_none_or(|only| point.name.split(' ').next() == Some(only));
    let mut cases = Vec::new();
    for point in POINTS.iter().filter(|point| is_wanted(point)) {
        for _ in 0..repeats {
            if database != Some("postgres") {
                cases.push((*point, None));
            }
            cases.extend(cluster.map(|cluster| (*point, Some(cluster))));
        }
    }
    let (count, kills) = (
        cases.len(),
        cases
            .iter()
            .map(|(point, _)| point.kills.len())
            .sum::<usize>(),
    );
    let told: Vec<_> = futures_util::stream::iter(cases)
        .map(|(point, cluster)| async move {
            let began = Instant::now();
            let told = play(point, cluster).await;
            let took = began.elapsed().as_secs_f64();
            let database = if cluster.is_some() {
                "postgres"
            } else {
                "sqlite"
            };
            (point, database, told, took)
        })
        .buffered(SIDE_BY_SIDE)
        .collect()
        .await;
    println!("kill drill of tokens (Bluesky, class A): point, database, end, seconds");
    let mut is_good = count > 0 || only.is_some();
    for (point, database, told, took) in told {
        match told {
            Ok(()) => println!(
                "  {:32} {database:9} {:8} {took:5.1}",
                point.name,
                format!("{:?}", point.end)
            ),
            Err(problem) => {
                is_good = false;
                println!("  {:32} {database:9} FAILED: {problem}", point.name);
            }
        }
    }
    for (point, reason) in NOT_DRIVEN {
        println!("  not driven: {point}: {reason}");
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "  {count} cases, {kills} kills, {:.1} kills/s, {seconds:.0} s",
        kills as f64 / seconds
    );
    is_good
}

async fn play(point: Point, cluster: Option<&PostgresCluster>) -> Result<(), String> {
    let room = tempfile::tempdir().map_err(|error| error.to_string())?;
    let url = match cluster {
        Some(cluster) => cluster
            .create_fresh_database()
            .map_err(|error| error.reason)?,
        None => StoreOptions::in_folder(room.path()).url,
    };
    let double = BlueskyDouble::start()
        .await
        .map_err(|error| error.to_string())?;
    let ground = Ground::lay(&url, &double.url(), point.is_photo, point.knows_end).await;
    if point.is_expired {
        double.expire_access();
    }
    if point.is_renewal_refused {
        double.core().fail_next(Op::Refresh, Fault::Status(503));
    }
    let mut orders = Orders {
        url,
        network: double.url(),
        haste: 1,
        ahead: 0,
        ends_held: true,
    };
    for kill in point.kills {
        let mut child = command(&orders)
            .env("KILL_AT", kill)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
        match ended {
            Ok(Ok(status)) if status.signal() == Some(9) => {}
            other => return Err(format!("{kill} was not reached: {other:?}")),
        }
        orders.haste = HASTE;
        if cluster.is_some() {
            orders.ahead += LEASE_OVER;
        }
    }
    let first = survive(&orders).await?;
    let public = || double.core().published().len();
    if point.end == End::Flagged {
        let wanted = Report {
            post: Some(PostState::Publishing),
            held: 1,
            account: Some(AccountState::ReconnectRequired),
            flagged: 1,
        };
        if (&first, public()) != (&wanted, 0) {
            return Err(format!("{first:?} and {} public, not {wanted:?}", public()));
        }
        ground.connect_again().await;
        orders.ahead = HOUR;
        orders.ends_held = false;
    }
    let last = match point.end {
        End::Once => first,
        End::Flagged => survive(&orders).await?,
    };
    match (last.post, last.account, public()) {
        (Some(PostState::Published), Some(AccountState::Active), 1) => Ok(()),
        _ => Err(format!("{last:?} and {} public", public())),
    }
}

fn command(orders: &Orders) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["child", &serde_json::to_string(orders).unwrap()])
        .env_remove("KILL_AT")
        .kill_on_drop(true);
    command
}

async fn survive(orders: &Orders) -> Result<Report, String> {
    let child = command(orders).stdout(Stdio::piped()).spawn().unwrap();
    match tokio::time::timeout(PATIENCE, child.wait_with_output()).await {
        Ok(Ok(output)) if output.status.success() => {
            serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
        }
        other => Err(format!(
            "the last process did not settle the post: {other:?}"
        )),
    }
}
