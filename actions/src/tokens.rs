//! Accounts' tokens in the database.
//!
//! Owns the only place that opens a token, and the note that a renewal is under
//! way. Must not call a network. Invariant: a renewed token is on disk before it
//! is used, and of two servers one renews.

use async_trait::async_trait;
use serde_json::Value;
use so_connectors::{ConnectorError, ErrorClass, SecretValue, oauth::TokenVault};
use so_engine::{clock::Ids, failpoint};
use so_model::{IdSource as _, Timestamp, account::Account, time::MINUTE};
use so_store::{Sql, Store, StoreError, Tx, accounts, secrets, vault::Vault};

/// Name of an account's token among its secrets.
pub const TOKEN_SECRET: &str = "token";
/// Name of the note that a renewal is under way.
const RENEWAL_SECRET: &str = "renewal";
/// A renewal noted longer ago was given up by a server that died: no call for a token takes so long.
const RENEWAL_MAX: i64 = 2 * MINUTE;

pub(crate) fn database(account: &Account, error: &StoreError) -> ConnectorError {
    tracing::warn!(account.id = %account.id, %error, "what a publish needs could not be read");
    // A wrong master key is set right by a restart; the posts must still be there then.
    let next_step = match error {
        StoreError::Vault(_) => "check that the server runs with the master key it was set up with",
        _ => "it is tried again",
    };
    let code = format!("{}.storage", account.network);
    let message = format!("the account's secret or files could not be read: {error}");
    ConnectorError::new(ErrorClass::Transient, code, message).next_step(next_step)
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
pub(crate) struct Keeper {
    pub store: Store,
    pub vault: Vault,
    pub ids: Ids,
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
        failpoint::hit("token.claim.commit");
        tx.commit().await?;
        Ok(true)
    }

    async fn try_store(
        &self,
        account: &Account,
        token: &SecretValue,
        expires_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        // The network has answered, and may have ended the old token with it.
        failpoint::hit("K17");
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
        failpoint::hit("token.store.commit");
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
        failpoint::hit("token.release.commit");
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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use so_model::time::SECOND;

    use super::*;
    use crate::tests::World;

    async fn keeper(world: &World) -> (Keeper, Account) {
        let store = world.engine.store.clone();
        let account = accounts::find(&mut store.clone(), world.workspace, world.account).await;
        let vault = world.deps.access.vault().clone();
        let ids = world.engine.ids.clone();
        (Keeper { store, vault, ids }, account.unwrap().unwrap())
    }

    #[tokio::test]
    async fn of_two_servers_one_renews_until_the_other_has_died() {
        let world = World::new().await;
        let (keeper, account) = keeper(&world).await;
        assert!(keeper.claim(&account).await.unwrap());
        assert!(!keeper.claim(&account).await.unwrap());
        world.clock.advance(RENEWAL_MAX - SECOND);
        assert!(!keeper.claim(&account).await.unwrap());
        world.clock.advance(SECOND);
        assert!(keeper.claim(&account).await.unwrap());
        keeper.release(&account).await.unwrap();
        assert!(keeper.claim(&account).await.unwrap());
    }

    #[tokio::test]
    async fn a_stored_token_is_the_one_that_is_loaded_and_ends_the_claim() {
        let world = World::new().await;
        let (keeper, account) = keeper(&world).await;
        keeper.claim(&account).await.unwrap();
        let token = SecretValue::new(json!({"access_token": "new"}));
        let end = Some(world.engine.now().plus(MINUTE));
        keeper.store(&account, &token, end).await.unwrap();
        assert_eq!(keeper.load(&account).await.unwrap(), (token, end));
        assert!(keeper.claim(&account).await.unwrap());
    }

    #[tokio::test]
    async fn an_account_without_a_token_must_be_connected_again() {
        let world = World::new().await;
        let id = world.account_of("mastodon").await;
        let (keeper, _) = keeper(&world).await;
        let account = accounts::find(&mut keeper.store.clone(), world.workspace, id).await;
        let error = keeper.load(&account.unwrap().unwrap()).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Reconnect);
    }
}
