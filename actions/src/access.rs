//! Tokens and files while they are in use.
//!
//! Owns the only place that opens an account's token, and its renewal. Must not
//! know a network but through the registry. Invariant: a renewed token is on
//! disk before it is used.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use so_connectors::{
    Connector, ConnectorError, Cx, ErrorClass, MediaFacts, MediaFile, MediaSource, NetworkConfig,
    Registry, SecretValue,
    oauth::{Refresher, TokenVault},
};
use so_engine::clock::Ids;
use so_model::{
    IdSource as _, Timestamp, account::Account, content::Content, id::MediaId, time::MINUTE,
};
use so_net::{Bytes, Outbound};
use so_store::{Sql, Store, StoreError, Tx, accounts, media, secrets, vault::Vault};

use crate::deps::MediaBytes;

/// Name of an account's token among its secrets.
pub const TOKEN_SECRET: &str = "token";
/// Name of the note that a renewal is under way.
const RENEWAL_SECRET: &str = "renewal";
/// A renewal noted longer ago was given up by a server that died: no call for a token takes so long.
const RENEWAL_MAX: i64 = 2 * MINUTE;

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

fn database(account: &Account, error: &StoreError) -> ConnectorError {
    tracing::warn!(account.id = %account.id, %error, "what a publish needs could not be read");
    let class = match error {
        StoreError::Vault(_) | StoreError::Corrupt { .. } => ErrorClass::Config,
        _ => ErrorClass::Transient,
    };
    let code = format!("{}.storage", account.network);
    let error = ConnectorError::new(
        class,
        code,
        format!("the account's secret or files could not be read: {error}"),
    );
    match class {
        ErrorClass::Config => {
            error.next_step("check that the server runs with the master key it was set up with")
        }
        _ => error.next_step("it is tried again"),
    }
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

/// Seals an account's token, within the transaction that stores the account.
pub async fn put_token(
    tx: &mut Tx,
    vault: &Vault,
    account: &Account,
    token: &SecretValue,
    now: Timestamp,
) -> Result<(), StoreError> {
    let text = token.expose().to_string();
    secrets::put(
        tx,
        vault,
        account.workspace,
        &account.id.to_string(),
        TOKEN_SECRET,
        &text,
        now,
    )
    .await
}

/// Tokens in the database.
struct Keeper {
    store: Store,
    vault: Vault,
    ids: Ids,
}

impl Keeper {
    async fn read(
        &self,
        sql: &mut dyn Sql,
        account: &Account,
        name: &str,
    ) -> Result<Option<String>, StoreError> {
        let owner = account.id.to_string();
        let found = secrets::get(sql, &self.vault, account.workspace, &owner, name).await?;
        Ok(found.map(|text| text.expose().to_owned()))
    }

    async fn try_claim(&self, account: &Account) -> Result<bool, StoreError> {
        let now = self.ids.now();
        let owner = account.id.to_string();
        let mut tx = self.store.begin().await?;
        // Held until the commit, so that two servers cannot both find no note.
        accounts::find_for_update(&mut tx, account.workspace, account.id).await?;
        let noted = self
            .read(&mut tx, account, RENEWAL_SECRET)
            .await?
            .and_then(|text| Timestamp::parse(&text));
        if let Some(at) = noted {
            if now.since(at) < RENEWAL_MAX {
                tx.rollback().await?;
                return Ok(false);
            }
            tracing::warn!(account.id = %owner, "a renewal was cut short by a stop; the token may be lost");
        }
        let note = now.to_string();
        secrets::put(
            &mut tx,
            &self.vault,
            account.workspace,
            &owner,
            RENEWAL_SECRET,
            &note,
            now,
        )
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn try_store(
        &self,
        account: &Account,
        token: &SecretValue,
        expires_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let now = self.ids.now();
        let mut tx = self.store.begin().await?;
        put_token(&mut tx, &self.vault, account, token, now).await?;
        secrets::delete(
            &mut tx,
            account.workspace,
            &account.id.to_string(),
            RENEWAL_SECRET,
        )
        .await?;
        if let Some(mut stored) =
            accounts::find_for_update(&mut tx, account.workspace, account.id).await?
        {
            stored.token_expires_at = expires_at;
            stored.updated_at = now;
            accounts::update(&mut tx, &stored).await?;
        }
        tx.commit().await
    }

    async fn try_release(&self, account: &Account) -> Result<(), StoreError> {
        let mut tx = self.store.begin().await?;
        secrets::delete(
            &mut tx,
            account.workspace,
            &account.id.to_string(),
            RENEWAL_SECRET,
        )
        .await?;
        tx.commit().await
    }
}

#[async_trait]
impl TokenVault for Keeper {
    async fn load(
        &self,
        account: &Account,
    ) -> Result<(SecretValue, Option<Timestamp>), ConnectorError> {
        let mut reader = self.store.clone();
        let text = self
            .read(&mut reader, account, TOKEN_SECRET)
            .await
            .map_err(|e| database(account, &e))?;
        let value = text.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        let value = value.ok_or_else(|| {
            ConnectorError::new(
                ErrorClass::Reconnect,
                format!("{}.no_token", account.network),
                "there is no token for this account",
            )
            .next_step("connect the account again")
        })?;
        let stored = accounts::find(&mut reader, account.workspace, account.id)
            .await
            .map_err(|e| database(account, &e))?;
        let expires_at = stored.map_or(account.token_expires_at, |stored| stored.token_expires_at);
        Ok((SecretValue::new(value), expires_at))
    }
    async fn claim(&self, account: &Account) -> Result<bool, ConnectorError> {
        self.try_claim(account)
            .await
            .map_err(|e| database(account, &e))
    }
    async fn store(
        &self,
        account: &Account,
        token: &SecretValue,
        expires_at: Option<Timestamp>,
    ) -> Result<(), ConnectorError> {
        self.try_store(account, token, expires_at)
            .await
            .map_err(|e| database(account, &e))
    }
    async fn release(&self, account: &Account) -> Result<(), ConnectorError> {
        self.try_release(account)
            .await
            .map_err(|e| database(account, &e))
    }
}
