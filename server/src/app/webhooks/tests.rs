//! Inbound webhooks through the API and their addresses.

use serde_json::{Value, json};
use so_engine::engine::Handed;
use so_model::{IdSource as _, time::MINUTE, workspace::Role};
use so_store::{events, jobs::Job};
use so_triggers::webhook::sign;

use crate::testing::{Answer, Person, TestApp};

fn at(person: &Person, rest: &str) -> String {
    format!("/api/v1/workspaces/{}/hooks{rest}", person.workspace)
}

struct Hook {
    id: String,
    address: String,
    secret: String,
}

async fn hook(test: &TestApp, ada: &Person, verify: Value) -> Hook {
    let made = test
        .post(ada, &at(ada, ""), json!({"name": "Shop", "verify": verify}))
        .await
        .expect(201);
    let url = made.body["url"].as_str().unwrap();
    Hook {
        id: made.body["id"].as_str().unwrap().into(),
        address: url[url.find("/in/").unwrap()..].into(),
        secret: made.body["secret"].as_str().unwrap_or_default().into(),
    }
}

async fn call(test: &TestApp, hook: &Hook, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut call = test.call("POST", &hook.address);
    for (name, value) in headers {
        call = call.header(name, value);
    }
    call.raw(body.to_string()).send().await
}

async fn stored(test: &TestApp, ada: &Person) -> Vec<so_model::event::Event> {
    events::list(
        &mut test.app.reader(),
        ada.workspace.parse().unwrap(),
        "webhook.received",
        "",
        "",
        100,
    )
    .await
    .unwrap()
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_call_is_taken_after_its_event_is_stored_and_starts_rules() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let hook = hook(&test, &ada, json!({"scheme": "none"})).await;
    let document = json!({"version": 1, "name": "r", "triggers": [{"id": "t", "kind": "webhook.received", "with": {"hook": hook.id}}],
        "steps": [{"id": "e", "stop": {}}]});
    let rules = format!("/api/v1/workspaces/{}/rules", ada.workspace);
    test.post(&ada, &rules, json!({"document": document}))
        .await
        .expect(201);
    let taken = call(&test, &hook, &[JSON], r#"{"text": "New", "likes": 120}"#)
        .await
        .expect(202);
    let event = taken.body["event"].as_str().unwrap();
    let shown = test
        .get(
            &ada,
            &format!("/api/v1/workspaces/{}/events/{event}", ada.workspace),
        )
        .await
        .expect(200);
    assert_eq!(
        shown.body["data"]["body"],
        json!({"text": "New", "likes": 120})
    );
    assert_eq!(shown.body["data"]["hook"]["id"], hook.id.as_str());
    assert_eq!(shown.body["runs"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_repetition_is_the_same_event() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let hook = hook(&test, &ada, json!({"scheme": "none"})).await;
    let headers = [JSON, ("idempotency-key", "order-1")];
    let first = call(&test, &hook, &headers, "{\"n\": 1}").await.expect(202);
    let second = call(&test, &hook, &headers, "{\"n\": 2}").await.expect(202);
    assert_eq!(first.body, second.body);
    assert_eq!(stored(&test, &ada).await.len(), 1);
    call(&test, &hook, &[JSON], "{\"n\": 1}").await.expect(202);
    assert_eq!(
        stored(&test, &ada).await.len(),
        2,
        "without an identity each call is its own"
    );
}

#[tokio::test]
async fn an_unsigned_altered_or_late_call_leaves_no_row() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let hook = hook(&test, &ada, json!({"scheme": "standard_webhooks"})).await;
    let body = "{\"n\": 1}";
    let seconds = test.app.now().seconds();
    let good = sign(&hook.secret, "msg_1", seconds, body.as_bytes()).unwrap();
    let stamp = seconds.to_string();
    let headers = |signature| {
        [
            JSON,
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", stamp.as_str()),
            ("webhook-signature", signature),
        ]
    };
    for refused in [
        call(&test, &hook, &[JSON], body).await,
        call(&test, &hook, &headers("v1,AAAA"), body).await,
        call(&test, &hook, &headers(&good), "{\"n\": 2}").await,
    ] {
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (401, "hook.unverified"),
            "{}",
            refused.text
        );
        assert!(!refused.text.contains(&hook.secret));
    }
    let taken = call(&test, &hook, &headers(&good), body).await.expect(202);
    let replayed = call(&test, &hook, &headers(&good), body).await.expect(202);
    assert_eq!(taken.body, replayed.body);
    assert_eq!(stored(&test, &ada).await.len(), 1);
    test.clock.advance(6 * MINUTE);
    call(&test, &hook, &headers(&good), body).await.expect(401);
    let shown = serde_json::to_string(&stored(&test, &ada).await[0].data).unwrap();
    assert!(!shown.contains(&good), "{shown}");
}

#[tokio::test]
async fn bodies_are_taken_as_what_they_are_or_refused() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let hook = hook(&test, &ada, json!({"scheme": "none"})).await;
    let latest = async || stored(&test, &ada).await.remove(0);
    for (kind, body, wanted) in [
        (
            "application/x-www-form-urlencoded",
            "a=1&b=x+y&a=2",
            json!({"a": ["1", "2"], "b": "x y"}),
        ),
        ("text/plain; charset=utf-8", "hello", json!("hello")),
        ("application/activity+json", "[1]", json!([1])),
        ("", "", Value::Null),
    ] {
        let headers = if kind.is_empty() {
            vec![]
        } else {
            vec![("content-type", kind)]
        };
        call(&test, &hook, &headers, body).await.expect(202);
        assert_eq!(latest().await.data["body"], wanted, "{kind}");
    }
    let count = stored(&test, &ada).await.len();
    for (status, kind, body) in [
        (400, "application/json", "{\"a\":".to_string()),
        (400, "application/json", "[".repeat(200_000)),
        (415, "image/png", "x".to_string()),
        (415, "", "x".to_string()),
        (415, "application/cloudevents-batch+json", "[]".to_string()),
        (
            413,
            "application/json",
            format!("\"{}\"", "x".repeat(1024 * 1024)),
        ),
        (
            400,
            "application/cloudevents+json",
            "{\"specversion\": \"1.0\"}".to_string(),
        ),
        (400, "application/cloudevents+json", "[]".to_string()),
    ] {
        let refused = call(&test, &hook, &[("content-type", kind)], &body).await;
        assert_eq!(
            refused.status.as_u16(),
            status,
            "{kind} {:.60}: {}",
            body,
            refused.text
        );
        assert!(!refused.code().is_empty());
    }
    assert_eq!(stored(&test, &ada).await.len(), count);
}

#[tokio::test]
async fn cloud_events_keep_identity_subject_and_time_in_both_forms() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let hook = hook(&test, &ada, json!({"scheme": "none"})).await;
    let event = json!({"specversion": "1.0", "id": "7", "source": "/shop", "type": "sold", "subject": "shoe",
        "time": "2026-11-24T09:00:00Z", "data": {"n": 1}});
    let kind = [(
        "content-type",
        "application/cloudevents+json; charset=utf-8",
    )];
    let first = call(&test, &hook, &kind, &event.to_string())
        .await
        .expect(202);
    let binary = [
        JSON,
        ("ce-specversion", "1.0"),
        ("ce-id", "7"),
        ("ce-source", "/shop"),
        ("ce-type", "sold"),
    ];
    let second = call(&test, &hook, &binary, "{\"n\": 1}").await.expect(202);
    assert_eq!(
        first.body, second.body,
        "the same event by either form is one"
    );
    let stored = stored(&test, &ada).await.remove(0);
    assert_eq!(
        (stored.subject.as_deref(), stored.time.to_string().as_str()),
        (Some("shoe"), "2026-11-24T09:00:00Z")
    );
    assert_eq!(
        (&stored.data["body"], &stored.data["cloud_event"]["type"]),
        (&json!({"n": 1}), &json!("sold"))
    );
}

#[tokio::test]
async fn a_call_that_says_it_is_about_another_webhook_is_about_its_own() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let own = hook(&test, &ada, json!({"scheme": "none"})).await;
    let other = hook(&test, &ada, json!({"scheme": "none"})).await;
    let event = json!({"specversion": "1.0", "id": "7", "source": "/shop", "type": "sold", "subject": other.id});
    let kind = [("content-type", "application/cloudevents+json")];
    call(&test, &own, &kind, &event.to_string())
        .await
        .expect(202);
    let stored = stored(&test, &ada).await.remove(0);
    assert_eq!(stored.subject, Some(own.id));
}

#[tokio::test]
async fn webhooks_called_at_the_same_time_are_not_taken_for_one_another() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let mut hooks = Vec::new();
    for _ in 0..8 {
        hooks.push(hook(&test, &ada, json!({"scheme": "none"})).await);
    }
    let unknown = Hook {
        id: String::new(),
        address: "/in/of-nobody".into(),
        secret: String::new(),
    };
    let calls = hooks.iter().chain([&unknown]).map(async |hook| {
        let body = json!({"of": hook.id}).to_string();
        call(&test, hook, &[JSON], &body).await
    });
    let answers = futures_util::future::join_all(calls).await;
    for (n, answer) in answers.into_iter().enumerate() {
        answer.expect(if n < hooks.len() { 202 } else { 404 });
    }
    let stored = stored(&test, &ada).await;
    assert_eq!(stored.len(), hooks.len());
    for event in stored {
        assert_eq!(event.data["body"]["of"], event.data["hook"]["id"]);
    }
}

#[tokio::test]
async fn the_sample_holds_no_credentials_and_viewers_see_no_address() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let hook = hook(&test, &ada, json!({"scheme": "none"})).await;
    let address = format!("{}?api_key=q1w2&page=3", hook.address);
    let with_query = Hook {
        address,
        id: hook.id.clone(),
        secret: String::new(),
    };
    let secret = "s3cr3t-value";
    let headers = [
        JSON,
        ("authorization", secret),
        ("cookie", secret),
        ("x-api-key", secret),
        ("x-hub-signature-256", secret),
        ("x-kind", "sale"),
    ];
    call(&test, &with_query, &headers, "{}").await.expect(202);
    let shown = test
        .get(&ada, &at(&ada, &format!("/{}", hook.id)))
        .await
        .expect(200);
    assert!(
        !shown.text.contains(secret) && !shown.text.contains("q1w2"),
        "{}",
        shown.text
    );
    assert_eq!(shown.body["sample"]["headers"]["x-kind"], "sale");
    assert_eq!(shown.body["sample"]["query"]["page"], "3");
    assert!(shown.body["url"].as_str().unwrap().ends_with(&hook.address));
    let vic = test.member(&ada, "vic@x.org", Role::Viewer).await;
    let seen = test
        .get(&vic, &at(&ada, &format!("/{}", hook.id)))
        .await
        .expect(200);
    assert_eq!(seen.body["url"], Value::Null);
    test.post(&vic, &at(&ada, ""), json!({"name": "x"}))
        .await
        .expect(403);
}

#[tokio::test]
async fn unknown_disabled_rotated_and_deleted_addresses_look_the_same() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let hook = hook(&test, &ada, json!({"scheme": "none"})).await;
    let unknown = test
        .call("POST", "/in/nothing")
        .header("content-type", "application/json")
        .raw("{}")
        .send()
        .await
        .expect(404);
    let one = at(&ada, &format!("/{}", hook.id));
    test.patch(&ada, &one, json!({"is_enabled": false}))
        .await
        .expect(200);
    assert_eq!(
        call(&test, &hook, &[JSON], "{}").await.expect(404).text,
        unknown.text
    );
    test.patch(&ada, &one, json!({"is_enabled": true}))
        .await
        .expect(200);
    let rotated = test
        .post(&ada, &format!("{one}/rotate"), json!({"address": true}))
        .await
        .expect(200);
    assert_eq!(
        call(&test, &hook, &[JSON], "{}").await.expect(404).text,
        unknown.text
    );
    let url = rotated.body["url"].as_str().unwrap();
    let fresh = Hook {
        address: url[url.find("/in/").unwrap()..].into(),
        id: hook.id.clone(),
        secret: String::new(),
    };
    call(&test, &fresh, &[JSON], "{}").await.expect(202);
    test.delete(&ada, &one).await.expect(204);
    assert_eq!(
        call(&test, &fresh, &[JSON], "{}").await.expect(404).text,
        unknown.text
    );
    let long = Hook {
        address: format!("/in/{}", "x".repeat(5000)),
        id: String::new(),
        secret: String::new(),
    };
    assert_eq!(
        call(&test, &long, &[JSON], "{}").await.expect(404).text,
        unknown.text
    );
}

#[tokio::test]
async fn a_server_without_room_says_when_to_come_again() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let hook = hook(&test, &ada, json!({"scheme": "none"})).await;
    let job = || Job {
        id: test.app.ids.new_id(),
        workspace: ada.workspace.parse().unwrap(),
        kind: "nothing".into(),
        subject: String::new(),
        epoch: 1,
        tries: 1,
    };
    let fill = (0..test.app.engine.room())
        .map(|_| Handed::of(job()))
        .collect();
    test.app.engine.hand_over(fill);
    let refused = call(&test, &hook, &[JSON], "{}").await.expect(429);
    assert_eq!(
        (refused.code(), refused.header("retry-after")),
        ("hook.overloaded", "1")
    );
    assert!(stored(&test, &ada).await.is_empty());
}

#[tokio::test]
async fn secrets_are_shown_once_and_must_fit_the_scheme() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let hmac = json!({"scheme": "hmac", "header": "X-Hub-Signature-256", "prefix": "sha256=", "encoding": "hex"});
    let made = hook(&test, &ada, hmac.clone()).await;
    let one = at(&ada, &format!("/{}", made.id));
    assert!(made.secret.starts_with("whsec_"));
    assert!(!test.get(&ada, &one).await.text.contains(&made.secret));
    let rotated = test
        .post(&ada, &format!("{one}/rotate"), json!({"secret": true}))
        .await
        .expect(200);
    assert_ne!(rotated.body["secret"], made.secret.as_str());
    test.post(&ada, &format!("{one}/rotate"), json!({}))
        .await
        .expect(422);
    for (pointer, body) in [
        ("/name", json!({"name": ""})),
        (
            "/verify/scheme",
            json!({"name": "x", "verify": {"scheme": "md5"}}),
        ),
        (
            "/verify/header",
            json!({"name": "x", "verify": {"scheme": "hmac", "header": "a b", "encoding": "hex"}}),
        ),
        ("/secret", json!({"name": "x", "secret": "something long"})),
        (
            "/secret",
            json!({"name": "x", "verify": {"scheme": "standard_webhooks"}, "secret": "not of the form"}),
        ),
        (
            "/secret",
            json!({"name": "x", "verify": hmac, "secret": "short"}),
        ),
    ] {
        let refused = test
            .post(&ada, &at(&ada, ""), body.clone())
            .await
            .expect(422);
        let told = refused.body["errors"][0]["pointer"].as_str().unwrap();
        assert!(
            pointer.starts_with(told) && told.len() > 1,
            "{body}: {}",
            refused.text
        );
    }
    let open = hook(&test, &ada, json!({"scheme": "none"})).await;
    let unfit = json!({"verify": {"scheme": "standard_webhooks"}});
    let refused = test
        .patch(&ada, &at(&ada, &format!("/{}", open.id)), unfit)
        .await
        .expect(409);
    assert_eq!(refused.code(), "hook.secret_unfit");
    let bob = test.register("bob@x.org").await;
    assert_eq!(
        test.get(&bob, &at(&bob, &format!("/{}", made.id)))
            .await
            .expect(404)
            .code(),
        "hook.not_found"
    );
}
