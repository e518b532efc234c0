//! A folder of rules: which files are rules, and which cases stand beside them.
//!
//! Invariant: files are looked at in the order of their paths, so that two runs tell the same.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use so_engine::rule::Format;

/// A rule is a page of text; the engine refuses less than this itself.
pub(super) const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Folders within folders that are looked into.
const DEPTH_MAX: usize = 8;
/// Rules of a folder: as many as a workspace may have.
const FILES_MAX: usize = 2_000;
/// A rule alone in its folder is named by the folder.
const ALONE: &str = "rule";
/// A blueprint alone in its folder.
const BLUEPRINT: &str = "blueprint";

/// A rule's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RuleFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// The text of the cases beside it; empty without.
    pub cases: String,
    /// It is a blueprint, from which rules are made.
    pub is_blueprint: bool,
}

impl RuleFile {
    /// How it is written.
    pub fn format(&self) -> Format {
        format_of(&self.path)
    }

    /// Its path within a folder, with slashes.
    pub fn name_in(&self, folder: &Path) -> String {
        let inner = self.path.strip_prefix(folder).unwrap_or(&self.path);
        let parts: Vec<_> = inner.iter().map(|part| part.to_string_lossy()).collect();
        parts.join("/")
    }
}

/// JSON by its extension, else YAML.
pub(super) fn format_of(file: &Path) -> Format {
    match file
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        true => Format::Json,
        false => Format::Yaml,
    }
}

/// The rules of files and folders.
pub(super) fn read_all(paths: &[PathBuf]) -> anyhow::Result<Vec<RuleFile>> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            gather(path, 0, &mut found)?;
        } else {
            found.push(path.clone());
        }
        if found.len() > FILES_MAX {
            bail!("there are more than {FILES_MAX} rules");
        }
    }
    found.iter().map(|path| read_rule(path)).collect()
}

fn gather(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if depth > DEPTH_MAX {
        bail!("{}: more than {DEPTH_MAX} folders deep", folder.display());
    }
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("could not look into {}", folder.display()))?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("could not look into {}", folder.display()))?;
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            gather(&path, depth + 1, found)?;
        } else if is_rule(&name) {
            found.push(path);
        }
    }
    Ok(())
}

fn is_rule(name: &str) -> bool {
    let is_document = [".yaml", ".yml", ".json"]
        .iter()
        .any(|extension| name.ends_with(extension));
    let is_cases = name == "cases.yaml" || name.ends_with(".cases.yaml");
    is_document && !is_cases
}

fn read_rule(path: &Path) -> anyhow::Result<RuleFile> {
    let text = read(path)?;
    let beside = cases_path(path);
    let cases = match beside.exists() {
        true => read(&beside)?,
        false => String::new(),
    };
    Ok(RuleFile {
        path: path.to_owned(),
        is_blueprint: text.lines().any(|line| line.starts_with("blueprint:")),
        text,
        cases,
    })
}

/// Where the cases of a rule stand: `cases.yaml` beside one alone in its folder, else by its own name.
pub(super) fn cases_path(rule: &Path) -> PathBuf {
    let stem = rule.file_stem().unwrap_or_default().to_string_lossy();
    if stem == ALONE || stem == BLUEPRINT {
        return rule.with_file_name("cases.yaml");
    }
    rule.with_file_name(format!("{stem}.cases.yaml"))
}

pub(super) fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    File::open(file)
        .and_then(|opened| opened.take(FILE_BYTES_MAX).read_to_string(&mut text))
        .with_context(|| format!("could not read {}", file.display()))?;
    Ok(text)
}

/// A file name for a rule's name.
pub(super) fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.to_lowercase().chars() {
        if c.is_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug: String = slug.trim_end_matches('-').chars().take(60).collect();
    match slug.is_empty() {
        true => ALONE.to_owned(),
        false => slug,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_found_with_the_cases_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("b/rule.yaml", "b");
        write("b/cases.yaml", "of b");
        write("a.yaml", "a");
        write("a.cases.yaml", "of a");
        write("c.json", "{}");
        write("README.md", "");
        write(".lock.json", "");
        let found = read_all(&[folder.path().to_owned()]).unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|file| (file.name_in(folder.path()), file.cases.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("a.yaml".to_owned(), "of a"),
                ("b/rule.yaml".to_owned(), "of b"),
                ("c.json".to_owned(), "")
            ]
        );
    }

    #[test]
    fn a_name_becomes_a_file_name() {
        assert_eq!(slug("Feed → queue (Main)!"), "feed-queue-main");
        assert_eq!(slug("…"), "rule");
    }
}
