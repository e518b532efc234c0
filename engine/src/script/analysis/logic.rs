//! The logic of an expression: how comparisons with constants are joined.
//!
//! Must not know what paths mean. Invariant: what is not understood becomes an opaque part of its own, so
//! that nothing is concluded from it.

use rhai::{Expr, FnCallExpr, Stmt};
use serde_json::{Value, json};

use super::{
    chain::{Chain, Step},
    statements,
};
use crate::script::sandbox::CompiledScript;

/// Functions whose value changes from one look to the next.
const VOLATILE: [&str; 2] = ["now", "now_iso"];
/// Functions whose value is drawn by chance; it changes as well.
pub(crate) const DRAWS: [&str; 3] = ["random", "random_int", "one_of"];

/// Nesting followed; deeper parts are opaque.
const MAX_DEPTH: usize = 32;

/// An expression as logic.
#[derive(Debug, Clone, PartialEq)]
pub enum Logic {
    /// Every part holds; looked at in order until one does not.
    And(Vec<Logic>),
    /// One part holds; looked at in order until one does.
    Or(Vec<Logic>),
    /// The part does not hold.
    Not(Box<Logic>),
    /// Always so.
    Constant(bool),
    /// A property compared with a constant.
    Compare {
        /// Dotted path from a variable: `event.data.likes`.
        path: String,
        /// `==`, `!=`, `<`, `>`, `<=` or `>=`, the path on the left.
        operator: &'static str,
        /// A text, a number, true or false.
        value: Value,
    },
    /// A property that is a text, tried with a constant.
    Text {
        /// Dotted path from a variable: `event.data.text`.
        path: String,
        /// What is tried.
        test: TextTest,
        /// The constant.
        value: String,
    },
    /// A property by itself, which must be true or false.
    Bare(String),
    /// Anything else.
    Opaque,
}

/// What a text is tried for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextTest {
    /// Has the constant in it.
    Contains,
    /// Begins with it.
    StartsWith,
    /// Ends with it.
    EndsWith,
}

impl TextTest {
    fn parse(function: &str) -> Option<Self> {
        Some(match function {
            "contains" => Self::Contains,
            "starts_with" => Self::StartsWith,
            "ends_with" => Self::EndsWith,
            _ => return None,
        })
    }
}

/// The logic of an expression; opaque as a whole if it is more than one expression.
pub fn logic(script: &CompiledScript) -> Logic {
    match statements(script) {
        [Stmt::Expr(expression)] => of(expression, 0),
        [Stmt::FnCall(call, _)] => of_call(call, 0),
        _ => Logic::Opaque,
    }
}

/// True when the script's value depends on more than what it is given.
pub fn is_volatile(script: &CompiledScript) -> bool {
    let mut found = script.calls_volatile();
    super::visit_all(script, &mut |path| {
        let call = match path.last() {
            Some(rhai::ASTNode::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _))) => call,
            Some(rhai::ASTNode::Stmt(Stmt::FnCall(call, _))) => call,
            _ => return,
        };
        found |= is_volatile_function(&call.name);
    });
    found
}

/// Whether a function's value changes from one look to the next.
pub(in crate::script) fn is_volatile_function(name: &str) -> bool {
    VOLATILE.contains(&name) || draws_chance(name)
}

/// Whether a function's value is drawn by chance.
pub(in crate::script) fn draws_chance(name: &str) -> bool {
    DRAWS.contains(&name)
}

fn of(expression: &Expr, depth: usize) -> Logic {
    if depth > MAX_DEPTH {
        return Logic::Opaque;
    }
    let parts =
        |parts: &[Expr]| -> Vec<Logic> { parts.iter().map(|part| of(part, depth + 1)).collect() };
    match expression {
        Expr::BoolConstant(held, _) => Logic::Constant(*held),
        Expr::And(inner, _) => Logic::And(parts(inner)),
        Expr::Or(inner, _) => Logic::Or(parts(inner)),
        Expr::FnCall(call, _) => of_call(call, depth),
        Expr::Dot(..) | Expr::Index(..) => of_chain(expression),
        _ => Logic::Opaque,
    }
}

fn of_chain(expression: &Expr) -> Logic {
    let chain = Chain::of(expression);
    let (links, call) = match chain.steps.split_last() {
        Some((Step::Method(call), links)) => (links, Some(*call)),
        _ => (chain.steps.as_slice(), None),
    };
    let Some(path) = dotted(chain.root, links) else {
        return Logic::Opaque;
    };
    match call {
        None => Logic::Bare(path),
        Some(call) => of_text(path, call, call.args.as_slice()),
    }
}

fn of_text(path: String, call: &FnCallExpr, args: &[Expr]) -> Logic {
    match (TextTest::parse(&call.name), args) {
        (Some(test), [Expr::StringConstant(value, _)]) if !call.is_qualified() => Logic::Text {
            path,
            test,
            value: value.to_string(),
        },
        _ => Logic::Opaque,
    }
}

fn of_call(call: &FnCallExpr, depth: usize) -> Logic {
    match (call.name.as_str(), call.args.as_slice()) {
        ("!", [part]) => Logic::Not(Box::new(of(part, depth + 1))),
        (operator, [left, right]) => {
            let Some(operator) = ["==", "!=", "<", ">", "<=", ">="]
                .into_iter()
                .find(|known| *known == operator)
            else {
                return path(left).map_or(Logic::Opaque, |path| {
                    of_text(path, call, &call.args.as_slice()[1..])
                });
            };
            match (path(left), literal(right), literal(left), path(right)) {
                (Some(path), Some(value), ..) => Logic::Compare {
                    path,
                    operator,
                    value,
                },
                (.., Some(value), Some(path)) => Logic::Compare {
                    path,
                    operator: turned(operator),
                    value,
                },
                _ => Logic::Opaque,
            }
        }
        _ => Logic::Opaque,
    }
}

fn turned(operator: &'static str) -> &'static str {
    match operator {
        "<" => ">",
        ">" => "<",
        "<=" => ">=",
        ">=" => "<=",
        same => same,
    }
}

fn literal(expression: &Expr) -> Option<Value> {
    Some(match expression {
        Expr::BoolConstant(value, _) => json!(value),
        Expr::IntegerConstant(value, _) => json!(value),
        Expr::FloatConstant(value, _) => json!(**value),
        Expr::StringConstant(value, _) => json!(value.as_str()),
        _ => return None,
    })
}

fn path(expression: &Expr) -> Option<String> {
    let chain = Chain::of(expression);
    dotted(chain.root, &chain.steps)
}

fn dotted(root: Option<&str>, links: &[Step<'_>]) -> Option<String> {
    let mut path = root?.to_owned();
    for link in links {
        let name = link.name().filter(|name| !name.contains('.'))?;
        path.push('.');
        path.push_str(name);
    }
    Some(path)
}
