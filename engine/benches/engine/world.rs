//! Trigger, actions and network of the measurements: they do nothing, so that only the engine costs.
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
    publish::{Commit, Found, PortError, Prepare, PublishPort, PublishWork},
    rule::catalogue::{ActionSpec, Discriminator, TriggerSpec},
    script::{ScriptEngine, ScriptLimits},
};
use so_model::{
    IdSource as _, Timestamp,
    id::{RuleId, WorkspaceId},
    publication::{Attempt, Fingerprint},
    rule::RuleDocument,
    workspace::Workspace,
};
use so_store::{Store, StoreOptions, Tx, rules, workspaces};

/// Who claims jobs here.
pub const OWNER: &str = "bench";
/// The kind of every event here.
pub const KIND: &str = "webhook.received";

/// The trigger and the action that rules here may name.
pub fn plugins() -> Plugins {
    let triggers: Vec<Arc<dyn TriggerKind>> = vec![Arc::new(Received)];
    Plugins::new(
        triggers,
        vec![Action::local(Nothing), Action::remote(Nothing)],
        Vec::new(),
    )
}

/// A workspace for rules.
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
    tx.commit().await.unwrap();
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
        publisher: Arc::new(NoNetwork),
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

/// Nothing is published here.
struct NoNetwork;

#[async_trait]
impl PublishPort for NoNetwork {
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
    async fn commit(&self, _: &PublishWork, _: &Value, _: &Attempt) -> Commit {
        Commit::Unknown {
            evidence: "there is no network".into(),
        }
    }
    async fn find(&self, _: &PublishWork, _: &Value, _: &Attempt, _: &[String]) -> Found {
        Found::Absent
    }
    fn settle(&self, _: &str) -> i64 {
        1
    }
}
