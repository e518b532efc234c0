//! The look at a parsed script before it may ever run.
//!
//! Owns the refusals that Rhai's own settings cannot express; must not evaluate anything.
//! Invariant: a vetted script is shallow enough to recurse over on a worker thread's stack.

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Dynamic, Expr, FnCallExpr, Position, Stmt};

use super::catalogue::ROOT_NAMES;
use super::catalogue::is_function;
use super::error::{ScriptError, ScriptErrorKind};
use super::library::{Use, link};
use super::sandbox::ScriptLimits;

/// Arguments of one call and parameters of one function: each may hold a value of full size.
const MAX_ARGUMENTS: usize = 16;

/// What the vetting found out.
#[derive(Debug, Default)]
pub(super) struct Vetted {
    /// Names that anonymous functions use from outside.
    pub captured: BTreeSet<String>,
    /// What it names of the library.
    pub uses: Vec<Use>,
    /// True when nothing in the script can repeat, so values cannot nest deeper than the source.
    pub flat: bool,
}

struct Vetter<'a> {
    limits: &'a ScriptLimits,
    captured: BTreeSet<String>,
    uses: Vec<Use>,
    repeats: bool,
    refusal: Option<ScriptError>,
}

/// Checks a script, or says why it is refused.
pub(super) fn vet(ast: &AST, limits: &ScriptLimits) -> Result<Vetted, ScriptError> {
    let mut vetter = Vetter {
        limits,
        captured: BTreeSet::new(),
        uses: Vec::new(),
        repeats: false,
        refusal: None,
    };
    for function in ast.iter_fn_def() {
        vetter.repeats = true;
        if function.params.len() > MAX_ARGUMENTS {
            vetter.refuse(
                ScriptErrorKind::TooLarge,
                format!("function takes more than {MAX_ARGUMENTS} parameters"),
                Position::NONE,
            );
        }
    }
    ast.walk(&mut |path: &[ASTNode]| vetter.visit(path, 0));
    if !vetter.uses.is_empty() {
        // A function of the library would call it instead of the one it means.
        for function in ast.iter_fn_def().filter(|known| is_function(&known.name)) {
            let message = format!(
                "`{:.40}` is a function of every script already; one that calls the library cannot define it anew",
                function.name
            );
            vetter.refuse(
                ScriptErrorKind::Parse,
                message,
                function.body.start_position(),
            );
        }
    }
    match vetter.refusal {
        Some(refusal) => Err(refusal),
        None => Ok(Vetted {
            captured: vetter.captured,
            uses: vetter.uses,
            flat: !vetter.repeats,
        }),
    }
}

impl Vetter<'_> {
    fn refuse(&mut self, kind: ScriptErrorKind, message: impl Into<String>, at: Position) -> bool {
        if self.refusal.is_none() {
            self.refusal = Some(ScriptError::new(kind, message).at(at));
        }
        false
    }

    fn visit(&mut self, path: &[ASTNode], above: usize) -> bool {
        let depth = above + path.len();
        let Some(node) = path.last() else {
            return true;
        };
        if depth > self.limits.max_tree_depth {
            let message = format!(
                "script is nested deeper than {} levels",
                self.limits.max_tree_depth
            );
            return self.refuse(ScriptErrorKind::TooDeep, message, node.position());
        }
        match node {
            ASTNode::Stmt(statement) => self.statement(statement, depth),
            ASTNode::Expr(expression) => self.expression(expression),
            _ => true,
        }
    }

    fn statement(&mut self, statement: &Stmt, depth: usize) -> bool {
        match statement {
            Stmt::Share(names) => {
                self.captured
                    .extend(names.iter().map(|(ident, _)| ident.name.to_string()));
                true
            }
            Stmt::Var(parts, _, at) if ROOT_NAMES.contains(&parts.0.name.as_str()) => {
                let message = format!(
                    "`{}` is given to every script and cannot be declared again",
                    parts.0.name
                );
                self.refuse(ScriptErrorKind::Parse, message, *at)
            }
            // Rhai's own walk does not look behind `break`.
            Stmt::BreakLoop(Some(value), ..) => value
                .walk(&mut Vec::new(), &mut |path: &[ASTNode]| {
                    self.visit(path, depth)
                }),
            Stmt::While(..) | Stmt::Do(..) | Stmt::For(..) => {
                self.repeats = true;
                true
            }
            Stmt::Assignment(parts) => {
                self.repeats = true;
                self.assignment(&parts.1.lhs)
            }
            Stmt::FnCall(call, at) => self.call(call, false, *at),
            Stmt::Import(_, at) | Stmt::Export(_, at) => self.refuse(
                ScriptErrorKind::Parse,
                "scripts cannot import or export modules",
                *at,
            ),
            _ => true,
        }
    }

    /// Assigning into a root variable fails at run time only where it is reached; say so early.
    fn assignment(&mut self, target: &Expr) -> bool {
        let mut root = target;
        while let Expr::Dot(parts, ..) | Expr::Index(parts, ..) = root {
            root = &parts.lhs;
        }
        match root {
            Expr::Variable(parts, _, at)
                if ROOT_NAMES.contains(&parts.1.as_str()) && parts.0.is_none() =>
            {
                let message = format!("`{}` cannot be changed", parts.1);
                self.refuse(ScriptErrorKind::Runtime, message, *at)
            }
            _ => true,
        }
    }

    fn expression(&mut self, expression: &Expr) -> bool {
        match expression {
            Expr::FnCall(call, at) => self.call(call, false, *at),
            Expr::MethodCall(call, at) => self.call(call, true, *at),
            Expr::DynamicConstant(value, _) if value.is_fnptr() => {
                self.repeats = true;
                true
            }
            Expr::Variable(parts, _, at) if !parts.2.is_empty() => self.refuse(
                ScriptErrorKind::Parse,
                "modules are not available in scripts",
                *at,
            ),
            Expr::Variable(parts, _, at) => {
                self.note_use(&parts.1, None, *at);
                true
            }
            _ => true,
        }
    }

    fn call(&mut self, call: &FnCallExpr, method: bool, at: Position) -> bool {
        if call.is_qualified() {
            return self.refuse(
                ScriptErrorKind::Parse,
                "modules are not available in scripts",
                at,
            );
        }
        if call.args.len() > MAX_ARGUMENTS {
            let message = format!(
                "call of `{:.40}` has more than {MAX_ARGUMENTS} arguments",
                call.name
            );
            return self.refuse(ScriptErrorKind::TooLarge, message, at);
        }
        if link::split_name(&call.name).is_some() {
            // What it calls may repeat.
            self.repeats = true;
            if method {
                let name = link::unlinked(&call.name);
                let message = format!("a function of the library is called as `{name:.80}(…)`");
                return self.refuse(ScriptErrorKind::Parse, message, at);
            }
            self.note_use(&call.name, Some(call.args.len()), at);
        }
        match call.name.as_str() {
            "eval" | "Fn" => {
                let message = format!("`{}` is not available in scripts", call.name);
                self.refuse(ScriptErrorKind::Parse, message, at)
            }
            // Written by the parser for anonymous functions; by hand it nests values without limit.
            "curry" if method || !binds_variables(call) => self.refuse(
                ScriptErrorKind::Parse,
                "`curry` is not available in scripts",
                at,
            ),
            _ => true,
        }
    }
}

impl Vetter<'_> {
    fn note_use(&mut self, name: &str, arguments: Option<usize>, at: Position) {
        let Some((module, name)) = link::split_name(name) else {
            return;
        };
        let number = |value: Option<usize>| value.and_then(|value| u32::try_from(value).ok());
        self.uses.push(Use {
            module: module.to_owned(),
            name: name.to_owned(),
            arguments,
            line: number(at.line()),
            column: number(at.position()),
        });
    }
}

/// The shape the parser gives to an anonymous function that uses outer variables.
fn binds_variables(call: &FnCallExpr) -> bool {
    let is_function = |value: &Dynamic| value.is_fnptr();
    let (Some(Expr::DynamicConstant(function, _)), rest) =
        (call.args.first(), call.args.iter().skip(1))
    else {
        return false;
    };
    is_function(function)
        && rest
            .into_iter()
            .all(|argument| matches!(argument, Expr::Variable(..)))
}
