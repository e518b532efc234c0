//! Timers that are fired together: a bad one is nobody else's business.

use serde_json::Value;
use so_model::{
    IdSource as _,
    content::Content,
    event::kind,
    id::PostId,
    time::{HOUR, MINUTE},
};
use so_store::{Sql as _, args, events, timers};

use super::TIMER_POST;
use crate::testing::{START, World};

async fn scheduled(world: &World, text: &str) -> PostId {
    let due_at = START.plus(MINUTE);
    let post = world.post(Content::status(text), Some(due_at)).await;
    let timer = timers::Timer {
        id: world.engine.ids.new_id(),
        workspace: world.workspace,
        kind: TIMER_POST.into(),
        subject: post.to_string(),
        slot: String::new(),
        generation: 1,
        due_at,
        doc: Value::Null,
    };
    let mut tx = world.engine.store.begin().await.unwrap();
    timers::put(&mut tx, &timer).await.unwrap();
    tx.commit().await.unwrap();
    post
}

/// The posts of which it was told that they are due, in the order of their ids.
async fn told(world: &World) -> Vec<String> {
    let mut reader = world.engine.store.clone();
    let found = events::list(&mut reader, world.workspace, kind::POST_DUE, "", "", 100).await;
    let found = found.unwrap().into_iter();
    let mut subjects: Vec<String> = found.filter_map(|event| event.subject).collect();
    subjects.sort();
    subjects
}

async fn set_doc(world: &World, post: PostId, doc: &str) {
    let mut tx = world.engine.store.begin().await.unwrap();
    tx.run("UPDATE posts SET doc = $1 WHERE id = $2", args![doc, post])
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_post_that_cannot_be_read_keeps_no_other_from_being_due() {
    let mut world = World::new().await;
    let mut posts = Vec::new();
    for text in ["one", "two", "three"] {
        posts.push(scheduled(&world, text).await);
    }
    let whole = serde_json::to_string(&world.find_post(posts[1]).await).unwrap();
    set_doc(&world, posts[1], "torn").await;
    world.clock.advance(2 * MINUTE);
    world.settle().await;
    let mut others = [posts[0].to_string(), posts[2].to_string()];
    others.sort();
    assert_eq!(told(&world).await, others);
    // Looked at again when an hour has passed.
    set_doc(&world, posts[1], &whole).await;
    world.clock.advance(2 * HOUR);
    world.settle().await;
    let left = timers::next_due(&mut world.engine.store.clone()).await;
    assert_eq!(left.unwrap(), None);
}

#[tokio::test]
async fn a_post_that_was_moved_is_due_by_its_new_timer_alone() {
    let mut world = World::new().await;
    let (stays, moved) = (
        scheduled(&world, "stays").await,
        scheduled(&world, "moved").await,
    );
    let mut post = world.find_post(moved).await;
    post.due_at = Some(START.plus(HOUR));
    let mut tx = world.engine.store.begin().await.unwrap();
    so_store::posts::update(&mut tx, &post, post.revision)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    world.clock.advance(2 * MINUTE);
    world.settle().await;
    assert_eq!(told(&world).await, [stays.to_string()]);
}
