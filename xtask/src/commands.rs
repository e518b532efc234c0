//! `serve`, `test`: what a newcomer and CI type.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Instant,
};

use anyhow::{Context as _, bail};

use crate::{packages, tidy, ui};

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(PathBuf::new, Path::to_path_buf)
}

/// The cargo that runs this.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // Where this command is compiled from concerns nobody else. Build scripts that look at it would run again, and all
    // that depends on them, whenever a person's cargo and this one take turns.
    for (name, _) in std::env::vars_os() {
        let is_own = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        });
        if is_own {
            command.env_remove(name);
        }
    }
    command
}

fn step(name: &str, command: &mut Command) -> anyhow::Result<()> {
    println!("── {name}");
    let began = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("could not start: {name}"))?;
    println!("── {name}: {} s", began.elapsed().as_secs());
    if !status.success() {
        bail!("{name} failed");
    }
    Ok(())
}

/// Builds page and server and starts the server on a folder of its own.
pub fn serve(rest: &[&str]) -> anyhow::Result<()> {
    ui::build(true)?;
    let is_release = rest.contains(&"--release");
    let rest: Vec<&str> = rest
        .iter()
        .copied()
        .filter(|word| *word != "--release")
        .collect();
    let mut build = cargo();
    build.args([
        "build",
        "--package",
        "so-server",
        "--bin",
        "social-orchestrator",
    ]);
    if is_release {
        build.arg("--release");
    }
    step("build the server", &mut build)?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let profile = if is_release { "release" } else { "debug" };
    let mut server = Command::new(target.join(profile).join("social-orchestrator"));
    server.current_dir(root()).arg("serve");
    if !rest.contains(&"--data-dir") {
        server.args(["--data-dir", "data"]);
    }
    if !rest.contains(&"--listen") {
        server.args(["--listen", "127.0.0.1:8080"]);
    }
    server.args(rest);
    let status = server.status().context("could not start the server")?;
    if !status.success() {
        bail!("the server ended with {status}");
    }
    Ok(())
}

/// Everything that must hold before a change lands.
pub fn test(is_fast: bool) -> anyhow::Result<()> {
    let began = Instant::now();
    // Installing waits for the network, compiling for the processor: side by side.
    let installing = if is_fast {
        None
    } else {
        Some((install_in_background()?, packages::install_in_background()))
    };
    step("formats", cargo().args(["fmt", "--all", "--", "--check"]))?;
    println!("── tidy");
    tidy::run()?;
    if !is_fast {
        ui::build(true)?;
    }
    step(
        "clippy",
        cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]),
    )?;
    step(
        "build of the tests",
        cargo().args(["test", "--workspace", "--no-run", "--quiet"]),
    )?;
    if let Some((mut counterparts, browser)) = installing {
        // A thread that panicked has said so; the tests of the page then do.
        let _ = browser.join();
        let status = counterparts
            .wait()
            .context("the installer of the counterparts was lost")?;
        if !status.success() {
            eprintln!(
                "\n!!! Some counterparts could not be had (see MISSING above); their tests say so and go on.\n"
            );
        }
    }
    step("tests", cargo().args(["test", "--workspace", "--quiet"]))?;
    if !is_fast {
        ui::test()?;
    }
    println!("── all of it: {} s", began.elapsed().as_secs());
    Ok(())
}

fn install_in_background() -> anyhow::Result<Child> {
    installer()
        .spawn()
        .context("could not start testkit/counterparts/install.sh")
}

fn installer() -> Command {
    let mut command = Command::new("bash");
    command
        .current_dir(root())
        .args(["testkit/counterparts/install.sh", "all"]);
    command
}

/// Installs the real servers that tests run against.
pub fn counterparts() -> anyhow::Result<()> {
    step("counterparts", &mut installer())
}
