//! How the kinds of this crate describe themselves.

use serde_json::{Value, json};
use so_engine::{
    plugin::TriggerKind,
    rule::catalogue::{Discriminator, TriggerSpec},
};

/// A kind that listens to events and needs no code of its own.
pub(crate) struct Listener(pub TriggerSpec);

impl TriggerKind for Listener {
    fn spec(&self) -> TriggerSpec {
        self.0.clone()
    }
}

/// A kind of the same name as its event, without parameters.
pub(crate) fn plain(kind: &str, title: &str, description: &str, sample: Value) -> TriggerSpec {
    TriggerSpec {
        kind: kind.into(),
        title: title.into(),
        description: description.into(),
        event_kinds: vec![kind.into()],
        params_schema: object(json!({}), &[]),
        sample_data: sample,
        open_data: false,
        discriminators: Vec::new(),
    }
}

/// A closed object schema.
pub(crate) fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// Parameter `name` must equal what the event has at `path`.
pub(crate) fn same(name: &str, path: &str) -> Discriminator {
    Discriminator::param(format!("/{name}"), path)
}

/// A post as it appears in events.
pub(crate) fn sample_post(state: &str) -> Value {
    json!({
        "id": "post_01890a5dac96774bbcceb302099a8057",
        "workspace": "ws_01890a5dac96774bbcceb302099a8057",
        "state": state, "revision": 3,
        "content": {"kind": "status", "text": "Our spring launch is here https://example.com/launch",
                    "title": null, "language": "en", "options": {}},
        "variants": [{"id": "var_01890a5dac96774bbcceb302099a8057",
                      "account": "acct_01890a5dac96774bbcceb302099a8057"}],
        "labels": ["label_01890a5dac96774bbcceb302099a8057"],
        "author": "user_01890a5dac96774bbcceb302099a8057",
        "origin": {"rule": "rule_01890a5dac96774bbcceb302099a8057", "run": "run_01890a5dac96774bbcceb302099a8057"},
        "due_at": "2026-11-24T09:00:00Z",
        "queue": "queue_01890a5dac96774bbcceb302099a8057",
        "evergreen": {"interval": "30d", "max_times": 5, "count": 1, "variations": ["Seen our launch?"]},
        "recurrence": {"kind": "recurrence", "rrule": "FREQ=WEEKLY", "start": "2026-11-24T09:00", "zone": "Europe/Berlin"},
        "repeats": null, "problem": null,
        "created_at": "2026-11-20T09:00:00Z", "updated_at": "2026-11-20T09:00:00Z", "published_at": null
    })
}
