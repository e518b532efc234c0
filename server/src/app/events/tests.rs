//! Events through the API.

use serde_json::json;
use so_model::event::NewEvent;

use crate::testing::TestApp;

#[tokio::test]
async fn an_event_is_shown_with_what_it_started_and_what_it_did_not() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let bob = test.register("bob@x.org").await;
    let at = |rest: &str| format!("/api/v1/workspaces/{}{rest}", ada.workspace);
    for likes in [10, 100] {
        let document = json!({"version": 1, "name": format!("over {likes}"),
            "triggers": [{"id": "t", "kind": "webhook.received"}],
            "if": {"field": "event.data.body.likes", "op": "gt", "value": likes}, "steps": [{"id": "e", "stop": {}}]});
        test.post(&ada, &at("/rules"), json!({"document": document}))
            .await
            .expect(201);
    }
    let workspace = ada.workspace.parse().unwrap();
    let event = NewEvent::new(
        workspace,
        "webhook.received",
        json!({"body": {"likes": 50}}),
    )
    .about("shop");
    let id = test.app.engine.ingest(event).await.unwrap().event.id;
    let shown = test
        .get(&ada, &at(&format!("/events/{id}")))
        .await
        .expect(200);
    assert_eq!(shown.body["data"]["body"]["likes"], 50);
    assert_eq!(shown.body["runs"][0]["rule_name"], "over 10");
    assert_eq!(shown.body["decisions"][0]["rule_name"], "over 100");
    assert_eq!(shown.body["decisions"][0]["verdict"], "condition_failed");
    for (query, count) in [
        ("?subject=shop", 1),
        ("?kind=webhook.received", 1),
        ("?kind=feed.item", 0),
        ("?subject=x", 0),
    ] {
        let listed = test
            .get(&ada, &at(&format!("/events{query}")))
            .await
            .expect(200);
        assert_eq!(
            listed.body["items"].as_array().unwrap().len(),
            count,
            "{query}"
        );
    }
    test.get(
        &bob,
        &format!("/api/v1/workspaces/{}/events/{id}", bob.workspace),
    )
    .await
    .expect(404);
    test.get(&ada, &at("/events/evt_x")).await.expect(404);
}
