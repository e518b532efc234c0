//! `prune`: history beyond its time is removed now, in the data folder of a stopped server.
//!
//! Invariant: removes what housekeeping would remove in its next hours, and nothing else.

use anyhow::Context as _;

use super::data::{DataFolder, open_app};
use crate::config::Config;

pub(super) async fn run(config: Config, compacts: bool) -> anyhow::Result<()> {
    let _folder = DataFolder::take(&config)?;
    let app = open_app(config).await?;
    let (mut let_go, mut runs, mut events) = (0, 0, 0);
    loop {
        let turn = app.engine.prune().await;
        let turn = turn.context("could not remove history beyond its time")?;
        let_go += turn.let_go;
        runs += turn.runs;
        events += turn.events;
        if turn.is_whole {
            break;
        }
    }
    if compacts {
        app.store
            .compact()
            .await
            .context("could not give space back")?;
    }
    app.store.close().await?;
    super::print(&format!(
        "{let_go} ordinary runs let go, {runs} runs and {events} events removed\n"
    ))
}
