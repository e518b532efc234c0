//! Comparisons of a value with a constant.
//!
//! Owns what each operator means for each type, and how it is said. Must not
//! know where values come from. Invariant: an absent value satisfies only the
//! operators that deny something, and `is_empty`.

use std::borrow::Cow;

use regex::Regex;
use serde_json::{Number, Value};
use so_model::{Timestamp, rule::Op, time::SECOND, why::Distance};

use crate::rule::compile_pattern;

use super::{
    path::Seen,
    say::{shown, spoken},
};

/// Longest text that is looked for without copying: bounds the work to a
/// small multiple of the text searched.
const SHORT_NEEDLE: usize = 64;

/// A compiled comparison.
#[derive(Debug, Clone)]
pub(super) struct Test {
    op: Op,
    value: Value,
    constant: Constant,
}

#[derive(Debug, Clone)]
enum Constant {
    /// The value itself serves.
    Plain,
    /// A text in lower case.
    Lower(Box<str>),
    Moment(Timestamp),
    Pattern(Box<Regex>),
}

impl Test {
    /// Compiles a comparison.
    pub fn compile(op: Op, value: &Value) -> Result<Self, String> {
        let text = value.as_str();
        let constant = match (op, text) {
            (Op::Matches, Some(pattern)) => Constant::Pattern(Box::new(compile_pattern(pattern)?)),
            (Op::Matches | Op::StartsWith | Op::EndsWith, None) => {
                return Err("the value must be a text".into());
            }
            (Op::Contains | Op::NotContains | Op::StartsWith | Op::EndsWith, Some(text)) => {
                Constant::Lower(text.to_lowercase().into())
            }
            (Op::Gt | Op::Ge | Op::Lt | Op::Le, Some(text)) => {
                let moment =
                    Timestamp::parse(text).ok_or("the value must be a number or a moment")?;
                Constant::Moment(moment)
            }
            (Op::Gt | Op::Ge | Op::Lt | Op::Le, None) if !value.is_number() => {
                return Err("the value must be a number or a moment".into());
            }
            (Op::In | Op::NotIn, _) if !value.is_array() => {
                return Err("the value must be a list".into());
            }
            _ => Constant::Plain,
        };
        Ok(Self {
            op,
            value: value.clone(),
            constant,
        })
    }

    /// Whether the comparison holds; the error says what type was wanted.
    pub fn holds(&self, seen: &Seen<'_>) -> Result<bool, &'static str> {
        match self.op {
            Op::Exists => return Ok(*seen != Seen::Missing),
            Op::IsEmpty => return Ok(is_empty(seen)),
            Op::Ne => return Ok(!self.equals(seen, &self.value)),
            Op::NotIn => return Ok(!self.among(seen)),
            Op::NotContains => return self.contains(seen).map(|found| !found),
            _ if *seen == Seen::Missing => return Ok(false),
            _ => {}
        }
        match self.op {
            Op::Eq => Ok(self.equals(seen, &self.value)),
            Op::In => Ok(self.among(seen)),
            Op::Contains => self.contains(seen),
            Op::Gt | Op::Ge | Op::Lt | Op::Le => self.ordered(seen),
            Op::StartsWith => Ok(starts_with(text(seen)?, self.lower())),
            Op::EndsWith => Ok(ends_with(text(seen)?, self.lower())),
            _ => match &self.constant {
                Constant::Pattern(pattern) => Ok(pattern.is_match(text(seen)?)),
                _ => Ok(false),
            },
        }
    }

    fn lower(&self) -> &str {
        match &self.constant {
            Constant::Lower(text) => text,
            _ => "",
        }
    }

    fn equals(&self, seen: &Seen<'_>, value: &Value) -> bool {
        match (seen, value) {
            (Seen::Text(text), Value::String(wanted)) => **text == **wanted,
            (Seen::Json(Value::Number(one)), Value::Number(other)) => same_number(one, other),
            (Seen::Json(one), other) => *one == other,
            _ => false,
        }
    }

    fn among(&self, seen: &Seen<'_>) -> bool {
        let list = self.value.as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().any(|value| self.equals(seen, value))
    }

    fn contains(&self, seen: &Seen<'_>) -> Result<bool, &'static str> {
        match (seen, &self.constant) {
            (Seen::Missing, _) => Ok(false),
            (Seen::Text(text), Constant::Lower(needle)) => Ok(has_part(text, needle)),
            (Seen::Json(Value::Array(items)), Constant::Lower(wanted)) => Ok(items
                .iter()
                .filter_map(Value::as_str)
                .any(|item| item.len() <= wanted.len() * 4 && lowered(item) == **wanted)),
            (Seen::Json(Value::Array(items)), _) => Ok(items
                .iter()
                .any(|item| self.equals(&Seen::of(item), &self.value))),
            (Seen::Text(_), _) => Err("a list"),
            _ => Err("a text or a list"),
        }
    }

    fn ordered(&self, seen: &Seen<'_>) -> Result<bool, &'static str> {
        let order = match (&self.constant, seen) {
            (Constant::Moment(wanted), Seen::Text(text)) => {
                Timestamp::parse(text).ok_or("a moment")?.cmp(wanted)
            }
            (Constant::Moment(_), _) => return Err("a moment"),
            (_, Seen::Json(Value::Number(number))) => match self.value.as_number() {
                Some(wanted) => compare_numbers(number, wanted),
                None => return Err("a number"),
            },
            _ => return Err("a number"),
        };
        Ok(match self.op {
            Op::Gt => order.is_gt(),
            Op::Ge => order.is_ge(),
            Op::Lt => order.is_lt(),
            _ => order.is_le(),
        })
    }

    /// What the comparison wants, to follow `wanted`.
    pub fn wanted(&self) -> String {
        let value = shown(&self.value);
        match self.op {
            Op::Eq => value,
            Op::Ne => format!("anything but {value}"),
            Op::Gt if self.is_moment() => format!("after {value}"),
            Op::Ge if self.is_moment() => format!("not before {value}"),
            Op::Lt if self.is_moment() => format!("before {value}"),
            Op::Le if self.is_moment() => format!("not after {value}"),
            Op::Gt => format!("more than {value}"),
            Op::Ge => format!("at least {value}"),
            Op::Lt => format!("less than {value}"),
            Op::Le => format!("at most {value}"),
            Op::Contains => format!("{value} in it"),
            Op::NotContains => format!("no {value} in it"),
            Op::StartsWith => format!("{value} at the start"),
            Op::EndsWith => format!("{value} at the end"),
            Op::Matches => format!("a match of {value}"),
            Op::In => format!("one of {value}"),
            Op::NotIn => format!("none of {value}"),
            Op::Exists => "anything".into(),
            Op::IsEmpty => "nothing".into(),
        }
    }

    /// How far a value that fails is from what is wanted, where that can be said.
    pub fn distance(&self, seen: &Seen<'_>) -> Option<Distance> {
        let plain = |text: String| Distance {
            by: None,
            unit: String::new(),
            text,
        };
        if *seen == Seen::Missing {
            return Some(plain("it is absent".into()));
        }
        match (self.op, &self.constant, seen) {
            (Op::Gt | Op::Ge | Op::Lt | Op::Le, Constant::Moment(wanted), Seen::Text(text)) => {
                let micros = Timestamp::parse(text)?.since(*wanted);
                let side = if micros < 0 { "too early" } else { "too late" };
                Some(Distance {
                    by: Some(micros.abs() as f64 / SECOND as f64),
                    unit: "seconds".into(),
                    text: format!("{} {side}", spoken(micros)),
                })
            }
            (Op::Gt | Op::Ge | Op::Lt | Op::Le, _, Seen::Json(Value::Number(number))) => {
                let by = (number.as_f64()? - self.value.as_f64()?).abs();
                let side = match self.op {
                    _ if by == 0.0 => "exactly the bound, which is not enough".to_owned(),
                    Op::Gt | Op::Ge => format!("{} short", round(by)),
                    _ => format!("{} over", round(by)),
                };
                Some(Distance {
                    by: Some(by),
                    unit: String::new(),
                    text: side,
                })
            }
            (Op::Contains | Op::StartsWith | Op::EndsWith, ..) => {
                let place = match self.op {
                    Op::StartsWith => "at its start",
                    Op::EndsWith => "at its end",
                    _ => "in it",
                };
                Some(plain(format!("{} is not {place}", shown(&self.value))))
            }
            _ => None,
        }
    }

    fn is_moment(&self) -> bool {
        matches!(self.constant, Constant::Moment(_))
    }
}

/// A number as people write it: two decimals at the most.
fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

fn text<'s>(seen: &'s Seen<'_>) -> Result<&'s str, &'static str> {
    match seen {
        Seen::Text(text) => Ok(text),
        _ => Err("a text"),
    }
}

fn is_empty(seen: &Seen<'_>) -> bool {
    match seen {
        Seen::Missing => true,
        Seen::Text(text) => text.is_empty(),
        Seen::Json(Value::Array(items)) => items.is_empty(),
        Seen::Json(Value::Object(map)) => map.is_empty(),
        Seen::Json(_) => false,
    }
}

fn same_number(one: &Number, other: &Number) -> bool {
    compare_numbers(one, other).is_eq()
}

/// By value: whole numbers exactly, others as 64-bit floats.
fn compare_numbers(one: &Number, other: &Number) -> std::cmp::Ordering {
    match (wide(one), wide(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => {
            let float = |number: &Number| number.as_f64().unwrap_or(f64::MAX);
            // Adding zero makes −0 equal to 0, as it is by value.
            (float(one) + 0.0).total_cmp(&(float(other) + 0.0))
        }
    }
}

fn wide(number: &Number) -> Option<i128> {
    let signed = number.as_i64().map(i128::from);
    signed.or_else(|| number.as_u64().map(i128::from))
}

fn lowered(text: &str) -> Cow<'_, str> {
    if text
        .bytes()
        .any(|b| b.is_ascii_uppercase() || !b.is_ascii())
    {
        Cow::Owned(text.to_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

fn has_part(text: &str, needle: &str) -> bool {
    if !text.is_ascii() || needle.len() > SHORT_NEEDLE {
        return lowered(text).contains(needle);
    }
    let (text, needle) = (text.as_bytes(), needle.as_bytes());
    let Some(first) = needle.first() else {
        return true;
    };
    text.windows(needle.len())
        .any(|part| part[0].to_ascii_lowercase() == *first && part.eq_ignore_ascii_case(needle))
}

fn starts_with(text: &str, needle: &str) -> bool {
    if text.is_ascii() {
        let part = text.as_bytes().get(..needle.len());
        return part.is_some_and(|part| part.eq_ignore_ascii_case(needle.as_bytes()));
    }
    lowered(text).starts_with(needle)
}

fn ends_with(text: &str, needle: &str) -> bool {
    if text.is_ascii() {
        let from = text.len().checked_sub(needle.len());
        let part = from.and_then(|from| text.as_bytes().get(from..));
        return part.is_some_and(|part| part.eq_ignore_ascii_case(needle.as_bytes()));
    }
    lowered(text).ends_with(needle)
}
