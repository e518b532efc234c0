//! PostgreSQL is killed with all its children and comes back; nobody starts the server again.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use serde_json::json;
use so_testkit::{
    counterpart::or_skip,
    postgres::PostgresCluster,
    product::{Product, wait_for, wait_telling},
};

use crate::{
    book,
    desk::{Desk, PASSWORD},
    ground::Ground,
    load::{Callers, Site, asks_for_patience},
    sink::Sink,
};

/// What a run looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// That nothing is lost or doubled and work goes on.
    Results,
    /// The rate as well: at a pace, with a table.
    Rate,
}

/// Senders side by side; each has one call under way.
const SENDERS: usize = 4;
/// Senders of a run at a pace, so that calls that wait do not slow it down.
const PACED_SENDERS: usize = 32;
/// Calls a second of a run at a pace.
const PACE: usize = 200;
/// Arrivals that show that work goes on.
const SOME: usize = 20;
/// Something that takes a second; a machine with all cores taken needs far more.
const PROGRESS: Duration = Duration::from_secs(240);
/// The rate before is measured over this.
const BEFORE: Duration = Duration::from_secs(5);
/// The rate is back within this after PostgreSQL accepts connections.
const BACK_WITHIN: usize = 10;
/// Share of the rate before that counts as back, in percent.
const BACK_PERCENT: usize = 95;

/// A rule that tells the receiver of every call.
pub fn telling(sink: &Sink) -> String {
    format!(
        "{{version: 1, name: Calls are told, triggers: [{{id: call, kind: webhook.received}}], \
         steps: [{{id: tell, action: webhook.send, with: {{url: \"{}/\", \
         data: {{text: \"{{{{ event.data.body.text }}}}\"}}}}}}]}}",
        sink.url
    )
}

pub fn run(ground: &Ground, kills: usize, watch: Watch) {
    let Some(cluster) = or_skip("outage", PostgresCluster::start()) else {
        return;
    };
    let world = ground.world();
    let url = cluster.create_fresh_database().unwrap();
    let mut product = world.product(Some(&url));
    product.start_again();
    let desk = Desk::register(&product, "outage");
    let rule = desk.rule(&product, &telling(&world.sink));
    let site = Site::at(&product);
    let callers = Callers::new(&site, desk.hook(&product));
    let began = Instant::now();
    let pace = |number: usize| {
        if watch == Watch::Rate {
            let due = Duration::from_secs_f64(number as f64 / PACE as f64);
            sleep(due.saturating_sub(began.elapsed()));
        }
    };
    std::thread::scope(|scope| {
        let _end = site.ending();
        let senders = if watch == Watch::Rate {
            PACED_SENDERS
        } else {
            SENDERS
        };
        for _ in 0..senders {
            scope.spawn(|| callers.run(pace));
        }
        if watch == Watch::Rate {
            println!("kill | rate before | back after s | rate in the seconds after");
        }
        for kill in 1..=kills {
            goes_on(&world.sink);
            let before = if watch == Watch::Rate {
                rate(&world.sink, BEFORE)
            } else {
                0
            };
            cluster.crash_all().unwrap();
            is_away(&product, &desk);
            cluster.restart().unwrap();
            if watch == Watch::Rate {
                comes_back(&world.sink, kill, before);
            }
            goes_on(&world.sink);
        }
        wait_for("readiness", PROGRESS, || {
            (product.call("GET", "/readyz", None, None).status == 200).then_some(())
        });
        site.end();
    });
    let desk = Desk::log_in(&product, "outage@example.org", PASSWORD);
    let taken = callers.taken();
    book::received_once(&world.sink, &taken);
    book::one_run_each(&desk, &product, &rule, &taken);
    println!(
        "outage: {kills} kills of PostgreSQL, {} calls; 0 lost, 0 doubled",
        taken.len()
    );
}

/// Work reaches the outside.
pub fn goes_on(sink: &Sink) {
    let wanted = sink.count() + SOME;
    wait_telling("work to go on", PROGRESS, || {
        let count = sink.count();
        if count >= wanted {
            Ok(())
        } else {
            Err(format!("{count} of {wanted}"))
        }
    });
}

/// Everybody is told, and nobody hangs: a request that is silent for 20 seconds fails here.
fn is_away(product: &Product, desk: &Desk) {
    let ready = wait_for("readiness to fail", PROGRESS, || {
        let answer = product.call("GET", "/readyz", None, None);
        (answer.status == 503).then_some(answer)
    });
    asks_for_patience(&ready);
    let body = json!({"content": {"kind": "status", "text": "never taken"}});
    let answer = desk.send(product, "POST", "posts", Some(&body));
    assert_eq!(answer.status, 503, "{answer:?}");
    asks_for_patience(&answer);
    assert_eq!(product.call("GET", "/healthz", None, None).status, 200);
}

/// Arrivals a second over a while.
fn rate(sink: &Sink, over: Duration) -> usize {
    let before = sink.count();
    sleep(over);
    (sink.count() - before) / usize::try_from(over.as_secs().max(1)).unwrap()
}

fn comes_back(sink: &Sink, kill: usize, before: usize) {
    let seen = Cell::new(Vec::new());
    let after = (1..=BACK_WITHIN).find(|_| {
        let now = rate(sink, Duration::from_secs(1));
        let mut all = seen.take();
        all.push(now);
        seen.set(all);
        now * 100 >= before * BACK_PERCENT
    });
    let seen = seen.take();
    println!("{kill:4} | {before:11} | {after:12?} | {seen:?}");
    assert!(
        after.is_some(),
        "the rate did not come back: {before} before, {seen:?} after"
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "a rate is measured by the clock on the wall"
)]
fn sleep(span: Duration) {
    std::thread::sleep(span);
}
