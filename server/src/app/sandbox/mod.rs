//! The built-in network: its timeline, and how its accounts behave.
//!
//! Owns what people do with it by hand. The connector writes through [`StoreTimeline`]. Invariant: what
//! is shown is what the network keeps, so that it can be held against what the engine believes.

mod step;
mod timeline;

pub use step::step;
pub use timeline::StoreTimeline;

use std::collections::BTreeMap;

use so_model::{
    account::{Account, AccountState},
    api::sandbox::{SandboxBehaviour, SandboxPostView, SandboxQuery, SandboxTimeline},
    id::{AccountId, WorkspaceId},
};
use so_store::{Page, accounts, sandbox};

use self::timeline::{KEY, read_doc};
use super::{
    App,
    change::{Change, limit_of},
    failure::{Failure, Outcome},
};

/// Sandbox accounts of a workspace whose posts are shown together.
const ACCOUNTS_MAX: i64 = 1000;
/// Longest id of a post.
const ID_MAX: usize = 64;
/// Bounds of a behaviour; the connector has the same or wider ones.
const DELAY_MS_MAX: u64 = 10_000;
const STEPS_MAX: u64 = 20;
const STEP_SECS_MAX: u32 = 60;
const RETRY_SECS_MAX: u32 = 3600;

/// The posts of the workspace's sandbox accounts, the newest first.
pub async fn timeline(
    app: &App,
    workspace: WorkspaceId,
    query: &SandboxQuery,
) -> Outcome<SandboxTimeline> {
    let limit = limit_of(query.limit)?;
    let cursor = query.cursor.as_deref().unwrap_or_default();
    if cursor.len() > ID_MAX || !cursor.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Failure::field(
            "/cursor",
            "is no cursor",
            "the next_cursor of the page before",
        ));
    }
    let mut reader = app.reader();
    let all = accounts::list(&mut reader, workspace, "", ACCOUNTS_MAX).await?;
    let is_asked = |account: &Account| {
        account.network == KEY && query.account.is_none_or(|id| id == account.id)
    };
    let shown: BTreeMap<AccountId, Account> = all
        .into_iter()
        .filter(is_asked)
        .map(|account| (account.id, account))
        .collect();
    if query.account.is_some() && shown.is_empty() {
        return Err(Failure::field(
            "/account",
            "is no sandbox account of this workspace",
            "the id of one",
        ));
    }
    let fetch = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let mut posts = Vec::new();
    for id in shown.keys() {
        posts.extend(sandbox::list(&mut reader, workspace, *id, cursor, fetch).await?);
    }
    // Ids begin with their moment, so their order is that of time.
    posts.sort_by(|a, b| b.id.cmp(&a.id));
    let page = Page::cut(posts, limit, |post| post.id.clone());
    let items = page
        .items
        .into_iter()
        .filter_map(|post| view(post, &shown))
        .collect();
    Ok(SandboxTimeline {
        items,
        next_cursor: page.next_cursor,
    })
}

fn view(
    post: sandbox::SandboxPost,
    accounts: &BTreeMap<AccountId, Account>,
) -> Option<SandboxPostView> {
    let account = accounts.get(&post.account)?;
    Some(SandboxPostView {
        content: read_doc(&post)?,
        id: post.id,
        account: account.id,
        name: account.name.clone(),
        handle: account.handle.clone(),
        reply_to: post.reply_to,
        published_at: post.created_at,
    })
}

/// Deletes a post at the network, as its owner might.
pub async fn delete(app: &App, workspace: WorkspaceId, id: &str) -> Outcome<()> {
    let mut change = Change::begin(app, workspace).await?;
    let now = change.now;
    if id.len() > ID_MAX || !sandbox::delete(&mut change.tx, workspace, id, now).await? {
        return Err(Failure::not_found("sandbox_post"));
    }
    change.touch("sandbox", id);
    change.commit().await
}

/// Tells an account of the sandbox how to behave.
pub async fn behave(
    app: &App,
    workspace: WorkspaceId,
    id: AccountId,
    request: &SandboxBehaviour,
) -> Outcome<Account> {
    check(request)?;
    let mut change = Change::begin(app, workspace).await?;
    let found = accounts::find_for_update(&mut change.tx, workspace, id).await?;
    let is_live =
        |account: &Account| account.network == KEY && account.state != AccountState::Removed;
    let mut account = found
        .filter(is_live)
        .ok_or_else(|| Failure::not_found("account"))?;
    if !account.settings.is_object() {
        account.settings = serde_json::json!({});
    }
    account.settings["behaviour"] =
        serde_json::to_value(request).map_err(|_| Failure::internal())?;
    account.updated_at = change.now;
    accounts::update(&mut change.tx, &account).await?;
    change.touch("account", id);
    change.commit().await?;
    Ok(account)
}

fn check(request: &SandboxBehaviour) -> Outcome<()> {
    let bounds = [
        ("/delay_ms", request.delay_ms, DELAY_MS_MAX),
        ("/prepare_steps", request.prepare_steps, STEPS_MAX),
        ("/step_s", request.step_s.into(), STEP_SECS_MAX.into()),
        (
            "/retry_after_s",
            request.retry_after_s.unwrap_or(0).into(),
            RETRY_SECS_MAX.into(),
        ),
    ];
    match bounds.into_iter().find(|(_, value, max)| value > max) {
        Some((pointer, value, max)) => Err(Failure::field(
            pointer,
            format!("{value} is too much"),
            format!("at most {max}"),
        )),
        None => Ok(()),
    }
}
