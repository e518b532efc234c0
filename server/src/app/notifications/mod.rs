//! Messages to people inside the product.
//!
//! Owns reading them and marking them as read. Must not write one: rules do. Invariant: a message is read
//! once for the whole workspace.

#[cfg(test)]
mod tests;

use so_model::{
    api::notification::{NotificationList, NotificationQuery, NotificationView, Unread},
    id::{NotificationId, WorkspaceId, kind},
};
use so_store::{Page, notifications, notifications::Notification};

use super::{
    App,
    change::{Change, PageAsk},
    failure::{Failure, Outcome},
};

/// A page of messages, the newest first.
pub async fn list(
    app: &App,
    workspace: WorkspaceId,
    query: &NotificationQuery,
) -> Outcome<NotificationList> {
    let page = PageAsk::of::<kind::Notification>(query.cursor.as_deref(), query.limit)?;
    let mut reader = app.reader();
    let found = notifications::list(
        &mut reader,
        workspace,
        query.unread,
        &page.cursor,
        page.fetch(),
    )
    .await?;
    let found = Page::cut(found, page.limit, |message| message.id.to_string());
    let unread = notifications::count_unread(&mut reader, workspace).await?;
    Ok(NotificationList {
        items: found.items.into_iter().map(view).collect(),
        next_cursor: found.next_cursor,
        unread,
    })
}

/// How many messages are unread.
pub async fn unread(app: &App, workspace: WorkspaceId) -> Outcome<Unread> {
    Ok(Unread {
        unread: notifications::count_unread(&mut app.reader(), workspace).await?,
    })
}

/// Marks a message as read; reading it again changes nothing.
pub async fn mark_read(app: &App, workspace: WorkspaceId, id: NotificationId) -> Outcome<()> {
    let mut change = Change::begin(app, workspace).await?;
    let now = change.now;
    if !notifications::mark_read(&mut change.tx, workspace, id, now).await? {
        return Err(Failure::not_found("notification"));
    }
    change.touch("notification", id);
    change.commit().await
}

/// Marks every message as read.
pub async fn mark_all_read(app: &App, workspace: WorkspaceId) -> Outcome<()> {
    let mut change = Change::begin(app, workspace).await?;
    let now = change.now;
    notifications::mark_all_read(&mut change.tx, workspace, now).await?;
    change.touch("notification", "all");
    change.commit().await
}

fn view(message: Notification) -> NotificationView {
    NotificationView {
        id: message.id,
        level: message.level,
        title: message.title,
        body: message.body,
        link: message.link,
        created_at: message.created_at,
        read_at: message.read_at,
    }
}
