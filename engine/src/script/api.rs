//! What scripts may call, told for people and for editors.
//!
//! Owns the words for our own functions; which functions there are is read from the sandbox itself. Must not
//! know how they work. Invariant: every function that is told exists with these parameters, and each one of
//! ours is told.

use std::any::TypeId;
use std::collections::BTreeMap;

use rhai::{Array, Dynamic, FnPtr, ImmutableString, Map};
use serde_json::{Value, json};

use super::catalogue::ROOT_NAMES;
use super::library::Library;
use super::sandbox::ScriptEngine;

/// A function that scripts may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Names and types of what it takes; a type has one of the words of the documentation.
    pub takes: Vec<(String, &'static str)>,
    /// What it yields; `any` where that depends on what it is given.
    pub yields: &'static str,
    /// What it does; empty for the language's own.
    pub says: &'static str,
    /// It is one of ours, not of the language.
    pub is_ours: bool,
}

impl Function {
    /// As one writes it: `truncate_chars(text: text, most: int)`.
    pub fn signature(&self) -> String {
        let takes: Vec<String> = self
            .takes
            .iter()
            .map(|(name, kind)| format!("{name}: {kind}"))
            .collect();
        format!("{}({})", self.name, takes.join(", "))
    }
}

/// Our own functions: name, names of parameters, what is yielded, what it does.
type Told = (
    &'static str,
    &'static [&'static str],
    &'static str,
    &'static str,
);

const OURS: &[Told] = &[
    (
        "now",
        &[],
        "int",
        "Microseconds since 1970; the same within one decision or one try of a step.",
    ),
    ("now_iso", &[], "text", "The same moment as text, in UTC."),
    (
        "random",
        &[],
        "float",
        "Chance from 0 to 1, the same on every try of a step.",
    ),
    (
        "random_int",
        &["low", "high"],
        "int",
        "Chance from `low` to `high`, both included.",
    ),
    (
        "one_of",
        &["list"],
        "any",
        "One element of a list, by chance.",
    ),
    (
        "count_chars",
        &["text"],
        "int",
        "Characters as a reader counts them.",
    ),
    (
        "count_chars",
        &["network", "text"],
        "int",
        "Length as that network counts a plain post.",
    ),
    (
        "truncate_chars",
        &["text", "most"],
        "text",
        "The first characters, ending in `…` if it was cut.",
    ),
    (
        "strip_html",
        &["html"],
        "text",
        "The text of a fragment of HTML.",
    ),
    (
        "hashtags",
        &["text"],
        "list",
        "The hashtags in a text, each once.",
    ),
    (
        "links",
        &["text"],
        "list",
        "The addresses in a text, each once.",
    ),
    (
        "slug",
        &["text"],
        "text",
        "A text for addresses: small letters, digits and dashes.",
    ),
    (
        "url_encode",
        &["text"],
        "text",
        "A text as a part of an address.",
    ),
    ("json", &["value"], "text", "A value as JSON."),
    (
        "parse_json",
        &["text"],
        "any",
        "The value that a JSON text says.",
    ),
    (
        "default",
        &["value", "fallback"],
        "any",
        "The fallback if the value is missing or an empty text.",
    ),
    ("lower", &["text"], "text", "A text in small letters."),
    ("upper", &["text"], "text", "A text in capital letters."),
    (
        "trim",
        &["text"],
        "text",
        "A text without the space around it.",
    ),
    (
        "replace",
        &["text", "find", "with"],
        "text",
        "A new text with every occurrence replaced; the old one stays.",
    ),
    (
        "regex_matches",
        &["text", "pattern"],
        "bool",
        "Whether a regular expression occurs in a text.",
    ),
    (
        "format_time",
        &["micros", "zone", "format"],
        "text",
        "A moment as civil time: `%d.%m.%Y %H:%M`.",
    ),
    (
        "iso_to_micros",
        &["text"],
        "int",
        "Microseconds since 1970 of a moment written as in RFC 3339.",
    ),
    (
        "has",
        &["object", "path"],
        "bool",
        "Whether a dotted path is there and not null.",
    ),
    (
        "lookup",
        &["object", "path", "fallback"],
        "any",
        "The value at a dotted path, or the fallback.",
    ),
    (
        "map",
        &["values", "each"],
        "any",
        "What a function makes of each element of a list or field of an object.",
    ),
    (
        "zip",
        &["list", "other", "each"],
        "list",
        "What a function makes of two lists, pair by pair.",
    ),
];

/// Every function of the sandbox, by name.
pub fn functions(engine: &ScriptEngine) -> Vec<Function> {
    let seen = engine.raw().collect_fn_metadata(
        None,
        |info| {
            let meta = info.metadata;
            let is_name = meta.name.starts_with(|c: char| c.is_ascii_alphabetic())
                && meta
                    .name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_');
            let kinds: Option<Vec<&'static str>> = meta.param_types.iter().map(word).collect();
            is_name.then(|| Some((meta.name.to_string(), kinds?)))?
        },
        true,
    );
    let mut all: BTreeMap<(String, Vec<&'static str>), Function> = BTreeMap::new();
    for (name, kinds) in seen.into_iter().filter(|(name, _)| !is_withheld(name)) {
        let told = OURS
            .iter()
            .find(|(known, takes, ..)| *known == name && takes.len() == kinds.len());
        let takes = kinds.iter().enumerate().map(|(index, kind)| {
            let own = told.and_then(|(_, takes, ..)| takes.get(index));
            let name = own.map_or_else(|| format!("a{}", index + 1), |own| (*own).to_owned());
            (name, *kind)
        });
        let function = Function {
            takes: takes.collect(),
            yields: told.map_or("any", |(_, _, yields, _)| *yields),
            says: told.map_or("", |(_, _, _, says)| *says),
            is_ours: told.is_some(),
            name: name.clone(),
        };
        all.insert((name, kinds), function);
    }
    all.into_values().collect()
}

/// Registered, and refused when a script is read.
fn is_withheld(name: &str) -> bool {
    matches!(
        name,
        "sleep" | "timestamp" | "elapsed" | "eval" | "curry" | "Fn"
    )
}

/// The word of a type; none for types that no value of a script has.
fn word(kind: &TypeId) -> Option<&'static str> {
    let words = [
        (TypeId::of::<i64>(), "int"),
        (TypeId::of::<f64>(), "float"),
        (TypeId::of::<bool>(), "bool"),
        (TypeId::of::<char>(), "char"),
        (TypeId::of::<ImmutableString>(), "text"),
        (TypeId::of::<String>(), "text"),
        (TypeId::of::<&str>(), "text"),
        (TypeId::of::<Array>(), "list"),
        (TypeId::of::<Map>(), "object"),
        (TypeId::of::<FnPtr>(), "function"),
        (TypeId::of::<Dynamic>(), "any"),
        (TypeId::of::<()>(), "missing"),
        (TypeId::of::<std::ops::Range<i64>>(), "range"),
        (TypeId::of::<std::ops::RangeInclusive<i64>>(), "range"),
    ];
    words
        .into_iter()
        .find_map(|(known, word)| (known == *kind).then_some(word))
}

/// The page for people.
pub fn markdown(engine: &ScriptEngine) -> String {
    let all = functions(engine);
    let mut out = String::from(
        "# Functions of scripts\n\nMade from the functions that the sandbox registers; `UPDATE_DOCS=1 cargo test -p so-engine \
         --lib script` renews it. What scripts are and what they see is said in [scripting.md](scripting.md). A running \
         server gives the same to editors, at `/api/v1/script-api.d.rhai` and `/api/v1/script-api.json`.\n\n\
         `text.trim()` and `trim(text)` are the same call.\n\n## Functions of ours\n\n\
         | Function | Yields | Does |\n|---|---|---|\n",
    );
    for one in all.iter().filter(|one| one.is_ours) {
        out.push_str(&format!(
            "| `{}` | {} | {} |\n",
            one.signature(),
            one.yields,
            one.says
        ));
    }
    out.push_str("\n## Functions of the language\n\n| Function | With |\n|---|---|\n");
    let mut by_name: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for one in all.iter().filter(|one| !one.is_ours) {
        let kinds: Vec<&str> = one.takes.iter().map(|(_, kind)| *kind).collect();
        by_name
            .entry(&one.name)
            .or_default()
            .push(format!("({})", kinds.join(", ")));
    }
    for (name, takes) in by_name {
        out.push_str(&format!("| `{name}` | {} |\n", takes.join(" ")));
    }
    out
}

/// A definition file as Rhai's editors read it.
pub fn definitions(engine: &ScriptEngine) -> String {
    let mut out = String::from("module static;\n");
    for name in ROOT_NAMES {
        out.push_str(&format!("\nlet {name};\n"));
    }
    for one in functions(engine) {
        if !one.says.is_empty() {
            out.push_str(&format!("\n/// {}", one.says));
        }
        let takes: Vec<String> = one
            .takes
            .iter()
            .map(|(name, kind)| format!("{}: {}", spelt(name), rhai_type(kind)))
            .collect();
        let yields = rhai_type(one.yields);
        out.push_str(&format!(
            "\nfn {}({}) -> {yields};\n",
            one.name,
            takes.join(", ")
        ));
    }
    if let Some(library) = engine.library() {
        out.push_str(&library_definitions(library));
    }
    out
}

/// The modules of a library within a module `lib`, as a rule names them.
fn library_definitions(library: &Library) -> String {
    let mut out = String::from("\nmodule lib {\n");
    for module in library.names() {
        out.push_str(&format!("    module {module} {{\n"));
        for name in library.constants(module) {
            out.push_str(&format!("        const {name};\n"));
        }
        for one in library
            .functions(module)
            .iter()
            .filter(|one| !one.is_private)
        {
            for line in one.says.lines() {
                out.push_str(&format!("        /// {line}\n"));
            }
            let takes: Vec<String> = one.takes.iter().map(|name| format!("{name}: ?")).collect();
            out.push_str(&format!(
                "        fn {}({}) -> ?;\n",
                one.name,
                takes.join(", ")
            ));
        }
        out.push_str("    }\n");
    }
    out.push_str("}\n");
    out
}

/// Functions and constants of a library, told as those of the sandbox are.
fn library_completions(library: &Library) -> Vec<Value> {
    let mut found = Vec::new();
    for module in library.names() {
        for one in library
            .functions(module)
            .iter()
            .filter(|one| !one.is_private)
        {
            let takes = one
                .takes
                .iter()
                .map(|name| json!({"name": name, "type": "any"}));
            found.push(json!({
                "name": format!("lib::{module}::{}", one.name), "signature": one.signature(module),
                "takes": takes.collect::<Vec<_>>(), "yields": "any", "says": one.says, "is_ours": false,
                "module": module
            }));
        }
    }
    found
}

/// A parameter's name that is no keyword of the language.
fn spelt(name: &str) -> String {
    match name {
        "with" => "with_text".to_owned(),
        other => other.to_owned(),
    }
}

fn rhai_type(word: &'static str) -> &'static str {
    match word {
        "text" => "String",
        "list" => "Array",
        "object" => "Map",
        "function" => "FnPtr",
        "any" => "?",
        "missing" => "()",
        "range" => "Range<int>",
        other => other,
    }
}

/// Data for completion in an editor.
pub fn completions(engine: &ScriptEngine) -> Value {
    let mut functions: Vec<Value> = functions(engine)
        .iter()
        .map(|one| {
            let takes: Vec<Value> = one
                .takes
                .iter()
                .map(|(name, kind)| json!({"name": name, "type": kind}))
                .collect();
            json!({"name": one.name, "signature": one.signature(), "takes": takes,
                   "yields": one.yields, "says": one.says, "is_ours": one.is_ours})
        })
        .collect();
    let mut data = json!({"variables": ROOT_NAMES});
    if let Some(library) = engine.library() {
        functions.extend(library_completions(library));
        let constants = library.names().flat_map(|module| {
            let names = library.constants(module).into_iter();
            names.map(move |name| format!("lib::{module}::{name}"))
        });
        data["constants"] = constants.collect();
    }
    data["functions"] = functions.into();
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{SCRIPT_FUNCTIONS, ScriptLimits};

    fn engine() -> ScriptEngine {
        ScriptEngine::new(ScriptLimits::default())
    }

    #[test]
    fn each_function_of_ours_is_told_with_its_parameters_and_exists() {
        let all = functions(&engine());
        for name in SCRIPT_FUNCTIONS {
            let told: Vec<&Function> = all.iter().filter(|one| one.name == *name).collect();
            assert!(!told.is_empty(), "{name} is not registered");
            assert!(
                told.iter().any(|one| one.is_ours && !one.says.is_empty()),
                "{name} is not told"
            );
        }
        for (name, takes, ..) in OURS {
            let exists = all
                .iter()
                .any(|one| one.name == *name && one.takes.len() == takes.len());
            assert!(
                exists,
                "{name} with {} parameters is told and does not exist",
                takes.len()
            );
        }
        assert!(all.len() > 100, "{}", all.len());
        assert!(all.iter().all(|one| !is_withheld(&one.name)));
    }

    #[test]
    fn the_page_in_docs_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/script-api.md");
        let text = markdown(&engine());
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            stored == text,
            "docs/script-api.md is old; run UPDATE_DOCS=1 cargo test -p so-engine --lib script"
        );
    }

    #[test]
    fn a_library_is_told_with_its_comments_and_without_what_is_private() {
        let source = "const MOST = 5;\n/// Cuts a text.\n/// Politely.\nfn cut(text) { inner(text) }\nprivate fn inner(text) { text }";
        let engine = engine();
        let (library, problems) = Library::build(&engine, [("texts", source)]);
        assert!(problems.is_empty(), "{problems:?}");
        let engine = engine.with_library(std::sync::Arc::new(library));
        let text = definitions(&engine);
        assert!(
            text.ends_with(
                "\nmodule lib {\n    module texts {\n        const MOST;\n        /// Cuts a text.\n        \
                 /// Politely.\n        fn cut(text: ?) -> ?;\n    }\n}\n"
            ),
            "{text}"
        );
        let data = completions(&engine);
        let known = data["functions"].as_array().unwrap();
        let own: Vec<&Value> = known
            .iter()
            .filter(|one| one["module"] == "texts")
            .collect();
        assert_eq!(own.len(), 1);
        assert_eq!(own[0]["signature"], "lib::texts::cut(text)");
        assert_eq!(own[0]["says"], "Cuts a text.\nPolitely.");
        assert_eq!(data["constants"], json!(["lib::texts::MOST"]));
    }

    #[test]
    fn the_definition_file_names_every_function_once_for_each_way_to_call_it() {
        let engine = engine();
        let text = definitions(&engine);
        assert!(text.starts_with("module static;"), "{text}");
        assert_eq!(text.matches("\nfn ").count(), functions(&engine).len());
        assert!(
            text.contains("fn truncate_chars(text: String, most: int) -> String;"),
            "{text}"
        );
        let data = completions(&engine);
        assert_eq!(
            data["functions"].as_array().unwrap().len(),
            functions(&engine).len()
        );
    }
}
