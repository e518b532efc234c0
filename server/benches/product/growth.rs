//! Cost as the database grows: workload E over stored runs, and over many workspaces.

use serde_json::Value;
use so_engine::clock::{Clock as _, SystemClock};
use so_model::{
    id::{HookId, RuleId, WorkspaceId},
    rule::RuleDocument,
    workspace::Workspace,
};
use so_store::{Store, hooks, hooks::Hook, rules, workspaces};
use so_testkit::figures::{Ask, Goal, progress};

use crate::{
    events::burst, fill::RunFill, ground::Ground, loopback::Loopback, pages::run_of_workload,
    product::Product,
};

/// Bursts at each size, of which the median is taken.
const BURSTS: usize = 3;
/// Bursts in turn over each number of workspaces, after one that is not counted.
const ROUNDS: usize = 5;
/// What the last may be of the first.
const SHARE: Goal = Goal::AtLeast(0.8);

/// Events per second with more and more stored runs.
pub async fn measure_runs(ask: &Ask, ground: &Ground) {
    let teller = ground.teller("growth");
    let sink = Loopback::sink().await;
    let product = Product::start(ground, sink.port).await;
    let desk = product.register().await;
    let hook = product.workload(&desk, sink.port).await;
    let original = run_of_workload(&product, &desk, &sink).await;
    product.end().await;
    let total = ask.size(1_000_000, 10_000);
    let fill = RunFill {
        second_rule: RuleId::derived(&["second"]).to_string(),
        run: original,
        total,
    };
    let (mut stored, mut first, mut last) = (0, 0.0, 0.0);
    let mut bursts = Bursts::new(ask);
    for size in [0, total / 10, total] {
        let store = ground.store().await;
        if size > stored {
            let before = ground.database_bytes(&store).await;
            fill.copy(&store, stored..size).await;
            let after = ground.database_bytes(&store).await;
            if size == total {
                let each = (after - before) / (size - stored) as f64;
                teller.tell("a stored run with its event", each, "B", Goal::None);
            }
        }
        store.close().await.unwrap();
        stored = size;
        let product = Product::start(ground, sink.port).await;
        last = bursts
            .median(&product, std::slice::from_ref(&hook), &sink)
            .await;
        product.end().await;
        if size == 0 {
            first = last;
        }
        let name = format!("events per s with {size} stored runs");
        teller.tell(&name, last, "1/s", Goal::None);
    }
    let name = "events per s with all those runs, against none";
    teller.tell(name, last / first, "times", SHARE);
}

/// Events per second over more and more workspaces.
///
/// Each number of them has a server and a database of its own, and these take bursts in turn: a machine that is shared
/// is half as fast again from one minute to the next, and what is compared is measured within seconds of each other.
pub async fn measure_workspaces(ask: &Ask, ground: &Ground) {
    let teller = ground.teller("workspaces");
    let most = ask.size(10_000, 100);
    let mut places = Vec::new();
    for size in [1, most / 100, most] {
        let Some(ground) = Ground::new(ground.database) else {
            return;
        };
        places.push(Place::with(ground, size).await);
    }
    let events = ask.size(20_000, 400);
    let mut rounds: Vec<Vec<f64>> = Vec::new();
    for round in 0..=ROUNDS {
        let mut rates = Vec::new();
        for place in &places {
            progress("a burst");
            let came = burst(
                &place.product,
                &place.paths,
                &place.sink,
                events,
                round * events,
            );
            let came = came.await;
            assert_eq!(came.lost, 0, "events were lost");
            rates.push(came.processed);
        }
        // The first fills what is kept in memory.
        if round > 0 {
            rounds.push(rates);
        }
    }
    for (n, place) in places.iter().enumerate() {
        let rate = median(rounds.iter().map(|rates| rates[n]));
        let name = format!("events per s over {} workspaces", place.paths.len());
        teller.tell(&name, rate, "1/s", Goal::None);
    }
    let memory = places.last().map_or(0.0, |place| place.product.memory());
    teller.tell("memory with all those workspaces", memory, "MB", Goal::None);
    let shares = rounds.iter().map(|rates| rates[rates.len() - 1] / rates[0]);
    let name = "events per s over all of them, against one";
    teller.tell(name, median(shares), "times", SHARE);
    for place in places {
        place.product.end().await;
    }
}

/// A server with a number of workspaces.
struct Place {
    product: Product,
    paths: Vec<String>,
    sink: Loopback,
    _ground: Ground,
}

impl Place {
    async fn with(ground: Ground, workspaces: usize) -> Self {
        let sink = Loopback::sink().await;
        let product = Product::start(&ground, sink.port).await;
        let desk = product.register().await;
        let mut paths = vec![product.workload(&desk, sink.port).await];
        product.end().await;
        let store = ground.store().await;
        settle_in(&store, &desk.workspace, 1..workspaces, &mut paths).await;
        store.close().await.unwrap();
        progress(&format!(
            "{} workspaces call port {}",
            paths.len(),
            sink.port
        ));
        Self {
            product: Product::start(&ground, sink.port).await,
            paths,
            sink,
            _ground: ground,
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Bursts of events whose ids never come twice.
pub struct Bursts {
    events: usize,
    next: usize,
}

impl Bursts {
    pub fn new(ask: &Ask) -> Self {
        Self {
            events: ask.size(20_000, 400),
            next: 0,
        }
    }

    /// Events per second, the median of some bursts after one that is not counted.
    pub async fn median(&mut self, product: &Product, hooks: &[String], sink: &Loopback) -> f64 {
        let mut rates = Vec::new();
        for n in 0..=BURSTS {
            progress("a burst");
            let came = burst(product, hooks, sink, self.events, self.next).await;
            self.next += self.events;
            assert_eq!(came.lost, 0, "events were lost");
            if n > 0 {
                rates.push(came.processed);
            }
        }
        median(rates.into_iter())
    }
}

/// Makes workspaces with a hook and the rule of workload E each.
async fn settle_in(
    store: &Store,
    first: &str,
    range: std::ops::Range<usize>,
    paths: &mut Vec<String>,
) {
    let first: WorkspaceId = first.parse().unwrap();
    let rows = rules::list_live(&mut store.clone()).await.unwrap();
    let (row, document) = rows
        .into_iter()
        .find(|(row, _)| row.workspace == first && row.name == "Bench")
        .expect("the rule of workload E is there");
    let document = serde_json::to_value(document).unwrap();
    let now = SystemClock.now();
    let mut tx = store.begin().await.unwrap();
    for n in range {
        let name = n.to_string();
        let (workspace, hook) = (WorkspaceId::derived(&[&name]), HookId::derived(&[&name]));
        let settled = Workspace {
            id: workspace,
            name: name.clone(),
            time_zone: "UTC".into(),
            approval_required: false,
            created_at: now,
        };
        workspaces::insert(&mut tx, &settled).await.unwrap();
        let token = format!("bench-hook-of-workspace-number-{n:012}");
        let hook = Hook {
            id: hook,
            workspace,
            name: name.clone(),
            token_hash: so_server::app::secrets::sha256_hex(token.as_bytes()),
            verify: serde_json::json!({"scheme": "none"}),
            is_enabled: true,
            created_at: now,
        };
        hooks::insert(&mut tx, &hook).await.unwrap();
        paths.push(format!("/in/{token}"));
        let mut own = document.clone();
        own["triggers"][0]["with"]["hook"] = Value::String(hook.id.to_string());
        let own: RuleDocument = serde_json::from_value(own).unwrap();
        let mut rule = row.clone();
        rule.id = RuleId::derived(&[&name]);
        rule.workspace = workspace;
        let version = rules::RuleVersion {
            rule: rule.id,
            version: rule.version,
            document: own,
            source: String::new(),
            author: None,
            reason: String::new(),
            created_at: now,
            is_trial: false,
        };
        rules::insert(&mut tx, &rule, &version).await.unwrap();
    }
    tx.commit().await.unwrap();
}
