//! What stands in the database before the first process starts.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use so_engine::{admit::JOB_RUN, clock::Ids, loops::TIMER_POST};
use so_model::{
    IdSource as _, Timestamp,
    account::{Account, AccountState},
    content::Content,
    event::{Cause, Event},
    id::{PostId, RuleId, RunId, WorkspaceId},
    post::{Post, PostState, Variant},
    rule::RuleDocument,
    run::{ConditionTrace, Run, RunState},
    time::{HOUR, MINUTE},
    workspace::Workspace,
};
use so_store::{
    Sql as _, Store, StoreError, StoreOptions, Tx, accounts, args, attempts, events, instance,
    jobs, posts, publications, rules, runs, timers, timers::Timer, workspaces,
};

use crate::child::Sent;

const PUBLISH: &str = "{version: 1, name: Publish when due, triggers: [{id: t, kind: post.due}], \
    steps: [{id: publish, action: post.publish, with: {post: '{{ event.data.post.id }}'}}]}";
const FOLLOW: &str = "{version: 1, name: After it, triggers: [{id: t, kind: post.published}], \
    steps: [{id: note, action: test.note}]}";
const CALL: &str = "{version: 1, name: Call, triggers: [{id: t, kind: test.happened}], \
    steps: [{id: note, action: test.note}]}";
const CALL_AND_GO_ON: &str = "{version: 1, name: Call and go on, triggers: [{id: t, kind: test.followed}], \
    steps: [{id: once, for_each: {items: [1]}, do: [{id: both, parallel: \
    [[{id: note, action: test.note}], [{id: beside, set: {done: no}}]]}]}, {id: after, set: {done: yes}}]}";
const CALL_TOGETHER: &str = "{version: 1, name: Call twice at once, triggers: [{id: t, kind: test.paired}], \
    steps: [{id: both, parallel: [[{id: one, action: test.note}], [{id: two, action: test.note}]]}]}";

/// How the post becomes due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Its timer fires.
    Timer,
    /// Somebody sends the event until it is answered.
    Sender,
    /// The event lies there, stored by a module that tries no rules.
    Undecided,
    /// There is no post, but an event that makes a rule call the outside.
    Call,
    /// As before, and the call is not the rule's last step: it stands in a way of a loop's element.
    CallAndGoOn,
    /// As before, with two calls that are made at the same time.
    CallTogether,
}

impl Start {
    /// Kind of the event that makes a rule call the outside, where there is no post.
    fn of_calls(self) -> Option<&'static str> {
        match self {
            Self::Timer | Self::Sender | Self::Undecided => None,
            Self::Call => Some("test.happened"),
            Self::CallAndGoOn => Some("test.followed"),
            Self::CallTogether => Some("test.paired"),
        }
    }

    /// Calls that one event makes.
    pub fn calls_each(self) -> usize {
        match self {
            Self::CallTogether => 2,
            _ => 1,
        }
    }
}

/// What is odd about the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Odd {
    Nothing,
    /// The account must be connected again.
    Disconnected,
    /// There is a run that cannot be read, of a workspace of its own.
    BrokenRun,
    /// There is a job that only a newer server knows.
    NewerJob,
    /// There is a job of a run that is gone.
    LostRun,
    /// There is a run of a version that is gone.
    UnreadableRun,
    /// History was lost: the post may have gone out.
    Gap,
    /// The server rested for so long that history may have been lost.
    PossibleGap,
}

/// The database of one case.
pub struct Ground {
    pub url: String,
    pub workspace: WorkspaceId,
    pub sent: Option<Sent>,
}

impl Ground {
    pub async fn lay(
        url: &str,
        start: Start,
        odd: Odd,
        account_count: usize,
    ) -> Result<Self, StoreError> {
        let store = Store::open(&few_connections(url)).await?;
        let ids = Ids::system();
        let workspace: WorkspaceId = ids.new_id();
        let mut tx = store.begin().await?;
        put_workspace(&mut tx, workspace, ids.now()).await?;
        for rule in [PUBLISH, FOLLOW, CALL, CALL_AND_GO_ON, CALL_TOGETHER] {
            put_rule(&mut tx, &ids, workspace, rule).await?;
        }
        let mut sent = None;
        if let Some(kind) = start.of_calls() {
            let kind = kind.into();
            sent = Some(Sent {
                kind,
                ..happened(0)
            });
        } else {
            let post = put_post(&mut tx, &ids, workspace, account_count, odd).await?;
            sent = put_start(&mut tx, &ids, workspace, post, start)
                .await?
                .or(sent);
        }
        put_odd(&mut tx, &ids, workspace, odd).await?;
        tx.commit().await?;
        store.close().await?;
        Ok(Self {
            url: url.to_string(),
            workspace,
            sent,
        })
    }

    async fn open(&self) -> Result<Store, StoreError> {
        Store::open(&few_connections(&self.url)).await
    }

    /// Ids of the events that made the post due.
    pub async fn due_events(&self) -> Result<Vec<String>, StoreError> {
        let store = self.open().await?;
        let mut reader = store.clone();
        let found = events::list(&mut reader, self.workspace, "post.due", "", "", 10).await?;
        store.close().await?;
        Ok(found.iter().map(|event| event.id.to_string()).collect())
    }

    /// P6 as it is after the network's yes when the database is away: the outcome lies in the spill file.
    pub async fn spill(&self, file: &Path, remote_id: &str) -> Result<(), StoreError> {
        let store = self.open().await?;
        let mut reader = store.clone();
        let state = so_model::publication::PublicationState::Sending;
        let rows = publications::list_by_state(&mut reader, state, 1).await?;
        let publication = rows[0].id;
        let open = attempts::find_open(&mut reader, self.workspace, publication).await?;
        let line = json!({"workspace": self.workspace, "publication": publication,
            "attempt": open.unwrap().id, "remote_id": remote_id, "remote_url": null, "extra": null});
        std::fs::write(file, format!("{line}\n")).unwrap();
        store.close().await
    }
}

/// Many cases share one server.
fn few_connections(url: &str) -> StoreOptions {
    StoreOptions {
        connections: 2,
        ..StoreOptions::at(url)
    }
}

/// The event of which a rule calls the outside.
pub fn happened(number: usize) -> Sent {
    Sent {
        kind: "test.happened".into(),
        id: number.to_string(),
        data: json!({}),
    }
}

async fn put_workspace(tx: &mut Tx, id: WorkspaceId, now: Timestamp) -> Result<(), StoreError> {
    let workspace = Workspace {
        id,
        name: "Drill".into(),
        time_zone: "UTC".into(),
        approval_required: false,
        created_at: now,
    };
    workspaces::insert(tx, &workspace).await
}

async fn put_rule(
    tx: &mut Tx,
    ids: &Ids,
    workspace: WorkspaceId,
    source: &str,
) -> Result<(), StoreError> {
    let document: RuleDocument = serde_yaml_ng::from_str(source).unwrap();
    let now = ids.now();
    let rule = rules::RuleRow {
        id: ids.new_id(),
        workspace,
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
        source: source.into(),
        author: None,
        reason: String::new(),
        created_at: now,
        is_trial: false,
    };
    rules::insert(tx, &rule, &version).await
}

async fn put_post(
    tx: &mut Tx,
    ids: &Ids,
    workspace: WorkspaceId,
    account_count: usize,
    odd: Odd,
) -> Result<Post, StoreError> {
    let now = ids.now();
    let mut variants = Vec::new();
    for number in 0..account_count {
        let mut new = account(ids, workspace, number, now);
        if odd == Odd::Disconnected {
            new.state = AccountState::ReconnectRequired;
        }
        variants.push(Variant {
            id: ids.new_id(),
            account: accounts::insert_or_replace(tx, &new).await?.id,
            destination: None,
            content: None,
        });
    }
    let post = Post {
        id: ids.new_id(),
        workspace,
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
    posts::insert(tx, &post).await?;
    Ok(post)
}

fn account(ids: &Ids, workspace: WorkspaceId, number: usize, now: Timestamp) -> Account {
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
        settings: Value::Null,
        destinations: Vec::new(),
        token_expires_at: None,
        created_at: now,
        updated_at: now,
    }
}

async fn put_start(
    tx: &mut Tx,
    ids: &Ids,
    workspace: WorkspaceId,
    post: Post,
    start: Start,
) -> Result<Option<Sent>, StoreError> {
    let now = ids.now();
    let data = json!({"post": post});
    match start {
        Start::Sender => {
            let (kind, id) = ("post.due".into(), "due".into());
            return Ok(Some(Sent { kind, id, data }));
        }
        Start::Undecided => {
            let event = due(ids, workspace, post.id, data, now);
            // Older than what may still be in its own transaction's hands.
            events::insert(tx, &event, false, now.plus(-MINUTE)).await?;
        }
        Start::Timer | Start::Call | Start::CallAndGoOn | Start::CallTogether => {
            let timer = Timer {
                id: ids.new_id(),
                workspace,
                kind: TIMER_POST.into(),
                subject: post.id.to_string(),
                slot: String::new(),
                generation: 1,
                due_at: post.due_at.unwrap_or(now),
                doc: Value::Null,
            };
            timers::put(tx, &timer).await?;
        }
    }
    Ok(None)
}

fn due(ids: &Ids, workspace: WorkspaceId, post: PostId, data: Value, now: Timestamp) -> Event {
    Event {
        id: ids.new_id(),
        workspace,
        kind: "post.due".into(),
        source: "drill".into(),
        dedupe: "due".into(),
        subject: Some(post.to_string()),
        time: now,
        data,
        cause: Cause::default(),
    }
}

async fn put_odd(
    tx: &mut Tx,
    ids: &Ids,
    workspace: WorkspaceId,
    odd: Odd,
) -> Result<(), StoreError> {
    let now = ids.now();
    let run: RunId = ids.new_id();
    let (kind, subject) = match odd {
        Odd::Nothing | Odd::Disconnected => return Ok(()),
        Odd::Gap | Odd::PossibleGap => return put_gap(tx, now, odd == Odd::Gap).await,
        Odd::NewerJob => ("of_tomorrow", run.to_string()),
        Odd::LostRun => (JOB_RUN, run.to_string()),
        Odd::BrokenRun => {
            let other: WorkspaceId = ids.new_id();
            put_workspace(tx, other, now).await?;
            put_unreadable(tx, ids, other, run).await?;
            let sql = "UPDATE runs SET decision = 'broken' WHERE id = $1";
            tx.run(sql, args![run]).await?;
            let (job, subject) = (ids.new_id(), run.to_string());
            return jobs::wake(tx, job, other, JOB_RUN, &subject, now).await;
        }
        Odd::UnreadableRun => {
            put_unreadable(tx, ids, workspace, run).await?;
            (JOB_RUN, run.to_string())
        }
    };
    jobs::wake(tx, ids.new_id(), workspace, kind, &subject, now).await
}

async fn put_gap(tx: &mut Tx, until: Timestamp, is_certain: bool) -> Result<(), StoreError> {
    let gap = instance::Gap {
        epoch: 1,
        cause: "the drill".into(),
        is_certain,
        from: until.plus(-HOUR),
        until,
        ends_at: until.plus(HOUR),
    };
    instance::insert_gap(tx, &gap).await
}

async fn put_unreadable(
    tx: &mut Tx,
    ids: &Ids,
    workspace: WorkspaceId,
    id: RunId,
) -> Result<(), StoreError> {
    let now = ids.now();
    let mut event = due(ids, workspace, ids.new_id(), json!({}), now);
    event.kind = "test.old".into();
    event.dedupe = "old".into();
    events::insert(tx, &event, true, now).await?;
    let rule: RuleId = ids.new_id();
    let run = Run {
        id,
        workspace,
        rule,
        version: 99,
        event: event.id,
        trigger: "t".into(),
        state: RunState::Running,
        key: String::new(),
        decision: ConditionTrace::unconditional(),
        reason: None,
        created_at: now,
        finished_at: None,
    };
    runs::insert(tx, &run).await
}

/// A folder with all migrations and one more, as a later version brings it.
pub struct Migrations {
    pub folder: PathBuf,
    is_sqlite: bool,
}

impl Migrations {
    pub fn copy(room: &Path, is_sqlite: bool) -> Self {
        let database = if is_sqlite { "sqlite" } else { "postgres" };
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
        let folder = room.join("migrations");
        std::fs::create_dir(&folder).unwrap();
        for entry in std::fs::read_dir(root.join(database)).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
        Self { folder, is_sqlite }
    }

    /// The new one changes rows, then does what lasts until it is stopped.
    pub fn endless(&self) {
        self.write(match self.is_sqlite {
            // More pages than its cache holds go to the log, where they can be seen; then it counts.
            true => {
                "CREATE TABLE drill AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 40000) \
                 SELECT i, hex(randomblob(200)) AS padding FROM n; \
                 UPDATE publications SET progress = '{}'; \
                 CREATE TABLE counted AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
                 LIMIT 100000000000) SELECT COUNT(*) AS i FROM n;"
            }
            false => {
                "CREATE TABLE drill (i bigint); UPDATE publications SET progress = '{}'; \
                 LOCK TABLE gate; CREATE TABLE counted (i bigint);"
            }
        });
    }

    /// The same without what lasts.
    pub fn mended(&self) {
        self.write("CREATE TABLE drill (i bigint); CREATE TABLE counted (i bigint);");
    }

    fn write(&self, sql: &str) {
        std::fs::write(self.folder.join("9000_drill.sql"), sql).unwrap();
    }
}
