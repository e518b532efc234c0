//! `rules pull`, `push`, `plan` and `diff`: a folder and a server, brought into line.
//!
//! Owns what is created, updated, switched and deleted on which side. Invariant: nothing is overwritten that somebody
//! else changed since, on either side, unless that is asked for.

mod along;
mod lock;
mod modules;
mod page;
mod pull;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use so_engine::{blueprint::line_diff, rule::Format};
use so_model::{
    api::{rule::RuleDetail, script::ScriptModuleDetail},
    id::RuleId,
};
use so_net::Method;

use super::{
    folder::{RuleFile, read_all},
    library,
    outcome::{Answer, Trouble},
    remote::{Place, Remote},
};
use lock::{Lock, Locked};
use modules::ModuleChange;
use page::{Difference, Page, difference, in_words, name_of, says_enabled, to_compare};
pub(super) use pull::pull;

/// What these commands are asked.
#[derive(Debug, Args)]
pub struct Synced {
    /// The folder; the one it is called in without.
    #[arg(default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    place: Place,
    /// `pull`: overwrites what was changed in the folder. `push`: overwrites what was changed on the server.
    #[arg(long)]
    force: bool,
    /// `plan` and `push`: deletes rules of the server that the folder does not have. `pull`: deletes files.
    #[arg(long)]
    prune: bool,
    /// `push`: the reason for which an owner publishes a rule whose cases fail.
    #[arg(long, value_name = "REASON")]
    despite: Option<String>,
    /// `push`: why the rules change; kept with each new version.
    #[arg(long, value_name = "REASON")]
    because: Option<String>,
    /// Tells as JSON.
    #[arg(long)]
    json: bool,
}

/// One thing that a push does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "change")]
enum Change {
    Create {
        file: String,
        name: String,
    },
    Update {
        file: String,
        name: String,
        id: RuleId,
        version: i64,
        /// In words, where both can be read.
        told: Vec<String>,
        diff: Vec<String>,
    },
    Switch {
        file: String,
        name: String,
        id: RuleId,
        enabled: bool,
    },
    Delete {
        name: String,
        id: RuleId,
    },
    Conflict {
        file: String,
        name: String,
        id: RuleId,
        because: String,
    },
}

impl Change {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    fn told(&self) -> String {
        match self {
            Self::Create { file, name } => format!("+ create  {file}: {name}\n"),
            Self::Update {
                file,
                name,
                version,
                told,
                diff,
                ..
            } => {
                let words: String = told.iter().map(|one| format!("    {one}\n")).collect();
                let lines: String = diff
                    .iter()
                    .filter(|line| !line.starts_with(' '))
                    .map(|line| format!("      {line}\n"))
                    .collect();
                format!("~ update  {file}: {name} (version {version})\n{words}{lines}")
            }
            Self::Switch {
                file,
                name,
                enabled,
                ..
            } => {
                format!("~ switch  {file}: {name} {}\n", on_or_off(*enabled))
            }
            Self::Delete { name, id } => format!("- delete  {name} ({id})\n"),
            Self::Conflict {
                file,
                name,
                because,
                ..
            } => {
                format!("! conflict  {file}: {name}: {because}\n")
            }
        }
    }
}

struct Both {
    folder: PathBuf,
    lock: Lock,
    local: BTreeMap<String, RuleFile>,
    remote: Remote,
    rules: BTreeMap<RuleId, RuleDetail>,
    /// Texts of the folder's library, by module.
    modules: BTreeMap<String, String>,
    /// The server's library, by module.
    scripts: BTreeMap<String, ScriptModuleDetail>,
}

impl Both {
    async fn open(asked: &Synced) -> Result<Self, Trouble> {
        let remote = Remote::open(&asked.place).await?;
        let folder = asked.folder.clone();
        let lock = Lock::open(&folder, &remote.workspace)?;
        let mut local = BTreeMap::new();
        if folder.is_dir() {
            for file in read_all(std::slice::from_ref(&folder))? {
                if !file.is_blueprint {
                    local.insert(file.name_in(&folder), file);
                }
            }
        }
        let modules = modules::by_name(library::of_folder(&folder)?);
        let scripts = modules::theirs(&remote).await?;
        let mut both = Self {
            folder,
            lock,
            local,
            remote,
            rules: BTreeMap::new(),
            modules,
            scripts,
        };
        both.read_rules().await?;
        Ok(both)
    }

    /// Reads the server's rules, anew after modules were pushed.
    async fn read_rules(&mut self) -> Result<(), Trouble> {
        let rules = self.remote.rules().await?;
        self.rules = rules.into_iter().map(|rule| (rule.rule.id, rule)).collect();
        Ok(())
    }

    /// What a push would do.
    async fn plan(&self, force: bool, prune: bool) -> Result<Vec<Change>, Trouble> {
        let mut changes = Vec::new();
        for (file, local) in &self.local {
            let known = self.lock.rules.get(file);
            let known = known.and_then(|locked| Some((locked, self.rules.get(&locked.id)?)));
            match known {
                Some((locked, there)) => {
                    let change = self.changed(file, local, locked, there, force).await?;
                    changes.extend(change);
                }
                None => changes.push(self.made(file, local, force)),
            }
        }
        if prune {
            let kept: BTreeSet<RuleId> = self
                .lock
                .rules
                .iter()
                .filter(|(file, _)| self.local.contains_key(*file))
                .map(|(_, locked)| locked.id)
                .collect();
            let gone = self
                .rules
                .values()
                .filter(|rule| !kept.contains(&rule.rule.id));
            changes.extend(gone.map(|rule| Change::Delete {
                name: rule.rule.name.clone(),
                id: rule.rule.id,
            }));
        }
        Ok(changes)
    }

    /// What becomes of a file that is no rule of the server.
    fn made(&self, file: &str, local: &RuleFile, force: bool) -> Change {
        let name = name_of(local).unwrap_or_else(|| file.to_owned());
        let same_name = self.rules.values().find(|rule| {
            rule.rule.name == name && self.lock.file_of(rule.rule.id).is_none() && !force
        });
        let file = file.to_owned();
        match same_name {
            Some(rule) => Change::Conflict {
                file,
                name,
                id: rule.rule.id,
                because: "the server has a rule of this name; `pull --force` takes it into the file, `push --force` makes a second one".into(),
            },
            None => Change::Create { file, name },
        }
    }

    /// What becomes of a rule that both sides have.
    async fn changed(
        &self,
        file: &str,
        local: &RuleFile,
        locked: &Locked,
        there: &RuleDetail,
        force: bool,
    ) -> Result<Option<Change>, Trouble> {
        let difference = difference(local, there);
        if difference == Difference::Nothing {
            return Ok(None);
        }
        let (file, id) = (file.to_owned(), locked.id);
        let name = name_of(local).unwrap_or_else(|| file.clone());
        let moved = Moved::of(locked, there, local);
        if moved.is_any() && !force {
            let mut because = Vec::new();
            if moved.is_saved {
                because.push(format!(
                    "changed ({})",
                    self.remote.latest_author(id).await?
                ));
            }
            if moved.is_switched {
                // A switch makes no version, so the author of the latest one need not be who switched.
                because.push(format!("switched {}", on_or_off(there.rule.is_enabled)));
            }
            return Ok(Some(Change::Conflict {
                file,
                name,
                id,
                because: format!("{} on the server since the pull", because.join(" and ")),
            }));
        }
        Ok(Some(match difference {
            Difference::Switch(enabled) => Change::Switch {
                file,
                name,
                id,
                enabled,
            },
            _ => {
                let (theirs, mine) = to_compare(local, there);
                let mut diff = line_diff(&theirs, &mine);
                diff.extend(line_diff(&there.cases, &local.cases));
                Change::Update {
                    file,
                    name,
                    id,
                    version: there.rule.version,
                    told: in_words(local, there),
                    diff,
                }
            }
        }))
    }

    /// File and server say the same now, or the file is about to be sent.
    fn note(&mut self, file: &str, detail: &RuleDetail, page: &Page) {
        // A rule has one file.
        self.lock
            .rules
            .retain(|_, locked| locked.id != detail.rule.id);
        let locked = Locked::of(detail, page.digest());
        self.lock.rules.insert(file.to_owned(), locked);
    }

    /// A push of the file was accepted.
    fn note_pushed(&mut self, file: &str, detail: &RuleDetail) {
        if let Some(page) = self.local.get(file).map(Page::local) {
            self.note(file, detail, &page);
        }
    }

    /// Text and cases of a file, as requests have them.
    fn body(&self, file: &str) -> Value {
        let local = self.local.get(file);
        let (text, cases, format) = local.map_or(("", "", Format::Yaml), |local| {
            (local.text.as_str(), local.cases.as_str(), local.format())
        });
        let format = match format {
            Format::Json => "json",
            Format::Yaml => "yaml",
        };
        json!({"text": {"format": format, "text": text}, "cases": cases})
    }

    fn write_lock(&self) -> anyhow::Result<()> {
        self.lock.write(&self.folder)
    }
}

/// How the server's rule is not the one that the folder was made of.
struct Moved {
    is_saved: bool,
    is_switched: bool,
}

impl Moved {
    fn of(locked: &Locked, there: &RuleDetail, local: &RuleFile) -> Self {
        let is_enabled = there.rule.is_enabled;
        // A module that was saved gives each rule that calls it a new version with the same text.
        let is_same = || Page::remote(there, local.format(), Some(local)).digest() == locked.digest;
        Self {
            is_saved: there.rule.version != locked.version && !is_same(),
            // A file that says nothing, or the same, does not undo a switch.
            is_switched: is_enabled != locked.is_enabled
                && says_enabled(local).is_some_and(|says| says != is_enabled),
        }
    }

    fn is_any(&self) -> bool {
        self.is_saved || self.is_switched
    }
}

fn on_or_off(enabled: bool) -> &'static str {
    match enabled {
        true => "on",
        false => "off",
    }
}

/// `rules plan` and `rules diff`: tells what a push would do.
pub(super) async fn plan(asked: &Synced) -> Answer {
    let both = Both::open(asked).await?;
    let modules = both.plan_modules(asked.force, asked.prune);
    let changes = both.plan(asked.force, asked.prune).await?;
    tell(&modules, &changes, asked.json)?;
    Ok(changes.is_empty() && modules.is_empty())
}

fn tell(modules: &[ModuleChange], changes: &[Change], is_json: bool) -> anyhow::Result<()> {
    if is_json {
        let all = modules.iter().map(|change| json!(change));
        let all: Vec<Value> = all
            .chain(changes.iter().map(|change| json!(change)))
            .collect();
        return super::super::print(&format!("{:#}\n", json!({ "changes": all })));
    }
    let mut told: String = modules.iter().map(ModuleChange::told).collect();
    told.extend(changes.iter().map(Change::told));
    if told.is_empty() {
        told.push_str("no differences\n");
    }
    super::super::print(&told)
}

/// `rules push`.
pub(super) async fn push(asked: &Synced) -> Answer {
    let mut both = Both::open(asked).await?;
    let modules = both.plan_modules(asked.force, asked.prune);
    let mut changes = both.plan(asked.force, asked.prune).await?;
    tell(&modules, &changes, asked.json)?;
    if changes.iter().any(Change::is_conflict) || modules.iter().any(ModuleChange::is_conflict) {
        complain("nothing was pushed: pull first, or --force\n")?;
        return Ok(false);
    }
    // A rule may call what comes with it; what goes may be called until the rules are changed.
    let along = both.along(&modules, &changes);
    let is_last = |change: &&ModuleChange| matches!(change, ModuleChange::DeleteModule { .. });
    for change in modules.iter().filter(|change| !is_last(change)) {
        let files = change.sent().and_then(|name| along.get(name));
        let files = files.map_or(&[][..], Vec::as_slice);
        both.push_module(change, files, asked).await?;
        both.write_lock()?;
    }
    if !modules.is_empty() {
        both.read_rules().await?;
        changes = both.plan(asked.force, asked.prune).await?;
    }
    // Changed by somebody else while modules were pushed.
    let late = changes.iter().filter(|change| change.is_conflict());
    let late: String = late.map(Change::told).collect();
    for change in changes {
        // After each one, so that a push that ends early is remembered as far as it came.
        make(&mut both, &change, asked).await?;
        both.write_lock()?;
    }
    for change in modules.iter().filter(is_last) {
        both.push_module(change, &[], asked).await?;
    }
    both.write_lock()?;
    complain(&late)?;
    Ok(late.is_empty())
}

fn complain(told: &str) -> anyhow::Result<()> {
    std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes()).context("no standard error")
}

async fn make(both: &mut Both, change: &Change, asked: &Synced) -> Result<(), Trouble> {
    let body = |file: &str, both: &Both| {
        let mut body = both.body(file);
        if let Some(reason) = &asked.despite {
            body["override_reason"] = reason.as_str().into();
        }
        body
    };
    match change {
        Change::Create { file, .. } => {
            let made: RuleDetail = both
                .remote
                .send(Method::POST, "rules", Some(&body(file, both)))
                .await?;
            both.note_pushed(file, &made);
        }
        Change::Update {
            file, id, version, ..
        } => {
            let mut body = body(file, both);
            body["expected_version"] = (*version).into();
            if let Some(reason) = &asked.because {
                body["reason"] = reason.as_str().into();
            }
            let path = format!("rules/{id}");
            let made: RuleDetail = both.remote.send(Method::PUT, &path, Some(&body)).await?;
            both.note_pushed(file, &made);
        }
        Change::Switch {
            file, id, enabled, ..
        } => {
            let mut body = json!({ "enabled": enabled });
            if let Some(reason) = &asked.despite {
                body["override_reason"] = reason.as_str().into();
            }
            let path = format!("rules/{id}");
            let made: RuleDetail = both.remote.send(Method::PATCH, &path, Some(&body)).await?;
            both.note_pushed(file, &made);
        }
        Change::Delete { id, .. } => {
            let _: Value = both
                .remote
                .send(Method::DELETE, &format!("rules/{id}"), None)
                .await?;
            both.lock.rules.retain(|_, locked| locked.id != *id);
        }
        Change::Conflict { .. } => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;
