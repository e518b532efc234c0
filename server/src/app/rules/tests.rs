//! Rules through the API.

use serde_json::{Value, json};
use so_model::{time::DAY, workspace::Role};
use so_store::timers;

use super::Furnish;
use crate::{
    app::hooks::WorkspaceHook as _,
    testing::{Person, TestApp},
};

fn path(person: &Person, rest: &str) -> String {
    format!("/api/v1/workspaces/{}/rules{rest}", person.workspace)
}

fn button() -> Value {
    json!({"version": 1, "name": "Button", "triggers": [{"id": "t", "kind": "manual"}],
           "steps": [{"id": "a", "stop": {"reason": "pressed"}}]})
}

fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut document = button();
    change(&mut document);
    document
}

async fn make(test: &TestApp, ada: &Person, document: Value) -> String {
    let made = test
        .post(ada, &path(ada, ""), json!({"document": document}))
        .await
        .expect(201);
    made.body["id"].as_str().unwrap().to_string()
}

#[tokio::test]
async fn a_rule_written_as_text_keeps_its_comments() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let text = "# mine\nversion: 1\nname: Mine\ntriggers:\n  - {id: t, kind: manual}\nsteps:\n  - {id: a, stop: {}} # end\n";
    let body = json!({"text": {"format": "yaml", "text": text}});
    let made = test.post(&ada, &path(&ada, ""), body).await.expect(201);
    assert_eq!(
        (&made.body["yaml"], &made.body["version"]),
        (&json!(text), &json!(1))
    );
    assert_eq!(made.body["starter"], Value::Null);
    let id = made.body["id"].as_str().unwrap();
    let shown = test
        .get(&ada, &path(&ada, &format!("/{id}")))
        .await
        .expect(200);
    assert_eq!(shown.body["document"]["name"], "Mine");
    assert_eq!(shown.body["yaml"], text);
    let listed = test.get(&ada, &path(&ada, "")).await.expect(200);
    assert_eq!(listed.body["items"][0]["id"], id);
}

#[tokio::test]
async fn every_mistake_is_told_with_its_place() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let cases: Vec<(&str, Value)> = vec![
        (
            "/triggers/0/kind",
            with(|d| d["triggers"][0]["kind"] = json!("manuel")),
        ),
        (
            "/steps/0",
            with(|d| d["steps"][0] = json!({"id": "a", "stpo": {}})),
        ),
        (
            "/steps/0/action",
            with(|d| d["steps"][0] = json!({"id": "a", "action": "post.craete"})),
        ),
        (
            "/steps/0/with",
            with(|d| d["steps"][0] = json!({"id": "a", "action": "notify", "with": {"no": 1}})),
        ),
        (
            "/steps/1/id",
            with(|d| d["steps"] = json!([{"id": "a", "stop": {}}, {"id": "a", "stop": {}}])),
        ),
        (
            "/if",
            with(|d| d["if"] = json!({"expr": "event.data.input.x >"})),
        ),
        (
            "/if",
            with(|d| d["if"] = json!({"field": "event.kind", "op": "eqq", "value": 1})),
        ),
        (
            "/if",
            with(|d| d["if"] = json!({"fact": "queue_lenght", "op": "gt", "value": 1})),
        ),
        (
            "/throttle/per",
            with(|d| d["throttle"] = json!({"max": 1, "per": "1 fortnight"})),
        ),
        ("/version", with(|d| d["version"] = json!(2))),
        ("/name", with(|d| d["name"] = json!(""))),
        ("/steps", with(|d| d["steps"] = json!([]))),
        ("/nmae", with(|d| d["nmae"] = json!("x"))),
        ("/mode", with(|d| d["mode"] = json!({"kind": "sigle"}))),
        (
            "/triggers/0/with/expression",
            with(|d| {
                d["triggers"][0] =
                    json!({"id": "t", "kind": "time.cron", "with": {"expression": "61 * * * *"}})
            }),
        ),
        ("", json!([])),
        ("", json!("rule")),
    ];
    for (pointer, document) in cases {
        let refused = test
            .post(&ada, &path(&ada, ""), json!({"document": document}))
            .await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (422, "rule.invalid"),
            "{document}: {}",
            refused.text
        );
        let errors = refused.body["errors"].as_array().unwrap();
        let is_told = errors
            .iter()
            .any(|error| error["pointer"].as_str().unwrap().starts_with(pointer));
        assert!(is_told, "{document}: {errors:?}");
        assert!(
            errors
                .iter()
                .all(|error| !error["reason"].as_str().unwrap().is_empty()),
            "{errors:?}"
        );
    }
    let misspelt = with(|d| d["triggers"][0]["kind"] = json!("manuel"));
    let refused = test
        .post(&ada, &path(&ada, ""), json!({"document": misspelt}))
        .await
        .expect(422);
    assert_eq!(refused.body["errors"][0]["suggestion"], "manual");
    assert_eq!(
        test.get(&ada, &path(&ada, "")).await.body["items"],
        json!([])
    );
}

#[tokio::test]
async fn mistakes_in_a_text_are_told_by_line_and_column() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    for (line, format, text) in [
        (
            4,
            "yaml",
            "version: 1\nname: x\ntriggers:\n  - {id: t, kind: manuel}\nsteps: [{id: a, stop: {}}]\n",
        ),
        (3, "yaml", "version: 1\nname: x\nname: y\n"),
        (2, "yaml", "a: 1\n b: [\n"),
        (2, "json", "{\"version\": 1,\n \"name\": }"),
    ] {
        let body = json!({"text": {"format": format, "text": text}});
        let refused = test.post(&ada, &path(&ada, ""), body).await.expect(422);
        let error = &refused.body["errors"][0];
        assert_eq!(error["line"], line, "{text}: {}", refused.text);
        assert!(error["column"].as_u64().unwrap() >= 1);
    }
    let bomb = "a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d]";
    for body in [
        json!({"text": {"format": "yaml", "text": bomb}}),
        json!({"text": {"format": "yaml", "text": "x".repeat(300 * 1024)}}),
        json!({"text": {"format": "json", "text": format!("{}{}", "[".repeat(100), "]".repeat(100))}}),
        json!({}),
        json!({"document": button(), "text": {"format": "yaml", "text": "a: 1"}}),
    ] {
        let refused = test.post(&ada, &path(&ada, ""), body).await;
        assert_eq!(refused.code(), "rule.invalid", "{}", refused.text);
    }
}

#[tokio::test]
async fn checking_saves_nothing() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let good = test
        .post(
            &ada,
            &path(&ada, "/validate"),
            json!({"document": button()}),
        )
        .await
        .expect(200);
    assert_eq!(good.body["is_valid"], true);
    assert!(good.body["yaml"].as_str().unwrap().contains("name: Button"));
    let bad = test
        .post(&ada, "/api/v1/previews/rule", json!({"document": {}}))
        .await
        .expect(200);
    assert_eq!(bad.body["is_valid"], false);
    assert!(!bad.body["errors"].as_array().unwrap().is_empty());
    assert_eq!(
        test.get(&ada, &path(&ada, "")).await.body["items"],
        json!([])
    );
}

#[tokio::test]
async fn two_who_edit_the_same_version_are_told() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let id = make(&test, &ada, button()).await;
    let at = path(&ada, &format!("/{id}"));
    let second = with(|d| d["name"] = json!("Second"));
    let put = test
        .put(
            &ada,
            &at,
            json!({"document": second, "expected_version": 1}),
        )
        .await
        .expect(200);
    assert_eq!(
        (&put.body["version"], &put.body["name"]),
        (&json!(2), &json!("Second"))
    );
    let late = test
        .put(
            &ada,
            &at,
            json!({"document": button(), "expected_version": 1}),
        )
        .await
        .expect(409);
    assert_eq!(late.code(), "rule.changed");
    let versions = test.get(&ada, &format!("{at}/versions")).await.expect(200);
    assert_eq!(versions.body["items"].as_array().unwrap().len(), 2);
    assert_eq!(versions.body["items"][1]["name"], "Button");
    let old = test
        .get(&ada, &format!("{at}/versions/1"))
        .await
        .expect(200);
    assert_eq!(old.body["document"]["name"], "Button");
    let restored = test
        .post(
            &ada,
            &format!("{at}/versions/1/restore"),
            json!({"expected_version": 2}),
        )
        .await
        .expect(200);
    assert_eq!(
        (&restored.body["version"], &restored.body["name"]),
        (&json!(3), &json!("Button"))
    );
    for bad in ["0", "4", "x", "-1", "99999999999999999999"] {
        test.get(&ada, &format!("{at}/versions/{bad}"))
            .await
            .expect(404);
    }
}

#[tokio::test]
async fn saving_and_switching_keep_timers_in_step() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let daily = with(|d| {
        d["triggers"][0] =
            json!({"id": "t", "kind": "time.cron", "with": {"expression": "0 9 * * *"}})
    });
    let id = make(&test, &ada, daily.clone()).await;
    let at = path(&ada, &format!("/{id}"));
    let next = async || {
        timers::next_due(&mut test.app.reader())
            .await
            .unwrap()
            .map(|due| due.to_string())
    };
    // Nine in Berlin, the workspace's zone, is the very moment the test begins.
    assert_eq!(next().await.as_deref(), Some("2027-01-16T08:00:00Z"));
    let off = test
        .patch(&ada, &at, json!({"enabled": false}))
        .await
        .expect(200);
    assert_eq!(
        (&off.body["is_enabled"], &off.body["document"]["enabled"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(next().await, None);
    let silent = test
        .put(&ada, &at, json!({"document": daily, "expected_version": 1}))
        .await
        .expect(200);
    assert_eq!(
        silent.body["is_enabled"], false,
        "a document that does not say leaves the switch alone"
    );
    test.patch(&ada, &at, json!({"enabled": true}))
        .await
        .expect(200);
    assert!(next().await.is_some());
    test.clock.advance(DAY);
    test.settle().await;
    let ada = test.log_in(&ada.email).await;
    let runs = test
        .get(
            &ada,
            &format!("/api/v1/workspaces/{}/runs?rule={id}", ada.workspace),
        )
        .await
        .expect(200);
    assert_eq!(
        runs.body["items"].as_array().unwrap().len(),
        1,
        "{}",
        runs.text
    );
    test.delete(&ada, &at).await.expect(204);
    assert_eq!(next().await, None);
    test.get(&ada, &at).await.expect(404);
}

#[tokio::test]
async fn the_button_starts_a_run_or_says_why_not() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let picky =
        with(|d| d["if"] = json!({"field": "event.data.input.likes", "op": "gt", "value": 100}));
    let id = make(&test, &ada, picky).await;
    let run = path(&ada, &format!("/{id}/run"));
    let refused = test
        .post(&ada, &run, json!({"input": {"likes": 87}}))
        .await
        .expect(201);
    assert_eq!(refused.body["runs"], json!([]));
    assert_eq!(refused.body["decisions"][0]["verdict"], "condition_failed");
    assert!(
        refused.body["decisions"][0]["trace"]["text"]
            .as_str()
            .unwrap()
            .contains("87")
    );
    let started = test
        .post(&ada, &run, json!({"input": {"likes": 101}}))
        .await
        .expect(201);
    assert_eq!(started.body["runs"].as_array().unwrap().len(), 1);
    let why = test
        .get(&ada, &path(&ada, &format!("/{id}/decisions")))
        .await
        .expect(200);
    assert_eq!(why.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(why.body["items"][0]["event"], refused.body["event"]);
    let shown = test
        .get(&ada, &path(&ada, &format!("/{id}")))
        .await
        .expect(200);
    assert_eq!(shown.body["last_run"]["id"], started.body["runs"][0]);

    test.patch(
        &ada,
        &path(&ada, &format!("/{id}")),
        json!({"enabled": false}),
    )
    .await
    .expect(200);
    assert_eq!(
        test.post(&ada, &run, json!({})).await.code(),
        "rule.disabled"
    );
    let daily = with(|d| {
        d["triggers"][0] = json!({"id": "t", "kind": "time.cron", "with": {"expression": "@daily"}})
    });
    let other = make(&test, &ada, daily).await;
    assert_eq!(
        test.post(&ada, &path(&ada, &format!("/{other}/run")), json!({}))
            .await
            .code(),
        "rule.no_button"
    );
}

#[tokio::test]
async fn rules_of_others_do_not_exist_and_viewers_only_look() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let bob = test.register("bob@x.org").await;
    let id = make(&test, &ada, button()).await;
    let put = json!({"document": button(), "expected_version": 1});
    for (method, rest, body) in [
        ("GET", "", json!({})),
        ("PUT", "", put.clone()),
        ("PATCH", "", json!({"enabled": false})),
        ("DELETE", "", json!({})),
        ("POST", "/run", json!({})),
        ("GET", "/decisions", json!({})),
        ("GET", "/versions", json!({})),
        ("GET", "/versions/1", json!({})),
        (
            "POST",
            "/versions/1/restore",
            json!({"expected_version": 1}),
        ),
    ] {
        let call = test
            .call(method, &path(&bob, &format!("/{id}{rest}")))
            .bearer(&bob.token)
            .json(&body);
        assert_eq!(
            call.send().await.expect(404).code(),
            "rule.not_found",
            "{method} {rest}"
        );
        let call = test
            .call(method, &path(&ada, &format!("/{id}{rest}")))
            .bearer(&bob.token)
            .json(&body);
        assert_eq!(
            call.send().await.expect(404).code(),
            "workspace.not_found",
            "{method} {rest}"
        );
    }
    let vic = test.member(&ada, "vic@x.org", Role::Editor).await;
    test.get(&vic, &path(&vic, &format!("/{id}")))
        .await
        .expect(200);
    test.put(&vic, &path(&vic, &format!("/{id}")), put)
        .await
        .expect(403);
}

#[tokio::test]
async fn a_page_of_rules_ends_where_the_next_begins() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    for _ in 0..3 {
        make(&test, &ada, button()).await;
    }
    let first = test.get(&ada, &path(&ada, "?limit=2")).await.expect(200);
    let cursor = first.body["next_cursor"].as_str().unwrap();
    let second = test
        .get(&ada, &path(&ada, &format!("?limit=2&cursor={cursor}")))
        .await
        .expect(200);
    assert_eq!(
        (
            first.body["items"].as_array().unwrap().len(),
            second.body["items"].as_array().unwrap().len()
        ),
        (2, 1)
    );
    assert_eq!(second.body["next_cursor"], Value::Null);
    for bad in [
        "?limit=0",
        "?limit=201",
        "?cursor=x",
        "?limit=a",
        "?limt=1",
        "?limit=1&limit=2",
    ] {
        test.get(&ada, &path(&ada, bad)).await.expect(422);
    }
}

#[tokio::test]
async fn a_new_workspace_is_furnished_with_starter_rules_that_run() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let furnish = Furnish::default();
    furnish.attach(&test.app.engine);
    let mut tx = test.app.store.begin().await.unwrap();
    let workspace = so_store::workspaces::find(&mut tx, ada.workspace.parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    furnish
        .on_workspace_created(&mut tx, &workspace, ada.id.parse().unwrap())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let listed = test.get(&ada, &path(&ada, "")).await.expect(200);
    let wanted = so_actions::starters()
        .iter()
        .filter(|starter| starter.installed_by_default)
        .count();
    assert!(wanted > 0);
    let items = listed.body["items"].as_array().unwrap();
    assert_eq!(items.len(), wanted);
    for item in items {
        assert!(item["starter"].is_string());
        let id = item["id"].as_str().unwrap();
        let shown = test
            .get(&ada, &path(&ada, &format!("/{id}")))
            .await
            .expect(200);
        assert_eq!(shown.body["problem"], Value::Null, "{}", shown.text);
    }
}

#[tokio::test]
async fn the_catalogue_names_everything_with_schema_and_sample() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let catalogue = test.get(&ada, "/api/v1/catalogue").await.expect(200);
    for group in ["triggers", "actions"] {
        let kinds = catalogue.body[group].as_array().unwrap();
        assert!(kinds.len() > 5, "{group}");
        assert!(
            kinds
                .iter()
                .all(|kind| kind["params_schema"]["type"] == "object" && kind["title"].is_string())
        );
    }
    assert!(!catalogue.body["functions"].as_array().unwrap().is_empty());
    let schema = test
        .call("GET", "/api/v1/rule-schema.json")
        .send()
        .await
        .expect(200);
    assert_eq!(schema.header("content-type"), "application/schema+json");
    assert!(schema.body["$defs"].is_object() || schema.body["properties"].is_object());
}

#[tokio::test]
async fn a_workspace_that_moves_takes_its_schedules_along() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let daily = with(|d| {
        d["triggers"][0] =
            json!({"id": "t", "kind": "time.cron", "with": {"expression": "0 9 * * *"}})
    });
    make(&test, &ada, daily).await;
    let moved = json!({"time_zone": "UTC"});
    test.patch(
        &ada,
        &format!("/api/v1/workspaces/{}", ada.workspace),
        moved,
    )
    .await
    .expect(200);
    let next = timers::next_due(&mut test.app.reader())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(next.to_string(), "2027-01-15T09:00:00Z");
}

#[tokio::test]
async fn secrets_in_parameters_are_shown_to_admins_only() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let text = "# ours\nversion: 1\nname: Tells\ntriggers:\n  - {id: t, kind: manual}\nsteps:\n  - id: a\n    if: {field: event.kind, op: eq, value: manual}\n    then:\n      - id: b\n        action: http.request\n        with:\n          method: POST\n          url: https://a.example/\n          headers: {X-Api-Key: hush-1, Accept: text/plain}\n          json: {title: seen, items: [{name: authorization, value: hush-2}]}\n";
    let body = json!({"text": {"format": "yaml", "text": text}});
    let made = test.post(&ada, &path(&ada, ""), body).await.expect(201);
    let id = made.body["id"].as_str().unwrap();
    for rest in [format!("/{id}"), format!("/{id}/versions/1")] {
        let own = test.get(&ada, &path(&ada, &rest)).await.expect(200);
        assert_eq!(own.body["yaml"], text);
        for role in [Role::Editor, Role::Viewer] {
            let email = format!("{role:?}{}@x.org", rest.len());
            let who = test.member(&ada, &email, role).await;
            let shown = test.get(&who, &path(&ada, &rest)).await.expect(200);
            assert!(!shown.text.contains("hush"), "{}", shown.text);
            let with = &shown.body["document"]["steps"][0]["then"][0]["with"];
            assert_eq!(
                (&with["headers"]["X-Api-Key"], &with["headers"]["Accept"]),
                (&json!("***"), &json!("text/plain"))
            );
            assert_eq!(with["json"]["items"][0]["value"], "***");
            assert!(shown.body["yaml"].as_str().unwrap().contains("title: seen"));
        }
    }
}
