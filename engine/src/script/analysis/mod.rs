//! Reading a compiled script without running it: misspellings, unlike comparisons, dependencies.
//!
//! Owns findings and dependency sets; must not evaluate or refuse. Invariant: a finding is a
//! mistake for every event of the given shape, never a matter of taste.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTNode, Expr, FnCallExpr, Position, Stmt};
use serde::Serialize;

mod chain;
mod family;
mod known;
mod logic;

use self::chain::{Chain, Step, is_chain_head, is_continuation};
use super::catalogue::{self, BUILT_IN_PROPERTIES, ROOT_NAMES};
use super::library::link;
use super::sandbox::CompiledScript;
use super::shape::Shape;

pub use self::family::Family;
pub use self::known::{Known, Name, When};
pub(crate) use self::logic::DRAWS;
pub use self::logic::{Logic, TextTest, is_volatile, logic};
pub(super) use self::logic::{draws_chance, is_volatile_function};

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
    /// Something else where true or false is wanted.
    NotBoolean,
    /// An operator that has no meaning for such values.
    BadOperand,
    /// A step that the rule does not have.
    UnknownStep,
    /// A step that comes later.
    LaterStep,
    /// A step of a branch that is not taken when this place is reached.
    ApartStep,
    /// A step or a variable that is not there on every way to this place.
    MaybeAbsent,
    /// A variable that is never set, or only later.
    UnsetVariable,
    /// `steps`, `vars` or `run` before a step has run.
    NothingYet,
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
    /// A change of the source that mends it.
    pub replace: Option<Replace>,
}

/// A change of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replace {
    /// First byte that is replaced.
    pub start: usize,
    /// First byte that is kept.
    pub end: usize,
    /// What is put there.
    pub with: String,
}

/// Checks a script against the shape of `event.data`.
pub fn analyse(script: &CompiledScript, data: &Shape) -> Vec<Finding> {
    analyse_known(script, &Known::of_data(data))
}

/// Checks a script against what is known of its variables.
pub fn analyse_known(script: &CompiledScript, known: &Known) -> Vec<Finding> {
    let mut analysis = Analysis {
        source: script.source(),
        event: event_shape(&known.data),
        known,
        // Whoever asks before reading knows that it may be absent.
        asks: ["has(", "lookup(", "default(", "?."]
            .iter()
            .any(|sign| script.source().contains(sign)),
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

/// What an expression yields, if that is known; anything that is more than one expression is not.
pub fn family_of(script: &CompiledScript, known: &Known) -> Option<Family> {
    let analysis = Analysis {
        source: script.source(),
        event: event_shape(&known.data),
        known,
        asks: true,
        own_functions: BTreeSet::new(),
        findings: Vec::new(),
    };
    match statements(script) {
        [Stmt::Expr(expression)] => analysis.family(expression),
        [Stmt::FnCall(call, _)] => analysis.family_of_call(call),
        _ => None,
    }
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

/// The statements of a script, functions apart.
fn statements(script: &CompiledScript) -> &[Stmt] {
    let ast: &AST = script.ast();
    ast.as_ref()
}

/// Walks the whole tree, also behind `break`, where Rhai's walk does not look.
fn visit_all(script: &CompiledScript, visitor: &mut dyn FnMut(&[ASTNode])) {
    visit_tree(script.ast(), visitor);
}

/// The same of a tree that is no script yet.
pub(super) fn visit_tree(ast: &AST, visitor: &mut dyn FnMut(&[ASTNode])) {
    ast.walk(&mut |path: &[ASTNode]| {
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
        .map(|name| ((*name).to_owned(), Shape::String))
        .collect();
    // Some events are about nothing.
    fields.insert("subject".to_owned(), Shape::Any);
    fields.insert("data".to_owned(), data.clone());
    Shape::Open(fields)
}

/// True for the hidden arguments by which an anonymous function receives outer variables.
fn is_binding(path: &[ASTNode]) -> bool {
    matches!(path, [.., ASTNode::Expr(Expr::FnCall(call, _)), _] if call.name == "curry")
}

struct Analysis<'a> {
    source: &'a str,
    event: Shape,
    known: &'a Known,
    asks: bool,
    own_functions: BTreeSet<String>,
    findings: Vec<Finding>,
}

impl Analysis<'_> {
    fn report(
        &mut self,
        kind: FindingKind,
        message: String,
        at: Position,
        suggestion: Option<String>,
    ) {
        self.report_with(kind, message, at, suggestion, None);
    }

    fn report_with(
        &mut self,
        kind: FindingKind,
        message: String,
        at: Position,
        suggestion: Option<String>,
        replace: Option<Replace>,
    ) {
        if self.findings.len() < MAX_FINDINGS {
            let number = |value: Option<usize>| value.and_then(|value| u32::try_from(value).ok());
            self.findings.push(Finding {
                kind,
                message,
                line: number(at.line()),
                column: number(at.position()),
                suggestion,
                replace,
            });
        }
    }

    fn visit(&mut self, path: &[ASTNode]) {
        match path.last() {
            Some(ASTNode::Stmt(Stmt::FnCall(call, at))) => self.call(call, *at),
            Some(ASTNode::Expr(Expr::FnCall(call, at) | Expr::MethodCall(call, at))) => {
                self.call(call, *at)
            }
            Some(ASTNode::Expr(Expr::And(parts, _) | Expr::Or(parts, _))) => {
                for part in parts.iter() {
                    self.boolean(part, "`&&` and `||`");
                }
            }
            Some(ASTNode::Stmt(Stmt::If(flow, _))) => self.boolean(&flow.expr, "`if`"),
            Some(ASTNode::Expr(chain @ (Expr::Dot(..) | Expr::Index(..))))
                if !is_continuation(path) =>
            {
                self.chain(chain);
            }
            _ => {}
        }
    }

    fn boolean(&mut self, part: &Expr, who: &str) {
        if let Some(family) = self.family(part).filter(|family| *family != Family::Bool) {
            let message = format!("{who} need true or false, not {}", family.word());
            self.report(
                FindingKind::NotBoolean,
                message,
                part.start_position(),
                None,
            );
        }
    }

    fn call(&mut self, call: &FnCallExpr, at: Position) {
        let name = call.name.as_str();
        match (name, call.args.as_slice()) {
            ("==" | "!=" | "<" | ">" | "<=" | ">=", [left, right]) => {
                self.comparison(name, left, right, at);
            }
            ("!", [part]) => self.boolean(part, "`!`"),
            (_, [left, right]) if call.is_operator_call() => {
                if let (Some(one), Some(other)) = (self.family(left), self.family(right))
                    && family::is_bad_operand(name, one, other)
                {
                    let message = format!(
                        "`{name}` has no meaning between {} and {}",
                        one.word(),
                        other.word()
                    );
                    self.report(FindingKind::BadOperand, message, at, None);
                }
            }
            _ => {}
        }
        let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        // `curry` is how the parser binds outer variables; vetting refuses it by hand.
        if call.is_operator_call()
            || !is_name
            || name == "curry"
            || catalogue::is_function(name)
            // What is named of the library was found when the script was compiled.
            || link::split_name(name).is_some()
            || self.own_functions.contains(name)
        {
            return;
        }
        let own = catalogue::nearest(name, self.own_functions.iter().map(String::as_str));
        let suggestion = own
            .map(|own| format!("`{own}`"))
            .or_else(|| catalogue::nearest_function(name));
        let replace = self.rename(at, name, suggestion.as_deref());
        self.report_with(
            FindingKind::UnknownFunction,
            format!("unknown function `{name:.40}`"),
            at,
            suggestion,
            replace,
        );
    }

    /// The change of a name into the suggested one, if it stands there as it is spelt.
    fn rename(&self, at: Position, name: &str, suggestion: Option<&str>) -> Option<Replace> {
        let with = suggestion?.strip_prefix('`')?.strip_suffix('`')?;
        let is_name = with.chars().all(|c| c.is_alphanumeric() || c == '_');
        is_name.then(|| self.replace(at, name, with.to_owned()))?
    }

    fn replace(&self, at: Position, was: &str, with: String) -> Option<Replace> {
        let start = offset(self.source, at)?;
        self.source[start..].starts_with(was).then(|| Replace {
            start,
            end: start + was.len(),
            with,
        })
    }

    fn chain(&mut self, expression: &Expr) {
        let chain = Chain::of(expression);
        if let Err((kind, message, at, suggestion)) = self.shape_of(&chain) {
            if kind == FindingKind::MaybeAbsent && self.asks {
                return;
            }
            let name = chain.steps.iter().find_map(|step| match step {
                Step::Name(name, place) if *place == at => Some(*name),
                _ => None,
            });
            let replace = name.and_then(|name| self.rename(at, name, suggestion.as_deref()));
            self.report_with(kind, message, at, suggestion, replace);
        }
    }

    /// What stands at the end of a chain; none where nothing is known of it.
    fn shape_of(&self, chain: &Chain<'_>) -> Result<Option<&Shape>, Refusal> {
        match chain.root {
            Some("event") => follow(&self.event, &chain.steps),
            Some("steps") => self.named(&self.known.steps, chain, "step"),
            Some("vars") => self.named(&self.known.vars, chain, "variable"),
            Some(root) => match self.known.roots.get(root) {
                Some(shape) => follow(shape, &chain.steps),
                None => Ok(None),
            },
            None => Ok(None),
        }
    }

    fn named<'s>(
        &self,
        names: &'s Option<BTreeMap<String, Name>>,
        chain: &Chain<'_>,
        what: &str,
    ) -> Result<Option<&'s Shape>, Refusal> {
        let (Some(names), Some(Step::Name(name, at))) = (names, chain.steps.first()) else {
            return Ok(None);
        };
        let is_step = what == "step";
        if self.known.before_steps {
            let message = format!("no step has run here, so that there is no {what} `{name:.60}`");
            return Err((FindingKind::NothingYet, message, *at, None));
        }
        let Some(found) = names.get(*name) else {
            let near = catalogue::nearest(name, names.keys().map(String::as_str));
            let (kind, message) = if is_step {
                (
                    FindingKind::UnknownStep,
                    format!("there is no step `{name:.60}`"),
                )
            } else {
                (
                    FindingKind::UnsetVariable,
                    format!("no step sets the variable `{name:.60}`"),
                )
            };
            return Err((kind, message, *at, near.map(|near| format!("`{near}`"))));
        };
        match (found.when, is_step) {
            (When::Ready, _) => follow(&found.shape, &chain.steps[1..]),
            (When::Maybe, _) => Err((
                FindingKind::MaybeAbsent,
                format!("the {what} `{name:.60}` is not there on every way to this place"),
                *at,
                None,
            )),
            (When::Later, true) => Err((
                FindingKind::LaterStep,
                format!("the step `{name:.60}` comes later"),
                *at,
                None,
            )),
            (When::Apart, true) => Err((
                FindingKind::ApartStep,
                format!("the step `{name:.60}` is in a branch that is not taken here"),
                *at,
                None,
            )),
            (When::Later | When::Apart, false) => Err((
                FindingKind::UnsetVariable,
                format!("the variable `{name:.60}` is not set on any way to this place"),
                *at,
                None,
            )),
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
            let replace = self.alike(left, other).or_else(|| self.alike(right, one));
            self.report_with(
                FindingKind::UnlikeComparison,
                format!(
                    "compares {} with {}, which is {outcome}",
                    one.word(),
                    other.word()
                ),
                at,
                None,
                replace,
            );
        }
    }

    /// The change of a literal into one of the wanted family.
    fn alike(&self, literal: &Expr, wanted: Family) -> Option<Replace> {
        match (literal, wanted) {
            (Expr::StringConstant(text, at), Family::Number) => {
                let number = text.as_str();
                number.parse::<i64>().ok()?;
                self.replace(*at, &format!("\"{number}\""), number.to_owned())
            }
            (Expr::IntegerConstant(number, at), Family::Text) => {
                let number = number.to_string();
                self.replace(*at, &number, format!("\"{number}\""))
            }
            _ => None,
        }
    }

    fn family_of_call(&self, call: &FnCallExpr) -> Option<Family> {
        if call.is_operator_call() {
            return family::of_operator(call, |part| self.family(part));
        }
        if self.own_functions.contains(call.name.as_str()) {
            return None;
        }
        family::of_function(&call.name)
    }

    fn family(&self, expression: &Expr) -> Option<Family> {
        match expression {
            Expr::FnCall(call, _) => self.family_of_call(call),
            Expr::Dot(..) | Expr::Index(..) => {
                let chain = Chain::of(expression);
                if let Some(Step::Method(call)) = chain.steps.last()
                    && !self.own_functions.contains(call.name.as_str())
                {
                    return family::of_function(&call.name);
                }
                Family::of_shape(self.shape_of(&chain).ok().flatten()?)
            }
            other => Family::of_literal(other),
        }
    }
}

/// Byte offset of a place in a source.
fn offset(source: &str, at: Position) -> Option<usize> {
    let (line, column) = (at.line()?, at.position()?);
    let start: usize = source
        .split_inclusive('\n')
        .take(line.checked_sub(1)?)
        .map(str::len)
        .sum();
    let rest = source.get(start..)?;
    let inner = rest
        .char_indices()
        .nth(column.checked_sub(1)?)
        .map_or(rest.len(), |(at, _)| at);
    Some(start + inner)
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
            (Step::Item | Step::Method(_), _) | (_, Shape::Any) => return Ok(None),
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
