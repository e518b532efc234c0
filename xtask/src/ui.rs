//! `cargo xtask ui`: compiles the page to wasm and lays it into `ui/dist`, from where the server embeds it.
//!
//! Owns the choice of compiler and the decision that nothing needs building. Never knows what is on the page, nor how
//! bindings are made (that is `ui/bindgen`, compiled apart so that xtask itself stays small).
//! Invariant: `ui/dist/.stamp` is written last, so an interrupted build is never mistaken for a finished one.

mod inputs;
mod toolchain;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, bail};

use self::toolchain::Toolchain;

/// The wasm target of the page.
const TARGET: &str = "wasm32-unknown-unknown";

/// Builds the page when its inputs changed, in release for shipping or in dev for a quick look.
///
/// Fails when no compiler with the wasm target can be had, naming what to install, or when the page does not compile.
pub fn build(release: bool) -> anyhow::Result<()> {
    let root = workspace_root()?;
    let ui = root.join("ui");
    let dist = ui.join("dist");
    let stamp = dist.join(".stamp");
    let wanted = format!("{}:{}", profile(release), inputs::hash(&root)?);
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        say("the page in ui/dist is up to date");
        return Ok(());
    }
    let started = Instant::now();
    let toolchain = toolchain::choose()?;
    say(&format!("compiling the page with {toolchain}"));
    let wasm = compile(&ui, &toolchain, release)?;
    bindgen(&ui, &wasm, &dist, release)?;
    std::fs::write(&stamp, wanted)
        .with_context(|| format!("could not write {}", stamp.display()))?;
    say(&format!(
        "the page is in ui/dist after {} s",
        started.elapsed().as_secs()
    ));
    Ok(())
}

/// Formats and native tests of the page's pure parts.
///
/// They lie outside the workspace, because the page is compiled by a compiler of its own choice.
pub fn test() -> anyhow::Result<()> {
    let ui = workspace_root()?.join("ui");
    for args in [
        ["fmt", "--", "--check"].as_slice(),
        ["test", "--quiet", "--target-dir", "target/native"].as_slice(),
    ] {
        say(&format!("ui: cargo {}", args.join(" ")));
        let status = crate::commands::cargo()
            .current_dir(&ui)
            .args(args)
            .status()
            .context("could not start cargo in ui/")?;
        if !status.success() {
            bail!("ui: cargo {} failed", args.join(" "));
        }
    }
    Ok(())
}

fn profile(release: bool) -> &'static str {
    if release { "release" } else { "debug" }
}

/// The folder of the root Cargo.toml: xtask's own folder is one below it.
fn workspace_root() -> anyhow::Result<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(own
        .parent()
        .context("xtask has no parent folder")?
        .to_path_buf())
}

/// Compiles `so-ui` and returns the module's path.
fn compile(ui: &Path, toolchain: &Toolchain, release: bool) -> anyhow::Result<PathBuf> {
    // One target folder per compiler: the two must not rebuild each other's work.
    let target_dir = ui.join("target").join(toolchain.name());
    let mut cargo = toolchain.cargo();
    cargo
        .current_dir(ui)
        .args(["build", "--locked", "--bin", "so-ui", "--target", TARGET])
        .arg("--target-dir")
        .arg(&target_dir);
    if release {
        cargo.arg("--release");
    }
    run(&mut cargo, "compile the page")?;
    Ok(target_dir
        .join(TARGET)
        .join(profile(release))
        .join("so-ui.wasm"))
}

/// Runs `ui/bindgen`: bindings, hashed names, index.html, compressed neighbours.
fn bindgen(ui: &Path, wasm: &Path, dist: &Path, release: bool) -> anyhow::Result<()> {
    let mut cargo = crate::commands::cargo();
    cargo
        .args(["run", "--quiet", "--locked", "--manifest-path"])
        .arg(ui.join("bindgen/Cargo.toml"))
        .arg("--target-dir")
        .arg(ui.join("target/bindgen"))
        .arg("--")
        .args([wasm, ui, dist]);
    if release {
        cargo.arg("--compress");
    }
    run(&mut cargo, "make the page's bindings")
}

fn run(command: &mut Command, what: &str) -> anyhow::Result<()> {
    let status = command
        .status()
        .with_context(|| format!("could not start {:?} to {what}", command.get_program()))?;
    if !status.success() {
        bail!(
            "could not {what}: {:?} ended with {status}",
            command.get_program()
        );
    }
    Ok(())
}

/// Progress goes to standard error, so that a task's own output stays clean.
fn say(line: &str) {
    eprintln!("ui: {line}");
}
