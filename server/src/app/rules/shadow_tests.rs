//! Shadows through the API, and those that go live by themselves.

use serde_json::{Value, json};
use so_model::{
    api::version::StartShadow,
    id::RuleId,
    time::{DAY, HOUR, MINUTE, SECOND},
    workspace::Role,
};

use crate::{
    app::{members::Actor, rules::shadows},
    testing::{Person, TestApp},
};

const TEXT: &str = "# mine
version: 1
name: Greeter
triggers: [{id: b, kind: manual}]
if: {field: event.data.input.n, op: gt, value: 5}
steps: [{id: a, action: notify, with: {title: Hello}}]
";

fn text(text: &str) -> Value {
    json!({"format": "yaml", "text": text})
}

/// A rule with a draft that starts more often, and the draft's generation.
async fn drafted(test: &TestApp, person: &Person) -> (String, i64) {
    let body = json!({"text": text(TEXT)});
    let made = test
        .post(person, &person.at("rules"), body)
        .await
        .expect(201)
        .body;
    let rule = person.at(&format!("rules/{}", made["id"].as_str().unwrap()));
    let more = TEXT.replace("value: 5", "value: 1");
    let body = json!({"text": text(&more), "expected_generation": 0, "reason": "more of it"});
    let kept = test.put(person, &format!("{rule}/draft"), body).await;
    let generation = kept.expect(200).body["generation"].as_i64().unwrap();
    (rule, generation)
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
    let (rule, draft) = drafted(&test, &ada).await;
    let shadow = format!("{rule}/shadow");
    test.get(&ada, &shadow).await.expect(404);
    let stale = json!({"expected_generation": 7});
    test.post(&ada, &shadow, stale).await.expect(409);
    let begin = json!({"expected_generation": draft});
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

    let promote = format!("{shadow}/promote");
    // Somebody who saw another one does not mean this one.
    let other = json!({"started_at": "2026-01-01T00:00:00Z"});
    let refused = test.post(&ada, &promote, other).await.expect(409);
    assert_eq!(refused.code(), "rule_shadow.changed");
    let this = json!({"started_at": seen["started_at"]});
    let live = test.post(&ada, &promote, this).await.expect(200).body;
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
    let (rule, draft) = drafted(&test, &ada).await;
    let shadow = format!("{rule}/shadow");
    test.patch(&ada, &rule, json!({"enabled": false}))
        .await
        .expect(200);
    let begin = json!({"expected_generation": draft});
    let off = test.post(&ada, &shadow, begin.clone()).await.expect(409);
    assert_eq!(off.code(), "rule.off");
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
    let (rule, draft) = drafted(&test, &ada).await;
    let shadow = format!("{rule}/shadow");
    let begin = |days: i64| json!({"expected_generation": draft, "promote_after_equal_days": days});
    test.post(&ada, &shadow, begin(91)).await.expect(422);
    test.post(&ada, &shadow, begin(2)).await.expect(201);
    press(&test, &ada, &rule, 3).await;
    test.clock.advance(SECOND);
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

#[tokio::test]
async fn days_after_a_difference_in_which_nothing_happened_prove_nothing() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let (rule, draft) = drafted(&test, &ada).await;
    let begin = json!({"expected_generation": draft, "promote_after_equal_days": 2});
    test.post(&ada, &format!("{rule}/shadow"), begin)
        .await
        .expect(201);
    test.clock.advance(SECOND);
    press(&test, &ada, &rule, 9).await;
    test.clock.advance(SECOND);
    press(&test, &ada, &rule, 3).await;
    test.clock.advance(3 * DAY);
    test.app.engine.move_shadows().await.unwrap();
    assert_eq!(shadows::promote_equal(&test.app).await.unwrap(), 0);
    let ada = test.renewed(&ada);
    press(&test, &ada, &rule, 9).await;
    test.clock.advance(MINUTE);
    test.app.engine.move_shadows().await.unwrap();
    assert_eq!(shadows::promote_equal(&test.app).await.unwrap(), 1);
}

#[tokio::test]
async fn a_shadow_does_not_begin_on_top_of_what_went_live_meanwhile() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let (rule, draft) = drafted(&test, &ada).await;
    let actor = Actor {
        workspace: ada.workspace.parse().unwrap(),
        user: ada.id.parse().unwrap(),
        role: Role::Owner,
    };
    let id: RuleId = rule.rsplit('/').next().unwrap().parse().unwrap();
    let prepare = async || {
        let asked = StartShadow {
            expected_generation: draft,
            ..StartShadow::default()
        };
        shadows::prepare(&test.app, actor, id, asked).await.unwrap()
    };
    // Between the look at the draft and the lock, the rule is switched off, or another version goes live.
    let prepared = prepare().await;
    test.patch(&ada, &rule, json!({"enabled": false}))
        .await
        .expect(200);
    let refused = shadows::begin(&test.app, actor, id, prepared).await;
    assert_eq!(refused.unwrap_err().problem.code, "rule.changed");
    test.patch(&ada, &rule, json!({"enabled": true}))
        .await
        .expect(200);
    let prepared = prepare().await;
    let body = json!({"text": text(&TEXT.replace("Hello", "Hi")), "expected_version": 1});
    test.put(&ada, &rule, body).await.expect(200);
    let refused = shadows::begin(&test.app, actor, id, prepared).await;
    assert_eq!(refused.unwrap_err().problem.code, "rule.changed");
    test.get(&ada, &format!("{rule}/shadow")).await.expect(404);
}

#[tokio::test]
async fn whoever_may_not_change_rules_any_more_ends_what_would_go_live_by_itself() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let adam = test.member(&ada, "adam@x.org", Role::Admin).await;
    let (rule, draft) = drafted(&test, &adam).await;
    let shadow = format!("{rule}/shadow");
    let begin = json!({"expected_generation": draft, "promote_after_equal_days": 1});
    test.post(&adam, &shadow, begin).await.expect(201);
    test.clock.advance(SECOND);
    press(&test, &adam, &rule, 9).await;
    test.clock.advance(DAY + MINUTE);
    test.app.engine.move_shadows().await.unwrap();
    let ada = test.renewed(&ada);
    // A version that went live a moment ago passes: the comparison ends with it, and says so itself.
    let body = json!({"text": text(&TEXT.replace("Hello", "Hi")), "expected_version": 1});
    test.put(&ada, &rule, body).await.expect(200);
    assert_eq!(shadows::promote_equal(&test.app).await.unwrap(), 0);
    let seen = test.get(&ada, &shadow).await.expect(200).body;
    assert_eq!(seen["problem"], Value::Null);
    test.delete(&ada, &ada.at(&format!("members/{}", adam.id)))
        .await
        .expect(204);
    assert_eq!(shadows::promote_equal(&test.app).await.unwrap(), 0);
    let seen = test.get(&ada, &shadow).await.expect(200).body;
    let problem = seen["problem"].as_str().unwrap();
    assert!(
        problem.contains("may not change rules any more"),
        "{problem}"
    );
}
