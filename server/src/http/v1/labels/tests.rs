//! Labels in process.

use serde_json::json;

use super::super::posts::fixture::{account, path};
use crate::testing::TestApp;

#[tokio::test]
async fn a_label_has_one_name_and_leaves_its_posts_when_it_goes() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let at = path(&ada, "labels");
    let news = test
        .post(&ada, &at, json!({"name": " News "}))
        .await
        .expect(201)
        .body;
    assert_eq!(news["name"], "News");
    assert_eq!(
        test.post(&ada, &at, json!({"name": "News"}))
            .await
            .expect(409)
            .code(),
        "label.name_taken"
    );
    let other = test
        .post(&ada, &at, json!({"name": "Other", "color": "#FF0000"}))
        .await
        .expect(201)
        .body;
    let one = format!("{at}/{}", other["id"].as_str().unwrap());
    assert_eq!(
        test.patch(&ada, &one, json!({"name": "News"}))
            .await
            .expect(409)
            .code(),
        "label.name_taken"
    );
    assert_eq!(
        test.patch(&ada, &one, json!({"name": "Else"}))
            .await
            .expect(200)
            .body["color"],
        "#ff0000"
    );
    let account = account(&test, &ada, "Trial").await;
    let body = json!({"content": {"text": "a"}, "variants": [{"account": account}], "labels": [other["id"]]});
    let post = test
        .post(&ada, &path(&ada, "posts"), body)
        .await
        .expect(201)
        .body;
    test.delete(&ada, &one).await.expect(204);
    let post_at = path(&ada, &format!("posts/{}", post["id"].as_str().unwrap()));
    assert_eq!(
        test.get(&ada, &post_at).await.expect(200).body["post"]
            .get("labels")
            .cloned()
            .unwrap_or(json!([])),
        json!([])
    );
    assert_eq!(
        test.get(&ada, &at).await.expect(200).body["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn wrong_labels_and_those_of_others_are_refused() {
    let test = TestApp::new().await;
    let (ada, eve) = (
        test.register("ada@example.org").await,
        test.register("eve@example.org").await,
    );
    for (body, pointer) in [
        (json!({"name": ""}), "/name"),
        (json!({"name": "a\nb"}), "/name"),
        (json!({"name": "a", "color": "red"}), "/color"),
        (json!({"nam": "a"}), "/nam"),
    ] {
        let answer = test
            .post(&ada, &path(&ada, "labels"), body)
            .await
            .expect(422);
        assert_eq!(answer.body["errors"][0]["pointer"], pointer);
    }
    let mine = test
        .post(&ada, &path(&ada, "labels"), json!({"name": "Mine"}))
        .await
        .expect(201)
        .body;
    let foreign = path(&eve, &format!("labels/{}", mine["id"].as_str().unwrap()));
    test.patch(&eve, &foreign, json!({"name": "Theirs"}))
        .await
        .expect(404);
    test.delete(&eve, &foreign).await.expect(404);
}
