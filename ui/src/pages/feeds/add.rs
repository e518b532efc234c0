//! Adding a feed: its address, a look at its items, then subscribing.
//!
//! Invariant: what is subscribed is the address that was looked at.

use so_model::api::feed::{CreateFeed, FeedView};
use so_model::api::preview::{FeedPreview, PreviewFeed};
use sycamore::prelude::*;

use super::items;
use crate::act::Act;
use crate::app::App;
use crate::components::{Button, Dialog, Kind, Notice, NoticeKind, Switch, TextField};
use crate::paged::Paged;

/// Items that become events at once when the person wants the newest one too.
const FIRST_ITEMS: u32 = 1;

/// The dialog.
#[component(inline_props)]
pub fn Add(open: Signal<bool>, list: Paged<FeedView>) -> View {
    let app = App::here();
    let (url, seen) = (
        create_signal(String::new()),
        create_signal(None::<FeedPreview>),
    );
    let with_newest = create_signal(false);
    let (look, subscribe) = (Act::new(), Act::new());
    create_effect(move || {
        url.track();
        seen.set(None);
    });
    let preview = move || {
        let body = PreviewFeed {
            url: Some(url.with_untracked(|url| url.trim().to_owned())),
            document: None,
        };
        let call = async move {
            app.client
                .post::<FeedPreview>("/previews/feed", &body)
                .await
        };
        look.run(call, move |preview| {
            app.announce(format!("{} items", preview.total));
            seen.set(Some(preview));
        });
    };
    let add = move || {
        let body = CreateFeed {
            url: url.with_untracked(|url| url.trim().to_owned()),
            interval_s: None,
            announce_existing: if with_newest.get_untracked() {
                FIRST_ITEMS
            } else {
                0
            },
        };
        let call = async move {
            app.client
                .post::<FeedView>(&app.scoped("/feeds"), &body)
                .await
        };
        subscribe.run(call, move |feed| {
            open.set(false);
            url.set(String::new());
            app.toasts
                .done(format!("{} is subscribed", super::name(&feed)));
            list.reload();
        });
    };
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        preview();
    };
    let foot = move || match seen.with(Option::is_some) {
        true => {
            view! { Button(label="Subscribe", kind=Kind::Primary, busy=subscribe.busy, on_press=add) }
        }
        false => {
            view! { Button(label="Look at it", kind=Kind::Primary, busy=look.busy, on_press=preview) }
        }
    };
    let found = move || {
        seen.get_clone()
            .map_or_else(View::new, |preview| found(preview, with_newest))
    };
    view! {
        Dialog(open=open, title="Add a feed", foot=view! { Button(label="Cancel", on_press=move || open.set(false)) (foot) }) {
            form(class="form", novalidate=true, on:submit=submit) {
                (look.notice(&["/url"]))
                (subscribe.notice(&["/url"]))
                TextField(label="Address of the feed", kind="url", value=url, placeholder="https://example.org/feed.xml", hint="RSS, Atom or JSON Feed.", error=look.error("/url"))
                (found)
            }
        }
    }
}

fn found(preview: FeedPreview, with_newest: Signal<bool>) -> View {
    let title = Some(preview.title)
        .filter(|title| !title.is_empty())
        .unwrap_or_else(|| "Without a title".into());
    let count = format!("{} items", preview.total);
    let warnings = if preview.warnings.is_empty() {
        View::new()
    } else {
        view! { Notice(kind=NoticeKind::Warning, title="Repaired while reading", text=preview.warnings.join(" ")) }
    };
    view! {
        div(class="preview") {
            p { strong { (title) } " " span(class="muted") { (count) } }
            (warnings)
            (items(&preview.items))
        }
        Switch(label="Start the rules for the newest item too", on=with_newest, on_change=move |wish| with_newest.set(wish))
    }
}
