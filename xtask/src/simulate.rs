//! `simulate`: more simulated days than the test command plays.
//!
//! Owns nothing but the words on the command line; the days are played by
//! `engine/tests/simulate`. Invariant: a seed that failed fails again.

use anyhow::{Context as _, bail};

use crate::commands::cargo;

/// Days played when nothing is said.
const SEEDS_DEFAULT: &str = "1000";

/// `--seed S` plays one day twice and compares; `--seeds N [--from S]` plays many.
pub fn run(rest: &[&str]) -> anyhow::Result<()> {
    let words: Vec<&str> = match rest {
        [] => vec!["--seeds", SEEDS_DEFAULT],
        ["--seed" | "--seeds", _]
        | ["--seed", _, "--trace", _]
        | ["--seeds", _, "--from", _]
        | ["--from", _, "--seeds", _] => rest.to_vec(),
        _ => bail!("usage: cargo xtask simulate [--seed S [--trace FILE] | --seeds N [--from S]]"),
    };
    let mut command = cargo();
    command
        .args([
            "test",
            "--quiet",
            "--package",
            "so-engine",
            "--test",
            "simulate",
            "--",
        ])
        .args(words);
    let status = command.status().context("could not start the simulation")?;
    if !status.success() {
        bail!("the simulation failed");
    }
    Ok(())
}
