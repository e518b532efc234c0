//! Values and clauses as sentences have them.
//!
//! Invariant: what is shown of a value is short, and of two texts it holds the first place where they differ.

use serde_json::Value;

/// Characters of a value in a sentence.
const SHOWN_MAX: usize = 80;
/// Characters shown before the first difference of two long texts.
const BEFORE: usize = 20;

/// A value, short.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::String(text) => format!("“{}”", cut(text, 0)),
        other => cut(&other.to_string(), 0),
    }
}

/// ` from … to …`, with the place where they differ.
pub(super) fn two(old: &Value, new: &Value) -> String {
    if let (Value::String(one), Value::String(other)) = (old, new) {
        let same = one
            .chars()
            .zip(other.chars())
            .take_while(|(a, b)| a == b)
            .count();
        let long = one.chars().count().max(other.chars().count()) > SHOWN_MAX;
        let from = if long { same.saturating_sub(BEFORE) } else { 0 };
        return format!(" from “{}” to “{}”", cut(one, from), cut(other, from));
    }
    format!(" from {} to {}", plain(old), plain(new))
}

/// At most so many characters of a text from one on, in one line.
fn cut(text: &str, from: usize) -> String {
    let mut rest = text.chars().skip(from);
    let mut shown = String::new();
    if from > 0 {
        shown.push('…');
    }
    for letter in rest.by_ref().take(SHOWN_MAX) {
        shown.push(if letter == '\n' { '⏎' } else { letter });
    }
    if rest.next().is_some() {
        shown.push('…');
    }
    shown
}

/// A bare text or a value.
pub(super) fn bare(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| plain(value), |text| cut(text, 0))
}

/// A field without what every field begins with.
pub(super) fn field(value: &Value) -> String {
    let name = value.as_str().unwrap_or_default();
    let short = ["event.data.", "event."]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix));
    short.unwrap_or(name).to_owned()
}

/// What a comparison wants: `at least 100`.
pub(super) fn wanted(op: &Value, value: &Value) -> String {
    let value = plain(value);
    match op.as_str().unwrap_or_default() {
        "eq" => value,
        "ne" => format!("anything but {value}"),
        "gt" => format!("more than {value}"),
        "ge" => format!("at least {value}"),
        "lt" => format!("less than {value}"),
        "le" => format!("at most {value}"),
        "contains" => format!("{value} in it"),
        "not_contains" => format!("no {value} in it"),
        "starts_with" => format!("{value} at the start"),
        "ends_with" => format!("{value} at the end"),
        "matches" => format!("a match of {value}"),
        "in" => format!("one of {value}"),
        "not_in" => format!("none of {value}"),
        "exists" => "anything".into(),
        "is_empty" => "nothing".into(),
        other => format!("{other} {value}"),
    }
}

/// A condition in words: `likes: at least 100`.
pub(super) fn clause(value: &Value) -> String {
    let count = |list: &Value| list.as_array().map_or(0, Vec::len);
    let map = match value.as_object() {
        Some(map) => map,
        None => return plain(value),
    };
    if let Some(name) = map.get("field") {
        let value = map.get("value").unwrap_or(&Value::Null);
        return format!("{}: {}", field(name), wanted(&map["op"], value));
    }
    if map.contains_key("fact") {
        let value = map.get("value").unwrap_or(&Value::Null);
        return format!(
            "{}: {}",
            fact(value_of(map, "fact"), value_of(map, "of")),
            wanted(&map["op"], value)
        );
    }
    if let Some(window) = map.get("time") {
        return format!("the time is {}", window_words(window));
    }
    if let Some(expr) = map.get("expr") {
        return format!("`{}`", bare(expr));
    }
    if let Some(parts) = map.get("all") {
        return format!("all of {} clauses", count(parts));
    }
    if let Some(parts) = map.get("any") {
        return format!("any of {} clauses", count(parts));
    }
    match map.get("not") {
        Some(part) => format!("not ({})", clause(part)),
        None => plain(value),
    }
}

fn value_of<'a>(map: &'a serde_json::Map<String, Value>, key: &str) -> &'a Value {
    map.get(key).unwrap_or(&Value::Null)
}

/// A fact with what it is asked of: `queue_length (queue: “Main”)`.
pub(super) fn fact(name: &Value, of: &Value) -> String {
    let asked: Vec<String> = of
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}: {}", plain(value)))
        .collect();
    match asked.is_empty() {
        true => bare(name),
        false => format!("{} ({})", bare(name), asked.join(", ")),
    }
}

/// `09:00–17:00`; a side that is absent is midnight.
pub(super) fn span(window: &Value) -> String {
    let side = |name: &str| window[name].as_str().map(short_time);
    match (side("from"), side("to")) {
        (None, None) => "the whole day".into(),
        (from, to) => format!(
            "{}–{}",
            from.unwrap_or_else(|| "0".into()),
            to.unwrap_or_else(|| "24".into())
        ),
    }
}

/// `9` for `09:00`, `9:30` for `09:30`.
fn short_time(time: &str) -> String {
    let (hours, minutes) = time.split_once(':').unwrap_or((time, "00"));
    let hours = hours.strip_prefix('0').filter(|rest| !rest.is_empty());
    let hours = hours.unwrap_or_else(|| time.split(':').next().unwrap_or(time));
    match minutes {
        "00" => hours.to_owned(),
        minutes => format!("{hours}:{minutes}"),
    }
}

/// `mon, tue`; every day without.
pub(super) fn days(window: &Value) -> String {
    let days: Vec<&str> = window["weekdays"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    match days.is_empty() {
        true => "every day".into(),
        false => days.join(", "),
    }
}

/// The zone, or that of the workspace.
pub(super) fn zone(value: &Value) -> String {
    value["zone"]
        .as_str()
        .map_or_else(|| "the workspace's zone".into(), ToOwned::to_owned)
}

fn window_words(window: &Value) -> String {
    format!("{}, {}, {}", span(window), days(window), zone(window))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn long_texts_are_shown_where_they_differ() {
        let (one, other) = ("a".repeat(200) + "x", "a".repeat(200) + "y");
        let told = two(&json!(one), &json!(other));
        assert!(told.contains("ax” to “") && told.ends_with("ay”"), "{told}");
        assert_eq!(span(&json!({"from": "09:00", "to": "17:30"})), "9–17:30");
        assert_eq!(span(&json!({"from": "00:00", "to": "18:00"})), "0–18");
        assert_eq!(
            clause(&json!({"not": {"field": "event.data.likes", "op": "ge", "value": 3}})),
            "not (likes: at least 3)"
        );
    }
}
