//! What honest scripts rely on.

use serde_json::json;

use super::super::{ScriptEngine, ScriptErrorKind as K, ScriptLimits};
use super::{context, engine, expr, script};

#[test]
fn a_condition_reads_the_event() {
    let engine = engine();
    let condition = "event.data.likes > 100 && event.source == \"mastodon\" && event.data.tags.contains(\"rust\")";
    let compiled = engine.compile_expression(condition).unwrap();
    let context = context();
    assert!(engine.eval_bool(&compiled, &context).unwrap());
    assert!(
        engine.eval_bool(&compiled, &context).unwrap(),
        "a context serves several times"
    );
}

#[test]
fn a_condition_that_is_not_true_or_false_says_so() {
    let engine = engine();
    let compiled = engine.compile_expression("event.data.likes").unwrap();
    let error = engine.eval_bool(&compiled, &context()).unwrap_err();
    assert_eq!(error.kind, K::TypeMismatch);
    assert_eq!(
        error.message,
        "condition must be true or false, but it is a number"
    );
}

#[test]
fn an_expression_has_no_statements_and_no_loops() {
    for source in [
        "let x = 1; x",
        "while true {}",
        "{ let x = 1; x }",
        "fn f() { 1 } f()",
        "1; 2",
    ] {
        assert_eq!(
            engine().compile_expression(source).unwrap_err().kind,
            K::Parse,
            "{source}"
        );
    }
}

#[test]
fn unknown_names_are_told_with_a_place_and_a_suggestion() {
    let error = expr("1 + evnt.data.likes").unwrap_err();
    assert_eq!(
        (error.kind, error.line, error.column),
        (K::UnknownVariable, Some(1), Some(5))
    );
    assert_eq!(error.suggestion.as_deref(), Some("`event`"));
    let error = expr("coutn_chars(\"a\")").unwrap_err();
    assert_eq!(error.kind, K::UnknownFunction);
    assert_eq!(error.suggestion.as_deref(), Some("`count_chars`"));
    assert_eq!(
        error.to_string(),
        "unknown function `coutn_chars` (line 1, column 1); try `count_chars`"
    );
    assert_eq!(
        expr("event.data.liks").unwrap_err().kind,
        K::UnknownProperty
    );
    assert_eq!(
        expr("item.x").unwrap_err().message,
        "unknown property `x` of a missing value"
    );
    assert_eq!(
        expr("event.data.likes && true").unwrap_err().message,
        "expects true or false but got a whole number"
    );
    assert_eq!(
        expr("!1").unwrap_err().message,
        "no function `! (i64)` for these values"
    );
    assert_eq!(script("throw \"no\"").unwrap_err().message, "no");
    assert_eq!(expr("count_chars(5)").unwrap_err().suggestion, None);
}

#[test]
fn closures_see_outer_variables_as_copies() {
    let filtered = "event.data.items.filter(|i| i.likes > vars.min && event.data.likes > 100)";
    assert_eq!(expr(filtered).unwrap(), json!([{"likes": 5}, {"likes": 9}]));
    let local = "let min = 4; let all = event.data.items; all.filter(|i| i.likes > min && all.len() == 3).len()";
    assert_eq!(script(local).unwrap(), json!(2));
    assert_eq!(
        script("fn big(i) { i.likes > vars.min } event.data.items.filter(|i| big(i)).len()")
            .unwrap(),
        json!(2)
    );
    let error =
        script("let sum = 0; event.data.items.for_each(|i| sum += i.likes); sum").unwrap_err();
    assert_eq!(error.kind, K::Runtime);
}

#[test]
fn scripts_build_plans() {
    let source = "let out = []; for item in event.data.items { if item.likes > 4 { out.push(#{say: `n${item.likes}`}); } } out";
    assert_eq!(
        script(source).unwrap(),
        json!([{"say": "n5"}, {"say": "n9"}])
    );
    assert_eq!(
        script("event.data.items.map(|i| i.likes * 2)").unwrap(),
        json!([2, 10, 18])
    );
    assert_eq!(
        script("event.data.post.map(|k, v| k).keys()").unwrap(),
        json!(["author", "state"])
    );
}

#[test]
fn printing_is_returned_and_bounded() {
    let engine = engine();
    let compiled = engine
        .compile_script("print(\"a\"); debug(1); for i in 0..1000 { print(i); } 5")
        .unwrap();
    let outcome = engine.run_script(&compiled, &context()).unwrap();
    assert_eq!(outcome.value, json!(5));
    assert_eq!(&outcome.printed[..2], ["a", "1"]);
    assert_eq!(outcome.printed.len(), 200);
    assert!(outcome.operations > 1_000);
}

#[test]
fn time_and_chance_come_from_the_run() {
    assert_eq!(expr("now()").unwrap(), json!(super::NOW));
    assert_eq!(
        expr("now_iso()").unwrap(),
        json!("2026-03-01T12:30:45.123456Z")
    );
    assert_eq!(
        expr("iso_to_micros(now_iso()) == now()").unwrap(),
        json!(true)
    );
    assert_eq!(
        expr("format_time(now(), \"Europe/Berlin\", \"%Y-%m-%d %H:%M\")").unwrap(),
        json!("2026-03-01 13:30")
    );
    assert_eq!(
        expr("format_time(now(), \"Europe/Berlin\", \"%Q\")")
            .unwrap_err()
            .kind,
        K::Runtime
    );
    assert_eq!(
        expr("format_time(now(), \"Mars\", \"%Y\")")
            .unwrap_err()
            .kind,
        K::Runtime
    );
    let draws = "[random(), random_int(1, 6), one_of([\"a\", \"b\", \"c\"]), random()]";
    let first = expr(draws).unwrap();
    assert_eq!(first, expr(draws).unwrap(), "a replay draws the same");
    assert_ne!(first[0], first[3]);
    assert_eq!(expr("one_of([])").unwrap_err().kind, K::Runtime);
    let range = script(
        "let ok = true; for i in 0..500 { let r = random_int(-2, 2); if r < -2 || r > 2 { ok = false; } } ok",
    );
    assert_eq!(range.unwrap(), json!(true));
}

#[test]
fn text_functions_work_on_event_texts() {
    for (source, wanted) in [
        ("hashtags(event.data.text)", json!(["rust"])),
        ("links(event.data.text)", json!(["https://a.example"])),
        ("count_chars(\"a👨‍👩‍👧‍👦\")", json!(2)),
        ("truncate_chars(\"abcdef\", 3)", json!("ab…")),
        ("slug(\"Größe 2\")", json!("grosse-2")),
        ("\" A \".trim().lower() + upper(\"b\")", json!("aB")),
        (
            "event.data.text.replace(\"Hello\", \"Hi\").sub_string(0, 2)",
            json!("Hi"),
        ),
        (
            "regex_matches(event.data.text, \"(?i)^hello .*rust\")",
            json!(true),
        ),
        (
            "parse_json(json(event.data.post)) == event.data.post",
            json!(true),
        ),
        ("url_encode(\"a b\")", json!("a%20b")),
        ("strip_html(\"<b>x</b>\")", json!("x")),
    ] {
        assert_eq!(expr(source).unwrap(), wanted, "{source}");
    }
}

#[test]
fn missing_data_is_handled_in_words() {
    for (source, wanted) in [
        ("has(event.data, \"post\")", json!(true)),
        ("event.data.has(\"post.author.followers\")", json!(true)),
        ("event.data.has(\"post.author.nick\")", json!(false)),
        (
            "event.data.lookup(\"post.author.nick\", \"nobody\")",
            json!("nobody"),
        ),
        ("default(event.data.get(\"nick\"), \"x\")", json!("x")),
        ("event.data.get(\"nick\") ?? \"y\"", json!("y")),
        ("event.data.get(\"nick\") == null", json!(true)),
        ("event.data.public", json!(true)),
        ("has(item, \"x\")", json!(false)),
    ] {
        assert_eq!(expr(source).unwrap(), wanted, "{source}");
    }
}

#[test]
fn networks_count_their_own_way() {
    let engine = ScriptEngine::new(ScriptLimits::default())
        .with_counter(|network, text| (network == "wide").then(|| text.len() * 2));
    let count =
        |source: &str| engine.eval_value(&engine.compile_expression(source).unwrap(), &context());
    assert_eq!(count("count_chars(\"wide\", \"abc\")").unwrap(), json!(6));
    assert_eq!(count("count_chars(\"abc\")").unwrap(), json!(3));
    assert_eq!(
        count("count_chars(\"none\", \"abc\")").unwrap_err().kind,
        K::Runtime
    );
}

#[test]
fn a_source_is_compiled_once() {
    let engine = engine();
    let one = engine.compile_expression("1 + 1").unwrap();
    let two = engine.compile_expression("1 + 1").unwrap();
    assert!(std::sync::Arc::ptr_eq(one.ast(), two.ast()));
    let other = engine.compile_script("1 + 1").unwrap();
    assert_ne!(one.source_hash(), other.source_hash());
}

#[test]
fn one_context_serves_threads_at_once() {
    let engine = engine();
    let context = context();
    let compiled = engine
        .compile_script("let n = 0; for i in 0..200 { n += event.data.likes; } n")
        .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert_eq!(
                        engine.eval_value(&compiled, &context).unwrap(),
                        json!(24_000)
                    );
                }
            });
        }
    });
}

#[test]
fn identifiers_longer_than_an_integer_stay_text() {
    let context = super::context_of(
        json!({"event": {"data": {"id": "18446744073709551615", "n": 9_007_199_254_740_993_i64}}}),
    );
    let engine = engine();
    let compiled = engine
        .compile_expression("[event.data.id, event.data.n]")
        .unwrap();
    assert_eq!(
        engine.eval_value(&compiled, &context).unwrap(),
        json!(["18446744073709551615", 9_007_199_254_740_993_i64])
    );
}
