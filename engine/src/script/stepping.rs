//! A script run step by step, for the sandbox: what its variables are before each statement.
//!
//! Rhai's own debugger makes every script slower once it is compiled in. So the text is changed instead: a
//! name that only this engine knows stands before each statement, and whoever reads it keeps the variables.
//! The engine of rules is another one and pays nothing. Invariant: the script yields what it yields without
//! stops; a stop names the line of the author's text.

use std::cell::RefCell;
use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Dynamic, Expr, FnCallExpr, Position, Scope, Stmt};
use serde_json::{Map, Value};

use super::catalogue::ROOT_NAMES;
use super::context::{Budget, PreparedContext, to_json};
use super::error::{ScriptError, ScriptErrorKind};
use super::sandbox::{ScriptEngine, ScriptOutcome, on_deep_stack};

/// Stops kept; a loop makes more than anybody reads.
pub const MAX_STOPS: usize = 500;

/// Statements that are stopped at; a script has at most 4 000 words.
const MAX_PLACES: usize = 2_000;

/// Bytes of all variables that are kept, as JSON.
const MAX_KEPT: usize = 1024 * 1024;

/// How the name before a statement begins; no author's name does, as it is refused.
pub(super) const MARK: &str = "__stop_";

/// A look at a script between two statements.
#[derive(Debug, Clone, PartialEq)]
pub struct Stop {
    /// Line of the statement that comes next, from 1.
    pub line: u32,
    /// Its column.
    pub column: u32,
    /// Functions around it.
    pub depth: usize,
    /// The script's own variables; what is given to every script is left out.
    pub variables: Map<String, Value>,
}

/// A script that was run step by step.
#[derive(Debug, Clone, PartialEq)]
pub struct Stepped {
    /// Looks in the order of the run.
    pub stops: Vec<Stop>,
    /// There were more stops than are kept.
    pub is_cut: bool,
    /// What it yielded, or why it failed.
    pub outcome: Result<ScriptOutcome, ScriptError>,
}

struct Recorder {
    places: Vec<(u32, u32)>,
    lines: BTreeSet<u32>,
    stops: Vec<Stop>,
    kept: usize,
    is_cut: bool,
}

thread_local! {
    static RECORDER: RefCell<Option<Recorder>> = const { RefCell::new(None) };
}

/// Takes the recorder away again, also after a panic.
struct Recording;

impl Drop for Recording {
    fn drop(&mut self) {
        RECORDER.with(|cell| cell.borrow_mut().take());
    }
}

/// Runs a script and keeps its variables before each statement on one of these lines; none is every line.
pub fn step_through(
    engine: &ScriptEngine,
    source: &str,
    context: &PreparedContext,
    lines: &BTreeSet<u32>,
) -> Result<Stepped, ScriptError> {
    // What is wrong is told of the author's text.
    let own = engine.compile_script(source)?;
    if source.contains(MARK) {
        let message = format!("names that begin with `{MARK}` are kept for going through scripts");
        return Err(ScriptError::new(ScriptErrorKind::Parse, message));
    }
    let (marked, places) = mark(source, own.ast());
    let stepping = engine.stepping();
    // Chance is drawn as the script itself would draw it.
    let marked = stepping.compile_script(&marked)?.known_as(&own);
    let told: BTreeSet<u32> = places.iter().map(|(line, _)| *line).collect();
    on_deep_stack(|| {
        RECORDER.with(|cell| {
            *cell.borrow_mut() = Some(Recorder {
                places,
                lines: lines.clone(),
                stops: Vec::new(),
                kept: 0,
                is_cut: false,
            });
        });
        let recording = Recording;
        let outcome = stepping.execute_here(&marked, context, 0);
        let found = RECORDER.with(|cell| cell.borrow_mut().take());
        drop(recording);
        let (stops, is_cut) = found.map_or((Vec::new(), false), |one| (one.stops, one.is_cut));
        Stepped {
            stops,
            is_cut,
            outcome: outcome.map_err(|error| unmarked(error, &told)),
        }
    })
}

/// An error's place on a line that carries marks is that of the line only.
fn unmarked(mut error: ScriptError, marked: &BTreeSet<u32>) -> ScriptError {
    if error.line.is_some_and(|line| marked.contains(&line)) {
        error.column = None;
    }
    error
}

/// The value of a mark: keeps the variables. None for every other name.
pub(super) fn at_mark(name: &str, depth: usize, scope: &Scope<'_>) -> Option<Dynamic> {
    let number: usize = name.strip_prefix(MARK)?.parse().ok()?;
    RECORDER.with(|cell| {
        if let Some(recorder) = cell.borrow_mut().as_mut() {
            recorder.keep(number, depth, scope);
        }
    });
    Some(Dynamic::UNIT)
}

impl Recorder {
    fn keep(&mut self, number: usize, depth: usize, scope: &Scope<'_>) {
        let Some((line, column)) = self.places.get(number).copied() else {
            return;
        };
        if !self.lines.is_empty() && !self.lines.contains(&line) {
            return;
        }
        if self.stops.len() >= MAX_STOPS || self.kept > MAX_KEPT {
            self.is_cut = true;
            return;
        }
        let mut variables = Map::new();
        for (name, _, value) in scope.iter() {
            if ROOT_NAMES.contains(&name) {
                continue;
            }
            let shown = to_json(&value.flatten(), 0, &mut Budget::new());
            let shown = shown.unwrap_or_else(|error| Value::String(format!("({})", error.message)));
            variables.insert(name.to_owned(), shown);
        }
        self.kept += Value::Object(variables.clone()).to_string().len();
        self.stops.push(Stop {
            line,
            column,
            depth,
            variables,
        });
    }
}

/// The source with a mark before each statement, and the places of the marks.
fn mark(source: &str, ast: &AST) -> (String, Vec<(u32, u32)>) {
    let bare = blank(source);
    let mut starts: BTreeSet<usize> = BTreeSet::new();
    let mut note = |statement: &Stmt| {
        if let Some(start) = start_of(statement, source).filter(|start| begins(&bare, *start)) {
            starts.insert(start);
        }
    };
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(ASTNode::Stmt(statement)) = path.last() {
            note(statement);
        }
        true
    });
    let mut out = String::with_capacity(source.len() * 2);
    let mut places = Vec::new();
    let mut from = 0;
    for start in starts.into_iter().take(MAX_PLACES) {
        out.push_str(&source[from..start]);
        out.push_str(&format!("{MARK}{};", places.len()));
        places.push(place(source, start));
        from = start;
    }
    out.push_str(&source[from..]);
    (out, places)
}

fn place(source: &str, start: usize) -> (u32, u32) {
    let before = &source[..start];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    (number(line), number(column))
}

/// Where an expression begins: the parser gives an operator's own place.
fn leftmost(expression: &Expr) -> Position {
    match expression {
        Expr::FnCall(call, at) => leftmost_of_call(call, *at),
        Expr::And(parts, at) | Expr::Or(parts, at) | Expr::Coalesce(parts, at) => {
            parts.first().map_or(*at, leftmost)
        }
        Expr::Dot(parts, ..) | Expr::Index(parts, ..) => leftmost(&parts.lhs),
        other => other.start_position(),
    }
}

fn leftmost_of_call(call: &FnCallExpr, at: Position) -> Position {
    match call.args.as_slice() {
        [first, _] if call.is_operator_call() => leftmost(first),
        _ => at,
    }
}

fn start_of(statement: &Stmt, source: &str) -> Option<usize> {
    let at = match statement {
        Stmt::Expr(expression) => leftmost(expression),
        Stmt::FnCall(call, at) => leftmost_of_call(call, *at),
        Stmt::Assignment(parts) => leftmost(&parts.1.lhs),
        Stmt::Noop(_) | Stmt::Block(_) | Stmt::Share(_) => Position::NONE,
        other => other.position(),
    };
    // The parser makes a call out of some operators, whose place is not where the statement begins.
    if matches!(statement, Stmt::Expr(inner) if matches!(**inner, Expr::Stmt(_))) {
        return None;
    }
    let line = at.line()?;
    let column = at.position()?;
    let start: usize = source
        .split_inclusive('\n')
        .take(line.checked_sub(1)?)
        .map(str::len)
        .sum();
    let rest = source.get(start..)?;
    rest.char_indices()
        .nth(column.checked_sub(1)?)
        .map(|(inner, _)| start + inner)
}

/// True where a statement may stand: at the beginning, behind `;`, and behind a brace.
fn begins(bare: &str, start: usize) -> bool {
    let before = bare.get(..start).unwrap_or_default().trim_end();
    before.is_empty() || before.ends_with([';', '{', '}'])
}

/// The source with texts and comments blanked out, of the same length.
fn blank(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let end = if rest.starts_with(b"//") {
            rest.iter()
                .position(|b| *b == b'\n')
                .map_or(bytes.len(), |end| at + end)
        } else if rest.starts_with(b"/*") {
            comment_end(bytes, at)
        } else if matches!(rest[0], b'"' | b'\'') {
            text_end(bytes, at)
        } else {
            at += 1;
            continue;
        };
        // A text is something; only a comment is nothing.
        let is_text = matches!(rest[0], b'"' | b'\'');
        for byte in &mut out[at..end] {
            *byte = if is_text { b'x' } else { b' ' };
        }
        at = end;
    }
    String::from_utf8(out).unwrap_or_default()
}

fn text_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == bytes[start] => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Comments nest.
fn comment_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::script::{EvalContext, ScriptLimits};

    fn stepped(source: &str, lines: &[u32]) -> Stepped {
        let engine = ScriptEngine::new(ScriptLimits::default());
        let mut context = EvalContext::default();
        context
            .vars
            .insert("event".into(), json!({"data": {"items": ["a", "b"]}}));
        let lines = lines.iter().copied().collect();
        step_through(&engine, source, &PreparedContext::new(&context), &lines).unwrap()
    }

    #[test]
    fn each_statement_is_a_stop_with_the_variables_before_it() {
        let source = "let sum = 1; // one\nlet more = 2;\nsum += more;\nsum";
        let found = stepped(source, &[]);
        let seen: Vec<(u32, Value)> = found
            .stops
            .iter()
            .map(|stop| (stop.line, json!(stop.variables)))
            .collect();
        assert_eq!(
            seen,
            [
                (1, json!({})),
                (2, json!({"sum": 1})),
                (3, json!({"sum": 1, "more": 2})),
                (4, json!({"sum": 3, "more": 2}))
            ]
        );
        assert_eq!(found.outcome.unwrap().value, json!(3));
    }

    #[test]
    fn loops_branches_and_functions_are_gone_through_and_break_points_choose_lines() {
        let source = "fn twice(x) {\n  x + x\n}\nlet out = [];\nfor item_ in event.data.items {\n  if item_ == \"a\" {\n    out.push(twice(item_));\n  } else if item_ == \"b\" {\n    out.push(\"// {;\");\n  }\n}\nout";
        let found = stepped(source, &[7, 2]);
        let lines: Vec<(u32, usize)> = found
            .stops
            .iter()
            .map(|stop| (stop.line, stop.depth))
            .collect();
        assert_eq!(lines, [(7, 0), (2, 1)]);
        assert_eq!(found.stops[0].variables["item_"], "a");
        assert_eq!(found.stops[1].variables["x"], "a");
        assert_eq!(found.outcome.unwrap().value, json!(["aa", "// {;"]));
        let all = stepped(source, &[]);
        let lines: BTreeSet<u32> = all.stops.iter().map(|stop| stop.line).collect();
        assert_eq!(lines, BTreeSet::from([2, 4, 5, 6, 7, 9, 12]));
    }

    #[test]
    fn stepping_changes_nothing_of_what_a_script_yields() {
        let engine = ScriptEngine::new(ScriptLimits::default());
        let context = PreparedContext::new(&EvalContext {
            seed: 7,
            ..EvalContext::default()
        });
        for source in [
            "random_int(1, 1000000)",
            "let a = [3, 1]; a.sort(); a.map(|x| x * 2)",
            "switch 2 { 1 => \"a\", 2 => { let b = 5; b } _ => 0 }",
            "let n = 0; while n < 5 { n += 1; if n == 3 { continue; } } n",
            "`a ${ let x = 1; x + 1 } b`",
            "let m = #{a: 1, b: [1, 2]};\n/* ; */ m.b.len()",
            "try { throw \"x\"; } catch (e) { e }",
            "",
        ] {
            let script = engine.compile_script(source).unwrap();
            let alone = engine.eval_value(&script, &context);
            let stepped = step_through(&engine, source, &context, &BTreeSet::new()).unwrap();
            let with = stepped.outcome.map(|outcome| outcome.value);
            assert_eq!(with, alone, "{source}");
        }
    }

    #[test]
    fn an_endless_loop_ends_and_its_stops_are_bounded() {
        let found = stepped("let n = 0; loop { n += 1; }", &[]);
        assert!(
            found.is_cut && found.stops.len() == MAX_STOPS,
            "{}",
            found.stops.len()
        );
        assert!(found.outcome.is_err());
    }
}
