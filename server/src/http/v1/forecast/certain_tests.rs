//! What a forecast is sure of: what follows from something uncertain is uncertain, and what is counted counts.

use serde_json::{Value, json};

use super::tests::{lines, look, rule, starters, warnings};
use crate::{
    http::v1::posts::fixture::{account, path},
    testing::{BEGIN, Person, TestApp},
};

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;

async fn begin() -> (TestApp, Person, String) {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let ann = account(&test, &ada, "Ann").await;
    starters(&test, &ada).await;
    (test, ada, ann)
}

/// Steps that make a post with a text, which is out at once.
fn out(text: &str, account: &str) -> Value {
    json!([
        {"id": "make", "action": "post.create", "with": {"text": text, "accounts": [account], "state": "approved"}},
        {"id": "go", "action": "post.publish", "with": {"post": "{{ steps.make.output.post.id }}"}}])
}

/// The same after some steps.
fn and_out(mut steps: Value, text: &str, account: &str) -> Value {
    let more = out(text, account);
    let (steps_of, more) = (steps.as_array_mut().unwrap(), more.as_array().unwrap());
    steps_of.extend(more.iter().cloned());
    steps
}

fn daily(name: &str, at: &str, steps: Value) -> Value {
    json!({"version": 1, "name": name, "triggers": [{"id": "t", "kind": "time.cron", "with": {"expression": at}}],
        "steps": steps})
}

/// How sure the first entry of each text is.
fn sureness(told: &Value, text: &str) -> (String, String) {
    let entries = told["entries"].as_array().unwrap();
    let found = entries.iter().find(|entry| entry["text"] == text);
    let found = found.unwrap_or_else(|| panic!("no {text}: {told:#}"));
    let state = found["state"].as_str().unwrap().to_owned();
    (state, found["reasons"].to_string())
}

#[tokio::test]
async fn what_follows_from_something_uncertain_is_uncertain() {
    let (test, ada, ann) = begin().await;
    let word = json!([{"id": "s", "action": "script.run", "with": {"source": "\"pl\" + \"ain\""}}]);
    let plain = and_out(word, "{{ steps.s.output.value }}", &ann);
    let plain = daily("Plain", "0 11 * * *", plain);
    rule(&test, &ada, plain).await;
    // A post by chance goes out an hour later, by the rule that publishes what is due.
    let dice = json!([
        {"id": "make", "action": "post.create", "with": {"text": "dice {{ random_int(1, 1) }}", "accounts": [ann], "state": "approved"}},
        {"id": "when", "action": "post.schedule", "with": {"post": "{{ steps.make.output.post.id }}", "after": "1h"}}]);
    rule(&test, &ada, daily("Dice", "0 12 * * *", dice)).await;
    let of_dice = json!({"field": "event.data.post.content.text", "op": "eq", "value": "dice 1"});
    rule(
        &test,
        &ada,
        json!({"version": 1, "name": "Echo", "triggers": [{"id": "t", "kind": "post.published"}], "if": of_dice,
            "steps": out("echo", &ann)}),
    )
    .await;
    let heard = json!([{"id": "heard", "wait_for": {"event": "post.published", "if": of_dice, "timeout": "5h"}}]);
    let waiter = daily("Waiter", "30 11 * * *", and_out(heard, "heard", &ann));
    rule(&test, &ada, waiter).await;
    // Whatever it waits for does not come, which nobody can know.
    let called = rule(
        &test,
        &ada,
        json!({"version": 1, "name": "Called", "triggers": [{"id": "t", "kind": "rule.called"}],
            "steps": [{"id": "w", "wait_for": {"event": "account.disabled", "timeout": "1h"}}]}),
    )
    .await;
    let call =
        json!([{"id": "ask", "action": "rule.call", "with": {"rule": called, "wait": true}}]);
    let caller = daily("Caller", "0 14 * * *", and_out(call, "called", &ann));
    rule(&test, &ada, caller).await;
    let vain = json!([{"id": "w", "wait_for": {"event": "account.disabled", "timeout": "1h", "on_timeout": "fail"},
        "on_error": [{"id": "n", "stop": {"reason": "x"}}]}]);
    let mut vain = vain;
    vain[0]["on_error"] = out("in vain", &ann);
    rule(&test, &ada, daily("Vain", "0 15 * * *", vain)).await;
    let late = json!([{"id": "g", "timeout": "30m", "parallel": [[{"id": "w",
        "wait_for": {"event": "account.disabled", "timeout": "1h"}}],
        [{"id": "d", "delay": {"for": "5m"}}]], "on_error": out("too late", &ann)}]);
    rule(&test, &ada, daily("Late", "0 16 * * *", late)).await;

    let told = look(&test, &ada, 1).await;
    assert_eq!(sureness(&told, "plain").0, "certain");
    for text in ["dice 1", "echo", "heard"] {
        let (state, reasons) = sureness(&told, text);
        assert_eq!(state, "unknown", "{text}");
        assert!(
            reasons.contains("the rule Dice draws by chance"),
            "{text}: {reasons}"
        );
    }
    for text in ["called", "in vain", "too late"] {
        let (state, reasons) = sureness(&told, text);
        assert_eq!(state, "unknown", "{text}");
        assert!(reasons.contains("waited in vain"), "{text}: {reasons}");
    }
}

#[tokio::test]
async fn what_was_waited_for_in_vain_before_the_forecast_is_certain() {
    let (test, ada, ann) = begin().await;
    let steps = json!([
        {"id": "w", "wait_for": {"event": "account.disabled", "timeout": "10m"}},
        {"id": "pause", "delay": {"for": "2d"}}]);
    let steps = and_out(steps, "later", &ann);
    let button = json!({"version": 1, "name": "Button", "triggers": [{"id": "t", "kind": "manual"}], "steps": steps});
    let button = rule(&test, &ada, button).await;
    let press = format!("rules/{button}/run");
    test.post(&ada, &path(&ada, &press), json!({})).await;
    test.settle().await;
    assert_eq!(sureness(&look(&test, &ada, 1).await, "later").0, "unknown");
    test.clock.advance(20 * MINUTE);
    let ada = test.renewed(&ada);
    test.settle().await;
    assert_eq!(sureness(&look(&test, &ada, 1).await, "later").0, "certain");
}

#[tokio::test]
async fn chance_is_seen_in_the_library_that_a_rule_calls_also_behind_another_module() {
    let (test, ada, ann) = begin().await;
    for (name, source) in [
        ("dice", "fn roll() { random_int(1, 6) }"),
        ("games", "fn wins() { lib::dice::roll() >= 1 }"),
        ("texts", "fn late() { now() > 0 }"),
    ] {
        let body = json!({"source": source, "expected_version": 0});
        let at = ada.at(&format!("scripts/{name}"));
        test.put(&ada, &at, body).await.expect(200);
    }
    let asks = |name: &str, minute: u32, expression: &str| {
        let mut asking = daily(name, &format!("{minute} 12 * * *"), out(name, &ann));
        asking["if"] = json!({"expr": expression});
        asking
    };
    rule(&test, &ada, asks("Game", 0, "lib::games::wins()")).await;
    rule(&test, &ada, asks("Clock", 1, "lib::texts::late()")).await;
    let told = look(&test, &ada, 1).await;
    assert_eq!(sureness(&told, "Game").0, "unknown");
    assert_eq!(sureness(&told, "Clock").0, "certain");
    assert!(
        told["unknowns"]
            .to_string()
            .contains("what the rule Game draws by chance")
    );
}

#[tokio::test]
async fn a_call_that_starts_nothing_says_why() {
    let (test, ada, ann) = begin().await;
    let called = rule(
        &test,
        &ada,
        json!({"version": 1, "name": "Called", "triggers": [{"id": "t", "kind": "rule.called"}],
            "if": {"field": "event.data.input.n", "op": "gt", "value": 3}, "steps": [{"id": "s", "stop": {"reason": "x"}}]}),
    )
    .await;
    let steps = json!([{"id": "ask", "action": "rule.call", "with": {"rule": called, "input": {"n": 1}, "wait": true},
        "on_error": out("{{ steps.ask.error.message }}", &ann)}]);
    rule(&test, &ada, daily("Caller", "0 14 * * *", steps)).await;
    let told = look(&test, &ada, 1).await;
    let text = told["entries"][0]["text"].as_str().unwrap();
    assert!(text.contains("did not start: input.n is 1"), "{told:#}");
}

#[tokio::test]
async fn starts_of_the_last_hour_count_for_a_draft_that_bounds_them() {
    let (test, ada, ann) = begin().await;
    let often = daily("Often", "*/10 * * * *", out("often", &ann));
    let saved = rule(&test, &ada, often.clone()).await;
    for _ in 0..31 {
        test.clock.advance(MINUTE);
        test.settle().await;
    }
    let ada = test.renewed(&ada);
    let mut draft = often;
    draft["limits"] = json!({"max_runs_per_hour": 3});
    let until = BEGIN.plus(55 * MINUTE);
    let body = json!({"until": until, "drafts": [{"rule": saved, "document": draft}]});
    let told = test
        .post(&ada, &path(&ada, "forecast"), body)
        .await
        .expect(200)
        .body;
    assert_eq!(lines(&told), [], "three have started within the hour");
    assert_eq!(warnings(&told, "cap_reached")[0]["times"], 2);
}

#[tokio::test]
async fn starts_whose_runs_were_let_go_count_as_well() {
    let test = TestApp::with(|config| config.retention.dull_days = 1).await;
    let ada = test.register("ada@x.org").await;
    let ann = account(&test, &ada, "Ann").await;
    let few = json!({"version": 1, "name": "Few",
        "triggers": [{"id": "b", "kind": "manual"}, {"id": "t", "kind": "time.cron", "with": {"expression": "0 12 * * *"}}],
        "if": {"fact": "rule_runs", "of": {"hours": 2_000}, "op": "lt", "value": 5},
        "steps": [{"id": "i", "if": {"field": "event.kind", "op": "eq", "value": "time.due"}, "then": out("few", &ann)}]});
    let few = rule(&test, &ada, few).await;
    for _ in 0..5 {
        let press = format!("rules/{few}/run");
        test.post(&ada, &path(&ada, &press), json!({})).await;
        test.settle().await;
    }
    // Nothing is lived through in between: the schedule's moments are taken off.
    let at = path(&ada, &format!("rules/{few}"));
    test.patch(&ada, &at, json!({"enabled": false}))
        .await
        .expect(200);
    test.clock.advance(3 * DAY);
    let ada = test.renewed(&ada);
    let gone = test.app.engine.prune().await.unwrap();
    test.patch(&ada, &at, json!({"enabled": true}))
        .await
        .expect(200);
    let told = look(&test, &ada, 1).await;
    assert_eq!(lines(&told), [], "{gone:?}");
}
