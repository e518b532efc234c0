//! `instance …`: what the server's administrator says of the instance.
//!
//! Invariant: no lock is taken, so that a running server can be told; it looks by itself within seconds.

use std::fmt::Write as _;

use anyhow::bail;
use so_model::api::instance::InstanceStatus;
use so_store::instance;

use super::{InstanceCommand, data::open_app};
use crate::{
    app::{App, recovery},
    config::Config,
};

pub(super) async fn run(config: Config, command: &InstanceCommand) -> anyhow::Result<()> {
    super::data::make_private(&config.server.data_dir)?;
    let app = open_app(config).await?;
    let said = match command {
        InstanceCommand::Status => status(&app).await,
        InstanceCommand::Confirm => confirm(&app).await,
        InstanceCommand::Restored => restored(&app).await,
        InstanceCommand::Settled => settled(&app).await,
    };
    app.store.close().await?;
    super::print(&said?)
}

async fn status(app: &App) -> anyhow::Result<String> {
    let state = recovery::state(app, None).await?;
    let mut text = match (state.status, state.reason) {
        (InstanceStatus::Held, reason) => format!("held: {}\n", reason.unwrap_or_default()),
        (InstanceStatus::Running, _) => "not held\n".to_owned(),
    };
    for gap in state.gaps {
        let certainty = if gap.is_certain { "" } else { " (perhaps)" };
        let _ = writeln!(
            text,
            "gap from {} to {}{certainty}: {}",
            gap.from, gap.until, gap.cause
        );
    }
    Ok(text)
}

async fn confirm(app: &App) -> anyhow::Result<String> {
    let mut tx = app.store.begin().await?;
    instance::lock(&mut tx).await?;
    if !recovery::is_held(&mut tx).await? {
        bail!("the instance is not held");
    }
    recovery::release(&mut tx, app.now()).await?;
    tx.commit().await?;
    Ok("confirmed; what may have gone out meanwhile is looked for at the networks first\n".into())
}

async fn restored(app: &App) -> anyhow::Result<String> {
    let mut tx = app.store.begin().await?;
    instance::lock(&mut tx).await?;
    recovery::declare_restored(&mut tx, app.now()).await?;
    tx.commit().await?;
    Ok("what may have gone out since the database's last heartbeat is looked for at the networks first\n".into())
}

async fn settled(app: &App) -> anyhow::Result<String> {
    let mut tx = app.store.begin().await?;
    let ended = instance::end_gaps(&mut tx, app.now()).await?;
    tx.commit().await?;
    Ok(format!("{ended} gaps ended\n"))
}
