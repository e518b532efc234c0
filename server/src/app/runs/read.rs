//! Runs as people see them.

use std::collections::BTreeSet;

use serde_json::Value;
use so_model::{
    api::run::{RunDetail, RunList, RunPublication, RunQuery},
    id::{PostId, RunId, WorkspaceId, kind},
    run::{Memo, Run},
};
use so_store::{
    Page, Store, StoreError, attempts, events, publications, rules, runs, runs::RunFilter,
};

use super::Names;
use crate::app::{
    App,
    change::PageAsk,
    failure::{Failure, Outcome},
};

/// Posts of a run whose publications are shown.
const POSTS_MAX: usize = 50;

/// A page of runs, the newest first.
pub async fn list(app: &App, workspace: WorkspaceId, query: &RunQuery) -> Outcome<RunList> {
    let page = PageAsk::of::<kind::Run>(query.cursor.as_deref(), query.limit)?;
    let rule = query.rule.map(|id| id.to_string()).unwrap_or_default();
    let event = query.event.map(|id| id.to_string()).unwrap_or_default();
    let filter = RunFilter {
        rule: &rule,
        state: query.state.map_or("", |state| state.as_str()),
        event: &event,
        subject: query.subject.as_deref().unwrap_or_default(),
        before: &page.cursor,
    };
    let found = runs::list(&mut app.reader(), workspace, &filter, page.fetch()).await?;
    let found = Page::cut(found, page.limit, |run| run.id.to_string());
    let items = Names::new(app, workspace).runs(found.items).await?;
    Ok(RunList {
        items,
        next_cursor: found.next_cursor,
    })
}

/// A run with everything that is needed to draw it.
pub async fn get(app: &App, workspace: WorkspaceId, id: RunId) -> Outcome<RunDetail> {
    let mut reader = app.reader();
    let run = find(&mut reader, workspace, id).await?;
    let started_by = events::find(&mut reader, workspace, run.event).await?;
    let version = rules::find_version(&mut reader, workspace, run.rule, run.version).await?;
    let memos = runs::list_memos(&mut reader, workspace, id).await?;
    let publications = touched(&mut reader, &run, &memos).await?;
    let view = Names::new(app, workspace)
        .runs(vec![run])
        .await?
        .pop()
        .ok_or_else(Failure::internal)?;
    Ok(RunDetail {
        run: view,
        started_by,
        document: version.map(|version| version.document),
        memos,
        publications,
    })
}

pub(super) async fn find(reader: &mut Store, workspace: WorkspaceId, id: RunId) -> Outcome<Run> {
    runs::find(reader, workspace, id)
        .await?
        .ok_or_else(|| Failure::not_found("run"))
}

// Publications name the run that asked for them; its memos name the posts to look at.
async fn touched(
    reader: &mut Store,
    run: &Run,
    memos: &[Memo],
) -> Result<Vec<RunPublication>, StoreError> {
    let mut posts = BTreeSet::new();
    for memo in memos {
        gather(&memo.input, &mut posts);
        gather(&memo.output, &mut posts);
    }
    let mut found = Vec::new();
    for post in posts.into_iter().take(POSTS_MAX) {
        for row in publications::list_for_post(reader, run.workspace, post).await? {
            if row.run_id != Some(run.id) {
                continue;
            }
            let attempts =
                attempts::list_for_publication(reader, run.workspace, row.publication.id).await?;
            found.push(RunPublication {
                path: row.step_path,
                publication: row.publication,
                attempts,
            });
        }
    }
    Ok(found)
}

fn gather(value: &Value, posts: &mut BTreeSet<PostId>) {
    match value {
        Value::String(text) => posts.extend(text.parse::<PostId>()),
        Value::Array(items) => items.iter().for_each(|item| gather(item, posts)),
        Value::Object(fields) => fields.values().for_each(|field| gather(field, posts)),
        _ => {}
    }
}
