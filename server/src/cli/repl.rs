//! `rules repl`: tries expressions and scripts on a sample event, line by line.
//!
//! Owns the conversation; the sandbox is the one that rules run in. Must not open a connection or a database.
//! Invariant: what a line yields here, it yields in a rule that is started by this event.

use std::{
    fmt::Write as _,
    fs::File,
    io::{BufRead as _, IsTerminal as _, Read as _},
    path::Path,
};

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};
use so_engine::{
    plugin::Plugins,
    script::{EvalContext, PreparedContext, ScriptEngine, Shape, analyse, functions},
};

use super::rules::library;
use crate::app::offline_catalogue;

/// Largest file of an event; the engine takes no larger one.
const EVENT_BYTES_MAX: u64 = 1024 * 1024;

/// Longest input before it is run, as it stands.
const INPUT_BYTES_MAX: usize = 16 * 1024;

/// The moment of every evaluation: 2026-11-24T09:00:00Z, as in the samples of events.
const NOW_MICROS: i64 = 1_795_510_800_000_000;

const HELP: &str = "\
An expression or a script, run when its brackets are closed. `let` and `fn` are kept for later lines.
:event          shows the event
:trigger KIND   takes the sample of another trigger
:functions TEXT lists functions whose name holds the text
:forget         forgets what was kept
:quit           ends
";

/// A conversation.
struct Session {
    plugins: Plugins,
    scripts: ScriptEngine,
    event: Value,
    /// What earlier lines declared.
    kept: String,
    /// Lines of an input whose brackets are open.
    open: String,
}

/// What a line led to.
#[derive(Debug, PartialEq, Eq)]
enum Reply {
    /// Something to show.
    Said(String),
    /// More lines are needed.
    More,
    /// The end.
    End,
}

pub(super) fn run(trigger: &str, event: Option<&Path>) -> anyhow::Result<()> {
    let mut session = Session::new(trigger)?;
    super::print(&session.take_library(Path::new("."))?)?;
    if let Some(file) = event {
        let mut text = String::new();
        File::open(file)
            .and_then(|opened| opened.take(EVENT_BYTES_MAX).read_to_string(&mut text))
            .with_context(|| format!("could not read {}", file.display()))?;
        session.event = serde_json::from_str(&text)
            .with_context(|| format!("{} holds no event as JSON", file.display()))?;
    }
    let input = std::io::stdin();
    // Somebody who types is asked; a script that pipes gets answers only.
    let is_asked = input.is_terminal();
    let ask = |text: &str| match is_asked {
        true => super::print(text),
        false => Ok(()),
    };
    ask("Type :help for help.\n> ")?;
    for line in input.lock().lines() {
        match session.feed(&line.context("could not read standard input")?) {
            Reply::Said(text) => {
                super::print(&text)?;
                ask("> ")?;
            }
            Reply::More => ask("… ")?,
            Reply::End => break,
        }
    }
    // What was not closed is run as it stands, so that its mistake is told.
    if !session.open.is_empty() {
        let input = std::mem::take(&mut session.open);
        super::print(&session.evaluate(&input))?;
    }
    Ok(())
}

impl Session {
    fn new(trigger: &str) -> anyhow::Result<Self> {
        let (plugins, scripts) = offline_catalogue();
        let mut session = Self {
            plugins,
            scripts,
            event: Value::Null,
            kept: String::new(),
            open: String::new(),
        };
        match session.take_trigger(trigger) {
            Ok(()) => Ok(session),
            Err(problem) => bail!(problem),
        }
    }

    /// Takes the library of a folder, or of the nearest one above it; answers what is wrong in it.
    fn take_library(&mut self, folder: &Path) -> anyhow::Result<String> {
        let files = library::of_paths(&[folder.to_owned()])?;
        let (scripts, wrong) = library::with_library(&self.scripts, &files);
        self.scripts = scripts;
        Ok(wrong.iter().map(library::Wrong::told).collect())
    }

    fn take_trigger(&mut self, kind: &str) -> Result<(), String> {
        let catalogue = self.plugins.catalogue();
        let Some(spec) = catalogue.triggers.get(kind) else {
            let known = catalogue.triggers.keys().map(String::as_str);
            let near = crate::config::nearest(kind, known);
            let near = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
            return Err(format!("there is no trigger {kind}{near}"));
        };
        let event_kind = spec.event_kinds.first().unwrap_or(&spec.kind);
        self.event = json!({
            "id": "evt_01890a5dac96774bbcceb302099a8057", "kind": event_kind, "source": "sample",
            "subject": null, "time": "2026-11-24T09:00:00Z", "data": spec.sample_data
        });
        Ok(())
    }

    fn feed(&mut self, line: &str) -> Reply {
        if self.open.is_empty() && line.trim_start().starts_with(':') {
            return self.command(line.trim());
        }
        if self.open.is_empty() && line.trim().is_empty() {
            return Reply::Said(String::new());
        }
        self.open.push_str(line);
        self.open.push('\n');
        // An empty line says that nothing more comes.
        let is_whole = !is_open(&self.open) || line.trim().is_empty();
        if !is_whole && self.open.len() < INPUT_BYTES_MAX {
            return Reply::More;
        }
        let input = std::mem::take(&mut self.open);
        Reply::Said(self.evaluate(&input))
    }

    fn command(&mut self, line: &str) -> Reply {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        Reply::Said(match name {
            ":quit" | ":q" | ":exit" => return Reply::End,
            ":help" | ":h" => HELP.to_owned(),
            ":event" => format!("{:#}\n", self.event),
            ":forget" => {
                self.kept.clear();
                String::new()
            }
            ":trigger" => match self.take_trigger(rest.trim()) {
                Ok(()) => String::new(),
                Err(problem) => format!("{problem}\n"),
            },
            ":functions" => {
                let all = functions(&self.scripts);
                let found = all.iter().map(|one| (one.signature(), one.says.to_owned()));
                let found = found.chain(self.of_library());
                let found = found.filter(|(signature, _)| {
                    let name = signature.split('(').next().unwrap_or_default();
                    name.contains(rest.trim())
                });
                found.fold(String::new(), |mut out, (signature, says)| {
                    // A string cannot fail to take more text.
                    let _ = writeln!(out, "{signature}  {says}");
                    out
                })
            }
            _ => format!("there is no command {name}; :help lists them\n"),
        })
    }

    /// Functions of the library: as one calls them, and the first line of their comments.
    fn of_library(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let Some(library) = self.scripts.library() else {
            return found;
        };
        for module in library.names() {
            let open = library
                .functions(module)
                .iter()
                .filter(|one| !one.is_private);
            found.extend(open.map(|one| {
                let says = one.says.lines().next().unwrap_or_default();
                (one.signature(module), says.to_owned())
            }));
        }
        found
    }

    fn evaluate(&mut self, input: &str) -> String {
        let source = format!("{}{input}", self.kept);
        let before = u32::try_from(self.kept.matches('\n').count()).unwrap_or(u32::MAX);
        let script = match self.scripts.compile_script(&source) {
            Ok(script) => script,
            Err(error) => return told(&error, before),
        };
        let mut out = String::new();
        for finding in analyse(&script, &Shape::Any) {
            let near = finding
                .suggestion
                .map(|near| format!("; did you mean {near}?"));
            let _ = writeln!(
                out,
                "warning: {}{}",
                finding.message,
                near.unwrap_or_default()
            );
        }
        let context = PreparedContext::new(&EvalContext {
            now_micros: NOW_MICROS,
            seed: 1,
            vars: Map::from_iter([("event".to_owned(), self.event.clone())]),
        });
        match self.scripts.run_script(&script, &context) {
            Ok(outcome) => {
                for line in &outcome.printed {
                    let _ = writeln!(out, "{line}");
                }
                let declares = ["let ", "const ", "fn "]
                    .iter()
                    .any(|word| input.trim_start().starts_with(word));
                if declares {
                    self.kept.push_str(input.trim_end());
                    let is_closed = input.trim_end().ends_with([';', '}']);
                    self.kept.push_str(if is_closed { "\n" } else { ";\n" });
                }
                if !(declares && outcome.value.is_null()) {
                    let _ = writeln!(out, "{:#}", outcome.value);
                }
            }
            Err(error) => out.push_str(&told(&error, before)),
        }
        out
    }
}

fn told(error: &so_engine::script::ScriptError, before: u32) -> String {
    let mut out = String::from("error: ");
    if let Some(line) = error.line.and_then(|line| line.checked_sub(before)) {
        let column = error.column.unwrap_or(1);
        let _ = write!(out, "line {line}, column {column}: ");
    }
    out.push_str(&error.message);
    if let Some(near) = &error.suggestion {
        let _ = write!(out, "; did you mean {near}?");
    }
    out.push('\n');
    out
}

/// True while a bracket or a long text is not closed.
fn is_open(text: &str) -> bool {
    let mut depth = 0_i32;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '/' if letters.peek() == Some(&'/') => {
                for letter in letters.by_ref() {
                    if letter == '\n' {
                        break;
                    }
                }
            }
            quote @ ('"' | '\'' | '`') => {
                let mut is_closed = false;
                while let Some(inner) = letters.next() {
                    if inner == '\\' && quote != '`' {
                        letters.next();
                    } else if inner == quote {
                        is_closed = true;
                        break;
                    }
                }
                if !is_closed {
                    return quote == '`';
                }
            }
            _ => {}
        }
    }
    depth > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(session: &mut Session, line: &str) -> String {
        match session.feed(line) {
            Reply::Said(text) => text,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn lines_are_run_on_the_sample_and_declarations_are_kept() {
        let mut session = Session::new("feed.item").unwrap();
        assert_eq!(said(&mut session, "1 + 1"), "2\n");
        assert_eq!(said(&mut session, "event.data.item.author"), "\"Ann\"\n");
        assert_eq!(said(&mut session, "let n = 20"), "");
        assert_eq!(said(&mut session, "fn twice(x) { x * 2 }"), "");
        assert_eq!(said(&mut session, "twice(n) + 2"), "42\n");
        assert_eq!(said(&mut session, "print(\"a\"); ()"), "a\nnull\n");
        said(&mut session, ":forget");
        assert!(said(&mut session, "n").starts_with("error: "));
    }

    #[test]
    fn the_library_of_the_folder_is_there_and_its_mistakes_are_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("lib")).unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "lib/texts.rhai",
            "/// Says hello.\nfn greet(name) { \"Hello \" + name }",
        );
        write("lib/bad.rhai", "fn f() { nothing() }");
        let mut session = Session::new("feed.item").unwrap();
        let told = session.take_library(folder.path()).unwrap();
        assert!(told.contains("bad.rhai:1:10: error"), "{told}");
        let said_so = said(&mut session, "lib::texts::greet(event.data.item.author)");
        assert_eq!(said_so, "\"Hello Ann\"\n");
        let listed = said(&mut session, ":functions texts::");
        assert_eq!(listed, "lib::texts::greet(name)  Says hello.\n");
        assert!(said(&mut session, "lib::texts::great(1)").contains("lib::texts::greet"));
    }

    #[test]
    fn an_open_bracket_asks_for_more_and_an_empty_line_ends_it() {
        let mut session = Session::new("manual").unwrap();
        for line in ["let out = [];", "for n in 0..3 {", "  out.push(n);"] {
            let expected = if line.starts_with("let") {
                Reply::Said(String::new())
            } else {
                Reply::More
            };
            assert_eq!(session.feed(line), expected, "{line}");
        }
        assert_eq!(said(&mut session, "} out.len()"), "3\n");
        assert_eq!(session.feed("(1 +"), Reply::More);
        assert!(said(&mut session, "").starts_with("error: line "));
    }

    #[test]
    fn mistakes_are_told_at_the_line_that_was_typed() {
        let mut session = Session::new("manual").unwrap();
        said(&mut session, "let a = 1");
        let told = said(&mut session, "lenght(a)");
        assert!(told.contains("unknown function `lenght`"), "{told}");
        let told = said(&mut session, "let b = ;");
        assert!(told.starts_with("error: line 1, column"), "{told}");
        assert!(said(&mut session, ":nothing").contains(":help"));
        assert!(said(&mut session, ":trigger feed.itm").contains("feed.item"));
        assert!(
            said(&mut session, ":functions truncate_ch")
                .contains("truncate_chars(text: text, most: int)")
        );
        assert_eq!(session.feed(":quit"), Reply::End);
        assert!(Session::new("nothing").is_err());
    }
}
