//! Canaries through the API: begun, deciding, withdrawn, promoted.

use serde_json::{Value, json};
use so_model::{time::MINUTE, workspace::Role};

use crate::{
    app::rules::canaries,
    testing::{Person, TestApp},
};

const TEXT: &str = "# mine
version: 1
name: Greeter
triggers: [{id: p, kind: post.created}]
steps: [{id: a, action: notify, with: {title: Hello}}]
";

fn text(text: &str) -> Value {
    json!({"format": "yaml", "text": text})
}

async fn account(test: &TestApp, person: &Person, name: &str) -> String {
    let body = json!({"network": "sandbox", "form": {"name": name}});
    let made = test
        .post(person, &person.at("accounts/sign-in"), body)
        .await;
    let made = made.expect(200).body;
    made["account"]["id"].as_str().unwrap().to_owned()
}

/// Something that happens to the account.
async fn happens(test: &TestApp, person: &Person, accounts: &[&str]) {
    test.clock.advance(MINUTE);
    let variants: Vec<Value> = accounts.iter().map(|id| json!({"account": id})).collect();
    let body = json!({"content": {"text": "Good morning"}, "variants": variants});
    test.post(person, &person.at("posts"), body)
        .await
        .expect(201);
    test.settle().await;
}

/// A rule with a draft; the draft's generation.
async fn drafted(test: &TestApp, person: &Person, draft: &str) -> (String, i64) {
    let made = test
        .post(person, &person.at("rules"), json!({"text": text(TEXT)}))
        .await
        .expect(201)
        .body;
    let rule = person.at(&format!("rules/{}", made["id"].as_str().unwrap()));
    let body = json!({"text": text(draft), "expected_generation": 0, "reason": "friendlier"});
    let kept = test.put(person, &format!("{rule}/draft"), body).await;
    let generation = kept.expect(200).body["generation"].as_i64().unwrap();
    (rule, generation)
}

/// Versions with their states, the newest first.
async fn states(test: &TestApp, person: &Person, rule: &str) -> Vec<(i64, String)> {
    let list = test.get(person, &format!("{rule}/versions")).await;
    let list = list.expect(200).body;
    let items = list["items"].as_array().unwrap().clone();
    let one = |item: Value| {
        let state = item["state"].as_str().unwrap().to_owned();
        (item["version"].as_i64().unwrap(), state)
    };
    items.into_iter().map(one).collect()
}

fn state(version: i64, word: &str) -> (i64, String) {
    (version, word.to_owned())
}

#[tokio::test]
async fn a_draft_decides_about_chosen_accounts_and_goes_live() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let (ann, bob) = (
        account(&test, &ada, "Ann").await,
        account(&test, &ada, "Bob").await,
    );
    let (rule, draft) = drafted(&test, &ada, &TEXT.replace("Hello", "Hi")).await;
    let canary = format!("{rule}/canary");
    test.get(&ada, &canary).await.expect(404);
    let begin = json!({"expected_generation": draft, "accounts": [ann]});
    let begun = test
        .post(&ada, &canary, begin.clone())
        .await
        .expect(201)
        .body;
    assert_eq!(
        (&begun["version"], &begun["base_version"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(begun["changes"].as_array().unwrap().len(), 1);
    let again = test.post(&ada, &canary, begin).await.expect(409);
    assert_eq!(again.code(), "rule_canary.exists");
    for accounts in [&[&ann as &str][..], &[&bob], &[&ann, &bob], &[&ann]] {
        happens(&test, &ada, accounts).await;
    }
    let seen = test.get(&ada, &canary).await.expect(200).body;
    assert_eq!(seen["canary"], json!({"started": 2, "failed": 0}));
    assert_eq!(seen["live"], json!({"started": 2, "failed": 0}));
    assert_eq!(
        states(&test, &ada, &rule).await,
        [state(2, "canary"), state(1, "live")]
    );
    // Whoever reads the rule sees the live version.
    let live = test.get(&ada, &rule).await.expect(200).body;
    assert_eq!(
        (
            &live["version"],
            &live["document"]["steps"][0]["with"]["title"]
        ),
        (&json!(1), &json!("Hello"))
    );
    let stale = json!({"started_at": "2026-01-01T00:00:00Z"});
    test.post(&ada, &format!("{canary}/promote"), stale)
        .await
        .expect(409);
    let body = json!({"started_at": seen["started_at"]});
    let live = test
        .post(&ada, &format!("{canary}/promote"), body)
        .await
        .expect(200)
        .body;
    assert_eq!(live["version"], 3);
    let expected = [state(3, "live"), state(2, "tried"), state(1, "former")];
    assert_eq!(states(&test, &ada, &rule).await, expected);
    test.get(&ada, &canary).await.expect(404);
    test.get(&ada, &format!("{rule}/draft")).await.expect(404);
    happens(&test, &ada, &[&bob]).await;
    let runs = test
        .get(&ada, &ada.at("runs?limit=1"))
        .await
        .expect(200)
        .body;
    assert_eq!(runs["items"][0]["version"], 3);
}

#[tokio::test]
async fn a_canary_is_withdrawn_by_hand_by_failures_and_by_another_version() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let ann = account(&test, &ada, "Ann").await;
    let fails = TEXT.replace(
        "action: notify, with: {title: Hello}",
        "action: post.publish, with: {post: post_01890a5dac96774bbcceb302099a8057}",
    );
    let (rule, draft) = drafted(&test, &ada, &fails).await;
    let canary = format!("{rule}/canary");
    let begin =
        json!({"expected_generation": draft, "accounts": [ann], "withdraw_after_failures": 2});
    test.post(&ada, &canary, begin.clone()).await.expect(201);
    happens(&test, &ada, &[&ann]).await;
    assert_eq!(canaries::withdraw_failing(&test.app).await.unwrap(), 0);
    happens(&test, &ada, &[&ann]).await;
    assert_eq!(canaries::withdraw_failing(&test.app).await.unwrap(), 1);
    assert_eq!(canaries::withdraw_failing(&test.app).await.unwrap(), 0);
    let seen = test.get(&ada, &canary).await.expect(200).body;
    assert_eq!(seen["problem"], "2 runs of it failed");
    assert_eq!(
        states(&test, &ada, &rule).await,
        [state(2, "tried"), state(1, "live")]
    );
    happens(&test, &ada, &[&ann]).await;
    let seen = test.get(&ada, &canary).await.expect(200).body;
    assert_eq!(seen["live"], json!({"started": 1, "failed": 0}));
    // One that is over makes room.
    test.post(&ada, &canary, begin.clone()).await.expect(201);
    test.delete(&ada, &canary).await.expect(204);
    test.delete(&ada, &canary).await.expect(404);
    test.post(&ada, &canary, begin).await.expect(201);
    let body = json!({"text": text(&TEXT.replace("Hello", "Hey")), "expected_version": 1});
    let live = test.put(&ada, &rule, body).await.expect(200).body;
    assert_eq!(live["version"], 5);
    let seen = test.get(&ada, &canary).await.expect(200).body;
    assert_eq!(seen["problem"], "another version went live meanwhile");
    let refused = test
        .post(&ada, &format!("{canary}/promote"), json!({}))
        .await;
    assert_eq!(refused.expect(409).code(), "rule.changed");
    happens(&test, &ada, &[&ann]).await;
    let runs = test
        .get(&ada, &ada.at("runs?limit=1"))
        .await
        .expect(200)
        .body;
    assert_eq!(runs["items"][0]["version"], 5);
}

#[tokio::test]
async fn what_makes_no_canary_is_told_at_its_place() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let ann = account(&test, &ada, "Ann").await;
    let case = "\ncases: [{name: Greets, event: {kind: post.created}, fires: false}]\n";
    let (rule, draft) = drafted(&test, &ada, TEXT).await;
    let canary = format!("{rule}/canary");
    let begin = |accounts: Value| json!({"expected_generation": draft, "accounts": accounts});
    let stranger = "acct_01890a5dac96774bbcceb302099a8057";
    for (accounts, pointer) in [
        (json!([]), "/accounts"),
        (json!([ann, stranger]), "/accounts/1"),
        (json!([ann, ann]), "/accounts/1"),
    ] {
        let refused = test.post(&ada, &canary, begin(accounts)).await.expect(422);
        assert_eq!(refused.body["errors"][0]["pointer"], pointer);
    }
    let mut body = begin(json!([ann]));
    body["withdraw_after_failures"] = json!(0);
    let refused = test.post(&ada, &canary, body).await.expect(422);
    assert_eq!(
        refused.body["errors"][0]["pointer"],
        "/withdraw_after_failures"
    );
    let eve = test.member(&ada, "eve@x.org", Role::Editor).await;
    test.post(&eve, &canary, begin(json!([ann])))
        .await
        .expect(403);
    test.get(&eve, &canary).await.expect(403);
    // A rule that hears of no account.
    let silent = TEXT.replace("kind: post.created", "kind: manual");
    let body = json!({"text": text(&silent), "expected_generation": draft});
    let kept = test
        .put(&ada, &format!("{rule}/draft"), body)
        .await
        .expect(200)
        .body;
    let begin = json!({"expected_generation": kept["generation"], "accounts": [ann]});
    let refused = test.post(&ada, &canary, begin).await.expect(422);
    assert_eq!(refused.code(), "rule_canary.no_accounts");
    // Cases that fail.
    let body =
        json!({"text": text(&format!("{TEXT}{case}")), "expected_generation": kept["generation"]});
    let kept = test
        .put(&ada, &format!("{rule}/draft"), body)
        .await
        .expect(200)
        .body;
    let mut begin = json!({"expected_generation": kept["generation"], "accounts": [ann]});
    let refused = test.post(&ada, &canary, begin.clone()).await.expect(422);
    assert_eq!(refused.code(), "rule.cases_failed");
    begin["override_reason"] = json!("the case is old");
    test.post(&ada, &canary, begin).await.expect(201);
}

#[tokio::test]
async fn a_rule_has_a_shadow_or_a_canary() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let ann = account(&test, &ada, "Ann").await;
    let (rule, draft) = drafted(&test, &ada, &TEXT.replace("Hello", "Hi")).await;
    let (canary, shadow) = (format!("{rule}/canary"), format!("{rule}/shadow"));
    let compare = json!({"expected_generation": draft});
    let begin = json!({"expected_generation": draft, "accounts": [ann]});
    test.post(&ada, &shadow, compare.clone()).await.expect(201);
    let refused = test.post(&ada, &canary, begin.clone()).await.expect(409);
    assert_eq!(refused.code(), "rule_canary.shadow");
    test.delete(&ada, &shadow).await.expect(204);
    test.post(&ada, &canary, begin).await.expect(201);
    let refused = test.post(&ada, &shadow, compare).await.expect(409);
    assert_eq!(refused.code(), "rule_shadow.canary");
    test.delete(&ada, &rule).await.expect(204);
    assert_eq!(canaries::withdraw_failing(&test.app).await.unwrap(), 0);
}
