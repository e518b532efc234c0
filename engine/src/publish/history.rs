//! Holds what production wrote against the relation.
//!
//! Owns the reading of a publication's whole history. Invariant: reads only, and
//! says nothing of a publication that changed while it was read.

use so_model::{
    id::PublicationId,
    publication::{Publication, PublicationState},
};
use so_store::{Store, StoreError, attempts, publications};

use super::relation::{Violation, check_log};

/// A history that the protocol could not have written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlawful {
    /// Whose.
    pub publication: PublicationId,
    /// What is wrong with it.
    pub violation: Violation,
}

/// Checks the histories of publications, at most `limit` of each state, those that were due last.
pub async fn check_histories(store: &Store, limit: i64) -> Result<Vec<Unlawful>, StoreError> {
    let mut found = Vec::new();
    for state in PublicationState::ALL {
        let rows = publications::list_by_state(&mut store.clone(), state, limit).await?;
        for row in rows {
            found.extend(check_history(store, &row).await?);
        }
    }
    Ok(found)
}

/// Checks the history of one publication.
pub async fn check_history(
    store: &Store,
    row: &Publication,
) -> Result<Option<Unlawful>, StoreError> {
    let mut reader = store.clone();
    let log = publications::list_log(&mut reader, row.workspace, row.id).await?;
    let tries = attempts::list_for_publication(&mut reader, row.workspace, row.id).await?;
    let Err(violation) = check_log(row, &log, &tries) else {
        return Ok(None);
    };
    // Every step but a look that finds nothing changes one of the two.
    let again = publications::find(&mut reader, row.workspace, row.id).await?;
    let is_same = again.is_some_and(|now| (now.state, now.epoch) == (row.state, row.epoch));
    Ok(is_same.then_some(Unlawful {
        publication: row.id,
        violation,
    }))
}
