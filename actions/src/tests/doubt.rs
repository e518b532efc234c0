//! What becomes of a publish that goes wrong.

use so_connectors::sandbox::Fault;
use so_model::{
    account::AccountState,
    post::PostState,
    run::RunState,
    time::{MINUTE, SECOND},
};
use so_store::accounts;

use super::{Outcome, World};

async fn publish(world: &mut World, text: &str) -> Outcome {
    let account = world.account;
    world
        .steps(&format!(
            "{{id: make, action: post.create, with: {{text: '{text}', accounts: [{account}], state: approved}}}}, \
             {{id: publish, action: post.publish, with: {{post: '{{{{ steps.make.output.post.id }}}}'}}}}"
        ))
        .await
}

#[tokio::test]
async fn a_refused_post_fails_the_step_with_account_and_reason() {
    let mut world = World::new().await;
    world.timeline.fail_next(Fault::Reject);
    let outcome = publish(&mut world, "Hello").await;
    assert_eq!(outcome.run.state, RunState::Failed);
    let error = outcome.error("publish");
    assert!(
        error.starts_with("the post was published nowhere: Ann (sandbox): "),
        "{error}"
    );
    assert_eq!(
        world.post(&outcome.post_id("make")).await.state,
        PostState::Failed
    );
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_and_never_sent_twice() {
    let mut world = World::new().await;
    world.timeline.fail_next(Fault::LostAnswer);
    let outcome = publish(&mut world, "Once only").await;
    assert_eq!(outcome.run.state, RunState::Waiting);
    for _ in 0..20 {
        world.clock.advance(MINUTE);
        world.settle().await;
    }
    assert_eq!(world.published().len(), 1);
    assert_eq!(
        world.post(&outcome.post_id("make")).await.state,
        PostState::Published
    );
    assert_eq!(
        world.outcome(outcome.run.rule).await.run.state,
        RunState::Finished
    );
}

#[tokio::test]
async fn a_lost_request_is_sent_after_the_network_says_that_it_is_absent() {
    let mut world = World::new().await;
    world.timeline.fail_next(Fault::LostRequest);
    publish(&mut world, "Twice tried").await;
    for _ in 0..30 {
        world.clock.advance(MINUTE);
        world.settle().await;
    }
    assert_eq!(world.published().len(), 1);
}

#[tokio::test]
async fn a_rate_limit_is_waited_out() {
    let mut world = World::new().await;
    world.timeline.fail_next(Fault::RateLimited);
    let outcome = publish(&mut world, "Patient").await;
    world.clock.advance(59 * SECOND);
    world.settle().await;
    assert!(world.published().is_empty());
    world.clock.advance(10 * MINUTE);
    world.settle().await;
    assert_eq!(world.published().len(), 1);
    assert_eq!(
        world.outcome(outcome.run.rule).await.output("publish")["state"],
        "published"
    );
}

#[tokio::test]
async fn an_ended_token_holds_the_post_and_marks_the_account() {
    let mut world = World::new().await;
    world.timeline.fail_next(Fault::Reconnect);
    let outcome = publish(&mut world, "Held").await;
    assert_eq!(outcome.run.state, RunState::Waiting);
    let account = accounts::find(
        &mut world.engine.store.clone(),
        world.workspace,
        world.account,
    )
    .await
    .unwrap()
    .unwrap();
    assert_eq!(account.state, AccountState::ReconnectRequired);
    assert_eq!(
        world.post(&outcome.post_id("make")).await.state,
        PostState::Publishing
    );
}

#[tokio::test]
async fn what_a_network_would_refuse_is_told_before_anything_is_sent() {
    let mut world = World::new().await;
    let outcome = publish(&mut world, "").await;
    let output = outcome.output("publish");
    assert_eq!(output["state"], "failed");
    let problem = output["problems"][0].as_str().unwrap();
    assert!(
        problem.starts_with("Ann (sandbox): text is empty"),
        "{problem}"
    );
    let post = world.post(&outcome.post_id("make")).await;
    assert_eq!(post.state, PostState::Failed);
    assert!(post.problem.unwrap().contains("Ann"));
    assert!(
        world
            .event_kinds()
            .await
            .contains(&"post.failed".to_owned())
    );
    assert!(world.published().is_empty());
}

#[tokio::test]
async fn a_post_without_its_approval_is_not_published() {
    let mut world = World::new().await;
    world.require_approval().await;
    let outcome = publish(&mut world, "Unread").await;
    assert!(
        outcome.output("make")["note"]
            .as_str()
            .unwrap()
            .contains("approval")
    );
    let error = outcome.error("publish");
    assert!(error.contains("needs an approval"), "{error}");
    assert!(world.published().is_empty());
}

#[tokio::test]
async fn a_published_post_is_taken_down_and_a_second_try_is_no_failure() {
    let mut world = World::new().await;
    let outcome = publish(&mut world, "Short life").await;
    let id = outcome.post_id("make");
    for was_there in [true, false] {
        let step = format!("{{id: drop, action: post.delete_remote, with: {{post: {id}}}}}");
        let dropped = world.steps(&step).await;
        assert_eq!(dropped.output("drop")["deleted"][0]["was_there"], was_there);
    }
}
