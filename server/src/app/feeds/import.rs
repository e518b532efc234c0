//! Lists of feeds.
//!
//! Invariant: a row that cannot be subscribed costs itself only, and every row is reported.

use so_model::{
    api::feed::{ImportFeeds, ImportOutcome, ImportReport, ImportRow},
    id::WorkspaceId,
};
use so_store::{Tx, feeds};
use so_triggers::feed::{OpmlFeed, parse_opml};

use super::{
    first::{judge_url, unreadable},
    manage::{FEEDS_MAX, interval, new_feed},
};
use crate::app::{App, failure::Outcome};

/// Subscribes the feeds of a list. They are read by the poller, so that a slow one does not hold the answer.
pub async fn import(
    app: &App,
    workspace: WorkspaceId,
    request: ImportFeeds,
) -> Outcome<ImportReport> {
    let interval_s = interval(request.interval_s)?;
    let opml = request.opml;
    let read = app.bench.work(move || parse_opml(opml.as_bytes())).await?;
    let list = read.map_err(|error| {
        let mut failure = unreadable(&error, "/opml");
        failure.problem.next_step = "Export the list from your feed reader as OPML.".into();
        failure
    })?;
    let mut tx = app.store.begin().await?;
    let mut room = FEEDS_MAX - feeds::list(&mut tx, workspace, "", FEEDS_MAX).await?.len() as i64;
    let mut report = ImportReport {
        added: 0,
        rows: Vec::with_capacity(list.feeds.len() + list.problems.len()),
    };
    for feed in &list.feeds {
        let row = add(app, &mut tx, workspace, feed, interval_s, room > 0).await?;
        if row.outcome == ImportOutcome::Added {
            room -= 1;
            report.added += 1;
        }
        report.rows.push(ImportRow {
            row: report.rows.len() + 1,
            ..row
        });
    }
    tx.commit().await?;
    for problem in list.problems {
        let row = report.rows.len() + 1;
        report
            .rows
            .push(refused(row, problem.title, String::new(), problem.problem));
    }
    app.engine.announce(workspace, "feed", "all");
    Ok(report)
}

async fn add(
    app: &App,
    tx: &mut Tx,
    workspace: WorkspaceId,
    feed: &OpmlFeed,
    interval_s: i64,
    has_room: bool,
) -> Outcome<ImportRow> {
    let (title, text) = (feed.title.clone(), feed.url.clone());
    let url = match judge_url(app, &text, true) {
        Ok(url) => url,
        Err(failure) => {
            let reason = failure
                .problem
                .errors
                .first()
                .map_or_else(String::new, |error| error.reason.clone());
            return Ok(refused(0, title, text, reason));
        }
    };
    let row = |outcome, feed| ImportRow {
        row: 0,
        title: title.clone(),
        url: text.clone(),
        outcome,
        problem: None,
        feed,
    };
    if let Some(known) = feeds::find_by_url(tx, workspace, url.as_str()).await? {
        return Ok(row(ImportOutcome::Known, Some(known.id)));
    }
    if !has_room {
        return Ok(refused(
            0,
            title,
            text,
            format!("the workspace has {FEEDS_MAX} feeds and may have no more"),
        ));
    }
    let shown = if title.is_empty() {
        text.clone()
    } else {
        title.clone()
    };
    let new = new_feed(app, workspace, &url, shown, interval_s, app.now());
    feeds::insert(tx, &new).await?;
    Ok(row(ImportOutcome::Added, Some(new.id)))
}

fn refused(row: usize, title: String, url: String, problem: String) -> ImportRow {
    ImportRow {
        row,
        title,
        url,
        outcome: ImportOutcome::Refused,
        problem: Some(problem),
        feed: None,
    }
}
