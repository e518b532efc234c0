//! Values as traces show them: short, in one line.
//!
//! Owns how much of a value is kept. Must not know conditions. Invariant: what
//! is kept of a value is bounded, however large the value.

use serde_json::Value;

use super::path::Seen;

/// Characters of a text kept in a trace.
const MAX_TEXT: usize = 120;

/// Bytes of a list or object kept in a trace.
const MAX_JSON: usize = 400;

/// A text, cut.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// A value, shortened, as data.
pub(super) fn shortened(seen: &Seen<'_>) -> Value {
    match seen {
        Seen::Missing => Value::Null,
        Seen::Text(text) => Value::String(cut(text)),
        Seen::Json(value @ (Value::Array(_) | Value::Object(_))) => {
            if weighs_little(value, &mut MAX_JSON.clone()) {
                (*value).clone()
            } else {
                Value::String(size(value))
            }
        }
        Seen::Json(value) => (*value).clone(),
    }
}

/// A value in a sentence.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "absent".into(),
        Value::String(text) => format!("\"{}\"", cut(text)),
        Value::Array(_) | Value::Object(_) if !weighs_little(value, &mut MAX_TEXT.clone()) => {
            size(value)
        }
        other => other.to_string(),
    }
}

/// A seen value in a sentence.
pub(super) fn shown_seen(seen: &Seen<'_>) -> String {
    match seen {
        Seen::Missing => "absent".into(),
        Seen::Text(text) => format!("\"{}\"", cut(text)),
        Seen::Json(value) => shown(value),
    }
}

/// A span in words, whatever its sign: `12 minutes`.
pub(crate) fn spoken(micros: i64) -> String {
    let seconds = micros.unsigned_abs() / 1_000_000;
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

fn size(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(map) => format!("an object of {} keys", map.len()),
        other => cut(&other.to_string()),
    }
}

/// Whether a value is short when written, found out without writing it.
fn weighs_little(value: &Value, left: &mut usize) -> bool {
    let own = match value {
        Value::String(text) => text.len() + 2,
        Value::Object(map) => {
            2 + map
                .keys()
                .take(*left)
                .map(|key| key.len() + 4)
                .sum::<usize>()
        }
        Value::Array(items) => 2 + items.len(),
        _ => 8,
    };
    let Some(rest) = left.checked_sub(own) else {
        return false;
    };
    *left = rest;
    match value {
        Value::Array(items) => items.iter().all(|item| weighs_little(item, left)),
        Value::Object(map) => map.values().all(|item| weighs_little(item, left)),
        _ => true,
    }
}
