//! Events: what happened, what it started, and what it did not.
//!
//! Owns reading them. Must not store one: that is the engine's. Invariant: each rule that was tried appears,
//! either with its run or with the reason why there is none.

#[cfg(test)]
mod tests;

use so_model::{
    api::event::{EventDetail, EventList, EventQuery},
    id::{EventId, WorkspaceId, kind},
};
use so_store::{Page, decisions, events, run_ways, runs, runs::RunFilter};

use super::{
    App,
    change::PageAsk,
    failure::{Failure, Outcome},
    runs::Names,
};

/// Runs of one event that are shown.
const RUNS_MAX: i64 = 200;

/// A page of events, the newest first.
pub async fn list(app: &App, workspace: WorkspaceId, query: &EventQuery) -> Outcome<EventList> {
    let page = PageAsk::of::<kind::Event>(query.cursor.as_deref(), query.limit)?;
    let kind = query.kind.as_deref().unwrap_or_default();
    let subject = query.subject.as_deref().unwrap_or_default();
    let found = events::list(
        &mut app.reader(),
        workspace,
        kind,
        subject,
        &page.cursor,
        page.fetch(),
    )
    .await?;
    let found = Page::cut(found, page.limit, |event| event.id.to_string());
    Ok(EventList {
        items: found.items,
        next_cursor: found.next_cursor,
    })
}

/// An event with what it started and what it did not start.
pub async fn get(app: &App, workspace: WorkspaceId, id: EventId) -> Outcome<EventDetail> {
    let mut reader = app.reader();
    let event = events::find(&mut reader, workspace, id)
        .await?
        .ok_or_else(|| Failure::not_found("event"))?;
    let text = id.to_string();
    let filter = RunFilter {
        event: &text,
        ..RunFilter::default()
    };
    let started = runs::list(&mut reader, workspace, &filter, RUNS_MAX).await?;
    let decided = decisions::list_for_event(&mut reader, workspace, id).await?;
    let let_go = run_ways::starts_on(&mut reader, workspace, &[id]).await?;
    let mut names = Names::new(app, workspace);
    let runs = names.runs(started).await?;
    Ok(EventDetail {
        event,
        runs,
        let_go,
        decisions: names.decisions(decided).await?,
    })
}
