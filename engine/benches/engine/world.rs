//! Trigger, action and network of the measurements: they do nothing, so that only the engine costs.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use so_engine::{
    Engine, EngineParts,
    clock::Ids,
    config::EngineConfig,
    engine::HandedReceiver,
    plugin::{Action, LocalAction, LocalContext, LocalEnd, LocalError, Plugins, TriggerKind},
    publish::{Commit, Found, PortError, Prepare, PublishPort, PublishWork},
    rule::catalogue::{ActionSpec, Discriminator, TriggerSpec},
    script::{ScriptEngine, ScriptLimits},
};
use so_model::{
    Timestamp,
    publication::{Attempt, Fingerprint},
};
use so_store::{Store, StoreOptions};

/// The kind of every event here.
pub const KIND: &str = "webhook.received";

/// The trigger and the action that rules here may name.
pub fn plugins() -> Plugins {
    let triggers: Vec<Arc<dyn TriggerKind>> = vec![Arc::new(Received)];
    Plugins::new(triggers, vec![Action::local(Nothing)], Vec::new())
}

/// An engine on a database.
pub async fn engine(url: &str) -> (Engine, HandedReceiver) {
    let is_alone = url.starts_with("sqlite:");
    Engine::new(EngineParts {
        store: Store::open(&StoreOptions::at(url)).await.unwrap(),
        ids: Ids::system(),
        config: EngineConfig {
            is_alone,
            ..EngineConfig::new("bench")
        },
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
