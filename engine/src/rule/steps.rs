//! The check of steps: ids, depth, kinds this server runs, and their parts.
//!
//! Owns the bounds of a rule's size. Must not know what actions do.
//! Invariant: step ids are unique over the whole tree: memos are filed by them.

use std::collections::BTreeSet;

use serde_json::Value;
use so_model::{Timestamp, problem::FieldError, rule::ForEach};

use super::{
    analysis::codes::STEP_EMPTY,
    catalogue::ANY_EVENT_KIND,
    check::{Review, unknown_kind},
    schema::STEP_KINDS,
    shape::{describe, is_template},
    text::join,
};

/// Steps within steps; deeper rules are better split and called.
pub const MAX_STEP_DEPTH: usize = 8;

/// Steps of one rule in all.
pub const MAX_STEPS: usize = 100;

/// Branches of one `choose`.
const MAX_BRANCHES: usize = 20;

/// Variables of one `set`.
const MAX_VARIABLES: usize = 50;

/// Ways of one `parallel`: each may hold a call, a wait or a publication.
const MAX_WAYS: usize = 20;

/// Kinds of steps that cannot fail by themselves, or have an end of their own.
const UNTIMED: [&str; 4] = ["set", "stop", "delay", "wait_for"];

impl Review<'_> {
    /// Files every step id, refusing repetitions, so that paths may name steps anywhere.
    pub(super) fn gather_ids(&mut self, steps: &Value, pointer: &str, depth: usize) {
        // One level more than allowed: the level too many is told by `steps`.
        if depth > MAX_STEP_DEPTH + 1 {
            return;
        }
        for (index, step) in steps.as_array().into_iter().flatten().enumerate() {
            let here = join(pointer, index);
            if let Some(id) = step["id"].as_str() {
                match self.step_ids.get(id) {
                    Some(first) => {
                        let reason = format!("step id `{id:.64}` is used by {first} already");
                        let error = FieldError::new(join(&here, "id"), reason);
                        self.error(error.expected("an id of its own in the whole rule"));
                    }
                    None => {
                        self.step_ids.insert(id.to_owned(), here.clone());
                    }
                }
            }
            for key in ["then", "else", "otherwise", "do", "on_error"] {
                self.gather_ids(&step[key], &join(&here, key), depth + 1);
            }
            for key in ["choose", "parallel"] {
                for (branch, value) in step[key].as_array().into_iter().flatten().enumerate() {
                    let inner = join(&join(&here, key), branch);
                    match value {
                        Value::Array(_) => self.gather_ids(value, &inner, depth + 1),
                        _ => self.gather_ids(&value["then"], &join(&inner, "then"), depth + 1),
                    }
                }
            }
        }
    }

    /// Checks a list of steps.
    pub(super) fn steps(&mut self, steps: &Value, pointer: &str, depth: usize) {
        if depth > MAX_STEP_DEPTH && steps.as_array().is_some_and(|steps| !steps.is_empty()) {
            let error = FieldError::new(pointer, "steps are nested too deeply");
            return self.error(error.expected(format!("at most {MAX_STEP_DEPTH} levels")));
        }
        for (index, step) in steps.as_array().into_iter().flatten().enumerate() {
            let here = join(pointer, index);
            self.steps += 1;
            if self.steps == MAX_STEPS + 1 {
                let error = FieldError::new(here.clone(), "the rule has too many steps");
                self.error(error.expected(format!(
                    "at most {MAX_STEPS} in all; `rule.call` splits a rule"
                )));
            }
            self.step(step, &here, depth);
        }
    }

    fn step(&mut self, step: &Value, pointer: &str, depth: usize) {
        self.own_part(step, pointer, depth);
        self.steps(&step["on_error"], &join(pointer, "on_error"), depth + 1);
    }

    fn own_part(&mut self, step: &Value, pointer: &str, depth: usize) {
        let Some((key, kind)) = self.kind_of(step, pointer, "step", &STEP_KINDS) else {
            return;
        };
        self.node(kind, step, pointer);
        self.bounds(key, step, pointer);
        match key {
            "action" => self.action(step, pointer),
            "if" => self.if_step(step, pointer, depth),
            "choose" => self.choose(step, pointer, depth),
            "delay" => self.delay(&step["delay"], &join(pointer, "delay")),
            "set" => self.set(&step["set"], &join(pointer, "set")),
            "for_each" => self.for_each(step, pointer, depth),
            "parallel" => self.parallel(step, pointer, depth),
            "wait_for" => self.wait_for(&step["wait_for"], &join(pointer, "wait_for")),
            _ => {
                if let Some(reason) = step["stop"]["reason"].as_str() {
                    self.template(reason, &join(&join(pointer, "stop"), "reason"));
                }
            }
        }
    }

    /// What every kind of step may have: a time-out, and steps that stand in for a failure.
    fn bounds(&mut self, key: &str, step: &Value, pointer: &str) {
        let timeout = join(pointer, "timeout");
        self.duration(&step["timeout"], &timeout);
        if !step["timeout"].is_null() && UNTIMED.contains(&key) {
            let error = FieldError::new(timeout, format!("`{key}` has no time-out of its own"));
            self.error(error.expected(match key {
                "wait_for" => "`timeout` within `wait_for`",
                _ => "a time-out at an action, a branch, a loop or `parallel`",
            }));
        }
        let stands_in = step["on_error"]
            .as_array()
            .is_some_and(|steps| !steps.is_empty());
        if stands_in && key == "stop" {
            let error = FieldError::new(join(pointer, "on_error"), "`stop` cannot fail");
            self.error(error.expected("`on_error` at the step that may fail"));
        }
    }

    fn for_each(&mut self, step: &Value, pointer: &str, depth: usize) {
        let at = join(&join(pointer, "for_each"), "items");
        let items = &step["for_each"]["items"];
        match items {
            Value::Array(list) if list.len() > ForEach::ELEMENTS_MAX as usize => {
                let error = FieldError::new(at, format!("the list has {} elements", list.len()));
                self.error(error.expected(format!("at most {}", ForEach::ELEMENTS_MAX)));
            }
            Value::Array(_) | Value::Null => self.tree(items, &at),
            Value::String(text) if is_template(items) => self.template(text, &at),
            other => {
                let error = FieldError::new(at, format!("this is {}", describe(other)));
                self.error(error.expected("a list, or a template that yields one"));
            }
        }
        if step["do"].as_array().is_some_and(Vec::is_empty) {
            self.warn(
                FieldError::new(pointer, "this loop does nothing")
                    .expected("steps in `do`")
                    .coded(STEP_EMPTY.code),
            );
        }
        self.loops += 1;
        self.steps(&step["do"], &join(pointer, "do"), depth + 1);
        self.loops -= 1;
    }

    fn parallel(&mut self, step: &Value, pointer: &str, depth: usize) {
        let at = join(pointer, "parallel");
        let ways = step["parallel"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        if step["parallel"].is_array() && (ways.len() < 2 || ways.len() > MAX_WAYS) {
            let error = FieldError::new(at.clone(), format!("`parallel` has {} ways", ways.len()));
            self.error(error.expected(format!("2 to {MAX_WAYS} lists of steps")));
        }
        for (index, way) in ways.iter().enumerate() {
            self.steps(way, &join(&at, index), depth + 1);
        }
    }

    fn wait_for(&mut self, wait: &Value, pointer: &str) {
        self.duration(&wait["timeout"], &join(pointer, "timeout"));
        if let Some(subject) = wait["subject"].as_str() {
            self.template(subject, &join(pointer, "subject"));
        }
        if let Some(kind) = wait["event"].as_str() {
            let triggers = self
                .catalogue
                .triggers
                .values()
                .flat_map(|spec| &spec.event_kinds);
            let actions = self.catalogue.actions.values().flat_map(|spec| &spec.emits);
            let known: BTreeSet<&str> = triggers.chain(actions).map(String::as_str).collect();
            if kind == ANY_EVENT_KIND || !known.contains(kind) {
                let known: Vec<&str> = known
                    .into_iter()
                    .filter(|one| *one != ANY_EVENT_KIND)
                    .collect();
                let at = join(pointer, "event");
                self.error(unknown_kind("event", kind, known.iter().copied(), &at));
            }
        }
        if let Some(condition) = wait.get("if") {
            // It is about another event than the one that started the rule.
            let sample = self.sample.take();
            self.condition(condition, &join(pointer, "if"), 1);
            self.sample = sample;
        }
    }

    fn action(&mut self, step: &Value, pointer: &str) {
        self.retry(&step["retry"], &join(pointer, "retry"));
        let Some(kind) = step["action"].as_str() else {
            return;
        };
        let catalogue = self.catalogue;
        let Some(spec) = catalogue.actions.get(kind) else {
            let known = catalogue.actions.keys().map(String::as_str);
            return self.error(unknown_kind(
                "action",
                kind,
                known,
                &join(pointer, "action"),
            ));
        };
        let with = join(pointer, "with");
        self.params(&spec.params_schema, &step["with"], &with);
        self.action_texts(&spec.params_schema, &step["with"], &with);
    }

    fn retry(&mut self, retry: &Value, pointer: &str) {
        let first = self.duration(&retry["first"], &join(pointer, "first"));
        let cap = self.duration(&retry["cap"], &join(pointer, "cap"));
        if let (Some(first), Some(cap)) = (first, cap)
            && first > cap
        {
            let error = FieldError::new(
                join(pointer, "cap"),
                "the longest delay is shorter than the first",
            );
            self.error(error.expected("a duration not shorter than `first`"));
        }
    }

    fn if_step(&mut self, step: &Value, pointer: &str, depth: usize) {
        self.condition(&step["if"], &join(pointer, "if"), 1);
        let empty = |key: &str| step[key].as_array().is_none_or(Vec::is_empty);
        if empty("then") && empty("else") {
            self.warn(
                FieldError::new(pointer, "this step does nothing either way")
                    .expected("steps in `then` or `else`")
                    .coded(STEP_EMPTY.code),
            );
        }
        self.steps(&step["then"], &join(pointer, "then"), depth + 1);
        self.steps(&step["else"], &join(pointer, "else"), depth + 1);
    }

    fn choose(&mut self, step: &Value, pointer: &str, depth: usize) {
        let branches = step["choose"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let at = join(pointer, "choose");
        if step["choose"].is_array() && (branches.is_empty() || branches.len() > MAX_BRANCHES) {
            let error = FieldError::new(
                at.clone(),
                format!("`choose` has {} branches", branches.len()),
            );
            self.error(error.expected(format!("1 to {MAX_BRANCHES} branches")));
        }
        for (index, branch) in branches.iter().enumerate() {
            let here = join(&at, index);
            if let Some(condition) = branch.get("if") {
                self.condition(condition, &join(&here, "if"), 1);
            }
            self.steps(&branch["then"], &join(&here, "then"), depth + 1);
        }
        self.steps(&step["otherwise"], &join(pointer, "otherwise"), depth + 1);
    }

    fn delay(&mut self, delay: &Value, pointer: &str) {
        let (span, until) = (&delay["for"], &delay["until"]);
        if delay.is_object() && span.is_string() == until.is_string() {
            let reason = if span.is_string() {
                "`for` and `until` are both here"
            } else {
                "the delay has no end"
            };
            self.error(FieldError::new(pointer, reason).expected("either `for` or `until`"));
        }
        if is_template(span) {
            self.templates(span, &join(pointer, "for"));
        } else {
            self.duration(span, &join(pointer, "for"));
        }
        if is_template(until) {
            self.templates(until, &join(pointer, "until"));
        } else if let Some(text) = until.as_str()
            && Timestamp::parse(text).is_none()
        {
            let error = FieldError::new(join(pointer, "until"), "this is not a moment");
            self.error(
                error.expected("RFC 3339 with an offset, such as 2026-01-31T09:00:00+01:00"),
            );
        }
    }

    fn set(&mut self, set: &Value, pointer: &str) {
        let Some(map) = set.as_object() else {
            return;
        };
        if map.is_empty() || map.len() > MAX_VARIABLES {
            let error = FieldError::new(pointer, format!("`set` has {} variables", map.len()));
            self.error(error.expected(format!("1 to {MAX_VARIABLES}")));
        }
        for name in map.keys() {
            let here = join(pointer, name);
            if !is_name(name) {
                let error = FieldError::new(here, format!("`{name:.64}` cannot name a variable"));
                self.error(
                    error.expected("a letter or `_`, then letters, digits or `_`, at most 64"),
                );
            }
        }
        self.tree(set, pointer);
    }
}

fn is_name(name: &str) -> bool {
    let first = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
