//! P6: confirmed outcomes that the database could not take.
//!
//! Invariant: a line is synced to disk before the error is passed on, and is
//! replayed before any publication is touched again.

use std::{io::Write as _, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use so_model::{
    id::{AttemptId, PublicationId, WorkspaceId},
    publication::{Attempt, Publication, PublicationState},
};
use so_store::{StoreError, attempts, publications};

use crate::{engine::Engine, failpoint};

#[derive(Serialize, Deserialize)]
struct Line {
    workspace: WorkspaceId,
    publication: PublicationId,
    attempt: AttemptId,
    remote_id: String,
    remote_url: Option<String>,
    extra: Value,
}

/// Keeps an outcome in the spill file; false when there is none or it cannot be written.
pub(super) fn append(
    engine: &Engine,
    publication: &Publication,
    attempt: &Attempt,
    remote_id: &str,
    remote_url: Option<String>,
    extra: Value,
) -> bool {
    let Some(path) = &engine.config.spill_file else {
        return false;
    };
    let line = Line {
        workspace: publication.workspace,
        publication: publication.id,
        attempt: attempt.id,
        remote_id: remote_id.to_string(),
        remote_url,
        extra,
    };
    let _guard = crate::engine::lock(&engine.spill_lock);
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)?;
        let text = serde_json::to_string(&line).map_err(std::io::Error::other)?;
        // A line before it that was cut short must not swallow this one.
        file.write_all(format!("\n{text}\n").as_bytes())?;
        file.sync_all()?;
        // A file of which the folder does not know yet is gone after a power cut.
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    let is_kept = write().is_ok();
    failpoint::hit("spill");
    is_kept
}

/// Writes kept outcomes into the database; answers how many there were.
pub async fn replay(engine: &Engine) -> Result<usize, StoreError> {
    let Some(path) = engine.config.spill_file.clone() else {
        return Ok(0);
    };
    let aside = path.with_extension("replaying");
    let text = {
        let _guard = crate::engine::lock(&engine.spill_lock);
        // What a replay before this one left behind comes first; new lines wait for their turn.
        if !aside.exists() && std::fs::rename(&path, &aside).is_err() {
            return Ok(0);
        }
        match std::fs::read(&aside) {
            Ok(text) => text,
            Err(_) => return Ok(0),
        }
    };
    let mut replayed = 0;
    // A line cut short by a crash says nothing; its publication is reconciled instead.
    for line in text
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Line>(line).ok())
    {
        let now = engine.now();
        let mut tx = engine.store.begin().await?;
        let row =
            publications::find_with_content(&mut tx, line.workspace, line.publication).await?;
        let open = attempts::find_open(&mut tx, line.workspace, line.publication).await?;
        if let (Some(row), Some(open)) = (row, open)
            && open.id == line.attempt
            && matches!(
                row.publication.state,
                PublicationState::Sending
                    | PublicationState::Unknown
                    | PublicationState::Reconciling
                    | PublicationState::NeedsReview
            )
        {
            let stored = engine
                .write_confirmed(
                    &mut tx,
                    &row,
                    &open,
                    &line.remote_id,
                    line.remote_url,
                    line.extra,
                    now,
                )
                .await;
            let admissions = match stored {
                Ok(admissions) => admissions,
                Err(error) if error.is_transient() => return Err(error),
                // Such as an id that another publication is bound to by now: reconciliation decides.
                Err(error) => {
                    tracing::error!(publication.id = %line.publication, %error, "a spilled outcome is skipped");
                    continue;
                }
            };
            failpoint::hit("spill.replay.commit");
            tx.commit().await?;
            engine.hand_over_all(admissions);
            replayed += 1;
        }
    }
    if let Err(error) = std::fs::remove_file(&aside) {
        tracing::warn!(%error, "could not remove the replayed spill file");
    }
    Ok(replayed)
}
