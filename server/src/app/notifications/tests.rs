//! Messages through the API.

use serde_json::json;
use so_model::IdSource as _;
use so_store::{notifications, notifications::Notification};

use crate::testing::TestApp;

#[tokio::test]
async fn messages_are_counted_read_once_and_kept_apart() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let bob = test.register("bob@x.org").await;
    let at = |rest: &str| format!("/api/v1/workspaces/{}/notifications{rest}", ada.workspace);
    let mut tx = test.app.store.begin().await.unwrap();
    let mut ids = Vec::new();
    for n in 0..3 {
        let message = Notification {
            id: test.app.ids.new_id(),
            workspace: ada.workspace.parse().unwrap(),
            level: "info".into(),
            title: format!("m{n}"),
            body: String::new(),
            link: None,
            created_at: test.app.now(),
            read_at: None,
        };
        notifications::insert(&mut tx, &message).await.unwrap();
        ids.push(message.id);
    }
    tx.commit().await.unwrap();
    let read = at(&format!("/{}/read", ids[0]));
    for _ in 0..2 {
        test.post(&ada, &read, json!({})).await.expect(204);
    }
    assert_eq!(test.get(&ada, &at("/unread")).await.body["unread"], 2);
    let unread = test
        .get(&ada, &at("?unread=true&limit=1"))
        .await
        .expect(200);
    assert_eq!(
        (&unread.body["items"][0]["title"], &unread.body["unread"]),
        (&json!("m2"), &json!(2))
    );
    let cursor = unread.body["next_cursor"].as_str().unwrap();
    let rest = test
        .get(&ada, &at(&format!("?unread=true&cursor={cursor}")))
        .await
        .expect(200);
    assert_eq!(rest.body["items"].as_array().unwrap().len(), 1);
    test.post(&ada, &at("/read"), json!({})).await.expect(204);
    assert_eq!(test.get(&ada, &at("/unread")).await.body["unread"], 0);
    let foreign = format!(
        "/api/v1/workspaces/{}/notifications/{}/read",
        bob.workspace, ids[1]
    );
    assert_eq!(
        test.post(&bob, &foreign, json!({}))
            .await
            .expect(404)
            .code(),
        "notification.not_found"
    );
    test.get(&ada, &at("?unread=maybe")).await.expect(422);
}
