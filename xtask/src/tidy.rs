//! The house rules that no compiler knows.
//!
//! Arrows between crates, plugin folders that nobody lists, migrations that
//! differ, SQL outside the store, commits and calls without a crash point,
//! files that grew too long, words that must not be committed.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

use crate::commands::root;

mod crash_points;

/// Which crate may use which; the picture is in ARCHITECTURE.md.
const ARROWS: [(&str, &[&str]); 10] = [
    ("model", &[]),
    ("net", &[]),
    ("store", &["model"]),
    ("engine", &["model", "store"]),
    ("connectors", &["model", "net"]),
    ("triggers", &["model", "store", "engine", "net"]),
    (
        "actions",
        &["model", "store", "engine", "net", "connectors"],
    ),
    (
        "server",
        &[
            "model",
            "store",
            "engine",
            "net",
            "triggers",
            "connectors",
            "actions",
        ],
    ),
    ("testkit", &["model"]),
    ("xtask", &[]),
];
/// A file longer than this is several files.
const LINES_MAX: usize = 650;
/// Folders that hold helpers of a crate, not plugins.
const NOT_PLUGINS: [&str; 12] = [
    "feed",
    "oauth",
    "checks",
    "conformance",
    "doubles",
    "fixtures",
    "tests",
    "house",
    "port",
    "template",
    "testing",
    "shared",
];

/// Checks every rule; all breaches are told.
pub fn run() -> anyhow::Result<()> {
    let root = root();
    let mut breaches = Vec::new();
    arrows(&root, &mut breaches)?;
    plugin_lists(&root, &mut breaches)?;
    migrations(&root, &mut breaches)?;
    sources(&root, &mut breaches)?;
    if breaches.is_empty() {
        return Ok(());
    }
    for breach in &breaches {
        eprintln!("tidy: {breach}");
    }
    bail!("{} breaches of the house rules", breaches.len());
}

fn arrows(root: &Path, breaches: &mut Vec<String>) -> anyhow::Result<()> {
    for (name, allowed) in ARROWS {
        let path = root.join(name).join("Cargo.toml");
        let text = fs::read_to_string(&path)
            .with_context(|| format!("could not read {}", path.display()))?;
        let mut section = "";
        for line in text.lines() {
            if line.starts_with('[') {
                section = line;
            }
            // Tests may use the testkit and the doubles of the connectors.
            if section != "[dependencies]" {
                continue;
            }
            let used = line
                .strip_prefix("so-")
                .map(|rest| rest.split(['.', ' ', '=']).next().unwrap_or(""));
            if let Some(used) = used
                && !allowed.contains(&used)
            {
                breaches.push(format!("{name}/Cargo.toml: {name} must not use {used}"));
            }
            if line.starts_with("sqlx") && name != "store" {
                breaches.push(format!("{name}/Cargo.toml: only store names sqlx"));
            }
        }
    }
    Ok(())
}

/// The text of a file, or of all files of a folder.
fn read_list(path: &Path) -> std::io::Result<String> {
    if !path.is_dir() {
        return fs::read_to_string(path);
    }
    let files = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    files
        .iter()
        .map(|file| fs::read_to_string(file.path()))
        .collect()
}

fn plugin_lists(root: &Path, breaches: &mut Vec<String>) -> anyhow::Result<()> {
    for (folder, list) in [
        ("triggers/src", "triggers/src/lib.rs"),
        ("actions/src", "actions/src/lib.rs"),
        ("connectors/src", "connectors/src/registry.rs"),
        ("rules-examples", "actions/src/starters"),
    ] {
        let Ok(text) = read_list(&root.join(list)) else {
            breaches.push(format!("{list} is missing: it lists what is in {folder}"));
            continue;
        };
        for entry in fs::read_dir(root.join(folder))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_dir()
                && !NOT_PLUGINS.contains(&name.as_str())
                && !text.contains(&name)
            {
                breaches.push(format!("{folder}/{name} is in no list: name it in {list}"));
            }
        }
    }
    Ok(())
}

fn migrations(root: &Path, breaches: &mut Vec<String>) -> anyhow::Result<()> {
    let names = |database: &str| -> anyhow::Result<BTreeSet<String>> {
        let folder = root.join("migrations").join(database);
        let entries = fs::read_dir(folder)?;
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    };
    let (sqlite, postgres) = (names("sqlite")?, names("postgres")?);
    for name in sqlite.symmetric_difference(&postgres) {
        breaches.push(format!("migrations: {name} exists for one database only"));
    }
    Ok(())
}

fn sources(root: &Path, breaches: &mut Vec<String>) -> anyhow::Result<()> {
    let mut rust_files = Vec::new();
    for path in tracked(root)? {
        let name = path.to_string_lossy().replace('\\', "/");
        let Ok(text) = fs::read_to_string(root.join(&path)) else {
            continue;
        };
        words(&name, &text, breaches);
        if name.ends_with(".rs") {
            rust(&name, &text, breaches);
            rust_files.push((name, text));
        }
    }
    crash_points::check(&rust_files, breaches);
    Ok(())
}

/// What git tracks, or would track.
fn tracked(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .current_dir(root)
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .output()
        .context("could not ask git for the files")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().map(PathBuf::from).collect())
}

fn words(name: &str, text: &str, breaches: &mut Vec<String>) {
    // This file holds the words that it looks for; lock files stay as the tools write them.
    if name == "xtask/src/tidy.rs" || name.ends_with(".lock") || name.ends_with("package-lock.json")
    {
        return;
    }
    let mut forbidden = vec!["/work/", " /root/", "\"/root/", "=/root/"];
    if name != ".ci/run" {
        forbidden.push("../shared");
    }
    for word in forbidden {
        if let Some(line) = text.lines().position(|line| line.contains(word)) {
            breaches.push(format!(
                "{name}:{}: names a path of some machine ({word})",
                line + 1
            ));
        }
    }
}

fn rust(name: &str, text: &str, breaches: &mut Vec<String>) {
    let lines = text.lines().count();
    if lines > LINES_MAX {
        breaches.push(format!(
            "{name}: {lines} lines; split it (at most {LINES_MAX})"
        ));
    }
    let is_test = name.contains("/tests") || name.contains("test") || name.contains("bench");
    if name == "xtask/src/tidy.rs" {
        return;
    }
    for (number, line) in text.lines().enumerate() {
        let told = |what: &str| format!("{name}:{}: {what}", number + 1);
        if line.contains("#[ignore") {
            breaches.push(told("a test that is not run proves nothing"));
        }
        let code = line.trim_start();
        let is_sql = ["\"SELECT ", "\"INSERT INTO ", "\"UPDATE ", "\"DELETE FROM "]
            .iter()
            .any(|start| code.contains(start));
        if is_sql && !name.starts_with("store/") && !is_test {
            breaches.push(told("SQL stands in store only"));
        }
        if code.contains("reqwest::Client") && !name.starts_with("net/") {
            breaches.push(told("only net builds HTTP clients"));
        }
        if code.contains("sqlx::") && !name.starts_with("store/") {
            breaches.push(told("only store names sqlx"));
        }
    }
}
