//! Simulations through the API.

use serde_json::{Value, json};

use crate::{
    http::v1::posts::fixture::path,
    testing::{BEGIN, TestApp},
};

/// One second, and one day.
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

#[tokio::test]
async fn a_draft_is_held_against_what_happened_and_a_wrong_range_says_what_to_change() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.com").await;
    let rule = |likes: i64| {
        json!({"version": 1, "name": "Pressed", "triggers": [{"id": "t", "kind": "manual"}],
               "steps": [{"id": "s", "stop": {"reason": format!("{likes}")}}]})
    };
    let made = test
        .post(&ada, &path(&ada, "rules"), json!({"document": rule(1)}))
        .await
        .expect(201);
    let id = made.body["id"].as_str().unwrap().to_owned();
    let press = format!("rules/{id}/run");
    test.post(&ada, &path(&ada, &press), json!({})).await;
    test.settle().await;
    test.clock.advance(60_000_000);
    let ask = async |body: Value| test.post(&ada, &path(&ada, "simulations"), body).await;
    let same = ask(json!({"from": BEGIN.plus(-1)})).await.expect(200).body;
    assert_eq!(same["rules"][0]["started"], 1, "{same:#}");
    assert_eq!(same["differences"], json!([]));
    let without = ask(json!({"from": BEGIN.plus(-1), "without": [id]}))
        .await
        .expect(200)
        .body;
    assert_eq!(without["differences"][0]["what"], "only_recorded");
    let wrong = ask(json!({"from": "2020-01-01T00:00:00Z"}))
        .await
        .expect(422);
    assert_eq!(wrong.body["errors"][0]["pointer"], "/from");
    let wrong = ask(json!({"from": BEGIN.plus(-1), "drafts": [{}]}))
        .await
        .expect(422);
    assert_eq!(wrong.body["errors"][0]["pointer"], "/drafts/0");
    let twice = json!([{"rule": id, "document": rule(2)}, {"rule": id, "document": rule(3)}]);
    for (asked, body) in [
        (
            "simulations",
            json!({"from": BEGIN.plus(-1), "drafts": twice}),
        ),
        ("forecast", json!({"drafts": twice})),
    ] {
        let wrong = test.post(&ada, &path(&ada, asked), body).await.expect(422);
        assert_eq!(wrong.body["errors"][0]["pointer"], "/drafts/1/rule");
    }
}

#[tokio::test]
async fn calls_of_rules_are_simulated_as_they_were_lived_also_when_their_runs_were_let_go() {
    let test = TestApp::with(|config| config.retention.dull_days = 1).await;
    let ada = test.register("ada@example.com").await;
    let made = async |document: Value| {
        let made = test
            .post(&ada, &path(&ada, "rules"), json!({"document": document}))
            .await;
        made.expect(201).body["id"].as_str().unwrap().to_owned()
    };
    let called = json!({"version": 1, "name": "Called", "triggers": [{"id": "t", "kind": "rule.called"}],
        "if": {"field": "event.data.input.n", "op": "ne", "value": 3},
        "steps": [{"id": "i", "if": {"field": "event.data.input.n", "op": "eq", "value": 4},
            "then": [{"id": "f", "stop": {"error": true, "reason": "it is four"}}]},
            {"id": "s", "stop": {"reason": "n is {{ event.data.input.n }}"}}]});
    let called = made(called).await;
    let caller = |wait: bool| {
        json!({"version": 1, "name": "Caller", "triggers": [{"id": "t", "kind": "manual"}],
            "steps": [
                {"id": "ask", "action": "rule.call", "with": {"rule": called, "wait": wait, "input": {"n": "{{ event.data.input.n }}"}},
                 "on_error": [{"id": "e", "action": "notify", "with": {"title": "{{ steps.ask.error.message }}"}}]},
                {"id": "d", "action": "notify", "with": {"title": "done"}}]})
    };
    let waits = made(caller(true)).await;
    let mut beside = caller(false);
    beside["name"] = json!("Beside");
    let beside = made(beside).await;
    for n in 1..=8 {
        for rule in [&waits, &beside] {
            let body = json!({"input": {"n": n}});
            let press = path(&ada, &format!("rules/{rule}/run"));
            test.post(&ada, &press, body).await.expect(201);
            test.settle().await;
            test.clock.advance(SECOND);
        }
    }
    let ask = async |without: &[&String]| {
        let ada = test.renewed(&ada);
        let body = json!({"from": BEGIN.plus(-1), "without": without});
        test.post(&ada, &path(&ada, "simulations"), body)
            .await
            .expect(200)
            .body
    };
    let started = |told: &Value| {
        let rules = told["rules"].as_array().unwrap().iter();
        let of = |rule: &Value| {
            (
                rule["started"].as_u64().unwrap(),
                rule["started_really"].as_u64().unwrap(),
            )
        };
        rules.map(of).collect::<Vec<_>>()
    };
    let same = ask(&[]).await;
    assert_eq!(same["differences"], json!([]), "{same:#}");
    assert_eq!(started(&same), [(8, 8), (14, 14), (8, 8)]);
    assert_eq!((&same["same"], &same["made"]), (&json!(30), &json!(0)));
    let without = ask(&[&waits]).await;
    assert_eq!(
        without["differences"].as_array().unwrap().len(),
        15,
        "{without:#}"
    );

    test.clock.advance(3 * DAY);
    test.app.engine.prune().await.unwrap();
    let gone = ask(&[]).await;
    assert_eq!(gone["differences"], json!([]), "{gone:#}");
    assert_eq!(started(&gone), [(8, 8), (14, 14), (8, 8)]);
    assert!(gone["same"].as_u64().unwrap() < 20, "{gone:#}");
    assert_eq!((&gone["made"], &gone["left_out"]), (&json!(0), &json!(0)));
    let without = ask(&[&waits]).await;
    assert_eq!(
        without["differences"].as_array().unwrap().len(),
        15,
        "{without:#}"
    );
}
