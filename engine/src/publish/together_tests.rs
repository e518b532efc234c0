//! Publications that share their transactions: what one of them meets with is no other's business.

use serde_json::json;
use so_model::{
    account::Account,
    content::Content,
    id::PostId,
    post::{PostState, Variant},
    publication::{Publication, PublicationState},
    run::RunState,
    time::MINUTE,
};
use so_store::{accounts, jobs, posts, publications};

use crate::{
    engine::Handed,
    testing::{Behaviour, World},
};

const RULE: &str = "{version: 1, name: Publish, triggers: [{id: t, kind: test.happened}], steps: [\
    {id: publish, action: post.publish, with: {post: \"{{ event.data.post }}\"}}]}";

/// Posts whose publications are claimed and not begun.
async fn claimed(count: usize) -> (World, Vec<PostId>, Vec<Handed>) {
    let mut world = World::new().await;
    world.rule(RULE).await;
    let mut made = Vec::new();
    for n in 0..count {
        made.push(world.post(Content::status(format!("Post {n}")), None).await);
    }
    let handed = begun(&mut world, &made).await;
    (world, made, handed)
}

/// Begins to publish posts; answers the claimed jobs of their publications.
async fn begun(world: &mut World, made: &[PostId]) -> Vec<Handed> {
    for post in made {
        world.event("test.happened", json!({"post": post})).await;
    }
    let handed: Vec<Handed> = std::iter::from_fn(|| world.receiver.try_recv()).collect();
    together(world, handed).await;
    world.engine.claim_jobs(64).await.unwrap()
}

/// Carries out what was claimed, at the same time.
async fn together(world: &World, handed: Vec<Handed>) {
    let work = handed.into_iter().map(|handed| {
        let engine = world.engine.clone();
        tokio::spawn(async move { engine.carry_out(handed).await })
    });
    for one in futures_util::future::join_all(work).await {
        one.unwrap();
    }
}

async fn publication(world: &World, post: PostId) -> Publication {
    let unlawful = super::check_histories(&world.engine.store, 100)
        .await
        .unwrap();
    assert_eq!(unlawful, []);
    let mut reader = world.engine.store.clone();
    let rows = publications::list_for_post(&mut reader, world.workspace, post).await;
    rows.unwrap().remove(0).publication
}

#[tokio::test]
async fn each_is_published_once_and_its_run_goes_on() {
    let (mut world, made, handed) = claimed(20).await;
    assert_eq!(handed.len(), 20);
    together(&world, handed).await;
    let mut texts = world.network.texts();
    texts.sort();
    texts.dedup();
    assert_eq!(
        (texts.len(), *world.network.commits.lock().unwrap()),
        (20, 20)
    );
    for post in &made {
        assert_eq!(world.find_post(*post).await.state, PostState::Published);
        let publication = publication(&world, *post).await;
        assert_eq!(publication.state, PublicationState::Published);
    }
    world.settle().await;
    let states = world.runs().await.into_iter().map(|run| run.state);
    assert_eq!(states.collect::<Vec<_>>(), [RunState::Finished; 20]);
    let left = jobs::count_by_state(&mut world.engine.store.clone()).await;
    assert_eq!(left.unwrap(), []);
}

#[tokio::test]
async fn one_whose_job_somebody_else_has_is_left_to_him() {
    let (world, made, mut handed) = claimed(5).await;
    // As a claim by another process after the lease has ended.
    handed[2].job.epoch -= 1;
    let lost = handed[2].job.subject.clone();
    together(&world, handed).await;
    assert_eq!(*world.network.commits.lock().unwrap(), 4);
    for post in &made {
        let publication = publication(&world, *post).await;
        let expected = match publication.id.to_string() == lost {
            true => PublicationState::Due,
            false => PublicationState::Published,
        };
        assert_eq!(publication.state, expected);
    }
}

#[tokio::test]
async fn one_that_the_network_names_as_another_takes_no_other_with_it() {
    let (world, made, handed) = claimed(5).await;
    world.network.then(Behaviour::AcceptAs("same"));
    world.network.then(Behaviour::AcceptAs("same"));
    together(&world, handed).await;
    let mut states = Vec::new();
    for post in &made {
        states.push(publication(&world, *post).await.state.as_str());
    }
    states.sort_unstable();
    assert_eq!(
        states,
        [
            "needs_review",
            "published",
            "published",
            "published",
            "published"
        ]
    );
}

#[tokio::test]
async fn one_whose_answer_is_lost_is_asked_for_and_the_others_are_settled() {
    let (mut world, made, handed) = claimed(5).await;
    world.network.then(Behaviour::AcceptThenLoseAnswer);
    together(&world, handed).await;
    world.pass(10 * MINUTE).await;
    assert_eq!(*world.network.commits.lock().unwrap(), 5);
    for post in &made {
        assert_eq!(world.find_post(*post).await.state, PostState::Published);
    }
}

#[tokio::test]
async fn two_publications_of_one_post_that_settle_together_settle_it_once() {
    let mut world = World::new().await;
    world.rule(RULE).await;
    let told = "{version: 1, name: Told, triggers: [{id: t, kind: post.published}], steps: [\
        {id: a, action: test.echo, with: {text: told}}]}";
    world.rule(told).await;
    let post = world.post(Content::status("Hello"), None).await;
    to_another_account(&world, post).await;
    let handed = begun(&mut world, &[post]).await;
    assert_eq!(handed.len(), 2);
    together(&world, handed).await;
    world.settle().await;
    assert_eq!(world.find_post(post).await.state, PostState::Published);
    let states: Vec<_> = world.runs().await.iter().map(|run| run.state).collect();
    assert_eq!(
        states,
        [RunState::Finished; 2],
        "one that publishes, one that is told of it"
    );
}

/// The post goes to a second account as well.
async fn to_another_account(world: &World, id: PostId) {
    let mut tx = world.engine.store.begin().await.unwrap();
    let first = accounts::find(&mut tx, world.workspace, world.account).await;
    let second = Account {
        id: so_model::IdSource::new_id(&world.engine.ids),
        remote_id: "2".into(),
        ..first.unwrap().unwrap()
    };
    accounts::insert_or_replace(&mut tx, &second).await.unwrap();
    let mut post = world.find_post(id).await;
    post.variants.push(Variant {
        id: so_model::IdSource::new_id(&world.engine.ids),
        account: second.id,
        destination: None,
        content: None,
    });
    posts::update(&mut tx, &post, post.revision).await.unwrap();
    tx.commit().await.unwrap();
}
