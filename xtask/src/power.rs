//! `power`: more power cuts than the test command makes.
//!
//! Owns nothing but the words on the command line; the cuts are made by `engine/tests/power`. Invariant: a
//! cut that failed fails again under its seed.

use anyhow::{Context as _, bail};

use crate::commands::cargo;

/// Cuts made when nothing is said.
const CUTS_DEFAULT: &str = "200";

/// `--cuts N` makes so many, `--seed S` others.
pub fn run(rest: &[&str]) -> anyhow::Result<()> {
    let words: Vec<&str> = match rest {
        [] => vec!["--cuts", CUTS_DEFAULT],
        ["--cuts", _] | ["--cuts", _, "--seed", _] => rest.to_vec(),
        ["--seed", _] => [&["--cuts", CUTS_DEFAULT], rest].concat(),
        _ => bail!("usage: cargo xtask power [--cuts N] [--seed S]"),
    };
    let mut command = cargo();
    command
        .args(["test", "--quiet", "--package", "so-engine"])
        .args(["--test", "power", "--"])
        .args(words);
    let status = command.status().context("could not start the power cuts")?;
    if !status.success() {
        bail!("the power-cut drill failed");
    }
    Ok(())
}
