//! Ways that runs of a rule went: how many did, and which are kept.
//!
//! Invariant: a run that is named here is still there.

use std::collections::HashSet;

use so_model::{
    Timestamp,
    id::{RuleId, RunId, WorkspaceId},
    time::DAY,
    way::{RunWay, RunWays, way_name},
};
use so_store::{
    rules,
    run_ways::{self, WayRow},
    runs,
};

use crate::app::{
    App,
    failure::{Failure, Outcome},
};

/// Ways that are shown; a version has at most 200, and for each trigger one for the rest.
const SHOWN: usize = 201;

/// The ways of a rule's runs, the one that was gone last first.
pub async fn ways(app: &App, workspace: WorkspaceId, rule: RuleId) -> Outcome<RunWays> {
    let mut reader = app.reader();
    // Also of a rule that was deleted: its history is still there.
    if rules::history(&mut reader, Some(workspace), rule)
        .await?
        .is_none()
    {
        return Err(Failure::not_found("rule"));
    }
    let most = i64::try_from(SHOWN + 1).unwrap_or(i64::MAX);
    let mut found = run_ways::list(&mut reader, workspace, rule, most).await?;
    let is_cut = found.len() > SHOWN;
    found.truncate(SHOWN);
    let kept: Vec<RunId> = found.iter().flat_map(|row| row.kept.clone()).collect();
    let there = runs::list_there(&mut reader, workspace, &kept).await?;
    let there: HashSet<RunId> = there.into_iter().collect();
    let items = found.into_iter().map(|row| view(row, &there)).collect();
    let until = run_ways::thinned_until(&mut reader).await?;
    Ok(RunWays {
        items,
        thinned_until: (until > Timestamp::default()).then_some(until),
        dull_days: app.engine.config.dull_span().map(|span| span / DAY),
        is_cut,
    })
}

fn view(row: WayRow, there: &HashSet<RunId>) -> RunWay {
    let kept = row.kept.iter().filter(|run| there.contains(run)).copied();
    RunWay {
        kept: kept.collect(),
        way: way_name(row.way),
        text: sentence(&row),
        version: row.version,
        trigger: row.trigger,
        steps: row.steps,
        seen: row.seen,
        let_go: row.let_go,
        first_at: row.first_at,
        last_at: row.last_at,
    }
}

fn sentence(row: &WayRow) -> String {
    let runs = |count: i64| match count {
        1 => "1 run".to_owned(),
        count => format!("{count} runs"),
    };
    let what = match row.steps {
        Some(_) => "went this way",
        None => "went ways that are counted together, because the version has too many",
    };
    let gone = match row.let_go {
        0 => "all are or were kept whole".to_owned(),
        1 => "1 ordinary run was let go".to_owned(),
        count => format!("{count} ordinary runs were let go"),
    };
    format!("{} {what}; {gone}.", runs(row.seen))
}
