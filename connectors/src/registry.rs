//! The list of networks.
//!
//! Owns the one place where a network is added. Must not know what a network
//! does. Invariant: keys are unique and stable, they are stored with accounts.

use std::sync::Arc;

use so_model::network::Manifest;

use crate::{
    bluesky::Bluesky,
    connector::Connector,
    mastodon::Mastodon,
    sandbox::{Sandbox, SandboxTimeline},
};

/// All networks of this build.
#[derive(Clone)]
pub struct Registry {
    connectors: Vec<Arc<dyn Connector>>,
}

/// Every network, one line each. The sandbox writes to the timeline it is given.
pub fn registry(sandbox: Arc<dyn SandboxTimeline>) -> Registry {
    Registry {
        connectors: vec![
            Arc::new(Sandbox::new(sandbox)),
            Arc::new(Mastodon::new()),
            Arc::new(Bluesky::new()),
        ],
    }
}

impl Registry {
    /// The network with this key.
    pub fn find(&self, key: &str) -> Option<Arc<dyn Connector>> {
        self.connectors
            .iter()
            .find(|connector| connector.manifest().key == key)
            .cloned()
    }

    /// All manifests, in the order shown to people.
    pub fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.connectors.iter().map(|connector| connector.manifest())
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.manifests().map(|manifest| &manifest.key))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sandbox::memory::MemoryTimeline;

    #[test]
    fn every_network_is_found_by_its_own_key_only() {
        let registry = registry(Arc::new(MemoryTimeline::default()));
        let keys: Vec<&str> = registry
            .manifests()
            .map(|manifest| manifest.key.as_str())
            .collect();
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
        for key in keys {
            assert_eq!(
                registry
                    .find(key)
                    .map(|found| found.manifest().key.clone())
                    .as_deref(),
                Some(key)
            );
        }
        assert!(registry.find("Mastodon").is_none() && registry.find("").is_none());
    }
}
