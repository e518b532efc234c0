//! Workload E: a webhook of `{id, text, likes, network}` starts a rule whose
//! condition half of the calls meet, and which calls a sink on loopback.
//!
//! Every event, run and step is stored before the answer or the call.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use so_testkit::figures::{Ask, Goal, progress};

use crate::{client::Client, ground::Ground, loopback::Loopback, product::Product};

/// Connections that send at once.
const CONNECTIONS: usize = 32;
/// Calls made one at a time.
const SINGLE: usize = 400;
/// Calls a second in the paced part, and for how long.
const RATE: u64 = 300;
const PACED_SECONDS: u64 = 5;
/// Between the end of the preparation and the look at the memory at rest.
const REST: Duration = Duration::from_secs(3);
/// A part that takes longer is reported as stuck.
const PATIENCE: Duration = Duration::from_secs(180);

pub async fn measure(ask: &Ask, ground: &Ground) {
    let teller = ground.teller("events");
    let sink = Loopback::sink().await;
    let product = Product::start(ground, sink.port).await;
    let desk = product.register().await;
    let hook = product.workload(&desk, sink.port).await;
    tokio::time::sleep(REST).await;
    let at_rest = product.memory();
    product.forget_peak();
    progress("one at a time");
    let single = one_at_a_time(&product, &hook, &sink, ask.size(SINGLE, 40)).await;
    progress("at a steady rate");
    let paced = paced(&product, &hook, &sink, ask.size(PACED_SECONDS as usize, 1)).await;
    progress("as fast as it takes them");
    let before = product.cpu();
    let events = ask.size(20_000, 1_000);
    let burst = burst(&product, &[hook], &sink, events, 0).await;
    let cpu = (product.cpu() - before).as_secs_f64() * 1e3 / events as f64;

    teller.tell(
        "webhooks accepted per s, 32 connections",
        burst.accepted,
        "1/s",
        Goal::AtLeast(10_000.0),
    );
    teller.tell(
        "events processed to the end per s",
        burst.processed,
        "1/s",
        Goal::AtLeast(8_000.0),
    );
    let (half, most) = (Goal::AtMost(1.5), Goal::AtMost(5.0));
    teller.tell_times("end to end, one at a time", single, half, most);
    let most = Goal::AtMost(4.0);
    teller.tell_times("end to end at 300 per s", paced, half, most);
    teller.tell("CPU per event under load", cpu, "ms", Goal::AtMost(0.15));
    teller.tell("events lost", burst.lost as f64, "", Goal::AtMost(0.0));
    teller.tell("memory at rest", at_rest, "MB", Goal::AtMost(40.0));
    let peak = product.peak_memory();
    teller.tell("memory at peak", peak, "MB", Goal::AtMost(120.0));
}

fn body(id: usize, is_match: bool) -> String {
    let likes = if is_match { 150 } else { 50 };
    format!(
        r##"{{"id":"{id}","text":"Our #launch is here","likes":{likes},"network":"mastodon"}}"##
    )
}

async fn one_at_a_time(
    product: &Product,
    hook: &str,
    sink: &Loopback,
    count: usize,
) -> Vec<Duration> {
    let mut client = Client::connect(product.port).await;
    let mut times = Vec::new();
    for n in 0..count {
        let id = 10_000_000 + n;
        let began = Instant::now();
        assert_eq!(client.post(hook, &body(id, true)).await, 202);
        let arrived = sink.wait_for(id, PATIENCE).await;
        let arrived = arrived.expect("the sink must be called");
        times.push(arrived.duration_since(began));
    }
    times
}

async fn paced(product: &Product, hook: &str, sink: &Loopback, seconds: usize) -> Vec<Duration> {
    let gap = Duration::from_micros(1_000_000 / RATE);
    let began = Instant::now();
    let mut tasks = Vec::new();
    let clients: Vec<_> =
        futures_util::future::join_all((0..8).map(|_| async {
            Arc::new(tokio::sync::Mutex::new(Client::connect(product.port).await))
        }))
        .await;
    for n in 0..RATE as usize * seconds {
        tokio::time::sleep_until((began + gap * n as u32).into()).await;
        let (client, hook) = (clients[n % clients.len()].clone(), hook.to_string());
        tasks.push(tokio::spawn(async move {
            let sent = Instant::now();
            let id = 20_000_000 + n;
            assert_eq!(client.lock().await.post(&hook, &body(id, true)).await, 202);
            (id, sent)
        }));
    }
    let mut times = Vec::new();
    for task in tasks {
        let (id, sent) = task.await.unwrap();
        let arrived = sink.wait_for(id, PATIENCE).await;
        let arrived = arrived.expect("the sink must be called");
        times.push(arrived.duration_since(sent));
    }
    times
}

/// What a burst came to.
pub struct Burst {
    /// Calls answered per second.
    pub accepted: f64,
    /// Events done to the end per second.
    pub processed: f64,
    /// Calls of the sink that never came.
    pub lost: usize,
}

/// Sends events to the hooks in turn as fast as they are taken; ids begin at `first`, which is even.
pub async fn burst(
    product: &Product,
    hooks: &[String],
    sink: &Loopback,
    events: usize,
    first: usize,
) -> Burst {
    let next = Arc::new(AtomicUsize::new(0));
    let hooks: Arc<[String]> = hooks.into();
    let before = sink.count();
    let began = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let (next, hooks, port) = (next.clone(), hooks.clone(), product.port);
        tasks.push(tokio::spawn(async move {
            let mut client = Client::connect(port).await;
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= events {
                    return;
                }
                let body = body(first + n, n % 2 == 0);
                // 429 is back-pressure: the caller tries again, as a well-behaved one would.
                loop {
                    match client.post(&hooks[n % hooks.len()], &body).await {
                        202 => break,
                        429 => tokio::time::sleep(Duration::from_millis(5)).await,
                        status => panic!("a delivery was answered with {status}"),
                    }
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let accept_time = began.elapsed();
    let wanted = events.div_ceil(2);
    sink.wait_for_count(before + wanted, PATIENCE).await;
    let all_time = began.elapsed();
    let rate = |time: Duration| events as f64 / time.as_secs_f64();
    Burst {
        accepted: rate(accept_time),
        processed: rate(all_time),
        lost: wanted.saturating_sub(sink.count() - before),
    }
}
