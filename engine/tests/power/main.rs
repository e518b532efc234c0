//! The power-cut drill: the machine of a process that publishes loses its power, and the network counts what
//! became public.
//!
//! A killed process leaves its writes with the kernel, so the kill drill cannot see a missing sync. Here what
//! was never synced is taken back before the next process starts, all of it or a seeded part. The oracle is
//! the double network's log in this parent process. The control runs with `synchronous=NORMAL` and must show
//! doubles, or this drill would prove nothing. After that the disk fills during a publish. `cargo xtask power --cuts 200` is the long form.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod child;
mod cuts;
mod full;
mod ground;
mod network;

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use so_testkit::{
    counterpart::or_skip,
    power::{Cut, Shim},
};

use cuts::{Case, Outcome};

/// Cuts of the short form: each point at least twice.
const CUTS: u64 = 24;
/// Cuts of the control.
const CONTROLS: u64 = 3;
/// Cases side by side; each waits far more than it works.
const SIDE_BY_SIDE: usize = 6;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    match words.as_slice() {
        ["child", folder, port, class, call_secs] => {
            let (port, secs) = (port.parse().unwrap(), call_secs.parse().unwrap());
            runtime.block_on(child::run(folder, port, *class == "blind", secs));
        }
        // `cargo test some_filter` must not start a drill.
        [filter, ..] if !filter.starts_with('-') && !"power_cut_drill".contains(filter) => {}
        words => {
            let cuts = number_after(words, "--cuts").unwrap_or(CUTS);
            let seed = number_after(words, "--seed").unwrap_or(0);
            if !runtime.block_on(drill(cuts, seed)) {
                std::process::exit(1);
            }
        }
    }
}

fn number_after(words: &[&str], name: &str) -> Option<u64> {
    let at = words.iter().position(|word| *word == name)?;
    Some(words.get(at + 1)?.parse().unwrap())
}

async fn drill(cuts: u64, seed: u64) -> bool {
    let Some(shim) = or_skip("power_cut_drill", Shim::compile()) else {
        return true;
    };
    println!("power-cut drill: {cuts} cases, seed {seed}");
    let cases = (0..cuts).map(|number| Case::nth(number, seed));
    let controls = (0..CONTROLS).map(Case::control);
    let done: Vec<(Case, Result<Outcome, String>)> =
        futures_util::stream::iter(cases.chain(controls))
            .map(|case| async {
                let outcome = case.run(&shim).await;
                (case, outcome)
            })
            .buffered(SIDE_BY_SIDE)
            .collect()
            .await;
    let (controls, cases): (Vec<_>, Vec<_>) = done.into_iter().partition(|(c, _)| c.is_control);
    let is_good = tell(&cases);
    let is_seen = control_is_seen(&controls);
    full::drill(&shim).await && is_seen && is_good
}

/// Prints the table; true when every case ended as it must.
fn tell(cases: &[(Case, Result<Outcome, String>)]) -> bool {
    let mut lines: BTreeMap<(&str, String), (usize, usize, Cut)> = BTreeMap::new();
    let mut is_good = true;
    for (case, outcome) in cases {
        let line = lines
            .entry((case.point, case.class.to_string()))
            .or_default();
        line.0 += 1;
        let problem = match outcome {
            Ok(outcome) => {
                line.1 += outcome.cuts;
                line.2.changes += outcome.cut.changes;
                line.2.unsynced += outcome.cut.unsynced;
                line.2.lost += outcome.cut.lost;
                let wanted = case.expected();
                let is_right = (outcome.public, outcome.state) == wanted;
                (!is_right).then(|| {
                    format!(
                        "{} public and {:?}, wanted {wanted:?}",
                        outcome.public, outcome.state
                    )
                })
            }
            Err(problem) => Some(problem.clone()),
        };
        if let Some(problem) = problem {
            is_good = false;
            println!("  FAILED {case:?}: {problem}");
        }
    }
    println!("  point class    cases cuts   changes unsynced lost");
    let mut lost = 0;
    for ((point, class), (cases, cuts, cut)) in lines {
        lost += cut.lost;
        println!(
            "  {point:5} {class:8} {cases:5} {cuts:4}   {:7} {:8} {:4}",
            cut.changes, cut.unsynced, cut.lost
        );
    }
    if lost == 0 {
        println!("  FAILED: no cut lost anything; the shim sees nothing");
    }
    is_good && lost > 0
}

/// With less durability than we promise the drill must see doubles or losses.
fn control_is_seen(controls: &[(Case, Result<Outcome, String>)]) -> bool {
    let mut seen = 0;
    for (case, outcome) in controls {
        match outcome {
            Ok(outcome) => {
                println!(
                    "  control {:4} synchronous=NORMAL: {} public",
                    case.point, outcome.public
                );
                seen += usize::from(outcome.public != 1);
            }
            Err(problem) => println!("  control {:4} synchronous=NORMAL: {problem}", case.point),
        }
    }
    if seen == 0 {
        println!("  FAILED: the control shows neither a double nor a loss; the drill is blind");
    }
    seen > 0
}
