//! `prune`: history beyond its time is removed now, in the data folder of a stopped server.
//!
//! Invariant: removes what housekeeping would remove at its next hour, and nothing else.

use anyhow::Context as _;

use super::data::{DataFolder, open_app};
use crate::config::Config;

pub(super) async fn run(config: Config, compacts: bool) -> anyhow::Result<()> {
    let _folder = DataFolder::take(&config)?;
    let app = open_app(config).await?;
    let removed = app
        .engine
        .prune()
        .await
        .context("could not remove history beyond its time")?;
    if compacts {
        app.store
            .compact()
            .await
            .context("could not give space back")?;
    }
    app.store.close().await?;
    super::print(&format!(
        "{} ordinary runs let go, {} runs and {} events removed\n",
        removed.let_go, removed.runs, removed.events
    ))
}
