//! `fuzz`: runs the fuzzer's programs, one after the other, for a while each.
//!
//! Owns what must be there for that and how the programs are started. Never part of `test`, which
//! replays the corpora with any compiler. Invariant: what is found is kept, and named with its file.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};

use crate::commands::root;

/// How long each program runs unless it is said otherwise.
const SECONDS: u32 = 60;
/// An input that takes longer is a finding: every surface answers within a fraction of it.
const TIMEOUT_S: u32 = 10;
/// So is one for which the process grows beyond this. Scripts reserve a deep stack; the rest is small.
const MEMORY_MB: u32 = 512;
/// Larger inputs only make a round slower: all bounds of the product but that of feeds are below.
const INPUT_BYTES: u32 = 16 * 1024;

struct Options {
    seconds: u32,
    only: Option<String>,
    sanitizer: String,
}

/// Runs every program, or one.
pub fn run(words: &[&str]) -> anyhow::Result<()> {
    let options = read(words)?;
    check_tools()?;
    let names = programs(options.only.as_deref())?;
    build(&options)?;
    let mut found = Vec::new();
    for name in &names {
        println!("── fuzz {name} for {} s", options.seconds);
        if !start(name, &options)?.success() {
            found.push(name.as_str());
        }
    }
    if found.is_empty() {
        println!("── nothing found by {}", names.join(", "));
        return Ok(());
    }
    bail!(
        "found something: {}. The input lies in fuzz/artifacts/<name>; mend the cause, then move it to fuzz/corpus/<name>, where the tests replay it.",
        found.join(", ")
    );
}

fn read(words: &[&str]) -> anyhow::Result<Options> {
    let mut options = Options {
        seconds: SECONDS,
        only: None,
        // Our crates forbid unsafe code, and an instrumented process is several times slower.
        sanitizer: "none".into(),
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = words
            .next()
            .with_context(|| format!("{word} needs a value"))?;
        match *word {
            "--seconds" => options.seconds = value.parse().context("--seconds needs a number")?,
            "--only" => options.only = Some((*value).to_owned()),
            "--sanitizer" => options.sanitizer = (*value).to_owned(),
            _ => bail!("cargo xtask fuzz [--seconds 60] [--only NAME] [--sanitizer none|address]"),
        }
    }
    Ok(options)
}

fn succeeds(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn check_tools() -> anyhow::Result<()> {
    if !succeeds("rustup", &["run", "nightly", "rustc", "--version"]) {
        bail!(
            "there is no nightly compiler, which libFuzzer needs: rustup toolchain install nightly"
        );
    }
    if succeeds("cargo", &["fuzz", "--version"]) {
        return Ok(());
    }
    println!("── install cargo-fuzz");
    let installed = Command::new("cargo")
        .args(["install", "cargo-fuzz", "--locked"])
        .status()
        .context("could not start cargo")?;
    if !installed.success() {
        bail!("cargo-fuzz could not be installed: cargo install cargo-fuzz --locked");
    }
    Ok(())
}

fn programs(only: Option<&str>) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("fuzz/fuzz_targets"))? {
        let name = entry?.path();
        names.extend(
            name.file_stem()
                .map(|stem| stem.to_string_lossy().into_owned()),
        );
    }
    names.sort();
    let Some(only) = only else {
        return Ok(names);
    };
    if !names.iter().any(|name| name == only) {
        bail!(
            "no program is called {only}; there are {}",
            names.join(", ")
        );
    }
    Ok(vec![only.to_owned()])
}

fn cargo_fuzz(word: &str, options: &Options) -> Command {
    let mut command = Command::new("cargo");
    // `--sanitizer none` leaves the allocator and the stack as they are in the product.
    command
        .args(["+nightly", "fuzz", word, "--sanitizer", &options.sanitizer])
        .current_dir(root().join("fuzz"));
    command
}

fn build(options: &Options) -> anyhow::Result<()> {
    println!("── build of the programs");
    let mut command = cargo_fuzz("build", options);
    command.args(options.only.as_slice());
    let status = command.status().context("could not start cargo fuzz")?;
    if !status.success() {
        bail!("the programs do not compile; if it is the sanitizer, try --sanitizer none");
    }
    Ok(())
}

/// New inputs are kept beside what was compiled; the corpus in the repository is only read.
fn start(name: &str, options: &Options) -> anyhow::Result<std::process::ExitStatus> {
    let kept: PathBuf = root().join("fuzz/target/corpus").join(name);
    fs::create_dir_all(&kept).with_context(|| format!("could not make {}", kept.display()))?;
    let mut command = cargo_fuzz("run", options);
    command
        .arg(name)
        .arg(kept)
        .arg(root().join("fuzz/corpus").join(name))
        .arg("--")
        .arg(format!("-max_total_time={}", options.seconds))
        .arg(format!("-timeout={TIMEOUT_S}"))
        .arg(format!("-rss_limit_mb={MEMORY_MB}"))
        .arg(format!("-max_len={INPUT_BYTES}"))
        .arg("-print_final_stats=1");
    command.status().context("could not start cargo fuzz")
}
