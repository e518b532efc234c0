//! Names of rules and kinds of events for lists, each looked up once.

use std::collections::{BTreeSet, HashMap};

use so_model::{
    api::{rule::DecisionView, run::RunView},
    id::{EventId, RuleId, WorkspaceId},
    run::{Run, Verdict},
};
use so_store::{Store, StoreError, decisions::StoredDecision, events, rules};

use crate::app::App;

/// Its kind and what it is about.
type EventName = (String, Option<String>);

/// Looks names up for one answer.
#[derive(Debug)]
pub struct Names {
    reader: Store,
    workspace: WorkspaceId,
    rules: HashMap<RuleId, Option<String>>,
    events: HashMap<EventId, EventName>,
}

impl Names {
    /// For things of one workspace.
    pub fn new(app: &App, workspace: WorkspaceId) -> Self {
        Self {
            reader: app.reader(),
            workspace,
            rules: HashMap::new(),
            events: HashMap::new(),
        }
    }

    async fn rule(&mut self, id: RuleId) -> Result<Option<String>, StoreError> {
        if let Some(known) = self.rules.get(&id) {
            return Ok(known.clone());
        }
        let name = rules::find(&mut self.reader, self.workspace, id)
            .await?
            .map(|rule| rule.name);
        self.rules.insert(id, name.clone());
        Ok(name)
    }

    /// Looks up the events that are not known yet, all at once.
    async fn meet(&mut self, ids: impl Iterator<Item = EventId>) -> Result<(), StoreError> {
        let unknown: BTreeSet<EventId> = ids.filter(|id| !self.events.contains_key(id)).collect();
        let unknown: Vec<EventId> = unknown.into_iter().collect();
        let found = events::names(&mut self.reader, self.workspace, &unknown).await?;
        self.events.extend(
            found
                .into_iter()
                .map(|(id, kind, subject)| (id, (kind, subject))),
        );
        Ok(())
    }

    /// Runs as lists show them.
    pub async fn runs(&mut self, runs: Vec<Run>) -> Result<Vec<RunView>, StoreError> {
        self.meet(runs.iter().map(|run| run.event)).await?;
        let mut views = Vec::with_capacity(runs.len());
        for run in runs {
            let rule_name = self.rule(run.rule).await?;
            let (event_kind, event_subject) = self
                .events
                .get(&run.event)
                .cloned()
                .map_or((None, None), |(kind, subject)| (Some(kind), subject));
            views.push(RunView {
                run,
                rule_name,
                event_kind,
                event_subject,
            });
        }
        Ok(views)
    }

    /// Decisions that started nothing, as lists show them.
    pub async fn decisions(
        &mut self,
        decisions: Vec<StoredDecision>,
    ) -> Result<Vec<DecisionView>, StoreError> {
        self.meet(decisions.iter().map(|stored| stored.event))
            .await?;
        let mut views = Vec::with_capacity(decisions.len());
        for stored in decisions
            .into_iter()
            .filter(|stored| stored.decision.verdict != Verdict::Started)
        {
            let rule_name = self.rule(stored.decision.rule).await?;
            let event_kind = self.events.get(&stored.event).map(|(kind, _)| kind.clone());
            views.push(DecisionView {
                event: stored.event,
                event_kind,
                rule_name,
                at: stored.at,
                decision: stored.decision,
            });
        }
        Ok(views)
    }
}
