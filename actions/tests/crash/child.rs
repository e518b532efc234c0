//! The process that is killed: an engine with its loops, the real port and the real connector.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;
use so_actions::{Access, AccessParts, ActionDeps, ConnectorPort, MediaBytes};
use so_connectors::{NetworkConfig, registry, sandbox::memory::MemoryTimeline};
use so_engine::{
    Engine, EngineParts,
    clock::{Clock, Ids, SystemClock},
    config::EngineConfig,
    loops,
    plugin::{Plugins, TriggerKind},
    rule::TriggerSpec,
    script::{ScriptEngine, ScriptLimits},
};
use so_model::{Timestamp, account::AccountState, post::PostState, publication::PublicationState};
use so_net::{Bytes, Outbound, OutboundConfig};
use so_store::{
    Store, StoreOptions, posts, publications,
    vault::{MasterKey, Vault},
};

/// The bytes of the one file there is.
pub const FILE: &[u8] = b"\x89PNG\r\n\x1a\n of a kind";
const LOOK: Duration = Duration::from_millis(30);

/// What the process is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Orders {
    pub url: String,
    /// Where Bluesky is.
    pub network: String,
    /// How much faster than the machine's its clock runs.
    pub haste: i64,
    /// How far ahead its clock begins.
    pub ahead: i64,
    /// Ends as well when the post waits for a person.
    pub ends_held: bool,
}

/// What the process found when all was over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub post: Option<PostState>,
    pub held: usize,
    pub account: Option<AccountState>,
    /// Events that the account asks for its person.
    pub flagged: usize,
}

/// A clock that is ahead and in haste.
struct Hasty {
    began: Timestamp,
    haste: i64,
    ahead: i64,
}

impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        let passed = SystemClock.now().since(self.began);
        self.began.plus(self.ahead + passed * self.haste)
    }
}

struct OneFile;

#[async_trait]
impl MediaBytes for OneFile {
    async fn bytes(&self, key: &str) -> std::io::Result<Bytes> {
        match key {
            "one" => Ok(Bytes::from_static(FILE)),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        }
    }
}

struct Listens(&'static str);

impl TriggerKind for Listens {
    fn spec(&self) -> TriggerSpec {
        TriggerSpec {
            kind: self.0.into(),
            title: self.0.into(),
            description: "for the drill".into(),
            event_kinds: vec![self.0.into()],
            params_schema: json!({"type": "object"}),
            sample_data: json!({}),
            open_data: true,
            discriminators: Vec::new(),
        }
    }
}

/// The way to the double.
pub fn access(network: &str, ids: Ids) -> Access {
    let mut networks = NetworkConfig {
        allow_http: true,
        ..NetworkConfig::default()
    };
    for name in ["bluesky", "bluesky.appview"] {
        networks.base_urls.insert(name.into(), network.to_string());
    }
    let allow = vec!["127.0.0.1:*".parse().unwrap()];
    Access::new(AccessParts {
        connectors: registry(Arc::new(MemoryTimeline::default())),
        vault: Vault::new(vec![MasterKey::new([7; 32])]).unwrap(),
        outbound: Outbound::new(OutboundConfig {
            allow,
            ..OutboundConfig::default()
        }),
        media: Arc::new(OneFile),
        networks,
        ids,
    })
}

/// Works until the post is settled or waits for a person; answers what it found.
pub async fn run(orders: Orders) -> Report {
    let options = StoreOptions {
        connections: 6,
        ..StoreOptions::at(&orders.url)
    };
    let store = Store::open(&options).await.unwrap();
    let clock = Hasty {
        began: SystemClock.now(),
        haste: orders.haste,
        ahead: orders.ahead,
    };
    let ids = Ids::new(Arc::new(clock), u64::from(std::process::id()));
    let deps = ActionDeps {
        access: access(&orders.network, ids.clone()),
        scripts: ScriptEngine::new(ScriptLimits::default()),
        mailer: None,
        allow_http: true,
    };
    let triggers =
        ["post.due", "post.published"].map(|kind| Arc::new(Listens(kind)) as Arc<dyn TriggerKind>);
    let (engine, receiver) = Engine::new(EngineParts {
        store: store.clone(),
        ids,
        config: EngineConfig {
            is_alone: orders.url.starts_with("sqlite:"),
            ..EngineConfig::new(format!("drill-{}", std::process::id()))
        },
        plugins: Plugins::new(triggers.into(), so_actions::all(&deps), Vec::new()),
        scripts: deps.scripts.clone(),
        publisher: Arc::new(ConnectorPort::new(store.clone(), deps.access.clone())),
    });
    let running = loops::start(engine, receiver).await.unwrap();
    while !is_over(&store, orders.ends_held).await {
        tokio::time::sleep(LOOK).await;
    }
    running.drain(Duration::from_secs(5)).await;
    let report = crate::ground::look(&store).await;
    store.close().await.unwrap();
    report
}

async fn is_over(store: &Store, ends_held: bool) -> bool {
    let mut reader = store.clone();
    let mut found = 0;
    for state in PublicationState::ALL {
        let rows = publications::list_by_state(&mut reader, state, 5)
            .await
            .unwrap();
        let is_end = state.is_settled() || (ends_held && state == PublicationState::Held);
        if !is_end && !rows.is_empty() {
            return false;
        }
        found += rows.len();
    }
    let publishing = posts::list_in_state(&mut reader, PostState::Scheduled, "", 1).await;
    found > 0 && publishing.unwrap().is_empty()
}
