//! What the server does, apart from HTTP.
//!
//! Owns the use cases and what they share. Must not know requests, answers or SQL. Invariant: everything
//! a use case needs lies in [`App`]; nothing is global.

pub mod auth;
pub mod failure;
pub mod hooks;
pub mod live;
pub mod members;
pub mod metrics;
pub mod password;
pub mod secrets;
pub mod sessions;
pub mod text;
pub mod throttle;
pub mod tokens;
pub mod users;
pub mod workspaces;

use std::{ops::Deref, sync::Arc};

use so_model::{IdSource as _, Timestamp};
use so_net::Outbound;
use so_store::{Store, vault::Vault};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    hooks::WorkspaceHook, live::Live, metrics::Metrics, password::Hasher, secrets::TokenKeys,
    sessions::LiveSessions, throttle::Throttle,
};
use so_engine::clock::Ids;

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
    /// Changes, as they happen.
    pub live: Live,
    /// Counters.
    pub metrics: Metrics,
    /// What a new workspace is furnished with.
    pub workspace_hook: Arc<dyn WorkspaceHook>,
    /// Cancelled when the server is to end.
    pub stopping: CancellationToken,
    /// Every task that outlives a request.
    pub tasks: TaskTracker,
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

impl App {
    /// Puts the shared parts together; reads or makes the instance's token secret.
    pub async fn build(setup: AppSetup) -> Result<Self, so_store::StoreError> {
        let AppSetup {
            store,
            ids,
            vault,
            outbound,
            config,
            workspace_hook,
        } = setup;
        let keys = TokenKeys::load_or_create(&store, &vault, ids.now()).await?;
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
            live: Live::default(),
            metrics: Metrics::default(),
            workspace_hook,
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })))
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.ids.now()
    }

    /// A reader of the database.
    pub fn reader(&self) -> Store {
        self.store.clone()
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
