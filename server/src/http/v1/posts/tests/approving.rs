//! Approvals in process.

use serde_json::{Value, json};
use so_model::{post::PostState, time::MINUTE, workspace::Role};
use so_store::posts;

use super::super::fixture::{account, draft, events_about, post_path, timers};
use super::go;
use crate::testing::{Person, TestApp};

/// A workspace whose posts need an approval, an editor there, and a draft of theirs.
async fn with_approvals() -> (TestApp, Person, Person, Value) {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let workspace = format!("/api/v1/workspaces/{}", ada.workspace);
    let body = json!({"approval_required": true});
    test.patch(&ada, &workspace, body).await.expect(200);
    let editor = test.member(&ada, "edi@example.org", Role::Editor).await;
    let account = account(&test, &ada, "Trial").await;
    let post = draft(&test, &editor, &account, "please").await;
    (test, ada, editor, post)
}

#[tokio::test]
async fn an_approval_is_needed_where_the_workspace_says_so() {
    let (test, ada, editor, post) = with_approvals().await;
    let refused = go(&test, &editor, &post, "/publish-now").await.expect(409);
    assert_eq!(refused.code(), "post.needs_approval");
    let due = json!({"at": "2027-02-01T09:00:00Z"});
    let at = post_path(&ada, &post, "/schedule");
    let waiting = test.post(&editor, &at, due).await.expect(200).body;
    assert_eq!(waiting["post"]["state"], "pending_approval");
    let id = post["id"].as_str().unwrap();
    assert!(timers(&test, &ada, "post", id).await.is_empty());
    let refused = go(&test, &editor, &post, "/publish-now").await.expect(409);
    assert_eq!(refused.code(), "post.wrong_state");
    let approved = go(&test, &ada, &post, "/approve").await.expect(200).body;
    assert_eq!(approved["state"], "scheduled");
    assert_eq!(
        timers(&test, &ada, "post", id).await,
        ["2027-02-01T09:00:00Z"]
    );
    let expected = [
        "post.created",
        "post.submitted",
        "post.scheduled",
        "post.approved",
    ];
    assert_eq!(events_about(&test, &ada, id).await, expected);
}

#[tokio::test]
async fn a_rejected_post_is_a_draft_with_a_reason() {
    let (test, ada, editor, post) = with_approvals().await;
    let submitted = go(&test, &editor, &post, "/submit").await.expect(200).body;
    assert_eq!(submitted["state"], "pending_approval");
    let at = post_path(&ada, &post, "/reject");
    let body = json!({"reason": "Not yet."});
    test.post(&editor, &at, body.clone()).await.expect(403);
    let rejected = test.post(&ada, &at, body.clone()).await.expect(200).body;
    let seen = (rejected["state"].as_str(), rejected["problem"].as_str());
    assert_eq!(seen, (Some("draft"), Some("Not yet.")));
    assert_eq!(
        test.post(&ada, &at, body).await.expect(409).code(),
        "post.wrong_state"
    );
}

#[tokio::test]
async fn what_was_approved_is_what_may_go_out() {
    let (test, ada, editor, post) = with_approvals().await;
    go(&test, &ada, &post, "/approve").await.expect(200);
    let due = json!({"at": "2027-02-01T09:00:00Z"});
    let at = post_path(&ada, &post, "/schedule");
    let scheduled = test.post(&editor, &at, due).await.expect(200).body["post"].clone();
    assert_eq!(scheduled["state"], "scheduled");
    let change =
        |revision: &Value, text: &str| json!({"revision": revision, "content": {"text": text}});
    let at = post_path(&ada, &post, "");
    let by_admin = change(&scheduled["revision"], "an approver's words");
    let by_admin = test.patch(&ada, &at, by_admin).await.expect(200).body;
    assert_eq!(by_admin["state"], "scheduled");
    let by_editor = change(&by_admin["revision"], "something else");
    let by_editor = test.patch(&editor, &at, by_editor).await.expect(200).body;
    assert_eq!(by_editor["state"], "pending_approval");
    let id = post["id"].as_str().unwrap();
    assert!(timers(&test, &ada, "post", id).await.is_empty());
}

/// Puts a post into a state that only the engine and rules give.
async fn put(test: &TestApp, of: &Person, post: &Value, state: PostState) -> Value {
    let id = post["id"].as_str().unwrap().parse().unwrap();
    let mut tx = test.app.store.begin().await.unwrap();
    let found = posts::find_for_update(&mut tx, of.workspace.parse().unwrap(), id).await;
    let mut post = found.unwrap().unwrap();
    post.state = state;
    let revision = post.revision;
    let post = posts::update(&mut tx, &post, revision).await.unwrap();
    tx.commit().await.unwrap();
    json!(post)
}

#[tokio::test]
async fn a_missed_or_failed_post_does_not_go_out_without_an_approval() {
    let (test, ada, editor, post) = with_approvals().await;
    let due = json!({"at": "2027-02-01T09:00:00Z"});
    for state in [PostState::Missed, PostState::Failed] {
        let post = put(&test, &ada, &post, state).await;
        let refused = go(&test, &editor, &post, "/publish-now").await.expect(409);
        assert_eq!(refused.code(), "post.needs_approval");
        let change = json!({"revision": post["revision"], "content": {"text": state.as_str()}});
        let at = post_path(&ada, &post, "");
        let changed = test.patch(&editor, &at, change).await.expect(200).body;
        assert_eq!(changed["state"], "pending_approval");
        let post = put(&test, &ada, &post, state).await;
        let at = post_path(&ada, &post, "/schedule");
        let waiting = test.post(&editor, &at, due.clone()).await.expect(200).body;
        assert_eq!(waiting["post"]["state"], "pending_approval");
        // Whoever may approve need not ask.
        let post = put(&test, &ada, &post, state).await;
        let planned = test.post(&ada, &at, due.clone()).await.expect(200).body;
        assert_eq!(planned["post"]["state"], "scheduled", "{post}");
    }
}

#[tokio::test]
async fn the_texts_of_repeats_need_an_approval_too() {
    let (test, ada, editor, post) = with_approvals().await;
    let post = go(&test, &ada, &post, "/approve").await.expect(200).body;
    let at = post_path(&ada, &post, "");
    let repeats = |post: &Value, texts: &[&str]| {
        json!({"revision": post["revision"],
            "evergreen": {"interval": "30d", "max_times": 3, "variations": texts}})
    };
    let changed = test.patch(&editor, &at, repeats(&post, &["b"])).await;
    let changed = changed.expect(200).body;
    assert_eq!(changed["state"], "pending_approval");
    let post = put(&test, &ada, &changed, PostState::Published).await;
    let refused = test.patch(&editor, &at, repeats(&post, &["b", "c"])).await;
    assert_eq!(refused.expect(409).code(), "post.needs_approval");
    let by_admin = test.patch(&ada, &at, repeats(&post, &["b", "c"])).await;
    let fewer = repeats(&by_admin.expect(200).body, &["c"]);
    let fewer = test.patch(&editor, &at, fewer).await.expect(200).body;
    assert_eq!(fewer["state"], "published");
    let none = json!({"revision": fewer["revision"], "evergreen": null});
    test.patch(&editor, &at, none).await.expect(200);
}

#[tokio::test]
async fn a_time_that_passed_before_the_approval_is_not_kept() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let post = draft(&test, &ada, &account(&test, &ada, "Trial").await, "please").await;
    test.call("POST", &post_path(&ada, &post, "/submit"))
        .bearer(&ada.token)
        .send()
        .await
        .expect(200);
    test.post(
        &ada,
        &post_path(&ada, &post, "/schedule"),
        json!({"at": "2027-01-15T08:05:00Z"}),
    )
    .await
    .expect(200);
    test.clock.advance(10 * MINUTE);
    let ada = test.log_in("ada@example.org").await;
    let approved = test
        .call("POST", &post_path(&ada, &post, "/approve"))
        .bearer(&ada.token)
        .send()
        .await
        .expect(200)
        .body;
    assert_eq!(
        (approved["state"].as_str(), approved["due_at"].is_null()),
        (Some("approved"), true)
    );
    assert!(approved["problem"].as_str().unwrap().contains("passed"));
}
