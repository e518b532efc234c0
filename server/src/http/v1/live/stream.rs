//! `GET /api/v1/workspaces/{ws}/live`
//!
//! Invariant: a stream ends within [`LOOK_EVERY`] and a second after the session was ended or the person
//! left the workspace, and at once when the server ends.

use std::{convert::Infallible, sync::atomic::Ordering, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, Sse},
};
use futures_util::Stream;
use serde_json::json;
use so_engine::plugin::LiveUpdate;
use so_model::{id::UserId, workspace::Role};
use tokio::{
    sync::{broadcast::error::RecvError, mpsc},
    time::{Interval, MissedTickBehavior, interval},
};
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    app::{
        App,
        failure::{Failure, Outcome},
        live,
    },
    http::{Endpoint, Member},
};

/// Whether the session still lives is looked at so often.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Proxies close streams that are silent for longer, usually after 30 seconds or more.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(15);
/// Streams of this process at a time.
const STREAMS_MAX: i64 = 2_000;
/// Events that a slow reader may leave unread before it is waited for.
const UNREAD_MAX: usize = 32;

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/live", "live.stream", handle)
        .says("Tells of changes as they happen, as server-sent events")
        .explains("Each event is called like what changed and holds its id; `reload` means that some were missed.")
        .for_members(Role::Viewer)
        .answers_other(200, "text/event-stream")
}

async fn handle(
    State(app): State<App>,
    member: Member,
) -> Outcome<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let place = Place::take(&app, member.user())?;
    let (sender, receiver) = mpsc::channel(UNREAD_MAX);
    app.tasks.clone().spawn(tell(place, member, sender));
    Ok(Sse::new(ReceiverStream::new(receiver)))
}

/// One open stream; counted until it ends, for the person and for the process.
struct Place {
    app: App,
    user: UserId,
}

impl Place {
    fn take(app: &App, user: UserId) -> Outcome<Self> {
        if !app.listeners.enter(user) {
            return Err(too_many(429));
        }
        let open = app.metrics.streams.fetch_add(1, Ordering::Relaxed);
        // From here on leaving is the place's own business.
        let place = Self {
            app: app.clone(),
            user,
        };
        if open >= STREAMS_MAX {
            return Err(too_many(503));
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.app.metrics.streams.fetch_sub(1, Ordering::Relaxed);
        self.app.listeners.leave(self.user);
    }
}

fn too_many(status: u16) -> Failure {
    Failure::new(status, "live.too_many", "Too many pages are open")
        .next_step("Close some.")
        .retry_after(30)
}

type Sender = mpsc::Sender<Result<Event, Infallible>>;

async fn tell(place: Place, member: Member, sender: Sender) {
    let app = &place.app;
    let mut updates = app.engine.listen();
    let (mut look, mut heartbeat) = (every(LOOK_EVERY), every(HEARTBEAT_EVERY));
    loop {
        let event = tokio::select! {
            () = app.stopping.cancelled() => return,
            () = sender.closed() => return,
            _ = look.tick() => match live::may_listen(app, member.bearer, member.workspace).await {
                Ok(true) => continue,
                // Also when the database does not answer: it is safer to let the page ask again.
                Ok(false) | Err(_) => return,
            },
            _ = heartbeat.tick() => Event::default().comment("alive"),
            update = updates.recv() => match update {
                Ok(update) if update.workspace == member.workspace => event(&update),
                Ok(_) => continue,
                Err(RecvError::Lagged(_)) => Event::default().event("reload").data("{}"),
                Err(RecvError::Closed) => return,
            },
        };
        let sent = tokio::time::timeout(LOOK_EVERY, sender.send(Ok(event))).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

fn event(update: &LiveUpdate) -> Event {
    Event::default()
        .event(update.what)
        .data(json!({ "id": update.id }).to_string())
}

fn every(span: Duration) -> Interval {
    let mut interval = interval(span);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
