//! The same with many runs: re-drive, re-run, what-if.
//!
//! Invariant: each run is done by itself, and reported by itself; one that cannot be done holds up no other.

use so_model::{
    api::again::{BulkAction, BulkItem, BulkReport, BulkRuns, Redrive, WhatIf},
    id::RunId,
    run::{Run, RunState},
};
use so_store::{runs, runs::RunSpan};

use super::{redrive, rerun, what_if};
use crate::app::{
    App,
    failure::{Failure, Outcome},
    members::Actor,
};

/// Most runs of one request: each is a transaction, and somebody waits for the answer.
const RUNS_MAX: u32 = 100;
/// Most what-ifs of one request: each may hold SQLite's only writer for seconds.
const WHAT_IFS_MAX: u32 = 10;
/// Runs that are read to find those whose reason matches.
const LOOKED_AT_MAX: i64 = 2_000;

/// Does something with many runs.
pub async fn bulk(app: &App, actor: Actor, request: &BulkRuns) -> Outcome<BulkReport> {
    let most = match request.action {
        BulkAction::WhatIf => WHAT_IFS_MAX,
        BulkAction::Redrive | BulkAction::Rerun => RUNS_MAX,
    };
    let limit = request.limit.unwrap_or(most);
    if limit == 0 || limit > most {
        let reason = format!("{limit} is out of range");
        return Err(Failure::field("/limit", reason, format!("1 to {most}")));
    }
    let filter = &request.filter;
    let state = filter.state.unwrap_or(RunState::Failed);
    let span = RunSpan {
        rule: filter.rule,
        state,
        from: filter.from,
        until: filter.until,
        after: filter.after,
    };
    let mut found =
        runs::list_in(&mut app.reader(), actor.workspace, &span, LOOKED_AT_MAX + 1).await?;
    let was_cut = found.len() as i64 > LOOKED_AT_MAX;
    found.truncate(LOOKED_AT_MAX as usize);
    let last_looked_at = found.last().map(|run| run.id);
    if let Some(reason) = &filter.reason {
        let wanted = reason.to_lowercase();
        let has = |run: &Run| {
            run.reason
                .as_ref()
                .is_some_and(|reason| reason.to_lowercase().contains(&wanted))
        };
        found.retain(has);
    }
    let limit = limit as usize;
    let is_full = found.len() > limit;
    found.truncate(limit);
    let after = match (is_full, was_cut) {
        (true, _) => found.last().map(|run| run.id),
        (false, true) => last_looked_at,
        (false, false) => None,
    };
    let mut items = Vec::with_capacity(found.len());
    for run in found {
        items.push(one(app, actor, request, run).await);
    }
    Ok(BulkReport {
        items,
        is_cut: after.is_some(),
        after,
    })
}

async fn one(app: &App, actor: Actor, request: &BulkRuns, run: Run) -> BulkItem {
    let id = run.id;
    if request.preview {
        let reason = run.reason.unwrap_or_default();
        return told(id, false, None, format!("{}: {reason}", run.state.as_str()));
    }
    let done = match request.action {
        BulkAction::Redrive => {
            let how = Redrive {
                even_if_unknown: request.even_if_unknown,
            };
            redrive(app, actor, id, &how)
                .await
                .map(|view| (Some(view.run.id), "goes on from its failed step".to_owned()))
        }
        BulkAction::Rerun => rerun(app, actor, id).await.map(|view| {
            let text = format!("began anew with version {}", view.run.version);
            (Some(view.run.id), text)
        }),
        BulkAction::WhatIf => {
            let how = WhatIf {
                version: request.version,
                ..WhatIf::default()
            };
            what_if(app, actor.workspace, id, how)
                .await
                .map(|answer| (None, answer.text))
        }
    };
    match done {
        Ok((now, text)) => told(id, true, now, text),
        Err(failure) => {
            let problem = failure.problem;
            let text = [problem.title, problem.detail].join(". ");
            told(id, false, None, text.trim_end_matches(". ").to_owned())
        }
    }
}

fn told(run: RunId, done: bool, now: Option<RunId>, text: String) -> BulkItem {
    BulkItem {
        run,
        done,
        now,
        text,
    }
}
