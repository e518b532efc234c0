//! What the record of candidates costs: events among ten thousand rules, with and without it.

use std::time::{Duration, Instant};

use serde_json::json;
use so_engine::Engine;
use so_model::{IdSource as _, event::NewEvent, id::WorkspaceId};
use so_testkit::figures::{Ask, Goal, Teller, progress};

use crate::world::{self, KIND};

/// Rules that listen to the hook that is called; none of their conditions holds.
const CANDIDATES: usize = 36;
/// Rounds of which the best is taken: what disturbs only ever adds.
const ROUNDS: usize = 5;

/// Measures on a database of each kind of engine.
pub async fn measure(ask: &Ask, folder: &std::path::Path) {
    let teller = Teller::on("why", "sqlite");
    let rules = ask.size(10_000, 200);
    let events = ask.size(2_000, 50);
    progress(&format!(
        "{rules} rules, with and without the record of candidates"
    ));
    let mut engines = Vec::new();
    for (name, keeps) in [("with", true), ("without", false)] {
        let url = format!(
            "sqlite:{}",
            folder.join(name).with_extension("db").display()
        );
        let (engine, receiver) =
            world::engine_with(&url, |config| config.keeps_refusals = keeps).await;
        let workspace = engine.ids.new_id();
        world::settle_in(&engine, workspace).await;
        save_rules(&engine, workspace, rules).await;
        engines.push((engine, receiver, workspace));
    }
    let mut best = [Duration::MAX; 2];
    // In turn, so that a busy machine slows both.
    for _ in 0..ROUNDS {
        for (best, (engine, _, workspace)) in best.iter_mut().zip(&engines) {
            *best = send(engine, *workspace, events).await.min(*best);
        }
    }
    let [with, without] = best.map(|best| best.as_secs_f64());
    teller.tell(
        "10 000 rules, 36 refuse: an event with the record of candidates",
        with * 1e6,
        "µs",
        Goal::None,
    );
    teller.tell(
        "the record of candidates against none",
        with / without,
        "times",
        Goal::AtMost(1.2),
    );
    for (engine, ..) in engines {
        engine.store.close().await.unwrap();
    }
}

async fn save_rules(engine: &Engine, workspace: WorkspaceId, count: usize) {
    let mut tx = engine.store.begin().await.unwrap();
    for n in 0..count {
        let hook = if n < CANDIDATES { 0 } else { n };
        let document = json!({
            "version": 1, "name": "Bench",
            "triggers": [{"id": "call", "kind": KIND, "with": {"hook": format!("hook-{hook}")}}],
            "if": {"all": [
                {"field": "event.data.body.text", "op": "contains", "value": "#launch"},
                {"field": "event.data.body.likes", "op": "gt", "value": 100 + n % 100}]},
            "steps": [{"id": "nothing", "action": "bench.nothing"}]
        });
        world::put_rule(&mut tx, engine, workspace, document).await;
    }
    tx.commit().await.unwrap();
    engine.reload_rules().await.unwrap();
}

/// The time of one event, its commit included.
async fn send(engine: &Engine, workspace: WorkspaceId, events: usize) -> Duration {
    let began = Instant::now();
    for n in 0..events {
        let body = json!({"id": n.to_string(), "text": "Our #launch is here", "likes": 50});
        let event = NewEvent::new(workspace, KIND, json!({"hook": "hook-0", "body": body}));
        engine.ingest(event).await.unwrap();
    }
    began.elapsed() / u32::try_from(events).unwrap()
}
