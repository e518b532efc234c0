use serde_json::json;
use so_model::content::Content;

use super::{memory::MemoryTimeline, *};
use crate::conformance::fixture;

struct Bed {
    timeline: Arc<MemoryTimeline>,
    sandbox: Sandbox,
    account: Account,
}

fn bed(behaviour: Value) -> Bed {
    let timeline = Arc::new(MemoryTimeline::default());
    let sandbox = Sandbox::new(timeline.clone());
    let mut account = fixture::account(KEY, "s1");
    account.settings = json!({ "behaviour": behaviour });
    Bed {
        timeline,
        sandbox,
        account,
    }
}

impl Bed {
    async fn commit(&self, content: &Content) -> (CommitOutcome, Found) {
        let cx = fixture::cx();
        let publication = fixture::publication(&self.account, 1);
        let token = SecretValue::new(json!({ "access_token": "t" }));
        let attempt = fixture::attempt(&publication, self.sandbox.fingerprint(content, None));
        let part = fixture::part(&cx, &self.account, &token, content, &publication);
        let outcome = self.sandbox.commit(&part, &Value::Null, &attempt).await;
        let found = self
            .sandbox
            .find_published(&part, &Value::Null, &attempt, &[])
            .await;
        (outcome, found)
    }
}

#[tokio::test]
async fn a_repeated_key_publishes_once() {
    let bed = bed(json!({}));
    let (first, _) = bed.commit(&Content::status("hello")).await;
    let (again, found) = bed.commit(&Content::status("hello")).await;
    assert_eq!(first, again);
    assert!(matches!(found, Found::One { .. }));
    assert_eq!(bed.timeline.published().len(), 1);
}

#[tokio::test]
async fn a_class_without_keys_really_publishes_twice() {
    for class in ["listing", "none", "natural_refusal"] {
        let bed = bed(json!({ "class": class }));
        bed.commit(&Content::status("hello")).await;
        let mut cx = fixture::cx();
        cx.random = [9; 32];
        let publication = fixture::publication(&bed.account, 1);
        let token = SecretValue::new(json!({ "access_token": "t" }));
        let content = Content::status("hello");
        let attempt = fixture::attempt(&publication, bed.sandbox.fingerprint(&content, None));
        let part = fixture::part(&cx, &bed.account, &token, &content, &publication);
        bed.sandbox.commit(&part, &Value::Null, &attempt).await;
        assert_eq!(bed.timeline.published().len(), 2, "{class}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_can_be_found() {
    let bed = bed(json!({ "fault": "lost_answer", "class": "listing" }));
    let (outcome, found) = bed.commit(&Content::status("hello")).await;
    assert!(matches!(outcome, CommitOutcome::Unknown { .. }));
    assert!(matches!(found, Found::One { .. }));
}

#[tokio::test]
async fn a_lost_request_is_unknown_and_absent() {
    let bed = bed(json!({ "fault": "lost_request" }));
    let (outcome, found) = bed.commit(&Content::status("hello")).await;
    assert!(matches!(outcome, CommitOutcome::Unknown { .. }));
    assert_eq!(found, Found::Absent { complete: true });
}

#[tokio::test]
async fn an_account_of_the_last_class_cannot_be_asked() {
    let bed = bed(json!({ "class": "none" }));
    let (_, found) = bed.commit(&Content::status("hello")).await;
    assert!(matches!(found, Found::CannotTell { .. }));
    assert_eq!(
        bed.sandbox.manifest_for(&bed.account).reconciliation,
        Reconciliation::None
    );
}

#[tokio::test]
async fn every_refusal_has_its_outcome() {
    let (outcome, _) = bed(json!({ "fault": "rate_limited", "retry_after_s": 7 }))
        .commit(&Content::status("a"))
        .await;
    assert!(matches!(
        outcome,
        CommitOutcome::NotTaken {
            retry_after: Some(7_000_000),
            ..
        }
    ));
    let (outcome, _) = bed(json!({ "fault": "reconnect" }))
        .commit(&Content::status("a"))
        .await;
    assert!(matches!(outcome, CommitOutcome::Reconnect(_)));
    let (outcome, _) = bed(json!({ "fault": "reject" }))
        .commit(&Content::status("a"))
        .await;
    assert!(matches!(outcome, CommitOutcome::Rejected(_)));
}

#[tokio::test]
async fn preparing_takes_as_many_steps_as_it_is_told() {
    let bed = bed(json!({ "prepare_steps": 2 }));
    let cx = fixture::cx();
    let publication = fixture::publication(&bed.account, 1);
    let token = SecretValue::default();
    let content = Content::status("hello");
    let part = fixture::part(&cx, &bed.account, &token, &content, &publication);
    let mut progress = Value::Null;
    let mut steps = 0;
    while let Prepared::Again { progress: next, .. } =
        bed.sandbox.prepare(&part, progress).await.unwrap()
    {
        progress = next;
        steps += 1;
    }
    assert_eq!(steps, 2);
}
