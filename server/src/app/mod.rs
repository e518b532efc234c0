//! What the server does, apart from HTTP.
//!
//! Owns the use cases and what they share. Must not know requests, answers or SQL. Invariant: everything
//! a use case needs lies in [`App`]; nothing is global.

pub mod accounts;
mod apart;
pub mod auth;
mod build;
pub mod change;
pub mod dry_run;
pub mod endpoints;
pub mod events;
pub mod failure;
pub mod feeds;
pub mod forecast;
pub mod hooks;
pub mod labels;
pub mod library;
pub mod live;
pub mod media;
pub mod members;
pub mod metrics;
pub mod notifications;
pub mod overload;
pub mod password;
pub mod posts;
pub mod previews;
pub mod publications;
pub mod queues;
pub mod recovery;
pub mod rules;
pub mod runs;
pub mod sandbox;
pub mod secrets;
pub mod sessions;
pub mod simulation;
mod supposed;
pub mod text;
pub mod throttle;
mod together;
pub mod tokens;
pub mod users;
pub mod webhooks;
pub mod why;
pub mod workspaces;

pub use build::offline_catalogue;

use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use so_model::{IdSource as _, Timestamp};
use so_net::Outbound;
use so_store::{Store, StoreError, vault::Vault};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    hooks::WorkspaceHook, media::MediaStore, metrics::Metrics, password::Hasher,
    sandbox::StoreTimeline, secrets::TokenKeys, sessions::LiveSessions, throttle::Throttle,
};
use so_actions::Access;
use so_connectors::Registry;
use so_engine::{
    Engine,
    clock::Ids,
    engine::HandedReceiver,
    loops::{self, Loops},
};

use crate::config::Config;

/// Everything the server shares. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What an [`App`] is made of.
pub struct Parts {
    /// The database.
    pub store: Store,
    /// Clock and ids.
    pub ids: Ids,
    /// Seals and opens secrets.
    pub vault: Vault,
    /// The one way out.
    pub outbound: Outbound,
    /// The settings.
    pub config: Config,
    /// Keys of tokens.
    pub keys: TokenKeys,
    /// Hashes passwords.
    pub hasher: Hasher,
    /// Counts tries.
    pub throttle: Throttle,
    /// Sessions known to be live.
    pub live_sessions: LiveSessions,
    /// Open live streams by person.
    pub listeners: live::Listeners,
    /// Events, rules, runs.
    pub engine: Engine,
    /// Networks, tokens and files while they are in use.
    pub access: Access,
    /// Bytes of uploads.
    pub files: MediaStore,
    /// Counters.
    pub metrics: Metrics,
    /// What a new workspace is furnished with.
    pub workspace_hook: Arc<dyn WorkspaceHook>,
    /// Cancelled when the server is to end.
    pub stopping: CancellationToken,
    /// Every task that outlives a request.
    pub tasks: TaskTracker,
    /// Hooks as calls meet them.
    pub doors: webhooks::Doors,
    /// What polls of feeds share.
    pub poller: feeds::Poller,
    /// Where scripts and rules are tried, a few at a time.
    pub bench: previews::Bench,
    /// Where forecasts are made, fewer at a time.
    pub forecasts: apart::Places,
    /// Where simulations are made, fewer at a time.
    pub simulations: apart::Places,
    handed: Mutex<Option<HandedReceiver>>,
}

impl Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What the outside gives an [`App`].
pub struct AppSetup {
    /// The database.
    pub store: Store,
    /// Clock and ids.
    pub ids: Ids,
    /// Seals and opens secrets.
    pub vault: Vault,
    /// The one way out.
    pub outbound: Outbound,
    /// The settings.
    pub config: Config,
    /// What a new workspace is furnished with.
    pub workspace_hook: Arc<dyn WorkspaceHook>,
}

/// Why an [`App`] cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The database's fault.
    #[error("could not read the instance's secret")]
    Store(#[from] StoreError),
    /// The folder of uploads' fault.
    #[error("could not open the folder of uploads")]
    Files(#[from] std::io::Error),
}

impl App {
    /// Puts the shared parts together; reads or makes the instance's token secret.
    pub async fn build(setup: AppSetup) -> Result<Self, BuildError> {
        let ids = setup.ids.clone();
        let timeline = StoreTimeline::new(setup.store.clone(), move || ids.now());
        Self::build_with(setup, so_connectors::registry(Arc::new(timeline))).await
    }

    /// The same with other networks, for tests.
    pub async fn build_with(setup: AppSetup, networks: Registry) -> Result<Self, BuildError> {
        let keys = TokenKeys::load_or_create(&setup.store, &setup.vault, setup.ids.now()).await?;
        let files = MediaStore::open(&setup.config.server.data_dir)?;
        let built = build::engine(&setup, networks, Arc::new(files.clone()));
        let AppSetup {
            store,
            ids,
            vault,
            outbound,
            config,
            workspace_hook,
        } = setup;
        Ok(Self(Arc::new(Parts {
            store,
            ids,
            vault,
            outbound,
            config,
            keys,
            hasher: Hasher::default(),
            throttle: Throttle::default(),
            live_sessions: LiveSessions::default(),
            listeners: live::Listeners::default(),
            engine: built.engine,
            access: built.access,
            files,
            metrics: Metrics::default(),
            workspace_hook,
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
            doors: webhooks::Doors::default(),
            poller: feeds::Poller::default(),
            bench: previews::Bench::default(),
            forecasts: forecast::places(),
            simulations: simulation::places(),
            handed: Mutex::new(Some(built.receiver)),
        })))
    }

    /// Starts the engine's loops; none when they were started before.
    pub async fn start_loops(&self) -> Result<Option<Loops>, StoreError> {
        match self.take_handed() {
            Some(receiver) => loops::start(self.engine.clone(), receiver).await.map(Some),
            None => Ok(None),
        }
    }

    /// What the engine hands to whoever works: its loops, or a test. There is one.
    pub fn take_handed(&self) -> Option<HandedReceiver> {
        self.handed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.ids.now()
    }

    /// A reader of the database.
    pub fn reader(&self) -> Store {
        self.store.clone()
    }

    /// The address people use, without a slash at its end.
    pub fn public_url(&self) -> String {
        let server = &self.config.server;
        let listening = || format!("http://{}", server.listen);
        server
            .public_url
            .clone()
            .unwrap_or_else(listening)
            .trim_end_matches('/')
            .to_string()
    }

    /// Whether people reach the server through TLS.
    pub fn is_https(&self) -> bool {
        self.config
            .server
            .public_url
            .as_ref()
            .is_some_and(|url| url.starts_with("https://"))
    }
}
