//! Helpers: a rule, an event, and what the decision should say.

mod canaries;
mod conditions;
mod decisions;
mod indexing;
mod plain;
mod sharing;
mod weighing;

use std::sync::Arc;

use serde_json::{Value, json};
use so_model::{
    Timestamp,
    event::{Cause, Event},
    id::{EventId, RuleId, WorkspaceId},
};

use crate::{
    rule::{fixture::catalogue, validate},
    script::{ScriptEngine, ScriptLimits},
};

use super::{CompiledRule, WorkspaceFacts};

/// Wednesday, 2026-11-25 17:05 in Berlin.
pub const NOW: &str = "2026-11-25T16:05:00Z";

pub fn now() -> Timestamp {
    Timestamp::parse(NOW).unwrap()
}

pub fn workspace() -> WorkspaceFacts {
    WorkspaceFacts {
        id: WorkspaceId::derived(&["ws"]),
        name: "Bakery".into(),
        time_zone: chrono_tz::Europe::Berlin,
    }
}

pub fn event(kind: &str, data: Value) -> Event {
    Event {
        id: EventId::derived(&[kind, &data.to_string()]),
        workspace: workspace().id,
        kind: kind.into(),
        source: "feed/feed_1".into(),
        dedupe: "d".into(),
        subject: Some("post_1".into()),
        time: now(),
        data,
        cause: Cause::default(),
    }
}

/// A rule on `feed.item` of feed_1 with the given keys in place of the usual ones.
pub fn document(changes: Value) -> Value {
    let mut document = json!({
        "version": 1, "name": "n",
        "triggers": [{"id": "t", "kind": "feed.item", "with": {"feed": "feed_1"}}],
        "steps": [{"id": "a", "stop": {}}]
    });
    for (key, value) in changes.as_object().unwrap() {
        document[key] = value.clone();
    }
    document
}

pub fn compile_as(id: RuleId, document: &Value) -> Arc<CompiledRule> {
    let scripts = ScriptEngine::new(ScriptLimits::default());
    let catalogue = catalogue();
    let checked =
        validate(document, &catalogue, &scripts).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let document = Arc::new(checked.document);
    Arc::new(CompiledRule::compile(id, workspace().id, 3, document, &catalogue, &scripts).unwrap())
}

pub fn compile(changes: Value) -> Arc<CompiledRule> {
    compile_as(RuleId::derived(&["rule"]), &document(changes))
}

/// Small, seeded, the same on every machine.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }
}
