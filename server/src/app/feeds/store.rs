//! What a poll saw becomes rows and events.
//!
//! Invariant: rows, events and the end of the poller's lease are one transaction; if the lease was lost, nothing
//! of the poll is kept, since another poller has seen the same.

use so_engine::admit::Admission;
use so_model::{
    Timestamp,
    event::{NewEvent, kind},
};
use so_store::{
    Result, StoreError, Tx, feeds,
    feeds::{Feed, FeedState, PollAnswer},
};
use so_triggers::feed::{FeedItem, ParsedFeed, diff_items};

use super::item::{failed_data, item_data, shown};
use crate::app::App;

/// A feed that failed so often in a row is reported to rules; later failures are not.
const FAILURES_REPORTED: i64 = 5;

/// What a poll found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// Items that were new.
    pub new: usize,
    /// Known items that had changed.
    pub edited: usize,
}

/// Which items become events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Announce {
    /// Every new and every changed one.
    All,
    /// So many of the newest: the feed was just subscribed.
    Newest(usize),
}

/// Stores a document that a poll read. None when another poller holds the feed now.
pub(super) async fn read(
    app: &App,
    claimed: &Feed,
    parsed: ParsedFeed,
    answer: &PollAnswer,
    now: Timestamp,
) -> Result<Option<Found>> {
    let mut tx = app.store.begin().await?;
    if !is_held(feeds::record_success(&mut tx, claimed, answer, now).await)? {
        return Ok(None);
    }
    let feed = Feed {
        title: answer.title.clone(),
        ..claimed.clone()
    };
    let announce = if claimed.is_primed {
        Announce::All
    } else {
        Announce::Newest(0)
    };
    let (found, admissions) = items(app, &mut tx, &feed, parsed, announce, now).await?;
    so_engine::failpoint::hit("feed.read.commit");
    tx.commit().await?;
    so_engine::failpoint::hit("K16");
    app.engine.hand_over_all(admissions);
    app.engine.announce(feed.workspace, "feed", feed.id);
    Ok(Some(found))
}

/// Stores that nothing had changed.
pub(super) async fn unchanged(
    app: &App,
    claimed: &Feed,
    answer: &PollAnswer,
    now: Timestamp,
) -> Result<Option<Found>> {
    let mut tx = app.store.begin().await?;
    if !is_held(feeds::record_success(&mut tx, claimed, answer, now).await)? {
        return Ok(None);
    }
    so_engine::failpoint::hit("feed.unchanged.commit");
    tx.commit().await?;
    Ok(Some(Found::default()))
}

/// Stores that the feed could not be read.
pub(super) async fn failed(
    app: &App,
    claimed: &Feed,
    state: FeedState,
    problem: &str,
    next_poll_at: Timestamp,
    now: Timestamp,
) -> Result<Option<Found>> {
    let mut tx = app.store.begin().await?;
    if !is_held(feeds::record_failure(&mut tx, claimed, state, problem, next_poll_at, now).await)? {
        return Ok(None);
    }
    let failures = claimed.failures + 1;
    let mut admissions = Vec::new();
    // A feed that is gone is reported at once: no later poll will.
    if failures == FAILURES_REPORTED || state == FeedState::Paused {
        let data = failed_data(claimed, problem, failures);
        let event = NewEvent::new(claimed.workspace, kind::FEED_FAILED, data)
            .from_source(source(claimed), format!("failed/{}", now.micros()))
            .about(claimed.id);
        admissions.push(app.engine.admit(&mut tx, event).await?);
    }
    so_engine::failpoint::hit("feed.failed.commit");
    tx.commit().await?;
    app.engine.hand_over_all(admissions);
    app.engine.announce(claimed.workspace, "feed", claimed.id);
    Ok(Some(Found::default()))
}

/// Takes note of items and admits their events, oldest first.
pub(super) async fn items(
    app: &App,
    tx: &mut Tx,
    feed: &Feed,
    parsed: ParsedFeed,
    announce: Announce,
    now: Timestamp,
) -> Result<(Found, Vec<Admission>)> {
    let known = feeds::known_items(tx, feed.workspace, feed.id).await?;
    let diff = diff_items(&known, parsed);
    let found = Found {
        new: diff.new.len(),
        edited: diff.edited.len(),
    };
    for item in diff.new.iter().chain(&diff.edited) {
        feeds::put_item(
            tx,
            feed.workspace,
            feed.id,
            &item.key,
            &item.content_hash,
            &shown(item),
            now,
        )
        .await?;
    }
    let (skipped, edited) = match announce {
        Announce::All => (0, diff.edited.as_slice()),
        Announce::Newest(count) => (diff.new.len().saturating_sub(count), [].as_slice()),
    };
    let mut admissions = Vec::new();
    for item in &diff.new[skipped..] {
        let dedupe = item.key.clone();
        admissions.push(
            app.engine
                .admit(tx, event(feed, kind::FEED_ITEM, item, dedupe))
                .await?,
        );
    }
    for item in edited {
        let dedupe = format!("{}#{}", item.key, item.content_hash);
        admissions.push(
            app.engine
                .admit(tx, event(feed, kind::FEED_ITEM_EDITED, item, dedupe))
                .await?,
        );
    }
    if found.new > 0 {
        feeds::prune_items(tx, feed.workspace, feed.id).await?;
    }
    Ok((found, admissions))
}

fn event(feed: &Feed, kind: &str, item: &FeedItem, dedupe: String) -> NewEvent {
    NewEvent::new(feed.workspace, kind, item_data(feed, item))
        .from_source(source(feed), dedupe)
        .about(feed.id)
}

fn source(feed: &Feed) -> String {
    format!("feed/{}", feed.id)
}

fn is_held(recorded: Result<()>) -> Result<bool> {
    match recorded {
        Ok(()) => Ok(true),
        Err(StoreError::Stale { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
