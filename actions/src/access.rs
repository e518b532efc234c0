//! Networks, tokens and files while they are in use.
//!
//! Owns what a call to a network is given. Must not know a network but through
//! the registry. Invariant: every call has fresh randomness and the present moment.

use std::sync::Arc;

use async_trait::async_trait;
use so_connectors::{
    Connector, ConnectorError, Cx, ErrorClass, MediaFacts, MediaFile, MediaSource, NetworkConfig,
    Registry, SecretValue, oauth::Refresher,
};
use so_engine::clock::Ids;
use so_model::{IdSource as _, account::Account, content::Content, id::MediaId};
use so_net::{Bytes, Outbound};
use so_store::{Sql, Store, StoreError, media, vault::Vault};

use crate::{
    deps::MediaBytes,
    tokens::{Keeper, database},
};

/// What access is built of.
pub struct AccessParts {
    /// The networks.
    pub connectors: Registry,
    /// Opens tokens.
    pub vault: Vault,
    /// The only way out.
    pub outbound: Outbound,
    /// The bytes of files.
    pub media: Arc<dyn MediaBytes>,
    /// The instance's settings for networks.
    pub networks: NetworkConfig,
    /// Clock and randomness.
    pub ids: Ids,
}

/// Networks, tokens and files. Cheap to clone; clones share the flights of renewals.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    parts: AccessParts,
    refresher: Refresher,
}

impl Access {
    /// Makes the access that actions and the publish port share.
    pub fn new(parts: AccessParts) -> Self {
        Self(Arc::new(Inner {
            parts,
            refresher: Refresher::new(),
        }))
    }
    /// The networks.
    pub fn connectors(&self) -> &Registry {
        &self.0.parts.connectors
    }
    /// The vault.
    pub fn vault(&self) -> &Vault {
        &self.0.parts.vault
    }
    /// The only way out.
    pub fn outbound(&self) -> &Outbound {
        &self.0.parts.outbound
    }
    /// Clock and randomness.
    pub fn ids(&self) -> &Ids {
        &self.0.parts.ids
    }

    /// The surroundings of one call, with fresh randomness.
    pub fn cx(&self) -> Cx {
        let ids = &self.0.parts.ids;
        let mut random = [0; 32];
        for piece in random.chunks_mut(8) {
            piece.copy_from_slice(&ids.bits().to_le_bytes());
        }
        Cx {
            outbound: self.outbound().clone(),
            now: ids.now(),
            random,
            config: self.0.parts.networks.clone(),
        }
    }

    /// The network of an account.
    pub fn connector(&self, account: &Account) -> Result<Arc<dyn Connector>, ConnectorError> {
        self.connectors().find(&account.network).ok_or_else(|| {
            ConnectorError::new(
                ErrorClass::Config,
                "network.unknown",
                format!("this server has no network called {}", account.network),
            )
            .next_step("update the server, or remove the account")
        })
    }

    /// An account's token, renewed if it is about to end.
    pub async fn token(
        &self,
        store: &Store,
        connector: &dyn Connector,
        account: &Account,
    ) -> Result<SecretValue, ConnectorError> {
        self.0
            .refresher
            .token(connector, &self.cx(), account, &self.keeper(store))
            .await
    }

    /// A token other than `seen`, which the network has called expired.
    pub async fn renew(
        &self,
        store: &Store,
        connector: &dyn Connector,
        account: &Account,
        seen: &SecretValue,
    ) -> Result<SecretValue, ConnectorError> {
        self.0
            .refresher
            .renew(connector, &self.cx(), account, &self.keeper(store), seen)
            .await
    }

    fn keeper(&self, store: &Store) -> Keeper {
        Keeper {
            store: store.clone(),
            vault: self.vault().clone(),
            ids: self.ids().clone(),
        }
    }

    /// The files a part of a post uses, ready to be read.
    pub async fn media_files(
        &self,
        store: &Store,
        account: &Account,
        content: &Content,
    ) -> Result<Vec<MediaFile>, ConnectorError> {
        let mut reader = store.clone();
        let mut files = Vec::new();
        let alts = content
            .media
            .iter()
            .map(|used| (used.id, used.alt.as_str()));
        let card = content
            .link
            .as_ref()
            .and_then(|link| link.image)
            .map(|id| (id, ""));
        for (id, alt) in alts.chain(card) {
            let found = media::find(&mut reader, account.workspace, id)
                .await
                .map_err(|e| database(account, &e))?;
            let file = found.ok_or_else(|| gone(account, id))?;
            let source = Stored {
                media: self.0.parts.media.clone(),
                key: file.storage_key.clone(),
            };
            files.push(MediaFile {
                facts: facts(&file, alt),
                source: Arc::new(source),
            });
        }
        Ok(files)
    }
}

/// What is known of a file as one post uses it.
fn facts(file: &media::MediaFile, alt: &str) -> MediaFacts {
    let pixels = |n: i64| u32::try_from(n).ok().filter(|n| *n > 0);
    MediaFacts {
        id: file.id,
        mime: file.mime.clone(),
        bytes: u64::try_from(file.bytes).unwrap_or(0),
        width: pixels(file.width),
        height: pixels(file.height),
        alt: if alt.is_empty() {
            file.alt.clone()
        } else {
            alt.to_owned()
        },
    }
}

/// What is known of the files that a whole content uses; those that are gone are left out.
pub(crate) async fn media_facts(
    sql: &mut dyn Sql,
    workspace: so_model::id::WorkspaceId,
    content: &Content,
) -> Result<Vec<MediaFacts>, StoreError> {
    let parts = content.thread.iter().flat_map(|part| &part.media);
    let used = content
        .media
        .iter()
        .chain(parts)
        .map(|used| (used.id, used.alt.as_str()));
    let card = content
        .link
        .as_ref()
        .and_then(|link| link.image)
        .map(|id| (id, ""));
    let mut found = Vec::new();
    for (id, alt) in used.chain(card) {
        found.extend(
            media::find(sql, workspace, id)
                .await?
                .map(|file| facts(&file, alt)),
        );
    }
    Ok(found)
}

fn gone(account: &Account, id: MediaId) -> ConnectorError {
    ConnectorError::new(
        ErrorClass::Content,
        format!("{}.media_gone", account.network),
        format!("the file {id} of the post was deleted"),
    )
    .next_step("choose another file")
    .field("/media")
}

struct Stored {
    media: Arc<dyn MediaBytes>,
    key: String,
}

#[async_trait]
impl MediaSource for Stored {
    async fn bytes(&self) -> std::io::Result<Bytes> {
        self.media.bytes(&self.key).await
    }
    async fn public_url(&self) -> Option<String> {
        self.media.public_url(&self.key).await
    }
}
