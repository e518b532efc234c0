//! Conditions over any event.
//!
//! Owns the promise of `decide`: the quick answer and the explained one are the same. Input: a
//! condition in YAML, an empty line, the data of an event in JSON.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Value, json};
use so_engine::{
    decide::{self, CompiledRule, DecisionInput, WorkspaceFacts},
    rule::{self, Format},
};
use so_model::{
    Timestamp,
    event::{Cause, Event},
    id::{EventId, RuleId, WorkspaceId},
};

use crate::rules::{CATALOGUE, SCRIPTS};

/// 2026-03-29T00:59:00Z: a minute before clocks change in Berlin.
const NOW: Timestamp = Timestamp::from_micros(1_774_745_940_000_000);

pub(crate) fn run(data: &[u8]) {
    let text = crate::text_of(data);
    let (condition, event) = text.split_once("\n\n").unwrap_or((&text, "{}"));
    let Ok((condition, _)) = rule::parse(condition, Format::Yaml) else {
        return;
    };
    let data: Value = serde_json::from_str(event).unwrap_or(Value::String(event.to_owned()));
    let document = json!({
        "version": 1, "name": "n", "triggers": [{"id": "t", "kind": "manual"}],
        "if": condition, "steps": [{"id": "a", "stop": {}}],
    });
    let Ok(checked) = rule::validate(&document, &CATALOGUE, &SCRIPTS) else {
        return;
    };
    let rule = CompiledRule::compile(
        RuleId::derived(&["rule"]),
        WorkspaceId::derived(&["workspace"]),
        1,
        Arc::new(checked.document),
        &CATALOGUE,
        &SCRIPTS,
    )
    .unwrap_or_else(|errors| panic!("accepted but does not compile: {errors:#?}"));
    judge(&rule, data);
}

fn judge(rule: &CompiledRule, data: Value) {
    let workspace = WorkspaceFacts {
        id: WorkspaceId::derived(&["workspace"]),
        name: "Bakery".into(),
        time_zone: chrono_tz::Europe::Berlin,
    };
    let kind = rule.triggers.first().and_then(|_| {
        let spec = so_triggers::all().into_iter().map(|kind| kind.spec());
        spec.into_iter()
            .find(|spec| spec.kind == "manual")?
            .event_kinds
            .first()
            .cloned()
    });
    let event = Event {
        id: EventId::derived(&["event"]),
        workspace: workspace.id,
        kind: kind.unwrap(),
        source: "hand".into(),
        dedupe: "d".into(),
        subject: None,
        time: NOW,
        data,
        cause: Cause::default(),
    };
    let none = HashMap::new();
    let empty = DecisionInput::new(&event, &workspace, NOW, &none);
    let facts: HashMap<String, Value> = decide::facts_needed(rule, 0, &empty)
        .into_iter()
        .map(|wanted| (wanted.key, json!(3)))
        .collect();
    for facts in [&none, &facts] {
        let input = DecisionInput::new(&event, &workspace, NOW, facts);
        let quick = decide::verdict(rule, 0, &input);
        let told = decide::decide(rule, 0, &input);
        assert_eq!(quick, told.verdict, "{}", told.reason);
        assert!(serde_json::to_value(&told).is_ok());
    }
}
