//! Connected accounts.
//!
//! Invariant: an account at a network appears once in a workspace; connecting
//! it again is the same account with its id.

use so_model::{
    account::{Account, AccountState},
    id::{AccountId, WorkspaceId},
    time::Timestamp,
};

use super::expect_one;
use crate::{Result, Row, Sql, StoreError, Tx, args, bulk::Shape, dialect, value::to_json};

fn read(row: &Row) -> Result<Account> {
    row.json(0)
}

/// Stores an account; one that is connected already keeps its id and first date.
///
/// Answers the account as it is stored.
pub async fn insert_or_replace(tx: &mut Tx, account: &Account) -> Result<Account> {
    let inserted = tx
        .run(
            "INSERT INTO accounts (id, workspace_id, network, remote_id, state, doc, token_expires_at, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (workspace_id, network, remote_id) DO NOTHING",
            args![
                account.id, account.workspace, &account.network, &account.remote_id, account.state.as_str(),
                to_json(account)?, account.token_expires_at, account.created_at, account.updated_at
            ],
        )
        .await?;
    if inserted == 1 {
        return Ok(account.clone());
    }
    let former = find_by_remote_id(tx, account.workspace, &account.network, &account.remote_id)
        .await?
        .ok_or(StoreError::Stale { what: "account" })?;
    let mut account = account.clone();
    account.id = former.id;
    account.created_at = former.created_at;
    update(tx, &account).await?;
    Ok(account)
}

/// The account with an id.
pub async fn find(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    id: AccountId,
) -> Result<Option<Account>> {
    let row = sql
        .one(
            "SELECT doc FROM accounts WHERE workspace_id = $1 AND id = $2",
            args![workspace, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

const LISTED: Shape = Shape {
    before: "SELECT doc FROM accounts WHERE id IN (",
    columns: 1,
    after: ")",
    fixed: 0,
};

/// Accounts by their ids, in no order, of any workspace: its callers hold the leases of jobs about them.
pub async fn list_of(sql: &mut dyn Sql, ids: &[AccountId]) -> Result<Vec<Account>> {
    LISTED.read(sql, &args![], ids, read).await
}

/// The account with an id, held against other processes until the transaction ends.
pub async fn find_for_update(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: AccountId,
) -> Result<Option<Account>> {
    let sql = dialect::lock_account(tx.backend());
    let row = tx.one(sql, args![workspace, id]).await?;
    row.as_ref().map(read).transpose()
}

/// The account that a network knows by an id.
pub async fn find_by_remote_id(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    network: &str,
    remote_id: &str,
) -> Result<Option<Account>> {
    let row = sql
        .one(
            "SELECT doc FROM accounts WHERE workspace_id = $1 AND network = $2 AND remote_id = $3",
            args![workspace, network, remote_id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// The workspace of an account, for ports that are given the account alone.
pub async fn workspace_of(sql: &mut dyn Sql, id: AccountId) -> Result<Option<WorkspaceId>> {
    let row = sql
        .one("SELECT workspace_id FROM accounts WHERE id = $1", args![id])
        .await?;
    row.map(|row| row.id(0)).transpose()
}

/// Accounts of a workspace after a cursor, oldest first, removed ones included.
pub async fn list(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    after: &str,
    limit: i64,
) -> Result<Vec<Account>> {
    sql.all(
        "SELECT doc FROM accounts WHERE workspace_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        args![workspace, after, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Stores a changed account; read it with `find_for_update` in the same transaction.
pub async fn update(tx: &mut Tx, account: &Account) -> Result<()> {
    let changed = tx
        .run(
            "UPDATE accounts SET state = $3, doc = $4, token_expires_at = $5, updated_at = $6 \
             WHERE workspace_id = $1 AND id = $2",
            args![
                account.workspace,
                account.id,
                account.state.as_str(),
                to_json(account)?,
                account.token_expires_at,
                account.updated_at
            ],
        )
        .await?;
    expect_one(changed, "account")
}

/// Moves an account out of one of the states `from`; stale when it is in another.
pub async fn set_state(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: AccountId,
    from: &[AccountState],
    to: AccountState,
    problem: Option<&str>,
    now: Timestamp,
) -> Result<Account> {
    let mut account = find_for_update(tx, workspace, id)
        .await?
        .filter(|account| from.contains(&account.state))
        .ok_or(StoreError::Stale { what: "account" })?;
    account.state = to;
    account.problem = problem.map(str::to_string);
    account.updated_at = now;
    update(tx, &account).await?;
    Ok(account)
}

/// Active accounts of every workspace whose token ends before a moment, earliest first.
pub async fn list_expiring(
    sql: &mut dyn Sql,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<Account>> {
    sql.all(
        "SELECT doc FROM accounts WHERE token_expires_at < $1 AND state = 'active' \
         ORDER BY token_expires_at, id LIMIT $2",
        args![before, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}
