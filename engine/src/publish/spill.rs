//! P6: confirmed outcomes that the database could not take.
//!
//! Invariant: a line is synced to disk before the error is passed on, or kept in
//! memory where no disk takes it, and is replayed before any publication is touched again.

use std::{io::Write as _, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use so_model::{
    id::{AttemptId, PublicationId, WorkspaceId},
    publication::Attempt,
};
use so_store::{StoreError, attempts, publications};

use super::{
    relation::{self, By},
    result::Told,
};
use crate::{engine::Engine, failpoint};

/// Outcomes kept in memory; beyond it their publications are reconciled.
const UNSPILLED_MAX: usize = 10_000;
/// Looks at a publication that others change at the same moment; it has few steps that it could take meanwhile.
const STORE_TRIES_MAX: u32 = 8;

/// A confirmed outcome.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outcome {
    workspace: WorkspaceId,
    publication: PublicationId,
    attempt: AttemptId,
    remote_id: String,
    remote_url: Option<String>,
    extra: Value,
}

impl Outcome {
    pub(super) fn new(attempt: &Attempt, told: Told) -> Self {
        Self {
            workspace: attempt.workspace,
            publication: attempt.publication,
            attempt: attempt.id,
            remote_id: told.remote_id,
            remote_url: told.remote_url,
            extra: told.extra,
        }
    }
}

/// Keeps an outcome in the spill file; false when there is none or it cannot be written.
///
/// It is in memory then, for a disk that is full has no room for the spill file either.
pub(super) fn append(engine: &Engine, outcome: Outcome) -> bool {
    let is_kept = {
        let _guard = crate::engine::lock(&engine.spill_lock);
        let path = engine.config.spill_file.as_deref();
        path.is_some_and(|path| write(path, &outcome).is_ok())
    };
    failpoint::hit("spill");
    if !is_kept {
        remember(engine, outcome);
    }
    is_kept
}

fn write(path: &Path, outcome: &Outcome) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?;
    let text = serde_json::to_string(outcome).map_err(std::io::Error::other)?;
    // A line before it that was cut short must not swallow this one.
    file.write_all(format!("\n{text}\n").as_bytes())?;
    file.sync_all()?;
    // A file of which the folder does not know yet is gone after a power cut.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn remember(engine: &Engine, outcome: Outcome) {
    let mut unspilled = crate::engine::lock(&engine.unspilled);
    if unspilled.len() < UNSPILLED_MAX {
        unspilled.push(outcome);
    }
}

/// Writes kept outcomes into the database; answers how many there were.
pub async fn replay(engine: &Engine) -> Result<usize, StoreError> {
    let mut replayed = 0;
    loop {
        let Some(outcome) = crate::engine::lock(&engine.unspilled).pop() else {
            break;
        };
        match store(engine, &outcome).await {
            Ok(is_new) => replayed += usize::from(is_new),
            Err(error) => {
                remember(engine, outcome);
                return Err(error);
            }
        }
    }
    Ok(replayed + replay_file(engine).await?)
}

async fn replay_file(engine: &Engine) -> Result<usize, StoreError> {
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
    for outcome in text
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Outcome>(line).ok())
    {
        replayed += usize::from(store(engine, &outcome).await?);
    }
    if let Err(error) = std::fs::remove_file(&aside) {
        tracing::warn!(%error, "could not remove the replayed spill file");
    }
    Ok(replayed)
}

/// True when the outcome is stored now; false when it was, or cannot be.
pub(super) async fn store(engine: &Engine, outcome: &Outcome) -> Result<bool, StoreError> {
    let mut tries = 1;
    loop {
        match store_once(engine, outcome).await {
            // Somebody took the publication a step further between our look and our change.
            Err(StoreError::Stale { .. }) if tries < STORE_TRIES_MAX => tries += 1,
            stored => return stored,
        }
    }
}

async fn store_once(engine: &Engine, outcome: &Outcome) -> Result<bool, StoreError> {
    let now = engine.now();
    let mut tx = engine.store.begin().await?;
    let row =
        publications::find_with_content(&mut tx, outcome.workspace, outcome.publication).await?;
    let open = attempts::find_open(&mut tx, outcome.workspace, outcome.publication).await?;
    let (Some(row), Some(open)) = (row, open) else {
        tx.rollback().await?;
        return Ok(false);
    };
    let is_awaited = open.id == outcome.attempt && relation::awaits_outcome(row.publication.state);
    if !is_awaited {
        tx.rollback().await?;
        return Ok(false);
    }
    let told = Told {
        remote_id: outcome.remote_id.clone(),
        remote_url: outcome.remote_url.clone(),
        extra: outcome.extra.clone(),
    };
    let stored = engine
        .write_confirmed(&mut tx, By::Spill, &row, &open, &told, now)
        .await;
    let admissions = match stored {
        Ok(admissions) => admissions,
        Err(error) if error.is_transient() || matches!(error, StoreError::Stale { .. }) => {
            return Err(error);
        }
        // Such as an id that another publication is bound to by now: reconciliation decides.
        Err(error) => {
            tracing::error!(publication.id = %outcome.publication, %error, "a spilled outcome is skipped");
            tx.rollback().await?;
            return Ok(false);
        }
    };
    failpoint::hit("spill.replay.commit");
    tx.commit().await?;
    engine.hand_over_all(admissions);
    Ok(true)
}
