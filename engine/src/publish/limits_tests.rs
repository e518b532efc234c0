use serde_json::json;
use so_model::{
    content::Content,
    id::PostId,
    post::PostState,
    publication::{Publication, PublicationState},
    time::{DAY, HOUR, MINUTE, SECOND},
};
use so_store::publications;

use super::PortErrorClass;
use crate::testing::{Behaviour, World, error};

const RULE: &str = "{version: 1, name: Publish, triggers: [{id: t, kind: test.happened}], steps: [\
    {id: publish, action: post.publish, with: {post: \"{{ event.data.post }}\"}}]}";

fn limit(world: &World, wait: i64) {
    let mut busy = error(PortErrorClass::Limited, "too many posts");
    busy.retry_after = Some(wait);
    world.network.then(Behaviour::Refuse(busy));
}

async fn publish(world: &mut World, text: &str) -> PostId {
    let post = world.post(Content::status(text), None).await;
    world.event("test.happened", json!({"post": post})).await;
    world.settle().await;
    post
}

async fn part(world: &World, post: PostId) -> Publication {
    let unlawful = super::check_histories(&world.engine.store, 100).await;
    assert_eq!(unlawful.unwrap(), []);
    let mut reader = world.engine.store.clone();
    let rows = publications::list_for_post(&mut reader, world.workspace, post).await;
    rows.unwrap().remove(0).publication
}

fn calls(world: &World) -> u32 {
    *world.network.commits.lock().unwrap()
}

#[tokio::test]
async fn one_refusal_for_a_limit_makes_all_posts_of_the_account_wait() {
    let mut world = World::new().await;
    world.rule(RULE).await;
    limit(&world, 3 * HOUR);
    let mut posts = Vec::new();
    for text in ["One", "Two", "Three"] {
        posts.push(publish(&mut world, text).await);
    }
    assert_eq!(calls(&world), 1, "the others know without asking");
    let until = world.engine.now().plus(3 * HOUR);
    let until = until.to_chrono().format("%Y-%m-%d %H:%M");
    for (post, tries) in posts.iter().zip([1, 0, 0]) {
        let part = part(&world, *post).await;
        assert_eq!(
            (part.state, part.attempts),
            (PublicationState::RetryWait, tries)
        );
        let told = format!(
            "too many posts. It goes out after {until} UTC, when the network takes posts again"
        );
        assert_eq!(part.problem, Some(told));
    }
    world.pass(3 * HOUR - 15 * SECOND).await;
    assert_eq!(calls(&world), 1);
    world.pass(15 * SECOND).await;
    assert_eq!(calls(&world), 4);
    let mut texts = world.network.texts();
    texts.sort();
    assert_eq!(texts, ["One", "Three", "Two"]);
    for post in posts {
        assert_eq!(world.find_post(post).await.state, PostState::Published);
        assert_eq!(part(&world, post).await.problem, None);
    }
}

#[tokio::test]
async fn a_restart_forgets_the_wait_of_the_account_and_not_that_of_the_post() {
    let mut world = World::new().await;
    world.rule(RULE).await;
    limit(&world, HOUR);
    let first = publish(&mut world, "One").await;
    world.crash_and_restart().await;
    limit(&world, HOUR - MINUTE);
    world.pass(MINUTE).await;
    let second = publish(&mut world, "Two").await;
    assert_eq!(calls(&world), 2, "one call told it again");
    world.pass(HOUR - 2 * MINUTE).await;
    assert_eq!(calls(&world), 2);
    world.pass(MINUTE).await;
    for post in [first, second] {
        assert_eq!(world.find_post(post).await.state, PostState::Published);
    }
    assert_eq!(calls(&world), 4);
}

#[tokio::test]
async fn no_answer_makes_a_post_wait_longer_than_a_day() {
    let mut world = World::new().await;
    world.rule(RULE).await;
    limit(&world, 400 * DAY);
    let post = publish(&mut world, "One").await;
    world.pass(DAY).await;
    world.pass(MINUTE).await;
    assert_eq!(world.find_post(post).await.state, PostState::Published);
    assert_eq!(calls(&world), 2);
}

#[tokio::test]
async fn limits_cost_no_tries_but_other_refusals_still_do() {
    let mut world = World::new().await;
    world.rule(RULE).await;
    let tries = usize::try_from(world.engine.config.publish_tries).unwrap();
    for _ in 0..tries + 2 {
        limit(&world, HOUR);
    }
    for _ in 0..tries {
        let busy = error(PortErrorClass::Transient, "no connection");
        world.network.then(Behaviour::Refuse(busy));
    }
    let post = publish(&mut world, "Hello").await;
    while part(&world, post).await.state == PublicationState::RetryWait {
        world.pass(30 * MINUTE).await;
    }
    assert_eq!(usize::try_from(calls(&world)).unwrap(), 2 * tries + 2);
    let found = world.find_post(post).await;
    assert_eq!(
        (found.state, found.problem.as_deref()),
        (PostState::Failed, Some("no connection"))
    );
}
