//! Shadows through the API, and those that go live by themselves.

use serde_json::{Value, json};
use so_model::time::{DAY, HOUR, MINUTE, SECOND};

use crate::{
    app::rules::shadows,
    testing::{Person, TestApp},
};

const TEXT: &str = "# mine
version: 1
name: Greeter
triggers: [{id: b, kind: manual}]
if: {field: event.data.input.n, op: gt, value: 5}
steps: [{id: a, action: notify, with: {title: Hello}}]
";

fn path(person: &Person, rest: &str) -> String {
    format!("/api/v1/workspaces/{}/{rest}", person.workspace)
}

fn text(text: &str) -> Value {
    json!({"format": "yaml", "text": text})
}

/// A rule with a draft that starts more often.
async fn drafted(test: &TestApp, person: &Person) -> String {
    let body = json!({"text": text(TEXT)});
    let made = test
        .post(person, &path(person, "rules"), body)
        .await
        .expect(201)
        .body;
    let rule = path(person, &format!("rules/{}", made["id"].as_str().unwrap()));
    let more = TEXT.replace("value: 5", "value: 1");
    let body = json!({"text": text(&more), "expected_generation": 0, "reason": "more of it"});
    test.put(person, &format!("{rule}/draft"), body)
        .await
        .expect(200);
    rule
}

async fn press(test: &TestApp, person: &Person, rule: &str, n: i64) {
    let body = json!({"input": {"n": n}});
    test.post(person, &format!("{rule}/run"), body)
        .await
        .expect(201);
}

#[tokio::test]
async fn a_draft_is_compared_on_live_events_and_promoted() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let rule = drafted(&test, &ada).await;
    let shadow = format!("{rule}/shadow");
    test.get(&ada, &shadow).await.expect(404);
    let stale = json!({"expected_generation": 7});
    test.post(&ada, &shadow, stale).await.expect(409);
    let begin = json!({"expected_generation": 1});
    let begun = test
        .post(&ada, &shadow, begin.clone())
        .await
        .expect(201)
        .body;
    assert_eq!(begun["changes"][0]["code"], "clause.threshold");
    let twice = test.post(&ada, &shadow, begin).await.expect(409);
    assert_eq!(twice.code(), "rule_shadow.exists");

    for n in [0, 3, 9] {
        press(&test, &ada, &rule, n).await;
    }
    test.clock.advance(11 * SECOND);
    assert_eq!(test.app.engine.move_shadows().await.unwrap(), 1);
    let seen = test.get(&ada, &shadow).await.expect(200).body;
    let counts =
        json!({"same": 2, "only_live": 0, "only_candidate": 1, "differs": 0, "unknown": 0});
    assert_eq!(seen["counts"], counts);
    let listed = test
        .get(&ada, &format!("{shadow}/differences?limit=1"))
        .await
        .expect(200)
        .body;
    assert_eq!(listed["items"][0]["outcome"], "only_candidate");
    assert_eq!(listed["next_cursor"], Value::Null);
    test.get(&ada, &format!("{shadow}/differences?cursor=x"))
        .await
        .expect(422);

    let live = test
        .post(&ada, &format!("{shadow}/promote"), json!({}))
        .await
        .expect(200)
        .body;
    assert_eq!(live["version"], 2);
    assert!(live["yaml"].as_str().unwrap().contains("value: 1"));
    test.get(&ada, &shadow).await.expect(404);
    test.get(&ada, &format!("{rule}/draft")).await.expect(404);
    let versions = test
        .get(&ada, &format!("{rule}/versions"))
        .await
        .expect(200)
        .body;
    assert_eq!(versions["items"][0]["reason"], "more of it");
}

#[tokio::test]
async fn a_shadow_of_a_version_that_was_replaced_is_not_promoted() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let rule = drafted(&test, &ada).await;
    let shadow = format!("{rule}/shadow");
    test.patch(&ada, &rule, json!({"enabled": false}))
        .await
        .expect(200);
    let begin = json!({"expected_generation": 1});
    let off = test.post(&ada, &shadow, begin.clone()).await.expect(409);
    assert_eq!(off.code(), "rule_shadow.off");
    test.patch(&ada, &rule, json!({"enabled": true}))
        .await
        .expect(200);
    test.post(&ada, &shadow, begin.clone()).await.expect(201);
    let body = json!({"text": text(&TEXT.replace("Hello", "Hi")), "expected_version": 1});
    test.put(&ada, &rule, body).await.expect(200);
    test.clock.advance(11 * SECOND);
    test.app.engine.move_shadows().await.unwrap();
    let seen = test.get(&ada, &shadow).await.expect(200).body;
    assert_eq!(seen["problem"], "version 2 went live meanwhile");
    let refused = test
        .post(&ada, &format!("{shadow}/promote"), json!({}))
        .await
        .expect(409);
    assert_eq!(refused.code(), "rule.changed");
    test.delete(&ada, &shadow).await.expect(204);
    // The draft is there still, and it is known to be outdated.
    let refused = test.post(&ada, &shadow, begin).await.expect(409);
    assert_eq!(refused.code(), "rule_draft.outdated");
}

#[tokio::test]
async fn a_shadow_without_a_difference_for_days_goes_live_by_itself() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let rule = drafted(&test, &ada).await;
    let shadow = format!("{rule}/shadow");
    let begin = |days: i64| json!({"expected_generation": 1, "promote_after_equal_days": days});
    test.post(&ada, &shadow, begin(91)).await.expect(422);
    test.post(&ada, &shadow, begin(2)).await.expect(201);
    press(&test, &ada, &rule, 3).await;
    press(&test, &ada, &rule, 9).await;
    let pass = async |span: i64| {
        test.clock.advance(span);
        test.app.engine.move_shadows().await.unwrap();
        shadows::promote_equal(&test.app).await.unwrap()
    };
    assert_eq!(pass(MINUTE).await, 0);
    assert_eq!(pass(2 * DAY - HOUR).await, 0, "the difference is too young");
    assert_eq!(pass(2 * HOUR).await, 1);
    let ada = test.renewed(&ada);
    let versions = test
        .get(&ada, &format!("{rule}/versions"))
        .await
        .expect(200)
        .body;
    let reason = "more of it (no difference for 2 days)";
    assert_eq!(versions["items"][0]["reason"], reason);
    assert_eq!(versions["items"][0]["author"], ada.id.as_str());
    assert_eq!(pass(DAY).await, 0);
}
