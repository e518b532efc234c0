//! Rules that a push sends along with a module, in one step.
//!
//! Owns which they are. Invariant: a rule goes with the last of the changed modules that it calls, and the server is told
//! the version that the file was compared with.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use so_engine::script::{Library, mentioned};
use so_model::{api::script::RULES_ALONG_MAX, id::RuleId};

use super::{
    super::{folder::RuleFile, outcome::Trouble},
    Both, Change, Difference, ModuleChange, Synced, difference,
    page::document_value,
};
use crate::app::offline_catalogue;

/// A rule that goes with a module.
pub(super) struct Sent {
    pub file: String,
    pub id: RuleId,
    /// What the request says about it.
    pub body: Value,
}

impl Both {
    /// Files of rules that change, by the module that they go with.
    pub(super) fn along(
        &self,
        modules: &[ModuleChange],
        changes: &[Change],
    ) -> BTreeMap<String, Vec<String>> {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let sent: Vec<&str> = modules.iter().filter_map(ModuleChange::sent).collect();
        if sent.is_empty() {
            return found;
        }
        let library = self.library_to_be();
        for change in changes {
            let (Change::Update { file, id, .. } | Change::Switch { file, id, .. }) = change else {
                continue;
            };
            let Some(local) = self.local.get(file) else {
                continue;
            };
            let called = self.called(local, *id, &library);
            let last = sent.iter().rev().find(|name| called.contains(**name));
            if let Some(name) = last {
                let files = found.entry((*name).to_owned()).or_default();
                // More than a save takes are pushed by themselves afterwards.
                if files.len() < RULES_ALONG_MAX {
                    files.push(file.clone());
                }
            }
        }
        found
    }

    /// The library as a push makes it; what does not compile is left out, and the server refuses it.
    fn library_to_be(&self) -> Library {
        let mut texts: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, there) in &self.scripts {
            texts.insert(name, &there.source);
        }
        for (name, text) in &self.modules {
            texts.insert(name, text);
        }
        let (_, scripts) = offline_catalogue();
        Library::build(&scripts, texts).0
    }

    /// The modules that the file calls, directly or through others, and those that the server's rule names.
    fn called(&self, local: &RuleFile, id: RuleId, library: &Library) -> BTreeSet<String> {
        let mut names = document_value(local)
            .as_ref()
            .map(mentioned)
            .unwrap_or_default();
        names.extend(library.closure(names.iter().map(String::as_str)));
        if let Some(there) = self.rules.get(&id) {
            let document = serde_json::to_value(&there.document).unwrap_or_default();
            names.extend(mentioned(&document));
        }
        names
    }

    /// What is sent of these files, as their rules are now; without those that somebody else changed meanwhile.
    pub(super) async fn to_send(
        &self,
        files: &[String],
        asked: &Synced,
    ) -> Result<Vec<Sent>, Trouble> {
        let mut sent = Vec::with_capacity(files.len());
        for file in files {
            let (Some(local), Some(locked)) = (self.local.get(file), self.lock.rules.get(file))
            else {
                continue;
            };
            // A module that was pushed before gave it another version.
            let there = self.remote.rule(locked.id).await?;
            let change = self.changed(file, local, locked, &there, asked.force);
            let Some(Change::Update { .. } | Change::Switch { .. }) = change.await? else {
                continue;
            };
            let mut body = self.body(file);
            body["rule"] = Value::String(locked.id.to_string());
            body["expected_version"] = there.rule.version.into();
            sent.push(Sent {
                file: file.clone(),
                id: locked.id,
                body,
            });
        }
        Ok(sent)
    }

    /// The rules of these files are the server's now.
    pub(super) async fn note_sent(&mut self, sent: Vec<Sent>) -> Result<(), Trouble> {
        for one in sent {
            let there = self.remote.rule(one.id).await?;
            let local = self.local.get(&one.file);
            // Unless somebody changed it since: that is a conflict of the next push.
            if local.is_some_and(|local| difference(local, &there) == Difference::Nothing) {
                self.note_pushed(&one.file, &there);
            }
        }
        Ok(())
    }
}
