//! `failing`: longer drills of the whole program than the test command makes.
//!
//! Owns nothing but the words on the command line; the drills are in `server/tests/failing`.

use anyhow::{Context as _, bail};

use crate::commands::cargo;

/// The drills, with what each of them may be told.
const DRILLS: [&str; 4] = ["acknowledged", "outage", "failover", "several"];

/// `DRILL [--kills N] [--times N] [--timers N]` runs one; nothing runs them all at full length.
pub fn run(rest: &[&str]) -> anyhow::Result<()> {
    match rest {
        [] => DRILLS.iter().try_for_each(|drill| make(&[drill])),
        [drill, ..] if DRILLS.contains(drill) => make(rest),
        _ => bail!(
            "usage: cargo xtask failing [{}] [--kills N] [--times N] [--timers N]",
            DRILLS.join(" | ")
        ),
    }
}

fn make(words: &[&str]) -> anyhow::Result<()> {
    let mut command = cargo();
    command
        .args(["test", "--quiet", "--package", "so-server"])
        .args(["--test", "failing", "--"])
        .args(words);
    let status = command.status().context("could not start the drill")?;
    if !status.success() {
        bail!("the drill failed: {}", words.join(" "));
    }
    Ok(())
}
