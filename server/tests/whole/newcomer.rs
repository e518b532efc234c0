//! The first minutes of a newcomer, on both databases.

use serde_json::Value;
use so_model::Timestamp;
use so_testkit::{counterpart::or_skip, postgres::PostgresCluster, product::Product};

use crate::desk::{Desk, PROGRAM, text};

/// Registers, connects, schedules, and reads why the post went out.
fn sees_a_post_go_out(product: &Product) {
    let desk = Desk::register(product, "newcomer");
    let rules = desk.list(product, "rules");
    let publishing = rules
        .iter()
        .find(|rule| rule["name"] == "Publish when due")
        .expect("a new workspace has the rule that publishes");
    assert_eq!(publishing["is_enabled"], true);

    let account = desk.sandbox(product);
    let post = desk.schedule(product, &account, "Hello, world", 1);
    let detail = desk.wait_for_post(product, &post, "published");
    let publication = &detail["publications"][0];
    assert_eq!(publication["state"], "published");
    let at = |pointer: &str| Timestamp::parse(&text(&detail, pointer)).unwrap();
    assert!(at("/publications/0/published_at") >= at("/post/due_at"));

    let timeline = desk.timeline(product);
    assert_eq!(timeline.len(), 1, "{timeline:#?}");
    assert_eq!(timeline[0]["content"]["text"], "Hello, world");
    assert_eq!(timeline[0]["id"], publication["remote_id"]);
    explains_itself(
        &desk.wait_for_run(product, &format!("subject={post}")),
        &timeline[0],
    );
}

/// The run alone tells why the post went out and what came of it.
fn explains_itself(run: &Value, shown: &Value) {
    assert_eq!(
        (&run["rule_name"], &run["state"]),
        (&"Publish when due".into(), &"finished".into())
    );
    assert_eq!(run["started_by"]["kind"], "post.due");
    assert_eq!(run["started_by"]["data"]["post"]["state"], "scheduled");
    assert_eq!(
        (&run["decision"]["held"], &run["decision"]["saw"]),
        (&true.into(), &"scheduled".into())
    );

    let memos = run["memos"].as_array().unwrap();
    let publish = memos
        .iter()
        .find(|memo| memo["step"] == "publish" && memo["outcome"] == "done");
    let publish = publish.unwrap_or_else(|| panic!("the step is in the trace: {memos:#?}"));
    assert_eq!(publish["path"], "/steps/0/then/0");

    let asked = &run["publications"][0];
    assert_eq!(asked["publication"]["state"], "published");
    assert_eq!(asked["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(asked["attempts"][0]["phase"], "confirmed");
    assert_eq!(asked["attempts"][0]["evidence"]["remote_id"], shown["id"]);
}

#[test]
fn a_newcomer_sees_a_post_go_out_and_why() {
    sees_a_post_go_out(&Product::start(PROGRAM, &[]));
}

#[test]
fn a_newcomer_sees_a_post_go_out_and_why_on_postgresql() {
    let test = "a_newcomer_sees_a_post_go_out_and_why_on_postgresql";
    let made = PostgresCluster::shared().and_then(PostgresCluster::create_fresh_database);
    let Some(url) = or_skip(test, made) else {
        return;
    };
    sees_a_post_go_out(&Product::start(PROGRAM, &[("SO_DATABASE_URL", &url)]));
}
