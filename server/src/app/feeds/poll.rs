//! The poller.
//!
//! Owns which feeds are asked when, and how many at a time. Invariants: what is due is read from rows, so that
//! a missed wake-up only delays; a host is asked for one feed at a time, and one that does not answer holds one
//! place of many and none of the rows.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use so_model::{Timestamp, time::MINUTE};
use so_net::{HostGate, Url};
use so_store::{
    StoreError, feeds,
    feeds::{Feed, FeedState, PollAnswer},
};
use so_triggers::feed::{FetchOutcome, ParsedFeed, PollOutcome, fetch_feed, next_poll, parse_feed};
use tokio::sync::Semaphore;

use super::store::{self, Found};
use crate::app::{App, failure::chain};

/// Hosts asked at a time: more than a small server can make use of, few enough for its memory.
pub const POLLS_AT_ONCE: usize = 16;
/// Feeds claimed at a time; whoever got so many may find more.
pub const BATCH: usize = 500;
/// A poller that died frees its feeds after this. Longer than a batch that waits for slow hosts usually takes.
const LEASE: i64 = 5 * MINUTE;
/// A failure that only a person can mend is tried again once a day: as if it had failed this often.
const HOPELESS: u32 = 30;

/// What polls of one process share.
#[derive(Debug)]
pub struct Poller {
    gate: HostGate,
    places: Semaphore,
}

impl Default for Poller {
    fn default() -> Self {
        Self {
            gate: HostGate::new(),
            places: Semaphore::new(POLLS_AT_ONCE),
        }
    }
}

/// Polls every feed that is due; answers how many that were.
///
/// May run while an earlier call still waits for slow hosts: a feed is held by one of them.
pub async fn poll_due_feeds(app: &App) -> Result<usize, StoreError> {
    // What feeds bring is put off like what is sent, while there is more work than the server can take.
    if app.poller.places.available_permits() == 0 || app.engine.room() == 0 {
        return Ok(0);
    }
    let now = app.now();
    let mut tx = app.store.begin().await?;
    let claimed = feeds::claim_due(&mut tx, now, now.plus(LEASE), BATCH as i64).await?;
    if claimed.is_empty() {
        tx.rollback().await?;
        return Ok(0);
    }
    so_engine::failpoint::hit("feed.claim.commit");
    tx.commit().await?;
    let count = claimed.len();
    let mut hosts: BTreeMap<String, Vec<Feed>> = BTreeMap::new();
    for feed in claimed {
        hosts.entry(host_of(&feed.url)).or_default().push(feed);
    }
    join_all(
        hosts
            .into_iter()
            .map(|(host, feeds)| poll_host(app, host, feeds)),
    )
    .await;
    Ok(count)
}

async fn poll_host(app: &App, host: String, feeds: Vec<Feed>) {
    for feed in feeds {
        // The place is given back between feeds, so that a host with many of them shares.
        let Ok(_place) = app.poller.places.acquire().await else {
            return;
        };
        let polled = match app.poller.gate.wait_until(&host, app.now().micros()) {
            Some(until) => put_off(app, &feed, Timestamp::from_micros(until)).await,
            None => poll(app, &feed).await.map(drop),
        };
        if let Err(error) = polled {
            tracing::warn!(feed.id = %feed.id, error = %chain(&error), "a poll could not be stored; it is repeated");
        }
    }
}

// The lease stays and ends by itself: there is nothing to be told of a poll that was not made.
async fn put_off(app: &App, feed: &Feed, until: Timestamp) -> Result<(), StoreError> {
    let mut tx = app.store.begin().await?;
    if let Some(mut now) = feeds::find(&mut tx, feed.workspace, feed.id).await? {
        now.next_poll_at = until;
        feeds::update(&mut tx, &now).await?;
    }
    so_engine::failpoint::hit("feed.put_off.commit");
    tx.commit().await
}

/// Polls a claimed feed. None when another poller has taken it over.
pub(super) async fn poll(app: &App, feed: &Feed) -> Result<Option<Found>, StoreError> {
    let (etag, modified) = (feed.etag.as_deref(), feed.last_modified.as_deref());
    let fetched = fetch_feed(&app.outbound, &feed.url, etag, modified, app.now().micros()).await;
    let now = app.now();
    note_host(app, feed, &fetched, now);
    let plan = Plan { feed, now };
    match fetched {
        FetchOutcome::NotModified {
            etag,
            last_modified,
            max_age,
        } => {
            let answer = PollAnswer {
                title: feed.title.clone(),
                etag: etag.or(feed.etag.clone()),
                last_modified: last_modified.or(feed.last_modified.clone()),
                next_poll_at: plan.after_success(max_age),
            };
            store::unchanged(app, feed, &answer, now).await
        }
        FetchOutcome::Body {
            bytes,
            content_type,
            etag,
            last_modified,
            final_url,
            max_age,
        } => match parse(bytes, content_type, final_url).await {
            Ok(parsed) => {
                let title = title_of(&parsed, &feed.title);
                let answer = PollAnswer {
                    title,
                    etag,
                    last_modified,
                    next_poll_at: plan.after_success(max_age),
                };
                store::read(app, feed, parsed, &answer, now).await
            }
            Err(problem) => {
                store::failed(
                    app,
                    feed,
                    FeedState::Failing,
                    &problem,
                    plan.after_failure(None, false),
                    now,
                )
                .await
            }
        },
        FetchOutcome::Gone => {
            let problem = "the server answered 410: the feed was taken away for good; delete it, or subscribe its new address";
            store::failed(app, feed, FeedState::Paused, problem, now, now).await
        }
        FetchOutcome::Failed {
            problem,
            retry_after,
            permanent,
            ..
        } => {
            let next = plan.after_failure(retry_after, permanent);
            store::failed(app, feed, FeedState::Failing, &problem, next, now).await
        }
    }
}

/// Reads a document off the threads that serve requests: a large one takes a while.
pub(super) async fn parse(
    bytes: so_net::Bytes,
    content_type: Option<String>,
    url: String,
) -> Result<ParsedFeed, String> {
    tokio::task::spawn_blocking(move || parse_feed(&bytes, content_type.as_deref(), &url))
        .await
        .map_or_else(
            |_| Err("the feed could not be read by this server".into()),
            |read| read.map_err(|error| error.to_string()),
        )
}

/// The title a feed gives itself, or the one it had.
pub(super) fn title_of(parsed: &ParsedFeed, former: &str) -> String {
    if parsed.title.is_empty() {
        former.to_string()
    } else {
        parsed.title.clone()
    }
}

// A host that refuses connections is left alone like one that says it is overloaded.
fn note_host(app: &App, feed: &Feed, fetched: &FetchOutcome, now: Timestamp) {
    let (status, wait) = match fetched {
        FetchOutcome::Failed {
            status: None,
            permanent: true,
            ..
        } => return,
        FetchOutcome::Failed {
            status,
            retry_after,
            ..
        } => (status.unwrap_or(503), *retry_after),
        FetchOutcome::Gone => (410, None),
        FetchOutcome::NotModified { .. } | FetchOutcome::Body { .. } => (200, None),
    };
    app.poller
        .gate
        .record(&host_of(&feed.url), status, wait, now.micros());
}

fn host_of(url: &str) -> String {
    let url = Url::parse(url).ok();
    let part = |url: &Url| {
        format!(
            "{}:{}",
            url.host_str().unwrap_or_default(),
            url.port_or_known_default().unwrap_or(0)
        )
    };
    url.as_ref().map(part).unwrap_or_default()
}

struct Plan<'a> {
    feed: &'a Feed,
    now: Timestamp,
}

impl Plan<'_> {
    fn after_success(&self, max_age: Option<Duration>) -> Timestamp {
        self.at(PollOutcome::Ok, 0, None, max_age)
    }
    fn after_failure(&self, retry_after: Option<Duration>, permanent: bool) -> Timestamp {
        let failures = u32::try_from(self.feed.failures + 1).unwrap_or(u32::MAX);
        self.at(
            PollOutcome::Failed,
            if permanent { HOPELESS } else { failures },
            retry_after,
            None,
        )
    }
    fn at(
        &self,
        outcome: PollOutcome,
        failures: u32,
        retry_after: Option<Duration>,
        max_age: Option<Duration>,
    ) -> Timestamp {
        next_poll_of(
            self.now,
            outcome,
            failures,
            self.feed.interval_s,
            retry_after,
            max_age,
        )
    }
}

pub(super) fn next_poll_of(
    now: Timestamp,
    outcome: PollOutcome,
    failures: u32,
    interval_s: i64,
    retry_after: Option<Duration>,
    max_age: Option<Duration>,
) -> Timestamp {
    let interval = Duration::from_secs(u64::try_from(interval_s).unwrap_or(0));
    let next = next_poll(
        now.micros(),
        outcome,
        failures,
        interval,
        retry_after,
        max_age,
    );
    Timestamp::from_micros(next.unwrap_or(i64::MAX))
}
