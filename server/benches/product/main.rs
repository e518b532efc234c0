//! Workload E: a webhook of `{id, text, likes, network}` starts a rule whose
//! condition half of the calls meet, and which calls a sink on loopback.
//!
//! The whole binary is measured, as a user would run it, on SQLite and on
//! PostgreSQL; every event, run and step is stored before the answer or the
//! call. Prints one table. `cargo xtask bench -- --events N` sets the size.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod client;
mod machine;
mod product;
mod sink;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use client::Client;
use product::Product;
use sink::Sink;
use so_testkit::postgres::PostgresCluster;

/// Connections that send at once.
const CONNECTIONS: usize = 32;
/// Calls made one at a time.
const SINGLE: usize = 400;
/// Calls a second in the paced part, and for how long.
const RATE: u64 = 300;
const PACED_SECONDS: u64 = 5;
/// A part that takes longer is reported as stuck.
const PATIENCE: Duration = Duration::from_secs(180);

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let events = args
        .iter()
        .position(|word| word == "--events")
        .and_then(|at| args.get(at + 1)?.parse().ok())
        .unwrap_or(20_000);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        println!(
            "fsync median: {:.3} ms",
            machine::fsync_median().as_secs_f64() * 1e3
        );
        let folder = tempfile::tempdir().unwrap();
        let sqlite = measure(folder.path(), None, events).await;
        let cluster = PostgresCluster::start();
        let postgres = match &cluster {
            Ok(cluster) => {
                let folder = tempfile::tempdir().unwrap();
                Some(
                    measure(
                        folder.path(),
                        Some(cluster.create_fresh_database().unwrap()),
                        events,
                    )
                    .await,
                )
            }
            Err(unavailable) => {
                eprintln!("!!! PostgreSQL is left out: {}", unavailable.reason);
                None
            }
        };
        print_table(&sqlite, postgres.as_ref());
    });
}

struct Figures {
    start: Duration,
    rest_memory: u64,
    accepted: f64,
    processed: f64,
    cpu_per_event: f64,
    peak_memory: u64,
    single: (Duration, Duration),
    paced: (Duration, Duration),
    lost: usize,
}

async fn measure(folder: &std::path::Path, database: Option<String>, events: usize) -> Figures {
    let sink = Sink::start().await;
    let product = Product::start(folder, database, sink.port).await;
    let hook = product.prepare(sink.port).await;
    let rest_memory = product.memory();
    let single = one_at_a_time(&product, &hook, &sink).await;
    let paced = paced(&product, &hook, &sink).await;
    let before = product.cpu();
    let (accepted, processed, lost) = burst(&product, &hook, &sink, events).await;
    Figures {
        start: product.started_in,
        rest_memory,
        accepted,
        processed,
        cpu_per_event: (product.cpu() - before).as_secs_f64() * 1e3 / events as f64,
        peak_memory: product.peak_memory(),
        single,
        paced,
        lost,
    }
}

fn body(id: usize, is_match: bool) -> String {
    let likes = if is_match { 150 } else { 50 };
    format!(
        r##"{{"id":"{id}","text":"Our #launch is here","likes":{likes},"network":"mastodon"}}"##
    )
}

async fn one_at_a_time(product: &Product, hook: &str, sink: &Sink) -> (Duration, Duration) {
    let mut client = Client::connect(product.port).await;
    let mut times = Vec::new();
    for n in 0..SINGLE {
        let id = 10_000_000 + n;
        let began = Instant::now();
        assert_eq!(client.post(hook, &body(id, true)).await, 202);
        let arrived = sink
            .wait_for(id, PATIENCE)
            .await
            .expect("the sink must be called");
        times.push(arrived.duration_since(began));
    }
    percentiles(times)
}

async fn paced(product: &Product, hook: &str, sink: &Sink) -> (Duration, Duration) {
    let gap = Duration::from_micros(1_000_000 / RATE);
    let began = Instant::now();
    let mut tasks = Vec::new();
    let clients: Vec<_> =
        futures_util::future::join_all((0..8).map(|_| async {
            Arc::new(tokio::sync::Mutex::new(Client::connect(product.port).await))
        }))
        .await;
    for n in 0..(RATE * PACED_SECONDS) as usize {
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
        let arrived = sink
            .wait_for(id, PATIENCE)
            .await
            .expect("the sink must be called");
        times.push(arrived.duration_since(sent));
    }
    percentiles(times)
}

async fn burst(product: &Product, hook: &str, sink: &Sink, events: usize) -> (f64, f64, usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let accepted = Arc::new(AtomicUsize::new(0));
    let before = sink.count();
    let began = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let (next, accepted, hook, port) = (
            next.clone(),
            accepted.clone(),
            hook.to_string(),
            product.port,
        );
        tasks.push(tokio::spawn(async move {
            let mut client = Client::connect(port).await;
            loop {
                let id = next.fetch_add(1, Ordering::Relaxed);
                if id >= events {
                    return;
                }
                // 429 is back-pressure: the caller tries again, as a well-behaved one would.
                while client.post(&hook, &body(id, id % 2 == 0)).await != 202 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                accepted.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let accept_time = began.elapsed();
    let wanted = events.div_ceil(2);
    while sink.count() - before < wanted && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let all_time = began.elapsed();
    let lost = wanted.saturating_sub(sink.count() - before);
    let rate = |time: Duration| events as f64 / time.as_secs_f64();
    (rate(accept_time), rate(all_time), lost)
}

fn percentiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn print_table(sqlite: &Figures, postgres: Option<&Figures>) {
    let row = |name: &str, goal: &str, show: &dyn Fn(&Figures) -> String| {
        let other = postgres.map_or_else(|| "-".to_string(), show);
        println!(
            "| {name:44} | {goal:>12} | {:>18} | {other:>18} |",
            show(sqlite)
        );
    };
    let two = |pair: (Duration, Duration)| {
        format!(
            "{:.2} / {:.2} ms",
            pair.0.as_secs_f64() * 1e3,
            pair.1.as_secs_f64() * 1e3
        )
    };
    row("workload E", "goal", &|_| "measured".into());
    row(
        "webhooks accepted per s, 32 connections",
        ">= 10000",
        &|f| format!("{:.0}", f.accepted),
    );
    row("events processed to the end per s", ">= 8000", &|f| {
        format!("{:.0}", f.processed)
    });
    row("end to end p50 / p99, one at a time", "1.5 / 5 ms", &|f| {
        two(f.single)
    });
    row("end to end p50 / p99 at 300 per s", "1.5 / 4 ms", &|f| {
        two(f.paced)
    });
    row("CPU per event under load", "0.15 ms", &|f| {
        format!("{:.3} ms", f.cpu_per_event)
    });
    row("lost", "0", &|f| f.lost.to_string());
    row("memory at rest / at peak", "40 / 120 MB", &|f| {
        format!(
            "{} / {} MB",
            f.rest_memory / 1_000_000,
            f.peak_memory / 1_000_000
        )
    });
    row("start to first answer", "0.25 s", &|f| {
        format!("{:.2} s", f.start.as_secs_f64())
    });
}
