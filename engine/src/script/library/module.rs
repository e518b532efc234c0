//! One module: what it may hold, and how it is compiled.
//!
//! Owns the refusals that hold for modules alone. Invariant: a module computes nothing when it is loaded but its
//! constants, which are data.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rhai::{AST, ASTFlags, ASTNode, Dynamic, Expr, FnAccess, FnCallExpr, Position, Scope, Stmt};

use super::link::{self, LINKED, Linked, Words};
use super::{LibraryFunction, Use};
use crate::script::analysis::{draws_chance, is_volatile_function, visit_tree};
use crate::script::catalogue::{self, ROOT_NAMES};
use crate::script::context::{Budget, to_dynamic, to_json};
use crate::script::error::{ScriptError, ScriptErrorKind};
use crate::script::vet::Vetted;

/// A compiled module.
pub(in crate::script) struct Module {
    pub functions_of: Arc<rhai::Module>,
    pub functions: Vec<LibraryFunction>,
    pub constants: BTreeMap<String, Dynamic>,
    pub captured: Arc<BTreeSet<String>>,
    pub uses: Vec<Use>,
    /// Something in it draws a chance or asks for the time.
    pub is_volatile: bool,
    /// Something in it draws a chance.
    pub draws: bool,
}

/// What the sandbox does for a module.
pub(in crate::script) trait Parser {
    /// Parses a text in which these names are known.
    fn parse(&self, text: &str, names: &Scope<'static>) -> Result<AST, ScriptError>;
    /// Looks at a tree before it may run.
    fn vet(&self, ast: &AST) -> Result<Vetted, ScriptError>;
    /// Runs the statements, within the sandbox's bounds, and answers the variables they leave.
    fn variables(&self, ast: &AST) -> Result<Vec<(String, Dynamic)>, ScriptError>;
}

/// Compiles a module, on a stack that is deep enough.
pub(in crate::script) fn compile(
    parser: &dyn Parser,
    name: &str,
    source: &str,
) -> Result<Module, ScriptError> {
    super::check_name(name).map_err(|expected| {
        let message = format!("`{name:.40}` cannot be the name of a module: {expected}");
        ScriptError::new(ScriptErrorKind::Parse, message)
    })?;
    // The author's text is read first, so that what is wrong is told of it.
    let (first, words) = link::listening(|| parser.parse(source, &Scope::new()));
    let first = first.map_err(|error| unseen(error, source))?;
    let functions = told(&first, &words, source)?;
    let own: BTreeSet<String> = functions.iter().map(|one| one.name.clone()).collect();
    let linked = words.linked(source, Some((name, &own)))?;
    let mut names = Scope::new();
    for constant in &linked.constants {
        names.push_dynamic(constant.as_str(), Dynamic::UNIT);
    }
    let parsed = link::trusting(|| parser.parse(&linked.text, &names));
    let mut ast = parsed.map_err(|error| linked.told(error))?;
    let vetted = parser.vet(&ast).map_err(|error| linked.told(error))?;
    only_definitions(&ast).map_err(|error| linked.told(error))?;
    known_calls(&ast, name, &own, &linked)?;
    let constants = constants(parser, &ast)?;
    ast.set_source(format!("{}::{name}", link::ROOT));
    let mut uses = vetted.uses;
    for one in &mut uses {
        if let (Some(line), Some(column)) = (one.line, one.column) {
            one.column = Some(linked.place(line, column));
        }
    }
    // A function of the module itself is known by now, also a private one.
    uses.retain(|one| one.module != name || one.arguments.is_none());
    Ok(Module {
        is_volatile: calls(&ast, is_volatile_function),
        draws: calls(&ast, draws_chance),
        functions_of: ast.shared_lib().clone(),
        functions,
        constants,
        captured: Arc::new(vetted.captured),
        uses,
    })
}

/// Says what to do about a name that functions of a library do not see.
fn unseen(error: ScriptError, source: &str) -> ScriptError {
    if error.kind != ScriptErrorKind::UnknownVariable {
        return error;
    }
    let name = error
        .message
        .split('`')
        .nth(1)
        .unwrap_or_default()
        .to_owned();
    if source.contains(&format!("const {name}")) {
        return error.suggest(Some(format!("`global::{name}`")));
    }
    if ROOT_NAMES.contains(&name.as_str()) {
        return error.suggest(Some(format!(
            "a parameter: a function of the library does not see `{name}`"
        )));
    }
    error.suggest(None)
}

fn told(ast: &AST, words: &Words, source: &str) -> Result<Vec<LibraryFunction>, ScriptError> {
    let lines: Vec<&str> = source.lines().collect();
    let mut found = Vec::new();
    for (name, line) in words.defined() {
        if catalogue::is_function(&name) {
            let message = format!("`{name:.40}` is a function of every script already");
            let at = Position::new(u16::try_from(line).unwrap_or(u16::MAX), 1);
            return Err(ScriptError::new(ScriptErrorKind::Parse, message)
                .at(at)
                .suggest(Some("another name".to_owned())));
        }
        // One name may be defined for several numbers of parameters, in the order of the text.
        let nth = found
            .iter()
            .filter(|one: &&LibraryFunction| one.name == name)
            .count();
        let mut same: Vec<_> = ast
            .iter_fn_def()
            .filter(|known| known.name == name)
            .collect();
        same.sort_by_key(|known| {
            let at = known.body.start_position();
            (at.line(), at.position())
        });
        let Some(known) = same.get(nth) else {
            continue;
        };
        found.push(LibraryFunction {
            takes: known.params.iter().map(ToString::to_string).collect(),
            says: comment_before(&lines, line),
            is_private: known.access == FnAccess::Private,
            line,
            name,
        });
    }
    Ok(found)
}

/// The lines `/// …` right before a line, which counts from 1.
fn comment_before(lines: &[&str], line: usize) -> String {
    let before = lines.get(..line.saturating_sub(1)).unwrap_or_default();
    let mut found: Vec<&str> = before
        .iter()
        .rev()
        .map_while(|text| text.trim_start().strip_prefix("///"))
        .map(|text| text.strip_prefix(' ').unwrap_or(text).trim_end())
        .collect();
    found.reverse();
    found.join("\n")
}

/// Whatever would run when a module is loaded is refused, except constants.
fn only_definitions(ast: &AST) -> Result<(), ScriptError> {
    for statement in ast.statements() {
        let initial = match statement {
            Stmt::Noop(_) => continue,
            Stmt::Var(parts, flags, _) if flags.intersects(ASTFlags::CONSTANT) => &parts.1,
            other => {
                let message = "a module holds only functions and constants";
                return Err(ScriptError::new(ScriptErrorKind::Parse, message).at(other.position()));
            }
        };
        let mut wrong: Option<Position> = None;
        initial.walk(&mut Vec::new(), &mut |path: &[ASTNode]| {
            let is_plain = match path.last() {
                Some(ASTNode::Stmt(_)) => false,
                Some(ASTNode::Expr(one)) => is_plain(one),
                _ => true,
            };
            if let Some(node) = path.last().filter(|_| !is_plain) {
                wrong.get_or_insert(node.position());
            }
            is_plain
        });
        if let Some(at) = wrong {
            let message = "a constant is made of values and operators only";
            return Err(ScriptError::new(ScriptErrorKind::Parse, message).at(at));
        }
    }
    Ok(())
}

fn is_plain(expression: &Expr) -> bool {
    match expression {
        Expr::FnCall(call, _) => call.is_operator_call(),
        Expr::MethodCall(..) | Expr::Stmt(_) | Expr::Custom(..) => false,
        Expr::DynamicConstant(value, _) => !value.is_fnptr(),
        Expr::Variable(parts, ..) => !parts.1.starts_with(LINKED),
        _ => true,
    }
}

/// Each call within a module must be known when it is saved: later it could meet a function of the caller.
fn known_calls(
    ast: &AST,
    module: &str,
    own: &BTreeSet<String>,
    linked: &Linked,
) -> Result<(), ScriptError> {
    let mut wrong: Option<(String, Position)> = None;
    let mut note = |call: &FnCallExpr, at: Position| {
        let name = call.name.as_str();
        let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        let is_own = link::split_name(name);
        let is_known = call.is_operator_call()
            || !is_name
            || name == "curry"
            || is_own.is_some()
            || catalogue::is_function(name);
        if !is_known && wrong.is_none() {
            wrong = Some((name.to_owned(), at));
        }
    };
    visit_tree(ast, &mut |path: &[ASTNode]| match path.last() {
        Some(ASTNode::Stmt(Stmt::FnCall(call, at))) => note(call, *at),
        Some(ASTNode::Expr(Expr::FnCall(call, at) | Expr::MethodCall(call, at))) => {
            note(call, *at);
        }
        _ => {}
    });
    if let Some((name, at)) = wrong {
        let near = catalogue::nearest(&name, own.iter().map(String::as_str));
        let suggestion = near
            .map(|near| format!("`{near}`"))
            .or_else(|| catalogue::nearest_function(&name));
        let error = ScriptError::new(
            ScriptErrorKind::UnknownFunction,
            format!("unknown function `{name:.40}`"),
        );
        return Err(linked.told(error.at(at).suggest(suggestion)));
    }
    own_arity(ast, module, linked)
}

fn calls(ast: &AST, is_meant: impl Fn(&str) -> bool) -> bool {
    let mut found = false;
    visit_tree(ast, &mut |path: &[ASTNode]| {
        if let Some(
            ASTNode::Stmt(Stmt::FnCall(call, _))
            | ASTNode::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _)),
        ) = path.last()
        {
            found |= is_meant(&call.name);
        }
    });
    found
}

/// A call of an own function with another number of arguments than any of that name takes.
fn own_arity(ast: &AST, module: &str, linked: &Linked) -> Result<(), ScriptError> {
    let defined: BTreeSet<(String, usize)> = ast
        .iter_fn_def()
        .map(|known| (known.name.to_string(), known.params.len()))
        .collect();
    let mut wrong: Option<(String, usize, Position)> = None;
    visit_tree(ast, &mut |path: &[ASTNode]| {
        if let Some(ASTNode::Stmt(Stmt::FnCall(call, at)) | ASTNode::Expr(Expr::FnCall(call, at))) =
            path.last()
            && link::split_name(&call.name).is_some_and(|(owner, _)| owner == module)
            && !defined.contains(&(call.name.to_string(), call.args.len()))
        {
            wrong.get_or_insert((call.name.to_string(), call.args.len(), *at));
        }
    });
    match wrong {
        None => Ok(()),
        Some((name, arguments, at)) => {
            let (_, name) = link::split_name(&name).unwrap_or_default();
            let message = format!("`{name:.40}` is not called with {arguments} arguments");
            let error = ScriptError::new(ScriptErrorKind::UnknownFunction, message);
            Err(linked.told(error.at(at)))
        }
    }
}

/// The constants, as data.
fn constants(parser: &dyn Parser, ast: &AST) -> Result<BTreeMap<String, Dynamic>, ScriptError> {
    if ast.statements().is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut budget = Budget::new();
    let mut found = BTreeMap::new();
    for (name, value) in parser.variables(ast)? {
        let value = to_json(&value, 0, &mut budget)?;
        found.insert(name, to_dynamic(&value, 0, &mut Budget::new())?);
    }
    Ok(found)
}
