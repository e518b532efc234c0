//! Scripts that call a library: what they get, what is refused, and that no bound is lost on the way.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::context;
use crate::script::{
    Library, ModuleError, ScriptEngine, ScriptError, ScriptErrorKind, ScriptLimits, Template,
    check_name, is_volatile, mentioned_in, step_through,
};

const TEXTS: &str = "/// A text without the space around it,\n/// cut to a length.\nfn clean(text, most) {\n    truncate_chars(squeeze(text), most)\n}\n\nconst SIGN = \"#\";\nconst LIMITS = #{toot: 500, skeet: 300};\n\nprivate fn squeeze(text) { text.trim() }\n\nfn tag(text) { global::SIGN + slug(text) }\n\nfn tags(list, most) {\n    list.filter(|one| one.len() <= most).map(|one| tag(one))\n}\n";

/// With all bounds but the clock's: a busy machine must not be the first to stop a script.
fn engine() -> ScriptEngine {
    ScriptEngine::new(ScriptLimits {
        deadline: Duration::from_secs(60),
        ..ScriptLimits::default()
    })
}

fn with(modules: &[(&str, &str)]) -> ScriptEngine {
    let engine = engine();
    let (library, problems) = Library::build(&engine, modules.iter().copied());
    assert!(problems.is_empty(), "{problems:?}");
    engine.with_library(Arc::new(library))
}

fn refused(modules: &[(&str, &str)]) -> ModuleError {
    let (_, mut problems) = Library::build(&engine(), modules.iter().copied());
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.remove(0)
}

fn run(modules: &[(&str, &str)], source: &str) -> Result<Value, ScriptError> {
    let engine = with(modules);
    engine.eval_value(&engine.compile_script(source)?, &context())
}

#[test]
fn scripts_expressions_and_templates_call_functions_and_read_constants() {
    let engine = with(&[("texts", TEXTS)]);
    let script = engine.compile_script("let out = lib::texts::clean(\"  abc  \", 2);\nout");
    let value = engine.eval_value(&script.unwrap(), &context());
    assert_eq!(value.unwrap(), "a…");
    let expression = engine
        .compile_expression("lib::texts::LIMITS.toot == 500")
        .unwrap();
    assert!(engine.eval_bool(&expression, &context()).unwrap());
    let template = Template::compile(
        &engine,
        "See {{ lib::texts::tag(event.data.tags[0]) }}, not lib::texts::tag",
    );
    let text = template.unwrap().render(&context()).unwrap();
    assert_eq!(text, "See #rust, not lib::texts::tag");
    let tags = engine
        .compile_expression("lib::texts::tags([\"rust\", \"longer\"], 4)")
        .unwrap();
    assert_eq!(
        engine.eval_value(&tags, &context()).unwrap(),
        json!(["#rust"])
    );
    let told = engine.library().unwrap().functions("texts");
    assert_eq!(
        told[0].says,
        "A text without the space around it,\ncut to a length."
    );
    assert_eq!(told[0].signature("texts"), "lib::texts::clean(text, most)");
    assert!(told[1].is_private && told[1].name == "squeeze");
}

#[test]
fn texts_and_comments_that_look_like_names_stay_as_they_are() {
    let source = "// lib::none::at_all()\nlet a = \"lib::x::y\"; let b = `lib::x::y ${lib::texts::tag(\"u\")} lib::x::y`; a + \" \" + b";
    let value = run(&[("texts", TEXTS)], source).unwrap();
    assert_eq!(value, "lib::x::y lib::x::y #u lib::x::y");
}

#[test]
fn places_are_found_behind_tabs_wide_letters_and_any_end_of_line() {
    let source = "/* größe — 漢字 */\tlet a = \"ü\";\r\n\tlet b = /* 🎉 */ lib::texts::tag(a);\r\nb + lib::texts::tag(\"é\")";
    let value = run(&[("texts", TEXTS)], source).unwrap();
    assert_eq!(value, "#u#e");
    // A return without a new line is told as a mistake or read as a space, never put in the wrong place.
    let odd = "let a = 1;\rlib::texts::tag(\"x\")";
    if let Ok(value) = run(&[("texts", TEXTS)], odd) {
        assert_eq!(value, "#x");
    }
}

#[test]
fn helpers_of_one_name_in_two_modules_and_the_script_are_kept_apart() {
    let a = "private fn helper(x) { \"a\" + x } fn work(x) { helper(x) + helper(x) + lib::b::work(x) + helper(x) }";
    let b = "private fn helper(x) { \"b\" + x } fn work(x) { helper(x) + helper(x) }";
    let source = "fn helper(x) { \"s\" + x } helper(1) + helper(1) + lib::a::work(2) + helper(1) + lib::b::work(3) + lib::a::work(4)";
    let value = run(&[("a", a), ("b", b)], source).unwrap();
    assert_eq!(value, "s1s1a2a2b2b2a2s1b3b3a4a4b4b4a4");
}

#[test]
fn a_function_of_the_library_sees_no_variable_of_the_rule() {
    let found = refused(&[("peek", "fn look() {\n  event.data.likes\n}")]);
    assert_eq!(found.error.kind, ScriptErrorKind::UnknownVariable);
    assert_eq!((found.error.line, found.error.column), (Some(2), Some(3)));
    assert!(found.error.suggestion.unwrap().contains("a parameter"));
    // Nor through an anonymous function, which is read less strictly.
    refused(&[("peek", "fn look(list) { list.map(|x| event.data.likes) }")]);
    let named = run(
        &[("names", "fn title(item) { item.title }")],
        "lib::names::title(#{title: 5})",
    );
    assert_eq!(named.unwrap(), 5);
}

#[test]
fn what_is_not_in_the_library_is_told_with_place_and_suggestion() {
    let engine = with(&[("texts", TEXTS)]);
    let wrong = |source: &str| engine.compile_script(source).unwrap_err();
    let error = wrong("let a = 1;\n  lib::text::clean(\"a\", 1)");
    assert_eq!((error.line, error.column), (Some(2), Some(3)));
    assert_eq!(error.message, "the library has no module `text`");
    assert_eq!(error.suggestion.as_deref(), Some("`lib::texts`"));
    let error = wrong("lib::texts::claen(\"a\", 1)");
    assert_eq!(error.suggestion.as_deref(), Some("`lib::texts::clean`"));
    let error = wrong("lib::texts::clean(\"a\")");
    assert_eq!(
        error.message,
        "`lib::texts::clean` is not called with 1 arguments"
    );
    assert_eq!(
        error.suggestion.as_deref(),
        Some("`lib::texts::clean(text, most)`")
    );
    assert!(
        wrong("lib::texts::squeeze(\"a\")")
            .message
            .contains("private")
    );
    assert_eq!(
        wrong("[1].map(lib::texts::tag)").suggestion.as_deref(),
        Some("`|x| lib::texts::tag(x)`")
    );
    // Without a library there is nothing to name.
    let bare = super::engine()
        .compile_expression("lib::texts::tag(1)")
        .unwrap_err();
    assert_eq!(bare.message, "the library has no module `texts`");
}

#[test]
fn modules_stay_closed_for_everything_else() {
    let engine = with(&[("texts", TEXTS)]);
    for source in [
        "other::texts::clean(1)",
        "lib::clean(1)",
        "lib::texts::deep::clean(1)",
        "global::X",
        "import \"texts\" as t; t::clean(1)",
        "lib__texts__squeeze(\"a\")",
        "lib :: texts :: clean(\"a\", 1)",
        "\"a\".lib::texts::tag()",
        "lib::a__b::c()",
        "fn trim(x) { x } lib::texts::clean(\"a\", 1)",
    ] {
        let refused = engine.compile_script(source);
        assert!(refused.is_err(), "{source}");
    }
}

#[test]
fn a_module_holds_functions_and_plain_constants_only() {
    for (source, says) in [
        ("fn a() { 1 }\nlet x = 1;", "only functions and constants"),
        ("print(\"x\");", "only functions and constants"),
        ("const NOW = now();", "values and operators"),
        ("const F = |x| x;", "values and operators"),
        ("const L = { loop {} };", "values and operators"),
        ("fn trim(x) { x }", "a function of every script already"),
        ("fn a() { b() }", "unknown function `b`"),
        ("fn a() { loop { break b(); } }", "unknown function `b`"),
        ("fn abc() { 1 }\nfn b() { abd() }", "unknown function `abd`"),
        (
            "fn a(x) { x }\nfn b() { a() }",
            "`a` is not called with 0 arguments",
        ),
        ("fn a() { eval(\"1\") }", "eval"),
        ("fn a() { import \"x\" as y; 1 }", "import"),
        ("fn a( { 1 }", "cannot read the script"),
        ("fn f() { let lib__x__y = 1; 1 }", "kept for the library"),
        ("const A = 1;\nfn f() { A }", "unknown variable `A`"),
        ("fn f() { global::B }", "no constant `B`"),
    ] {
        let found = refused(&[("m", source)]);
        assert!(
            found.error.message.contains(says),
            "{source}: {}",
            found.error
        );
    }
    let missing = refused(&[("m", "fn abc() { 1 }\nfn b() { abd() }")]);
    assert_eq!(
        (missing.error.line, missing.error.column),
        (Some(2), Some(10))
    );
    assert_eq!(missing.error.suggestion.as_deref(), Some("`abc`"));
    let constant = refused(&[("m", "const A = 1;\nfn f() { A }")]);
    assert_eq!(constant.error.suggestion.as_deref(), Some("`global::A`"));
    for name in [
        "lib",
        "global",
        "A",
        "a-b",
        "a__b",
        "a_",
        "1a",
        "",
        &"a".repeat(41),
    ] {
        assert!(check_name(name).is_err(), "{name}");
    }
    assert!(check_name("texts_2").is_ok());
}

#[test]
fn a_place_behind_several_names_is_the_authors_own() {
    let source = "fn a() { 1 }\nfn b() { a() + a() + lib::gone::x() }";
    let found = refused(&[("m", source)]);
    assert_eq!((found.error.line, found.error.column), (Some(2), Some(22)));
    let found = refused(&[("m", "fn a() { 1 }\nfn b() { a() + a() + zzzzzz() }")]);
    assert_eq!((found.error.line, found.error.column), (Some(2), Some(22)));
}

#[test]
fn modules_that_need_each_other_in_a_circle_are_refused() {
    let modules = [
        ("a", "fn f() { lib::b::f() }"),
        ("b", "fn f() { lib::c::f() }"),
        ("c", "fn f() { lib::a::f() }"),
        ("d", "fn f() { 1 }"),
    ];
    let (library, problems) = Library::build(&engine(), modules);
    assert_eq!(library.names().collect::<Vec<_>>(), ["d"]);
    assert_eq!(problems.len(), 3);
    for found in problems {
        assert!(
            found.error.message.contains("a → b → c → a"),
            "{}",
            found.error
        );
    }
}

#[test]
fn bounds_count_through_library_calls() {
    let stopped = |module: &str, call: &str| run(&[("m", module)], call).unwrap_err().kind;
    assert_eq!(
        stopped("fn spin() { loop { let x = 1; } }", "lib::m::spin()"),
        ScriptErrorKind::TooManyOperations
    );
    assert_eq!(
        stopped("fn dive(n) { dive(n + 1) }", "lib::m::dive(0)"),
        ScriptErrorKind::TooDeep
    );
    assert_eq!(
        stopped(
            "fn grow() { let x = \"0123456789\"; loop { x += x; } }",
            "lib::m::grow()"
        ),
        ScriptErrorKind::TooLarge
    );
    assert_eq!(
        stopped(
            "fn many() { let x = []; loop { x.push(1); } }",
            "lib::m::many()"
        ),
        ScriptErrorKind::TooLarge
    );
    // Spread over many small calls, the operations are still those of one script.
    assert_eq!(
        stopped(
            "fn few() { let n = 0; while n < 1000 { n += 1; } n }",
            "for i in 0..100000 { lib::m::few(); }"
        ),
        ScriptErrorKind::TooManyOperations
    );
    // A script cannot catch the stop, nor can a module.
    assert_eq!(
        stopped(
            "fn spin() { try { loop { let x = 1; } } catch { 1 } }",
            "try { lib::m::spin() } catch { 2 }"
        ),
        ScriptErrorKind::TooManyOperations
    );
    let levels = (0..40).map(|n| {
        let next = if n < 39 {
            format!("lib::m{}::f()", n + 1)
        } else {
            "1".into()
        };
        (format!("m{n}"), format!("fn f() {{ {next} }}"))
    });
    let levels: Vec<(String, String)> = levels.collect();
    let modules: Vec<(&str, &str)> = levels
        .iter()
        .map(|(n, s)| (n.as_str(), s.as_str()))
        .collect();
    let deep = run(&modules, "lib::m0::f()").unwrap_err();
    assert_eq!(deep.kind, ScriptErrorKind::TooDeep);
}

#[test]
fn anonymous_functions_of_a_module_cannot_leak_or_disturb_others() {
    // `out` is used from outside by an anonymous function of one module and is changed in another one.
    let a = "fn adder(n) { |x| x + n } fn each(list, out) { list.map(|x| x + out) }";
    let b = "fn gather(list) { let out = []; for x in list { out.push(x * 2); } out }";
    let modules = [("a", a), ("b", b)];
    let value = run(&modules, "lib::b::gather(lib::a::each([1, 2], 1))").unwrap();
    assert_eq!(value, json!([4, 6]));
    let value = run(&modules, "let add = lib::a::adder(2); add.call(3)").unwrap();
    assert_eq!(value, 5);
    let circle = "fn loops() { let f = 1; let g = |x| f; f = g; let h = |x| f; h }";
    let kept = run(&[("m", circle)], "lib::m::loops(); 1");
    assert!(kept.is_err(), "{kept:?}");
}

#[test]
fn an_error_in_the_library_is_told_where_the_script_called_it() {
    let source = "let a = 1;\na + lib::m::broken(0)";
    let error = run(
        &[(
            "m",
            "fn broken(n) {\n  inner(n)\n}\nfn inner(n) {\n  1 / n\n}",
        )],
        source,
    );
    let error = error.unwrap_err();
    assert_eq!((error.line, error.column), (Some(2), Some(5)));
    assert!(
        error.message.contains("in `lib::m::inner`, line 5"),
        "{error}"
    );
}

#[test]
fn stepping_through_a_script_calls_its_library() {
    let engine = with(&[("texts", TEXTS)]);
    let source = "let a = lib::texts::tag(\"x\");\na";
    let found = step_through(&engine, source, &context(), &Default::default()).unwrap();
    assert_eq!(found.outcome.unwrap().value, "#x");
    assert_eq!(found.stops[1].variables["a"], "#x");
}

#[test]
fn chance_is_drawn_alike_with_and_without_a_newer_library() {
    let source = "lib::m::dice() + random_int(1, 1000000)";
    let one = run(&[("m", "fn dice() { random_int(1, 6) }")], source).unwrap();
    let same = run(
        &[("m", "fn dice() { random_int(1, 6) } fn more() { 1 }")],
        source,
    )
    .unwrap();
    assert_eq!(one, same);
}

#[test]
fn a_call_is_as_volatile_as_what_it_needs() {
    let modules = [
        ("dice", "fn throw_it() { random_int(1, 6) }"),
        ("game", "fn play(n) { lib::dice::throw_it() + n }"),
        ("plain", "fn twice(n) { n * 2 }"),
    ];
    let engine = with(&modules);
    for (source, expected) in [
        ("lib::game::play(1) > 3", true),
        ("lib::plain::twice(1) > 3", false),
    ] {
        let script = engine.compile_expression(source).unwrap();
        assert_eq!(is_volatile(&script), expected, "{source}");
    }
}

#[test]
fn mentions_are_found_in_any_text() {
    let text = "{{ lib::texts::clean(1) + lib::more_2::x }} mylib::no::x lib::Bad::x lib::half";
    let found: Vec<String> = mentioned_in(text).into_iter().collect();
    assert_eq!(found, ["more_2", "texts"]);
}
