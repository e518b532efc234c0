//! The job engine alone: jobs that do nothing are inserted in batches and drained.

use std::time::{Duration, Instant};

use serde_json::json;
use so_engine::{Engine, admit::JOB_RUN, loops};
use so_model::{IdSource as _, event::NewEvent, id::WorkspaceId, time::MINUTE};
use so_store::{jobs, jobs::Job};
use so_testkit::figures::{Ask, Goal, Teller, progress};

use crate::world::{self, KIND, OWNER};

/// Jobs inserted in one transaction.
const BATCH: usize = 250;
/// Kind of the jobs that are no run's.
const BARE: &str = "bench";
/// Steps of a run in the second measurement.
const STEPS: usize = 10;
/// A drain that takes longer is a defect.
const PATIENCE: Duration = Duration::from_secs(120);

pub async fn measure(ask: &Ask, database: &'static str, url: &str) {
    let teller = Teller::on("jobs", database);
    let (engine, receiver) = world::engine(url).await;
    let workspace = engine.ids.new_id();
    prepare(&engine, workspace).await;
    let running = loops::start(engine.clone(), receiver).await.unwrap();
    let jobs = ask.size(20_000, 500);
    progress(&format!("{database}: {jobs} jobs"));
    // Once unmeasured: statements are prepared, files have grown.
    drain(&engine, workspace, "one", jobs / 10).await;
    let took = drain(&engine, workspace, "one", jobs).await;
    teller.tell(
        "runs of one no-op step, inserted and drained per s",
        jobs as f64 / took.as_secs_f64(),
        "1/s",
        Goal::AtLeast(20_000.0),
    );
    let took = drain(&engine, workspace, "ten", jobs / STEPS).await;
    teller.tell(
        "no-op steps per s in runs of ten",
        jobs as f64 / took.as_secs_f64(),
        "1/s",
        Goal::None,
    );
    running.drain(PATIENCE).await;
    carry(&engine, workspace, jobs / 10).await;
    let took = carry(&engine, workspace, jobs).await;
    teller.tell(
        "jobs without a run, inserted, claimed and settled per s",
        jobs as f64 / took.as_secs_f64(),
        "1/s",
        Goal::AtLeast(20_000.0),
    );
    engine.store.close().await.unwrap();
}

async fn prepare(engine: &Engine, workspace: WorkspaceId) {
    world::settle_in(engine, workspace).await;
    for (hook, steps) in [("one", 1), ("ten", STEPS)] {
        let steps: Vec<_> = (0..steps)
            .map(|n| json!({"id": format!("s{n}"), "action": "bench.nothing"}))
            .collect();
        let document = json!({
            "version": 1, "name": hook, "steps": steps,
            "triggers": [{"id": "call", "kind": KIND, "with": {"hook": hook}}]
        });
        world::save_rule(engine, workspace, document).await;
    }
}

/// Inserts runs and waits until none is left.
async fn drain(engine: &Engine, workspace: WorkspaceId, hook: &str, count: usize) -> Duration {
    let began = Instant::now();
    let mut left = count;
    while left > 0 {
        let batch = left.min(BATCH);
        let mut tx = engine.store.begin().await.unwrap();
        let event = |_| NewEvent::new(workspace, KIND, json!({"hook": hook, "body": {}}));
        let events = (0..batch).map(event).collect();
        let admissions = engine.admit_all(&mut tx, events).await.unwrap();
        tx.commit().await.unwrap();
        engine.hand_over_all(admissions);
        left -= batch;
    }
    while is_busy(engine).await {
        assert!(began.elapsed() < PATIENCE, "the jobs are not drained");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

/// Asked by the index: counting all jobs again and again would be a measurement of that.
async fn is_busy(engine: &Engine) -> bool {
    let mut reader = engine.store.clone();
    let due = jobs::next_due(&mut reader, JOB_RUN).await.unwrap();
    due.is_some()
        || !jobs::list_owned(&mut reader, OWNER, 1)
            .await
            .unwrap()
            .is_empty()
}

/// The queue alone, as job queues are measured: rows are inserted in batches, become free, are claimed and settled
/// in batches, each batch in a transaction that is on disk before the next one begins.
async fn carry(engine: &Engine, workspace: WorkspaceId, count: usize) -> Duration {
    let now = engine.ids.now();
    let until = now.plus(MINUTE);
    let job = |n: usize| Job {
        id: engine.ids.new_id(),
        workspace,
        kind: BARE.into(),
        subject: n.to_string(),
        epoch: 1,
        tries: 1,
    };
    let all: Vec<Job> = (0..count).map(job).collect();
    let began = Instant::now();
    for batch in all.chunks(BATCH) {
        let mut tx = engine.store.begin().await.unwrap();
        jobs::insert_claimed(&mut tx, batch, OWNER, now, until)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
    let mut tx = engine.store.begin().await.unwrap();
    jobs::rescue_all(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let mut left = count;
    while left > 0 {
        let mut tx = engine.store.begin().await.unwrap();
        let claimed = jobs::claim(&mut tx, BARE, now, OWNER, until, BATCH as i64)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let mut tx = engine.store.begin().await.unwrap();
        let claimed: Vec<&Job> = claimed.iter().collect();
        let settled = jobs::finish_many(&mut tx, &claimed).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(settled.len(), left.min(BATCH), "a job was lost");
        left -= settled.len();
    }
    began.elapsed()
}
