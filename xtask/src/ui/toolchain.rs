//! Finds a compiler for wasm: an installed target, rustup's, or Debian's packages for building web browsers.
//!
//! Owns the order of the three and what each needs in its environment. Invariant: nothing of rustup's or cargo's
//! environment leaks into Debian's compiler, because a library path or a toolchain name of the other would break it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::bail;

use super::{TARGET, run, say};

/// Debian's compiler in a version that can build the page, with the sources of its standard library.
const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];
/// Where Debian puts the compiler of [`DEBIAN_PACKAGES`].
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
/// The library sources that `-Zbuild-std` compiles.
const DEBIAN_STD: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";
/// Forces one of the ways; for trying them out.
const CHOICE_VARIABLE: &str = "XTASK_UI_TOOLCHAIN";

/// A way to compile for wasm.
pub enum Toolchain {
    /// The active toolchain with the target's standard library installed.
    Installed,
    /// Debian's compiler, building the standard library from its sources, with this linker.
    Debian { linker: PathBuf },
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Toolchain::Installed => write!(f, "the active toolchain"),
            Toolchain::Debian { linker } => {
                write!(f, "Debian's compiler, linking with {}", linker.display())
            }
        }
    }
}

impl Toolchain {
    /// Names the toolchain's target folder.
    pub fn name(&self) -> &'static str {
        match self {
            Toolchain::Installed => "rustup",
            Toolchain::Debian { .. } => "debian",
        }
    }

    /// The cargo to call, with the environment it needs.
    pub fn cargo(&self) -> Command {
        match self {
            Toolchain::Installed => {
                let mut cargo =
                    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
                cargo.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
                cargo
            }
            Toolchain::Debian { linker } => {
                let mut cargo = Command::new(DEBIAN_CARGO);
                for inherited in [
                    "RUSTUP_TOOLCHAIN",
                    "RUSTUP_HOME",
                    "LD_LIBRARY_PATH",
                    "CARGO",
                    "CARGO_TARGET_DIR",
                    "RUSTFLAGS",
                    "RUSTDOC",
                ] {
                    cargo.env_remove(inherited);
                }
                cargo
                    .env("RUSTC", DEBIAN_RUSTC)
                    // -Zbuild-std is unstable; the variable opens it on this stable compiler, for this build only.
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
                    .arg("-Zbuild-std=std,panic_abort");
                cargo
            }
        }
    }
}

/// Takes the first way that works, installing what the machine lets us install.
///
/// Fails when none does, naming what to install.
pub fn choose() -> anyhow::Result<Toolchain> {
    let forced = std::env::var(CHOICE_VARIABLE).unwrap_or_default();
    if forced != "debian" {
        if target_installed() || rustup_adds_target() {
            return Ok(Toolchain::Installed);
        }
        if forced == "rustup" {
            bail!("the target {TARGET} is not installed and rustup could not add it");
        }
    }
    debian()
}

/// Whether the active rustc has a standard library for the target.
fn target_installed() -> bool {
    let Some(libdir) =
        output(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]))
    else {
        return false;
    };
    std::fs::read_dir(libdir).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
    })
}

fn rustup_adds_target() -> bool {
    let added = Command::new("rustup")
        .args(["target", "add", TARGET])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    added.is_ok_and(|status| status.success()) && target_installed()
}

fn debian() -> anyhow::Result<Toolchain> {
    let complete = || {
        [DEBIAN_RUSTC, DEBIAN_CARGO, DEBIAN_STD]
            .iter()
            .all(|file| Path::new(file).exists())
    };
    if !complete() {
        install(DEBIAN_PACKAGES)?;
    }
    if !complete() {
        bail!(
            "{} are installed, yet {DEBIAN_RUSTC} or {DEBIAN_STD} is missing",
            DEBIAN_PACKAGES.join(", ")
        );
    }
    if let Some(linker) = find_linker() {
        return Ok(Toolchain::Debian { linker });
    }
    install(&["lld"])?;
    match find_linker() {
        Some(linker) => Ok(Toolchain::Debian { linker }),
        None => bail!(
            "no linker for wasm: neither rust-lld in the active toolchain nor wasm-ld on the path"
        ),
    }
}

/// rustup ships rust-lld beside its compiler; Debian's lld brings wasm-ld.
fn find_linker() -> Option<PathBuf> {
    let shipped = output(Command::new("rustc").args(["--print", "sysroot"])).and_then(|sysroot| {
        let host = output(Command::new("rustc").arg("-vV"))?;
        let host = host.lines().find_map(|line| line.strip_prefix("host: "))?;
        Some(
            Path::new(&sysroot)
                .join("lib/rustlib")
                .join(host)
                .join("bin/rust-lld"),
        )
    });
    let on_path = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    shipped
        .into_iter()
        .chain(on_path.map(|folder| folder.join("wasm-ld")))
        .find(|linker| linker.exists())
}

/// Installs Debian packages when we may; otherwise says which are missing.
fn install(packages: &[&str]) -> anyhow::Result<()> {
    let list = packages.join(" ");
    let root = output(Command::new("id").arg("-u")).is_some_and(|uid| uid == "0");
    if !Path::new("/etc/debian_version").exists() || !root {
        bail!(
            "the page needs a Rust compiler with the target {TARGET}. Install it with `rustup target add {TARGET}`, \
             or on Debian with `apt-get install --no-install-recommends {list}`"
        );
    }
    say(&format!("installing {list}"));
    // Another installer may be refreshing the lists at this moment; the lists as they are may do.
    if let Err(error) = run(
        Command::new("apt-get").args(["update", "-qq"]),
        "refresh the package lists",
    ) {
        say(&format!("{error:#}"));
    }
    run(
        Command::new("apt-get")
            .args(["-o", "DPkg::Lock::Timeout=300"])
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(packages)
            .stdout(Stdio::null()),
        "install the wasm compiler's packages",
    )
}

/// What a command printed, trimmed; `None` when it could not run or failed.
fn output(command: &mut Command) -> Option<String> {
    let output = command
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
