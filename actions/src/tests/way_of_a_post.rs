//! The way of one post, from the feed to its next appearance.

use serde_json::json;
use so_model::{
    Timestamp,
    post::PostState,
    run::RunState,
    time::{DAY, HOUR, MINUTE},
};
use so_store::queue_slots;

use super::{START, World};

fn item(n: u32) -> serde_json::Value {
    json!({"feed": {"id": "feed_01890a5dac96774bbcceb302099a8057", "title": "Blog"},
           "item": {"key": format!("guid:{n}"), "title": format!("Item {n}"), "link": format!("https://example.com/{n}")}})
}

#[tokio::test]
async fn a_feed_item_goes_through_the_queue_to_the_network() {
    let mut world = World::new().await;
    let queue = world.queue("Main", &["12:00", "18:00"]).await;
    let blueprint = world.starter("feed-to-queue").await;
    let publisher = world.starter("publish-when-due").await;

    world.event("feed.item", item(1)).await;
    world.event("feed.item", item(2)).await;
    world.settle().await;
    let mut posts = world.all_posts().await;
    posts.sort_by_key(|post| post.due_at);
    assert_eq!(posts.len(), 2);
    // 12:00 and 18:00 in Berlin in summer.
    let due: Vec<_> = posts
        .iter()
        .map(|post| post.due_at.unwrap().to_string())
        .collect();
    assert_eq!(due, ["2026-06-01T10:00:00Z", "2026-06-01T16:00:00Z"]);
    assert!(
        posts
            .iter()
            .all(|post| post.state == PostState::Scheduled && post.queue == Some(queue))
    );
    assert!(
        posts
            .iter()
            .all(|post| post.origin.is_some_and(|origin| origin.rule == blueprint))
    );
    assert!(world.published().is_empty());

    world.clock.advance(2 * HOUR);
    world.settle().await;
    assert_eq!(world.published().len(), 1);
    let outcome = world.outcome(publisher).await;
    assert_eq!(outcome.run.state, RunState::Finished);
    assert_eq!(outcome.output("publish")["state"], "published");
    assert!(
        outcome.output("publish")["accounts"][0]["url"]
            .as_str()
            .unwrap()
            .starts_with("/sandbox/")
    );

    world.clock.advance(6 * HOUR);
    world.settle().await;
    assert_eq!(world.published().len(), 2);
    assert!(
        world
            .all_posts()
            .await
            .iter()
            .all(|post| post.state == PostState::Published)
    );
}

#[tokio::test]
async fn a_second_delivery_of_a_link_makes_no_second_post() {
    let mut world = World::new().await;
    world.queue("Main", &["12:00"]).await;
    world.starter("feed-to-queue").await;
    world.event("feed.item", item(1)).await;
    world.event("feed.item", item(1)).await;
    world.settle().await;
    assert_eq!(world.all_posts().await.len(), 1);
}

#[tokio::test]
async fn a_post_that_is_too_late_is_missed_and_told() {
    let mut world = World::new().await;
    world.starter("publish-when-due").await;
    world.starter("notify-failures").await;
    let account = world.account;
    let made = world
        .steps(&format!(
            "{{id: make, action: post.create, with: {{text: Hello, accounts: [{account}], state: approved}}}}, \
             {{id: plan, action: post.schedule, with: {{post: '{{{{ steps.make.output.post.id }}}}', after: 1h}}}}"
        ))
        .await;
    let id = made.post_id("plan");
    world.clock.advance(HOUR + 6 * HOUR + MINUTE);
    world.settle().await;
    assert_eq!(world.post(&id).await.state, PostState::Missed);
    assert!(world.published().is_empty());
    let told = so_store::notifications::list(
        &mut world.engine.store.clone(),
        world.workspace,
        true,
        "",
        10,
    )
    .await
    .unwrap();
    assert_eq!(
        (told.len(), told[0].title.as_str(), told[0].level.as_str()),
        (1, "A post missed its time", "warning")
    );
    assert_eq!(
        told[0].link.as_deref(),
        Some(format!("/posts/{id}").as_str())
    );
}

#[tokio::test]
async fn an_evergreen_post_comes_back_until_it_has_appeared_often_enough() {
    let mut world = World::new().await;
    let queue = world.queue("Main", &["12:00"]).await;
    world.starter("publish-when-due").await;
    let again = world.starter("requeue-evergreen").await;
    world
        .steps(
            "{id: make, action: post.create, with: {text: First, accounts_of: Main, state: approved, \
              evergreen: {interval: 30d, max_times: 3, variations: [Second, Third]}}}, \
             {id: add, action: queue.add, with: {post: '{{ steps.make.output.post.id }}', queue: Main}}",
        )
        .await;
    world.clock.advance(2 * HOUR);
    world.settle().await;
    let requeued = world.outcome(again).await;
    assert_eq!(requeued.output("requeue")["requeued"], true);
    // Published at the slot of 1 June, so the slot of 1 July is 30 days away to the microsecond.
    assert_eq!(requeued.output("requeue")["due_at"], "2026-07-01T10:00:00Z");
    let held = queue_slots::list(
        &mut world.engine.store.clone(),
        world.workspace,
        queue,
        START.plus(DAY),
        10,
    )
    .await
    .unwrap();
    assert_eq!(held.len(), 1);

    for _ in 0..2 {
        world.clock.advance(30 * DAY);
        world.settle().await;
    }
    let texts: Vec<String> = world
        .published()
        .into_iter()
        .map(|post| post.content.text)
        .collect();
    assert_eq!(texts, ["First", "Second", "Third"]);
    let last = world.outcome(again).await;
    assert_eq!(last.output("requeue")["requeued"], false);
    assert!(
        last.output("requeue")["reason"]
            .as_str()
            .unwrap()
            .contains("3 times")
    );
    let repeats = world
        .all_posts()
        .await
        .iter()
        .filter(|post| post.repeats.is_some())
        .count();
    assert_eq!(repeats, 2);
}

#[tokio::test]
async fn a_recurring_post_makes_one_post_for_each_occurrence() {
    let mut world = World::new().await;
    world.starter("publish-when-due").await;
    world.starter("recurring-posts").await;
    let account = world.account;
    let made = world
        .steps(&format!(
            "{{id: make, action: post.create, with: {{text: Good morning, accounts: [{account}], state: approved}}}}"
        ))
        .await;
    let pattern = made.post_id("make");
    let post = world.post(&pattern).await;
    let at = |moment: &str| Timestamp::parse(moment).unwrap();
    for moment in ["2026-06-01T08:00:00Z", "2026-06-02T08:00:00Z"] {
        world.clock.set(at(moment));
        let data = json!({"post": post, "occurrence": {"at": moment}, "late_by_s": 0});
        world.event("post.recurred", data).await;
        world.settle().await;
    }
    assert_eq!(world.published().len(), 2);
    assert_eq!(world.post(&pattern).await.state, PostState::Approved);
}

#[tokio::test]
async fn a_refused_post_is_told_once_and_can_be_mended_when_nothing_was_sent() {
    let mut world = World::new().await;
    world.starter("publish-when-due").await;
    world.starter("notify-failures").await;
    let account = world.account;
    let mut ids = Vec::new();
    for text in ["Refused by the network", ""] {
        world
            .timeline
            .fail_next(so_connectors::sandbox::Fault::Reject);
        let made = world
            .steps(&format!(
                "{{id: make, action: post.create, with: {{text: '{text}', accounts: [{account}], state: approved}}}}, \
                 {{id: plan, action: post.schedule, with: {{post: '{{{{ steps.make.output.post.id }}}}', after: 1m}}}}"
            ))
            .await;
        world.clock.advance(MINUTE);
        world.settle().await;
        ids.push(made.post_id("plan"));
    }
    let mut reader = world.engine.store.clone();
    let told = so_store::notifications::list(&mut reader, world.workspace, true, "", 10)
        .await
        .unwrap();
    let titles: Vec<&str> = told.iter().map(|note| note.title.as_str()).collect();
    assert_eq!(titles, ["A post was not published"; 2]);

    let again = |id: &str| {
        format!(
            "{{id: edit, action: post.edit, with: {{post: {id}, text: Mended}}}}, \
             {{id: plan, action: post.schedule, with: {{post: {id}, after: 1m}}}}"
        )
    };
    let refused = world.steps(&again(&ids[0])).await;
    assert!(
        refused.error("plan").contains("try its publications again"),
        "{}",
        refused.error("plan")
    );
    // The second fault is still waiting: the empty post never reached the network.
    world.steps(&again(&ids[1])).await;
    world.clock.advance(MINUTE);
    world.settle().await;
    assert_eq!(world.post(&ids[1]).await.state, PostState::Failed);
    assert!(world.published().is_empty());
}
