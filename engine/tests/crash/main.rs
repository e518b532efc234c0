//! The kill drill: a process that publishes is killed (SIGKILL) at named
//! points of the protocol, started again, and the network counts what became
//! public.
//!
//! The oracle is the double network's log in this parent process, never our
//! database. Points × network classes × both databases; `cargo test` runs each
//! once. K8 is the double's own: it kills the caller after it has accepted.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod child;
mod network;

use std::{process::Stdio, time::Duration};

use futures_util::StreamExt as _;
use so_engine::{clock::Ids, loops::TIMER_POST};
use so_model::{
    IdSource as _, Timestamp,
    account::{Account, AccountState},
    content::Content,
    post::{Post, PostState, Variant},
    rule::RuleDocument,
    workspace::Workspace,
};
use so_store::{Store, StoreOptions, accounts, posts, rules, timers, timers::Timer, workspaces};
use so_testkit::postgres::PostgresCluster;

use network::{Class, Network};

const POINTS: [&str; 9] = ["K1", "K2", "K5", "K6", "K8", "K10", "K11", "K12", CROWD];
/// Nobody is killed: parts of one post for many accounts settle at once, and the last one must notice.
const CROWD: &str = "crowd";
const CROWD_ACCOUNTS: usize = 12;
const CLASSES: [Class; 3] = [Class::Key, Class::Listing, Class::Blind];
/// A case that is not settled by then counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);
/// Cases side by side; each waits far more than it works.
const SIDE_BY_SIDE: usize = 6;
const RULE: &str = "{version: 1, name: Publish when due, triggers: [{id: t, kind: post.due}], \
    steps: [{id: publish, action: post.publish, with: {post: '{{ event.data.post.id }}'}}]}";

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    if let [_, mode, url, port, class] = args.as_slice()
        && mode == "child"
    {
        return runtime.block_on(child::run(url, port.parse().unwrap(), class));
    }
    // `cargo test some_filter` must not start a drill of a minute.
    if args
        .get(1)
        .is_some_and(|filter| !filter.starts_with('-') && !"kill_drill".contains(filter.as_str()))
    {
        return;
    }
    if !runtime.block_on(drill()) {
        std::process::exit(1);
    }
}

struct Case {
    point: &'static str,
    class: Class,
    url: String,
    backend: &'static str,
    _folder: Option<tempfile::TempDir>,
}

async fn drill() -> bool {
    let mut cases = Vec::new();
    let cluster = PostgresCluster::start();
    if let Err(unavailable) = &cluster {
        eprintln!("\n!!! SKIPPED on PostgreSQL: {}\n", unavailable.reason);
    }
    for point in POINTS {
        for class in CLASSES {
            let folder = tempfile::tempdir().unwrap();
            let url = StoreOptions::in_folder(folder.path()).url;
            cases.push(Case {
                point,
                class,
                url,
                backend: "sqlite",
                _folder: Some(folder),
            });
            if let Ok(cluster) = &cluster {
                let url = cluster.create_fresh_database().unwrap();
                cases.push(Case {
                    point,
                    class,
                    url,
                    backend: "postgres",
                    _folder: None,
                });
            }
        }
    }
    let told: Vec<_> = futures_util::stream::iter(cases)
        .map(|case| async move {
            let told = run_case(&case).await;
            (case.point, case.class, case.backend, told)
        })
        .buffered(SIDE_BY_SIDE)
        .collect()
        .await;
    println!("kill drill: point, class, database, public, state");
    let mut good = true;
    for (point, class, backend, told) in told {
        match told {
            Ok(line) => println!("  {point:4} {class:8} {backend:9} {line}"),
            Err(problem) => {
                good = false;
                println!("  {point:4} {class:8} {backend:9} FAILED: {problem}");
            }
        }
    }
    good
}

/// What a point and class must end as: (public posts, state of the post).
fn expected(point: &str, class: Class) -> (usize, PostState) {
    match (class, point) {
        (_, CROWD) => (CROWD_ACCOUNTS, PostState::Published),
        // The call was never made, or its outcome had been stored.
        (Class::Blind, "K1" | "K2" | "K5" | "K11") => (1, PostState::Published),
        (Class::Blind, "K6") => (0, PostState::NeedsReview),
        (Class::Blind, _) => (1, PostState::NeedsReview),
        _ => (1, PostState::Published),
    }
}

async fn run_case(case: &Case) -> Result<String, String> {
    let network = Network::start(case.class).await;
    let store = Store::open(&StoreOptions::at(case.url.clone()))
        .await
        .map_err(|e| e.to_string())?;
    let accounts = if case.point == CROWD {
        CROWD_ACCOUNTS
    } else {
        1
    };
    let (workspace, post) = set_up(&store, accounts)
        .await
        .map_err(|error| error.to_string())?;
    // SQLite has one process at a time.
    if case.backend == "sqlite" {
        store.close().await.map_err(|error| error.to_string())?;
    }
    // K12 is passed while reconciling, so there must be something to reconcile first.
    let first = if case.point == "K12" {
        "K10"
    } else {
        case.point
    };
    if case.point != CROWD {
        spawn_and_expect_kill(case, &network, first).await?;
    }
    if case.point == "K12" {
        spawn_and_expect_kill(case, &network, "K12").await?;
    }
    let mut child = command(case, &network, None)
        .spawn()
        .map_err(|error| error.to_string())?;
    match tokio::time::timeout(PATIENCE, child.wait()).await {
        Ok(Ok(status)) if status.success() => {}
        Ok(other) => return Err(format!("the last process ended with {other:?}")),
        Err(_) => {
            let _ = child.kill().await;
            return Err("the post was not settled in time".into());
        }
    }
    let store = if case.backend == "sqlite" {
        Store::open(&StoreOptions::at(case.url.clone()))
            .await
            .map_err(|e| e.to_string())?
    } else {
        store
    };
    let state = posts::find(&mut store.clone(), workspace, post)
        .await
        .map_err(|error| error.to_string())?
        .map(|post| post.state);
    let public = network.public();
    store.close().await.map_err(|error| error.to_string())?;
    let (count, wanted) = expected(case.point, case.class);
    if public != count || state != Some(wanted) {
        return Err(format!(
            "{public} public and {state:?}, wanted {count} and {wanted:?}"
        ));
    }
    Ok(format!("{public} {}", wanted.as_str()))
}

async fn spawn_and_expect_kill(case: &Case, network: &Network, point: &str) -> Result<(), String> {
    use std::os::unix::process::ExitStatusExt as _;
    let mut child = command(case, network, Some(point))
        .spawn()
        .map_err(|error| error.to_string())?;
    if point == "K8" {
        network.kill_on_accept(child.id().unwrap_or_default());
    }
    match tokio::time::timeout(PATIENCE, child.wait()).await {
        Ok(Ok(status)) if status.signal() == Some(9) => Ok(()),
        Ok(other) => Err(format!("{point} was not reached: {other:?}")),
        Err(_) => {
            let _ = child.kill().await;
            Err(format!("{point} was not reached in time"))
        }
    }
}

fn command(case: &Case, network: &Network, point: Option<&str>) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command.args([
        "child",
        &case.url,
        &network.port.to_string(),
        &case.class.to_string(),
    ]);
    command
        .env_remove("KILL_AT")
        .stdout(Stdio::null())
        .kill_on_drop(true);
    if let Some(point) = point {
        command.env("KILL_AT", point);
    }
    command
}

async fn set_up(
    store: &Store,
    account_count: usize,
) -> Result<(so_model::id::WorkspaceId, so_model::id::PostId), so_store::StoreError> {
    let ids = Ids::system();
    let now = ids.now();
    let workspace = Workspace {
        id: ids.new_id(),
        name: "Drill".into(),
        time_zone: "UTC".into(),
        approval_required: false,
        created_at: now,
    };
    let mut tx = store.begin().await?;
    workspaces::insert(&mut tx, &workspace).await?;
    let mut variants = Vec::new();
    for number in 0..account_count {
        let new = account(&ids, workspace.id, number, now);
        let stored = accounts::insert_or_replace(&mut tx, &new).await?;
        variants.push(Variant {
            id: ids.new_id(),
            account: stored.id,
            destination: None,
            content: None,
        });
    }
    let post = Post {
        id: ids.new_id(),
        workspace: workspace.id,
        state: PostState::Scheduled,
        revision: 1,
        content: Content::status("Only once, please"),
        variants,
        labels: Vec::new(),
        author: None,
        origin: None,
        due_at: Some(now),
        queue: None,
        evergreen: None,
        recurrence: None,
        repeats: None,
        problem: None,
        created_at: now,
        updated_at: now,
        published_at: None,
    };
    posts::insert(&mut tx, &post).await?;
    let document: RuleDocument = serde_yaml_ng::from_str(RULE).unwrap();
    let rule = rules::RuleRow {
        id: ids.new_id(),
        workspace: workspace.id,
        name: document.name.clone(),
        is_enabled: true,
        version: 1,
        generation: 1,
        starter: None,
        problem: None,
        created_at: now,
        updated_at: now,
    };
    let version = rules::RuleVersion {
        rule: rule.id,
        version: 1,
        document,
        source: RULE.into(),
        author: None,
        created_at: now,
    };
    rules::insert(&mut tx, &rule, &version).await?;
    let timer = Timer {
        id: ids.new_id(),
        workspace: workspace.id,
        kind: TIMER_POST.into(),
        subject: post.id.to_string(),
        slot: String::new(),
        generation: 1,
        due_at: now,
        doc: serde_json::Value::Null,
    };
    timers::put(&mut tx, &timer).await?;
    tx.commit().await?;
    Ok((workspace.id, post.id))
}

fn account(
    ids: &Ids,
    workspace: so_model::id::WorkspaceId,
    number: usize,
    now: Timestamp,
) -> Account {
    Account {
        id: ids.new_id(),
        workspace,
        network: "double".into(),
        remote_id: number.to_string(),
        name: "Ann".into(),
        handle: "@ann".into(),
        avatar_url: None,
        state: AccountState::Active,
        problem: None,
        settings: serde_json::Value::Null,
        destinations: Vec::new(),
        token_expires_at: None,
        created_at: now,
        updated_at: now,
    }
}
