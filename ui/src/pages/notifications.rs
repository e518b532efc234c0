//! Messages: what happened that a person should know.
//!
//! Owns the count on the bell. Invariant: a message is read for the whole workspace; whoever reads it first has taken it on.

use so_model::api::notification::{NotificationList, NotificationQuery, NotificationView};
use sycamore::futures::spawn_local_scoped;
use sycamore::prelude::*;

use crate::act::Act;
use crate::app::App;
use crate::client::Done;
use crate::components::{Ago, Badge, Button, EmptyState, Face, Glyph, Kind, LinkButton, Tone};
use crate::frame::Page;
use crate::paged::{Paged, address};

/// Keeps the bell's count right until the current scope ends.
pub fn watch_unread(app: App) {
    let count = move || {
        spawn_local_scoped(async move {
            let query = NotificationQuery {
                unread: true,
                limit: Some(1),
                ..NotificationQuery::default()
            };
            // Without an answer the bell stays as it is; the next change asks again.
            if let Ok(list) = app
                .client
                .get::<NotificationList>(&app.scoped(&address("/notifications", &query)))
                .await
            {
                app.unread.set(u64::try_from(list.unread).unwrap_or(0));
            }
        });
    };
    count();
    app.pulse.on(&["notification"], count);
}

/// The page.
#[component]
pub fn Notifications() -> View {
    let app = App::here();
    let list = Paged::new(move |ask| async move {
        let query = NotificationQuery {
            unread: false,
            cursor: ask.cursor,
            limit: Some(ask.limit),
        };
        let page: NotificationList = app
            .client
            .get(&app.scoped(&address("/notifications", &query)))
            .await?;
        app.unread.set(u64::try_from(page.unread).unwrap_or(0));
        Ok((page.items, page.next_cursor))
    });
    app.pulse.on(&["notification"], move || list.reload());
    let act = Act::new();
    let read_all = move || {
        let call = async move {
            app.client
                .press::<Done>(&app.scoped("/notifications/read"))
                .await
        };
        act.run(call, move |_| list.reload());
    };
    let none = move || app.unread.get() == 0;
    let primary = view! { Button(label="Mark all as read", glyph=Glyph::Check, busy=act.busy, off=none, on_press=read_all) };
    view! {
        Page(title="Notifications", primary=primary) {
            (act.notice(&[]))
            (list.view(empty, move |one| row(app, one, list)))
        }
    }
}

fn empty() -> View {
    view! {
        EmptyState(glyph=Glyph::Bell, title="Nothing to tell",
            text="Failures, missed posts and accounts that need you are told here. Rules can tell you more with the step notify.",
            link=("/rules".to_owned(), "Open the rules".to_owned()))
    }
}

fn face(level: &str) -> Face {
    let (tone, glyph, word) = match level {
        "error" => (Tone::Failed, Glyph::CircleX, "Problem"),
        "warning" => (Tone::Partial, Glyph::TriangleAlert, "Warning"),
        _ => (Tone::Neutral, Glyph::Info, "Note"),
    };
    Face { tone, glyph, word }
}

fn row(app: App, one: NotificationView, list: Paged<NotificationView>) -> View {
    let act = Act::new();
    let path = format!("/notifications/{}/read", one.id);
    let read = move || {
        let path = path.clone();
        let call = async move { app.client.press::<Done>(&app.scoped(&path)).await };
        act.run(call, move |_| list.reload());
    };
    let unread = one.read_at.is_none();
    let open: View = one
        .link
        .map(|href| view! { LinkButton(href=href, label="Open", kind=Kind::Quiet) })
        .into();
    let mark = if unread {
        view! { Button(label="Mark as read", kind=Kind::Quiet, glyph=Glyph::Check, icon_only=true, busy=act.busy, on_press=read) }
    } else {
        View::new()
    };
    let class = if unread { "row row-unread" } else { "row" };
    view! {
        li {
            div(class=class) {
                Badge(face=face(&one.level))
                span(class="row-main") { span(class="row-title row-wrap") { (one.title) } span(class="row-note row-wrap") { (one.body) } }
                span(class="row-end") { Ago(at=one.created_at) (open) (mark) }
            }
        }
    }
}
