//! The same history on SQLite and on PostgreSQL leaves the same rows.
//!
//! Invariant: what happens is drawn from a seed before either database sees it, and ids, clock and randomness
//! are the same on both, so rows are compared byte for byte.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use so_model::{
    account::AccountState,
    content::Content,
    event::NewEvent,
    id::{PostId, RuleId},
    time::{MINUTE, SECOND},
};
use so_store::{accounts, attempts, decisions, events, jobs, posts, publications, rules, runs};
use so_testkit::{counterpart::or_skip, postgres::PostgresCluster};

use crate::{
    publish::PortErrorClass,
    testing::{Behaviour, World, error},
};

/// Histories, each with a seed of its own.
const HISTORIES: u64 = 4;
/// What happens in one of them.
const HAPPENINGS: usize = 70;
/// In the end everything that waits for time gets it.
const AFTERWARDS: i64 = 40 * MINUTE;
/// Rows of a kind that are compared at the most.
const ROWS: i64 = 5_000;

const RULES: [&str; 10] = [
    "{version: 1, name: Publish, triggers: [{id: t, kind: test.happened}], if: {field: event.data.post, op: exists}, \
      steps: [{id: p, action: post.publish, with: {post: '{{ event.data.post }}'}}]}",
    "{version: 1, name: After it, triggers: [{id: t, kind: post.published}], steps: [{id: e, action: test.echo}]}",
    "{version: 1, name: Call, triggers: [{id: t, kind: test.happened}], if: {field: event.data.n, op: gt, value: 30}, \
      steps: [{id: c, action: test.call, with: {n: '{{ event.data.n }}'}, retry: {tries: 3, first: 10s}}, \
              {id: e, action: test.echo, with: {emit: test.echoed}}]}",
    "{version: 1, name: Call once, triggers: [{id: t, kind: test.echoed}], steps: [{id: c, action: test.call_once}]}",
    "{version: 1, name: First of a key, triggers: [{id: t, kind: test.happened}], \
      dedupe: {key: '{{ event.data.key }}', within: 10m}, steps: [{id: e, action: test.echo}]}",
    "{version: 1, name: Not too often, triggers: [{id: t, kind: test.happened}], throttle: {max: 2, per: 5m}, \
      steps: [{id: e, action: test.echo}]}",
    "{version: 1, name: In line, triggers: [{id: t, kind: test.happened}], \
      mode: {kind: queued, key: '{{ event.data.key }}', max: 3}, \
      steps: [{id: d, delay: {for: 1m}}, {id: e, action: test.echo}]}",
    "{version: 1, name: The latest, triggers: [{id: t, kind: test.happened}], debounce: {for: 2m}, \
      steps: [{id: e, action: test.echo}]}",
    "{version: 1, name: Restarted, triggers: [{id: t, kind: test.happened}], \
      mode: {kind: restart, key: '{{ event.data.key }}'}, steps: [{id: d, delay: {for: 90s}}, {id: e, action: test.echo}]}",
    "{version: 1, name: Often, triggers: [{id: t, kind: time.cron, with: {expression: '*/7 * * * *'}}], \
      steps: [{id: e, action: test.echo, with: {fail: true}, retry: {tries: 2, first: 5s}}]}",
];

/// One thing that happens.
#[derive(Debug, Clone)]
enum Happening {
    Event { n: i64, key: i64 },
    Delivery { number: i64, n: i64 },
    Post { text: String },
    Network(Network),
    CallsFail(u32),
    Time(i64),
    Account(AccountState),
    Switch { rule: usize, is_on: bool },
}

#[derive(Debug, Clone, Copy)]
enum Network {
    LosesAnswer,
    LosesRequest,
    Busy,
    Refuses,
    TakesSteps(u32),
    CannotTell(u32),
}

fn draw(seed: u64) -> Vec<Happening> {
    let mut rng = StdRng::seed_from_u64(seed);
    let happening = |number: usize| {
        let (n, key) = (rng.random_range(0..100), rng.random_range(0..3));
        match rng.random_range(0..100) {
            0..=27 => Happening::Event { n, key },
            28..=35 => {
                let number = rng.random_range(0..4);
                Happening::Delivery { number, n }
            }
            36..=55 => Happening::Post {
                text: format!("post {number}"),
            },
            56..=67 => Happening::Network(match rng.random_range(0..6) {
                0 => Network::LosesAnswer,
                1 => Network::LosesRequest,
                2 => Network::Busy,
                3 => Network::Refuses,
                4 => Network::TakesSteps(rng.random_range(0..3)),
                _ => Network::CannotTell(rng.random_range(1..3)),
            }),
            68..=74 => Happening::CallsFail(rng.random_range(1..4)),
            75..=91 => Happening::Time(rng.random_range(1..240) * SECOND),
            92..=95 => Happening::Account(match rng.random_range(0..3) {
                0 => AccountState::Paused,
                _ => AccountState::Active,
            }),
            _ => Happening::Switch {
                rule: rng.random_range(1..RULES.len()),
                is_on: rng.random_range(0..2) == 1,
            },
        }
    };
    (0..HAPPENINGS).map(happening).collect()
}

struct Stage {
    world: World,
    rules: Vec<RuleId>,
    posts: Vec<PostId>,
}

impl Stage {
    async fn set(url: Option<&str>) -> Self {
        let world = World::on(url).await;
        let mut rules = Vec::new();
        for rule in RULES {
            rules.push(world.rule(rule).await);
        }
        Self {
            world,
            rules,
            posts: Vec::new(),
        }
    }

    async fn play(&mut self, happening: &Happening) {
        let world = &mut self.world;
        match happening {
            Happening::Event { n, key } => {
                let data = json!({"n": n, "key": format!("k{key}")});
                world.event("test.happened", data).await;
            }
            Happening::Delivery { number, n } => {
                let new = NewEvent::new(
                    world.workspace,
                    "test.happened",
                    json!({"n": n, "key": "d"}),
                )
                .from_source("sender", format!("delivery-{number}"));
                world.engine.ingest(new).await.unwrap();
            }
            Happening::Post { text } => {
                let post = world.post(Content::status(text.as_str()), None).await;
                self.posts.push(post);
                world
                    .event("test.happened", json!({"n": 0, "key": "p", "post": post}))
                    .await;
            }
            Happening::Network(network) => self.network(*network),
            Happening::CallsFail(count) => *world.remote_failures.lock().unwrap() += count,
            Happening::Time(span) => world.pass(*span).await,
            Happening::Account(state) => self.account(*state).await,
            Happening::Switch { rule, is_on } => self.switch(self.rules[*rule], *is_on).await,
        }
        self.world.settle().await;
    }

    fn network(&self, network: Network) {
        let own = &self.world.network;
        match network {
            Network::LosesAnswer => own.then(Behaviour::AcceptThenLoseAnswer),
            Network::LosesRequest => own.then(Behaviour::LoseRequest),
            Network::Busy => own.then(Behaviour::Refuse(error(PortErrorClass::Transient, "busy"))),
            Network::Refuses => own.then(Behaviour::Refuse(error(PortErrorClass::Content, "no"))),
            Network::TakesSteps(steps) => *own.prepare_steps.lock().unwrap() = steps,
            Network::CannotTell(times) => *own.find_errors.lock().unwrap() = times,
        }
    }

    async fn account(&self, state: AccountState) {
        let world = &self.world;
        let mut tx = world.engine.store.begin().await.unwrap();
        let from = [AccountState::Active, AccountState::Paused];
        // In that state already, it is left as it is.
        let now = world.engine.now();
        let changed = accounts::set_state(
            &mut tx,
            world.workspace,
            world.account,
            &from,
            state,
            None,
            now,
        )
        .await;
        if changed.is_ok() {
            tx.commit().await.unwrap();
        }
    }

    async fn switch(&self, rule: RuleId, is_on: bool) {
        let world = &self.world;
        let mut tx = world.engine.store.begin().await.unwrap();
        let mut row = rules::find(&mut tx, world.workspace, rule)
            .await
            .unwrap()
            .unwrap();
        if row.is_enabled != is_on {
            row.is_enabled = is_on;
            row.generation += 1;
            row.updated_at = world.engine.now();
            rules::update(&mut tx, &row).await.unwrap();
            tx.commit().await.unwrap();
            world.engine.reload_rules().await.unwrap();
        }
    }

    /// Every row that tells what happened, in words.
    async fn digest(&self) -> Vec<String> {
        let world = &self.world;
        let (sql, workspace) = (&mut world.engine.store.clone(), world.workspace);
        let mut lines = Vec::new();
        let mut tell = |kind: &str, row: Value| lines.push(format!("{kind} {row}"));
        for event in events::list(sql, workspace, "", "", "", ROWS)
            .await
            .unwrap()
        {
            for decision in decisions::list_for_event(sql, workspace, event.id)
                .await
                .unwrap()
            {
                tell("decision", json!(decision));
            }
            tell("event", json!(event));
        }
        let filter = runs::RunFilter::default();
        for run in runs::list(sql, workspace, &filter, ROWS).await.unwrap() {
            for memo in runs::list_memos(sql, workspace, run.id).await.unwrap() {
                tell("memo", json!(memo));
            }
            tell("run", json!(run));
        }
        for post in &self.posts {
            let post = posts::find(sql, workspace, *post).await.unwrap().unwrap();
            for row in publications::list_for_post(sql, workspace, post.id)
                .await
                .unwrap()
            {
                let own = row.publication;
                for attempt in attempts::list_for_publication(sql, workspace, own.id)
                    .await
                    .unwrap()
                {
                    tell("attempt", json!(attempt));
                }
                for step in publications::list_log(sql, workspace, own.id)
                    .await
                    .unwrap()
                {
                    tell("transition", json!(format!("{step:?}")));
                }
                tell("publication", json!(own));
            }
            tell("post", json!(post));
        }
        for (state, count) in jobs::count_by_state(sql).await.unwrap() {
            tell("jobs", json!(format!("{state:?}: {count}")));
        }
        for text in world.network.texts() {
            tell("public", json!(text));
        }
        lines
    }
}

async fn history(seed: u64, url: Option<&str>) -> Vec<String> {
    let mut stage = Stage::set(url).await;
    for happening in draw(seed) {
        stage.play(&happening).await;
    }
    stage.account(AccountState::Active).await;
    stage.world.pass(AFTERWARDS).await;
    stage.digest().await
}

#[tokio::test]
async fn random_histories_leave_the_same_rows_on_both_databases() {
    let test = "random_histories_leave_the_same_rows_on_both_databases";
    let Some(cluster) = or_skip(test, PostgresCluster::shared()) else {
        return;
    };
    for seed in 1..=HISTORIES {
        let url = cluster.create_fresh_database().unwrap();
        let (sqlite, postgres) = (history(seed, None).await, history(seed, Some(&url)).await);
        assert!(sqlite.len() > HAPPENINGS * 4, "hardly anything happened");
        let differs = sqlite
            .iter()
            .zip(&postgres)
            .find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}: {:#?}", draw(seed));
        assert_eq!(sqlite.len(), postgres.len(), "seed {seed}");
    }
}

#[tokio::test]
async fn another_history_leaves_other_rows() {
    assert_ne!(history(1, None).await, history(2, None).await);
}
