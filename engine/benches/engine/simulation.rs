//! A year of history, played by a hundred rules: reading it included.

use std::time::Instant;

use serde_json::json;
use so_engine::{
    Engine,
    simulate::{self, SPAN_MAX},
};
use so_model::{
    IdSource as _, Timestamp,
    event::{Cause, Event},
    id::{EventId, WorkspaceId},
    time::DAY,
};
use so_store::events;
use so_testkit::figures::{Ask, Goal, Teller, progress};

use crate::world::{self, KIND};

/// Rules that take part; ten listen to each of ten hooks.
const RULES: usize = 100;
/// Hooks that are called in turn.
const HOOKS: usize = 10;
/// One event in so many starts runs.
const STARTS_ONE_IN: usize = 50;
/// Events stored by one statement.
const AT_ONCE: usize = 500;

/// Fills a database and plays what it holds.
pub async fn measure(ask: &Ask, folder: &std::path::Path) {
    let teller = Teller::on("simulation", "sqlite");
    let count = ask.size(1_000_000, 5_000);
    let url = format!("sqlite:{}", folder.join("history.db").display());
    let (engine, _receiver) = world::engine(&url).await;
    let workspace: WorkspaceId = engine.ids.new_id();
    world::settle_in(&engine, workspace).await;
    let until = engine.now();
    let from = until.plus(-365 * DAY);
    progress(&format!("{count} events of a year are stored"));
    fill(&engine, workspace, count, from).await;
    save_rules(&engine, workspace).await;
    progress("and played");
    let asked = simulate::Ask {
        workspace,
        from,
        until: until.min(from.plus(SPAN_MAX)),
        kinds: Vec::new(),
        drafts: Vec::new(),
        without: Vec::new(),
        events_max: simulate::EVENTS_MAX,
    };
    let began = Instant::now();
    let told = simulate::simulate(&engine, &engine.scripts, &asked)
        .await
        .unwrap();
    let took = began.elapsed().as_secs_f64();
    assert_eq!(told.events, count as u64, "every event is played");
    let starts: u64 = told.rules.iter().map(|rule| rule.started).sum();
    assert!(starts > 0, "some rules start");
    teller.tell(
        "a year of 1 000 000 events against 100 rules",
        took,
        "s",
        Goal::AtMost(60.0),
    );
    teller.tell(
        "events played, reading included",
        count as f64 / took,
        "1/s",
        Goal::AtLeast(17_000.0),
    );
    engine.store.close().await.unwrap();
}

async fn fill(engine: &Engine, workspace: WorkspaceId, count: usize, from: Timestamp) {
    let apart = 365 * DAY / i64::try_from(count).unwrap();
    let mut next = 0;
    while next < count {
        let many = AT_ONCE.min(count - next);
        let made: Vec<Event> = (next..next + many)
            .map(|n| {
                let at = from.plus(i64::try_from(n).unwrap() * apart + 1_000);
                let likes = if n.is_multiple_of(STARTS_ONE_IN) { 500 } else { n % 100 };
                let mut random = [0; 10];
                random[..8].copy_from_slice(&(n as u64).to_be_bytes());
                Event {
                    id: EventId::from_parts(at, random),
                    workspace,
                    kind: KIND.into(),
                    source: "hook/bench".into(),
                    dedupe: n.to_string(),
                    subject: None,
                    time: at,
                    data: json!({"hook": format!("hook-{}", n % HOOKS),
                        "body": {"id": n.to_string(), "text": "Our #launch is here", "likes": likes}}),
                    cause: Cause::default(),
                }
            })
            .collect();
        let mut tx = engine.store.begin().await.unwrap();
        for event in &made {
            // Each was stored at its own moment.
            events::insert(&mut tx, event, true, event.time)
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();
        next += many;
    }
}

async fn save_rules(engine: &Engine, workspace: WorkspaceId) {
    let mut tx = engine.store.begin().await.unwrap();
    for n in 0..RULES {
        let document = json!({
            "version": 1, "name": format!("Bench {n}"),
            "triggers": [{"id": "call", "kind": KIND, "with": {"hook": format!("hook-{}", n % HOOKS)}}],
            "if": {"all": [
                {"field": "event.data.body.text", "op": "contains", "value": "#launch"},
                {"field": "event.data.body.likes", "op": "gt", "value": 100 + n}]},
            "throttle": {"max": 10, "per": "1d"},
            "steps": [
                {"id": "wait", "delay": {"for": "10m"}},
                {"id": "nothing", "action": "bench.call", "with": {"likes": "{{ event.data.body.likes }}"}}]
        });
        world::put_rule(&mut tx, engine, workspace, document).await;
    }
    tx.commit().await.unwrap();
    engine.reload_rules().await.unwrap();
}
