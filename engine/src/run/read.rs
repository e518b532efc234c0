//! What a run is carried on with: its row, its event and its memos.
//!
//! Owns reading them, for one run or for many at a time. Invariant: only the holder of a run's job writes its memos,
//! so that what was read after the claim is still so when the work begins.

use std::{collections::HashMap, sync::Arc};

use so_model::{
    event::Event,
    id::{EventId, RunId},
    run::{Memo, Run},
};
use so_store::{StoreError, events, jobs::Job, runs};

use crate::{
    admit::JOB_RUN,
    engine::{Engine, Handed},
};

/// A run that is not over, as it was read.
#[derive(Debug)]
pub struct ReadRun {
    pub(super) run: Run,
    pub(super) event: Arc<Event>,
    pub(super) memos: Vec<Memo>,
}

impl Engine {
    /// Reads the run of a job; none if it is gone or over.
    pub(super) async fn read_run(&self, job: &Job) -> Result<Option<ReadRun>, StoreError> {
        let mut reader = self.store.clone();
        let Ok(id) = job.subject.parse() else {
            return Ok(None);
        };
        let Some(run) = runs::find(&mut reader, job.workspace, id).await? else {
            return Ok(None);
        };
        if run.state.is_over() {
            return Ok(None);
        }
        let Some(event) = events::find(&mut reader, job.workspace, run.event).await? else {
            return Ok(None);
        };
        let memos = runs::list_memos(&mut reader, job.workspace, id).await?;
        Ok(Some(ReadRun {
            run,
            event: Arc::new(event),
            memos,
        }))
    }

    /// Reads the runs of claimed jobs together. What cannot be read so is read by itself when its turn comes.
    pub(crate) async fn read_ahead(&self, mut claimed: Vec<Handed>) -> Vec<Handed> {
        let jobs: Vec<&Job> = claimed.iter().map(|handed| &handed.job).collect();
        match self.read_runs(&jobs).await {
            Ok(mut read) => {
                for handed in &mut claimed {
                    handed.read = read.remove(&handed.job.subject).map(Box::new);
                }
            }
            Err(error) => tracing::debug!(%error, "runs are read one by one"),
        }
        claimed
    }

    async fn read_runs(&self, jobs: &[&Job]) -> Result<HashMap<String, ReadRun>, StoreError> {
        let of_runs = jobs.iter().filter(|job| job.kind == JOB_RUN);
        let ids: Vec<RunId> = of_runs.filter_map(|job| job.subject.parse().ok()).collect();
        let mut reader = self.store.clone();
        let mut read = HashMap::new();
        // One alone is read as cheaply in its own turn.
        if ids.len() < 2 {
            return Ok(read);
        }
        let mut runs = runs::list_of(&mut reader, &ids).await?;
        runs.retain(|run| !run.state.is_over());
        let mut wanted: Vec<EventId> = runs.iter().map(|run| run.event).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let events = events::list_of(&mut reader, &wanted).await?;
        let events: HashMap<EventId, Arc<Event>> = events
            .into_iter()
            .map(|event| (event.id, Arc::new(event)))
            .collect();
        let mut memos: HashMap<RunId, Option<Vec<Memo>>> = HashMap::new();
        for (run, memo) in runs::list_memos_of(&mut reader, &ids).await? {
            let known = memos.entry(run).or_insert_with(|| Some(Vec::new()));
            match (known.as_mut(), memo) {
                (Some(known), Some(memo)) => known.push(memo),
                // Its own turn says what is wrong with it.
                _ => *known = None,
            }
        }
        for run in runs {
            let Some(mut memos) = memos.remove(&run.id).unwrap_or_else(|| Some(Vec::new())) else {
                continue;
            };
            memos.sort_by(|a, b| {
                (a.started_at, &a.path, a.attempt).cmp(&(b.started_at, &b.path, b.attempt))
            });
            if let Some(event) = events.get(&run.event) {
                let event = event.clone();
                read.insert(run.id.to_string(), ReadRun { run, event, memos });
            }
        }
        Ok(read)
    }
}
