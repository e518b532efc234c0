//! Compiled triggers: which events of their kinds they mean.
//!
//! Owns how a discriminating value is read from a trigger and from an event.
//! Must not know conditions. Invariant: the index may only leave out events
//! that `matches` refuses.

use serde_json::Value;
use so_model::{event::Event, id::RuleId, problem::FieldError, rule::Trigger};

use crate::rule::{DiscriminatorSource, TriggerSpec, join};

use super::{
    path::{Path, Seen},
    say::shown_seen,
};

/// Values of one event field that are compared; more of them match no index key.
pub(super) const MAX_EVENT_VALUES: usize = 64;

/// A compiled trigger.
#[derive(Debug, Clone)]
pub struct CompiledTrigger {
    /// Id in the document.
    pub id: String,
    /// Trigger kind.
    pub kind: String,
    /// Kinds of the events it listens to.
    pub event_kinds: Vec<String>,
    /// One for each discriminator of the kind, in its order.
    pub(super) picks: Vec<Pick>,
}

/// What an event must carry; no literals is no demand.
#[derive(Debug, Clone)]
pub(super) struct Pick {
    pub field: Field,
    pub event_path: String,
    pub literals: Vec<Box<str>>,
}

/// Where a discriminating value stands in an event: `data.post.labels`, or in each element of a list,
/// `data.post.variants.*.account`.
#[derive(Debug, Clone)]
pub(super) struct Field {
    path: Path,
    member: Option<Box<str>>,
}

/// What stands between a list and what is read of each of its elements.
const EACH: &str = ".*.";

impl Field {
    fn parse(text: &str) -> Option<Self> {
        let (path, member) = match text.split_once(EACH) {
            Some((list, member)) => (list, Some(member.into())),
            None => (text, None),
        };
        let path = Path::in_event(path)?;
        Some(Self { path, member })
    }

    /// What stands there, in words.
    fn shown(&self, event: &Event) -> String {
        if self.member.is_none() {
            return shown_seen(&self.path.of_event(event));
        }
        let mut texts = Vec::new();
        self.each_text(event, &mut |text| texts.push(text.to_owned()));
        match texts.as_slice() {
            [] => shown_seen(&Seen::Missing),
            texts => texts.join(", "),
        }
    }

    /// Calls for every text that stands there.
    pub fn each_text(&self, event: &Event, call: &mut dyn FnMut(&str)) {
        let seen = self.path.of_event(event);
        let Some(member) = &self.member else {
            return each_text(&seen, call);
        };
        let Seen::Json(Value::Array(items)) = seen else {
            return;
        };
        for value in items.iter().take(MAX_EVENT_VALUES) {
            if let Some(value) = value.get(&**member) {
                each_text(&Seen::of(value), call);
            }
        }
    }
}

impl CompiledTrigger {
    pub(super) fn compile(
        trigger: &Trigger,
        spec: &TriggerSpec,
        rule: RuleId,
        pointer: &str,
    ) -> Result<Self, FieldError> {
        let with = Value::Object(trigger.with.clone());
        let mut picks = Vec::new();
        for discriminator in &spec.discriminators {
            let event_path = &discriminator.event_path;
            picks.push(Pick {
                field: Field::parse(event_path).ok_or_else(|| {
                    let reason = format!(
                        "trigger kind {} compares with `{event_path}`, which no event has",
                        spec.kind
                    );
                    FieldError::new(join(pointer, "kind"), reason)
                })?,
                event_path: event_path.clone(),
                literals: match &discriminator.from {
                    DiscriminatorSource::Rule => vec![rule.to_string().into()],
                    DiscriminatorSource::Trigger => vec![trigger.id.as_str().into()],
                    DiscriminatorSource::Param(param) => {
                        with.pointer(param).map(literals).unwrap_or_default()
                    }
                },
            });
        }
        Ok(Self {
            id: trigger.id.clone(),
            kind: trigger.kind.clone(),
            event_kinds: spec.event_kinds.clone(),
            picks,
        })
    }

    /// Gives a sample the values that this trigger asks for.
    pub fn fit(&self, event: &mut Event) {
        for pick in &self.picks {
            let Some(wanted) = pick.literals.first() else {
                continue;
            };
            match pick.event_path.as_str() {
                "subject" => event.subject = Some(wanted.to_string()),
                "source" => event.source = wanted.to_string(),
                path => {
                    if let Some(path) = path.strip_prefix("data.") {
                        put(&mut event.data, path, wanted);
                    }
                }
            }
        }
    }

    /// Whether the trigger means this event; the error says why not.
    pub fn matches(&self, event: &Event) -> Result<(), String> {
        if !self
            .event_kinds
            .iter()
            .any(|kind| *kind == event.kind || kind == crate::rule::ANY_EVENT_KIND)
        {
            return Err(format!(
                "the event is {}, this trigger listens to {}",
                event.kind,
                self.event_kinds.join(", ")
            ));
        }
        for pick in self.picks.iter().filter(|pick| !pick.literals.is_empty()) {
            let mut found = false;
            pick.field.each_text(event, &mut |text| {
                found |= pick.literals.iter().any(|literal| **literal == *text)
            });
            if !found {
                let name = pick
                    .event_path
                    .strip_prefix("data.")
                    .unwrap_or(&pick.event_path)
                    .replace(EACH, ".");
                return Err(format!(
                    "{name} is {}, this trigger wants {}",
                    pick.field.shown(event),
                    pick.literals.join(" or ")
                ));
            }
        }
        Ok(())
    }
}

/// Sets a field by its dotted path, if it does not hold the value already.
fn put(data: &mut Value, path: &str, wanted: &str) {
    let mut at = data;
    for part in path.split('.') {
        if part == "*" {
            if at.as_array().is_none_or(Vec::is_empty) {
                *at = Value::Array(vec![Value::Null]);
            }
            at = &mut at[0];
            continue;
        }
        if !at.is_object() {
            *at = Value::Object(serde_json::Map::new());
        }
        let Some(map) = at.as_object_mut() else {
            return;
        };
        at = map.entry(part).or_insert(Value::Null);
    }
    let mut is_there = false;
    each_text(&Seen::of(at), &mut |text| is_there |= *text == *wanted);
    if !is_there {
        *at = Value::String(wanted.to_owned());
    }
}

/// The constants of a parameter; a computed one makes no demand here.
fn literals(value: &Value) -> Vec<Box<str>> {
    let mut texts: Vec<Box<str>> = Vec::new();
    let mut computed = false;
    each_text(&Seen::of(value), &mut |text| {
        computed |= text.contains("{{");
        texts.push(text.into());
    });
    if computed { Vec::new() } else { texts }
}

/// Calls for a value's text, or for the text of each element of a list.
pub(super) fn each_text(seen: &Seen<'_>, call: &mut dyn FnMut(&str)) {
    match seen {
        Seen::Missing => {}
        Seen::Text(text) => call(text),
        Seen::Json(Value::Array(items)) => {
            for item in items.iter().take(MAX_EVENT_VALUES) {
                match item {
                    Value::String(text) => call(text),
                    Value::Number(_) | Value::Bool(_) => call(&item.to_string()),
                    _ => {}
                }
            }
        }
        Seen::Json(value @ (Value::Number(_) | Value::Bool(_))) => call(&value.to_string()),
        Seen::Json(_) => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::{Event, Field};

    fn event(data: serde_json::Value) -> Event {
        let id = "019e8232600070009835e086c704cbc9";
        serde_json::from_value(json!({"id": format!("evt_{id}"), "workspace": format!("ws_{id}"),
            "kind": "post.due", "source": "engine", "dedupe": "1", "subject": null, "time": "2026-06-01T08:00:00Z",
            "data": data, "cause": {"depth": 0, "rules": []}}))
        .unwrap()
    }

    #[test]
    fn a_field_of_each_element_of_a_list_is_read() {
        let event = event(json!({"post": {"variants": [{"account": "a"}, {}, {"account": "b"}]}}));
        let read = |field: &str| {
            let mut texts = Vec::new();
            let field = Field::parse(field).unwrap();
            field.each_text(&event, &mut |text| texts.push(text.to_owned()));
            texts
        };
        assert_eq!(read("data.post.variants.*.account"), ["a", "b"]);
        assert!(read("data.post.variants.account").is_empty());
        assert!(read("data.post.*.account").is_empty());
    }
}
