//! The system's packages that tests need and no registry has: a browser.
//!
//! Owns their names and how Debian installs them. Never fails: what is missing is said, and the tests that need
//! it say so too. Invariant: installing is bounded and needs root on Debian; elsewhere nothing is touched.

use std::{
    path::Path,
    process::{Command, Stdio},
    thread::JoinHandle,
};

/// A program and the Debian package that brings it.
const NEEDED: [(&str, &str); 2] = [
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
];
/// A mirror that is slower than this is taken for dead; the packages take a minute.
const SECONDS_MAX: &str = "300";
/// dpkg has one lock per machine, and the counterparts are installed at the same time.
const LOCK: &str = "DPkg::Lock::Timeout=240";

/// Installs what is missing in the background; `join` the handle before the tests start.
pub fn install_in_background() -> JoinHandle<()> {
    std::thread::spawn(install)
}

fn install() {
    let missing = missing();
    if missing.is_empty() {
        return;
    }
    let names = missing.join(" ");
    if !Path::new("/etc/debian_version").exists() || !is_root() {
        eprintln!(
            "── packages: the tests of the page need {names}; install them, or they are skipped"
        );
        return;
    }
    println!("── packages: installing {names}");
    // Lists may be there already; they are read anew only when that was not enough.
    let is_done =
        apt(&install_words(&missing)) || (apt(&["update"]) && apt(&install_words(&missing)));
    if !is_done {
        eprintln!("── packages: {names} could not be installed; the tests of the page are skipped");
    }
}

fn install_words<'a>(missing: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["install", "-y", "--no-install-recommends"];
    words.extend(missing);
    words
}

fn apt(words: &[&str]) -> bool {
    let mut command = Command::new("timeout");
    command
        .args([SECONDS_MAX, "apt-get", "-qq", "-o", LOCK])
        .args(words)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Packages whose program is nowhere on the path.
fn missing() -> Vec<&'static str> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &str| {
        std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
    };
    NEEDED
        .into_iter()
        .filter(|(program, _)| !is_there(program))
        .map(|(_, package)| package)
        .collect()
}

fn is_root() -> bool {
    let said = Command::new("id").arg("-u").output();
    said.is_ok_and(|said| said.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::install_words;

    #[test]
    fn nothing_but_what_is_missing_is_installed() {
        assert_eq!(
            install_words(&["chromium"]),
            ["install", "-y", "--no-install-recommends", "chromium"]
        );
    }
}
