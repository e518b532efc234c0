//! A folder of rules: which files are rules, and which cases stand beside them.
//!
//! Invariant: files are looked at in the order of their paths, so that two runs tell the same; a file is written whole
//! or not at all.

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
/// Files of one call: a workspace has at most 1 000 rules, and as many blueprints may lie beside them.
const FILES_MAX: usize = 2_000;
/// A rule alone in its folder is named by the folder.
const ALONE: &str = "rule";
/// A blueprint alone in its folder.
const BLUEPRINT: &str = "blueprint";
/// What a rule may be written in.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];
/// Longest name made of a rule's: with a number and what is put behind it, it stays below the 255 bytes of a name.
const SLUG_BYTES_MAX: usize = 200;

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
            bail!("there are more than {FILES_MAX} rules and blueprints");
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
    let is_document = name
        .rsplit_once('.')
        .is_some_and(|(_, extension)| EXTENSIONS.contains(&extension));
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

/// Whether a new rule may go into a file of this name: it is found there again, with cases of its own, and nothing
/// that lies there is lost.
pub(super) fn is_free(folder: &Path, name: &str) -> bool {
    let path = folder.join(name);
    let stem = path.file_stem().unwrap_or_default();
    let is_own = is_rule(name) && stem != ALONE && stem != BLUEPRINT;
    // Rules that differ in their extensions would have the same cases.
    let mut near: Vec<PathBuf> = EXTENSIONS
        .iter()
        .map(|extension| path.with_extension(extension))
        .collect();
    near.push(cases_path(&path));
    is_own && near.iter().all(|path| path.symlink_metadata().is_err())
}

/// Writes a file whole: beside it first, then in its place, so that a command that is killed leaves the old text or
/// the new one. Against a loss of power there is version control.
pub(super) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let told = || format!("could not write {}", path.display());
    // A link stays a link; what is no file, such as a pipe, can only be written to.
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let before = std::fs::metadata(&real).ok();
    if before.as_ref().is_some_and(|before| !before.is_file()) {
        return std::fs::write(&real, text).with_context(told);
    }
    let mut name = real.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = real.with_file_name(name);
    let written = std::fs::write(&part, text)
        .and_then(|()| match &before {
            Some(before) => std::fs::set_permissions(&part, before.permissions()),
            None => Ok(()),
        })
        .and_then(|()| std::fs::rename(&part, &real));
    if written.is_err() {
        // The half of it is of no use; why it could not be written is told.
        let _ = std::fs::remove_file(&part);
    }
    written.with_context(told)
}

/// Deletes a file, if there is one.
pub(super) fn remove(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not delete {}", path.display()))
        }
        _ => Ok(()),
    }
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
    let mut slug: String = slug.trim_end_matches('-').chars().take(60).collect();
    while slug.len() > SLUG_BYTES_MAX {
        slug.pop();
    }
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
        assert!(slug(&"\u{20000}".repeat(60)).len() <= SLUG_BYTES_MAX);
    }

    #[test]
    fn a_name_is_free_only_where_a_rule_is_found_again_and_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["queue.yaml", "feed.json", "old.cases.yaml", "sub.yaml/x"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let is_free = |name: &str| is_free(folder.path(), name);
        assert!(is_free("hello.yaml"));
        for name in ["cases.yaml", "a.cases.yaml", "rule.yaml", "blueprint.yaml"] {
            assert!(
                !is_free(name),
                "{name} would not be read as a rule of its own"
            );
        }
        for name in ["queue.yaml", "feed.yaml", "old.yaml", "sub.yaml"] {
            assert!(
                !is_free(name),
                "{name} would take the place or the cases of another file"
            );
        }
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        write(&path, "one").unwrap();
        write(&path, "two").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        // What cannot take the place of something is not left lying about either.
        let taken = folder.path().join("none").join("b.yaml");
        assert!(write(&taken, "three").is_err());
        let names = std::fs::read_dir(folder.path()).unwrap();
        let names: Vec<_> = names.map(|one| one.unwrap().file_name()).collect();
        assert_eq!(names, ["a.yaml"]);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_a_file_keeps_its_mode() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.yaml"), folder.path().join("b.yaml"));
        std::fs::write(&file, "one").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&file, &link).unwrap();
        write(&link, "two").unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "two");
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
