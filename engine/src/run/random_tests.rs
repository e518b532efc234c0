//! Random small rules, run once undisturbed and once with the process lost at random awaits: what became of them
//! must be the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use so_model::{
    event::NewEvent,
    time::{MINUTE, SECOND},
};

use crate::testing::World;

/// Worlds; each costs two runs of everything in it.
const WORLDS: u64 = 6;
/// Rules of a world.
const RULES: usize = 8;
/// Levels of steps within steps.
const DEPTH_MAX: usize = 3;
/// Minutes from one look to the next; sums up to more than any random rule waits.
const SPANS: [i64; 20] = [
    0, 1, 1, 1, 2, 2, 3, 5, 8, 13, 30, 30, 30, 30, 30, 30, 30, 30, 30, 120,
];
/// Polls after which a process is lost at the latest, counted from its last start.
const POLLS_MAX: u64 = 150;

/// Writes steps by chance.
pub(crate) struct Author {
    rng: StdRng,
    next: usize,
}

impl Author {
    /// Who writes the same for the same seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            next: 0,
        }
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.rng.random_range(0..all.len())].clone()
    }

    fn steps(&mut self, depth: usize, in_loop: bool) -> Vec<Value> {
        let count = self.rng.random_range(1..=3);
        (0..count).map(|_| self.step(depth, in_loop)).collect()
    }

    fn step(&mut self, depth: usize, in_loop: bool) -> Value {
        self.next += 1;
        let mut step = self.body(depth, in_loop);
        step["id"] = json!(format!("s{}", self.next));
        self.next += 1;
        let kind = ["action", "for_each", "parallel", "if", "choose"];
        let may_fail = kind.iter().any(|key| step.get(key).is_some());
        if may_fail && self.rng.random_range(0..4) == 0 {
            step["on_error"] = Value::Array(self.steps(DEPTH_MAX, in_loop));
        }
        if may_fail && self.rng.random_range(0..4) == 0 {
            step["timeout"] = json!(self.one_of(&["30s", "2m", "10m"]));
        }
        step
    }

    fn body(&mut self, depth: usize, in_loop: bool) -> Value {
        let kinds = if depth < DEPTH_MAX { 12 } else { 7 };
        match self.rng.random_range(0..kinds) {
            0 | 1 => {
                let text = if in_loop {
                    "{{ item }}"
                } else {
                    "{{ event.data.n }}"
                };
                json!({"action": "test.echo", "with": {"n": text, "x": "{{ vars.x }}", "emit": "test.out",
                       "fail": self.rng.random_range(0..6) == 0}})
            }
            2 | 3 => {
                let fails = self.rng.random_range(0..5);
                json!({"action": "test.call", "with": {"fails": fails, "x": "{{ vars.x }}"},
                       "retry": {"tries": 3, "first": "1m", "factor": 2.0, "jitter": 0.0}})
            }
            4 => {
                let text = if in_loop {
                    "{{ vars.x * 3 + item }}"
                } else {
                    "{{ vars.x + 1 }}"
                };
                json!({"set": {"x": text}})
            }
            5 => json!({"delay": {"for": self.one_of(&["1m", "3m", "7m"])}}),
            6 => {
                let mut wait = json!({"event": "test.echoed", "timeout": self.one_of(&["2m", "9m"]),
                    "on_timeout": self.one_of(&["go_on", "fail"])});
                match self.rng.random_range(0..3) {
                    0 => {
                        wait["if"] = json!({"field": "event.data.n", "op": "eq", "value": self.rng.random_range(0..4)})
                    }
                    1 => wait["subject"] = json!("{{ event.data.who }}"),
                    _ => {}
                }
                json!({ "wait_for": wait })
            }
            7 | 8 => {
                let steps = self.steps(depth + 1, true);
                let items: Vec<usize> = (0..self.rng.random_range(0..4)).collect();
                json!({"for_each": {"items": items, "parallel": self.rng.random_range(1..=3)}, "do": steps})
            }
            9 => {
                let ways = self.rng.random_range(2..=3);
                let ways: Vec<_> = (0..ways).map(|_| self.steps(depth + 1, in_loop)).collect();
                json!({ "parallel": ways })
            }
            10 => {
                json!({"if": {"field": "vars.x", "op": "gt", "value": self.rng.random_range(0..4)},
                         "then": self.steps(depth + 1, in_loop), "else": self.steps(depth + 1, in_loop)})
            }
            _ => {
                json!({"choose": [{"if": {"expr": "vars.x % 2 == 0"}, "then": self.steps(depth + 1, in_loop)}],
                        "otherwise": [{"id": format!("stop{}", self.next), "stop": {"reason": "odd",
                            "error": self.rng.random_range(0..2) == 0}}]})
            }
        }
    }

    pub(crate) fn rule(&mut self, number: usize) -> String {
        let mut steps = vec![json!({"id": "first", "set": {"x": 1}})];
        steps.extend(self.steps(1, false));
        json!({"version": 1, "name": format!("rule {number}"), "triggers": [{"id": "t", "kind": "test.happened"}],
               "steps": steps})
        .to_string()
    }
}

/// A future that is given up after so many polls.
struct Cut<F> {
    inner: F,
    polls: u64,
}

impl<F: Future + Unpin> Future for Cut<F> {
    type Output = Option<F::Output>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        Pin::new(&mut self.inner).poll(cx).map(Some)
    }
}

/// Works until nothing is due; with chance, the process is lost on the way and another goes on.
async fn settle(world: &mut World, chance: &mut Option<StdRng>) -> usize {
    let mut lost = 0;
    while let Some(rng) = chance {
        let polls = rng.random_range(1..POLLS_MAX);
        let whole = {
            let World {
                engine, receiver, ..
            } = world;
            let work = Box::pin(engine.run_until_idle(receiver));
            Cut { inner: work, polls }.await
        };
        match whole {
            Some(done) => {
                done.unwrap();
                // Now and then also between two pieces of work.
                if rng.random_range(0..4) == 0 {
                    world.crash_and_restart().await;
                }
                break;
            }
            None => {
                lost += 1;
                world.crash_and_restart().await;
            }
        }
    }
    world.settle().await;
    lost
}

/// What became of each rule: its end, every outcome by its place, and what the outside and other rules heard.
type Effects = BTreeMap<String, (Value, BTreeMap<String, Value>)>;

async fn effects(
    rules: &[String],
    mut chance: Option<StdRng>,
) -> (Effects, BTreeSet<String>, usize, usize) {
    let mut world = World::new().await;
    let mut names = BTreeMap::new();
    for rule in rules {
        let name = serde_json::from_str::<Value>(rule).unwrap()["name"].clone();
        let id = world.rule(rule).await;
        names.insert(id, name.as_str().unwrap().to_owned());
    }
    world
        .event("test.happened", json!({"n": 5, "who": "ann"}))
        .await;
    let mut lost = 0;
    for (tick, minutes) in SPANS.into_iter().enumerate() {
        world.clock.advance(minutes * MINUTE + SECOND);
        let who = if tick % 2 == 0 { "ann" } else { "bob" };
        let event = NewEvent::new(world.workspace, "test.echoed", json!({"n": tick % 4}));
        let event = event.about(who).from_source("outside", tick.to_string());
        world.engine.ingest(event).await.unwrap();
        lost += settle(&mut world, &mut chance).await;
    }
    let mut found = Effects::new();
    let mut runs = BTreeMap::new();
    for run in world.runs().await {
        let name = names[&run.rule].clone();
        let mut memos = BTreeMap::new();
        for mut memo in world.memos(&run).await {
            // An event's own id is by chance.
            if let Some(event) = memo.output["event"].as_object_mut() {
                event.remove("id");
            }
            let told = json!([
                memo.outcome,
                memo.output,
                memo.error,
                memo.started_at,
                memo.finished_at
            ]);
            memos.insert(format!("{}#{}", memo.path, memo.attempt), told);
        }
        runs.insert(run.id.to_string(), name.clone());
        found.insert(name, (json!([run.state, run.reason]), memos));
    }
    // A receiver drops a repeated call by its key.
    let calls = world.remote_calls.lock().unwrap().clone();
    let calls = calls.iter().map(|key| {
        let (run, path) = key.split_once('/').unwrap();
        format!("{} {path}", runs[run])
    });
    let calls = calls.collect();
    let mut reader = world.engine.store.clone();
    let out =
        so_store::events::list(&mut reader, world.workspace, "test.out", "", "", 10_000).await;
    (found, calls, out.unwrap().len(), lost)
}

#[tokio::test]
async fn a_run_that_is_lost_at_any_await_ends_as_the_undisturbed_one() {
    let (mut lost, mut ways, mut open) = (0, BTreeMap::<String, usize>::new(), 0);
    for seed in 0..WORLDS {
        let mut author = Author::new(seed);
        let rules: Vec<String> = (0..RULES).map(|number| author.rule(number)).collect();
        let whole = effects(&rules, None).await;
        let broken = effects(&rules, Some(StdRng::seed_from_u64(seed ^ 0xfeed))).await;
        for (name, told) in &whole.0 {
            let number: usize = name.rsplit(' ').next().unwrap().parse().unwrap();
            let other = &broken.0[name];
            let differs = |(place, memo): &(&String, &Value)| other.1.get(*place) != Some(*memo);
            let first = told.1.iter().find(differs);
            assert!(
                told == other,
                "world {seed}, {}\n{} or {}\n{first:?}\n{:?}",
                rules[number],
                told.0,
                other.0,
                first.and_then(|(place, _)| other.1.get(place))
            );
            *ways.entry(told.0[0].to_string()).or_default() += 1;
            open += usize::from(
                !["\"finished\"", "\"failed\""].contains(&told.0[0].to_string().as_str()),
            );
        }
        assert_eq!((&whole.1, whole.2), (&broken.1, broken.2), "world {seed}");
        lost += broken.3;
    }
    // Or nothing was tried.
    assert!(lost > 10, "{lost} processes were lost");
    assert_eq!(open, 0, "{ways:?}");
    assert!(
        ways["\"finished\""] > 5 && ways["\"failed\""] > 5,
        "{ways:?}"
    );
}
