//! What a rule is checked against: the other rules and the things of its workspace.
//!
//! Invariant: only what is there now; a name that comes later is a warning now and none then.

use std::collections::BTreeMap;

use so_engine::{
    rule::analysis::{Around, Lookup, NameList, Neighbour, Thing},
    script::ScriptEngine,
};
use so_model::{
    account::AccountState,
    id::{RuleId, WorkspaceId},
};
use so_store::{accounts, endpoints, feeds, hooks, labels, queues, rules};

use crate::app::{App, failure::Outcome};

/// Things of one sort that are looked at; no workspace has more.
const THINGS_MAX: i64 = 10_000;

/// A rule's surroundings, taken out of the store.
#[derive(Debug, Clone, Default)]
pub(super) struct Surroundings {
    own: Option<RuleId>,
    rules: Vec<Neighbour>,
    names: NameList,
    /// The sandbox with the library as it is now.
    pub scripts: Option<ScriptEngine>,
}

impl Surroundings {
    /// Those of a workspace; `own` is the rule that is checked, if it is stored.
    pub async fn of(app: &App, workspace: WorkspaceId, own: Option<RuleId>) -> Outcome<Self> {
        let live = app.engine.index().of_workspace(workspace);
        let rules = live.into_iter().map(|rule| Neighbour {
            id: Some(rule.id),
            document: rule.document.clone(),
        });
        Ok(Self {
            own,
            rules: rules.collect(),
            names: names(app, workspace).await?,
            scripts: Some(app.engine.scripts_now(workspace).await?),
        })
    }

    /// The same for another rule.
    pub fn of_rule(self, own: Option<RuleId>) -> Self {
        Self { own, ..self }
    }

    /// Leaves out a rule of the same name if it is not known which one is checked: it is most likely its
    /// former self.
    pub fn without_former(mut self, name: Option<&str>) -> Self {
        if self.own.is_none() {
            self.rules
                .retain(|rule| Some(rule.document.name.as_str()) != name);
        }
        self
    }

    /// As the check wants it.
    pub fn around(&self) -> Around<'_> {
        let names: &dyn Lookup = &self.names;
        Around {
            own: self.own,
            rules: &self.rules,
            names: Some(names),
        }
    }
}

async fn names(app: &App, workspace: WorkspaceId) -> Outcome<NameList> {
    let mut reader = app.reader();
    let mut all = BTreeMap::new();
    let found = accounts::list(&mut reader, workspace, "", THINGS_MAX).await?;
    let there = found
        .into_iter()
        .filter(|account| account.state != AccountState::Removed);
    let pairs = there.map(|one| (one.id.to_string(), one.name));
    all.insert(Thing::Account, pairs.collect());
    let found = labels::list(&mut reader, workspace, "", THINGS_MAX).await?;
    let pairs = found.into_iter().map(|one| (one.id.to_string(), one.name));
    all.insert(Thing::Label, pairs.collect());
    let found = queues::list(&mut reader, workspace, "", THINGS_MAX).await?;
    let pairs = found.into_iter().map(|one| (one.id.to_string(), one.name));
    all.insert(Thing::Queue, pairs.collect());
    let found = feeds::list(&mut reader, workspace, "", THINGS_MAX).await?;
    let pairs = found.into_iter().map(|one| (one.id.to_string(), one.title));
    all.insert(Thing::Feed, pairs.collect());
    let found = hooks::list(&mut reader, workspace, "", THINGS_MAX).await?;
    let pairs = found.into_iter().map(|one| (one.id.to_string(), one.name));
    all.insert(Thing::Hook, pairs.collect());
    let found = endpoints::list(&mut reader, workspace, "", THINGS_MAX).await?;
    let pairs = found.into_iter().map(|one| (one.id.to_string(), one.name));
    all.insert(Thing::Endpoint, pairs.collect());
    // Switched-off ones too: to call one is a matter of switching it on.
    let found = rules::list(&mut reader, workspace, "", THINGS_MAX).await?;
    let pairs = found.into_iter().map(|one| (one.id.to_string(), one.name));
    all.insert(Thing::Rule, pairs.collect());
    Ok(NameList(all))
}
