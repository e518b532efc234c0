//! The check of dotted paths in comparisons.
//!
//! Owns which roots and fields exist. Must not know values. Invariant: a path
//! accepted here splits into segments that `decide` can follow.

use serde_json::Value;
use so_model::problem::{FieldError, Fix};

use super::{
    analysis::codes::{PROPERTY_UNKNOWN, REFERENCE_NOTHING_YET, REFERENCE_UNKNOWN_STEP},
    check::Review,
    suggest::{nearest, one_of},
};

/// Where a path may begin.
const ROOTS: [&str; 6] = ["event", "vars", "steps", "workspace", "trigger", "run"];

/// The element of a loop, which only steps within one have.
const ITEM: &str = "item";

/// What an event has.
pub(crate) const EVENT_FIELDS: [&str; 6] = ["id", "kind", "source", "subject", "time", "data"];

/// What a workspace shows to rules.
pub(crate) const WORKSPACE_FIELDS: [&str; 3] = ["id", "name", "time_zone"];

/// What a trigger shows to rules.
pub(crate) const TRIGGER_FIELDS: [&str; 2] = ["id", "kind"];

/// Longest path and most segments; real ones have three to five.
const MAX_PATH: usize = 256;
const MAX_SEGMENTS: usize = 20;

impl Review<'_> {
    /// Checks a path.
    pub(super) fn field(&mut self, path: &str, pointer: &str) {
        let segments: Vec<&str> = path.split('.').collect();
        if path.len() > MAX_PATH || segments.len() > MAX_SEGMENTS {
            let error = FieldError::new(pointer, "the path is too long");
            return self
                .error(error.expected(format!("at most {MAX_SEGMENTS} names, {MAX_PATH} bytes")));
        }
        if segments
            .iter()
            .any(|segment| segment.trim() != *segment || segment.is_empty())
        {
            let error = FieldError::new(pointer, format!("`{path:.80}` is not a path"));
            return self.error(error.expected("names joined by dots: event.data.title"));
        }
        match segments[..] {
            ["event", field, ..] => self.known(path, field, &EVENT_FIELDS, pointer),
            ["workspace", field, ..] => self.known(path, field, &WORKSPACE_FIELDS, pointer),
            ["trigger", field, ..] => self.known(path, field, &TRIGGER_FIELDS, pointer),
            ["steps", id, ..] if self.in_steps => self.known_step(path, id, pointer),
            ["vars" | "steps" | "run", _, ..] if self.in_steps => {}
            [ITEM, ..] if self.loops > 0 => {}
            [ITEM, ..] => {
                let error = FieldError::new(pointer, "there is no `item` outside of a loop");
                self.error(error.expected("a step within `do` of `for_each`"));
            }
            [root @ ("vars" | "steps" | "run"), _, ..] => {
                let reason =
                    format!("`{root}` is empty here: no step has run when a rule is decided");
                self.warn(
                    FieldError::new(pointer, reason)
                        .expected("a field of event, workspace or trigger")
                        .coded(REFERENCE_NOTHING_YET.code),
                );
            }
            [root, ..] => {
                let meant = if EVENT_FIELDS.contains(&root) {
                    Some(format!("event.{path}"))
                } else if ROOTS.contains(&root) {
                    None
                } else {
                    nearest(root, ROOTS).map(|known| format!("{known}{}", &path[root.len()..]))
                };
                let error = FieldError::new(pointer, format!("`{path:.80}` is no path to a value"));
                return self.error(
                    error
                        .suggest(meant)
                        .expected(format!("{} and a dot", one_of(ROOTS))),
                );
            }
            [] => {}
        }
        match &segments[..] {
            ["event", "data", rest @ ..] => self.data(path, rest, pointer),
            ["event" | "workspace" | "trigger", field, _, ..] => {
                let error = FieldError::new(
                    pointer,
                    format!("`{field:.64}` is a text, with nothing below it"),
                );
                self.error(error.expected("a path that ends there"));
            }
            _ => {}
        }
    }

    fn known(&mut self, path: &str, field: &str, known: &[&str], pointer: &str) {
        if !known.contains(&field) {
            let root = path.split('.').next().unwrap_or_default();
            let meant =
                nearest(field, known.iter().copied()).map(|name| path.replacen(field, &name, 1));
            let error = FieldError::new(pointer, format!("`{root}` has no `{field}`"));
            self.error(error.suggest(meant).expected(one_of(known.iter().copied())));
        }
    }

    fn known_step(&mut self, path: &str, id: &str, pointer: &str) {
        if !self.step_ids.contains_key(id) {
            let known: Vec<&str> = self.step_ids.keys().map(String::as_str).collect();
            let meant = nearest(id, known.iter().copied()).map(|name| path.replacen(id, &name, 1));
            let error = FieldError::new(pointer, format!("there is no step `{id}`"));
            let error = error.suggest(meant).expected(one_of(known));
            self.error(error.coded(REFERENCE_UNKNOWN_STEP.code));
        }
    }

    /// A field that no sample of the triggers shows is probably misspelt.
    fn data(&mut self, path: &str, rest: &[&str], pointer: &str) {
        let Some(mut sample) = self.sample.as_ref() else {
            return;
        };
        let mut so_far = "event.data".to_owned();
        for name in rest {
            match sample {
                Value::Object(map) if !map.is_empty() => match map.get(*name) {
                    Some(inner) => sample = inner,
                    None => {
                        let known = map.keys().map(String::as_str);
                        let meant = nearest(name, known.clone())
                            .map(|meant| path.replacen(name, &meant, 1));
                        let warning =
                            FieldError::new(pointer, format!("`{so_far}` has no `{name}`"));
                        let mut warning = warning
                            .suggest(meant.clone())
                            .expected(one_of(known))
                            .coded(PROPERTY_UNKNOWN.code);
                        warning.fix = meant.map(|meant| {
                            Box::new(Fix {
                                pointer: pointer.to_owned(),
                                value: Some(Value::String(meant)),
                            })
                        });
                        return self.warn(warning);
                    }
                },
                Value::Array(items) => match items.first() {
                    Some(inner) if name.bytes().all(|b| b.is_ascii_digit()) => sample = inner,
                    _ => return,
                },
                _ => return,
            }
            so_far = format!("{so_far}.{name}");
        }
    }
}
