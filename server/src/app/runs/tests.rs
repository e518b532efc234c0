//! Runs through the API.

use serde_json::{Value, json};
use so_model::time::HOUR;

use crate::testing::{Person, TestApp};

fn at(person: &Person, rest: &str) -> String {
    format!("/api/v1/workspaces/{}{rest}", person.workspace)
}

async fn rule(test: &TestApp, ada: &Person, mode: &str) -> String {
    let document = json!({"version": 1, "name": "Wait", "triggers": [{"id": "t", "kind": "manual"}],
        "steps": [{"id": "w", "delay": {"for": "1h"}}, {"id": "e", "stop": {"reason": "waited"}}],
        "mode": {"kind": mode}});
    let made = test
        .post(ada, &at(ada, "/rules"), json!({"document": document}))
        .await
        .expect(201);
    made.body["id"].as_str().unwrap().to_string()
}

/// Lets time pass, signs in again and works.
async fn later(test: &TestApp, ada: &Person, span: i64) -> Person {
    test.clock.advance(span);
    test.settle().await;
    test.log_in(&ada.email).await
}

async fn press(test: &TestApp, ada: &Person, rule: &str) -> String {
    let pressed = test
        .post(
            ada,
            &at(ada, &format!("/rules/{rule}/run")),
            json!({"input": {"n": 1}}),
        )
        .await
        .expect(201);
    test.settle().await;
    pressed.body["runs"][0].as_str().unwrap().to_string()
}

async fn state(test: &TestApp, ada: &Person, run: &str) -> Value {
    test.get(ada, &at(ada, &format!("/runs/{run}")))
        .await
        .expect(200)
        .body["state"]
        .clone()
}

#[tokio::test]
async fn a_run_is_shown_with_the_version_it_runs() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let rule = rule(&test, &ada, "parallel").await;
    let run = press(&test, &ada, &rule).await;
    let newer = json!({"version": 1, "name": "Newer", "triggers": [{"id": "t", "kind": "manual"}], "steps": [{"id": "e", "stop": {}}]});
    let body = json!({"document": newer, "expected_version": 1});
    test.put(&ada, &at(&ada, &format!("/rules/{rule}")), body)
        .await
        .expect(200);
    let shown = test
        .get(&ada, &at(&ada, &format!("/runs/{run}")))
        .await
        .expect(200);
    assert_eq!(
        (&shown.body["state"], &shown.body["document"]["name"]),
        (&json!("waiting"), &json!("Wait"))
    );
    assert_eq!(shown.body["rule_name"], "Newer");
    assert_eq!(shown.body["started_by"]["data"]["input"]["n"], 1);
    assert_eq!(shown.body["memos"][0]["path"], "/steps/0");
    let ada = later(&test, &ada, HOUR).await;
    let shown = test
        .get(&ada, &at(&ada, &format!("/runs/{run}")))
        .await
        .expect(200);
    assert_eq!(
        (&shown.body["state"], &shown.body["reason"]),
        (&json!("finished"), &json!("waited"))
    );
}

#[tokio::test]
async fn runs_are_found_by_rule_state_event_and_subject() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let (one, two) = (
        rule(&test, &ada, "parallel").await,
        rule(&test, &ada, "parallel").await,
    );
    let run = press(&test, &ada, &one).await;
    press(&test, &ada, &two).await;
    let event = test
        .get(&ada, &at(&ada, &format!("/runs/{run}")))
        .await
        .body["started_by"]["id"]
        .clone();
    let count = async |query: &str| {
        let listed = test
            .get(&ada, &at(&ada, &format!("/runs{query}")))
            .await
            .expect(200);
        listed.body["items"].as_array().unwrap().len()
    };
    assert_eq!(count("").await, 2);
    assert_eq!(count(&format!("?rule={one}")).await, 1);
    assert_eq!(count("?state=waiting").await, 2);
    assert_eq!(count("?state=failed").await, 0);
    assert_eq!(
        count(&format!("?event={}", event.as_str().unwrap())).await,
        1
    );
    assert_eq!(count(&format!("?subject={one}")).await, 1);
    for bad in [
        "?state=asleep",
        "?rule=x",
        "?rule=evt_00000000000000000000000000000000",
        "?cursor=1",
    ] {
        test.get(&ada, &at(&ada, &format!("/runs{bad}")))
            .await
            .expect(422);
    }
}

#[tokio::test]
async fn a_cancelled_run_gives_the_next_one_its_turn() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let rule = rule(&test, &ada, "queued").await;
    let (first, second, third) = (
        press(&test, &ada, &rule).await,
        press(&test, &ada, &rule).await,
        press(&test, &ada, &rule).await,
    );
    assert_eq!(state(&test, &ada, &second).await, "queued");
    let cancel = async |ada: &Person, run: &str| {
        test.post(ada, &at(ada, &format!("/runs/{run}/cancel")), json!({}))
            .await
    };
    assert_eq!(
        cancel(&ada, &second).await.expect(200).body["state"],
        "cancelled"
    );
    assert_eq!(
        cancel(&ada, &first).await.expect(200).body["state"],
        "cancelled"
    );
    test.settle().await;
    assert_eq!(state(&test, &ada, &third).await, "waiting");
    let ada = later(&test, &ada, 2 * HOUR).await;
    assert_eq!(state(&test, &ada, &third).await, "finished");
    assert_eq!(state(&test, &ada, &first).await, "cancelled");
    assert_eq!(cancel(&ada, &third).await.expect(409).code(), "run.over");
}

#[tokio::test]
async fn a_run_that_is_over_starts_again_as_another() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let rule = rule(&test, &ada, "parallel").await;
    let run = press(&test, &ada, &rule).await;
    let again = async |ada: &Person| {
        test.post(ada, &at(ada, &format!("/runs/{run}/rerun")), json!({}))
            .await
    };
    assert_eq!(again(&ada).await.expect(409).code(), "run.under_way");
    let ada = later(&test, &ada, HOUR).await;
    let made = again(&ada).await.expect(201);
    let other = made.body["id"].as_str().unwrap().to_string();
    assert_ne!(other, run);
    test.settle().await;
    assert_eq!(state(&test, &ada, &other).await, "waiting");
    let ada = later(&test, &ada, HOUR).await;
    let shown = test
        .get(&ada, &at(&ada, &format!("/runs/{other}")))
        .await
        .expect(200);
    assert_eq!(shown.body["state"], "finished");
    assert_eq!(shown.body["started_by"]["data"]["input"]["n"], 1);
    test.delete(&ada, &at(&ada, &format!("/rules/{rule}")))
        .await
        .expect(204);
    assert_eq!(again(&ada).await.expect(409).code(), "run.cannot_repeat");
}

#[tokio::test]
async fn runs_of_others_do_not_exist() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let bob = test.register("bob@x.org").await;
    let rule = rule(&test, &ada, "parallel").await;
    let run = press(&test, &ada, &rule).await;
    for (method, rest) in [("GET", ""), ("POST", "/cancel"), ("POST", "/rerun")] {
        let call = test
            .call(method, &at(&bob, &format!("/runs/{run}{rest}")))
            .bearer(&bob.token);
        assert_eq!(call.send().await.expect(404).code(), "run.not_found");
    }
    assert_eq!(
        test.get(&bob, &at(&bob, &format!("/runs?rule={rule}")))
            .await
            .body["items"],
        json!([])
    );
}
