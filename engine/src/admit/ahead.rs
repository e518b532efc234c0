//! What can be done for an event before its transaction, by whoever brings it.
//!
//! Owns the event as it is about to be stored and what conditions say of it that look at nothing else. Invariant: what
//! was judged ahead counts only for the rules and the workspace that it was judged by; if either changed meanwhile, it
//! is judged again.

use std::sync::Arc;

use so_model::{
    IdSource as _, Timestamp,
    event::{Event, NewEvent},
    run::Decision,
};
use so_store::{StoreError, events};

use super::{Keys, facts_asked, judge};
use crate::{
    decide::{CompiledRule, FactValues, RuleIndex, WorkspaceFacts},
    engine::Engine,
    workspaces::SeenWorkspace,
};

/// An event that is about to be stored.
pub(super) struct Coming {
    pub(super) event: Arc<Event>,
    /// When it was taken in, the moment of every decision about it.
    pub(super) now: Timestamp,
    pub(super) row: events::NewRow,
    pub(super) foreseen: Option<Foreseen>,
}

/// A decision, and the keys of the start if it is one.
pub(super) type Judged = (Decision, Result<Keys, String>);

/// A trigger that may want an event, with what its condition said if that is known.
pub(super) struct Candidate {
    pub(super) rule: Arc<CompiledRule>,
    pub(super) trigger: usize,
    pub(super) judged: Option<Judged>,
}

/// Candidates of an event as they were judged ahead.
pub(super) struct Foreseen {
    index: Arc<RuleIndex>,
    pub(super) workspace: SeenWorkspace,
    candidates: Vec<Candidate>,
}

impl Foreseen {
    /// The candidates, unless rules or workspace are no longer those that they were judged by.
    pub(super) fn of(
        self,
        index: &Arc<RuleIndex>,
        workspace: &Arc<WorkspaceFacts>,
    ) -> Option<Vec<Candidate>> {
        let is_same =
            Arc::ptr_eq(&self.index, index) && Arc::ptr_eq(&self.workspace.facts, workspace);
        is_same.then_some(self.candidates)
    }
}

impl Engine {
    /// An event with its row.
    pub(super) fn coming(&self, new: NewEvent) -> Result<Coming, StoreError> {
        let (id, now) = (self.ids.new_id(), self.now());
        let event = Event {
            id,
            workspace: new.workspace,
            kind: new.kind,
            source: new.source,
            dedupe: new.dedupe.unwrap_or_else(|| id.to_string()),
            subject: new.subject,
            time: new.time.unwrap_or(now),
            data: new.data,
            cause: new.cause,
        };
        self.coming_again(Arc::new(event), now)
    }

    /// The same event after a transaction that came to nothing.
    pub(super) fn coming_again(
        &self,
        event: Arc<Event>,
        now: Timestamp,
    ) -> Result<Coming, StoreError> {
        Ok(Coming {
            row: events::NewRow::of(&event, true, now)?,
            event,
            now,
            foreseen: None,
        })
    }

    /// Judges the candidates of an event whose conditions look at the event only.
    pub(super) async fn foresee(&self, coming: &mut Coming) -> Result<(), StoreError> {
        let event = &coming.event;
        let index = self.index();
        let mut candidates = candidates(&index, event);
        if candidates.is_empty() {
            return Ok(());
        }
        let seen = self.see_workspace(event.workspace).await?;
        let workspace = &seen.facts;
        let none = FactValues::default();
        for one in &mut candidates {
            let (rule, trigger) = (&one.rule, one.trigger);
            if facts_asked(rule, trigger, event, workspace, coming.now).is_empty() {
                one.judged = Some(judge(rule, trigger, event, workspace, coming.now, &none));
            }
        }
        coming.foreseen = Some(Foreseen {
            index,
            workspace: seen,
            candidates,
        });
        Ok(())
    }
}

/// Candidates that are yet to be judged.
pub(super) fn candidates(index: &RuleIndex, event: &Event) -> Vec<Candidate> {
    let found = index.candidates(event).into_iter();
    found
        .map(|(rule, trigger)| Candidate {
            rule,
            trigger,
            judged: None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;
    use so_model::run::RunState;

    use super::*;
    use crate::testing::World;

    async fn coming(world: &World) -> Coming {
        let new = NewEvent::new(world.workspace, "test.happened", json!({"likes": 7}));
        let mut coming = world.engine.coming(new).unwrap();
        world.engine.foresee(&mut coming).await.unwrap();
        coming
    }

    async fn admit(world: &World, coming: Coming) {
        let mut tx = world.engine.store.begin().await.unwrap();
        let admitted = world.engine.admit_coming(&mut tx, vec![coming]).await;
        tx.commit().await.unwrap();
        world.engine.hand_over_all(admitted.unwrap());
    }

    const MARK: &str = "judged ahead";

    /// Makes what was judged ahead known again.
    fn mark(coming: &mut Coming) {
        let candidates = &mut coming.foreseen.as_mut().unwrap().candidates;
        let judged = candidates.iter_mut().filter_map(|one| one.judged.as_mut());
        for trace in judged.filter_map(|(decision, _)| decision.trace.as_mut()) {
            trace.text = MARK.into();
        }
    }

    fn rule(name: &str, more_than: u32) -> String {
        format!(
            "{{version: 1, name: {name}, triggers: [{{id: t, kind: test.happened}}], \
             if: {{field: event.data.likes, op: gt, value: {more_than}}}, steps: [{{id: e, action: test.echo}}]}}"
        )
    }

    #[tokio::test]
    async fn what_was_judged_ahead_is_what_is_stored() {
        let mut world = World::new().await;
        world.rule(&rule("Few", 5)).await;
        world.rule(&rule("Many", 50)).await;
        let mut coming = coming(&world).await;
        let foreseen = coming.foreseen.as_ref().unwrap();
        assert!(foreseen.candidates.iter().all(|one| one.judged.is_some()));
        // The moment of the decision is that at which it was made.
        let came_at = coming.now;
        mark(&mut coming);
        world.clock.advance(1_000_000);
        admit(&world, coming).await;
        world.settle().await;
        let runs = world.runs().await;
        assert_eq!(runs.len(), 1);
        assert_eq!(runs[0].state, RunState::Finished);
        assert_eq!(runs[0].created_at, came_at);
        assert_eq!(runs[0].decision.text, MARK, "it was judged once more");
    }

    #[tokio::test]
    async fn what_was_judged_by_a_workspace_that_changed_is_judged_again() {
        let world = World::new().await;
        world.rule(&rule("Few", 5)).await;
        let mut coming = coming(&world).await;
        mark(&mut coming);
        world.engine.forget_workspace(world.workspace);
        admit(&world, coming).await;
        let runs = world.runs().await;
        assert_eq!(runs.len(), 1);
        assert_ne!(runs[0].decision.text, MARK);
    }

    #[tokio::test]
    async fn a_rule_that_was_saved_meanwhile_is_judged_as_well() {
        let world = World::new().await;
        world.rule(&rule("Many", 50)).await;
        let coming = coming(&world).await;
        world.rule(&rule("Few", 5)).await;
        admit(&world, coming).await;
        assert_eq!(world.runs().await.len(), 1);
    }

    #[tokio::test]
    async fn an_event_that_is_stored_again_starts_nothing_twice() {
        let world = World::new().await;
        world.rule(&rule("Few", 5)).await;
        let coming = coming(&world).await;
        let again = world
            .engine
            .coming_again(coming.event.clone(), coming.now)
            .unwrap();
        admit(&world, coming).await;
        admit(&world, again).await;
        assert_eq!(world.runs().await.len(), 1);
    }
}
