//! People who sign in. They belong to no workspace; memberships say which they may enter.

use so_model::{id::UserId, workspace::User};

use crate::{Result, Row, Sql, Tx, args};

fn read(row: &Row) -> Result<User> {
    Ok(User {
        id: row.id(0)?,
        email: row.text(1)?,
        name: row.text(2)?,
        created_at: row.at(3)?,
    })
}

/// Stores a person; a conflict when the address is taken.
pub async fn insert(tx: &mut Tx, user: &User, password_hash: &str) -> Result<()> {
    tx.run(
        "INSERT INTO users (id, email, name, password_hash, created_at) VALUES ($1, $2, $3, $4, $5)",
        args![user.id, &user.email, &user.name, password_hash, user.created_at],
    )
    .await?;
    Ok(())
}

/// The person with an address in lower case, and the hash of the password.
pub async fn find_by_email(sql: &mut dyn Sql, email: &str) -> Result<Option<(User, String)>> {
    let row = sql
        .one(
            "SELECT id, email, name, created_at, password_hash FROM users WHERE email = $1",
            args![email],
        )
        .await?;
    row.map(|row| Ok((read(&row)?, row.text(4)?))).transpose()
}

/// The person with an id.
pub async fn find(sql: &mut dyn Sql, id: UserId) -> Result<Option<User>> {
    let row = sql
        .one(
            "SELECT id, email, name, created_at FROM users WHERE id = $1",
            args![id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Changes the name shown.
pub async fn set_name(tx: &mut Tx, id: UserId, name: &str) -> Result<bool> {
    let changed = tx
        .run("UPDATE users SET name = $2 WHERE id = $1", args![id, name])
        .await?;
    Ok(changed == 1)
}

/// Changes the hash of the password.
pub async fn set_password_hash(tx: &mut Tx, id: UserId, password_hash: &str) -> Result<bool> {
    let changed = tx
        .run(
            "UPDATE users SET password_hash = $2 WHERE id = $1",
            args![id, password_hash],
        )
        .await?;
    Ok(changed == 1)
}

/// How many people there are: none means the instance is new.
pub async fn count(sql: &mut dyn Sql) -> Result<i64> {
    let row = sql.one("SELECT COUNT(*) FROM users", args![]).await?;
    row.map_or(Ok(0), |row| row.int(0))
}
