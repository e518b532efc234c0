//! Dry runs, why and runs once more, through the API.

use serde_json::{Value, json};
use so_model::event::NewEvent;

use crate::{
    http::v1::posts::fixture::{account, draft, path},
    testing::{Person, TestApp},
};

async fn save(test: &TestApp, ada: &Person, document: Value) -> String {
    let made = test
        .post(ada, &path(ada, "rules"), json!({"document": document}))
        .await
        .expect(201);
    made.body["id"].as_str().unwrap().to_owned()
}

async fn happened(test: &TestApp, ada: &Person, body: Value) -> String {
    let workspace = ada.workspace.parse().unwrap();
    let event = NewEvent::new(workspace, "webhook.received", json!({"body": body}));
    let admitted = test.app.engine.ingest(event).await.unwrap();
    test.settle().await;
    admitted.event.id.to_string()
}

fn texts(effects: &Value) -> Vec<&str> {
    effects
        .as_array()
        .unwrap()
        .iter()
        .map(|effect| effect["text"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_dry_run_tells_the_plan_with_the_networks_checks_and_does_nothing() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let (ann, bob) = (
        account(&test, &ada, "Ann").await,
        account(&test, &ada, "Bob").await,
    );
    let document = json!({"version": 1, "name": "Plan",
        "triggers": [{"id": "t", "kind": "webhook.received"}],
        "steps": [
            {"id": "make", "action": "post.create", "with": {"text": "{{ event.data.body.text }}",
                "accounts": [ann, bob], "state": "approved", "labels": ["launch"]}},
            {"id": "when", "action": "post.schedule", "with": {"post": "{{ steps.make.output.post.id }}",
                "at": "2027-03-01T09:00", "zone": "Europe/Berlin"}},
            {"id": "mark", "action": "label.add", "with": {"post": "{{ steps.make.output.post.id }}", "label": "x"}},
            {"id": "wait", "delay": {"for": "10m"}},
            {"id": "tell", "action": "http.request", "with": {"url": "https://example.com/secret-path", "method": "POST"}},
            {"id": "go", "action": "post.publish", "with": {"post": "{{ steps.make.output.post.id }}"}}]});
    let rule = save(&test, &ada, document.clone()).await;
    let event = happened(&test, &ada, json!({"text": "Our launch"})).await;
    // What the run itself did is not what is tried here.
    let before = test.get(&ada, &path(&ada, "posts")).await.expect(200).body;
    let asked = json!({"rule": rule, "event": event});
    let answer = test
        .post(&ada, &path(&ada, "dry-runs"), asked)
        .await
        .expect(200)
        .body;
    assert_eq!(answer["would_start"], true, "{answer:#}");
    let told = texts(&answer["effects"]);
    assert_eq!(told[0], "makes a post (approved) for 2 accounts");
    assert!(
        told.contains(&"schedules a post to 2 accounts at 2027-03-01 09:00 Europe/Berlin"),
        "{told:#?}"
    );
    assert!(told.contains(&"adds label x"), "{told:#?}");
    assert!(told.contains(&"waits 10m"), "{told:#?}");
    assert!(
        told.contains(&"calls POST https://example.com (not made)"),
        "{told:#?}"
    );
    assert!(told.contains(&"publishes to 2 accounts"), "{told:#?}");
    assert!(
        answer["text"]
            .as_str()
            .unwrap()
            .contains("adds label x; waits 10m; calls"),
        "{answer:#}"
    );
    let after = test.get(&ada, &path(&ada, "posts")).await.expect(200).body;
    assert_eq!(before, after, "nothing was stored");

    // A draft, an edited event: the network's check is told where the step would fail.
    let asked = json!({"rule": rule, "document": document, "event": event,
        "edited": {"data": {"body": {"text": "x".repeat(100_001)}}}});
    let answer = test
        .post(&ada, &path(&ada, "dry-runs"), asked)
        .await
        .expect(200)
        .body;
    assert_eq!(answer["version"], Value::Null);
    let problems = &answer["effects"][0]["targets"][0]["problems"];
    assert!(
        problems[0].as_str().unwrap().contains("Ann (sandbox)"),
        "{answer:#}"
    );

    // A sample is enough.
    let asked = json!({"rule": rule, "anyway": true});
    let answer = test
        .post(&ada, &path(&ada, "dry-runs"), asked)
        .await
        .expect(200)
        .body;
    assert_eq!(answer["trigger"], "t");
    for (asked, code) in [
        (json!({}), 422),
        (json!({"rule": rule, "version": 9}), 404),
        (json!({"rule": rule, "trigger": "u"}), 422),
        (json!({"document": {"version": 1}}), 422),
        (
            json!({"rule": rule, "event": "evt_01890a5dac96774bbcceb302099a8057"}),
            404,
        ),
    ] {
        test.post(&ada, &path(&ada, "dry-runs"), asked)
            .await
            .expect(code);
    }
}

#[tokio::test]
async fn why_is_answered_for_an_event_a_span_and_a_post() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let eve = test.register("eve@x.org").await;
    let rule = save(
        &test,
        &ada,
        json!({"version": 1, "name": "Liked", "triggers": [{"id": "t", "kind": "webhook.received"}],
            "if": {"field": "event.data.body.likes", "op": "ge", "value": 100}, "steps": [{"id": "e", "stop": {}}]}),
    )
    .await;
    let event = happened(&test, &ada, json!({"likes": 87})).await;
    let at = |rest: &str| path(&ada, rest);
    let asked = at(&format!("events/{event}/why?rule={rule}"));
    let why = test.get(&ada, &asked).await.expect(200).body;
    assert_eq!(why["outcome"], "refused");
    assert_eq!(
        why["text"],
        "It did not start: body.likes is 87, wanted at least 100: 13 short."
    );
    let span = test
        .get(&ada, &at(&format!("rules/{rule}/why")))
        .await
        .expect(200)
        .body;
    assert_eq!(span["events"][0]["event"], event.as_str());
    assert_eq!(
        span["counts"][0],
        json!({"outcome": "refused", "events": 1})
    );
    let ann = account(&test, &ada, "Ann").await;
    let post = draft(&test, &ada, &ann, "Hello").await;
    let id = post["id"].as_str().unwrap();
    let of_post = test
        .get(&ada, &at(&format!("posts/{id}/why?rule={rule}")))
        .await
        .expect(200)
        .body;
    assert_eq!(of_post["events"][0]["outcome"], "not_candidate");
    assert!(
        of_post["events"][0]["text"]
            .as_str()
            .unwrap()
            .contains("the event is post.created"),
        "{of_post:#}"
    );
    let foreign = path(&eve, &format!("events/{event}/why?rule={rule}"));
    test.get(&eve, &foreign).await.expect(404);
    let backwards = at(&format!(
        "rules/{rule}/why?from=2027-02-01T00:00:00Z&until=2027-01-01T00:00:00Z"
    ));
    test.get(&ada, &backwards).await.expect(422);
}

#[tokio::test]
async fn redrive_goes_on_rerun_begins_anew_and_what_if_does_nothing() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let at = |rest: &str| path(&ada, rest);
    let document = json!({"version": 1, "name": "Two steps", "triggers": [{"id": "t", "kind": "webhook.received"}],
        "steps": [{"id": "first", "action": "notify", "with": {"title": "first"}},
                  {"id": "second", "action": "label.add", "with": {"post": "{{ event.data.body.post }}", "label": "x"}}]});
    let rule = save(&test, &ada, document).await;
    // The post is not there yet when the run wants it.
    let ann = account(&test, &ada, "Ann").await;
    let post = draft(&test, &ada, &ann, "Hello").await;
    let id = post["id"].as_str().unwrap().to_owned();
    let missing = "post_01890a5dac96774bbcceb302099a8057";
    happened(&test, &ada, json!({"post": missing})).await;
    let listed = test
        .get(&ada, &at("runs?state=failed"))
        .await
        .expect(200)
        .body;
    let run = listed["items"][0]["id"].as_str().unwrap().to_owned();

    let what_if = test
        .post(&ada, &at(&format!("runs/{run}/what-if")), json!({}))
        .await
        .expect(200)
        .body;
    assert_eq!(what_if["end"], "failed", "{what_if:#}");

    // Still missing: the run goes on from its failed step, and fails there again.
    let again = test
        .post(&ada, &at(&format!("runs/{run}/redrive")), json!({}))
        .await
        .expect(200)
        .body;
    assert_eq!(
        (&again["id"], &again["state"]),
        (&json!(run), &json!("running"))
    );
    test.settle().await;
    let shown = test
        .get(&ada, &at(&format!("runs/{run}")))
        .await
        .expect(200)
        .body;
    assert_eq!(shown["state"], "failed");
    let of_step = |step: &str| {
        let memos = shown["memos"].as_array().unwrap();
        memos.iter().filter(|memo| memo["step"] == step).count()
    };
    assert_eq!(of_step("first"), 1, "what was done stays done: {shown:#}");
    assert_eq!(
        of_step("second"),
        3,
        "a failed try, the re-drive, another failed try"
    );

    let edited = json!({"version": 1, "name": "One step", "triggers": [{"id": "t", "kind": "webhook.received"}],
        "steps": [{"id": "first", "action": "notify", "with": {"title": "first"}},
                  {"id": "second", "action": "label.add", "with": {"post": id, "label": "x"}}]});
    let body = json!({"document": edited, "expected_version": 1});
    test.put(&ada, &at(&format!("rules/{rule}")), body)
        .await
        .expect(200);
    let what_if = test
        .post(&ada, &at(&format!("runs/{run}/what-if")), json!({}))
        .await
        .expect(200)
        .body;
    assert_eq!(
        (&what_if["end"], &what_if["version"]),
        (&json!("finished"), &json!(2)),
        "{what_if:#}"
    );

    let preview =
        json!({"action": "rerun", "filter": {"rule": rule, "reason": "NO POST"}, "preview": true});
    let report = test
        .post(&ada, &at("runs/bulk"), preview)
        .await
        .expect(200)
        .body;
    assert_eq!(
        (&report["items"][0]["run"], &report["items"][0]["done"]),
        (&json!(run), &json!(false))
    );
    let bulk = json!({"action": "rerun", "filter": {"rule": rule, "reason": "no post"}});
    let report = test
        .post(&ada, &at("runs/bulk"), bulk)
        .await
        .expect(200)
        .body;
    let new = report["items"][0]["now"].as_str().unwrap().to_owned();
    test.settle().await;
    let shown = test
        .get(&ada, &at(&format!("runs/{new}")))
        .await
        .expect(200)
        .body;
    assert_eq!(
        (&shown["state"], &shown["version"]),
        (&json!("finished"), &json!(2))
    );

    let compared = test
        .get(&ada, &at(&format!("runs/{run}/compare?with={new}")))
        .await
        .expect(200)
        .body;
    assert_eq!(compared["steps"][0]["is_same"], true, "{compared:#}");
    let first = &compared["first_difference"];
    assert_eq!(
        (&first["what"], &first["path"]),
        (&json!("input"), &json!("/steps/1")),
        "{compared:#}"
    );
    let same = test
        .get(&ada, &at(&format!("runs/{run}/compare?with={run}")))
        .await
        .expect(200)
        .body;
    assert_eq!(same["first_difference"], Value::Null);

    // Only what is broken can go on.
    test.post(&ada, &at(&format!("runs/{new}/redrive")), json!({}))
        .await
        .expect(409);
    let nothing =
        json!({"action": "redrive", "filter": {"rule": rule, "until": "2027-01-01T00:00:00Z"}});
    let report = test
        .post(&ada, &at("runs/bulk"), nothing)
        .await
        .expect(200)
        .body;
    assert_eq!(report, json!({"items": [], "is_cut": false}));
    for (action, limit) in [("redrive", 101), ("what_if", 11)] {
        let too_many = json!({"action": action, "filter": {}, "limit": limit});
        test.post(&ada, &at("runs/bulk"), too_many)
            .await
            .expect(422);
    }

    // What was cut goes on behind the last one, and does none twice.
    for _ in 0..2 {
        test.post(&ada, &at(&format!("runs/{new}/rerun")), json!({}))
            .await
            .expect(201);
        test.settle().await;
    }
    let mut seen = Vec::new();
    let mut after = Value::Null;
    loop {
        let filter = json!({"rule": rule, "state": "finished", "after": after});
        let page = json!({"action": "rerun", "filter": filter, "preview": true, "limit": 1});
        let report = test
            .post(&ada, &at("runs/bulk"), page)
            .await
            .expect(200)
            .body;
        let items = report["items"].as_array().unwrap();
        seen.extend(items.iter().map(|item| item["run"].clone()));
        assert_eq!(report["is_cut"], report["after"].is_string(), "{report:#}");
        after = report["after"].clone();
        if after.is_null() {
            break;
        }
        assert_eq!(seen.last(), Some(&after), "{report:#}");
    }
    let distinct: std::collections::BTreeSet<_> = seen.iter().map(Value::to_string).collect();
    assert_eq!((seen.len(), distinct.len()), (3, 3), "{seen:?}");
}
