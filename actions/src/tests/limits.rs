//! Networks that take no more for now, as their doubles know limits.

use serde_json::json;
use so_connectors::{
    NetworkConfig,
    doubles::Op,
    mastodon::double::{MastodonDouble, TOKEN},
};
use so_engine::clock::Clock as _;
use so_model::{
    id::AccountId,
    post::PostState,
    publication::{Publication, PublicationState},
    run::RunState,
    time::{HOUR, MINUTE, SECOND},
};
use so_net::OutboundRequest;
use so_store::{attempts, publications};

use super::{Outcome, World};

/// New statuses that a server takes from an account in three hours.
const MOST: usize = 300;

/// One account on each of two servers.
struct Bench {
    world: World,
    doubles: [MastodonDouble; 2],
    accounts: [AccountId; 2],
}

impl Bench {
    async fn start() -> Self {
        let networks = NetworkConfig {
            allow_http: true,
            ..NetworkConfig::default()
        };
        let world = World::at(networks).await;
        let doubles = [
            MastodonDouble::start().await.unwrap(),
            MastodonDouble::start().await.unwrap(),
        ];
        doubles[1].rename("other.example");
        for double in &doubles {
            let clock = world.clock.clone();
            double.core().go_by(move || clock.now());
        }
        let accounts = [
            connect(&world, &doubles[0]).await,
            connect(&world, &doubles[1]).await,
        ];
        Self {
            world,
            doubles,
            accounts,
        }
    }

    /// Another app posts with the same account.
    async fn post_elsewhere(&self, count: usize) {
        for number in 0..count {
            let request =
                OutboundRequest::post(format!("{}/api/v1/statuses", self.doubles[0].url()))
                    .bearer(TOKEN)
                    .json(&json!({"status": format!("elsewhere {number}")}))
                    .allow_http(true);
            let outbound = self.world.deps.access.cx().outbound;
            assert_eq!(outbound.send(request).await.unwrap().status, 200);
        }
    }

    async fn publish(&mut self, at: usize, text: &str) -> Outcome {
        let (account, post) = (self.accounts[at], "{{ steps.make.output.post.id }}");
        let steps = format!(
            "{{id: make, action: post.create, with: {{text: {text}, accounts: [{account}], state: approved}}}}, \
             {{id: publish, action: post.publish, with: {{post: '{post}'}}}}"
        );
        self.world.steps(&steps).await
    }

    async fn part(&self, outcome: &Outcome) -> Publication {
        let post = outcome.post_id("make").parse().unwrap();
        let mut reader = self.world.engine.store.clone();
        let parts = publications::list_for_post(&mut reader, self.world.workspace, post).await;
        parts.unwrap().remove(0).publication
    }

    async fn pass(&mut self, micros: i64) {
        self.world.clock.advance(micros);
        self.world.settle().await;
    }

    /// What this server of ours published, sorted.
    fn published(&self, at: usize) -> Vec<String> {
        let all = self.doubles[at].core().published();
        let mut own: Vec<String> = all.into_iter().map(|effect| effect.text).collect();
        own.retain(|text| !text.starts_with("elsewhere"));
        own.sort();
        own
    }
}

async fn connect(world: &World, double: &MastodonDouble) -> AccountId {
    let form = json!({"instance": double.url(), "token": TOKEN});
    super::connect_at(world, "mastodon", &form).await
}

#[tokio::test]
async fn posts_beyond_a_limit_wait_until_the_reset_and_go_out_once_while_others_go_on() {
    let mut bench = Bench::start().await;
    // The span of three hours ends at nine; calls are another limit, of five minutes.
    bench.post_elsewhere(MOST / 2).await;
    bench.pass(10 * MINUTE).await;
    bench.post_elsewhere(MOST / 2 - 2).await;
    bench.pass(10 * MINUTE).await;

    let mut outcomes = Vec::new();
    for text in ["a", "b", "c", "d", "e"] {
        outcomes.push(bench.publish(0, text).await);
    }
    let other = bench.publish(1, "other").await;
    assert_eq!(other.output("publish")["state"], "published");
    assert_eq!(bench.published(0), ["a", "b"]);
    let asked = bench.doubles[0].core().calls(Op::Publish);
    assert_eq!(asked, MOST + 1, "one refusal tells for all");
    for outcome in &outcomes[2..] {
        assert_eq!(outcome.run.state, RunState::Waiting);
        let part = bench.part(outcome).await;
        assert_eq!(part.state, PublicationState::RetryWait);
        let told = "The server takes no more calls from this account for now. It goes out after \
                    2026-06-01 09:00 UTC, when the network takes posts again";
        assert_eq!(part.problem.as_deref(), Some(told));
    }

    // The reset is 40 minutes away: not a call before it.
    bench.pass(40 * MINUTE - SECOND).await;
    assert_eq!(bench.doubles[0].core().calls(Op::Publish), asked);
    bench.pass(SECOND).await;
    assert_eq!(bench.published(0), ["a", "b", "c", "d", "e"]);
    for outcome in &outcomes {
        let post = bench.world.post(&outcome.post_id("make")).await;
        assert_eq!(post.state, PostState::Published);
        let part = bench.part(outcome).await;
        assert_eq!(part.problem, None);
    }
    assert_eq!(bench.doubles[0].core().calls(Op::Publish), asked + 3);
    bench.pass(24 * HOUR).await;
    assert_eq!(bench.published(0).len(), 5, "nothing comes twice");
}

#[tokio::test]
async fn a_limit_met_again_is_waited_out_again() {
    let mut bench = Bench::start().await;
    let spans = 2;
    // Connecting was a call, too, and of those there are as few.
    bench.pass(5 * MINUTE).await;
    bench.post_elsewhere(MOST).await;
    bench.pass(5 * MINUTE).await;
    let outcome = bench.publish(0, "patient").await;
    bench.pass(50 * MINUTE - SECOND).await;
    for _ in 0..spans {
        // Another app is faster at the begin of each span, and takes all of it.
        bench.world.clock.advance(SECOND);
        bench.post_elsewhere(MOST - 1).await;
        bench.world.clock.advance(5 * MINUTE);
        bench.post_elsewhere(1).await;
        bench.world.settle().await;
        assert_eq!(bench.published(0).len(), 0);
        bench.world.clock.advance(3 * HOUR - 5 * MINUTE - SECOND);
    }
    assert_eq!(
        bench.part(&outcome).await.state,
        PublicationState::RetryWait
    );
    bench.pass(SECOND).await;
    assert_eq!(bench.published(0), ["patient"]);
    let part = bench.part(&outcome).await;
    let mut reader = bench.world.engine.store.clone();
    let tries = attempts::list_for_publication(&mut reader, part.workspace, part.id).await;
    assert_eq!(
        (tries.unwrap().len(), part.attempts),
        (spans + 2, spans as i64 + 2),
        "each span was tried once"
    );
}
