//! Expressions that need no script engine: comparisons of an event's properties with constants, and how they are joined.
//!
//! Owns what is plain. Must not judge what a script would call a mistake. Invariant: an answer is the one that the script
//! gives; wherever that is not certain (a property is missing, a value is of another type) there is none, and the script
//! is asked.

use serde_json::{Number, Value};

use super::{
    facts::Facts,
    path::{Path, Seen},
};
use crate::script::{CompiledScript, Logic, TextTest, logic};

/// Longest text looked at here; for longer ones a script has bounds of its own.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// An expression, as far as it is plain.
#[derive(Debug, Clone)]
pub(super) enum Plain {
    And(Box<[Plain]>),
    Or(Box<[Plain]>),
    Not(Box<Plain>),
    Constant(bool),
    Compare(Path, Order, Value),
    Text(Path, TextTest, Box<str>),
    Bare(Path),
    Unknown,
}

/// How the property on the left compares with the constant on the right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    Unequal,
    Less,
    Greater,
    AtMost,
    AtLeast,
}

impl Plain {
    /// None where nothing of it is.
    pub fn of(script: &CompiledScript) -> Option<Self> {
        let plain = Self::from(logic(script));
        plain.may_answer().then_some(plain)
    }

    fn from(logic: Logic) -> Self {
        let all = |parts: Vec<Logic>| parts.into_iter().map(Self::from).collect();
        match logic {
            Logic::And(parts) => Self::And(all(parts)),
            Logic::Or(parts) => Self::Or(all(parts)),
            Logic::Not(part) => Self::Not(Box::new(Self::from(*part))),
            Logic::Constant(held) => Self::Constant(held),
            Logic::Bare(path) => Path::parse(&path).map_or(Self::Unknown, Self::Bare),
            Logic::Compare {
                path,
                operator,
                value,
            } => match (Path::parse(&path), Order::parse(operator)) {
                (Some(path), Some(order)) => Self::Compare(path, order, value),
                _ => Self::Unknown,
            },
            Logic::Text { path, test, value } => match Path::parse(&path) {
                Some(path) => Self::Text(path, test, value.into()),
                None => Self::Unknown,
            },
            Logic::Opaque => Self::Unknown,
        }
    }

    /// A part that comes after an unknown one is never reached.
    fn may_answer(&self) -> bool {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.first().is_some_and(Self::may_answer),
            Self::Not(part) => part.may_answer(),
            Self::Unknown => false,
            _ => true,
        }
    }

    /// What the script would answer; none if it must be asked.
    pub fn holds(&self, facts: &Facts<'_>) -> Option<bool> {
        match self {
            Self::And(parts) => joined(parts, facts, false),
            Self::Or(parts) => joined(parts, facts, true),
            Self::Not(part) => part.holds(facts).map(|held| !held),
            Self::Constant(held) => Some(*held),
            Self::Compare(path, order, value) => order.compare(&path.strictly(facts)?, value),
            Self::Text(path, test, value) => match path.strictly(facts)? {
                Seen::Text(text) if text.len() <= TEXT_BYTES_MAX => Some(match test {
                    TextTest::Contains => text.contains(&**value),
                    TextTest::StartsWith => text.starts_with(&**value),
                    TextTest::EndsWith => text.ends_with(&**value),
                }),
                _ => None,
            },
            Self::Bare(path) => match path.strictly(facts)? {
                Seen::Json(Value::Bool(held)) => Some(*held),
                _ => None,
            },
            Self::Unknown => None,
        }
    }
}

/// Looked at in order until one settles it, as scripts do.
fn joined(parts: &[Plain], facts: &Facts<'_>, settles: bool) -> Option<bool> {
    for part in parts {
        if part.holds(facts)? == settles {
            return Some(settles);
        }
    }
    Some(!settles)
}

impl Order {
    fn parse(operator: &str) -> Option<Self> {
        Some(match operator {
            "==" => Self::Equal,
            "!=" => Self::Unequal,
            "<" => Self::Less,
            ">" => Self::Greater,
            "<=" => Self::AtMost,
            ">=" => Self::AtLeast,
            _ => return None,
        })
    }

    /// Of two values of one type; a script has rules of its own for two types.
    fn compare(self, seen: &Seen<'_>, value: &Value) -> Option<bool> {
        match (seen, value) {
            (Seen::Text(left), Value::String(right)) if left.len() <= TEXT_BYTES_MAX => {
                Some(self.holds(&**left, right.as_str()))
            }
            (Seen::Json(Value::Bool(left)), Value::Bool(right)) => match self {
                Self::Equal => Some(left == right),
                Self::Unequal => Some(left != right),
                _ => None,
            },
            (Seen::Json(Value::Number(left)), Value::Number(right)) => self.numbers(left, right),
            _ => None,
        }
    }

    fn numbers(self, left: &Number, right: &Number) -> Option<bool> {
        match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => Some(self.holds(&left, &right)),
            // A whole number of more than 64 bits is none for a script.
            (None, None) if left.is_f64() && right.is_f64() => {
                Some(self.holds(&left.as_f64()?, &right.as_f64()?))
            }
            _ => None,
        }
    }

    fn holds<T: PartialOrd + ?Sized>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Unequal => left != right,
            Self::Less => left < right,
            Self::Greater => left > right,
            Self::AtMost => left <= right,
            Self::AtLeast => left >= right,
        }
    }
}
