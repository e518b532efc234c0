//! Publications in process.

use serde_json::{Value, json};
use so_model::{time::HOUR, workspace::Role};

use super::super::posts::fixture::{account, draft, path, post_path, publish_when_due};
use crate::testing::{Answer, Person, TestApp};

/// A post whose publication came out as the account's behaviour says.
async fn published(
    test: &TestApp,
    ada: &Person,
    account: &str,
    behaviour: Value,
) -> (Value, String) {
    let at = path(ada, &format!("sandbox/accounts/{account}"));
    test.patch(ada, &at, behaviour).await.expect(200);
    let post = draft(test, ada, account, "a text").await;
    test.call("POST", &post_path(ada, &post, "/publish-now"))
        .bearer(&ada.token)
        .send()
        .await
        .expect(200);
    test.settle().await;
    let shown = test
        .get(ada, &post_path(ada, &post, ""))
        .await
        .expect(200)
        .body;
    (
        post,
        shown["publications"][0]["id"].as_str().unwrap().to_string(),
    )
}

async fn decide(test: &TestApp, person: &Person, id: &str, body: Value) -> Answer {
    test.post(
        person,
        &path(person, &format!("publications/{id}/decide")),
        body,
    )
    .await
}

async fn state_of(test: &TestApp, ada: &Person, post: &Value) -> String {
    let shown = test
        .get(ada, &post_path(ada, post, ""))
        .await
        .expect(200)
        .body;
    shown["post"]["state"].as_str().unwrap().to_string()
}

#[tokio::test]
async fn a_failed_publication_is_tried_again_by_hand() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    publish_when_due(&test, &ada).await;
    let account = account(&test, &ada, "Trial").await;
    let (post, id) = published(&test, &ada, &account, json!({"fault": "reject"})).await;
    assert_eq!(state_of(&test, &ada, &post).await, "failed");
    let frozen = test
        .patch(
            &ada,
            &post_path(&ada, &post, ""),
            json!({"revision": 4, "content": {"text": "b"}}),
        )
        .await;
    assert!([409].contains(&frozen.status.as_u16()), "{}", frozen.text);
    test.patch(
        &ada,
        &path(&ada, &format!("sandbox/accounts/{account}")),
        json!({}),
    )
    .await
    .expect(200);
    let at = path(&ada, &format!("publications/{id}/retry"));
    test.call("POST", &at)
        .bearer(&ada.token)
        .send()
        .await
        .expect(200);
    test.settle().await;
    assert_eq!(state_of(&test, &ada, &post).await, "published");
    let again = test
        .call("POST", &at)
        .bearer(&ada.token)
        .send()
        .await
        .expect(409);
    assert_eq!(again.code(), "publication.wrong_state");
    let shown = test
        .get(&ada, &path(&ada, &format!("publications/{id}")))
        .await
        .expect(200)
        .body;
    assert_eq!(
        (
            shown["state"].as_str(),
            shown["tries"].as_array().unwrap().len()
        ),
        (Some("published"), 2)
    );
}

#[tokio::test]
async fn a_person_decides_what_nobody_else_can_tell() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    publish_when_due(&test, &ada).await;
    let account = account(&test, &ada, "Trial").await;
    for (decision, state) in [
        (
            json!({"decision": "is_live", "url": "https://sandbox.example/1"}),
            "published",
        ),
        (json!({"decision": "drop"}), "failed"),
        (json!({"decision": "not_live"}), "published"),
    ] {
        let ada = test.log_in("ada@example.org").await;
        let mute = json!({"fault": "lost_request", "class": "none"});
        let (post, id) = published(&test, &ada, &account, mute).await;
        test.clock.advance(HOUR);
        let ada = test.log_in("ada@example.org").await;
        test.settle().await;
        assert_eq!(state_of(&test, &ada, &post).await, "needs_review");
        test.delete(&ada, &post_path(&ada, &post, ""))
            .await
            .expect(409);
        test.patch(
            &ada,
            &path(&ada, &format!("sandbox/accounts/{account}")),
            json!({}),
        )
        .await
        .expect(200);
        decide(&test, &ada, &id, decision.clone()).await.expect(200);
        test.settle().await;
        assert_eq!(state_of(&test, &ada, &post).await, state, "{decision}");
        assert_eq!(
            decide(&test, &ada, &id, json!({"decision": "drop"}))
                .await
                .expect(409)
                .code(),
            "publication.wrong_state"
        );
    }
}

#[tokio::test]
async fn wrong_decisions_and_publications_of_others_are_refused() {
    let test = TestApp::new().await;
    let (ada, eve) = (
        test.register("ada@example.org").await,
        test.register("eve@example.org").await,
    );
    publish_when_due(&test, &ada).await;
    let account = account(&test, &ada, "Trial").await;
    let (_, id) = published(&test, &ada, &account, json!({"fault": "reject"})).await;
    for (body, pointer) in [
        (json!({"decision": "maybe"}), "/decision"),
        (
            json!({"decision": "is_live", "url": "javascript:alert(1)"}),
            "/url",
        ),
        (
            json!({"decision": "drop", "url": "https://a.example"}),
            "/url",
        ),
    ] {
        assert_eq!(
            decide(&test, &ada, &id, body).await.expect(422).body["errors"][0]["pointer"],
            pointer
        );
    }
    test.get(&eve, &path(&eve, &format!("publications/{id}")))
        .await
        .expect(404);
    decide(&test, &eve, &id, json!({"decision": "drop"}))
        .await
        .expect(404);
    let viewer = test.member(&ada, "vic@example.org", Role::Viewer).await;
    decide(&test, &viewer, &id, json!({"decision": "drop"}))
        .await
        .expect(403);
}
