//! Values as YAML text, in the style of what they stand beside.
//!
//! Invariant: what is written reads as the value; where no plainer form does, it is a text in double quotes.

use saphyr_parser::ScalarStyle;
use serde_json::Value;

use crate::rule::{Format, parse};

/// Columns that a level of block style is moved.
const STEP: usize = 2;

/// A value on one line, as within brackets.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let entries: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}: {}", key_text(key), flow(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        other => scalar(other, ScalarStyle::Plain, true),
    }
}

/// A scalar on one line, in the style wished for where that reads right.
pub(super) fn scalar(value: &Value, style: ScalarStyle, is_flow: bool) -> String {
    let Value::String(text) = value else {
        return value.to_string();
    };
    let plain = !text.contains(['\n', '\r']) && style == ScalarStyle::Plain;
    if plain && reads_as(text, value, is_flow) {
        return text.clone();
    }
    let single = format!("'{}'", text.replace('\'', "''"));
    if style == ScalarStyle::SingleQuoted && reads_as(&single, value, is_flow) {
        return single;
    }
    quoted(text)
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Line separators end a line in YAML as well.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn reads_as(text: &str, value: &Value, is_flow: bool) -> bool {
    let whole = match is_flow {
        true => format!("{{k: [{text}, {text}]}}"),
        false => format!("k: {text} # c\nl: 1"),
    };
    parse(&whole, Format::Yaml).is_ok_and(|(read, _)| match is_flow {
        true => read["k"] == Value::from(vec![value.clone(), value.clone()]),
        false => read["k"] == *value && read["l"] == 1,
    })
}

pub(super) fn key_text(key: &str) -> String {
    let plain = key
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    let value = Value::String(key.to_owned());
    match plain && reads_as(key, &value, true) {
        true => key.to_owned(),
        false => quoted(key),
    }
}

/// A value in block style behind a key or dash at `column`: begins with a space or with a new line.
pub(super) fn behind(value: &Value, column: usize, is_item: bool) -> String {
    let inner = column + STEP;
    let margin = " ".repeat(inner);
    match value {
        Value::Object(map) if !map.is_empty() => {
            let lines: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}:{}", key_text(key), behind(value, inner, false)))
                .collect();
            let first = if is_item {
                " ".to_owned()
            } else {
                format!("\n{margin}")
            };
            format!("{first}{}", lines.join(&format!("\n{margin}")))
        }
        Value::Array(items) if !items.is_empty() && items.iter().any(is_nested) => {
            let lines: Vec<String> = items
                .iter()
                .map(|value| format!("-{}", behind(value, inner, true)))
                .collect();
            let first = if is_item {
                " ".to_owned()
            } else {
                format!("\n{margin}")
            };
            format!("{first}{}", lines.join(&format!("\n{margin}")))
        }
        Value::String(text) => match literal(text, inner) {
            Some(literal) => format!(" {literal}"),
            None => format!(" {}", scalar(value, ScalarStyle::Plain, false)),
        },
        other => format!(" {}", flow(other)),
    }
}

fn is_nested(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

/// A text of several lines behind `|`, where that keeps every character.
pub(super) fn literal(text: &str, column: usize) -> Option<String> {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let is_fit = body.contains('\n')
        && !body.starts_with([' ', '\n'])
        && !body.ends_with('\n')
        && !text.contains(|c: char| {
            (c.is_control() && c != '\n')
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{85}' | '\u{feff}')
        });
    if !is_fit {
        return None;
    }
    let mark = if text.ends_with('\n') { "|" } else { "|-" };
    let margin = " ".repeat(column);
    let lines: Vec<String> = body
        .split('\n')
        .map(|line| match line.is_empty() {
            true => String::new(),
            false => format!("{margin}{line}"),
        })
        .collect();
    Some(format!("{mark}\n{}", lines.join("\n")))
}
