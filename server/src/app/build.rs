//! Puts the engine together from every other crate.
//!
//! Owns the one place where triggers, actions, networks and the engine meet. Invariant: actions and the
//! publish port share one access, so that a token is renewed once for both.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use so_actions::{Access, AccessParts, ActionDeps, ConnectorPort, MailConfig, MailTls, MediaBytes};
use so_connectors::{
    NetworkConfig, Registry, SecretValue,
    sandbox::{SandboxPost, SandboxTimeline, TimelineError},
};
use so_engine::{
    Engine, EngineParts,
    clock::Ids,
    config::EngineConfig,
    engine::HandedReceiver,
    facts,
    plugin::Plugins,
    script::{ScriptEngine, ScriptLimits},
};
use so_model::{
    IdSource as _, Timestamp,
    content::ContentType,
    id::AccountId,
    network::TextRule,
    text::measure,
    time::{DAY, HOUR, SECOND},
};
use so_net::{Outbound, OutboundConfig};
use so_store::vault::{MasterKey, SecretText, Vault};

use super::{App, AppSetup};
use crate::config::{Config, SmtpTls};

/// The engine and what it shares with the use cases.
pub(super) struct Built {
    pub engine: Engine,
    pub receiver: HandedReceiver,
    pub access: Access,
}

/// Everything that rules may name, without a database: for checking documents.
pub fn offline_catalogue() -> (Plugins, ScriptEngine) {
    let connectors = so_connectors::registry(Arc::new(NoTimeline));
    let scripts = scripts(&connectors);
    let access = Access::new(AccessParts {
        connectors,
        // Opens nothing: there are no secrets to open.
        vault: Vault::new(vec![MasterKey::new([0; 32])]).expect("a vault takes one key"),
        outbound: Outbound::new(OutboundConfig::default()),
        media: Arc::new(NoFiles),
        networks: NetworkConfig::default(),
        ids: Ids::system(),
    });
    let deps = ActionDeps {
        access,
        scripts: scripts.clone(),
        mailer: None,
        allow_http: false,
    };
    (plugins(&deps), scripts)
}

fn plugins(deps: &ActionDeps) -> Plugins {
    Plugins::new(so_triggers::all(), so_actions::all(deps), facts::specs())
}

/// Everything that rules may name, as a forecast has it: it publishes into `outbound`, and calls nobody.
pub(super) fn for_forecast(app: &App, outbound: so_engine::forecast::Outbound) -> Plugins {
    let deps = ActionDeps {
        access: app.access.clone(),
        scripts: app.engine.scripts.clone(),
        mailer: mailer(&app.config),
        allow_http: app.config.outbound.allow_http,
    };
    let actions = so_actions::for_forecast(&deps, outbound);
    Plugins::new(so_triggers::all(), actions, facts::specs())
}

/// There is no database, and so no upload.
struct NoFiles;

#[async_trait]
impl MediaBytes for NoFiles {
    async fn bytes(&self, _: &str) -> std::io::Result<so_net::Bytes> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// There is no database, and so no timeline.
struct NoTimeline;

#[async_trait]
impl SandboxTimeline for NoTimeline {
    async fn insert(&self, _: SandboxPost) -> Result<String, TimelineError> {
        Err(TimelineError::Unavailable)
    }
    async fn list(
        &self,
        _: AccountId,
        _: Timestamp,
        _: usize,
    ) -> Result<Vec<SandboxPost>, TimelineError> {
        Err(TimelineError::Unavailable)
    }
    async fn delete(&self, _: AccountId, _: &str) -> Result<bool, TimelineError> {
        Err(TimelineError::Unavailable)
    }
    async fn counts(
        &self,
        _: AccountId,
        _: &[String],
    ) -> Result<Vec<(String, BTreeMap<String, i64>)>, TimelineError> {
        Err(TimelineError::Unavailable)
    }
}

/// Builds the engine; nothing runs yet.
pub(super) fn engine(setup: &AppSetup, connectors: Registry, media: Arc<dyn MediaBytes>) -> Built {
    let scripts = scripts(&connectors);
    let access = Access::new(AccessParts {
        connectors,
        vault: setup.vault.clone(),
        outbound: setup.outbound.clone(),
        media,
        networks: networks(&setup.config),
        ids: setup.ids.clone(),
    });
    let deps = ActionDeps {
        access: access.clone(),
        scripts: scripts.clone(),
        mailer: mailer(&setup.config),
        allow_http: setup.config.outbound.allow_http,
    };
    let (engine, receiver) = Engine::new(EngineParts {
        store: setup.store.clone(),
        ids: setup.ids.clone(),
        config: engine_config(&setup.config, &setup.ids),
        plugins: plugins(&deps),
        scripts,
        publisher: Arc::new(ConnectorPort::new(setup.store.clone(), access.clone())),
    });
    Built {
        engine,
        receiver,
        access,
    }
}

/// The sandbox; `count_chars(network, text)` counts as that network does.
fn scripts(connectors: &Registry) -> ScriptEngine {
    let rules: BTreeMap<String, TextRule> = connectors
        .manifests()
        .filter_map(|manifest| {
            let rule = manifest
                .rule(ContentType::Status)
                .or(manifest.content.first())?;
            Some((manifest.key.clone(), rule.text.clone()))
        })
        .collect();
    ScriptEngine::new(ScriptLimits::default())
        .with_counter(move |network, text| rules.get(network).map(|rule| measure(rule, text).used))
}

fn networks(config: &Config) -> NetworkConfig {
    let mut networks = NetworkConfig::default();
    for (name, section) in &config.networks {
        networks.allow_http |= section.allow_http;
        if let Some(url) = &section.base_url {
            networks.base_urls.insert(name.clone(), url.clone());
        }
        if let Some(id) = &section.client_id {
            let app =
                serde_json::json!({ "client_id": id, "client_secret": section.client_secret });
            networks.apps.insert(name.clone(), SecretValue::new(app));
        }
    }
    networks
}

fn mailer(config: &Config) -> Option<MailConfig> {
    let smtp = &config.smtp;
    Some(MailConfig {
        host: smtp.host.clone()?,
        port: smtp.port,
        tls: match smtp.tls {
            SmtpTls::Starttls => MailTls::StartTls,
            SmtpTls::Tls => MailTls::Implicit,
            SmtpTls::None => MailTls::None,
        },
        user: smtp.user.clone(),
        password: smtp.password.as_deref().map(SecretText::new),
        from: smtp.from.clone()?,
    })
}

fn engine_config(config: &Config, ids: &Ids) -> EngineConfig {
    let publish = &config.publish;
    let seconds = |seconds: u64| micros(seconds, SECOND);
    // Random, so that a server that starts again is not taken for its former life.
    let owner: String = ids
        .random()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    EngineConfig {
        workers: usize::try_from(publish.workers).unwrap_or(usize::MAX),
        lease: seconds(publish.lease_secs),
        call_timeout: seconds(publish.call_timeout_secs),
        settle_override: publish.settle_secs.map(seconds),
        absent_gap: seconds(publish.absent_gap_secs),
        reconcile_window: micros(publish.reconcile_hours, HOUR),
        publish_tries: i64::try_from(publish.tries).unwrap_or(i64::MAX),
        retention: micros(config.retention.runs_days, DAY),
        dull_retention: micros(config.retention.dull_days, DAY),
        spill_file: Some(config.server.data_dir.join("outcomes.spill")),
        is_alone: config.database.is_sqlite(),
        ..EngineConfig::new(owner)
    }
}

fn micros(count: u64, unit: i64) -> i64 {
    i64::try_from(count)
        .unwrap_or(i64::MAX)
        .saturating_mul(unit)
}
