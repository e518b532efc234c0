//! Queues: weeks of times that posts go out at.
//!
//! Owns the list and the making of a queue. Invariant: a slot is a local time of the queue's own zone, and is never shown
//! without it.

mod one;
mod week;

use so_model::api::queue::{CreateQueue, QueueList, QueueQuery, QueueView};
use so_model::problem::Problem;
use sycamore::prelude::*;

pub(super) use self::one::One;
use crate::act::Act;
use crate::app::App;
use crate::components::{
    Badge, Button, Dialog, EmptyState, Face, Glyph, Kind, RowLink, TextField, Tone,
};
use crate::frame::Page;
use crate::paged::{Paged, address};
use crate::routes::Route;
use crate::when::city;

/// Every queue, up to what the server gives at once.
pub(super) async fn all(app: App) -> Result<Vec<QueueView>, Problem> {
    let query = QueueQuery {
        cursor: None,
        limit: Some(200),
    };
    let list: QueueList = app
        .client
        .get(&app.scoped(&address("/queues", &query)))
        .await?;
    Ok(list.items)
}

/// The page.
#[component]
pub fn List() -> View {
    let app = App::here();
    let list = Paged::new(move |ask| async move {
        let query = QueueQuery {
            cursor: ask.cursor,
            limit: Some(ask.limit),
        };
        let page: QueueList = app
            .client
            .get(&app.scoped(&address("/queues", &query)))
            .await?;
        Ok((page.items, page.next_cursor))
    });
    app.pulse.on(&["queue"], move || list.reload());
    let open = create_signal(false);
    let primary = view! { Button(label="New queue", kind=Kind::Primary, glyph=Glyph::Plus, on_press=move || open.set(true)) };
    view! {
        Page(title="Queues", primary=primary) {
            (list.view(empty, row))
            NewQueue(open=open)
        }
    }
}

fn empty() -> View {
    view! {
        EmptyState(glyph=Glyph::List, title="No queues yet",
            text="A queue is a week of times. A post put into it goes out at the next free one.",
            link=(Route::Rules.path(), "See the rules that fill queues".to_owned()))
    }
}

/// Running or paused.
pub(super) fn face(is_paused: bool) -> Face {
    if is_paused {
        Face {
            tone: Tone::Neutral,
            glyph: Glyph::Pause,
            word: "Paused",
        }
    } else {
        Face {
            tone: Tone::Published,
            glyph: Glyph::Play,
            word: "Running",
        }
    }
}

fn row(queue: QueueView) -> View {
    let note = format!(
        "{}, {} time",
        slots_words(queue.slots.len()),
        city(&queue.time_zone)
    );
    let href = Route::Queue(queue.id).path();
    let end = view! { Badge(face=face(queue.is_paused)) };
    view! { RowLink(href=href, title=queue.name, note=note, end=end) }
}

fn slots_words(count: usize) -> String {
    match count {
        0 => "No slots yet".into(),
        1 => "1 slot a week".into(),
        n => format!("{n} slots a week"),
    }
}

#[component(inline_props)]
fn NewQueue(open: Signal<bool>) -> View {
    let app = App::here();
    let (name, act) = (create_signal(String::new()), Act::new());
    let send = move || {
        let body = CreateQueue {
            name: name.with_untracked(|name| name.trim().to_owned()),
            time_zone: None,
            accounts: Vec::new(),
            slots: week::ordinary(),
        };
        let call = async move {
            app.client
                .post::<QueueView>(&app.scoped("/queues"), &body)
                .await
        };
        act.run(call, move |queue| {
            open.set(false);
            app.router.go(Route::Queue(queue.id));
        });
    };
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        send();
    };
    let foot = view! {
        Button(label="Cancel", on_press=move || open.set(false))
        Button(label="Make the queue", kind=Kind::Primary, busy=act.busy, on_press=send)
    };
    view! {
        Dialog(open=open, title="New queue", foot=foot) {
            form(class="form", novalidate=true, on:submit=submit) {
                (act.notice(&["/name"]))
                TextField(label="Name", value=name, hint="It begins with every weekday at 09:00 and 17:00; change that next.", error=act.error("/name"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn slots_are_counted_in_words() {
        assert_eq!(super::slots_words(0), "No slots yet");
        assert_eq!(super::slots_words(1), "1 slot a week");
        assert_eq!(super::slots_words(10), "10 slots a week");
    }
}
