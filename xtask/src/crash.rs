//! `crash`: the whole table of kills.
//!
//! Owns nothing but the words on the command line; the killing is done by `engine/tests/crash` and
//! `actions/tests/crash`. Invariant: the table fails if one case of it does.

use anyhow::{Context as _, bail};

use crate::commands::cargo;

/// Repeats when nothing is said.
const REPEATS_DEFAULT: &str = "5";
const USAGE: &str =
    "usage: cargo xtask crash [--repeats N] [--only K6] [--database sqlite|postgres]";

/// Runs every point and class on both databases.
pub fn run(rest: &[&str]) -> anyhow::Result<()> {
    let mut words = vec!["--repeats", REPEATS_DEFAULT];
    for pair in rest.chunks(2) {
        match pair {
            ["--repeats", count] if count.parse::<u32>().is_ok() => words[1] = count,
            ["--only", _] | ["--database", "sqlite" | "postgres"] => words.extend(pair),
            _ => bail!("{USAGE}"),
        }
    }
    let mut failed = Vec::new();
    for package in ["so-engine", "so-actions"] {
        let status = cargo()
            .args([
                "test",
                "--quiet",
                "--package",
                package,
                "--test",
                "crash",
                "--",
            ])
            .args(&words)
            .status()
            .context("could not start the kill drill")?;
        if !status.success() {
            failed.push(package);
        }
    }
    if !failed.is_empty() {
        bail!("the kill drill failed: {}", failed.join(", "));
    }
    Ok(())
}
