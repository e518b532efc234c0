//! Trigger, actions and network of the measurements: they do as good as nothing, so that only the engine costs.
//!
//! Also what the test target `counts` counts on.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use so_engine::{
    Engine, EngineParts,
    clock::Ids,
    config::EngineConfig,
    engine::HandedReceiver,
    plugin::{
        Action, ActionError, LocalAction, LocalContext, LocalEnd, LocalError, Plugins,
        RemoteAction, RemoteContext, RemoteEnd, Repeat, TriggerKind,
    },
    publish::{Commit, Found, PortError, Prepare, PublishPort, PublishWork, begin_publishing},
    rule::catalogue::{ActionSpec, Discriminator, TriggerSpec},
    script::{ScriptEngine, ScriptLimits},
};
use so_model::{
    IdSource as _, Timestamp,
    account::{Account, AccountState},
    content::Content,
    id::{AccountId, RuleId, WorkspaceId},
    post::{Post, PostState, Variant},
    publication::{Attempt, Fingerprint},
    rule::RuleDocument,
    workspace::Workspace,
};
use so_store::{Store, StoreOptions, Tx, accounts, posts, rules, workspaces};

/// Who claims jobs here.
pub const OWNER: &str = "bench";
/// The kind of every event here.
pub const KIND: &str = "webhook.received";

/// The trigger and the action that rules here may name.
pub fn plugins() -> Plugins {
    let triggers: Vec<Arc<dyn TriggerKind>> = vec![Arc::new(Received)];
    Plugins::new(
        triggers,
        vec![
            Action::local(Nothing),
            Action::local(Publish),
            Action::remote(Nothing),
        ],
        Vec::new(),
    )
}

/// A workspace for rules, with an account.
pub async fn settle_in(engine: &Engine, id: WorkspaceId) {
    let mut tx = engine.store.begin().await.unwrap();
    let row = Workspace {
        id,
        name: "Bench".into(),
        time_zone: "UTC".into(),
        approval_required: false,
        created_at: engine.now(),
    };
    workspaces::insert(&mut tx, &row).await.unwrap();
    let account = account(id, engine.now());
    accounts::insert_or_replace(&mut tx, &account)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

fn account(workspace: WorkspaceId, now: Timestamp) -> Account {
    Account {
        id: account_of(workspace),
        workspace,
        network: "bench".into(),
        remote_id: "1".into(),
        name: "Bench".into(),
        handle: "@bench".into(),
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

fn account_of(workspace: WorkspaceId) -> AccountId {
    AccountId::derived(&[&workspace.to_string()])
}

/// Stores a rule and makes the engine know it.
pub async fn save_rule(engine: &Engine, workspace: WorkspaceId, document: Value) {
    let mut tx = engine.store.begin().await.unwrap();
    put_rule(&mut tx, engine, workspace, document).await;
    tx.commit().await.unwrap();
    engine.reload_rules().await.unwrap();
}

/// Stores a rule within a transaction.
pub async fn put_rule(tx: &mut Tx, engine: &Engine, workspace: WorkspaceId, document: Value) {
    let document: RuleDocument = serde_json::from_value(document).unwrap();
    let (id, now): (RuleId, _) = (engine.ids.new_id(), engine.now());
    let rule = rules::RuleRow {
        id,
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
        rule: id,
        version: 1,
        document,
        source: String::new(),
        author: None,
        reason: String::new(),
        created_at: now,
        is_trial: false,
    };
    rules::insert(tx, &rule, &version).await.unwrap();
}

/// An engine on a database.
pub async fn engine(url: &str) -> (Engine, HandedReceiver) {
    engine_with(url, |_| {}).await
}

/// The same with settings of its own.
pub async fn engine_with(
    url: &str,
    change: impl FnOnce(&mut EngineConfig),
) -> (Engine, HandedReceiver) {
    let mut config = EngineConfig {
        is_alone: url.starts_with("sqlite:"),
        ..EngineConfig::new(OWNER)
    };
    change(&mut config);
    Engine::new(EngineParts {
        store: Store::open(&StoreOptions::at(url)).await.unwrap(),
        ids: Ids::system(),
        config,
        plugins: plugins(),
        scripts: ScriptEngine::new(ScriptLimits::default()),
        publisher: Arc::new(Network),
    })
}

struct Received;

impl TriggerKind for Received {
    fn spec(&self) -> TriggerSpec {
        TriggerSpec {
            kind: KIND.into(),
            title: "Webhook".into(),
            description: "for benchmarks".into(),
            event_kinds: vec![KIND.into()],
            params_schema: json!({"type": "object", "properties": {"hook": {"type": "string"}}}),
            sample_data: json!({"body": {}}),
            open_data: true,
            discriminators: vec![Discriminator::param("/hook", "data.hook")],
        }
    }
}

struct Nothing;

#[async_trait]
impl LocalAction for Nothing {
    fn spec(&self) -> ActionSpec {
        ActionSpec {
            kind: "bench.nothing".into(),
            title: "Nothing".into(),
            description: "for benchmarks".into(),
            params_schema: json!({"type": "object"}),
            is_remote: false,
            sample_output: json!({}),
            emits: Vec::new(),
        }
    }
    async fn perform(&self, _: &mut LocalContext<'_>, _: Value) -> Result<LocalEnd, LocalError> {
        Ok(LocalEnd::Done(Value::Null))
    }
}

/// Its remote twin: a call whose answer is there at once.
#[async_trait]
impl RemoteAction for Nothing {
    fn spec(&self) -> ActionSpec {
        ActionSpec {
            kind: "bench.call".into(),
            is_remote: true,
            ..LocalAction::spec(self)
        }
    }
    fn repeat(&self, _: &Value) -> Repeat {
        Repeat::Allowed
    }
    async fn perform(&self, _: &RemoteContext<'_>, _: Value) -> Result<RemoteEnd, ActionError> {
        Ok(RemoteEnd {
            output: json!({"status": 200}),
            events: Vec::new(),
        })
    }
}

/// Makes a post and publishes it.
struct Publish;

#[async_trait]
impl LocalAction for Publish {
    fn spec(&self) -> ActionSpec {
        ActionSpec {
            kind: "bench.publish".into(),
            ..LocalAction::spec(&Nothing)
        }
    }
    async fn perform(&self, cx: &mut LocalContext<'_>, _: Value) -> Result<LocalEnd, LocalError> {
        let post = post(cx);
        posts::insert(cx.tx, &post).await?;
        begin_publishing(cx.tx, cx.ids, &post, cx.run.id, cx.path)
            .await
            .unwrap();
        Ok(LocalEnd::Wait {
            reason: "publishing".into(),
            output: json!({"post": post.id}),
        })
    }
    async fn resume(
        &self,
        cx: &mut LocalContext<'_>,
        _: Value,
        waited: Value,
    ) -> Result<LocalEnd, LocalError> {
        let id = waited["post"].as_str().unwrap().parse().unwrap();
        let post = posts::find(cx.tx, cx.workspace, id).await?.unwrap();
        assert_eq!(post.state, PostState::Published);
        Ok(LocalEnd::Done(Value::Null))
    }
}

fn post(cx: &LocalContext<'_>) -> Post {
    Post {
        id: cx.ids.new_id(),
        workspace: cx.workspace,
        state: PostState::Draft,
        revision: 1,
        content: Content::status("Hello"),
        variants: vec![Variant {
            id: cx.ids.new_id(),
            account: account_of(cx.workspace),
            destination: None,
            content: None,
        }],
        labels: Vec::new(),
        author: None,
        origin: None,
        due_at: None,
        queue: None,
        evergreen: None,
        recurrence: None,
        repeats: None,
        problem: None,
        created_at: cx.now,
        updated_at: cx.now,
        published_at: None,
    }
}

/// Takes everything at once.
struct Network;

#[async_trait]
impl PublishPort for Network {
    async fn prepare(
        &self,
        _: &PublishWork,
        progress: Value,
        _: Timestamp,
    ) -> Result<Prepare, PortError> {
        Ok(Prepare::Ready { progress })
    }
    fn fingerprint(&self, work: &PublishWork) -> Fingerprint {
        Fingerprint {
            text: work.content.text.clone(),
            media: 0,
            reply_to: None,
        }
    }
    async fn commit(&self, _: &PublishWork, _: &Value, attempt: &Attempt) -> Commit {
        Commit::Published {
            remote_id: attempt.key.clone(),
            remote_url: None,
            extra: Value::Null,
        }
    }
    async fn find(&self, _: &PublishWork, _: &Value, _: &Attempt, _: &[String]) -> Found {
        Found::Absent
    }
    fn settle(&self, _: &str) -> i64 {
        1
    }
}
