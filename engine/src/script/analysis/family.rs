//! Families of types that compare among themselves, and which functions yield which.
//!
//! Invariant: a function that is listed yields its family whatever it is given; all others are unknown.

use rhai::{Expr, FnCallExpr};

use crate::script::shape::Shape;

/// Types that compare among themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Whole or not.
    Number,
    /// A text or a character.
    Text,
    /// True or false.
    Bool,
    /// A list.
    List,
    /// An object.
    Object,
}

impl Family {
    /// In the words of the documentation.
    pub fn word(self) -> &'static str {
        match self {
            Family::Number => "a number",
            Family::Text => "a text",
            Family::Bool => "true or false",
            Family::List => "a list",
            Family::Object => "an object",
        }
    }

    /// The family of a shape.
    pub fn of_shape(shape: &Shape) -> Option<Self> {
        Some(match shape {
            Shape::Any => return None,
            Shape::Object(_) | Shape::Open(_) => Family::Object,
            Shape::Array(_) => Family::List,
            Shape::String => Family::Text,
            Shape::Integer | Shape::Number => Family::Number,
            Shape::Bool => Family::Bool,
        })
    }

    /// A shape of the family, of which no more is known.
    pub fn shape(self) -> Shape {
        match self {
            Family::Number => Shape::Number,
            Family::Text => Shape::String,
            Family::Bool => Shape::Bool,
            Family::List => Shape::Array(Box::default()),
            Family::Object => Shape::Open(std::collections::BTreeMap::new()),
        }
    }

    /// The family of a literal.
    pub(super) fn of_literal(expression: &Expr) -> Option<Self> {
        Some(match expression {
            Expr::IntegerConstant(..) | Expr::FloatConstant(..) => Family::Number,
            Expr::StringConstant(..) | Expr::InterpolatedString(..) | Expr::CharConstant(..) => {
                Family::Text
            }
            Expr::BoolConstant(..) | Expr::And(..) | Expr::Or(..) => Family::Bool,
            Expr::Array(..) => Family::List,
            Expr::Map(..) => Family::Object,
            _ => return None,
        })
    }
}

const NUMBERS: &[&str] = &[
    "len",
    "count_chars",
    "index_of",
    "now",
    "random",
    "random_int",
    "iso_to_micros",
    "parse_int",
    "parse_float",
    "to_int",
    "to_float",
];
const TEXTS: &[&str] = &[
    "now_iso",
    "truncate_chars",
    "strip_html",
    "slug",
    "url_encode",
    "json",
    "lower",
    "upper",
    "to_upper",
    "to_lower",
    "trim",
    "replace",
    "format_time",
    "sub_string",
    "to_string",
    "type_of",
];
const BOOLS: &[&str] = &[
    "contains",
    "starts_with",
    "ends_with",
    "is_empty",
    "has",
    "regex_matches",
    "some",
    "all",
    "is_odd",
    "is_even",
];
const LISTS: &[&str] = &["hashtags", "links", "split", "keys", "values"];

/// What a function yields, if that is the same whatever it is given.
pub(super) fn of_function(name: &str) -> Option<Family> {
    [
        (NUMBERS, Family::Number),
        (TEXTS, Family::Text),
        (BOOLS, Family::Bool),
        (LISTS, Family::List),
    ]
    .into_iter()
    .find_map(|(names, family)| names.contains(&name).then_some(family))
}

/// What an operator yields of such operands.
pub(super) fn of_operator(
    call: &FnCallExpr,
    operand: impl Fn(&Expr) -> Option<Family>,
) -> Option<Family> {
    match (call.name.as_str(), call.args.as_slice()) {
        ("==" | "!=" | "<" | ">" | "<=" | ">=" | "!" | "in", _) => Some(Family::Bool),
        ("+", [left, right]) => match (operand(left)?, operand(right)?) {
            (Family::Number, Family::Number) => Some(Family::Number),
            (Family::Text, Family::Text | Family::Number | Family::Bool)
            | (Family::Number | Family::Bool, Family::Text) => Some(Family::Text),
            _ => None,
        },
        ("-" | "*" | "/" | "%" | "**", [left, right]) => {
            let both = (operand(left)?, operand(right)?);
            (both == (Family::Number, Family::Number)).then_some(Family::Number)
        }
        _ => None,
    }
}

/// True when the operator has no meaning for such operands.
pub(super) fn is_bad_operand(operator: &str, left: Family, right: Family) -> bool {
    use Family::{Bool, List, Number, Object, Text};
    let counts = matches!(operator, "-" | "*" | "/" | "%" | "**");
    let strange = |family: Family| matches!(family, Bool | List | Object);
    counts
        && (matches!((left, right), (Number, Text) | (Text, Number))
            || (matches!(operator, "*" | "/" | "%" | "**") && (left == Text || right == Text))
            || (strange(left) && matches!(right, Number | Text))
            || (strange(right) && matches!(left, Number | Text)))
}
