//! What was written about publications is held against the protocol.
//!
//! Invariants: reads only; a log names ids, states and numbers, never what was written in a post.

use std::sync::atomic::Ordering;

use so_engine::publish::check_histories;
use so_store::StoreError;

use crate::app::App;

/// Publications of one look, for each state: a few hundred short reads, which no publish has to wait for.
const HISTORIES_OF_A_LOOK: i64 = 100;

/// Reports every history that the protocol could not have written; answers how many there are.
pub async fn check(app: &App) -> Result<usize, StoreError> {
    let found = check_histories(&app.store, HISTORIES_OF_A_LOOK).await?;
    for unlawful in &found {
        tracing::error!(
            publication.id = %unlawful.publication, violation = %unlawful.violation,
            "a publication has a history that the protocol does not allow"
        );
        app.metrics
            .history_violations
            .fetch_add(1, Ordering::Relaxed);
    }
    Ok(found.len())
}
