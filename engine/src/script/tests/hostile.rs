//! Sources written to do harm: each must be refused clearly and in time, the process alive.

use std::time::{Duration, Instant};

use super::super::{ScriptEngine, ScriptErrorKind as K, ScriptLimits};
use super::{context, engine, expr, script};

/// The deadline, one native call, and a shared machine compiling next to us.
const PATIENCE: Duration = Duration::from_secs(2);

fn refused(source: &str, allowed: &[K]) {
    let started = Instant::now();
    let shown: String = source.chars().take(80).collect();
    let error = match script(source) {
        Ok(value) => panic!("`{shown}` was allowed and gave {:.80}", value.to_string()),
        Err(error) => error,
    };
    assert!(allowed.contains(&error.kind), "`{shown}` gave {error:?}");
    assert!(!error.message.is_empty());
    let took = started.elapsed();
    assert!(took < PATIENCE, "`{shown}` took {took:?}");
}

#[test]
fn endless_work_is_stopped() {
    let stopped = [K::TooManyOperations, K::Deadline];
    refused("loop {}", &stopped);
    refused("while true { let x = 1; }", &stopped);
    refused("do { } while true", &stopped);
    refused("for i in 0..9000000000000 { }", &stopped);
    refused("try { loop {} } catch { loop {} }", &stopped);
    refused(
        "let s = 0; for i in 0..1000 { for j in 0..1000 { s += j; } } s",
        &stopped,
    );
}

#[test]
fn the_deadline_holds_where_operations_are_cheap_to_count_and_dear_to_do() {
    let limits = ScriptLimits {
        deadline: Duration::from_millis(50),
        max_operations: u64::MAX / 2,
        ..ScriptLimits::default()
    };
    let engine = ScriptEngine::new(limits);
    let compiled = engine
        .compile_script("let a = []; a.pad(9000, 1); loop { a.sort(); }")
        .unwrap();
    let started = Instant::now();
    let error = engine.run_script(&compiled, &context()).unwrap_err();
    assert_eq!(error.kind, K::Deadline);
    assert!(started.elapsed() < PATIENCE);
}

#[test]
fn a_stop_swallowed_by_a_native_function_still_counts() {
    // Rhai's `sort` ignores errors of its comparer, and nothing runs after it here.
    refused(
        "let a = [2, 1]; a.sort(|x, y| { loop {} }); a",
        &[K::TooManyOperations],
    );
    refused(
        "let a = [2, 1]; a.sort(|x, y| { loop {} })",
        &[K::TooManyOperations],
    );
}

#[test]
fn memory_cannot_be_blown_up() {
    let large = [K::TooLarge, K::TooManyOperations, K::Deadline];
    refused("let s = \"aaaaaaaa\"; loop { s += s; }", &large);
    refused("let s = \"aaaaaaaa\"; loop { s = `${s}${s}`; }", &large);
    refused("let a = []; loop { a.push(1); }", &large);
    refused("let a = [1, 2]; loop { a += a; }", &large);
    refused(
        "let m = #{}; let i = 0; loop { m[`k${i}`] = m; i += 1; }",
        &large,
    );
    refused("let s = \"a\"; s.pad(1000000, \"x\"); s", &large);
    refused("let a = []; a.pad(1000000, 1); a", &large);
    refused(
        "let a = []; let b = []; b.pad(5000, 1); a.pad(9000, b); a",
        &large,
    );
    let many: String = (0..80).map(|i| format!("let v{i} = {i};")).collect();
    refused(&format!("{many} 1"), &[K::TooLarge]);
}

#[test]
fn one_native_call_cannot_blow_up_memory_before_it_is_checked() {
    refused(
        "let s = \"a\"; s.pad(200000, \"a\"); s.replace(\"a\", s)",
        &[K::TooLarge],
    );
    refused(
        "let a = []; a.pad(9000, 1); a.map(|x| { let s = \"a\"; s.pad(200000, \"a\"); s })",
        &[K::TooLarge, K::Deadline],
    );
    refused(
        "let a = []; a.pad(9000, 1); a.zip(a, |x, y| { let s = \"a\"; s.pad(200000, \"a\"); s })",
        &[K::TooLarge, K::Deadline],
    );
}

#[test]
fn values_nested_thousands_deep_do_not_exhaust_the_stack() {
    let allowed = [
        K::TooDeep,
        K::TooLarge,
        K::TooManyOperations,
        K::Deadline,
        K::TypeMismatch,
    ];
    refused("let a = []; for i in 0..9000 { a = [a]; } a", &allowed);
    refused("let a = #{}; for i in 0..9000 { a = #{x: a}; } a", &allowed);
    refused(
        "let a = []; for i in 0..9000 { a = [a]; } let b = a; if a == b { json(a) } else { 1 }",
        &[
            K::Runtime,
            K::TooLarge,
            K::TooManyOperations,
            K::Deadline,
            K::TooDeep,
        ],
    );
    refused(
        "let a = []; for i in 0..4900 { a = [#{x: a}]; } a.to_string() + a.to_debug(); a",
        &allowed,
    );
    // The same by an expression without a loop of its own.
    let text = "x,".repeat(5_000);
    let source = format!("\"{text}\".split(\",\").reduce(|all, one| [all], [])");
    let started = Instant::now();
    let error = expr(&source).unwrap_err();
    assert!(allowed.contains(&error.kind), "{error:?}");
    assert!(started.elapsed() < PATIENCE);
}

#[test]
fn sources_that_hurt_the_parser_are_refused() {
    let deep = [K::TooDeep, K::TooLarge, K::Parse];
    refused(&"(".repeat(8_000), &deep);
    refused(
        &format!("{}1{}", "(".repeat(200), ")".repeat(200)),
        &[K::TooDeep],
    );
    refused(
        &format!("{}1{}", "[".repeat(3_000), "]".repeat(3_000)),
        &deep,
    );
    refused(&format!("1{}", "+1".repeat(1_900)), &[K::TooDeep]);
    refused(&format!("let a = 1; a{}", ".b".repeat(1_900)), &deep);
    refused(&"!".repeat(3_000), &deep);
    refused(
        &format!("{}1{}", "{".repeat(1_900), "}".repeat(1_900)),
        &deep,
    );
    refused(&"if true { 1 } else ".repeat(900), &deep);
    refused(&"true ? 1 : ".repeat(900), &deep);
    refused(
        &format!("loop {{ break {}1; }}", "1 + ".repeat(300)),
        &[K::TooDeep],
    );
    refused(&format!("max({})", "1,".repeat(50_000)), &[K::TooLarge]);
    refused(&format!("max({}1)", "1,".repeat(1_500)), &[K::TooLarge]);
    refused(&"1;".repeat(4_000), &[K::TooLarge]);
    let functions: String = (0..40).map(|i| format!("fn f{i}() {{ 1 }} ")).collect();
    refused(&functions, &[K::TooLarge]);
}

#[test]
fn recursion_is_bounded() {
    refused("fn f(n) { f(n + 1) } f(0)", &[K::TooDeep]);
    refused("fn f(n) { g(n) } fn g(n) { f(n) } f(0)", &[K::TooDeep]);
    refused("let f = |g| g.call(g); f.call(f)", &[K::TooDeep]);
    refused("fn f(a) { a.map(|x| f([x])) } f([1])", &[K::TooDeep]);
}

#[test]
fn the_outside_world_is_out_of_reach() {
    refused("eval(\"1 + 1\")", &[K::Parse]);
    refused("import \"/etc/passwd\" as x; x", &[K::Parse]);
    refused("export event;", &[K::Parse]);
    refused("sleep(1000)", &[K::UnknownFunction]);
    refused("sleep(1e300)", &[K::UnknownFunction]);
    refused("timestamp()", &[K::UnknownFunction]);
    refused("open_file(\"/etc/passwd\")", &[K::UnknownFunction]);
    refused("global::event", &[K::Parse]);
    refused("let f = Fn(\"json\"); f.call(event)", &[K::Parse]);
    let error = script("sleep(1)").unwrap_err();
    assert_eq!(error.suggestion.as_deref(), Some("a wait step in the rule"));
}

#[test]
fn the_variables_given_cannot_be_changed() {
    refused("event.data.likes = 1; event", &[K::Runtime]);
    refused("event = 1;", &[K::Runtime, K::Parse]);
    refused("event.data.tags.push(1);", &[K::Runtime]);
    refused("event[\"data\"] = 1;", &[K::Runtime]);
    refused("let event = 1;", &[K::Parse]);
    refused(
        "const A = #{x: 1}; A.x = 2; A",
        &[K::Runtime, K::Parse, K::Panicked],
    );
    refused(
        "const A = 1; A.x = 2; A",
        &[K::Runtime, K::Parse, K::Panicked, K::UnknownProperty],
    );
    refused(
        "const A = #{x: #{y: 1}}; A.x.y += 2; A",
        &[K::Runtime, K::Parse, K::Panicked],
    );
}

#[test]
fn closures_cannot_form_cycles_or_grow_without_bound() {
    refused("let f = |x| x; f = || f; f.call()", &[K::Runtime]);
    refused(
        "let a = []; let f = || a; a.push(f); a.push(|| a); a",
        &[K::Runtime, K::TypeMismatch],
    );
    refused(
        "let a = []; let f = || a; loop { a.push(f); f = || a; }",
        &[K::Runtime],
    );
    refused("let f = |x| x; loop { f = f.curry(f); }", &[K::Parse]);
    refused(
        "let f = |x| x; loop { f = curry(|y| y, [f]); }",
        &[K::Parse],
    );
    refused(
        "let f = 0; for i in 0..90000 { let g = f; f = || g; } 1",
        &[K::Runtime, K::TooManyOperations, K::Deadline],
    );
    refused(
        "let a = [1]; for i in 0..90000 { a = a.map(|x| || x); } 1",
        &[K::Runtime, K::TooManyOperations, K::Deadline],
    );
    refused(
        "let f = []; loop { f.push(|| event); }",
        &[K::TooLarge, K::TooManyOperations, K::Deadline, K::Runtime],
    );
}

#[test]
fn regular_expressions_are_bounded() {
    refused(
        "regex_matches(\"a\", \"(((((a{50}){50}){50}){50}){50})\")",
        &[K::Runtime],
    );
    refused("regex_matches(\"a\", \"(\")", &[K::Runtime]);
    refused(
        "let s = \"a\"; s.pad(100000, \"a\"); regex_matches(s, \"a\")",
        &[K::Runtime],
    );
    refused(
        "let i = 0; loop { i += 1; regex_matches(\"a\", `a{${i}}`); }",
        &[K::Runtime],
    );
    refused(
        &format!("regex_matches(\"a\", \"{}\")", "a".repeat(1_000)),
        &[K::Runtime],
    );
}

#[test]
fn the_deepest_allowed_nesting_fits_a_worker_thread() {
    // A tokio worker has 2 MiB; expressions without closures run right on it.
    let worker = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
    let handle = worker
        .spawn(|| {
            let engine = engine();
            let longest = |make: fn(usize) -> String| {
                (1..400)
                    .rev()
                    .find_map(|n| engine.compile_expression(&make(n)).ok())
                    .unwrap()
            };
            let shapes: [fn(usize) -> String; 7] = [
                |n| format!("{}1{}", "(".repeat(n), ")".repeat(n)),
                |n| format!("1{}", "+1".repeat(n)),
                |n| format!("{}1{}", "[".repeat(n), "]".repeat(n)),
                |n| format!("{}1{}", "#{a:".repeat(n), "}".repeat(n)),
                |n| format!("{}1{}", "abs(".repeat(n), ")".repeat(n)),
                |n| format!("{}1{}", "if true { ".repeat(n), " } else { 2 }".repeat(n)),
                |n| format!("\"a\"{}", ".lower()".repeat(n)),
            ];
            for make in shapes {
                let script = longest(make);
                engine.eval_value(&script, &context()).unwrap();
            }
            let recursion = "fn f(n) { if n == 0 { 0 } else { ((((((1 + f(n - 1))))))) } } f(29)";
            let script = engine.compile_script(recursion).unwrap();
            engine.eval_value(&script, &context()).unwrap()
        })
        .unwrap();
    assert_eq!(handle.join().unwrap(), 29);
}

#[test]
fn a_deeply_nested_event_is_refused_not_converted() {
    let mut value = serde_json::json!(1);
    for _ in 0..100 {
        value = serde_json::json!([value]);
    }
    let context = super::context_of(serde_json::json!({"event": value}));
    let engine = engine();
    let script = engine.compile_expression("true").unwrap();
    assert_eq!(
        engine.eval_bool(&script, &context).unwrap_err().kind,
        K::TooDeep
    );
}

#[test]
fn many_values_at_once_stay_within_reason() {
    // Distinct texts of full size in every place a script can hold them.
    let large = [K::TooLarge, K::TooManyOperations, K::Deadline, K::TooDeep];
    let grow = "let s = \"a\"; s.pad(250000, \"a\");";
    refused(
        &format!(
            "fn f(s, n, a, b, c, d, e) {{ f(s, n + 1, s + 1, s + 2, s + 3, s + 4, s + 5) }} {grow} f(s, 0, 0, 0, 0, 0, 0)"
        ),
        &large,
    );
    refused(
        "fn f(a) { let b = a; let c = a; let d = a; let e = a; f(a) } let a = []; a.pad(9000, #{}); f(a)",
        &large,
    );
    refused(
        "let text = \"x\"; text.pad(250000, \"x\"); loop { text.split(\"\").len(); text.to_chars().len(); }",
        &large,
    );
    refused(
        "let s = \"x\"; s.pad(250000, \"x\"); loop { url_encode(s); json([s]); strip_html(s); slug(s); }",
        &large,
    );
    refused(
        "let s = \"&\"; s.pad(250000, \"&\"); loop { strip_html(s); }",
        &large,
    );
    refused(
        "let s = \"<\"; s.pad(250000, \"<\"); loop { strip_html(s); }",
        &large,
    );
    refused(
        "let s = \"<style>\"; s.pad(250000, \"<style>\"); loop { strip_html(s); }",
        &large,
    );
    refused(
        "let s = \"#a \"; s.pad(250000, \"#a \"); loop { hashtags(s); links(s); }",
        &large,
    );
    refused(
        "let s = \"#a\"; s.pad(250000, \"a\"); loop { hashtags(s); }",
        &large,
    );
    refused(
        "let s = \"http \"; s.pad(250000, \"http \"); loop { links(s); truncate_chars(s, 200000); }",
        &large,
    );
}

#[test]
fn a_panic_inside_the_engine_stays_inside_one_evaluation() {
    let engine = engine().with_counter(|_, text| {
        assert!(text != "boom", "a counter fails");
        Some(text.len())
    });
    let context = context();
    let value = |source: &str| {
        let compiled = engine.compile_expression(source).unwrap();
        engine.eval_value(&compiled, &context)
    };
    assert_eq!(
        value("count_chars(\"x\", \"boom\")").unwrap_err().kind,
        K::Panicked
    );
    assert_eq!(value("count_chars(\"x\", \"fine\")").unwrap(), 4);
    assert_eq!(
        value("[1].map(|x| count_chars(\"x\", \"boom\"))")
            .unwrap_err()
            .kind,
        K::Panicked
    );
    assert_eq!(value("event.data.likes").unwrap(), 120);
}
