//! The check of conditions: kinds, fields, comparisons, windows and facts.
//!
//! Owns which constant suits which comparison. Must not know values. Invariant:
//! a condition accepted here compiles in `decide`.

use chrono_tz::{TZ_VARIANTS, Tz};
use serde_json::Value;
use so_model::{Timestamp, problem::FieldError, rule::Op};

use super::{
    catalogue::FactType,
    check::{Review, unknown_kind},
    schema::{self, CONDITION_KINDS},
    shape::describe,
    suggest::{nearest, one_of},
    text::join,
};

/// Nesting of one condition tree: beyond it nobody can read the rule.
const MAX_CONDITION_DEPTH: usize = 16;

/// Conditions in one document, which bounds the work of one decision.
const MAX_CONDITIONS: usize = 500;

/// Elements of the list of `in`.
const MAX_LIST: usize = 1_000;

/// Longest pattern of `matches`.
const MAX_PATTERN: usize = 1_000;

/// Bytes a compiled pattern may take; `regex` counts them while it builds.
/// Ample for classes of letters; with [`MAX_PATTERNS`] it bounds a rule.
const MAX_PATTERN_BYTES: usize = 256 * 1024;

/// Patterns in one document: compiled ones stay in memory.
const MAX_PATTERNS: usize = 20;

/// Days as windows name them, Monday first.
pub(crate) const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Compiles a pattern of `matches` within bounds.
pub(crate) fn compile_pattern(pattern: &str) -> Result<regex::Regex, String> {
    if pattern.len() > MAX_PATTERN {
        return Err(format!("the pattern is longer than {MAX_PATTERN} bytes"));
    }
    regex::RegexBuilder::new(pattern)
        .size_limit(MAX_PATTERN_BYTES)
        .dfa_size_limit(MAX_PATTERN_BYTES)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or("not a regular expression");
            last.trim_start_matches("error: ").to_owned()
        })
}

/// Reads `HH:MM` as minutes of the day.
pub(crate) fn parse_time(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<u16>().ok()).flatten()
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

impl Review<'_> {
    /// Checks a condition tree.
    pub(super) fn condition(&mut self, value: &Value, pointer: &str, depth: usize) {
        self.conditions += 1;
        if self.conditions == MAX_CONDITIONS + 1 {
            let error = FieldError::new(pointer, "the rule has too many conditions");
            self.error(error.expected(format!("at most {MAX_CONDITIONS}")));
        }
        if depth > MAX_CONDITION_DEPTH {
            let error = FieldError::new(pointer, "conditions are nested too deeply");
            return self.error(error.expected(format!("at most {MAX_CONDITION_DEPTH} levels")));
        }
        let Some((key, kind)) = self.kind_of(value, pointer, "condition", &CONDITION_KINDS) else {
            return;
        };
        let right = self.node(kind, value, pointer);
        match key {
            "all" | "any" => {
                for (index, part) in value[key].as_array().into_iter().flatten().enumerate() {
                    self.condition(part, &join(&join(pointer, key), index), depth + 1);
                }
            }
            "not" => self.condition(&value["not"], &join(pointer, "not"), depth + 1),
            "expr" => {
                if let Some(source) = value["expr"].as_str() {
                    self.expression(source, &join(pointer, "expr"));
                }
            }
            "time" => self.window(&value["time"], &join(pointer, "time")),
            "field" => {
                if let Some(field) = value["field"].as_str() {
                    self.field(field, &join(pointer, "field"));
                }
                if right {
                    self.constant(value, pointer, None);
                }
            }
            _ => self.fact(value, pointer, right),
        }
    }

    /// The kind of a step or condition by the one key that tells it.
    pub(super) fn kind_of(
        &mut self,
        value: &Value,
        pointer: &str,
        what: &str,
        kinds: &'static [(&'static str, &'static str)],
    ) -> Option<(&'static str, &'static str)> {
        let names = || kinds.iter().map(|(key, _)| *key);
        let Some(map) = value.as_object() else {
            let error = FieldError::new(pointer, format!("this is {}", describe(value)));
            self.error(error.expected(format!("a {what}, an object")));
            return None;
        };
        let mut found = kinds.iter().filter(|(key, _)| map.contains_key(*key));
        match (found.next(), found.next()) {
            (Some(only), None) => Some(*only),
            (Some((first, _)), Some((second, _))) => {
                let reason =
                    format!("a {what} is of one kind, but `{first}` and `{second}` are both here");
                self.error(
                    FieldError::new(join(pointer, second), reason).expected(one_of(names())),
                );
                None
            }
            (None, _) => {
                // A key that some kind has, such as `id`, is no misspelt kind.
                let strange = map.keys().filter(|key| !schema::has_key(kinds, key));
                let meant = strange
                    .into_iter()
                    .find_map(|key| Some((key, nearest(key, names())?)));
                let (pointer, reason, suggestion) = match meant {
                    Some((key, name)) => (
                        join(pointer, key),
                        format!("unknown key `{key:.64}`, and no kind of {what}"),
                        Some(name),
                    ),
                    None => (pointer.to_owned(), format!("the {what} has no kind"), None),
                };
                self.error(
                    FieldError::new(pointer, reason)
                        .suggest(suggestion)
                        .expected(one_of(names())),
                );
                None
            }
        }
    }

    fn window(&mut self, window: &Value, pointer: &str) {
        let mut ends = Vec::new();
        for key in ["from", "to"] {
            let Some(text) = window[key].as_str() else {
                continue;
            };
            ends.push(text);
            if parse_time(text).is_none() {
                let shown: String = text.chars().take(20).collect();
                let error = FieldError::new(
                    join(pointer, key),
                    format!("`{shown}` is not a time of day"),
                );
                self.error(error.expected("HH:MM from 00:00 to 23:59"));
            }
        }
        if let [from, to] = ends[..]
            && from == to
        {
            let error = FieldError::new(join(pointer, "to"), "the window ends where it begins");
            self.error(error.expected("another time; leave both out for the whole day"));
        }
        for (index, day) in window["weekdays"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
        {
            if let Some(day) = day.as_str()
                && !WEEKDAYS.contains(&day)
            {
                let inner = join(&join(pointer, "weekdays"), index);
                let start: String = day.to_lowercase().chars().take(3).collect();
                let meant = WEEKDAYS
                    .iter()
                    .find(|known| **known == start)
                    .map(|known| (*known).to_owned());
                self.error(
                    FieldError::new(inner, format!("`{day:.20}` is not a weekday"))
                        .suggest(meant.or_else(|| nearest(day, WEEKDAYS)))
                        .expected(one_of(WEEKDAYS)),
                );
            }
        }
        if let Some(zone) = window["zone"].as_str()
            && zone.parse::<Tz>().is_err()
        {
            let error = FieldError::new(
                join(pointer, "zone"),
                format!("`{zone:.64}` is not a known time zone"),
            );
            let known = TZ_VARIANTS.iter().map(|zone| zone.name());
            self.error(
                error
                    .suggest(nearest(zone, known))
                    .expected("an IANA zone such as Europe/Berlin"),
            );
        }
        if window
            .as_object()
            .is_some_and(|map| map.keys().all(|key| key == "zone"))
        {
            let error = FieldError::new(pointer, "this window is always open");
            self.error(error.expected("`from`, `to` or `weekdays`"));
        }
    }

    fn fact(&mut self, value: &Value, pointer: &str, right: bool) {
        let Some(name) = value["fact"].as_str() else {
            return;
        };
        let Some(spec) = self.catalogue.facts.get(name) else {
            let known = self.catalogue.facts.keys().map(String::as_str);
            return self.error(unknown_kind("fact", name, known, &join(pointer, "fact")));
        };
        let of = join(pointer, "of");
        self.params(&spec.params_schema, &value["of"], &of);
        self.tree(&value["of"], &of);
        if right {
            self.constant(value, pointer, Some(spec.value_type));
        }
    }

    /// Checks that operator, constant and (of a fact) type go together.
    fn constant(&mut self, node: &Value, pointer: &str, fact: Option<FactType>) {
        let Ok(op) = serde_json::from_value::<Op>(node["op"].clone()) else {
            return;
        };
        let value = &node["value"];
        let name = node["op"].as_str().unwrap_or_default();
        let at = join(pointer, "value");
        if let Some(expected) = unsuited(op, fact) {
            let error = FieldError::new(
                join(pointer, "op"),
                format!("`{name}` does not suit this fact"),
            );
            return self.error(error.expected(expected));
        }
        if let Some(expected) = wrong_constant(op, value) {
            let reason = match (value, expected) {
                (Value::Null, _) => format!("`{name}` needs a value"),
                (_, "nothing") => format!("`{name}` takes no value"),
                _ => format!("`{name}` cannot compare with {}", describe(value)),
            };
            let suggestion = (value.is_null() && op == Op::Eq).then(|| "is_empty".to_owned());
            return self.error(
                FieldError::new(at, reason)
                    .expected(expected)
                    .suggest(suggestion),
            );
        }
        if let Some(expected) = fact.and_then(|fact| unlike(fact, op, value)) {
            let error = FieldError::new(at, format!("this fact is never {}", describe(value)));
            return self.error(error.expected(expected));
        }
        if op == Op::Matches {
            self.patterns += 1;
            if self.patterns == MAX_PATTERNS + 1 {
                let error = FieldError::new(pointer, "the rule has too many patterns");
                self.error(error.expected(format!("at most {MAX_PATTERNS} uses of `matches`")));
            }
        }
        if op == Op::Matches
            && let Err(reason) = compile_pattern(value.as_str().unwrap_or_default())
        {
            self.error(FieldError::new(at, reason).expected("a regular expression"));
        }
    }
}

/// Comparisons that make no sense for a type of fact.
fn unsuited(op: Op, fact: Option<FactType>) -> Option<&'static str> {
    let order = matches!(op, Op::Gt | Op::Ge | Op::Lt | Op::Le);
    let equal = matches!(op, Op::Eq | Op::Ne | Op::Exists | Op::IsEmpty);
    let list = matches!(op, Op::In | Op::NotIn);
    match fact? {
        FactType::Number if !(order || equal || list) => {
            Some("one of eq, ne, gt, ge, lt, le, in, not_in")
        }
        FactType::Boolean if !equal => Some("one of eq, ne, exists"),
        FactType::Text if order => {
            Some("one of eq, ne, contains, starts_with, ends_with, matches, in, not_in")
        }
        _ => None,
    }
}

/// What the operator wanted, when the constant is something else.
fn wrong_constant(op: Op, value: &Value) -> Option<&'static str> {
    let scalar = value.is_string() || value.is_number() || value.is_boolean();
    let moment = value
        .as_str()
        .is_some_and(|text| Timestamp::parse(text).is_some());
    let text = value.as_str().is_some_and(|text| !text.is_empty());
    let list = value
        .as_array()
        .is_some_and(|items| !items.is_empty() && items.len() <= MAX_LIST);
    match op {
        Op::Exists | Op::IsEmpty => (!value.is_null()).then_some("nothing"),
        Op::Eq | Op::Ne => value
            .is_null()
            .then_some("a constant; use `exists` or `is_empty` for absence"),
        Op::Gt | Op::Ge | Op::Lt | Op::Le => (!value.is_number() && !moment)
            .then_some("a number or a moment such as 2026-01-31T09:00:00Z"),
        Op::Contains | Op::NotContains => {
            (!scalar || value.as_str() == Some("")).then_some("a text, a number, true or false")
        }
        Op::StartsWith | Op::EndsWith | Op::Matches => {
            (!text).then_some("a text that is not empty")
        }
        Op::In | Op::NotIn => (!list).then_some("a list of 1 to 1000 constants"),
    }
}

/// What the fact is, when it is never of the constant's type.
fn unlike(fact: FactType, op: Op, value: &Value) -> Option<&'static str> {
    let fits = |value: &Value| match fact {
        FactType::Number => value.is_number(),
        FactType::Boolean => value.is_boolean(),
        FactType::Text => value.is_string(),
    };
    let all = match (op, value) {
        (Op::Exists | Op::IsEmpty, _) => true,
        (_, Value::Array(items)) => items.iter().all(fits),
        (_, other) => fits(other),
    };
    (!all).then_some(match fact {
        FactType::Number => "a number",
        FactType::Boolean => "true or false",
        FactType::Text => "a text",
    })
}
