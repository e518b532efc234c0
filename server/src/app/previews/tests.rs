//! Previews through the API.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use so_triggers::webhook::sign;

use crate::{
    app::feeds::double::{Double, Page, rss},
    testing::{Answer, Person, TestApp},
};

async fn preview(test: &TestApp, person: &Person, what: &str, body: Value) -> Answer {
    test.post(person, &format!("/api/v1/previews/{what}"), body)
        .await
}

#[tokio::test]
async fn a_schedule_is_explained_where_clocks_change() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let body = json!({"trigger": {"kind": "time.cron", "with": {"expression": "30 2 * * *"}}, "zone": "Europe/Berlin",
        "after": "2027-03-27T12:00:00Z", "count": 2});
    let shown = preview(&test, &ada, "schedule", body).await.expect(200);
    let first = &shown.body["occurrences"][0];
    assert_eq!(
        (&first["at"], &first["is_special"]),
        (&json!("2027-03-28T01:00:00Z"), &json!(true)),
        "{}",
        shown.text
    );
    assert!(
        first["explanation"]
            .as_str()
            .unwrap()
            .contains("does not exist")
    );
    assert_eq!(shown.body["occurrences"][1]["is_special"], false);
    let schedule = json!({"schedule": {"kind": "every", "every": "1h"}, "count": 100});
    let shown = preview(&test, &ada, "schedule", schedule).await.expect(200);
    assert_eq!(shown.body["occurrences"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn a_schedule_with_a_mistake_is_told_by_field() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let cron = |expression: &str, zone: &str| json!({"schedule": {"kind": "cron", "expression": expression, "zone": zone}});
    for (pointer, body) in [
        ("/schedule/expression", cron("61 * * * *", "UTC")),
        ("/schedule/zone", cron("0 9 * * *", "Europe/Berlni")),
        ("/schedule", json!({"schedule": {"kind": "crn"}})),
        ("/schedule", json!({"schedule": 5})),
        ("/schedule", json!({})),
        ("/trigger/kind", json!({"trigger": {"kind": "time.cro"}})),
        ("/trigger/kind", json!({"trigger": {"kind": "manual"}})),
        (
            "/trigger/with",
            json!({"trigger": {"kind": "time.cron", "with": {"expression": "x"}}}),
        ),
        (
            "/trigger/with",
            json!({"trigger": {"kind": "time.recurrence", "with": {"rrule": "FREQ=SECONDLY", "start": "x"}}}),
        ),
        (
            "/zone",
            json!({"trigger": {"kind": "time.cron"}, "zone": "Nowhere"}),
        ),
        (
            "/count",
            json!({"schedule": {"kind": "every", "every": "1h"}, "count": 101}),
        ),
        (
            "/after",
            json!({"schedule": {"kind": "every", "every": "1h"}, "after": "soon"}),
        ),
    ] {
        let refused = preview(&test, &ada, "schedule", body.clone())
            .await
            .expect(422);
        let told = refused.body["errors"][0]["pointer"].as_str().unwrap();
        assert!(told.starts_with(pointer), "{body}: {}", refused.text);
    }
}

#[tokio::test]
async fn a_feed_is_shown_from_an_address_or_a_document() {
    let test = TestApp::with(|config| config.outbound.allow = vec!["127.0.0.1:*".into()]).await;
    let ada = test.register("ada@x.org").await;
    let double = Double::start().await;
    double.put("/feed", Page::ok(rss(&[("a", "A")])));
    let shown = preview(&test, &ada, "feed", json!({"url": double.url("/feed")}))
        .await
        .expect(200);
    assert_eq!(
        (&shown.body["title"], &shown.body["items"][0]["key"]),
        (&json!("News"), &json!("guid:a"))
    );
    let shown = preview(&test, &ada, "feed", json!({"document": rss(&[("b", "B")])}))
        .await
        .expect(200);
    assert_eq!(shown.body["items"][0]["title"], "B");
    for (pointer, body) in [
        ("/document", json!({"document": ""})),
        (
            "/document",
            json!({"document": "<html><body>no</body></html>"}),
        ),
        ("/document", json!({"document": "<rss".repeat(50_000)})),
        ("/url", json!({"url": double.url("/none")})),
        ("/url", json!({"url": "http://10.1.1.1/"})),
        ("/url", json!({})),
    ] {
        let refused = preview(&test, &ada, "feed", body).await.expect(422);
        assert_eq!(
            refused.body["errors"][0]["pointer"], pointer,
            "{}",
            refused.text
        );
    }
    let listed = test
        .get(&ada, &format!("/api/v1/workspaces/{}/feeds", ada.workspace))
        .await;
    assert_eq!(listed.body["items"], json!([]));
}

#[tokio::test]
async fn a_text_is_measured_as_each_network_counts() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let content = json!({"kind": "status", "text": "x".repeat(400)});
    let body = json!({"content": content, "networks": ["mastodon", "bluesky"]});
    let shown = preview(&test, &ada, "text", body).await.expect(200);
    let fits = shown.body["fits"].as_array().unwrap();
    let of = |network: &str| fits.iter().find(|fit| fit["network"] == network).unwrap();
    assert_eq!(
        (
            &of("mastodon")["problems"],
            &of("mastodon")["length"]["used"]
        ),
        (&json!([]), &json!(400))
    );
    assert_eq!(of("bluesky")["problems"][0]["pointer"], "/text");
    let unknown = json!({"content": content, "networks": ["mastodn"]});
    let refused = preview(&test, &ada, "text", unknown).await.expect(422);
    assert_eq!(refused.body["errors"][0]["suggestion"], "mastodon");
    let own: so_model::account::Account = serde_json::from_value(json!({
        "id": so_model::id::AccountId::derived(&["own"]), "workspace": ada.workspace, "network": "mastodon",
        "remote_id": "1", "name": "Ann", "handle": "@ann@m.example", "state": "active",
        "settings": {"limits": {"text_max": 300}}, "created_at": test.app.now(), "updated_at": test.app.now()
    }))
    .unwrap();
    let mut tx = test.app.store.begin().await.unwrap();
    so_store::accounts::insert_or_replace(&mut tx, &own)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let body = json!({"content": content, "accounts": [own.id], "workspace": ada.workspace});
    let shown = preview(&test, &ada, "text", body).await.expect(200);
    let fit = &shown.body["fits"][0];
    assert_eq!(
        (&fit["length"]["max"], &fit["problems"][0]["pointer"]),
        (&json!(300), &json!("/text"))
    );
    let bob = test.register("bob@x.org").await;
    let account = "acct_00000000000000000000000000000000";
    let foreign = json!({"content": content, "accounts": [account], "workspace": bob.workspace});
    assert_eq!(
        preview(&test, &ada, "text", foreign)
            .await
            .expect(404)
            .code(),
        "workspace.not_found"
    );
    let unknown = json!({"content": content, "accounts": [account], "workspace": ada.workspace});
    assert_eq!(
        preview(&test, &ada, "text", unknown)
            .await
            .expect(404)
            .code(),
        "account.not_found"
    );
}

#[tokio::test]
async fn a_text_made_to_be_slow_is_looked_at_once_for_each_network_and_a_larger_one_not_at_all() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let body = |text: String| json!({"content": {"kind": "status", "text": text}, "networks": vec!["mastodon"; 100]});
    let slow = format!("http://{}", ")".repeat(99_000));
    let shown = preview(&test, &ada, "text", body(slow)).await.expect(200);
    assert_eq!(shown.body["fits"].as_array().unwrap().len(), 1);
    let large = body("x".repeat(100_001));
    let refused = preview(&test, &ada, "text", large).await.expect(422);
    assert_eq!(refused.body["errors"][0]["pointer"], "/content/text");
    let options: Vec<String> = (0..50_000).map(|n| n.to_string()).collect();
    let poll =
        json!({"kind": "poll", "text": "q?", "poll": {"options": options, "expires_in_s": 3600}});
    let refused = preview(&test, &ada, "text", json!({"content": poll})).await;
    assert_eq!(
        refused.expect(422).body["errors"][0]["pointer"],
        "/content/poll/options"
    );
}

#[tokio::test]
async fn a_script_shows_value_output_and_cost() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let source = "print(event.data.item.title); event.data.item.title.len() + vars.n";
    let body = json!({"source": source, "dialect": "script", "trigger": "feed.item", "vars": {"vars": {"n": 1}}});
    let shown = preview(&test, &ada, "script", body).await.expect(200);
    assert_eq!(
        (&shown.body["value"], &shown.body["error"]),
        (&json!(18), &Value::Null),
        "{}",
        shown.text
    );
    assert_eq!(shown.body["printed"], json!(["Our spring launch"]));
    assert!(shown.body["operations"].as_u64().unwrap() > 0);
    let misspelt = json!({"source": "event.data.item.titel", "trigger": "feed.item"});
    let shown = preview(&test, &ada, "script", misspelt).await.expect(200);
    assert_eq!(
        (
            &shown.body["findings"][0]["line"],
            &shown.body["findings"][0]["pointer"]
        ),
        (&json!(1), &json!("/source"))
    );
    for (pointer, body) in [
        ("/vars/event", json!({"source": "1", "vars": {"event": {}}})),
        ("/vars/stpes", json!({"source": "1", "vars": {"stpes": {}}})),
        ("/trigger", json!({"source": "1", "trigger": "feed.itm"})),
    ] {
        let refused = preview(&test, &ada, "script", body).await.expect(422);
        assert_eq!(refused.body["errors"][0]["pointer"], pointer);
    }
}

#[tokio::test]
async fn hostile_scripts_end_with_a_reason_and_the_server_goes_on() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let begun = Instant::now();
    for source in [
        "loop {}",
        "fn f(n) { f(n + 1) } f(0)",
        "let s = \"x\"; loop { s += s; }",
        "let a = []; loop { a.push(a); }",
        "while true { print(\"x\".repeat(1000)); }",
        "eval(\"1\")",
        "import \"std\" as s; 1",
        "throw \"no\"",
        "1 / 0",
        "let x = ",
        "no_such_function()",
        &"(".repeat(10_000),
        &format!("[{}]", "1,".repeat(200_000)),
    ] {
        let shown = preview(
            &test,
            &ada,
            "script",
            json!({"source": source, "dialect": "script"}),
        )
        .await
        .expect(200);
        let error = &shown.body["error"];
        assert!(
            !error["reason"].as_str().unwrap_or_default().is_empty(),
            "{source:.40}: {}",
            shown.text
        );
        assert!(shown.text.len() < 100_000, "{source:.40}");
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
    let good = preview(&test, &ada, "script", json!({"source": "1 + 1"}))
        .await
        .expect(200);
    assert_eq!(good.body["value"], 2);
}

#[tokio::test]
async fn a_signature_is_judged_as_a_webhook_would() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let now = test.app.now().seconds();
    let signature = sign(secret, "m", now, b"{}").unwrap();
    let body = |body: &str| {
        json!({"verify": {"scheme": "standard_webhooks"}, "secret": secret, "body": body,
            "headers": {"Webhook-Id": "m", "Webhook-Timestamp": now.to_string(), "Webhook-Signature": signature}})
    };
    let good = preview(&test, &ada, "signature", body("{}"))
        .await
        .expect(200);
    assert_eq!(good.body, json!({"is_valid": true, "reason": null}));
    let bad = preview(&test, &ada, "signature", body("{ }"))
        .await
        .expect(200);
    assert_eq!(bad.body["is_valid"], false);
    assert!(bad.body["reason"].as_str().unwrap().contains("signature"));
}

#[tokio::test]
async fn previews_are_for_people_who_are_signed_in() {
    let test = TestApp::new().await;
    for what in ["schedule", "feed", "text", "script", "signature", "rule"] {
        let call = test
            .call("POST", &format!("/api/v1/previews/{what}"))
            .json(&json!({}));
        call.send().await.expect(401);
    }
    test.call("GET", "/api/v1/catalogue")
        .send()
        .await
        .expect(401);
}
