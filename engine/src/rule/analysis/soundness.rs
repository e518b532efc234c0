//! What is said of a condition is true of every event that was tried.

use serde_json::{Value, json};
use so_model::{
    Timestamp,
    event::{Cause, Event},
    id::{EventId, WorkspaceId},
    rule,
};

use crate::{
    decide::{Condition, DecisionInput, FactValues, Facts, TriggerFacts, WorkspaceFacts},
    rule::{fixture::catalogue, validate},
    script::{ScriptEngine, ScriptLimits},
};

/// Small, seeded, the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }
}

const EXPRESSIONS: &[&str] = &[
    "event.data.a > 3",
    "event.data.a < 3 && event.data.a > 1",
    "event.data.a == \"x\" || event.data.b",
    "!(event.data.b)",
    "event.data.a != 5 && !(event.data.b == 2)",
    "event.data.a == event.data.b",
    "1 < 2",
    "false",
];

fn leaf(dice: &mut Dice) -> Value {
    let field = *dice.pick(&["event.data.a", "event.data.b", "event.data.a"]);
    let number = json!([1.0, 3.0, 3.5, 5.0][dice.roll(4)]);
    let text = json!((*dice.pick(&["x", "xy", "Xy z", "y"])));
    let op = *dice.pick(&[
        "eq",
        "ne",
        "gt",
        "ge",
        "lt",
        "le",
        "in",
        "not_in",
        "contains",
        "not_contains",
        "starts_with",
        "ends_with",
        "matches",
        "exists",
        "is_empty",
    ]);
    let value = match op {
        "gt" | "ge" | "lt" | "le" => match dice.roll(4) {
            0 => json!((*dice.pick(&["2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z"]))),
            _ => number,
        },
        "in" | "not_in" => json!([number, text, true]),
        "starts_with" | "ends_with" | "matches" => text,
        "exists" | "is_empty" => Value::Null,
        _ => match dice.roll(3) {
            0 => number,
            1 => json!(true),
            _ => text,
        },
    };
    match dice.roll(8) {
        0 => json!({"expr": dice.pick(EXPRESSIONS)}),
        1 => {
            let hours = *dice.pick(&[("09:00", "12:00"), ("10:00", "11:00"), ("22:00", "06:00")]);
            let days = *dice.pick(&["mon", "thu", "sun"]);
            json!({"time": {"from": hours.0, "to": hours.1, "weekdays": [days]}})
        }
        _ if value.is_null() => json!({"field": field, "op": op}),
        _ => json!({"field": field, "op": op, "value": value}),
    }
}

fn condition(dice: &mut Dice, depth: usize) -> Value {
    let parts = |dice: &mut Dice| -> Vec<Value> {
        (0..2 + dice.roll(2))
            .map(|_| condition(dice, depth + 1))
            .collect()
    };
    match dice.roll(if depth > 2 { 1 } else { 5 }) {
        0 | 1 => leaf(dice),
        2 => json!({"not": condition(dice, depth + 1)}),
        3 => json!({"any": parts(dice)}),
        _ => json!({"all": parts(dice)}),
    }
}

fn data(dice: &mut Dice) -> Value {
    let values = [
        json!(0),
        json!(1),
        json!(2),
        json!(3),
        json!(3.5),
        json!(4),
        json!(5),
        json!(9),
        json!(""),
        json!("x"),
        json!("xy"),
        json!("XY Z"),
        json!("y"),
        json!("other"),
        json!(true),
        json!(false),
        json!([]),
        json!(["x"]),
        json!([3, "Xy z"]),
        json!({}),
        Value::Null,
        json!("2025-01-01T00:00:00Z"),
        json!("2026-03-01T00:00:00Z"),
        json!("2027-01-01T00:00:00Z"),
    ];
    let mut data = json!({});
    for field in ["a", "b"] {
        if dice.roll(10) > 0 {
            data[field] = dice.pick(&values).clone();
        }
    }
    data
}

struct Ground {
    scripts: ScriptEngine,
    workspace: WorkspaceFacts,
}

impl Ground {
    fn holds(&self, condition: &Value, data: &Value, now: Timestamp) -> bool {
        let parsed: rule::Condition = serde_json::from_value(condition.clone()).unwrap();
        let compiled = Condition::compile(&parsed, "/if", &self.scripts).unwrap();
        let event = Event {
            id: EventId::derived(&["e"]),
            workspace: self.workspace.id,
            kind: "webhook.received".into(),
            source: "hook/hook_1".into(),
            dedupe: "d".into(),
            subject: None,
            time: now,
            data: data.clone(),
            cause: Cause::default(),
        };
        let none = FactValues::default();
        let input = DecisionInput::new(&event, &self.workspace, now, &none);
        let trigger = TriggerFacts {
            id: "t",
            kind: "webhook.received",
        };
        compiled.holds(&Facts::new(&input, trigger)) == Ok(true)
    }
}

/// The node at a pointer, and the one around it.
fn nodes<'d>(document: &'d Value, pointer: &str) -> (&'d Value, Option<&'d Value>, usize) {
    let own = document.pointer(pointer).unwrap();
    let (list, index) = pointer.rsplit_once('/').unwrap();
    let around = list
        .rsplit_once('/')
        .and_then(|(around, _)| document.pointer(around));
    (
        own,
        around.filter(|_| index.parse::<usize>().is_ok()),
        index.parse().unwrap_or(0),
    )
}

#[test]
fn what_is_said_of_a_condition_is_true_of_every_event_tried() {
    let ground = Ground {
        scripts: ScriptEngine::new(ScriptLimits::default()),
        workspace: WorkspaceFacts {
            id: WorkspaceId::derived(&["ws"]),
            name: "Bakery".into(),
            time_zone: chrono_tz::Europe::Berlin,
        },
    };
    let catalogue = catalogue();
    let mut told = std::collections::BTreeMap::new();
    for seed in 0..600 {
        let mut dice = Dice(seed);
        let document = json!({
            "version": 1, "name": "n", "triggers": [{"id": "t", "kind": "webhook.received"}],
            "if": condition(&mut dice, 0), "steps": [{"id": "a", "stop": {}}]
        });
        let Ok(checked) = validate(&document, &catalogue, &ground.scripts) else {
            continue;
        };
        let worlds: Vec<(Value, Timestamp)> = (0..60)
            .map(|_| {
                let hour = i64::try_from(dice.roll(24 * 7)).unwrap();
                let now = Timestamp::parse("2026-11-23T00:30:00Z").unwrap();
                (data(&mut dice), now.plus(hour * so_model::time::HOUR))
            })
            .collect();
        let always = |node: &Value, wanted: bool| {
            worlds
                .iter()
                .all(|(data, now)| ground.holds(node, data, *now) == wanted)
        };
        for found in &checked.warnings {
            let (own, around, index) = nodes(&document, &found.pointer);
            let is_true = match found.code.as_str() {
                "condition.never" => always(own, false),
                "condition.always" => {
                    always(own, true) || around.is_some_and(|node| always(node, true))
                }
                "condition.contradiction" => {
                    always(own, false) || around.is_some_and(|node| always(node, false))
                }
                "condition.redundant" => {
                    let node = around.unwrap();
                    let mut without = node.clone();
                    let key = if node["all"].is_array() { "all" } else { "any" };
                    without[key].as_array_mut().unwrap().remove(index);
                    worlds.iter().all(|(data, now)| {
                        ground.holds(node, data, *now) == ground.holds(&without, data, *now)
                    })
                }
                _ => continue,
            };
            *told.entry(found.code.clone()).or_insert(0) += 1;
            assert!(is_true, "seed {seed}: {found:?}\n{document:#}");
        }
    }
    for code in [
        "condition.never",
        "condition.always",
        "condition.contradiction",
        "condition.redundant",
    ] {
        assert!(told.get(code).copied().unwrap_or(0) > 5, "{code}: {told:?}");
    }
}
