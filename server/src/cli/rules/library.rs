//! The script library of a folder: `lib/<module>.rhai` beside the rules.
//!
//! Owns which files are modules. Invariant: a module is one file, kept byte for byte; what does not compile here is
//! refused by a server of the same version as well.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use so_engine::script::{Library, MODULES_MAX, ScriptEngine};
use so_model::problem::FieldError;

use super::{folder, report};

/// The folder of modules, beside the rules.
pub(in crate::cli) const FOLDER: &str = "lib";
/// What a module's file ends in.
const EXTENSION: &str = "rhai";
/// Folders above a file that are looked into for a library.
const ABOVE_MAX: usize = 8;

/// A module's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct ModuleFile {
    pub path: PathBuf,
    pub name: String,
    pub text: String,
}

/// The modules in the library of a folder, by name.
pub(super) fn of_folder(root: &Path) -> anyhow::Result<Vec<ModuleFile>> {
    let at = root.join(FOLDER);
    if !at.is_dir() {
        return Ok(Vec::new());
    }
    let told = || format!("could not look into {}", at.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&at).with_context(told)? {
        let path = entry.with_context(told)?.path();
        let is_module = path.extension().is_some_and(|one| one == EXTENSION) && path.is_file();
        if !is_module {
            continue;
        }
        if found.len() >= MODULES_MAX {
            bail!("{}: more than {MODULES_MAX} modules", at.display());
        }
        found.push(ModuleFile {
            name: path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            text: folder::read(&path)?,
            path,
        });
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

/// The library of files and folders: that of the folder itself, or of the nearest one above that has one.
pub(in crate::cli) fn of_paths(paths: &[PathBuf]) -> anyhow::Result<Vec<ModuleFile>> {
    let mut all: BTreeMap<String, ModuleFile> = BTreeMap::new();
    for path in paths {
        for found in nearest(path)? {
            match all.get(&found.name) {
                Some(known) if known.path != found.path => bail!(
                    "{} and {} are modules of one name",
                    known.path.display(),
                    found.path.display()
                ),
                _ => {
                    all.insert(found.name.clone(), found);
                }
            }
        }
    }
    Ok(all.into_values().collect())
}

fn nearest(path: &Path) -> anyhow::Result<Vec<ModuleFile>> {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    for above in real.ancestors().take(ABOVE_MAX) {
        let found = of_folder(above)?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// A mistake of a module at its place.
pub(in crate::cli) struct Wrong {
    pub path: PathBuf,
    pub error: FieldError,
}

impl Wrong {
    /// As compilers write it.
    pub fn told(&self) -> String {
        report(&self.path, "error", std::slice::from_ref(&self.error))
    }
}

/// The sandbox with this library, and what is wrong in it.
pub(in crate::cli) fn with_library(
    scripts: &ScriptEngine,
    files: &[ModuleFile],
) -> (ScriptEngine, Vec<Wrong>) {
    let sources = files
        .iter()
        .map(|file| (file.name.as_str(), file.text.as_str()));
    let (library, problems) = Library::build(scripts, sources);
    let wrong = problems.into_iter().map(|problem| {
        let file = files.iter().find(|file| file.name == problem.module);
        let error = problem.error;
        let mut told = FieldError::new("", error.message).suggest(error.suggestion);
        (told.line, told.column) = (error.line, error.column);
        Wrong {
            path: file.map_or_else(PathBuf::new, |file| file.path.clone()),
            error: told.coded("script.broken"),
        }
    });
    (scripts.with_library(Arc::new(library)), wrong.collect())
}

/// The sandbox with the library of these paths; an error if it has mistakes.
pub(in crate::cli) fn sound(
    scripts: &ScriptEngine,
    paths: &[PathBuf],
) -> anyhow::Result<ScriptEngine> {
    let (scripts, wrong) = with_library(scripts, &of_paths(paths)?);
    if wrong.is_empty() {
        return Ok(scripts);
    }
    let told: String = wrong.iter().map(Wrong::told).collect();
    bail!("{}", told.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::offline_catalogue;

    #[test]
    fn a_file_is_read_with_the_library_of_the_nearest_folder_above() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("lib")).unwrap();
        std::fs::create_dir_all(root.join("sub/deep")).unwrap();
        std::fs::write(root.join("lib/texts.rhai"), "fn f() { 1 }").unwrap();
        std::fs::write(root.join("lib/README.md"), "no module").unwrap();
        std::fs::write(root.join("sub/deep/rule.yaml"), "").unwrap();
        for path in ["", "sub", "sub/deep/rule.yaml"] {
            let found = of_paths(&[root.join(path)]).unwrap();
            assert_eq!(found.len(), 1, "{path}");
            assert_eq!(
                (found[0].name.as_str(), found[0].text.as_str()),
                ("texts", "fn f() { 1 }")
            );
        }
        let (_, scripts) = offline_catalogue();
        let scripts = sound(&scripts, &[root.to_owned()]).unwrap();
        assert!(scripts.compile_expression("lib::texts::f()").is_ok());
    }

    #[test]
    fn a_mistake_in_a_module_is_told_with_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("lib")).unwrap();
        std::fs::write(folder.path().join("lib/bad.rhai"), "fn f() {\n  g() }").unwrap();
        let (_, scripts) = offline_catalogue();
        let told = sound(&scripts, &[folder.path().to_owned()]).unwrap_err();
        let told = told.to_string();
        assert!(told.contains("lib/bad.rhai:2:3: error:"), "{told}");
    }
}
