//! The ways that a rule's runs went: what is ordinary for it, and what is rare.
//!
//! Invariant: a way is told with how many runs went it, also when those runs are gone.

use so_model::id::RuleId;
use so_model::way::{RunWay, RunWays};
use sycamore::prelude::*;

use crate::app::App;
use crate::components::Ago;
use crate::loaded::Loaded;
use crate::routes::Route;

/// The ways, or nothing while none is counted.
#[component(inline_props)]
pub fn Ways(id: RuleId) -> View {
    let app = App::here();
    let ways = Loaded::new(move || async move {
        let path = app.scoped(&format!("/rules/{id}/ways"));
        app.client.get::<RunWays>(&path).await
    });
    let shown = move || match ways.value() {
        Some(found) if !found.items.is_empty() => panel(&found),
        _ => View::new(),
    };
    view! { (shown) }
}

fn panel(found: &RunWays) -> View {
    let rows: Vec<View> = found.items.iter().map(row).collect();
    let kept = match found.dull_days {
        Some(days) => {
            format!("Ordinary runs are let go after {days} days; they stay counted here.")
        }
        None => "Runs of every way are kept equally long.".into(),
    };
    let more = match found.is_cut {
        true => view! { p(class="muted panel-pad") { "There are more ways." } },
        false => View::new(),
    };
    view! {
        section(class="panel panel-rows") {
            h2 { "Ways its runs went" }
            p(class="muted panel-pad") { (kept) }
            ul { (rows) }
            (more)
        }
    }
}

fn row(one: &RunWay) -> View {
    let steps: Vec<String> = one
        .steps
        .iter()
        .flatten()
        .map(|step| {
            let outcomes: Vec<&str> = step.outcomes.iter().map(|one| one.as_str()).collect();
            format!("{} {}", step.step, outcomes.join(", "))
        })
        .collect();
    let runs: Vec<View> = one
        .kept
        .iter()
        .map(|run| {
            let (href, title) = (Route::Run(*run).path(), run.to_string());
            view! { a(href=href, title=title) { "a run" } " " }
        })
        .collect();
    let (text, steps, at) = (one.text.clone(), steps.join(" \u{2192} "), one.last_at);
    view! {
        li(class="decision") {
            p(class="row-wrap") { (text) }
            p(class="muted row-wrap") { (steps) }
            p(class="muted") { "Last " Ago(at=at) ". " (runs) }
        }
    }
}
