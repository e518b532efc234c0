//! The library of a folder and of a server, brought into line: `lib/<module>.rhai`, one file for each module.
//!
//! Owns what is created, updated and deleted on which side, of modules. Invariant: a file is the server's text byte
//! for byte, and nothing is overwritten that somebody else changed since, unless that is asked for.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use so_engine::{blueprint::line_diff, script::mentioned_in};
use so_model::api::script::{ScriptModuleDetail, ScriptModuleList};
use so_net::Method;

use super::{
    super::{
        folder,
        library::{FOLDER, ModuleFile},
        outcome::Trouble,
        remote::Remote,
    },
    Both, Synced,
};
use crate::app::secrets::sha256_hex;

/// A module as it was when file and server were last the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LockedModule {
    pub version: i64,
    pub digest: String,
}

/// One thing that a push does to the library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub(super) enum ModuleChange {
    CreateModule {
        file: String,
        name: String,
    },
    UpdateModule {
        file: String,
        name: String,
        version: i64,
        diff: Vec<String>,
    },
    DeleteModule {
        name: String,
    },
    ModuleConflict {
        file: String,
        name: String,
        because: String,
    },
}

impl ModuleChange {
    pub fn told(&self) -> String {
        match self {
            Self::CreateModule { file, name } => format!("+ create  {file}: lib::{name}\n"),
            Self::UpdateModule {
                file,
                name,
                version,
                diff,
            } => {
                let changed = diff.iter().filter(|line| !line.starts_with(' '));
                let lines: String = changed.map(|line| format!("      {line}\n")).collect();
                format!("~ update  {file}: lib::{name} (version {version})\n{lines}")
            }
            Self::DeleteModule { name } => format!("- delete  lib::{name}\n"),
            Self::ModuleConflict {
                file,
                name,
                because,
            } => format!("! conflict  {file}: lib::{name}: {because}\n"),
        }
    }

    fn is_new(&self) -> bool {
        matches!(self, Self::CreateModule { .. })
    }

    /// The module whose text is sent.
    pub fn sent(&self) -> Option<&str> {
        match self {
            Self::CreateModule { name, .. } | Self::UpdateModule { name, .. } => Some(name),
            Self::DeleteModule { .. } | Self::ModuleConflict { .. } => None,
        }
    }

    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::ModuleConflict { .. })
    }
}

/// The path of a module within a folder.
fn file_of(name: &str) -> String {
    format!("{FOLDER}/{name}.rhai")
}

fn digest(text: &str) -> String {
    sha256_hex(text.as_bytes())
}

/// The modules of a server, by name.
pub(super) async fn theirs(
    remote: &Remote,
) -> Result<BTreeMap<String, ScriptModuleDetail>, Trouble> {
    let list: ScriptModuleList = remote.get("scripts").await?;
    let mut found = BTreeMap::new();
    for module in list.items {
        let detail = remote.get(&format!("scripts/{}", module.name)).await?;
        found.insert(module.name, detail);
    }
    Ok(found)
}

/// By name.
pub(super) fn by_name(files: Vec<ModuleFile>) -> BTreeMap<String, String> {
    let pairs = files.into_iter().map(|file| (file.name, file.text));
    pairs.collect()
}

impl Both {
    /// What a push would do to the library; a module comes after those that it calls, and a new one that needs nothing of
    /// what changes before all of it, so that a rule which goes with a changed one may call it.
    pub(super) fn plan_modules(&self, force: bool, prune: bool) -> Vec<ModuleChange> {
        let mut changes = Vec::new();
        for name in in_order(&self.modules) {
            let text = self.modules.get(&name).map_or("", String::as_str);
            changes.extend(self.changed_module(&name, text, force));
        }
        let old = changes.iter().filter(|change| !change.is_new());
        let old: BTreeSet<String> = old
            .filter_map(ModuleChange::sent)
            .map(str::to_owned)
            .collect();
        let is_early = |change: &ModuleChange| {
            let needed = change.sent().filter(|_| change.is_new());
            needed.is_some_and(|name| reach(name, &self.modules).is_disjoint(&old))
        };
        // Stable, so that the order stays within both parts.
        changes.sort_by_cached_key(|change| !is_early(change));
        if prune {
            // What calls comes before what it calls.
            let texts = self.scripts.iter();
            let texts = texts.map(|(name, there)| (name.clone(), there.source.clone()));
            let gone = in_order(&texts.collect()).into_iter().rev();
            let gone = gone.filter(|name| !self.modules.contains_key(name));
            changes.extend(gone.map(|name| ModuleChange::DeleteModule { name }));
        }
        changes
    }

    fn changed_module(&self, name: &str, text: &str, force: bool) -> Option<ModuleChange> {
        let (file, name) = (file_of(name), name.to_owned());
        let Some(there) = self.scripts.get(&name) else {
            return Some(ModuleChange::CreateModule { file, name });
        };
        if there.source == text {
            return None;
        }
        let locked = self.lock.modules.get(&name);
        let is_moved = locked.is_none_or(|locked| locked.digest != digest(&there.source));
        if is_moved && !force {
            let because = match locked {
                Some(_) => "changed on the server since the pull",
                None => {
                    "the server has a module of this name; `pull --force` takes it into the file"
                }
            };
            return Some(ModuleChange::ModuleConflict {
                file,
                name,
                because: because.into(),
            });
        }
        Some(ModuleChange::UpdateModule {
            diff: line_diff(&there.source, text),
            version: there.module.version,
            file,
            name,
        })
    }

    /// Sends one change and the rules of the files that go with it; whatever calls the module has new versions
    /// afterwards.
    pub(super) async fn push_module(
        &mut self,
        change: &ModuleChange,
        along: &[String],
        asked: &Synced,
    ) -> Result<(), Trouble> {
        let (name, expected) = match change {
            ModuleChange::CreateModule { name, .. } => (name, 0),
            ModuleChange::UpdateModule { name, version, .. } => (name, *version),
            ModuleChange::DeleteModule { name } => {
                let path = format!("scripts/{name}");
                let _: Value = self.remote.send(Method::DELETE, &path, None).await?;
                self.lock.modules.remove(name);
                self.scripts.remove(name);
                return Ok(());
            }
            ModuleChange::ModuleConflict { .. } => return Ok(()),
        };
        let text = self.modules.get(name).cloned().unwrap_or_default();
        let mut body = json!({"source": text, "expected_version": expected});
        for (key, said) in [
            ("override_reason", &asked.despite),
            ("reason", &asked.because),
        ] {
            if let Some(said) = said {
                body[key] = said.as_str().into();
            }
        }
        let sent = self.to_send(along, asked).await?;
        if !sent.is_empty() {
            body["rules"] = sent.iter().map(|one| one.body.clone()).collect();
        }
        let path = format!("scripts/{name}");
        let made: ScriptModuleDetail = self.remote.send(Method::PUT, &path, Some(&body)).await?;
        self.note_module(name, &made);
        self.scripts.insert(name.clone(), made);
        self.note_sent(sent).await
    }

    fn note_module(&mut self, name: &str, there: &ScriptModuleDetail) {
        let locked = LockedModule {
            version: there.module.version,
            digest: digest(&there.source),
        };
        self.lock.modules.insert(name.to_owned(), locked);
    }

    /// Writes the server's modules into the folder; tells what was done, and whether everything could be.
    pub(super) fn pull_modules(
        &mut self,
        force: bool,
        prune: bool,
    ) -> anyhow::Result<(String, bool)> {
        let (mut told, mut is_clean) = (String::new(), true);
        let there: Vec<ScriptModuleDetail> = self.scripts.values().cloned().collect();
        for module in &there {
            let (line, is_done) = self.take_module(module, force)?;
            told.push_str(&line);
            is_clean &= is_done;
        }
        let locked = self.lock.modules.keys();
        let gone = locked.filter(|name| !self.scripts.contains_key(*name));
        let gone: Vec<String> = gone.cloned().collect();
        for name in &gone {
            let (line, is_done) = self.lose_module(name, force, prune)?;
            told.push_str(&line);
            is_clean &= is_done;
        }
        Ok((told, is_clean))
    }

    fn take_module(
        &mut self,
        there: &ScriptModuleDetail,
        force: bool,
    ) -> anyhow::Result<(String, bool)> {
        let name = there.module.name.clone();
        let file = file_of(&name);
        if let Some(text) = self.modules.get(&name) {
            if *text == there.source {
                self.note_module(&name, there);
                return Ok((String::new(), true));
            }
            let locked = self.lock.modules.get(&name);
            let is_mine = locked.is_none_or(|locked| locked.digest != digest(text));
            if is_mine && !force {
                return Ok(match locked {
                    Some(locked) if locked.digest == digest(&there.source) => {
                        (format!("= {file}: changed here, kept\n"), true)
                    }
                    _ => (
                        format!(
                            "! {file}: says otherwise than the server; --force overwrites the file\n"
                        ),
                        false,
                    ),
                });
            }
        }
        let path = self.folder.join(&file);
        if let Some(above) = path.parent() {
            std::fs::create_dir_all(above)
                .with_context(|| format!("could not make {}", above.display()))?;
        }
        folder::write(&path, &there.source)?;
        self.note_module(&name, there);
        // After each one, so that a pull that ends early is remembered as far as it came.
        self.write_lock()?;
        let version = there.module.version;
        Ok((format!("< {file}: lib::{name} (version {version})\n"), true))
    }

    fn lose_module(
        &mut self,
        name: &str,
        force: bool,
        prune: bool,
    ) -> anyhow::Result<(String, bool)> {
        let file = file_of(name);
        let mut line = "the server does not have it any more".to_owned();
        if let Some(text) = self.modules.get(name).filter(|_| prune) {
            let locked = self.lock.modules.get(name);
            if !force && locked.is_none_or(|locked| locked.digest != digest(text)) {
                line.push_str(", and it was changed here; --force deletes the file");
                return Ok((format!("! {file}: {line}\n"), false));
            }
            folder::remove(&self.folder.join(&file))?;
        }
        self.lock.modules.remove(name);
        Ok((format!("- {file}: {line}\n"), true))
    }
}

/// The module and all that its text leads to.
fn reach(name: &str, texts: &BTreeMap<String, String>) -> BTreeSet<String> {
    let (mut found, mut open) = (BTreeSet::new(), vec![name.to_owned()]);
    while let Some(name) = open.pop() {
        let text = texts.get(&name).map_or("", String::as_str);
        if found.insert(name) {
            open.extend(mentioned_in(text));
        }
    }
    found
}

/// Names of modules, each behind those that it calls; where they call each other in a circle, the server says so.
fn in_order(texts: &BTreeMap<String, String>) -> Vec<String> {
    fn visit(
        name: &str,
        texts: &BTreeMap<String, String>,
        seen: &mut BTreeSet<String>,
        order: &mut Vec<String>,
    ) {
        let Some(text) = texts.get(name).filter(|_| seen.insert(name.to_owned())) else {
            return;
        };
        for called in mentioned_in(text) {
            visit(&called, texts, seen, order);
        }
        order.push(name.to_owned());
    }
    let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
    for name in texts.keys() {
        visit(name, texts, &mut seen, &mut order);
    }
    order
}
