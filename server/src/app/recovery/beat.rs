//! The heartbeat: how far the database got, said again and again.
//!
//! Invariant: a database that lost history under a running server, as in a failover, is noticed by the next
//! beat; one that became another one ends the server.

use std::time::Duration;

use super::{Entry, enter};
use crate::app::{App, failure::chain};

/// Between two beats. What may have gone out in the last of them is asked for after a restore.
const EVERY: Duration = Duration::from_secs(10);

/// Beats until the server ends.
pub async fn keep_beating(app: App) {
    loop {
        tokio::select! {
            () = app.stopping.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        match enter(&app, false).await {
            Ok(Entry::Open) => {}
            Ok(Entry::Held) => {
                tracing::error!(
                    "the database is not the one that the server was started with; it ends"
                );
                app.stopping.cancel();
            }
            Err(error) => tracing::warn!(error = %chain(&error), "a heartbeat failed"),
        }
    }
}
