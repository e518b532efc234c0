//! A small catalogue for tests of rules and decisions.

use serde_json::json;

use super::catalogue::{ActionSpec, Catalogue, Discriminator, FactSpec, FactType, TriggerSpec};

fn trigger(kind: &str, event_kind: &str) -> TriggerSpec {
    TriggerSpec {
        kind: kind.into(),
        title: kind.into(),
        description: String::new(),
        event_kinds: vec![event_kind.into()],
        params_schema: json!({"type": "object", "additionalProperties": false}),
        sample_data: json!({}),
        open_data: false,
        discriminators: Vec::new(),
    }
}

fn action(kind: &str) -> ActionSpec {
    ActionSpec {
        kind: kind.into(),
        title: kind.into(),
        description: String::new(),
        params_schema: json!({"type": "object"}),
        is_remote: false,
        sample_output: json!({}),
        emits: Vec::new(),
    }
}

/// Feed, cron, webhook and post triggers; four actions; three facts.
pub(crate) fn catalogue() -> Catalogue {
    facts(actions(triggers(Catalogue::default())))
}

fn triggers(catalogue: Catalogue) -> Catalogue {
    let feed = TriggerSpec {
        params_schema: json!({
            "type": "object", "additionalProperties": false, "required": ["feed"],
            "properties": {
                "feed": {"type": "string", "description": "The feed."},
                "labels": {"type": "array", "items": {"type": "string"}},
                "language": {"type": "string"}
            }
        }),
        sample_data: json!({"feed": "feed_1", "title": "t", "likes": 3, "labels": ["a"],
                            "author": {"name": "n"}, "muted": false, "extra": {}}),
        discriminators: vec![
            Discriminator::param("/feed", "data.feed"),
            Discriminator::param("/labels", "data.labels"),
            Discriminator::param("/language", "data.language"),
        ],
        ..trigger("feed.item", "feed.item")
    };
    let cron = TriggerSpec {
        params_schema: json!({
            "type": "object", "additionalProperties": false, "required": ["expression"],
            "properties": {"expression": {"type": "string"}}
        }),
        discriminators: vec![
            Discriminator::rule("data.rule"),
            Discriminator::trigger("data.trigger"),
        ],
        ..trigger("time.cron", "time.due")
    };
    let hook = TriggerSpec {
        params_schema: json!({"type": "object", "properties": {"hook": {"type": "string"}}}),
        sample_data: json!({"body": {"x": 1}}),
        open_data: true,
        discriminators: vec![Discriminator::param("/hook", "data.hook")],
        ..trigger("webhook.received", "webhook.received")
    };
    catalogue
        .trigger(feed)
        .trigger(cron)
        .trigger(hook)
        .trigger(trigger("manual", "manual.pressed"))
        .trigger(trigger("post.created", "post.created"))
}

fn actions(catalogue: Catalogue) -> Catalogue {
    let create = ActionSpec {
        params_schema: json!({
            "type": "object", "additionalProperties": false, "required": ["text"],
            "properties": {
                "text": {"type": "string", "description": "The text."},
                "count": {"type": "integer", "minimum": 1, "maximum": 5},
                "state": {"enum": ["draft", "approved"]},
                "target": {"oneOf": [
                    {"type": "object", "additionalProperties": false, "required": ["kind", "account"],
                     "properties": {"kind": {"const": "account"}, "account": {"type": "string"}}},
                    {"type": "object", "additionalProperties": false, "required": ["kind", "label"],
                     "properties": {"kind": {"const": "label"}, "label": {"type": "string"}}}]},
                "when": {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]}
            }
        }),
        emits: vec!["post.created".into()],
        ..action("post.create")
    };
    let script = ActionSpec {
        params_schema: json!({
            "type": "object", "additionalProperties": false, "required": ["source"],
            "properties": {"source": {"type": "string", "format": "rhai"}, "input": {}}
        }),
        ..action("script.run")
    };
    catalogue
        .action(create)
        .action(script)
        .action(action("notify"))
        .action(action("queue.add"))
}

fn facts(catalogue: Catalogue) -> Catalogue {
    let fact = |name: &str, value_type| FactSpec {
        name: name.into(),
        title: name.into(),
        params_schema: json!({
            "type": "object", "additionalProperties": false,
            "properties": {"queue": {"type": "string"}, "hours": {"type": "integer"}}
        }),
        value_type,
    };
    catalogue
        .fact(fact("queue_length", FactType::Number))
        .fact(fact("duplicate_text", FactType::Boolean))
        .fact(fact("last_text", FactType::Text))
}
