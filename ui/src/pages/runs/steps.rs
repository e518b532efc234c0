//! The steps of a run, drawn down the page in the order of the document.
//!
//! Invariant: what was not reached and what was not taken is drawn too, paler and said so, because "why not" is half of
//! every question.

use serde_json::Value;
use so_model::api::run::RunPublication;
use so_model::run::{Memo, StepOutcome};
use sycamore::prelude::*;

use super::conditions::tree;
use super::picture::{BranchDrawn, Drawn};
use crate::components::{
    Badge, Face, Glyph, Icon, Kind, LinkButton, Tone, publication_face, step_face, workspace_zone,
};
use crate::pages::posts::{plain, tries};
use crate::routes::Route;
use crate::when;

/// Steps one below the other.
pub fn steps(drawn: &[Drawn], is_live: bool) -> View {
    let rows: Vec<View> = drawn.iter().map(|one| step(one, is_live)).collect();
    view! { ol(class="steps") { (rows) } }
}

fn not_reached(is_live: bool) -> Face {
    Face {
        tone: Tone::Neutral,
        glyph: Glyph::CircleDashed,
        word: if is_live { "Not yet" } else { "Not reached" },
    }
}

fn step(one: &Drawn, is_live: bool) -> View {
    let outcome = one.outcome();
    let face = outcome.map_or_else(|| not_reached(is_live), step_face);
    let class = match outcome {
        None => "step step-pale",
        Some(StepOutcome::Failed) => "step step-failed",
        Some(_) => "step",
    };
    let notes = if one.notes.is_empty() {
        View::new()
    } else {
        let notes = one.notes.clone();
        view! { p(class="muted") { (notes) } }
    };
    let zone = workspace_zone();
    let count = one.tries.len();
    let attempts: Vec<View> = one
        .tries
        .iter()
        .map(|memo| attempt(memo, count, &zone))
        .collect();
    let publications: Vec<View> = one.publications.iter().map(publication).collect();
    let branches: Vec<View> = one
        .branches
        .iter()
        .map(|branch| way(branch, is_live))
        .collect();
    let (title, id, pointer) = (one.title.clone(), one.id.clone(), one.pointer.clone());
    view! {
        li(class=class) {
            div(class="step-head") {
                strong { (title) }
                code(title=pointer) { (id) }
                span(class="push") { Badge(face=face) }
            }
            (notes)
            (attempts)
            (publications)
            (branches)
        }
    }
}

/// One try: when, how long, how it went, what went in and out.
fn attempt(memo: &Memo, count: usize, zone: &str) -> View {
    let number = if count > 1 {
        format!("Try {} ", memo.attempt)
    } else {
        String::new()
    };
    let (began, exact) = (
        when::clock(memo.started_at, zone),
        memo.started_at.to_string(),
    );
    let took = memo
        .finished_at
        .map(|end| format!(", {}", when::span(end.since(memo.started_at))))
        .unwrap_or_default();
    let how = if count > 1 {
        let face = step_face(memo.outcome);
        view! { Badge(face=face) }
    } else {
        View::new()
    };
    let error: View = memo
        .error
        .clone()
        .map(|text| view! { p(class="error-line") { Icon(glyph=Glyph::Alert, small=true) span { (text) } } })
        .into();
    let (input, output) = (
        value("What it was given", &memo.input),
        value("What came out", &memo.output),
    );
    view! {
        div(class="attempt") {
            p(class="attempt-head") { span(class="muted") { (number) time(datetime=exact) { (began) } (took) } (how) }
            (error)
            (input)
            (output)
        }
    }
}

/// A value, folded; nothing at all when there is none.
pub fn value(label: &'static str, value: &Value) -> View {
    let is_nothing = match value {
        Value::Null => true,
        // The way a step took is drawn; it needs no telling as JSON.
        Value::Object(map) => map.keys().all(|key| key == "branch"),
        _ => false,
    };
    if is_nothing {
        return View::new();
    }
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    view! { details(class="answer") { summary { (label) } pre(class="json", tabindex="0") { (text) } } }
}

/// A publication the step asked for, with every try and the network's answer.
fn publication(one: &RunPublication) -> View {
    let publication = &one.publication;
    let face = publication_face(publication.state);
    let live: View = publication
        .remote_url
        .clone()
        .map(|href| view! { a(href=href, target="_blank", rel="noreferrer noopener") { "The live post" } })
        .into();
    let problem: View = publication
        .problem
        .clone()
        .map(|text| plain(&text))
        .map(|text| view! { p(class="error-line") { Icon(glyph=Glyph::Alert, small=true) span { (text) } } })
        .into();
    let (tries, post) = (tries(&one.attempts), Route::Post(publication.post).path());
    view! {
        div(class="attempt") {
            p(class="attempt-head") { Icon(glyph=Glyph::Send, small=true) "Publication " Badge(face=face) (live) LinkButton(href=post, label="The post", kind=Kind::Quiet) }
            (problem)
            (tries)
        }
    }
}

fn way(branch: &BranchDrawn, is_live: bool) -> View {
    let (class, glyph, word) = match branch.taken {
        Some(true) => ("way way-taken", Glyph::Check, "taken"),
        Some(false) => ("way way-not", Glyph::X, "not taken"),
        None => ("way way-not", Glyph::CircleDashed, "not reached"),
    };
    let condition: View = branch.condition.as_ref().map(tree).into();
    let inside = if branch.steps.is_empty() {
        view! { p(class="muted") { "No steps" } }
    } else {
        steps(&branch.steps, is_live && branch.taken == Some(true))
    };
    let label = branch.label.clone();
    view! {
        div(class=class) {
            p(class="way-head") { Icon(glyph=glyph, small=true) span { (label) } span(class="muted") { (word) } }
            (condition)
            (inside)
        }
    }
}
