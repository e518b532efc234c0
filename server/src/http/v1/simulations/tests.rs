//! Simulations through the API.

use serde_json::{Value, json};

use crate::{
    http::v1::posts::fixture::path,
    testing::{BEGIN, TestApp},
};

#[tokio::test]
async fn a_draft_is_held_against_what_happened_and_a_wrong_range_says_what_to_change() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.com").await;
    let rule = |likes: i64| {
        json!({"version": 1, "name": "Pressed", "triggers": [{"id": "t", "kind": "manual"}],
               "steps": [{"id": "s", "stop": {"reason": format!("{likes}")}}]})
    };
    let made = test
        .post(&ada, &path(&ada, "rules"), json!({"document": rule(1)}))
        .await
        .expect(201);
    let id = made.body["id"].as_str().unwrap().to_owned();
    let press = format!("rules/{id}/run");
    test.post(&ada, &path(&ada, &press), json!({})).await;
    test.settle().await;
    test.clock.advance(60_000_000);
    let ask = async |body: Value| test.post(&ada, &path(&ada, "simulations"), body).await;
    let same = ask(json!({"from": BEGIN.plus(-1)})).await.expect(200).body;
    assert_eq!(same["rules"][0]["started"], 1, "{same:#}");
    assert_eq!(same["differences"], json!([]));
    let without = ask(json!({"from": BEGIN.plus(-1), "without": [id]}))
        .await
        .expect(200)
        .body;
    assert_eq!(without["differences"][0]["what"], "only_recorded");
    let wrong = ask(json!({"from": "2020-01-01T00:00:00Z"}))
        .await
        .expect(422);
    assert_eq!(wrong.body["errors"][0]["pointer"], "/from");
    let wrong = ask(json!({"from": BEGIN.plus(-1), "drafts": [{}]}))
        .await
        .expect(422);
    assert_eq!(wrong.body["errors"][0]["pointer"], "/drafts/0");
}
