//! The Sandbox's timeline: what the built-in network shows, as a reader would see it.
//!
//! Invariant: it shows what that network keeps, not what the engine believes, so that the two can be compared.

use std::collections::HashMap;

use so_model::api::sandbox::{SandboxPostView, SandboxQuery, SandboxTimeline};
use so_model::content::Content;
use sycamore::prelude::*;

use crate::app::App;
use crate::components::{Avatar, EmptyState, Glyph, Icon, Kind, LinkButton, Moment};
use crate::frame::Page;
use crate::paged::{Paged, address};
use crate::routes::Route;

/// The page.
#[component]
pub fn Sandbox() -> View {
    let app = App::here();
    let list = Paged::new(move |ask| async move {
        let query = SandboxQuery {
            account: None,
            cursor: ask.cursor,
            limit: Some(ask.limit),
        };
        let page: SandboxTimeline = app
            .client
            .get(&app.scoped(&address("/sandbox/posts", &query)))
            .await?;
        Ok((page.items, page.next_cursor))
    });
    app.pulse
        .on(&["sandbox", "publication", "post"], move || list.reload());
    let names = create_memo(move || list.items.with(|items| names(items)));
    let primary = view! { LinkButton(href=Route::NewPost.path(), label="New post", kind=Kind::Primary, glyph=Glyph::Plus) };
    let row = move |post: SandboxPostView| {
        let answered = post
            .reply_to
            .as_ref()
            .and_then(|id| names.with_untracked(|names| names.get(id).cloned()));
        entry(post, answered)
    };
    view! {
        Page(title="Sandbox", primary=primary) { div(class="timeline") { (list.view(empty, row)) } }
    }
}

fn empty() -> View {
    view! {
        EmptyState(glyph=Glyph::Flask, title="The timeline is empty",
            text="A network of your own, inside this server. Posts sent to a Sandbox account appear here and nowhere else.",
            action=(Route::NewPost.path(), "Write a post".to_owned()), link=(Route::Connect.path(), "Connect a Sandbox account".to_owned()))
    }
}

/// Who wrote which post, for "answers to".
fn names(items: &[SandboxPostView]) -> HashMap<String, String> {
    items
        .iter()
        .map(|post| (post.id.clone(), post.handle.clone()))
        .collect()
}

fn entry(post: SandboxPostView, answered: Option<String>) -> View {
    let reply: View = post
        .reply_to
        .map(|_| {
            let words = answered.map_or_else(
                || "Answers to an earlier post".to_owned(),
                |handle| format!("Answers to {handle}"),
            );
            view! { p(class="reply") { Icon(glyph=Glyph::Corner, small=true) (words) } }
        })
        .into();
    let (name, content) = (post.name.clone(), content(post.content));
    view! {
        li {
            article(class="toot") {
                Avatar(name=name, network="sandbox")
                div(class="toot-main") {
                    p(class="toot-head") { strong { (post.name) } span(class="muted") { (post.handle) } span(class="muted toot-time") { Moment(at=post.published_at) } }
                    (reply)
                    (content)
                }
            }
        }
    }
}

fn content(content: Content) -> View {
    let warning: View = content
        .content_warning
        .map(|text| view! { p(class="muted") { "Warning: " (text) } })
        .into();
    let title: View = content.title.map(|text| view! { h3 { (text) } }).into();
    let link: View = content
        .link
        .map(|card| {
            let words = card.title.unwrap_or_else(|| card.url.clone());
            view! { p(class="link-card") { Icon(glyph=Glyph::Link, small=true) span { (words) } span(class="muted") { (card.url) } } }
        })
        .into();
    let media: Vec<View> = content
        .media
        .into_iter()
        .map(|file| {
            let alt = if file.alt.is_empty() {
                "no description".to_owned()
            } else {
                file.alt
            };
            view! { li { Icon(glyph=Glyph::Image, small=true) (alt) } }
        })
        .collect();
    let media = if media.is_empty() {
        View::new()
    } else {
        view! { ul(class="toot-media") { (media) } }
    };
    view! { (warning) (title) p(class="post-text") { (content.text) } (link) (media) }
}
