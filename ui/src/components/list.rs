//! Rows of a list, the empty list, and the list that is still loading.
//!
//! Invariant: a row is one link with one name; an empty page says what belongs there and offers one way to begin.

use sycamore::prelude::*;

use super::{Glyph, Icon, Kind, LinkButton};

/// A row that leads somewhere: title, a quieter note, and what stands at its end (badge, time).
#[component(inline_props)]
pub fn RowLink(
    #[prop(setter(into))] href: String,
    #[prop(setter(into))] title: String,
    #[prop(default, setter(into))] note: String,
    #[prop(default)] start: View,
    #[prop(default)] end: View,
) -> View {
    let note = if note.is_empty() {
        View::new()
    } else {
        view! { span(class="row-note") { (note) } }
    };
    view! {
        li {
            a(class="row", href=href) {
                (start)
                span(class="row-main") { span(class="row-title") { (title) } (note) }
                span(class="row-end") { (end) }
            }
        }
    }
}

/// Nothing here yet: what belongs here, one button, one link.
#[component(inline_props)]
pub fn EmptyState(
    glyph: Glyph,
    #[prop(setter(into))] title: String,
    #[prop(setter(into))] text: String,
    /// Address and words of the one button.
    #[prop(default, setter(strip_option))]
    action: Option<(String, String)>,
    /// Address and words of the one link.
    #[prop(default, setter(strip_option))]
    link: Option<(String, String)>,
) -> View {
    let action: View = action
        .map(|(href, label)| view! { LinkButton(href=href, label=label, kind=Kind::Primary) })
        .into();
    let link: View = link
        .map(|(href, label)| view! { a(href=href) { (label) } })
        .into();
    view! {
        div(class="empty") {
            Icon(glyph=glyph)
            h2 { (title) }
            p { (text) }
            div(class="form-actions") { (action) (link) }
        }
    }
}

/// Grey rows; the style sheet shows them only when waiting takes more than 300 ms.
#[component(inline_props)]
pub fn SkeletonRows(#[prop(default = 5)] count: usize) -> View {
    let rows: Vec<View> = (0..count)
        .map(|_| view! { div(class="row") { span(class="skeleton") span(class="skeleton") } })
        .collect();
    view! {
        div(class="skeleton-rows", aria-busy="true") {
            span(class="visually-hidden") { "Loading" }
            (rows)
        }
    }
}
