//! What went wrong, why, and what to do; and quieter remarks of the same shape.
//!
//! Invariant: an error is announced at once (`role="alert"`) and never tells less than the server told.

use so_model::problem::Problem;
use sycamore::prelude::*;

use super::{Button, Callback, Glyph, Icon};
use crate::client::other_errors;

/// How serious a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NoticeKind {
    /// Good to know.
    #[default]
    Info,
    /// Will matter.
    Warning,
}

/// A remark on the page.
#[component(inline_props)]
pub fn Notice(
    #[prop(setter(into))] title: String,
    #[prop(default, setter(into))] text: String,
    #[prop(default)] kind: NoticeKind,
) -> View {
    let (class, glyph) = match kind {
        NoticeKind::Info => ("notice", Glyph::Info),
        NoticeKind::Warning => ("notice notice-warn", Glyph::TriangleAlert),
    };
    let text = if text.is_empty() {
        View::new()
    } else {
        view! { p { (text) } }
    };
    view! { div(class=class) { Icon(glyph=glyph) p(class="notice-title") { (title) } (text) } }
}

/// A problem from the server. `shown_fields` are the pointers whose errors stand at their fields already.
#[component(inline_props)]
pub fn ErrorNotice(
    problem: Problem,
    #[prop(default)] shown_fields: &'static [&'static str],
    #[prop(default)] retry: Option<Callback>,
) -> View {
    let others = other_errors(&problem, shown_fields);
    let list = if others.is_empty() {
        View::new()
    } else {
        let items: Vec<View> = others
            .into_iter()
            .map(|text| view! { li { (text) } })
            .collect();
        view! { ul { (items) } }
    };
    let line = |text: String| {
        if text.is_empty() {
            View::new()
        } else {
            view! { p { (text) } }
        }
    };
    let (detail, next_step, title) = (line(problem.detail), line(problem.next_step), problem.title);
    let again: View = retry.map(|retry| view! { Button(label="Try again", glyph=Glyph::Refresh, on_press=move || retry.call()) }).into();
    view! {
        div(class="notice notice-bad", role="alert") {
            Icon(glyph=Glyph::Alert)
            p(class="notice-title") { (title) }
            (detail) (list) (next_step)
            (again)
        }
    }
}
