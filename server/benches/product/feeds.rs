//! Ten thousand feeds that have not changed.

use std::time::{Duration, Instant};

use so_engine::clock::{Clock as _, SystemClock};
use so_model::{Timestamp, id::FeedId, time::DAY};
use so_store::feeds::{self, Feed, FeedState};
use so_testkit::figures::{Ask, Goal, progress};

use crate::{
    ground::Ground,
    loopback::{Call, Loopback, Reply},
    product::Product,
};

/// Hosts that the feeds lie at: one host is asked for one feed at a time.
const HOSTS: usize = 200;
/// The poller wakes up every 15 seconds; more of them than that are a defect.
const PATIENCE: Duration = Duration::from_secs(600);

pub async fn measure(ask: &Ask, ground: &Ground) {
    let teller = ground.teller("feeds");
    let count = ask.size(10_000, 1_000);
    let hosts = Loopback::start(unchanged).await;
    let product = Product::start(ground, hosts.port).await;
    let desk = product.register().await;
    product.end().await;
    subscribe(ground, &desk.workspace, hosts.port, count).await;
    let product = Product::start(ground, hosts.port).await;
    product.forget_peak();
    progress(&format!("{count} feeds"));
    let began = Instant::now();
    let all = hosts.wait_for_count(count, PATIENCE).await;
    let fetched = hosts.count();
    let (first, last) = hosts.span().unwrap_or((began, Instant::now()));
    assert!(all, "only {fetched} feeds were fetched");
    teller.tell(
        "unchanged feeds fetched per s",
        fetched as f64 / last.duration_since(first).as_secs_f64(),
        "1/s",
        Goal::AtLeast(500.0),
    );
    let peak = product.peak_memory();
    teller.tell("memory at peak", peak, "MB", Goal::AtMost(150.0));
}

fn unchanged(call: &Call) -> Reply {
    let path = call.head.split(' ').nth(1).unwrap_or_default();
    let number = path.strip_prefix("/feed/").and_then(|n| n.parse().ok());
    let is_conditional = call.head.contains("\r\nif-none-match: \"v1\"\r\n");
    Reply {
        status: if is_conditional {
            "304 Not Modified"
        } else {
            "500 Wrong"
        },
        headers: "etag: \"v1\"\r\n",
        body: String::new(),
        number: number.filter(|_| is_conditional),
    }
}

async fn subscribe(ground: &Ground, workspace: &str, port: u16, count: usize) {
    let store = ground.store().await;
    let now = SystemClock.now();
    let mut tx = store.begin().await.unwrap();
    for n in 0..count {
        let host = n % HOSTS;
        let feed = Feed {
            id: FeedId::derived(&[&n.to_string()]),
            workspace: workspace.parse().unwrap(),
            url: format!("http://127.0.1.{}:{port}/feed/{n}", host + 1),
            title: format!("Feed {n}"),
            state: FeedState::Active,
            etag: Some("\"v1\"".into()),
            last_modified: None,
            interval_s: DAY / 1_000_000,
            failures: 0,
            problem: None,
            next_poll_at: Timestamp::from_micros(0),
            polled_at: None,
            lease_until: Timestamp::from_micros(0),
            is_primed: true,
            created_at: now,
        };
        feeds::insert(&mut tx, &feed).await.unwrap();
    }
    tx.commit().await.unwrap();
    store.close().await.unwrap();
}
