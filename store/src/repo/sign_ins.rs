//! Sign-ins at networks that are under way.
//!
//! Invariant: a state is taken once.

use so_model::{
    id::{AccountId, SignInId, UserId, WorkspaceId},
    time::Timestamp,
};

use crate::{Result, Sql as _, Tx, args};

/// A sign-in that is under way; its verifier is a sealed secret of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Own id.
    pub id: SignInId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// Who began it.
    pub user: UserId,
    /// Key of the network's manifest.
    pub network: String,
    /// The account that is connected again; none for a new one.
    pub account: Option<AccountId>,
    /// Hash of the state that the network gives back.
    pub state_hash: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Stores a sign-in.
pub async fn insert(tx: &mut Tx, sign_in: &SignIn) -> Result<()> {
    tx.run(
        "INSERT INTO sign_ins (id, workspace_id, user_id, network, account_id, state_hash, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        args![
            sign_in.id,
            sign_in.workspace,
            sign_in.user,
            &sign_in.network,
            sign_in.account,
            &sign_in.state_hash,
            sign_in.expires_at
        ],
    )
    .await?;
    Ok(())
}

/// Takes the sign-in with a state; none when it was taken before or is over.
pub async fn take(tx: &mut Tx, state_hash: &str, now: Timestamp) -> Result<Option<SignIn>> {
    let row = tx
        .one(
            "DELETE FROM sign_ins WHERE state_hash = $1 \
             RETURNING id, workspace_id, user_id, network, account_id, state_hash, expires_at",
            args![state_hash],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let sign_in = SignIn {
        id: row.id(0)?,
        workspace: row.id(1)?,
        user: row.id(2)?,
        network: row.text(3)?,
        account: row.opt_id(4)?,
        state_hash: row.text(5)?,
        expires_at: row.at(6)?,
    };
    Ok(Some(sign_in).filter(|sign_in| sign_in.expires_at > now))
}

/// Removes sign-ins that are over, with their secrets.
pub async fn prune(tx: &mut Tx, now: Timestamp) -> Result<u64> {
    tx.run(
        "DELETE FROM secrets WHERE (workspace_id, owner) IN \
         (SELECT workspace_id, id FROM sign_ins WHERE expires_at <= $1)",
        args![now],
    )
    .await?;
    tx.run("DELETE FROM sign_ins WHERE expires_at <= $1", args![now])
        .await
}
