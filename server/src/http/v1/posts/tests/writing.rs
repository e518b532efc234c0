//! Writing and finding posts in process.

use serde_json::json;
use so_model::workspace::Role;

use super::super::fixture::{account, draft, events_about, path, post_path, timers};
use crate::testing::TestApp;

#[tokio::test]
async fn a_draft_is_made_changed_and_found() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let account = account(&test, &ada, "Trial").await;
    let label = test
        .post(&ada, &path(&ada, "labels"), json!({"name": "News"}))
        .await
        .expect(201)
        .body;
    let body = json!({
        "content": {"text": "Hello World"}, "variants": [{"account": account, "content": {"text": "Hello Trial"}}],
        "labels": [label["id"], label["id"]], "evergreen": {"interval": "30d", "max_times": 3, "variations": []},
    });
    let post = test
        .post(&ada, &path(&ada, "posts"), body)
        .await
        .expect(201)
        .body;
    assert_eq!(
        (post["state"].as_str(), post["revision"].as_i64()),
        (Some("draft"), Some(1))
    );
    assert_eq!(
        (
            post["author"].as_str(),
            post["labels"].as_array().unwrap().len()
        ),
        (Some(ada.id.as_str()), 1)
    );
    let change = json!({"revision": 1, "content": {"text": "Hello again"}, "evergreen": null});
    let changed = test
        .patch(&ada, &post_path(&ada, &post, ""), change)
        .await
        .expect(200)
        .body;
    assert_eq!(
        (changed["revision"].as_i64(), changed["evergreen"].is_null()),
        (Some(2), true)
    );
    assert_eq!(changed["variants"], post["variants"]);
    for query in [
        "q=AGAIN",
        "q=hello%20trial",
        "state=draft",
        &format!("account={account}"),
    ] {
        let list = test
            .get(&ada, &path(&ada, &format!("posts?{query}")))
            .await
            .expect(200)
            .body;
        assert_eq!(list["items"].as_array().unwrap().len(), 1, "{query}");
    }
    let list = test
        .get(&ada, &path(&ada, "posts?q=hello%25"))
        .await
        .expect(200)
        .body;
    assert_eq!(list["items"], json!([]));
    let id = post["id"].as_str().unwrap();
    assert_eq!(
        events_about(&test, &ada, id).await,
        ["post.created", "post.edited"]
    );
}

#[tokio::test]
async fn wrong_posts_are_told_by_their_fields() {
    let test = TestApp::new().await;
    let (ada, eve) = (
        test.register("ada@example.org").await,
        test.register("eve@example.org").await,
    );
    let (own, foreign) = (
        account(&test, &ada, "Own").await,
        account(&test, &eve, "Foreign").await,
    );
    let gone = "media_01890a5dac96774bbcceb302099a8057";
    for (body, pointer) in [
        (json!({"content": {"text": "  "}}), "/content/text"),
        (json!({"content": {"text": "a\u{0}b"}}), "/content/text"),
        (
            json!({"content": {"text": "a", "txet": "b"}}),
            "/content/txet",
        ),
        (
            json!({"content": {"text": "a"}, "variants": [{"account": foreign}]}),
            "/variants/0/account",
        ),
        (
            json!({"content": {"text": "a"}, "variants": [{"account": own}, {"account": own}]}),
            "/variants/1/account",
        ),
        (
            json!({"content": {"text": "a"}, "variants": [{"account": own, "destination": "x"}]}),
            "/variants/0/destination",
        ),
        (
            json!({"content": {"text": "a", "media": [{"id": gone}]}}),
            "/content/media/0/id",
        ),
        (
            json!({"content": {"text": "a"}, "labels": ["label_01890a5dac96774bbcceb302099a8057"]}),
            "/labels/0",
        ),
        (
            json!({"content": {"text": "a"}, "evergreen": {"interval": "x", "max_times": 2, "variations": []}}),
            "/evergreen/interval",
        ),
        (
            json!({"content": {"text": "a"}, "recurrence": {"rrule": "FREQ=DALY", "start": "2027-01-16T09:00"}}),
            "/recurrence/rrule",
        ),
    ] {
        let answer = test
            .post(&ada, &path(&ada, "posts"), body.clone())
            .await
            .expect(422);
        let found: Vec<&str> = answer.body["errors"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|e| e["pointer"].as_str())
            .collect();
        assert!(found.contains(&pointer), "{body}: {found:?}");
        assert!(!answer.body["next_step"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_change_from_an_older_revision_is_refused_with_the_current_one() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let post = draft(&test, &ada, &account(&test, &ada, "Trial").await, "one").await;
    let at = post_path(&ada, &post, "");
    test.patch(
        &ada,
        &at,
        json!({"revision": 1, "content": {"text": "two"}}),
    )
    .await
    .expect(200);
    let refused = test
        .patch(
            &ada,
            &at,
            json!({"revision": 1, "content": {"text": "three"}}),
        )
        .await
        .expect(409);
    assert_eq!(
        (
            refused.code(),
            refused.body["errors"][0]["expected"].as_str()
        ),
        ("post.changed", Some("2"))
    );
    let body = json!({"content": {"text": "three"}});
    let missing = test.patch(&ada, &at, body.clone()).await.expect(422);
    assert_eq!(missing.body["errors"][0]["pointer"], "/revision");
    let call = test
        .call("PATCH", &at)
        .bearer(&ada.token)
        .header("if-match", "\"2\"")
        .json(&body);
    assert_eq!(call.send().await.expect(200).body["revision"], 3);
    let call = test
        .call("PATCH", &at)
        .bearer(&ada.token)
        .header("if-match", "*")
        .json(&body);
    call.send().await.expect(422);
}

#[tokio::test]
async fn posts_of_others_are_not_there_and_roles_count() {
    let test = TestApp::new().await;
    let (ada, eve) = (
        test.register("ada@example.org").await,
        test.register("eve@example.org").await,
    );
    let post = draft(&test, &ada, &account(&test, &ada, "Trial").await, "mine").await;
    let id = post["id"].as_str().unwrap();
    for rest in ["", "/problems"] {
        test.get(&eve, &path(&eve, &format!("posts/{id}{rest}")))
            .await
            .expect(404);
    }
    for rest in [
        "/publish-now",
        "/unschedule",
        "/duplicate",
        "/submit",
        "/approve",
    ] {
        let answer = test
            .call("POST", &path(&eve, &format!("posts/{id}{rest}")))
            .bearer(&eve.token)
            .send()
            .await;
        assert_eq!(answer.expect(404).code(), "post.not_found", "{rest}");
    }
    test.delete(&eve, &path(&eve, &format!("posts/{id}")))
        .await
        .expect(404);
    test.get(&eve, &post_path(&ada, &post, ""))
        .await
        .expect(404);
    let viewer = test.member(&ada, "vic@example.org", Role::Viewer).await;
    test.get(&viewer, &post_path(&ada, &post, ""))
        .await
        .expect(200);
    test.patch(&viewer, &post_path(&ada, &post, ""), json!({"revision": 1}))
        .await
        .expect(403);
    let editor = test.member(&ada, "edi@example.org", Role::Editor).await;
    test.call("POST", &post_path(&ada, &post, "/approve"))
        .bearer(&editor.token)
        .send()
        .await
        .expect(403);
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let account = account(&test, &ada, "Trial").await;
    for n in 0..5 {
        test.clock.advance(1000);
        draft(&test, &ada, &account, &format!("text {n}")).await;
    }
    let (mut cursor, mut seen) = (String::new(), Vec::new());
    loop {
        let page = test
            .get(&ada, &path(&ada, &format!("posts?limit=2&cursor={cursor}")))
            .await
            .expect(200)
            .body;
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|p| p["content"]["text"].as_str().unwrap().to_string()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_string(),
            None => break,
        }
    }
    assert_eq!(seen, ["text 4", "text 3", "text 2", "text 1", "text 0"]);
    for bad in [
        "limit=0",
        "limit=201",
        "cursor=acct_x",
        "state=nonsense",
        "unknown=1",
    ] {
        test.get(&ada, &path(&ada, &format!("posts?{bad}")))
            .await
            .expect(422);
    }
}

#[tokio::test]
async fn a_copy_is_a_draft_and_counts_know_every_state() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let post = draft(&test, &ada, &account(&test, &ada, "Trial").await, "text").await;
    test.post(
        &ada,
        &post_path(&ada, &post, "/schedule"),
        json!({"at": "2027-02-01T09:00:00Z"}),
    )
    .await
    .expect(200);
    let copy = test
        .call("POST", &post_path(&ada, &post, "/duplicate"))
        .bearer(&ada.token)
        .send()
        .await
        .expect(201)
        .body;
    assert_eq!(
        (copy["state"].as_str(), copy["due_at"].is_null()),
        (Some("draft"), true)
    );
    assert_ne!(copy["variants"][0]["id"], post["variants"][0]["id"]);
    let counts = test
        .get(&ada, &path(&ada, "posts/counts"))
        .await
        .expect(200)
        .body;
    let of = |state: &str| {
        counts["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|item| item["state"] == state)
            .unwrap()["count"]
            .clone()
    };
    assert_eq!(
        (
            of("draft"),
            of("scheduled"),
            of("failed"),
            counts["total"].clone()
        ),
        (json!(1), json!(1), json!(0), json!(2))
    );
    let due = test
        .get(
            &ada,
            &path(
                &ada,
                "posts?due_from=2027-02-01T00:00:00Z&due_to=2027-02-02T00:00:00Z",
            ),
        )
        .await
        .expect(200);
    assert_eq!(due.body["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_draft_is_deleted_with_its_timers() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let post = draft(&test, &ada, &account(&test, &ada, "Trial").await, "text").await;
    let id = post["id"].as_str().unwrap();
    test.post(
        &ada,
        &post_path(&ada, &post, "/schedule"),
        json!({"at": "2027-02-01T09:00:00Z"}),
    )
    .await
    .expect(200);
    test.delete(&ada, &post_path(&ada, &post, ""))
        .await
        .expect(200);
    test.get(&ada, &post_path(&ada, &post, ""))
        .await
        .expect(404);
    assert!(timers(&test, &ada, "post", id).await.is_empty());
    assert_eq!(
        events_about(&test, &ada, id)
            .await
            .last()
            .map(String::as_str),
        Some("post.deleted")
    );
}
