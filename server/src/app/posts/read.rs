//! Reading posts.
//!
//! Invariant: a post is shown with everything that was done for it: runs, tries, changes of state.

use std::collections::BTreeMap;

use so_model::{
    api::post::{PostCount, PostCounts, PostDetail, PostList, PostProblems, PostQuery, PostRun},
    id::{PostId, PublicationId, WorkspaceId, kind},
    post::{Post, PostState},
    publication::Attempt,
    run::Run,
};
use so_store::{Page, attempts, posts, posts::PostFilter, publications, runs, runs::RunFilter};

use super::ready::look;
use crate::app::{
    App,
    change::PageAsk,
    failure::{Failure, Outcome},
    publications::detail,
};

/// Longest text to search for.
const SEARCH_MAX: usize = 200;
/// Runs shown with a post; older ones are found through the list of runs.
const RUNS_SHOWN: i64 = 50;

/// A page of posts, the newest first.
pub async fn list(app: &App, workspace: WorkspaceId, query: &PostQuery) -> Outcome<PostList> {
    let page = PageAsk::of::<kind::Post>(query.cursor.as_deref(), query.limit)?;
    let search = query.q.as_deref().unwrap_or_default().trim();
    if search.chars().count() > SEARCH_MAX || search.chars().any(char::is_control) {
        return Err(Failure::field(
            "/q",
            "cannot be searched for",
            format!("at most {SEARCH_MAX} characters of text"),
        ));
    }
    let filter = PostFilter {
        state: query.state,
        account: query.account,
        label: query.label,
        search,
        before: &page.cursor,
        due_from: query.due_from,
        due_to: query.due_to,
    };
    let found = posts::list(&mut app.reader(), workspace, &filter, page.fetch()).await?;
    let found = Page::cut(found, page.limit, |post| post.id.to_string());
    Ok(PostList {
        items: found.items,
        next_cursor: found.next_cursor,
    })
}

async fn find(app: &App, workspace: WorkspaceId, id: PostId) -> Outcome<Post> {
    let found = posts::find(&mut app.reader(), workspace, id).await?;
    found.ok_or_else(|| Failure::not_found("post"))
}

/// A post with all that became of it.
pub async fn get(app: &App, workspace: WorkspaceId, id: PostId) -> Outcome<PostDetail> {
    let post = find(app, workspace, id).await?;
    let mut reader = app.reader();
    let mut tries: BTreeMap<PublicationId, Vec<Attempt>> = BTreeMap::new();
    for attempt in attempts::list_for_post(&mut reader, workspace, id).await? {
        tries.entry(attempt.publication).or_default().push(attempt);
    }
    let mut shown = Vec::new();
    for row in publications::list_for_post(&mut reader, workspace, id).await? {
        let own = tries.remove(&row.publication.id).unwrap_or_default();
        shown.push(detail(&mut reader, row, own).await?);
    }
    let subject = id.to_string();
    let filter = RunFilter {
        subject: &subject,
        ..RunFilter::default()
    };
    let runs = runs::list(&mut reader, workspace, &filter, RUNS_SHOWN).await?;
    Ok(PostDetail {
        post,
        publications: shown,
        runs: runs.into_iter().map(run).collect(),
    })
}

fn run(run: Run) -> PostRun {
    PostRun {
        id: run.id,
        rule: run.rule,
        event: run.event,
        state: run.state,
        reason: run.reason,
        created_at: run.created_at,
        finished_at: run.finished_at,
    }
}

/// How a post fits each of its accounts.
pub async fn problems(app: &App, workspace: WorkspaceId, id: PostId) -> Outcome<PostProblems> {
    let post = find(app, workspace, id).await?;
    let variants = look(app, &mut app.reader(), &post).await?;
    let is_ready =
        !variants.is_empty() && variants.iter().all(|variant| variant.problems.is_empty());
    Ok(PostProblems { variants, is_ready })
}

/// How many posts are in each state.
pub async fn counts(app: &App, workspace: WorkspaceId) -> Outcome<PostCounts> {
    let found = posts::count_by_state(&mut app.reader(), workspace).await?;
    let of = |state: PostState| {
        found
            .iter()
            .find(|(seen, _)| *seen == state)
            .map_or(0, |(_, count)| *count)
    };
    let items: Vec<PostCount> = PostState::ALL
        .into_iter()
        .map(|state| PostCount {
            state,
            count: of(state),
        })
        .collect();
    let total = items.iter().map(|item| item.count).sum();
    Ok(PostCounts { items, total })
}
