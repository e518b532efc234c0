//! Subscribing and looking after feeds.

use so_model::{
    IdSource as _, Timestamp,
    api::feed::{
        ChangeFeed, CreateFeed, FeedDetail, FeedList, FeedPolled, FeedQuery, FeedState, FeedView,
    },
    id::{FeedId, WorkspaceId, kind},
    time::MINUTE,
};
use so_net::Url;
use so_store::{Page, feeds, feeds::Feed};
use so_triggers::feed::PollOutcome;

use super::{
    first::{first_read, judge_url},
    poll::{next_poll_of, poll, title_of},
    store::{self, Announce},
};
use crate::app::{
    App,
    change::PageAsk,
    failure::{Failure, Outcome},
};

/// Feeds of one workspace.
pub(super) const FEEDS_MAX: i64 = 5_000;
/// Shortest and longest time between polls, in seconds.
const INTERVAL: std::ops::RangeInclusive<i64> = 60..=86_400;
/// A quarter of an hour: few sites publish more often, and none minds.
const INTERVAL_DEFAULT: i64 = 900;
/// Existing items that may be announced: each may publish a post.
const ANNOUNCE_MAX: u32 = 50;
/// Items shown with a feed.
const ITEMS_SHOWN: i64 = 100;
/// A poll by hand holds the feed so long at the most.
const LEASE: i64 = 5 * MINUTE;

/// A page of feeds, the oldest first.
pub async fn list(app: &App, workspace: WorkspaceId, query: &FeedQuery) -> Outcome<FeedList> {
    let page = PageAsk::of::<kind::Feed>(query.cursor.as_deref(), query.limit)?;
    let found = feeds::list(&mut app.reader(), workspace, &page.cursor, page.fetch()).await?;
    let found = Page::cut(found, page.limit, |feed| feed.id.to_string());
    Ok(FeedList {
        items: found.items.into_iter().map(view).collect(),
        next_cursor: found.next_cursor,
    })
}

/// A feed with the items seen last.
pub async fn get(app: &App, workspace: WorkspaceId, id: FeedId) -> Outcome<FeedDetail> {
    let mut reader = app.reader();
    let feed = feeds::find(&mut reader, workspace, id)
        .await?
        .ok_or_else(|| Failure::not_found("feed"))?;
    let items = feeds::list_items(&mut reader, workspace, id, ITEMS_SHOWN).await?;
    Ok(FeedDetail {
        feed: view(feed),
        items,
    })
}

/// Reads a feed and subscribes it.
pub async fn create(app: &App, workspace: WorkspaceId, request: &CreateFeed) -> Outcome<FeedView> {
    let interval_s = interval(request.interval_s)?;
    if request.announce_existing > ANNOUNCE_MAX {
        return Err(Failure::field(
            "/announce_existing",
            "is too many",
            format!("0 to {ANNOUNCE_MAX}"),
        ));
    }
    let url = judge_url(app, &request.url, true)?;
    if feeds::find_by_url(&mut app.reader(), workspace, url.as_str())
        .await?
        .is_some()
    {
        return Err(exists());
    }
    let read = first_read(app, url.as_str()).await?;
    let mut tx = app.store.begin().await?;
    if feeds::list(&mut tx, workspace, "", FEEDS_MAX).await?.len() as i64 >= FEEDS_MAX {
        return Err(too_many());
    }
    let now = app.now();
    let mut feed = new_feed(
        app,
        workspace,
        &url,
        title_of(&read.parsed, url.as_str()),
        interval_s,
        now,
    );
    feed.etag = read.etag;
    feed.last_modified = read.last_modified;
    feed.next_poll_at = next_poll_of(now, PollOutcome::Ok, 0, interval_s, None, read.max_age);
    feed.polled_at = Some(now);
    feed.is_primed = true;
    feeds::insert(&mut tx, &feed).await.map_err(|error| {
        if error.is_conflict() {
            exists()
        } else {
            error.into()
        }
    })?;
    let announce = Announce::Newest(request.announce_existing as usize);
    let (_, admissions) = store::items(app, &mut tx, &feed, read.parsed, announce, now).await?;
    tx.commit().await?;
    app.engine.hand_over_all(admissions);
    app.engine.announce(workspace, "feed", feed.id);
    Ok(view(feed))
}

/// Changes the interval, pauses, goes on.
pub async fn change(
    app: &App,
    workspace: WorkspaceId,
    id: FeedId,
    request: &ChangeFeed,
) -> Outcome<FeedView> {
    let interval_s = request
        .interval_s
        .map(|wanted| interval(Some(wanted)))
        .transpose()?;
    let mut tx = app.store.begin().await?;
    let mut feed = feeds::find(&mut tx, workspace, id)
        .await?
        .ok_or_else(|| Failure::not_found("feed"))?;
    if let Some(interval_s) = interval_s {
        feed.interval_s = interval_s;
        let soonest = app.now().plus(interval_s * so_model::time::SECOND);
        feed.next_poll_at = feed.next_poll_at.min(soonest);
    }
    match request.is_paused {
        Some(true) => feed.state = feeds::FeedState::Paused,
        Some(false) if feed.state == feeds::FeedState::Paused => {
            feed.state = feeds::FeedState::Active;
            feed.next_poll_at = app.now();
        }
        _ => {}
    }
    feeds::update(&mut tx, &feed).await?;
    tx.commit().await?;
    app.engine.announce(workspace, "feed", id);
    Ok(view(feed))
}

/// Deletes a feed and what is known of its items.
pub async fn delete(app: &App, workspace: WorkspaceId, id: FeedId) -> Outcome<()> {
    let mut tx = app.store.begin().await?;
    if !feeds::delete(&mut tx, workspace, id).await? {
        return Err(Failure::not_found("feed"));
    }
    tx.commit().await?;
    app.engine.announce(workspace, "feed", id);
    Ok(())
}

/// Polls one feed at once.
pub async fn poll_now(app: &App, workspace: WorkspaceId, id: FeedId) -> Outcome<FeedPolled> {
    let claimed = claim(app, workspace, id).await?;
    let found = poll(app, &claimed).await?.ok_or_else(busy)?;
    let feed = feeds::find(&mut app.reader(), workspace, id)
        .await?
        .ok_or_else(|| Failure::not_found("feed"))?;
    Ok(FeedPolled {
        feed: view(feed),
        new: found.new,
        edited: found.edited,
    })
}

// Made the earliest of all due feeds and claimed in the same transaction, so that the claim is this one's.
async fn claim(app: &App, workspace: WorkspaceId, id: FeedId) -> Outcome<Feed> {
    let now = app.now();
    let mut tx = app.store.begin().await?;
    let mut feed = feeds::find(&mut tx, workspace, id)
        .await?
        .ok_or_else(|| Failure::not_found("feed"))?;
    if feed.state == feeds::FeedState::Paused {
        return Err(Failure::new(409, "feed.paused", "This feed is paused")
            .next_step("Let it go on first."));
    }
    feed.next_poll_at = Timestamp::from_micros(0);
    feeds::update(&mut tx, &feed).await?;
    let claimed = feeds::claim_due(&mut tx, now, now.plus(LEASE), 1)
        .await?
        .pop();
    let claimed = claimed
        .filter(|claimed| claimed.id == id)
        .ok_or_else(busy)?;
    tx.commit().await?;
    Ok(claimed)
}

fn busy() -> Failure {
    Failure::new(409, "feed.busy", "This feed is being polled")
        .next_step("Look at it again in a moment.")
        .retry_after(5)
}

fn exists() -> Failure {
    Failure::new(409, "feed.exists", "The workspace has this feed already")
        .next_step("Use the one that is there.")
}

pub(super) fn too_many() -> Failure {
    Failure::new(
        409,
        "feed.too_many",
        "The workspace has as many feeds as it may have",
    )
    .detail(format!("A workspace may have {FEEDS_MAX} feeds."))
    .next_step("Delete a feed first.")
}

pub(super) fn interval(wanted: Option<i64>) -> Outcome<i64> {
    let wanted = wanted.unwrap_or(INTERVAL_DEFAULT);
    if INTERVAL.contains(&wanted) {
        return Ok(wanted);
    }
    let range = format!("{} to {} seconds", INTERVAL.start(), INTERVAL.end());
    Err(Failure::field("/interval_s", "is out of range", range))
}

pub(super) fn new_feed(
    app: &App,
    workspace: WorkspaceId,
    url: &Url,
    title: String,
    interval_s: i64,
    now: Timestamp,
) -> Feed {
    Feed {
        id: app.engine.ids.new_id(),
        workspace,
        url: url.to_string(),
        title,
        state: feeds::FeedState::Active,
        etag: None,
        last_modified: None,
        interval_s,
        failures: 0,
        problem: None,
        next_poll_at: now,
        polled_at: None,
        lease_until: Timestamp::from_micros(0),
        is_primed: false,
        created_at: now,
    }
}

pub(super) fn view(feed: Feed) -> FeedView {
    let state = match feed.state {
        feeds::FeedState::Active => FeedState::Active,
        feeds::FeedState::Failing => FeedState::Failing,
        feeds::FeedState::Paused => FeedState::Paused,
    };
    FeedView {
        id: feed.id,
        url: feed.url,
        title: feed.title,
        state,
        interval_s: feed.interval_s,
        failures: feed.failures,
        problem: feed.problem,
        next_poll_at: (state != FeedState::Paused).then_some(feed.next_poll_at),
        polled_at: feed.polled_at,
        created_at: feed.created_at,
    }
}
