//! Times in the text, and facts in two columns.
//!
//! Invariant: a time is a `<time>` with the exact moment in its attribute and its zone in view or one hover away.

use so_model::time::Timestamp;
use sycamore::prelude::*;

use crate::app::App;
use crate::when;

/// The zone of the workspace on show.
pub fn workspace_zone() -> String {
    let workspace = untrack(|| App::here().workspace());
    workspace.map_or_else(|| "UTC".into(), |one| one.workspace.time_zone)
}

/// "Tue 24 Nov, 09:00 Berlin", in the workspace's zone.
#[component(inline_props)]
pub fn Moment(at: Timestamp) -> View {
    let (exact, words) = (at.to_string(), when::words(at, &workspace_zone()));
    let hover = exact.clone();
    view! { time(datetime=exact, title=hover) { (words) } }
}

/// "3 min ago"; the exact time on hover.
#[component(inline_props)]
pub fn Ago(at: Timestamp) -> View {
    let (exact, words) = (at.to_string(), when::words(at, &workspace_zone()));
    let distance = when::distance(at, when::now());
    view! { time(datetime=exact, title=words) { (distance) } }
}

/// Names and values, one pair a line; a pair without a value is left out by the caller.
#[component(inline_props)]
pub fn Facts(pairs: Vec<(&'static str, View)>) -> View {
    let rows: Vec<View> = pairs
        .into_iter()
        .map(|(name, value)| view! { div { dt { (name) } dd { (value) } } })
        .collect();
    view! { dl(class="facts") { (rows) } }
}
