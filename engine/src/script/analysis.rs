//! Reading a compiled script without running it: misspellings, unlike comparisons, dependencies.
//!
//! Owns findings and dependency sets; must not evaluate or refuse. Invariant: a finding is a
//! mistake for every event of the given shape, never a matter of taste.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{ASTFlags, ASTNode, Expr, FnCallExpr, Position, Stmt};
use serde::Serialize;

use super::catalogue::{self, BUILT_IN_PROPERTIES, ROOT_NAMES};
use super::sandbox::CompiledScript;
use super::shape::Shape;

/// Findings reported for one script: an author fixes the first ones first.
const MAX_FINDINGS: usize = 50;

/// Fields every event has, by name.
const EVENT_FIELDS: [&str; 6] = ["id", "kind", "source", "subject", "time", "data"];

/// The sort of mistake found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A function that does not exist.
    UnknownFunction,
    /// A property the data does not have.
    UnknownProperty,
    /// A comparison of unlike types, which is never true (or always, for `!=`).
    UnlikeComparison,
}

/// A mistake found by reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The sort of mistake.
    pub kind: FindingKind,
    /// What is wrong, lower case, no full stop.
    pub message: String,
    /// Line in the source, from 1.
    pub line: Option<u32>,
    /// Column in the source, from 1.
    pub column: Option<u32>,
    /// What the author probably meant.
    pub suggestion: Option<String>,
}

/// Checks a script against the shape of `event.data`.
pub fn analyse(script: &CompiledScript, data: &Shape) -> Vec<Finding> {
    let mut analysis = Analysis {
        event: event_shape(data),
        own_functions: script
            .ast()
            .iter_fn_def()
            .map(|function| function.name.to_string())
            .collect(),
        findings: Vec::new(),
    };
    visit_all(script, &mut |path| analysis.visit(path));
    analysis.findings
}

/// Every path the script reads of the variables given to it, such as `event.data.post.state`.
/// A path ends where an index, a method or a variable key begins; the script may read below it.
pub fn property_paths(script: &CompiledScript) -> Vec<String> {
    let mut paths = BTreeSet::new();
    visit_all(script, &mut |path| {
        let Some(ASTNode::Expr(expression)) = path.last() else {
            return;
        };
        if is_continuation(path) {
            return;
        }
        match expression {
            Expr::Dot(..) | Expr::Index(..) => {
                let chain = Chain::of(expression);
                if let Some(root) = chain.root {
                    let mut name = root.to_owned();
                    for step in chain.steps.iter().map_while(Step::name) {
                        name.push('.');
                        name.push_str(step);
                    }
                    paths.insert(name);
                }
            }
            Expr::Variable(parts, ..)
                if ROOT_NAMES.contains(&parts.1.as_str())
                    && !is_chain_head(path)
                    && !is_binding(path) =>
            {
                paths.insert(parts.1.to_string());
            }
            _ => {}
        }
    });
    paths.into_iter().collect()
}

/// Walks the whole tree, also behind `break`, where Rhai's walk does not look.
fn visit_all(script: &CompiledScript, visitor: &mut dyn FnMut(&[ASTNode])) {
    script.ast().walk(&mut |path: &[ASTNode]| {
        visit_one(path, visitor);
        true
    });
}

fn visit_one(path: &[ASTNode], visitor: &mut dyn FnMut(&[ASTNode])) {
    visitor(path);
    if let Some(ASTNode::Stmt(Stmt::BreakLoop(Some(value), ..))) = path.last() {
        value.walk(&mut Vec::new(), &mut |inner: &[ASTNode]| {
            visit_one(inner, visitor);
            true
        });
    }
}

/// `event` itself may carry more than we know, its data only what the shape says.
fn event_shape(data: &Shape) -> Shape {
    let mut fields: BTreeMap<String, Shape> = EVENT_FIELDS
        .iter()
        .map(|name| ((*name).to_owned(), Shape::Any))
        .collect();
    fields.insert("data".to_owned(), data.clone());
    Shape::Open(fields)
}

/// One link of `a.b["c"][0].d()`.
enum Step<'a> {
    Name(&'a str, Position),
    Item,
    Method,
}

impl<'a> Step<'a> {
    fn name(&self) -> Option<&'a str> {
        match self {
            Step::Name(name, _) => Some(name),
            Step::Item | Step::Method => None,
        }
    }
}

/// A flattened property chain; the root is set when it is one of the given variables.
struct Chain<'a> {
    root: Option<&'a str>,
    steps: Vec<Step<'a>>,
}

impl<'a> Chain<'a> {
    fn of(expression: &'a Expr) -> Self {
        let mut chain = Chain {
            root: None,
            steps: Vec::new(),
        };
        let (Expr::Dot(parts, ..) | Expr::Index(parts, ..)) = expression else {
            return chain;
        };
        if let Expr::Variable(variable, ..) = &parts.lhs {
            chain.root = ROOT_NAMES
                .into_iter()
                .find(|name| *name == variable.1.as_str());
        }
        let mut current = expression;
        while let Expr::Dot(parts, flags, _) | Expr::Index(parts, flags, _) = current {
            let indexed = matches!(current, Expr::Index(..));
            let continues = !(indexed && flags.contains(ASTFlags::BREAK));
            match &parts.rhs {
                next @ (Expr::Dot(inner, ..) | Expr::Index(inner, ..)) if continues => {
                    chain.link(&inner.lhs, indexed);
                    current = next;
                }
                last => {
                    chain.link(last, indexed);
                    break;
                }
            }
        }
        chain
    }

    fn link(&mut self, link: &'a Expr, indexed: bool) {
        self.steps.push(match link {
            Expr::Property(parts, at) => Step::Name(&parts.2, *at),
            Expr::StringConstant(key, at) if indexed => Step::Name(key, *at),
            Expr::MethodCall(..) => Step::Method,
            _ => Step::Item,
        });
    }
}

/// True for the right side of a chain, which its outermost link already covers.
fn is_continuation(path: &[ASTNode]) -> bool {
    let [.., ASTNode::Expr(parent), ASTNode::Expr(own)] = path else {
        return false;
    };
    match parent {
        Expr::Dot(parts, ..) => std::ptr::eq(&raw const parts.rhs, *own),
        Expr::Index(parts, flags, _) => {
            !flags.contains(ASTFlags::BREAK) && std::ptr::eq(&raw const parts.rhs, *own)
        }
        _ => false,
    }
}

fn is_chain_head(path: &[ASTNode]) -> bool {
    matches!(path, [.., ASTNode::Expr(Expr::Dot(parts, ..) | Expr::Index(parts, ..)), ASTNode::Expr(own)]
        if std::ptr::eq(&raw const parts.lhs, *own))
}

/// True for the hidden arguments by which an anonymous function receives outer variables.
fn is_binding(path: &[ASTNode]) -> bool {
    matches!(path, [.., ASTNode::Expr(Expr::FnCall(call, _)), _] if call.name == "curry")
}

/// Families that compare among themselves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Number,
    Text,
    Bool,
    List,
    Object,
}

impl Family {
    fn word(self) -> &'static str {
        match self {
            Family::Number => "a number",
            Family::Text => "a text",
            Family::Bool => "true or false",
            Family::List => "a list",
            Family::Object => "an object",
        }
    }
}

struct Analysis {
    event: Shape,
    own_functions: BTreeSet<String>,
    findings: Vec<Finding>,
}

impl Analysis {
    fn report(
        &mut self,
        kind: FindingKind,
        message: String,
        at: Position,
        suggestion: Option<String>,
    ) {
        if self.findings.len() < MAX_FINDINGS {
            let number = |value: Option<usize>| value.and_then(|value| u32::try_from(value).ok());
            self.findings.push(Finding {
                kind,
                message,
                line: number(at.line()),
                column: number(at.position()),
                suggestion,
            });
        }
    }

    fn visit(&mut self, path: &[ASTNode]) {
        match path.last() {
            Some(ASTNode::Stmt(Stmt::FnCall(call, at))) => self.call(call, *at),
            Some(ASTNode::Expr(Expr::FnCall(call, at) | Expr::MethodCall(call, at))) => {
                self.call(call, *at)
            }
            Some(ASTNode::Expr(chain @ (Expr::Dot(..) | Expr::Index(..))))
                if !is_continuation(path) =>
            {
                self.chain(chain);
            }
            _ => {}
        }
    }

    fn call(&mut self, call: &FnCallExpr, at: Position) {
        let name = call.name.as_str();
        if let ("==" | "!=" | "<" | ">" | "<=" | ">=", [left, right]) = (name, call.args.as_slice())
        {
            self.comparison(name, left, right, at);
        }
        let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        // `curry` is how the parser binds outer variables; vetting refuses it by hand.
        if call.is_operator_call()
            || !is_name
            || name == "curry"
            || catalogue::is_function(name)
            || self.own_functions.contains(name)
        {
            return;
        }
        let own = catalogue::nearest(name, self.own_functions.iter().map(String::as_str));
        let suggestion = own
            .map(|own| format!("`{own}`"))
            .or_else(|| catalogue::nearest_function(name));
        self.report(
            FindingKind::UnknownFunction,
            format!("unknown function `{name:.40}`"),
            at,
            suggestion,
        );
    }

    fn chain(&mut self, expression: &Expr) {
        let chain = Chain::of(expression);
        if chain.root != Some("event") {
            return;
        }
        if let Err((kind, message, at, suggestion)) = follow(&self.event, &chain.steps) {
            self.report(kind, message, at, suggestion);
        }
    }

    fn comparison(&mut self, operator: &str, left: &Expr, right: &Expr, at: Position) {
        let (Some(one), Some(other)) = (self.family(left), self.family(right)) else {
            return;
        };
        if one != other {
            let outcome = if operator == "!=" {
                "always true"
            } else {
                "never true"
            };
            self.report(
                FindingKind::UnlikeComparison,
                format!(
                    "compares {} with {}, which is {outcome}",
                    one.word(),
                    other.word()
                ),
                at,
                None,
            );
        }
    }

    fn family(&self, expression: &Expr) -> Option<Family> {
        match expression {
            Expr::IntegerConstant(..) | Expr::FloatConstant(..) => Some(Family::Number),
            Expr::StringConstant(..) | Expr::InterpolatedString(..) | Expr::CharConstant(..) => {
                Some(Family::Text)
            }
            Expr::BoolConstant(..) | Expr::And(..) | Expr::Or(..) => Some(Family::Bool),
            Expr::Array(..) => Some(Family::List),
            Expr::Map(..) => Some(Family::Object),
            Expr::Dot(..) | Expr::Index(..) => {
                let chain = Chain::of(expression);
                let known = chain.root == Some("event")
                    && chain.steps.iter().all(|step| !matches!(step, Step::Method));
                let shape = if known {
                    follow(&self.event, &chain.steps).ok().flatten()?
                } else {
                    return None;
                };
                match shape {
                    Shape::Any => None,
                    Shape::Object(_) | Shape::Open(_) => Some(Family::Object),
                    Shape::Array(_) => Some(Family::List),
                    Shape::String => Some(Family::Text),
                    Shape::Integer | Shape::Number => Some(Family::Number),
                    Shape::Bool => Some(Family::Bool),
                }
            }
            _ => None,
        }
    }
}

type Refusal = (FindingKind, String, Position, Option<String>);

/// Follows a chain through a shape; `None` where the shape says nothing.
fn follow<'s>(shape: &'s Shape, steps: &[Step<'_>]) -> Result<Option<&'s Shape>, Refusal> {
    let mut current = shape;
    for step in steps {
        let (name, at) = match (step, current) {
            (Step::Item, Shape::Array(inner)) => {
                current = inner;
                continue;
            }
            (Step::Item | Step::Method, _) | (_, Shape::Any) => return Ok(None),
            (Step::Name(name, at), _) => (*name, *at),
        };
        let (fields, closed) = match current {
            Shape::Object(fields) => (Some(fields), true),
            Shape::Open(fields) => (Some(fields), false),
            _ => (None, true),
        };
        if let Some(inner) = fields.and_then(|fields| fields.get(name)) {
            current = inner;
            continue;
        }
        let near =
            fields.and_then(|fields| catalogue::nearest(name, fields.keys().map(String::as_str)));
        // An open object may well have the field, unless the name looks like a slip.
        let wrong = if fields.is_some() {
            closed || near.is_some()
        } else {
            !BUILT_IN_PROPERTIES.contains(&name)
        };
        if !wrong {
            return Ok(None);
        }
        let message = format!("unknown property `{name:.60}`");
        return Err((
            FindingKind::UnknownProperty,
            message,
            at,
            near.map(|near| format!("`{near}`")),
        ));
    }
    Ok(Some(current))
}
