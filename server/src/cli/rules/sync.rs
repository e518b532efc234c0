//! `rules pull`, `push`, `plan` and `diff`: a folder and a server, brought into line.
//!
//! Owns the lock file, which says what the folder was made of. Invariant: nothing is overwritten that somebody else
//! changed since, on either side, unless that is asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use so_engine::{
    blueprint::line_diff,
    cases,
    rule::{self, Format, lossless},
};
use so_model::{api::rule::RuleDetail, id::RuleId};
use so_net::Method;

use super::{
    folder::{RuleFile, cases_path, read_all, slug},
    outcome::Answer,
    remote::{Place, Remote},
};

/// Stands in the folder; it belongs into version control.
const LOCK: &str = ".rules.lock.json";
/// Said in the lock file, for whoever opens it.
const LOCK_NOTE: &str = "Made by `social-orchestrator rules pull` and `push`: which file is which rule, at which version.";

/// What a folder was made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Lock {
    note: String,
    workspace: String,
    /// By path in the folder.
    rules: BTreeMap<String, Locked>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Locked {
    id: RuleId,
    version: i64,
    is_enabled: bool,
}

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
    /// Tells as JSON.
    #[arg(long)]
    json: bool,
}

/// One thing that a push does.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    fn told(&self) -> String {
        match self {
            Self::Create { file, name } => format!("+ create  {file}: {name}\n"),
            Self::Update {
                file,
                name,
                version,
                diff,
                ..
            } => {
                let lines: String = diff
                    .iter()
                    .filter(|line| !line.starts_with(' '))
                    .map(|line| format!("      {line}\n"))
                    .collect();
                format!("~ update  {file}: {name} (version {version})\n{lines}")
            }
            Self::Switch {
                file,
                name,
                enabled,
                ..
            } => {
                let to = if *enabled { "on" } else { "off" };
                format!("~ switch  {file}: {name} {to}\n")
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

/// A file with its cases, as it stands in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Page {
    text: String,
    cases: String,
}

impl Page {
    fn local(file: &RuleFile) -> Self {
        Self {
            text: file.text.clone(),
            cases: file.cases.clone(),
        }
    }

    /// As a pull writes it: the author's own text, with a switch that is off written down.
    fn remote(detail: &RuleDetail) -> Self {
        let mut text = detail.yaml.clone();
        let says = read(&text).and_then(|value| value["enabled"].as_bool());
        if says.is_none() && !detail.rule.is_enabled {
            let edit = lossless::Edit::InsertKey {
                pointer: String::new(),
                key: "enabled".into(),
                value: Value::Bool(false),
                after: Some("name".into()),
            };
            text = lossless::apply(&text, &edit).unwrap_or(text);
        }
        Self {
            text,
            cases: detail.cases.clone(),
        }
    }

    fn write(&self, path: &Path) -> anyhow::Result<()> {
        let told = || format!("could not write {}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(told)?;
        }
        std::fs::write(path, &self.text).with_context(told)?;
        let beside = cases_path(path);
        if !self.cases.is_empty() {
            std::fs::write(&beside, &self.cases).with_context(told)?;
        } else if beside.exists() {
            std::fs::remove_file(&beside).with_context(told)?;
        }
        Ok(())
    }
}

fn read(text: &str) -> Option<Value> {
    rule::parse(text, Format::Yaml).ok().map(|(value, _)| value)
}

/// The document without its switch and cases: what makes a version.
fn without_switch(text: &str) -> Option<Value> {
    let mut value = read(text)?;
    cases::split(&mut value);
    value.as_object_mut()?.shift_remove("enabled");
    Some(value)
}

struct Both {
    folder: PathBuf,
    lock: Lock,
    local: BTreeMap<String, RuleFile>,
    remote: Remote,
    rules: BTreeMap<RuleId, RuleDetail>,
}

impl Both {
    async fn open(asked: &Synced) -> Result<Self, super::outcome::Trouble> {
        let remote = Remote::open(&asked.place).await?;
        let folder = asked.folder.clone();
        let lock = read_lock(&folder)?;
        let mut local = BTreeMap::new();
        if folder.is_dir() {
            for file in read_all(std::slice::from_ref(&folder))? {
                if !file.is_blueprint {
                    local.insert(file.name_in(&folder), file);
                }
            }
        }
        let rules = remote.rules().await?;
        let rules = rules.into_iter().map(|rule| (rule.rule.id, rule)).collect();
        Ok(Self {
            folder,
            lock,
            local,
            remote,
            rules,
        })
    }

    /// What a push would do.
    async fn plan(&self, force: bool, prune: bool) -> Result<Vec<Change>, super::outcome::Trouble> {
        let mut changes = Vec::new();
        for (file, local) in &self.local {
            let name =
                read(&local.text).and_then(|value| value["name"].as_str().map(str::to_owned));
            let name = name.unwrap_or_else(|| file.clone());
            let known = self.lock.rules.get(file);
            let Some((locked, there)) =
                known.and_then(|locked| Some((locked, self.rules.get(&locked.id)?)))
            else {
                let same_name = self.rules.values().find(|rule| {
                    rule.rule.name == name
                        && !self
                            .lock
                            .rules
                            .values()
                            .any(|locked| locked.id == rule.rule.id)
                });
                changes.push(match same_name.filter(|_| !force) {
                    Some(rule) => Change::Conflict {
                        file: file.clone(),
                        name,
                        id: rule.rule.id,
                        because: "the server has a rule of this name; pull first, or --force makes a second one".into(),
                    },
                    None => Change::Create { file: file.clone(), name },
                });
                continue;
            };
            let (mine, theirs) = (Page::local(local), Page::remote(there));
            if mine == theirs {
                continue;
            }
            let id = locked.id;
            let has_moved =
                there.rule.version != locked.version || there.rule.is_enabled != locked.is_enabled;
            if has_moved && !force {
                let who = self.remote.latest_author(id).await?;
                let because = format!("changed on the server since the pull ({who})");
                changes.push(Change::Conflict {
                    file: file.clone(),
                    name,
                    id,
                    because,
                });
                continue;
            }
            let enabled = read(&mine.text).and_then(|value| value["enabled"].as_bool());
            let is_switch = mine.cases == theirs.cases
                && without_switch(&mine.text) == without_switch(&theirs.text)
                && enabled.is_some_and(|enabled| enabled != there.rule.is_enabled);
            changes.push(match (is_switch, enabled) {
                (true, Some(enabled)) => Change::Switch {
                    file: file.clone(),
                    name,
                    id,
                    enabled,
                },
                _ => {
                    let mut diff = line_diff(&theirs.text, &mine.text);
                    diff.extend(line_diff(&theirs.cases, &mine.cases));
                    Change::Update {
                        file: file.clone(),
                        name,
                        id,
                        version: there.rule.version,
                        diff,
                    }
                }
            });
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

    fn note(&mut self, file: &str, detail: &RuleDetail) {
        let locked = Locked {
            id: detail.rule.id,
            version: detail.rule.version,
            is_enabled: detail.rule.is_enabled,
        };
        self.lock.rules.insert(file.to_owned(), locked);
    }

    fn write_lock(&mut self) -> anyhow::Result<()> {
        self.lock.note = LOCK_NOTE.to_owned();
        self.lock.workspace.clone_from(&self.remote.workspace);
        let text =
            serde_json::to_string_pretty(&self.lock).context("could not write the lock file")?;
        let path = self.folder.join(LOCK);
        std::fs::write(&path, text + "\n")
            .with_context(|| format!("could not write {}", path.display()))
    }

    /// A new file's name, which no other rule has.
    fn free_name(&self, name: &str) -> String {
        let slug = slug(name);
        let numbered = (1..).map(|number| match number {
            1 => format!("{slug}.yaml"),
            _ => format!("{slug}-{number}.yaml"),
        });
        let is_free =
            |name: &String| !self.local.contains_key(name) && !self.lock.rules.contains_key(name);
        // Some number is always free.
        numbered.into_iter().find(is_free).unwrap_or_default()
    }
}

fn read_lock(folder: &Path) -> anyhow::Result<Lock> {
    let path = folder.join(LOCK);
    if !path.exists() {
        return Ok(Lock::default());
    }
    let text = super::folder::read(&path)?;
    serde_json::from_str(&text).with_context(|| format!("{} cannot be read", path.display()))
}

/// `rules plan` and `rules diff`: tells what a push would do.
pub(super) async fn plan(asked: &Synced) -> Answer {
    let both = Both::open(asked).await?;
    let changes = both.plan(asked.force, asked.prune).await?;
    tell(&changes, asked.json)?;
    Ok(changes.is_empty())
}

fn tell(changes: &[Change], is_json: bool) -> anyhow::Result<()> {
    if is_json {
        return super::super::print(&format!("{:#}\n", json!({ "changes": changes })));
    }
    let mut told: String = changes.iter().map(Change::told).collect();
    if changes.is_empty() {
        told.push_str("no differences\n");
    }
    super::super::print(&told)
}

/// `rules push`.
pub(super) async fn push(asked: &Synced) -> Answer {
    let mut both = Both::open(asked).await?;
    let changes = both.plan(asked.force, asked.prune).await?;
    tell(&changes, asked.json)?;
    if changes
        .iter()
        .any(|change| matches!(change, Change::Conflict { .. }))
    {
        let told = "nothing was pushed: pull first, or --force\n";
        std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes())
            .context("no standard error")?;
        return Ok(false);
    }
    for change in changes {
        // After each one, so that a push that ends early is remembered as far as it came.
        make(&mut both, &change, asked).await?;
        both.write_lock()?;
    }
    both.write_lock()?;
    Ok(true)
}

async fn make(
    both: &mut Both,
    change: &Change,
    asked: &Synced,
) -> Result<(), super::outcome::Trouble> {
    let body = |file: &str, both: &Both| {
        let local = both.local.get(file);
        let (text, cases, format) = local.map_or(("", "", Format::Yaml), |local| {
            (local.text.as_str(), local.cases.as_str(), local.format())
        });
        let format = if format == Format::Json {
            "json"
        } else {
            "yaml"
        };
        let mut body = json!({"text": {"format": format, "text": text}, "cases": cases});
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
            both.note(file, &made);
        }
        Change::Update {
            file, id, version, ..
        } => {
            let mut body = body(file, both);
            body["expected_version"] = (*version).into();
            let path = format!("rules/{id}");
            let made: RuleDetail = both.remote.send(Method::PUT, &path, Some(&body)).await?;
            both.note(file, &made);
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
            both.note(file, &made);
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

/// `rules pull`.
pub(super) async fn pull(asked: &Synced) -> Answer {
    let mut both = Both::open(asked).await?;
    std::fs::create_dir_all(&both.folder)
        .with_context(|| format!("could not make {}", both.folder.display()))?;
    let (mut told, mut is_clean) = (String::new(), true);
    let rules: Vec<RuleDetail> = both.rules.values().cloned().collect();
    for detail in &rules {
        let known = both
            .lock
            .rules
            .iter()
            .find(|(_, locked)| locked.id == detail.rule.id);
        let known = known.map(|(file, locked)| (file.clone(), locked.clone()));
        let file = match &known {
            Some((file, _)) => file.clone(),
            None => both.free_name(&detail.rule.name),
        };
        let page = Page::remote(detail);
        if let Some(local) = both.local.get(&file) {
            let mine = Page::local(local);
            if mine == page {
                both.note(&file, detail);
                continue;
            }
            let is_moved = known.as_ref().is_none_or(|(_, locked)| {
                locked.version != detail.rule.version || locked.is_enabled != detail.rule.is_enabled
            });
            // What the server had when this was pulled, if it can still be told: an edit of the folder's own stays.
            if !asked.force {
                if is_moved {
                    told.push_str(&format!("! {file}: differs from the server, which changed as well; --force overwrites the file\n"));
                    is_clean = false;
                } else {
                    told.push_str(&format!("= {file}: changed here, kept\n"));
                }
                continue;
            }
        }
        page.write(&both.folder.join(&file))?;
        both.note(&file, detail);
        told.push_str(&format!(
            "< {file}: {} (version {})\n",
            detail.rule.name, detail.rule.version
        ));
    }
    let gone: Vec<String> = both
        .lock
        .rules
        .iter()
        .filter(|(_, locked)| !both.rules.contains_key(&locked.id))
        .map(|(file, _)| file.clone())
        .collect();
    for file in gone {
        told.push_str(&format!("- {file}: the server does not have it any more\n"));
        if asked.prune {
            let path = both.folder.join(&file);
            if path.exists() {
                std::fs::remove_file(&path)
                    .with_context(|| format!("could not delete {}", path.display()))?;
            }
        }
        both.lock.rules.remove(&file);
    }
    both.write_lock()?;
    super::super::print(&told)?;
    Ok(is_clean)
}
