//! What drills stand on: a network's double, a receiver of webhooks, databases, settings.
//!
//! Owns the runtime that the outside world runs on; it must not know a drill.

use std::sync::{Arc, OnceLock};

use serde_json::json;
use so_connectors::mastodon::double::{MastodonDouble, TOKEN};
use so_engine::clock::{Clock as _, SystemClock};
use so_testkit::{counterpart::or_skip, postgres::PostgresCluster, product::Product};

use crate::{
    desk::{Desk, HASTY, PROGRAM},
    sink::Sink,
};

/// Base64 of 32 bytes: processes of one database share the keys that seal its secrets.
const KEYS: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Posts that a drill sends out of one account at most. An account takes 300 in three hours, and 300 calls in five
/// minutes, of which some ask; its list of posts is read back over ten pages of forty.
const PER_ACCOUNT: usize = 150;

/// Which database a drill runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// What all drills share.
pub struct Ground {
    runtime: tokio::runtime::Runtime,
    cluster: OnceLock<Option<PostgresCluster>>,
}

/// The world outside of one drill, which counts what reaches it.
pub struct World {
    double: MastodonDouble,
    more: Vec<MastodonDouble>,
    pub sink: Arc<Sink>,
    settings: Vec<(String, String)>,
}

impl Ground {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        Self {
            runtime: runtime.unwrap(),
            cluster: OnceLock::new(),
        }
    }

    pub fn runtime(&self) -> &tokio::runtime::Handle {
        self.runtime.handle()
    }

    /// A world, and settings by which a server reaches it.
    pub fn world(&self) -> World {
        self.world_for(0)
    }

    /// A world with as many instances of a network, one account on each, as it takes to let so many posts out: limits
    /// of the network are no part of these drills.
    pub fn world_for(&self, posts: usize) -> World {
        let instances = posts.div_ceil(PER_ACCOUNT).max(1);
        let begin = || {
            let double = self.runtime.block_on(MastodonDouble::start()).unwrap();
            // Servers of their own go by the machine's clock.
            double.core().go_by(|| SystemClock.now());
            double
        };
        let double = begin();
        let another = |number: usize| {
            let double = begin();
            double.rename(&format!("m{number}.example"));
            double
        };
        let more: Vec<MastodonDouble> = (1..instances).map(another).collect();
        let sink = self.runtime.block_on(Sink::start());
        let bare = |url: &str| url.strip_prefix("http://").unwrap().to_owned();
        let mut allowed = vec![bare(&double.url()), bare(&sink.url)];
        allowed.extend(more.iter().map(|double| bare(&double.url())));
        let allowed = allowed.join(",");
        let mut settings: Vec<(String, String)> = HASTY
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        for (name, value) in [
            ("SO_OUTBOUND_ALLOW", allowed.as_str()),
            ("SO_OUTBOUND_ALLOW_HTTP", "true"),
            ("SO_NETWORKS_MASTODON_ALLOW_HTTP", "true"),
        ] {
            settings.push((name.to_owned(), value.to_owned()));
        }
        World {
            double,
            more,
            sink,
            settings,
        }
    }

    /// A fresh database in a cluster that lives as long as this value; none without PostgreSQL.
    pub fn database(&self, drill: &str) -> Option<String> {
        let cluster = self
            .cluster
            .get_or_init(|| or_skip(drill, PostgresCluster::start()));
        Some(cluster.as_ref()?.create_fresh_database().unwrap())
    }
}

impl World {
    fn instances(&self) -> impl Iterator<Item = &MastodonDouble> {
        std::iter::once(&self.double).chain(&self.more)
    }

    /// Connects the account of every instance.
    pub fn connect(&self, desk: &Desk, product: &Product) -> Vec<String> {
        let connect = |double: &MastodonDouble| {
            let form = json!({"instance": double.url(), "token": TOKEN});
            desk.connect(product, "mastodon", &form)
        };
        self.instances().map(connect).collect()
    }

    /// The words of everything that the network took, over all instances.
    pub fn published(&self) -> Vec<String> {
        self.instances()
            .flat_map(|double| double.core().published())
            .map(|effect| effect.text)
            .collect()
    }

    /// A server of this world that is not started yet.
    pub fn product(&self, database: Option<&str>) -> Product {
        let mut settings: Vec<(&str, &str)> = self
            .settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        if let Some(url) = database {
            settings.push(("SO_DATABASE_URL", url));
            settings.push(("SO_AUTH_MASTER_KEYS", KEYS));
        }
        Product::prepare(PROGRAM, &settings)
    }
}
