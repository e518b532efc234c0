use serde_json::{Value, json};
use so_model::{
    IdSource as _, Timestamp,
    content::Content,
    event::{Cause, Event, kind},
    id::PostId,
    post::{Origin, Post, PostState},
    publication::{Publication, PublicationState},
    time::{DAY, HOUR, MINUTE},
};
use so_store::{attempts, instance, instance::Gap, publications, publications::PublicationRow};

use super::may_be_live;
use crate::{
    publish::{HumanDecision, decide_by_hand, relation::check_log},
    testing::{Behaviour, START, World},
};

const RULE: &str = "{version: 1, name: Publish, triggers: [{id: t, kind: test.happened}], steps: [\
    {id: publish, action: post.publish, with: {post: \"{{ event.data.post }}\"}}]}";

/// Ten minutes are lost, up to now.
async fn lose(world: &World, is_certain: bool) {
    let now = world.engine.now();
    let gap = Gap {
        epoch: 1,
        cause: "a backup was restored".into(),
        is_certain,
        from: now.plus(-10 * MINUTE),
        until: now,
        ends_at: now.plus(90 * DAY),
    };
    let mut tx = world.engine.store.begin().await.unwrap();
    instance::insert_gap(&mut tx, &gap).await.unwrap();
    tx.commit().await.unwrap();
    world.engine.reload_gaps().await.unwrap();
}

async fn publish(world: &mut World, words: &str) -> PostId {
    world.rule(RULE).await;
    let post = world.post(Content::status(words), None).await;
    world.event("test.happened", json!({"post": post})).await;
    world.settle().await;
    post
}

fn commits(world: &World) -> u32 {
    *world.network.commits.lock().unwrap()
}

async fn row(world: &World, post: PostId) -> PublicationRow {
    let mut reader = world.engine.store.clone();
    let rows = publications::list_for_post(&mut reader, world.workspace, post).await;
    rows.unwrap().remove(0)
}

async fn check_history(world: &World, post: PostId) {
    let publication = row(world, post).await.publication;
    let (mut reader, ws) = (world.engine.store.clone(), world.workspace);
    let log = publications::list_log(&mut reader, ws, publication.id).await;
    let tries = attempts::list_for_publication(&mut reader, ws, publication.id).await;
    check_log(&publication, &log.unwrap(), &tries.unwrap()).unwrap();
}

#[tokio::test]
async fn what_went_out_in_a_gap_is_found_and_not_sent_again() {
    let mut world = World::new().await;
    let live = ("remote-of-the-gap".into(), "Hello".into());
    world.network.public.lock().unwrap().push(live);
    lose(&world, true).await;
    let post = publish(&mut world, "Hello").await;
    world.pass(HOUR).await;
    assert_eq!(commits(&world), 0);
    assert_eq!(world.find_post(post).await.state, PostState::Published);
    let publication = row(&world, post).await.publication;
    assert_eq!(publication.remote_id.as_deref(), Some("remote-of-the-gap"));
    check_history(&world, post).await;
}

#[tokio::test]
async fn what_did_not_go_out_in_a_gap_is_sent_once_after_two_looks() {
    let mut world = World::new().await;
    lose(&world, true).await;
    let post = publish(&mut world, "Hello").await;
    // The settle window comes first, and the second look some time after the first.
    world.pass(2 * MINUTE).await;
    assert_eq!(commits(&world), 0);
    world.pass(10 * MINUTE).await;
    assert_eq!((commits(&world), world.network.texts().len()), (1, 1));
    assert_eq!(world.find_post(post).await.state, PostState::Published);
    check_history(&world, post).await;
}

#[tokio::test]
async fn where_nobody_can_be_asked_a_person_decides_once() {
    let mut world = World::new().await;
    *world.network.can_be_asked.lock().unwrap() = false;
    lose(&world, true).await;
    let post = publish(&mut world, "Hello").await;
    world.pass(HOUR).await;
    assert_eq!(commits(&world), 0);
    assert_eq!(world.find_post(post).await.state, PostState::NeedsReview);
    let publication = row(&world, post).await.publication;
    let decision = HumanDecision::NotLive;
    let user = world.engine.ids.new_id();
    let decided = decide_by_hand(
        &world.engine,
        world.workspace,
        publication.id,
        decision,
        user,
    );
    assert!(decided.await.unwrap());
    world.settle().await;
    assert_eq!(commits(&world), 1);
    assert_eq!(world.find_post(post).await.state, PostState::Published);
    check_history(&world, post).await;
}

#[tokio::test]
async fn a_rest_that_may_have_lost_nothing_leaves_nothing_to_people() {
    let mut world = World::new().await;
    *world.network.can_be_asked.lock().unwrap() = false;
    lose(&world, false).await;
    let post = publish(&mut world, "Hello").await;
    assert_eq!(commits(&world), 0);
    world.pass(10 * MINUTE).await;
    assert_eq!(commits(&world), 1);
    assert_eq!(world.find_post(post).await.state, PostState::Published);
    check_history(&world, post).await;
}

#[tokio::test]
async fn a_post_that_a_person_writes_after_a_gap_goes_out_at_once() {
    let mut world = World::new().await;
    lose(&world, true).await;
    world.clock.advance(MINUTE);
    publish(&mut world, "Hello").await;
    assert_eq!(commits(&world), 1);
}

#[tokio::test]
async fn an_absence_that_was_seen_before_a_gap_proves_nothing_after_it() {
    let mut world = World::new().await;
    world.network.then(Behaviour::LoseRequest);
    let post = publish(&mut world, "Hello").await;
    // The call's deadline and the settle window, then the first look.
    world.pass(3 * MINUTE).await;
    assert!(
        row(&world, post).await.publication.progress["absent_since"].is_string(),
        "the first look has been made"
    );
    lose(&world, true).await;
    world.pass(2 * MINUTE).await;
    assert_eq!(commits(&world), 1);
    // In the lost history it had been sent after all.
    let live = ("remote-of-the-gap".into(), "Hello".into());
    world.network.public.lock().unwrap().push(live);
    world.pass(HOUR).await;
    assert_eq!((commits(&world), world.network.texts().len()), (1, 1));
    assert_eq!(world.find_post(post).await.state, PostState::Published);
}

fn event(of: &str, time: Timestamp) -> Event {
    Event {
        id: so_model::id::EventId::derived(&[of]),
        workspace: so_model::id::WorkspaceId::derived(&["w"]),
        kind: of.into(),
        source: "test".into(),
        dedupe: "1".into(),
        subject: None,
        time,
        data: Value::Null,
        cause: Cause::default(),
    }
}

#[tokio::test]
async fn posts_that_rules_make_after_a_gap_are_judged_by_what_began_them() {
    let world = World::new().await;
    let gap = |is_certain| Gap {
        epoch: 1,
        cause: String::new(),
        is_certain,
        from: START.plus(-HOUR),
        until: START,
        ends_at: START.plus(90 * DAY),
    };
    let id = world.post(Content::status("Hello"), None).await;
    let post = world.find_post(id).await;
    let origin = Origin {
        rule: so_model::id::RuleId::derived(&["r"]),
        run: so_model::id::RunId::derived(&["r"]),
    };
    let later = START.plus(HOUR);
    let made = |at: Timestamp| Post {
        origin: Some(origin),
        created_at: at,
        ..post.clone()
    };
    let due = |at: Timestamp| PublicationRow {
        publication: Publication {
            id: so_model::id::PublicationId::derived(&["p"]),
            workspace: post.workspace,
            post: post.id,
            variant: post.variants[0].id,
            account: post.variants[0].account,
            part: 0,
            state: PublicationState::Due,
            revision: 1,
            epoch: 0,
            attempts: 0,
            due_at: at,
            remote_id: None,
            remote_url: None,
            progress: Value::Null,
            problem: None,
            published_at: None,
        },
        content: Content::status("Hello"),
        run_id: None,
        step_path: String::new(),
    };
    let item = event(kind::FEED_ITEM, later);
    let judge =
        |post: &Post, at, root: Option<&Event>| may_be_live(&gap(true), &due(at), post, root);
    // A feed gives the items of the gap again; a moment comes once.
    assert!(judge(&made(later), later, Some(&item)));
    assert!(judge(&made(later), later, None));
    assert!(!judge(
        &made(later),
        later,
        Some(&event(kind::TIME_DUE, later))
    ));
    let in_the_gap = event(kind::TIME_DUE, START.plus(-MINUTE));
    assert!(judge(&made(later), later, Some(&in_the_gap)));
    assert!(!judge(&made(START.plus(2 * DAY)), later, Some(&item)));
    // What the backup held may have been published by hand, whenever it is due.
    assert!(judge(&made(START), START.plus(30 * DAY), None));
    // A repeat that is made up for is one that was due in the gap.
    let repeat = Post {
        origin: None,
        ..made(later)
    };
    assert!(judge(&repeat, START.plus(-MINUTE), None));
    assert!(!judge(&repeat, later, None));
    // Without any sign of a loss only what was due counts.
    let caution = |post: &Post, at| may_be_live(&gap(false), &due(at), post, None);
    assert!(caution(&made(START.plus(-DAY)), START));
    assert!(!caution(&made(START.plus(-DAY)), later));
    assert!(!caution(&made(later), START));
}
