//! One renewal of a token at a time.
//!
//! Owns the flights. Must not know where tokens are kept but by [`TokenVault`].
//! Invariant: a renewed token is stored before anybody uses it, because the
//! network may have ended the old one with its answer.

use std::{num::NonZeroUsize, sync::Arc};

use async_trait::async_trait;
use lru::LruCache;
use so_model::{Timestamp, account::Account, id::AccountId, time::MINUTE, time::SECOND};
use tokio::sync::Mutex;

use crate::{
    connector::{Connector, Refresh},
    context::Cx,
    error::{ConnectorError, ErrorClass},
    secret::SecretValue,
};

/// Most accounts whose flights are remembered; one more costs the oldest, which then renews alone all the same.
pub const MAX_FLIGHTS: usize = 4096;
/// A token is renewed this long before its end, so that no call of two minutes outlives it.
const MARGIN: i64 = 5 * MINUTE;
/// Wait when another server is renewing.
const OTHER_SERVER_WAIT: i64 = 5 * SECOND;

/// Where tokens are kept.
#[async_trait]
pub trait TokenVault: Send + Sync {
    /// The token as stored now.
    async fn load(
        &self,
        account: &Account,
    ) -> Result<(SecretValue, Option<Timestamp>), ConnectorError>;

    /// Notes durably that a renewal begins, and answers whether no other server is at it. After a crash between
    /// the network's answer and [`TokenVault::store`] the note is what tells that the token may be lost.
    async fn claim(&self, account: &Account) -> Result<bool, ConnectorError>;

    /// Stores a renewed token durably and ends the claim.
    async fn store(
        &self,
        account: &Account,
        token: &SecretValue,
        expires_at: Option<Timestamp>,
    ) -> Result<(), ConnectorError>;

    /// Ends the claim without a new token.
    async fn release(&self, account: &Account) -> Result<(), ConnectorError>;
}

/// Lets one renewal for each account run at a time.
pub struct Refresher {
    flights: Mutex<LruCache<AccountId, Arc<Mutex<()>>>>,
}

impl Default for Refresher {
    fn default() -> Self {
        Self {
            flights: Mutex::new(LruCache::new(
                NonZeroUsize::MIN.saturating_add(MAX_FLIGHTS - 1),
            )),
        }
    }
}

impl Refresher {
    /// No flights.
    pub fn new() -> Self {
        Self::default()
    }

    /// A token that is good for the next call, renewed if its end is near.
    pub async fn token(
        &self,
        connector: &dyn Connector,
        cx: &Cx,
        account: &Account,
        vault: &dyn TokenVault,
    ) -> Result<SecretValue, ConnectorError> {
        let (token, expires_at) = vault.load(account).await?;
        if expires_at.is_none_or(|end| end.since(cx.now) > MARGIN) {
            return Ok(token);
        }
        self.renew(connector, cx, account, vault, &token).await
    }

    /// A token other than `seen`, which the network has called expired.
    pub async fn renew(
        &self,
        connector: &dyn Connector,
        cx: &Cx,
        account: &Account,
        vault: &dyn TokenVault,
        seen: &SecretValue,
    ) -> Result<SecretValue, ConnectorError> {
        let flight = {
            let mut flights = self.flights.lock().await;
            flights.get_or_insert(account.id, Arc::default).clone()
        };
        let _landing = flight.lock().await;
        // Whoever waited finds the work done.
        let (stored, _) = vault.load(account).await?;
        if stored != *seen {
            return Ok(stored);
        }
        if !vault.claim(account).await? {
            return Err(ConnectorError::new(
                ErrorClass::Transient,
                format!("{}.renewal_elsewhere", account.network),
                "Another server is renewing the access to this account.",
            )
            .next_step("It is tried again in a moment.")
            .retry_after(OTHER_SERVER_WAIT));
        }
        match connector.refresh(cx, account, &stored).await {
            Ok(Refresh::Rotated { token, expires_at }) => {
                vault.store(account, &token, expires_at).await?;
                Ok(token)
            }
            Ok(Refresh::Unchanged) => {
                vault.release(account).await?;
                Ok(stored)
            }
            // An answer that was lost may have rotated the token; the next try says whether it did.
            Err(error) => {
                vault.release(account).await?;
                Err(error)
            }
        }
    }
}
