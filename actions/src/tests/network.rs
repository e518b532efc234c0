//! The publish port against a network on loopback.

use serde_json::json;
use so_connectors::{
    NetworkConfig,
    bluesky::double::{BlueskyDouble, HANDLE, PASSWORD},
    doubles::{Fault, Op},
};
use so_model::{
    IdSource as _,
    account::AccountState,
    id::{AccountId, MediaId},
    post::PostState,
    run::RunState,
    time::MINUTE,
};
use so_store::{accounts, media};

use super::{FILE, Outcome, START, World};

struct Bench {
    world: World,
    double: BlueskyDouble,
    account: AccountId,
}

impl Bench {
    async fn start() -> Self {
        let double = BlueskyDouble::start().await.unwrap();
        let mut networks = NetworkConfig {
            allow_http: true,
            ..NetworkConfig::default()
        };
        for name in ["bluesky", "bluesky.appview"] {
            networks.base_urls.insert(name.into(), double.url());
        }
        let world = World::at(networks).await;
        let account = connect(&world).await;
        Self {
            world,
            double,
            account,
        }
    }

    async fn publish(&mut self, content: &str) -> Outcome {
        let account = self.account;
        let post = "{{ steps.make.output.post.id }}";
        let steps = format!(
            "{{id: make, action: post.create, with: {{content: {content}, accounts: [{account}], state: approved}}}}, \
             {{id: publish, action: post.publish, with: {{post: '{post}'}}}}"
        );
        self.world.steps(&steps).await
    }
}

async fn connect(world: &World) -> AccountId {
    let form = json!({"identifier": HANDLE, "password": PASSWORD});
    super::connect_at(world, "bluesky", &form).await
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_stored_and_used() {
    let mut bench = Bench::start().await;
    bench.double.expire_access();
    let outcome = bench.publish("{text: Renewed}").await;
    assert_eq!(outcome.output("publish")["state"], "published");
    assert_eq!(bench.double.refreshes(), 1);
    let outcome = bench.publish("{text: Once more}").await;
    assert_eq!(outcome.output("publish")["state"], "published");
    assert_eq!(
        (
            bench.double.refreshes(),
            bench.double.core().published().len()
        ),
        (1, 2)
    );
}

#[tokio::test]
async fn ended_sessions_hold_the_post_until_the_account_is_connected_again() {
    let mut bench = Bench::start().await;
    bench.double.revoke_sessions();
    let outcome = bench.publish("{text: Held}").await;
    assert_eq!(outcome.run.state, RunState::Waiting);
    let mut reader = bench.world.engine.store.clone();
    let account = accounts::find(&mut reader, bench.world.workspace, bench.account)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(account.state, AccountState::ReconnectRequired);
    assert!(bench.double.core().published().is_empty());
}

#[tokio::test]
async fn a_thread_goes_out_part_by_part_each_to_the_one_before() {
    let mut bench = Bench::start().await;
    let outcome = bench
        .publish("{text: One, thread: [{text: Two}, {text: Three}]}")
        .await;
    assert_eq!(outcome.output("publish")["state"], "published");
    let parts = bench.double.core().published();
    let texts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
    assert_eq!(texts, ["One", "Two", "Three"]);
    assert_eq!(parts[1].reply_to.as_ref(), Some(&parts[0].remote_id));
    assert_eq!(parts[2].reply_to.as_ref(), Some(&parts[1].remote_id));
}

#[tokio::test]
async fn a_lost_answer_leaves_one_post_at_the_network() {
    let mut bench = Bench::start().await;
    bench
        .double
        .core()
        .fail_next(Op::Publish, Fault::TakenThenCut);
    let outcome = bench.publish("{text: Doubtful}").await;
    for _ in 0..30 {
        bench.world.clock.advance(MINUTE);
        bench.world.settle().await;
    }
    assert_eq!(bench.double.core().published().len(), 1);
    let post = bench.world.post(&outcome.post_id("make")).await;
    assert_eq!(post.state, PostState::Published);
}

async fn file(world: &World, key: &str) -> MediaId {
    let file = media::MediaFile {
        id: world.engine.ids.new_id(),
        workspace: world.workspace,
        name: "a.png".into(),
        mime: "image/png".into(),
        bytes: i64::try_from(FILE.len()).unwrap(),
        width: 10,
        height: 10,
        alt: "A picture".into(),
        sha256: "0".repeat(64),
        storage_key: key.into(),
        created_at: START,
    };
    let mut tx = world.engine.store.begin().await.unwrap();
    media::insert(&mut tx, &file).await.unwrap();
    tx.commit().await.unwrap();
    file.id
}

#[tokio::test]
async fn a_photo_goes_out_from_the_media_store() {
    let mut bench = Bench::start().await;
    let id = file(&bench.world, "one").await;
    let outcome = bench
        .publish(&format!(
            "{{kind: photo, text: Look, media: [{{id: {id}, alt: A cat}}]}}"
        ))
        .await;
    assert_eq!(
        outcome.output("publish")["state"],
        "published",
        "{}",
        outcome.output("publish")
    );
    assert_eq!(bench.double.core().published()[0].media, 1);
    assert!(
        bench.double.core().published()[0]
            .body
            .to_string()
            .contains("A cat")
    );
}

#[tokio::test]
async fn a_file_that_is_gone_fails_the_post_by_name() {
    let mut bench = Bench::start().await;
    let id = "media_01890a5dac96774bbcceb302099a8057";
    let outcome = bench
        .publish(&format!(
            "{{kind: photo, text: Look, media: [{{id: {id}}}]}}"
        ))
        .await;
    let problem = outcome.output("publish")["problems"][0].as_str().unwrap();
    assert!(problem.starts_with("Ann (bluesky): media/0"), "{problem}");
}
