//! What tests of several resources need: accounts, drafts, the rule that publishes.

use serde_json::{Value, json};
use so_model::{IdSource as _, id::RuleId, rule::RuleDocument};
use so_store::rules::{self, RuleRow, RuleVersion};

use crate::testing::{Person, TestApp};

/// The path of a resource in somebody's workspace.
pub(in crate::http::v1) fn path(of: &Person, rest: &str) -> String {
    format!("/api/v1/workspaces/{}/{rest}", of.workspace)
}

/// Connects a sandbox account; answers its id.
pub(in crate::http::v1) async fn account(test: &TestApp, person: &Person, name: &str) -> String {
    let body = json!({"network": "sandbox", "form": {"name": name}});
    let answer = test
        .post(person, &path(person, "accounts/sign-in"), body)
        .await
        .expect(200);
    answer.body["account"]["id"].as_str().unwrap().to_string()
}

/// Makes a draft for an account; answers the post.
pub(in crate::http::v1) async fn draft(
    test: &TestApp,
    person: &Person,
    account: &str,
    text: &str,
) -> Value {
    let body = json!({"content": {"text": text}, "variants": [{"account": account}]});
    test.post(person, &path(person, "posts"), body)
        .await
        .expect(201)
        .body
}

/// The path of a post.
pub(in crate::http::v1) fn post_path(of: &Person, post: &Value, rest: &str) -> String {
    path(of, &format!("posts/{}{rest}", post["id"].as_str().unwrap()))
}

/// Installs a rule that publishes what is due.
pub(in crate::http::v1) async fn publish_when_due(test: &TestApp, person: &Person) {
    let document = json!({
        "version": 1, "name": "Publish", "triggers": [{"id": "due", "kind": "post.due"}],
        "if": {"field": "event.data.post.state", "op": "in", "value": ["approved", "scheduled"]},
        "steps": [{"id": "publish", "action": "post.publish", "with": {"post": "{{ event.data.post.id }}"}}],
    });
    let document: RuleDocument = serde_json::from_value(document).unwrap();
    let id: RuleId = test.app.ids.new_id();
    let now = test.app.now();
    let row = RuleRow {
        id,
        workspace: person.workspace.parse().unwrap(),
        name: "Publish".into(),
        is_enabled: true,
        version: 1,
        generation: 1,
        starter: None,
        problem: None,
        created_at: now,
        updated_at: now,
    };
    let version = RuleVersion {
        rule: id,
        version: 1,
        document,
        source: String::new(),
        author: None,
        reason: String::new(),
        created_at: now,
        is_trial: false,
    };
    let mut tx = test.app.store.begin().await.unwrap();
    rules::insert(&mut tx, &row, &version).await.unwrap();
    tx.commit().await.unwrap();
    test.app.engine.reload_rules().await.unwrap();
}

/// Kinds of the events about something, the oldest first.
pub(in crate::http::v1) async fn events_about(
    test: &TestApp,
    person: &Person,
    subject: &str,
) -> Vec<String> {
    let workspace = person.workspace.parse().unwrap();
    let mut reader = test.app.reader();
    let found = so_store::events::list(&mut reader, workspace, "", subject, "", 100)
        .await
        .unwrap();
    found.into_iter().rev().map(|event| event.kind).collect()
}

/// Moments of the timers of a kind and row.
pub(in crate::http::v1) async fn timers(
    test: &TestApp,
    person: &Person,
    kind: &str,
    subject: &str,
) -> Vec<String> {
    let workspace = person.workspace.parse().unwrap();
    let found = so_store::timers::list_for(&mut test.app.reader(), workspace, kind, subject)
        .await
        .unwrap();
    found
        .into_iter()
        .map(|timer| timer.due_at.to_string())
        .collect()
}
