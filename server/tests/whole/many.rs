//! Several processes on one PostgreSQL.

use serde_json::json;
use so_testkit::{counterpart::or_skip, postgres::PostgresCluster, product::Product};

use crate::desk::{Desk, PROGRAM, json_of, text};

/// Base64 of 32 bytes: processes of one database share the keys that seal its secrets.
const KEYS: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// Rules saved and used at once; the former window was a second wide and always hit.
const RULES: usize = 5;

/// A rule that one process has just stored is known when another takes the call.
#[test]
fn a_rule_saved_at_one_process_counts_at_the_other_at_once() {
    let test = "a_rule_saved_at_one_process_counts_at_the_other_at_once";
    let made = PostgresCluster::shared().and_then(PostgresCluster::create_fresh_database);
    let Some(url) = or_skip(test, made) else {
        return;
    };
    let settings = [
        ("SO_DATABASE_URL", url.as_str()),
        ("SO_AUTH_MASTER_KEYS", KEYS),
    ];
    let first = Product::start(PROGRAM, &settings);
    let second = Product::start(PROGRAM, &settings);
    let desk = Desk::register(&first, "two-processes");
    let hook = desk.hook(&first);
    for number in 0..RULES {
        let rule = desk.rule(
            &first,
            &format!(
                "{{version: 1, name: Rule {number}, triggers: [{{id: call, kind: webhook.received}}], \
                 steps: [{{id: note, set: {{number: {number}}}}}]}}"
            ),
        );
        let answer = second.call("POST", &hook, None, Some(&json!({"number": number})));
        let event = text(&json_of(&answer, 202, "a call of the webhook"), "/event");
        let run = desk.wait_for_run(&second, &format!("event={event}&rule={rule}"));
        assert_eq!(run["state"], "finished", "{run:#}");
    }
    a_module_saved_at_one_counts_at_the_other(&first, &second, &desk, &hook);
}

/// The second process decides by the library that the first one has just stored.
fn a_module_saved_at_one_counts_at_the_other(
    first: &Product,
    second: &Product,
    desk: &Desk,
    hook: &str,
) {
    let save = |number: usize| {
        let source = format!("fn wanted(number) {{ number == {number} }}");
        let body = json!({"source": source, "expected_version": number});
        desk.change(first, "PUT", "scripts/numbers", &body);
    };
    save(0);
    let rule = desk.rule(
        first,
        "{version: 1, name: Asks, triggers: [{id: call, kind: webhook.received}], \
         if: {expr: \"lib::numbers::wanted(event.data.body.number)\"}, steps: [{id: note, set: {is: here}}]}",
    );
    for number in 1..=RULES {
        save(number);
        let answer = second.call("POST", hook, None, Some(&json!({"number": number})));
        let event = text(&json_of(&answer, 202, "a call of the webhook"), "/event");
        let run = desk.wait_for_run(second, &format!("event={event}&rule={rule}"));
        assert_eq!(run["state"], "finished", "{run:#}");
    }
}
