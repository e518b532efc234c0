//! What a post says, to everybody and to each account.
//!
//! Invariant: an account that has a version of its own is told apart from those that share.

use so_model::api::media::MediaView;
use so_model::content::{Content, MediaUse};
use so_model::post::Post;
use sycamore::prelude::*;

use super::Accounts;
use crate::app::App;
use crate::components::{AccountChip, Glyph, Icon};
use crate::loaded::Loaded;

/// The shared content with those who get it, then each version of its own.
pub fn versions(post: &Post, accounts: &Accounts) -> View {
    let (own, shared): (Vec<_>, Vec<_>) = post
        .variants
        .iter()
        .partition(|variant| variant.content.is_some());
    let mut views = Vec::new();
    if own.is_empty() || !shared.is_empty() || post.variants.is_empty() {
        let chips: Vec<View> = shared
            .iter()
            .filter_map(|variant| accounts.get(&variant.account))
            .map(|account| view! { AccountChip(account=account.clone()) })
            .collect();
        views.push(card("Everybody", chips, &post.content));
    }
    for variant in own {
        let chips = accounts
            .get(&variant.account)
            .map(|account| view! { AccountChip(account=account.clone()) });
        views.push(card(
            "Own text",
            chips.into_iter().collect(),
            post.content_for(variant),
        ));
    }
    view! { section(class="stack") { h2 { "What it says" } (views) } }
}

fn card(title: &'static str, chips: Vec<View>, content: &Content) -> View {
    let chips = if chips.is_empty() {
        view! { span(class="muted") { "No account chosen" } }
    } else {
        chips.into()
    };
    let body = shown(content);
    view! { article(class="card") { div(class="card-head") { span(class="muted") { (title) } (chips) } div(class="card-body") { (body) } } }
}

/// A content as text, pictures, link, poll and further parts.
pub fn shown(content: &Content) -> View {
    let line = |label: &'static str, text: &Option<String>| -> View {
        text.clone()
            .map(|text| view! { div(class="content-extra") { span(class="label") { (label) } p(class="post-text") { (text) } } })
            .into()
    };
    let text = if content.text.is_empty() {
        view! { p(class="muted") { "Without text" } }
    } else {
        let text = content.text.clone();
        view! { p(class="post-text") { (text) } }
    };
    let parts: Vec<View> = content
        .thread
        .iter()
        .enumerate()
        .map(|(place, part)| {
            let (label, text, pictures) = (format!("Part {}", place + 2), part.text.clone(), pictures(&part.media));
            view! { div(class="content-extra") { span(class="label") { (label) } p(class="post-text") { (text) } (pictures) } }
        })
        .collect();
    let link: View = content
        .link
        .clone()
        .map(|card| {
            let (words, href) = (card.title.unwrap_or_else(|| card.url.clone()), card.url);
            view! { p(class="link-card") { Icon(glyph=Glyph::Link, small=true) a(href=href, target="_blank", rel="noreferrer noopener") { (words) } } }
        })
        .into();
    let poll: View = content
        .poll
        .clone()
        .map(|poll| {
            let options: Vec<View> = poll
                .options
                .into_iter()
                .map(|option| view! { li { (option) } })
                .collect();
            view! { ul(class="poll") { (options) } }
        })
        .into();
    let (warning, title, comment) = (
        line("Content warning", &content.content_warning),
        line("Title", &content.title),
        line("First comment", &content.first_comment),
    );
    let media = pictures(&content.media);
    view! { (warning) (title) (text) (media) (link) (poll) (parts) (comment) }
}

fn pictures(media: &[MediaUse]) -> View {
    if media.is_empty() {
        return View::new();
    }
    let views: Vec<View> = media
        .iter()
        .map(|one| view! { Picture(media=one.clone()) })
        .collect();
    view! { ul(class="pictures") { (views) } }
}

#[component(inline_props)]
fn Picture(media: MediaUse) -> View {
    let app = App::here();
    let id = media.id;
    let file = Loaded::new(move || async move {
        app.client
            .get::<MediaView>(&app.scoped(&format!("/media/{id}")))
            .await
    });
    let (alt, caption) = (media.alt.clone(), media.alt);
    let image = move || match file.value() {
        Some(file) => {
            let alt = alt.clone();
            view! { img(src=file.url, alt=alt) }
        }
        None => view! { span(class="picture-blank") { Icon(glyph=Glyph::Image) } },
    };
    let caption = if caption.is_empty() {
        view! { figcaption(class="muted small") { "No description" } }
    } else {
        view! { figcaption(class="muted small") { (caption) } }
    };
    view! { li { figure { (image) (caption) } } }
}
