//! Drafts, reasons, restoring and differences through the API.

use serde_json::{Value, json};
use so_model::workspace::Role;

use crate::testing::{Answer, Person, TestApp};

const TEXT: &str = "# mine
version: 1
name: Greeter
triggers: [{id: b, kind: manual}]
if: {time: {from: '09:00', to: '17:00'}}   # office hours
steps: [{id: a, action: notify, with: {title: Hello}}]
";

fn text(text: &str) -> Value {
    json!({"format": "yaml", "text": text})
}

async fn made(test: &TestApp, person: &Person) -> String {
    let body = json!({"text": text(TEXT)});
    let made = test
        .post(person, &person.at("rules"), body)
        .await
        .expect(201)
        .body;
    person.at(&format!("rules/{}", made["id"].as_str().unwrap()))
}

fn generation(kept: Answer) -> i64 {
    kept.body["generation"].as_i64().unwrap()
}

#[tokio::test]
async fn a_draft_is_kept_with_its_mistakes_and_goes_live_with_its_reason() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let rule = made(&test, &ada).await;
    let draft = format!("{rule}/draft");
    let none = test.get(&ada, &draft).await.expect(404);
    assert_eq!(none.code(), "rule_draft.not_found");

    // Half a text is kept as it is.
    let half = "name: Gree";
    let body = json!({"text": text(half), "expected_generation": 0, "reason": " earlier "});
    let kept = test.put(&ada, &draft, body.clone()).await.expect(200).body;
    assert_eq!(
        (&kept["text"]["text"], &kept["reason"]),
        (&json!(half), &json!("earlier"))
    );
    let begun = kept["generation"].as_i64().unwrap();
    assert_eq!(kept["check"]["is_valid"], false);
    assert!(!kept["check"]["errors"].as_array().unwrap().is_empty());
    let lost = test.put(&ada, &draft, body).await.expect(409);
    assert_eq!(lost.code(), "rule_draft.changed");
    let early = json!({"expected_generation": begun});
    let publish = format!("{draft}/publish");
    assert_eq!(
        test.post(&ada, &publish, early).await.expect(422).code(),
        "rule.invalid"
    );

    // What it would change is told; the live version goes on.
    let moved = TEXT.replace("09:00", "08:00").replace("17:00", "18:00");
    let body = json!({"text": text(&moved), "expected_generation": begun});
    let kept = test.put(&ada, &draft, body).await.expect(200).body;
    assert_eq!(kept["generation"], begun + 1);
    assert_eq!(
        kept["changes"][0]["sentence"],
        "the rule: the window moved from 9–17 to 8–18"
    );
    assert_eq!(
        kept["changes"].as_array().unwrap().len(),
        1,
        "{}",
        kept["changes"]
    );
    let live = test.get(&ada, &rule).await.expect(200).body;
    assert_eq!((&live["version"], &live["yaml"]), (&json!(1), &json!(TEXT)));
    let compared = test
        .get(&ada, &format!("{rule}/difference?to=draft"))
        .await
        .expect(200)
        .body;
    assert_eq!(compared["changes"], kept["changes"]);
    let tried = test
        .post(&ada, &format!("{rule}/test"), json!({"draft": true}))
        .await;
    tried.expect(200);

    let stale = json!({"expected_generation": begun});
    assert_eq!(
        test.post(&ada, &publish, stale).await.expect(409).code(),
        "rule_draft.changed"
    );
    let live = test
        .post(&ada, &publish, json!({"expected_generation": begun + 1}))
        .await
        .expect(200)
        .body;
    assert_eq!(
        (&live["version"], &live["yaml"]),
        (&json!(2), &json!(moved))
    );
    test.get(&ada, &draft).await.expect(404);
    let versions = test
        .get(&ada, &format!("{rule}/versions"))
        .await
        .expect(200)
        .body;
    let told = |index: usize| {
        let one = &versions["items"][index];
        (one["reason"].clone(), one["state"].clone())
    };
    assert_eq!(told(0), (json!("earlier"), json!("live")));
    assert_eq!(told(1), (json!(""), json!("former")));
}

#[tokio::test]
async fn a_draft_of_a_version_that_is_no_longer_live_is_refused_with_what_it_missed() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let rule = made(&test, &ada).await;
    let draft = format!("{rule}/draft");
    let mine = TEXT.replace("Hello", "Good day");
    let body = json!({"text": text(&mine), "expected_generation": 0, "reason": "manners"});
    let begun = generation(test.put(&ada, &draft, body).await.expect(200));
    let theirs = TEXT.replace("09:00", "10:00");
    let body = json!({"text": text(&theirs), "expected_version": 1, "reason": "we sleep longer"});
    test.put(&ada, &rule, body).await.expect(200);

    let publish = format!("{draft}/publish");
    let refused = test
        .post(&ada, &publish, json!({"expected_generation": begun}))
        .await
        .expect(409);
    assert_eq!(refused.code(), "rule_draft.outdated");
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(
        detail.contains("the window moved from 9–17 to 10–17"),
        "{detail}"
    );
    let seen = test.get(&ada, &draft).await.expect(200).body;
    assert_eq!(
        (&seen["is_outdated"], &seen["live_version"]),
        (&json!(true), &json!(2))
    );
    assert_eq!(seen["missed"][0]["code"], "window.moved");

    // Put on top of what is live, it goes.
    let both = theirs.replace("Hello", "Good day");
    let body = json!({"text": text(&both), "expected_generation": begun, "base_version": 2});
    let kept = test.put(&ada, &draft, body).await.expect(200).body;
    assert_eq!(
        kept["changes"].as_array().unwrap().len(),
        1,
        "{}",
        kept["changes"]
    );
    let live = test
        .post(&ada, &publish, json!({"expected_generation": begun + 1}))
        .await;
    assert_eq!(live.expect(200).body["yaml"], both);
}

#[tokio::test]
async fn a_draft_passes_the_gate_of_its_cases_like_any_version() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let rule = made(&test, &ada).await;
    let draft = format!("{rule}/draft");
    let cases = "cases: [{name: never, event: {kind: manual.pressed, data: {input: {}}}, fires: true, now: '2026-11-23T03:00:00Z'}]\n";
    let body = json!({"text": text(TEXT), "cases": cases, "expected_generation": 0, "reason": "r"});
    let begun = generation(test.put(&ada, &draft, body).await.expect(200));
    let publish = format!("{draft}/publish");
    let refused = test
        .post(&ada, &publish, json!({"expected_generation": begun}))
        .await;
    assert_eq!(refused.expect(422).code(), "rule.cases_failed");
    let admin = test.member(&ada, "adam@x.org", Role::Admin).await;
    let because = json!({"expected_generation": begun, "override_reason": "it is urgent"});
    let refused = test
        .post(&admin, &publish, because.clone())
        .await
        .expect(403);
    assert_eq!(refused.code(), "rule.override_refused");
    let live = test.post(&ada, &publish, because).await.expect(200).body;
    assert_eq!(live["cases"], cases);
    let versions = test
        .get(&ada, &format!("{rule}/versions"))
        .await
        .expect(200)
        .body;
    assert_eq!(versions["items"][0]["override_reason"], "it is urgent");
}

#[tokio::test]
async fn a_draft_made_as_a_document_keeps_the_authors_comments_and_asks_for_a_reason() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let rule = made(&test, &ada).await;
    let draft = format!("{rule}/draft");
    let mut document = test.get(&ada, &rule).await.expect(200).body["document"].clone();
    document["if"]["time"]["to"] = json!("18:00");
    let body = json!({"document": document, "expected_generation": 0});
    let kept = test.put(&ada, &draft, body).await.expect(200).body;
    assert_eq!(kept["text"]["text"], TEXT.replace("17:00", "18:00"));
    let publish = format!("{draft}/publish");
    let begun = kept["generation"].as_i64().unwrap();
    let refused = test
        .post(&ada, &publish, json!({"expected_generation": begun}))
        .await
        .expect(422);
    assert_eq!(refused.body["errors"][0]["pointer"], "/reason");
    let long = json!({"expected_generation": begun, "reason": "x".repeat(1001)});
    test.post(&ada, &publish, long).await.expect(422);
    // Given up, it is gone; one that cannot be read is kept as it was sent.
    test.delete(&ada, &draft).await.expect(204);
    test.delete(&ada, &draft).await.expect(404);
    let body = json!({"document": {"name": 3}, "expected_generation": 0});
    let kept = test.put(&ada, &draft, body).await.expect(200).body;
    assert_eq!(
        (&kept["text"]["format"], &kept["check"]["is_valid"]),
        (&json!("json"), &json!(false))
    );
}

#[tokio::test]
async fn a_draft_that_took_the_place_of_another_is_not_taken_for_it() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let draft = format!("{}/draft", made(&test, &ada).await);
    let keep = async |word: &str, seen: i64| {
        let text = text(&TEXT.replace("Hello", word));
        let body = json!({"text": text, "expected_generation": seen, "reason": "r"});
        test.put(&ada, &draft, body).await
    };
    let first = generation(keep("Good day", 0).await.expect(200));
    test.delete(&ada, &draft).await.expect(204);
    test.clock.advance(so_model::time::SECOND);
    let second = generation(keep("Good bye", 0).await.expect(200));
    assert!(second > first);
    // Whoever saw the first one neither writes over the second nor publishes it.
    keep("Good night", first).await.expect(409);
    let body = json!({"expected_generation": first});
    let refused = test.post(&ada, &format!("{draft}/publish"), body).await;
    assert_eq!(refused.expect(409).code(), "rule_draft.changed");
    keep("Good night", second).await.expect(200);
}

#[tokio::test]
async fn a_draft_leaves_the_switch_as_it_is_unless_it_says_something_about_it() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let rule = made(&test, &ada).await;
    test.patch(&ada, &rule, json!({"enabled": false}))
        .await
        .expect(200);
    let draft = format!("{rule}/draft");
    let silent = json!({"version": 1, "name": "Greeter", "triggers": [{"id": "b", "kind": "manual"}],
        "if": {"time": {"from": "09:00", "to": "17:00"}},
        "steps": [{"id": "a", "action": "notify", "with": {"title": "Hello"}}]});
    let mut loud = silent.clone();
    loud["enabled"] = json!(true);
    let (yaml, quoted) = (TEXT.to_owned(), format!("\"enabled\": true\n{TEXT}"));
    let table = [
        ("json", silent.to_string(), false),
        ("json", loud.to_string(), true),
        ("yaml", yaml, false),
        ("yaml", quoted, true),
    ];
    let mut seen = 0;
    for (format, text, switches) in table {
        let body = json!({"text": {"format": format, "text": text}, "expected_generation": seen});
        let kept = test.put(&ada, &draft, body).await.expect(200).body;
        seen = kept["generation"].as_i64().unwrap();
        let changes = kept["changes"].as_array().unwrap();
        let codes: Vec<_> = changes.iter().map(|one| &one["code"]).collect();
        let expected: &[&str] = if switches { &["enabled.changed"] } else { &[] };
        assert_eq!(codes, expected, "{format} {text}");
    }
}

#[tokio::test]
async fn an_old_version_is_restored_as_a_new_one_with_its_reason() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let rule = made(&test, &ada).await;
    let second = TEXT.replace("Hello", "Good day");
    let body = json!({"text": text(&second), "expected_version": 1});
    test.put(&ada, &rule, body).await.expect(200);
    let body = json!({"expected_version": 2, "reason": "too formal"});
    let live = test
        .post(&ada, &format!("{rule}/versions/1/restore"), body)
        .await
        .expect(200)
        .body;
    assert_eq!((&live["version"], &live["yaml"]), (&json!(3), &json!(TEXT)));
    let versions = test
        .get(&ada, &format!("{rule}/versions"))
        .await
        .expect(200)
        .body;
    assert_eq!(versions["items"][0]["reason"], "too formal");
    let between = async |query: &str| {
        let found = test.get(&ada, &format!("{rule}/difference?{query}")).await;
        found.expect(200).body
    };
    let last = between("").await;
    assert_eq!((&last["from"], &last["to"]), (&json!("2"), &json!("3")));
    assert_eq!(
        last["changes"][0]["sentence"],
        "step a.title changed from “Good day” to “Hello”"
    );
    assert!(
        between("from=1&to=3").await["changes"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    test.get(&ada, &format!("{rule}/difference?from=9"))
        .await
        .expect(404);
    test.get(&ada, &format!("{rule}/difference?from=x"))
        .await
        .expect(422);
}

#[tokio::test]
async fn a_difference_shows_no_secret_and_no_draft_to_those_who_may_not_change_rules() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let call = "version: 1
name: Call
triggers: [{id: b, kind: manual}]
steps: [{id: a, action: http.request, with: {url: 'https://x.example/', headers: {Authorization: first-secret}}}]
";
    let body = json!({"text": text(call)});
    let made = test
        .post(&ada, &ada.at("rules"), body)
        .await
        .expect(201)
        .body;
    let rule = ada.at(&format!("rules/{}", made["id"].as_str().unwrap()));
    let other = call
        .replace("first-secret", "other-secret")
        .replace("Call", "Called");
    let body = json!({"text": text(&other), "expected_version": 1});
    test.put(&ada, &rule, body.clone()).await.expect(200);
    let viewer = test.member(&ada, "vera@x.org", Role::Viewer).await;
    let seen = test
        .get(&viewer, &format!("{rule}/difference"))
        .await
        .expect(200);
    let told = seen.body.to_string();
    assert!(
        told.contains("Called") && !told.contains("-secret"),
        "{told}"
    );
    let whole = test
        .get(&ada, &format!("{rule}/difference"))
        .await
        .expect(200);
    assert!(whole.body.to_string().contains("other-secret"));
    let mut draft = body;
    draft["expected_generation"] = json!(0);
    draft.as_object_mut().unwrap().remove("expected_version");
    test.put(&ada, &format!("{rule}/draft"), draft)
        .await
        .expect(200);
    let hidden = test
        .get(&viewer, &format!("{rule}/difference?to=draft"))
        .await;
    assert_eq!(hidden.expect(403).code(), "rule_draft.hidden");
}
