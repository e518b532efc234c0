//! Databases and rows for the suite.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use so_model::{
    account::{Account, AccountState},
    content::Content,
    event::{Cause, Event},
    id::{Id, IdKind, PostId, RunId, UserId, WorkspaceId},
    post::{Post, PostState, Variant},
    publication::{Attempt, AttemptPhase, Fingerprint, Publication, PublicationState},
    run::{ConditionTrace, Run, RunState},
    time::{SECOND, Timestamp},
    workspace::{User, Workspace},
};
use so_store::{
    Store, StoreError, StoreOptions, Tx, accounts, hooks, posts, publications, runs, users,
    workspaces,
};
use so_testkit::{counterpart::or_skip, postgres::PostgresCluster};

/// The suite's present moment.
pub const NOW: Timestamp = Timestamp::from_micros(1_780_000_000_000_000);

/// A moment some seconds from the suite's present.
pub fn at(seconds: i64) -> Timestamp {
    NOW.plus(seconds * SECOND)
}

/// Runs a behaviour on both databases.
macro_rules! on_both {
    ($name:ident) => {
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn on_sqlite() {
                super::$name($crate::support::Db::sqlite().await).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn on_postgres() {
                if let Some(db) = $crate::support::Db::postgres(stringify!($name)).await {
                    super::$name(db).await;
                }
            }
        }
    };
}
pub(crate) use on_both;

/// An empty database of its own.
pub struct Db {
    pub store: Store,
    pub options: StoreOptions,
    /// Removed with the database; none on PostgreSQL.
    pub folder: Option<tempfile::TempDir>,
}

impl Db {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions::in_folder(folder.path());
        Self {
            store: Store::open(&options).await.unwrap(),
            options,
            folder: Some(folder),
        }
    }

    pub async fn postgres(test: &str) -> Option<Self> {
        let url = tokio::task::block_in_place(|| {
            let cluster = or_skip(test, PostgresCluster::shared())?;
            Some(cluster.create_fresh_database().unwrap())
        })?;
        let mut options = StoreOptions::at(url);
        options.connections = 8;
        Some(Self {
            store: Store::open(&options).await.unwrap(),
            options,
            folder: None,
        })
    }

    pub async fn begin(&self) -> Tx {
        self.store.begin().await.unwrap()
    }

    /// The store as it is read.
    pub fn read(&self) -> Store {
        self.store.clone()
    }

    pub async fn workspace(&self) -> WorkspaceId {
        let workspace = Workspace {
            id: id(),
            name: "Workshop".into(),
            time_zone: "Europe/Berlin".into(),
            approval_required: false,
            created_at: NOW,
        };
        let mut tx = self.begin().await;
        workspaces::insert(&mut tx, &workspace).await.unwrap();
        tx.commit().await.unwrap();
        workspace.id
    }

    pub async fn user(&self, email: &str) -> User {
        let user = User {
            id: id(),
            email: email.into(),
            name: "Ann".into(),
            created_at: NOW,
        };
        let mut tx = self.begin().await;
        users::insert(&mut tx, &user, "hash").await.unwrap();
        tx.commit().await.unwrap();
        user
    }

    pub async fn account(&self, workspace: WorkspaceId, remote_id: &str) -> Account {
        let account = account(workspace, remote_id);
        let mut tx = self.begin().await;
        let stored = accounts::insert_or_replace(&mut tx, &account)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        stored
    }

    pub async fn post(&self, workspace: WorkspaceId, text: &str) -> Post {
        let post = post(workspace, text);
        let mut tx = self.begin().await;
        posts::insert(&mut tx, &post).await.unwrap();
        tx.commit().await.unwrap();
        post
    }

    pub async fn publication(&self, account: &Account, post: PostId) -> Publication {
        let publication = publication(account, post);
        let mut tx = self.begin().await;
        let content = Content::status("text");
        assert!(
            publications::insert_missing(&mut tx, &publication, &content, None, "", NOW)
                .await
                .unwrap()
        );
        tx.commit().await.unwrap();
        publication
    }
}

static MADE: AtomicU64 = AtomicU64::new(0);

/// A new id; later ones sort after earlier ones.
pub fn id<K: IdKind>() -> Id<K> {
    let n = MADE.load(Ordering::Relaxed);
    id_at(NOW.plus(n as i64 * 1000))
}

/// A new id made at a moment.
pub fn id_at<K: IdKind>(moment: Timestamp) -> Id<K> {
    let n = MADE.fetch_add(1, Ordering::Relaxed);
    let mut random = [0; 10];
    random[..8].copy_from_slice(&n.to_be_bytes());
    Id::from_parts(moment, random)
}

pub fn user_id() -> UserId {
    id()
}

pub fn account(workspace: WorkspaceId, remote_id: &str) -> Account {
    Account {
        id: id(),
        workspace,
        network: "sandbox".into(),
        remote_id: remote_id.into(),
        name: "Ann".into(),
        handle: "@ann".into(),
        avatar_url: None,
        state: AccountState::Active,
        problem: None,
        settings: json!({}),
        destinations: Vec::new(),
        token_expires_at: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

pub fn post(workspace: WorkspaceId, text: &str) -> Post {
    Post {
        id: id(),
        workspace,
        state: PostState::Draft,
        revision: 1,
        content: Content::status(text),
        variants: Vec::new(),
        labels: Vec::new(),
        author: None,
        origin: None,
        due_at: None,
        queue: None,
        evergreen: None,
        recurrence: None,
        repeats: None,
        problem: None,
        created_at: NOW,
        updated_at: NOW,
        published_at: None,
    }
}

pub fn variant(account: &Account) -> Variant {
    Variant {
        id: id(),
        account: account.id,
        destination: None,
        content: None,
    }
}

pub fn publication(account: &Account, post: PostId) -> Publication {
    Publication {
        id: id(),
        workspace: account.workspace,
        post,
        variant: id(),
        account: account.id,
        part: 0,
        state: PublicationState::Due,
        revision: 1,
        epoch: 0,
        attempts: 0,
        due_at: NOW,
        remote_id: None,
        remote_url: None,
        progress: Value::Null,
        problem: None,
        published_at: None,
    }
}

pub fn attempt(publication: &Publication, n: i64) -> Attempt {
    Attempt {
        id: id(),
        workspace: publication.workspace,
        publication: publication.id,
        n,
        epoch: publication.epoch,
        key: publication.id.to_string(),
        fingerprint: Fingerprint::default(),
        intent_at: NOW,
        deadline_at: at(30),
        phase: AttemptPhase::Open,
        evidence: Value::Null,
    }
}

pub fn event(workspace: WorkspaceId, dedupe: &str) -> Event {
    Event {
        id: id(),
        workspace,
        kind: "post.published".into(),
        source: "engine".into(),
        dedupe: dedupe.into(),
        subject: None,
        time: NOW,
        data: json!({"text": "ä\u{0}b"}),
        cause: Cause::default(),
    }
}

/// The change met another state than it expected.
pub fn is_stale<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Stale { .. }))
}

/// A unique key was taken.
pub fn is_conflict<T>(result: Result<T, StoreError>) -> bool {
    result.is_err_and(|error| error.is_conflict())
}

/// A stored run that is under way.
pub async fn run(db: &Db, workspace: WorkspaceId) -> RunId {
    let run = Run {
        id: id(),
        workspace,
        rule: id(),
        version: 1,
        event: id(),
        trigger: "t".into(),
        state: RunState::Running,
        key: String::new(),
        decision: ConditionTrace::unconditional(),
        reason: None,
        created_at: NOW,
        finished_at: None,
    };
    let mut tx = db.begin().await;
    runs::insert(&mut tx, &run).await.unwrap();
    tx.commit().await.unwrap();
    run.id
}

/// A webhook whose secret is its name.
pub fn hook(workspace: WorkspaceId, name: &str) -> hooks::Hook {
    hooks::Hook {
        id: id(),
        workspace,
        name: name.into(),
        token_hash: name.into(),
        verify: json!({"scheme": "none"}),
        is_enabled: true,
        created_at: NOW,
    }
}
