//! The process that is killed: an engine with its loops, a port that speaks to the double, and, where it is
//! told so, the sender of a hook and a person who decides.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use so_engine::{
    Engine, EngineParts,
    clock::Ids,
    config::EngineConfig,
    loops,
    publish::{HumanDecision, JOB_PUBLICATION, check_histories, decide_by_hand},
    script::{ScriptEngine, ScriptLimits},
};
use so_model::{
    IdSource as _,
    account::AccountState,
    event::NewEvent,
    id::WorkspaceId,
    post::PostState,
    publication::{Publication, PublicationState},
    run::RunState,
    time::SECOND,
};
use so_store::{
    Store, StoreError, StoreOptions, accounts, events, jobs, posts, publications, runs, timers,
};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    acts,
    network::Class,
    port::{Port, SETTLE, ask},
};

/// Two looks that find nothing lie so far apart.
pub const ABSENT_GAP: i64 = 200_000;
/// Exit code of a process whose drain ran out.
pub const CUT_SHORT: i32 = 75;
/// Longest time that a process told to stop waits for what is under way.
const DRAIN: Duration = Duration::from_millis(300);
const LOOK: Duration = Duration::from_millis(30);

/// An event that comes from somebody who sends it until it is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sent {
    pub kind: String,
    /// Tells it from others of its kind.
    pub id: String,
    pub data: Value,
}

impl Sent {
    fn event(&self, workspace: WorkspaceId) -> NewEvent {
        let event = NewEvent::new(workspace, &self.kind, self.data.clone());
        event.from_source("sender", &self.id)
    }
}

/// What the process is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Orders {
    pub url: String,
    pub port: u16,
    pub class: Class,
    pub workspace: WorkspaceId,
    pub lease_secs: i64,
    pub call_secs: i64,
    pub workers: usize,
    pub spill: Option<PathBuf>,
    /// Comes at every start.
    pub sent: Option<Sent>,
    /// Come when the process is told to stop, before it stops.
    pub sent_last: Vec<Sent>,
    /// Jobs that nobody can bring to an end.
    pub jobs_that_stay: i64,
    /// Is there a person who connects accounts again and ends doubt?
    pub has_person: bool,
    pub prunes: bool,
}

/// What the process found in its database when all was over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub posts: Vec<PostState>,
    pub remote_ids: Vec<String>,
    pub runs: Vec<RunState>,
    pub due: usize,
    pub published: usize,
    pub happened: usize,
    pub run_failed: usize,
    /// Histories that the protocol could not have written.
    pub unlawful: Vec<String>,
}

/// Works until everything is settled; answers what it found.
pub async fn run(orders: Orders) -> Report {
    let mut term = signal(SignalKind::terminate()).unwrap();
    let options = StoreOptions {
        connections: 6,
        ..StoreOptions::at(&orders.url)
    };
    let store = patiently(|| Store::open(&options)).await;
    let (engine, receiver) = Engine::new(EngineParts {
        store: store.clone(),
        ids: Ids::system(),
        config: config(&orders),
        plugins: acts::plugins(orders.port, orders.class),
        scripts: ScriptEngine::new(ScriptLimits::default()),
        publisher: std::sync::Arc::new(Port {
            port: orders.port,
            class: orders.class,
        }),
    });
    let running = loops::start(engine.clone(), receiver).await.unwrap();
    if let Some(sent) = &orders.sent {
        patiently(|| engine.ingest(sent.event(orders.workspace))).await;
    }
    if orders.prunes {
        patiently(|| engine.prune()).await;
    }
    while !patiently(|| is_over(&store, &orders)).await {
        if orders.has_person {
            patiently(|| lend_a_hand(&engine, &orders)).await;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = term.recv() => {
                let last = orders.sent_last.iter().map(|sent| engine.ingest(sent.event(orders.workspace)));
                for ingested in futures_util::future::join_all(last).await {
                    ingested.unwrap();
                }
                let drained = running.drain(DRAIN).await;
                std::process::exit(if drained { 0 } else { CUT_SHORT });
            }
        }
    }
    running.drain(Duration::from_secs(5)).await;
    let report = patiently(|| look(&store, orders.workspace)).await;
    store.close().await.unwrap();
    report
}

/// A machine that stands still for seconds disproves nothing: what the database could not do is done again.
async fn patiently<T, F>(work: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    loop {
        match work().await {
            Ok(done) => return done,
            Err(error) if error.is_transient() => tokio::time::sleep(LOOK).await,
            Err(error) => panic!("{error}"),
        }
    }
}

fn config(orders: &Orders) -> EngineConfig {
    EngineConfig {
        lease: orders.lease_secs * SECOND,
        call_timeout: orders.call_secs * SECOND,
        workers: orders.workers,
        settle_override: Some(SETTLE),
        absent_gap: ABSENT_GAP,
        spill_file: orders.spill.clone(),
        is_alone: orders.url.starts_with("sqlite:"),
        ..EngineConfig::new(format!("drill-{}", std::process::id()))
    }
}

async fn all_publications(store: &Store) -> Result<Vec<Publication>, StoreError> {
    let mut found = Vec::new();
    for state in PublicationState::ALL {
        let rows = publications::list_by_state(&mut store.clone(), state, 50).await;
        found.extend(rows?);
    }
    Ok(found)
}

async fn is_over(store: &Store, orders: &Orders) -> Result<bool, StoreError> {
    let mut reader = store.clone();
    let filter = runs::RunFilter::default();
    // Runs first: what they wait for cannot be open once they are over.
    let runs = runs::list(&mut reader, orders.workspace, &filter, 50).await;
    let runs = runs?;
    if runs.is_empty() || runs.iter().any(|run| !run.state.is_over()) {
        return Ok(false);
    }
    if timers::next_due(&mut reader).await?.is_some() {
        return Ok(false);
    }
    let left = jobs::count_by_state(&mut reader).await?;
    let left: i64 = left.iter().map(|(_, count)| count).sum();
    if left > orders.jobs_that_stay {
        return Ok(false);
    }
    let open = |publication: &Publication| {
        let awaits_person = publication.state == PublicationState::NeedsReview && orders.has_person;
        !publication.state.is_settled() || awaits_person
    };
    Ok(!all_publications(store).await?.iter().any(open))
}

/// What people do: they connect an account again, look at the network and say what is there.
async fn lend_a_hand(engine: &Engine, orders: &Orders) -> Result<(), StoreError> {
    for publication in all_publications(&engine.store).await? {
        match publication.state {
            PublicationState::Held => connect_again(engine, &publication).await?,
            PublicationState::NeedsReview => decide(engine, orders, &publication).await?,
            _ => {}
        }
    }
    Ok(())
}

async fn connect_again(engine: &Engine, publication: &Publication) -> Result<(), StoreError> {
    let now = engine.now();
    let mut tx = engine.store.begin().await?;
    let lost = [AccountState::ReconnectRequired];
    let (workspace, account) = (publication.workspace, publication.account);
    let active = AccountState::Active;
    // Stale: done in a former life or look.
    let done = accounts::set_state(&mut tx, workspace, account, &lost, active, None, now).await;
    if done.is_ok() {
        let (job, subject) = (engine.ids.new_id(), publication.id.to_string());
        jobs::wake(&mut tx, job, workspace, JOB_PUBLICATION, &subject, now).await?;
        tx.commit().await?;
        engine.jobs_changed.ring();
    }
    Ok(())
}

async fn decide(
    engine: &Engine,
    orders: &Orders,
    publication: &Publication,
) -> Result<(), StoreError> {
    let mut reader = engine.store.clone();
    let row = publications::find_with_content(&mut reader, publication.workspace, publication.id);
    let words = row.await?.unwrap().content.text;
    let call = json!({"account": publication.account, "text": words});
    // A person who sees nothing says nothing, and looks again.
    let Ok(seen) = ask(orders.port, "truth", call).await else {
        return Ok(());
    };
    let is_there = seen["found"]
        .as_array()
        .is_some_and(|found| !found.is_empty());
    let decision = match is_there {
        true => HumanDecision::IsLive { url: None },
        false => HumanDecision::NotLive,
    };
    let by = engine.ids.new_id();
    decide_by_hand(engine, orders.workspace, publication.id, decision, by)
        .await
        .map(drop)
}

async fn look(store: &Store, workspace: WorkspaceId) -> Result<Report, StoreError> {
    let mut reader = store.clone();
    let filter = posts::PostFilter::default();
    let posts = posts::list(&mut reader, workspace, &filter, 50).await?;
    let filter = runs::RunFilter::default();
    let runs = runs::list(&mut reader, workspace, &filter, 50).await?;
    let events = events::list(&mut reader, workspace, "", "", "", 100).await?;
    let count = |kind: &str| events.iter().filter(|event| event.kind == kind).count();
    let publications = all_publications(store).await?.into_iter();
    let unlawful = check_histories(store, 50).await?.into_iter();
    Ok(Report {
        posts: posts.into_iter().map(|post| post.state).collect(),
        remote_ids: publications.filter_map(|row| row.remote_id).collect(),
        runs: runs.into_iter().map(|run| run.state).collect(),
        due: count("post.due"),
        published: count("post.published"),
        happened: count("test.happened") + count("test.followed") + count("test.paired"),
        run_failed: count("run.failed"),
        unlawful: unlawful.map(|found| found.violation.to_string()).collect(),
    })
}
