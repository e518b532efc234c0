//! `user create`: makes a person where registration is closed, or for the first time.

use std::io::Read as _;

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    data::{DataFolder, open_app},
    told,
};
use crate::{
    app::{secrets::random_bytes, users::NewUser},
    config::Config,
};

/// Longest password that is read; longer ones are refused anyway.
const PASSWORD_BYTES_MAX: u64 = 4096;
/// Bytes of a password that is made: 144 bits in 24 letters.
const MADE_BYTES: usize = 18;

/// A person to be made.
#[derive(Debug)]
pub(super) struct NewPerson {
    pub email: String,
    pub name: String,
    pub time_zone: String,
    pub password_stdin: bool,
}

pub(super) async fn create(config: Config, person: NewPerson) -> anyhow::Result<()> {
    let _folder = DataFolder::take(&config)?;
    let (password, is_made) = if person.password_stdin {
        (read_password()?, false)
    } else {
        (URL_SAFE_NO_PAD.encode(&random_bytes()?[..MADE_BYTES]), true)
    };
    let new = NewUser::check(
        &person.name,
        &person.email,
        &password,
        Some(&person.time_zone),
    )
    .map_err(told)?;
    let app = open_app(config).await?;
    let hash = new.hash(&app).await.map_err(told)?;
    let mut tx = app.store.begin().await?;
    let (user, workspace) = new.store(&app, &mut tx, &hash).await.map_err(told)?;
    tx.commit().await?;
    app.store.close().await?;
    super::print(&format!(
        "made {} with workspace {}\n",
        user.id, workspace.id
    ))?;
    if is_made {
        super::print(&format!("password: {password}\n"))?;
    }
    Ok(())
}

fn read_password() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .take(PASSWORD_BYTES_MAX)
        .read_to_string(&mut text)
        .context("could not read the password from standard input")?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        bail!("standard input held no password");
    }
    Ok(line.to_string())
}
