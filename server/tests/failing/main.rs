//! The whole program when what it stands on fails: killed under load, PostgreSQL gone, silent or replaced,
//! and three of it on one database of which one keeps dying.
//!
//! Owns the drills of `cargo xtask failing`; without words it makes a short run of each. What happened is
//! counted outside, at a network's double and at a receiver of webhooks. Invariant: waits are for a state and
//! bounded; only the long runs say how fast something was.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod acknowledged;
mod book;
#[allow(dead_code, reason = "shared with the tests of the whole product")]
#[path = "../whole/desk.rs"]
mod desk;
mod failover;
mod ground;
mod load;
mod outage;
mod proxy;
mod several;
mod sink;

use ground::{Database, Ground};

const USAGE: &str = "words: acknowledged [--kills N] | outage [--kills N] | failover [--times N] | several [--timers N] [--kills N]";

/// Kills of a short run, for each database: the first is amid a storm of one event.
const SHORT_KILLS: usize = 8;
/// Timers of a short run, and kills amid them.
const SHORT_TIMERS: (usize, usize) = (300, 3);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ground = Ground::new();
    match words.iter().position(|word| !word.starts_with('-')) {
        None => short(&ground),
        Some(at) => long(&ground, words[at], &words[at + 1..]),
    }
}

/// All drills at once: most of their time is waiting for leases and for processes to start.
fn short(ground: &Ground) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            acknowledged::run(ground, Database::Sqlite, SHORT_KILLS);
            failover::run(ground, 1);
        });
        scope.spawn(|| acknowledged::run(ground, Database::Postgres, SHORT_KILLS));
        scope.spawn(|| outage::run(ground, 2, outage::Watch::Results));
        scope.spawn(|| several::run(ground, SHORT_TIMERS.0, SHORT_TIMERS.1));
    });
}

fn long(ground: &Ground, drill: &str, rest: &[&str]) {
    let number = |name: &str, default: usize| {
        let at = rest.iter().position(|word| *word == name);
        let word = at.and_then(|at| rest.get(at + 1));
        word.map_or(default, |word| word.parse().expect(USAGE))
    };
    match drill {
        "acknowledged" => {
            let kills = number("--kills", 500);
            acknowledged::run(ground, Database::Sqlite, kills.div_ceil(2));
            acknowledged::run(ground, Database::Postgres, kills / 2);
        }
        "outage" => outage::run(ground, number("--kills", 20), outage::Watch::Rate),
        "failover" => failover::run(ground, number("--times", 10)),
        "several" => several::run(ground, number("--timers", 10_000), number("--kills", 50)),
        // A name that filters the tests of all targets is for others.
        _ => println!("nothing of this name here; {USAGE}"),
    }
}
