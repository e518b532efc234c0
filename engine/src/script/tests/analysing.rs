//! What can be said of a script without running it.

use serde_json::json;

use super::super::catalogue::{PACKAGE_FUNCTIONS, SCRIPT_FUNCTIONS};
use super::super::{Finding, FindingKind as F, ScriptErrorKind, Shape, analyse, property_paths};
use super::{context, engine};

fn shape() -> Shape {
    Shape::from_json_schema(&json!({
        "type": "object",
        "properties": {
            "post": {"type": "object", "properties": {"state": {"type": "string"}, "likes": {"type": "integer"}}},
            "items": {"type": "array", "items": {"type": "object", "properties": {"url": {"type": "string"}}}},
            "extra": {}
        }
    }))
}

fn findings(source: &str) -> Vec<Finding> {
    analyse(&engine().compile_script(source).unwrap(), &shape())
}

fn paths(source: &str) -> Vec<String> {
    property_paths(&engine().compile_script(source).unwrap())
}

#[test]
fn an_honest_script_has_no_findings() {
    for source in [
        "event.data.post.state == \"draft\" && event.data.post.likes > 3.5",
        "event.data.items[0].url.len() > 2 && event.data.items.len == 1",
        "event.data.extra.anything.at.all > 1",
        "event.data.items.filter(|i| i.whatever).map(|i| i.url)",
        "fn own(x) { x } own(event.data[\"post\"].state)",
        "event.custom.field == 1",
        "let post = 1; post + -post; !true",
    ] {
        assert_eq!(findings(source), [], "{source}");
    }
}

#[test]
fn misspelt_properties_are_found_with_a_suggestion() {
    let found = findings("if event.data.post.staet == \"draft\" { 1 }");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind, F::UnknownProperty);
    assert_eq!(found[0].suggestion.as_deref(), Some("`state`"));
    assert_eq!((found[0].line, found[0].column), (Some(1), Some(20)));
    for source in [
        "event.data[\"pots\"]",
        "event.data.items[0].link",
        "event.data.items.url",
        "event.data.post.state.length",
        "event.dat.post",
        "event?.data?.pst",
        "loop { break event.data.pst; }",
        "event.data.items.filter(|i| i.url == event.data.pst)",
        "`${event.data.pst}`",
        "let a = []; a[event.data.pst]",
    ] {
        let found = findings(source);
        assert_eq!(found.len(), 1, "{source}: {found:?}");
        assert_eq!(found[0].kind, F::UnknownProperty, "{source}");
    }
}

#[test]
fn unknown_functions_are_found_before_they_run() {
    let found = findings(
        "if false { hashtag(event.data.post.state) }\nevent.data.post.state.uper();\nfn mine() { 1 }\nmime()",
    );
    let told: Vec<_> = found
        .iter()
        .map(|f| (f.kind, f.line, f.suggestion.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            (F::UnknownFunction, Some(1), Some("`hashtags`")),
            (F::UnknownFunction, Some(2), Some("`upper`")),
            (F::UnknownFunction, Some(4), Some("`mine`")),
        ]
    );
}

#[test]
fn comparing_unlike_types_is_found() {
    for source in [
        "\"5\" > 3",
        "event.data.post.likes == \"3\"",
        "true == 1",
        "event.data.items == 2",
        "[1] == 1",
    ] {
        let found = findings(source);
        assert_eq!(found.len(), 1, "{source}");
        assert_eq!(found[0].kind, F::UnlikeComparison, "{source}");
    }
    assert!(
        findings("1 == 1.0 && event.data.extra == 5 && event.data.post.likes > now()").is_empty()
    );
    assert!(
        findings("event.data.post.likes != \"x\"")[0]
            .message
            .contains("always true")
    );
}

#[test]
fn dependencies_are_read_off_the_tree() {
    assert_eq!(
        paths(
            "event.data.post.state == \"x\" && vars.min > steps.a.out && event.data[\"post\"].likes > 1"
        ),
        [
            "event.data.post.likes",
            "event.data.post.state",
            "steps.a.out",
            "vars.min"
        ]
    );
    assert_eq!(
        paths("event.data.items[0].url + event.data.items[vars.i].url"),
        ["event.data.items", "vars.i"]
    );
    assert_eq!(
        paths("event.data.tags.filter(|t| t == vars.tag)"),
        ["event.data.tags", "vars.tag"]
    );
    assert_eq!(paths("has(event, \"a\")"), ["event"]);
    assert_eq!(paths("let x = 1; x"), [""; 0]);
}

#[test]
fn every_function_we_call_known_exists() {
    let receivers = [
        "\"a\"", "1", "1.5", "'c'", "[1]", "#{a:1}", "0..2", "|x| x", "()",
    ];
    let arguments = [
        "",
        "1",
        "\"a\"",
        "'c'",
        "|x| x",
        "|x, y| x",
        "[1]",
        "#{a:1}",
        "1, 1",
        "1, [1]",
        "\"a\", \"b\"",
        "|x, y| x, 1",
        "1, 1, [1]",
        "10, 'x'",
        "1.5",
        "[1], |x, y| x",
        "\"a\", 1",
    ];
    let engine = engine();
    let context = context();
    let exists = |source: &str| {
        let result = engine
            .compile_script(source)
            .and_then(|script| engine.eval_value(&script, &context));
        !result.is_err_and(|error| {
            use ScriptErrorKind as K;
            matches!(
                error.kind,
                K::UnknownFunction | K::Parse | K::UnknownProperty
            )
        })
    };
    for name in PACKAGE_FUNCTIONS.iter().chain(SCRIPT_FUNCTIONS) {
        let as_function = arguments.iter().map(|a| format!("{name}({a})"));
        let as_method = receivers.iter().flat_map(|r| {
            arguments
                .iter()
                .map(move |a| format!("let v = {r}; v.{name}({a})"))
        });
        assert!(
            as_function.chain(as_method).any(|source| exists(&source)),
            "{name}"
        );
    }
}
