use serde_json::json;
use so_model::{
    content::{Content, ThreadPart},
    id::PostId,
    post::PostState,
    publication::{Publication, PublicationState},
    run::RunState,
    time::{HOUR, MINUTE, SECOND},
};
use so_store::{accounts, attempts, publications};

use super::{HumanDecision, PortErrorClass, decide_by_hand};
use crate::testing::{Behaviour, World, error};

const RULE: &str = "{version: 1, name: Publish, triggers: [{id: t, kind: test.happened}], steps: [\
    {id: publish, action: post.publish, with: {post: \"{{ event.data.post }}\"}}, \
    {id: after, action: test.echo, with: {text: after}}]}";

async fn publish(world: &mut World, content: Content) -> PostId {
    world.rule(RULE).await;
    let post = world.post(content, None).await;
    world.event("test.happened", json!({"post": post})).await;
    world.settle().await;
    post
}

/// What was written so far is what the relation could have written.
async fn parts(world: &World, post: PostId) -> Vec<Publication> {
    let unlawful = super::check_histories(&world.engine.store, 100)
        .await
        .unwrap();
    assert_eq!(unlawful, []);
    publications::list_for_post(&mut world.engine.store.clone(), world.workspace, post)
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.publication)
        .collect()
}

#[tokio::test]
async fn a_post_goes_out_once_and_the_run_goes_on_after_it() {
    let mut world = World::new().await;
    let post = publish(&mut world, Content::status("Hello")).await;
    assert_eq!(world.network.texts(), ["Hello"]);
    assert_eq!(world.find_post(post).await.state, PostState::Published);
    let runs = world.runs().await;
    assert_eq!(runs[0].state, RunState::Finished);
    assert_eq!(world.memos(&runs[0]).await.len(), 2);
    world.crash_and_restart().await;
    world.pass(HOUR).await;
    assert_eq!(world.network.texts().len(), 1);
}

#[tokio::test]
async fn the_intent_is_stored_before_the_call_and_closed_after_it() {
    let mut world = World::new().await;
    let post = publish(&mut world, Content::status("Hello")).await;
    let publication = parts(&world, post).await.remove(0);
    let mut reader = world.engine.store.clone();
    let log = publications::list_log(&mut reader, world.workspace, publication.id)
        .await
        .unwrap();
    let states: Vec<_> = log.iter().map(|step| step.to).collect();
    use PublicationState::{Preparing, Published, Sending};
    assert_eq!(states, [Preparing, Sending, Published]);
    assert!(
        attempts::find_open(&mut reader, world.workspace, publication.id)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_lost_answer_is_looked_up_and_never_sent_again() {
    let mut world = World::new().await;
    world.network.then(Behaviour::AcceptThenLoseAnswer);
    let post = publish(&mut world, Content::status("Hello")).await;
    assert_eq!(
        parts(&world, post).await[0].state,
        PublicationState::Unknown
    );
    world.pass(10 * MINUTE).await;
    assert_eq!(*world.network.commits.lock().unwrap(), 1);
    assert_eq!(world.network.texts(), ["Hello"]);
    assert_eq!(world.find_post(post).await.state, PostState::Published);
}

#[tokio::test]
async fn a_lost_request_is_sent_again_only_after_absence_was_seen_twice() {
    let mut world = World::new().await;
    world.network.then(Behaviour::LoseRequest);
    let post = publish(&mut world, Content::status("Hello")).await;
    // The deadline and the settle window come first.
    world.pass(2 * MINUTE).await;
    assert_eq!(*world.network.commits.lock().unwrap(), 1);
    world.pass(10 * MINUTE).await;
    assert_eq!(*world.network.commits.lock().unwrap(), 2);
    assert_eq!(world.network.texts(), ["Hello"]);
    assert_eq!(world.find_post(post).await.state, PostState::Published);
}

#[tokio::test]
async fn a_network_that_cannot_be_asked_leaves_doubt_to_a_person() {
    let mut world = World::new().await;
    *world.network.can_be_asked.lock().unwrap() = false;
    world.network.then(Behaviour::LoseRequest);
    let post = publish(&mut world, Content::status("Hello")).await;
    world.pass(10 * MINUTE).await;
    assert_eq!(*world.network.commits.lock().unwrap(), 1);
    assert_eq!(world.find_post(post).await.state, PostState::NeedsReview);

    let publication = parts(&world, post).await.remove(0);
    let user = so_model::IdSource::new_id(&world.engine.ids);
    let decided = decide_by_hand(
        &world.engine,
        world.workspace,
        publication.id,
        HumanDecision::NotLive,
        user,
    );
    assert!(decided.await.unwrap());
    world.settle().await;
    assert_eq!(world.network.texts(), ["Hello"]);
    assert_eq!(world.find_post(post).await.state, PostState::Published);
}

#[tokio::test]
async fn a_process_that_dies_during_the_call_asks_before_anything_is_repeated() {
    let mut world = World::new().await;
    world.rule(RULE).await;
    let post = world.post(Content::status("Hello"), None).await;
    world.event("test.happened", json!({"post": post})).await;
    world.settle().await;
    // As after K8: the network has it, our rows say that it is being sent.
    let mut tx = world.engine.store.begin().await.unwrap();
    for sql in [
        "UPDATE publications SET state = 'sending', remote_id = NULL, published_at = NULL",
        "UPDATE attempts SET phase = 'open'",
        "UPDATE posts SET state = 'publishing'",
        "DELETE FROM publication_log WHERE to_state = 'published'",
    ] {
        so_store::Sql::run(&mut tx, sql, vec![]).await.unwrap();
    }
    let id = parts(&world, post).await[0].id;
    let job = so_model::IdSource::new_id(&world.engine.ids);
    so_store::jobs::wake(
        &mut tx,
        job,
        world.workspace,
        "publication",
        &id.to_string(),
        world.engine.now(),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    world.crash_and_restart().await;
    world.pass(10 * MINUTE).await;
    assert_eq!(*world.network.commits.lock().unwrap(), 1);
    assert_eq!(
        parts(&world, post).await[0].state,
        PublicationState::Published
    );
}

#[tokio::test]
async fn the_networks_own_delay_is_obeyed_and_a_refusal_for_good_ends_it() {
    let mut world = World::new().await;
    let mut busy = error(PortErrorClass::Transient, "too many requests");
    busy.retry_after = Some(5 * MINUTE);
    world.network.then(Behaviour::Refuse(busy));
    world.network.then(Behaviour::Refuse(error(
        PortErrorClass::Content,
        "the text is too long",
    )));
    let post = publish(&mut world, Content::status("Hello")).await;
    world.pass(4 * MINUTE + 45 * SECOND).await;
    assert_eq!(*world.network.commits.lock().unwrap(), 1);
    world.pass(MINUTE).await;
    assert_eq!(*world.network.commits.lock().unwrap(), 2);
    let found = world.find_post(post).await;
    assert_eq!(
        (found.state, found.problem.as_deref()),
        (PostState::Failed, Some("the text is too long"))
    );
}

#[tokio::test]
async fn a_revoked_token_makes_posts_wait_instead_of_fail() {
    let mut world = World::new().await;
    world.network.then(Behaviour::Refuse(error(
        PortErrorClass::Reconnect,
        "the token was revoked",
    )));
    let post = publish(&mut world, Content::status("Hello")).await;
    world.pass(HOUR).await;
    assert_eq!(parts(&world, post).await[0].state, PublicationState::Held);
    assert_eq!(world.find_post(post).await.state, PostState::Publishing);
    let mut reader = world.engine.store.clone();
    let account = accounts::find(&mut reader, world.workspace, world.account)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        account.state,
        so_model::account::AccountState::ReconnectRequired
    );
}

#[tokio::test]
async fn a_thread_goes_out_in_order_each_part_answering_the_one_before() {
    let mut world = World::new().await;
    let mut content = Content::status("One");
    content.thread = vec![ThreadPart {
        text: "Two".into(),
        media: vec![],
    }];
    content.first_comment = Some("Three".into());
    let post = publish(&mut world, content).await;
    assert_eq!(
        world.network.texts(),
        ["One", "Two (to remote-1)", "Three (to remote-2)"]
    );
    assert_eq!(world.find_post(post).await.state, PostState::Published);
}

#[tokio::test]
async fn parts_behind_a_failed_one_are_cancelled() {
    let mut world = World::new().await;
    let mut content = Content::status("One");
    content.first_comment = Some("Two".into());
    world
        .network
        .then(Behaviour::Refuse(error(PortErrorClass::Content, "no")));
    let post = publish(&mut world, content).await;
    let states: Vec<_> = parts(&world, post)
        .await
        .iter()
        .map(|part| part.state)
        .collect();
    assert_eq!(
        states,
        [PublicationState::Failed, PublicationState::Cancelled]
    );
    assert_eq!(world.find_post(post).await.state, PostState::Failed);
}

#[tokio::test]
async fn uploads_are_resumed_from_what_was_stored() {
    let mut world = World::new().await;
    *world.network.prepare_steps.lock().unwrap() = 3;
    let post = publish(&mut world, Content::status("Hello")).await;
    assert_eq!(parts(&world, post).await[0].progress, json!({"steps": 1}));
    world.crash_and_restart().await;
    world.pass(MINUTE).await;
    assert_eq!(world.network.texts(), ["Hello"]);
    assert_eq!(
        parts(&world, post).await[0].state,
        PublicationState::Published
    );
}

#[tokio::test]
async fn two_equal_texts_are_never_taken_for_each_other() {
    let mut world = World::new().await;
    let first = publish(&mut world, Content::status("Again")).await;
    let second = world.post(Content::status("Again"), None).await;
    world.network.then(Behaviour::LoseRequest);
    world.event("test.happened", json!({"post": second})).await;
    world.settle().await;
    world.pass(15 * MINUTE).await;
    assert_eq!(world.network.texts(), ["Again", "Again"]);
    let ids = [
        parts(&world, first).await[0].remote_id.clone(),
        parts(&world, second).await[0].remote_id.clone(),
    ];
    assert_eq!(
        ids,
        [Some("remote-1".to_string()), Some("remote-2".to_string())]
    );
}

#[tokio::test]
async fn an_outcome_kept_in_the_spill_file_is_stored_before_anything_is_asked() {
    let mut world = World::new().await;
    world.network.then(Behaviour::AcceptThenLoseAnswer);
    let post = publish(&mut world, Content::status("Hello")).await;
    let publication = parts(&world, post).await.remove(0);
    assert_eq!(publication.state, PublicationState::Unknown);
    let mut reader = world.engine.store.clone();
    let open = attempts::find_open(&mut reader, world.workspace, publication.id)
        .await
        .unwrap()
        .unwrap();
    // The database was away at the moment of the network's answer. A line before it was cut short by a full
    // disk, in the middle of a character.
    std::fs::write(world.spill_file(), b"{\"workspace\":\"\xc3").unwrap();
    let told = super::result::Told {
        remote_id: "remote-1".into(),
        remote_url: None,
        extra: serde_json::Value::Null,
    };
    let outcome = super::Outcome::new(&open, told);
    assert!(super::spill::append(&world.engine, outcome));
    *world.network.can_be_asked.lock().unwrap() = false;
    world.crash_and_restart().await;
    assert_eq!(
        parts(&world, post).await[0].state,
        PublicationState::Published
    );
    assert!(!world.spill_file().exists());
}

#[tokio::test]
async fn an_answer_to_a_part_without_a_known_id_is_left_to_a_person() {
    let mut world = World::new().await;
    let mut content = Content::status("One");
    content.first_comment = Some("Two".into());
    *world.network.can_be_asked.lock().unwrap() = false;
    world.network.then(Behaviour::LoseRequest);
    let post = publish(&mut world, content).await;
    world.pass(10 * MINUTE).await;
    let head = parts(&world, post).await[0].id;
    let user = so_model::IdSource::new_id(&world.engine.ids);
    let live = HumanDecision::IsLive { url: None };
    assert!(
        decide_by_hand(&world.engine, world.workspace, head, live, user)
            .await
            .unwrap()
    );
    world.settle().await;
    let states: Vec<_> = parts(&world, post)
        .await
        .iter()
        .map(|part| part.state)
        .collect();
    assert_eq!(
        states,
        [PublicationState::Published, PublicationState::NeedsReview]
    );
    assert!(world.network.texts().is_empty(), "nothing may stand alone");
}

#[tokio::test]
async fn a_head_that_is_tried_again_takes_its_thread_with_it() {
    let mut world = World::new().await;
    let mut content = Content::status("One");
    content.first_comment = Some("Two".into());
    world
        .network
        .then(Behaviour::Refuse(error(PortErrorClass::Content, "no")));
    let post = publish(&mut world, content).await;
    let head = parts(&world, post).await[0].id;
    let user = so_model::IdSource::new_id(&world.engine.ids);
    let again = HumanDecision::NotLive;
    assert!(
        decide_by_hand(&world.engine, world.workspace, head, again, user)
            .await
            .unwrap()
    );
    world.settle().await;
    assert_eq!(world.network.texts(), ["One", "Two (to remote-1)"]);
    assert_eq!(world.find_post(post).await.state, PostState::Published);
}

#[tokio::test]
async fn a_network_that_keeps_losing_requests_is_given_up_after_the_last_try() {
    let mut world = World::new().await;
    for _ in 0..20 {
        world.network.then(Behaviour::LoseRequest);
    }
    let post = publish(&mut world, Content::status("Hello")).await;
    world.pass(2 * HOUR).await;
    assert_eq!(*world.network.commits.lock().unwrap(), 8);
    assert_eq!(world.find_post(post).await.state, PostState::Failed);
}

#[tokio::test]
async fn a_publication_held_for_an_account_that_works_again_is_not_forgotten() {
    let mut world = World::new().await;
    world.network.then(Behaviour::Refuse(error(
        PortErrorClass::Reconnect,
        "the token was revoked",
    )));
    let post = publish(&mut world, Content::status("Hello")).await;
    assert_eq!(parts(&world, post).await[0].state, PublicationState::Held);
    // The account is connected again, and the publication's job comes a moment later.
    use so_model::account::AccountState::{Active, ReconnectRequired};
    let now = world.engine.now();
    let id = parts(&world, post).await[0].id;
    let mut tx = world.engine.store.begin().await.unwrap();
    accounts::set_state(
        &mut tx,
        world.workspace,
        world.account,
        &[ReconnectRequired],
        Active,
        None,
        now,
    )
    .await
    .unwrap();
    let job = so_model::IdSource::new_id(&world.engine.ids);
    so_store::jobs::wake(
        &mut tx,
        job,
        world.workspace,
        "publication",
        &id.to_string(),
        now,
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    world.settle().await;
    assert_eq!(world.find_post(post).await.state, PostState::Published);
}

#[tokio::test]
async fn a_spilled_outcome_that_cannot_be_true_stops_nobody() {
    let mut world = World::new().await;
    let first = publish(&mut world, Content::status("First")).await;
    world.network.then(Behaviour::LoseRequest);
    let second = world.post(Content::status("Second"), None).await;
    world.event("test.happened", json!({"post": second})).await;
    world.settle().await;
    let publication = parts(&world, second).await.remove(0);
    let mut reader = world.engine.store.clone();
    let open = attempts::find_open(&mut reader, world.workspace, publication.id)
        .await
        .unwrap()
        .unwrap();
    // The id is bound to the first post.
    let line = json!({"workspace": world.workspace, "publication": publication.id, "attempt": open.id,
        "remote_id": parts(&world, first).await[0].remote_id, "remote_url": null, "extra": null});
    std::fs::write(world.spill_file(), format!("{line}\n")).unwrap();
    world.crash_and_restart().await;
    world.pass(15 * MINUTE).await;
    assert_eq!(world.find_post(second).await.state, PostState::Published);
    assert_eq!(world.network.texts(), ["First", "Second"]);
}
