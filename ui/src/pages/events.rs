//! One event: what it brought, the runs it started, and why other rules did not start.
//!
//! Invariant: every rule that was tried is there, each with a way to ask why.

use so_model::api::event::EventDetail;
use so_model::id::EventId;
use sycamore::prelude::*;

use super::rules::{About, Ask, AskEvent};
use crate::app::App;
use crate::components::{Badge, Facts, Moment, run_face, verdict_face};
use crate::frame::Page;
use crate::loaded::Loaded;
use crate::routes::Route;

/// The page.
#[component(inline_props)]
pub fn One(id: EventId) -> View {
    let app = App::here();
    let detail = Loaded::new(move || async move {
        app.client
            .get::<EventDetail>(&app.scoped(&format!("/events/{id}")))
            .await
    });
    app.pulse.on(&["run"], move || detail.reload());
    let title = move || {
        detail
            .value()
            .map_or_else(|| "Event".to_owned(), |one| one.event.kind)
    };
    view! {
        Page(title=title, back=Route::runs()) {
            div(class="content-pad columns") {
                div(class="stack") { (detail.view(|one| body(&one))) }
                div(class="stack") { Ask(about=About::Event(id)) }
            }
        }
    }
}

fn body(one: &EventDetail) -> View {
    let event = &one.event;
    let (source, at, data) = (
        event.source.clone(),
        event.time,
        serde_json::to_string_pretty(&event.data).unwrap_or_default(),
    );
    let subject = event.subject.clone().unwrap_or_default();
    let pairs = vec![
        ("Happened", view! { Moment(at=at) }),
        ("From", source.into()),
        ("About", subject.into()),
    ];
    let runs: Vec<View> = one
        .runs
        .iter()
        .map(|run| {
            let (href, face) = (Route::Run(run.run.id).path(), run_face(run.run.state));
            let name = run
                .rule_name
                .clone()
                .unwrap_or_else(|| "A rule that is gone".into());
            view! { li { a(href=href) { (name) } " " Badge(face=face) } }
        })
        .collect();
    let gone = one.let_go.iter().map(|start| {
        let href = Route::Rule(start.rule).path();
        view! { li { a(href=href) { "A rule" } " started; its run was ordinary and was let go." } }
    });
    let runs: Vec<View> = runs.into_iter().chain(gone).collect();
    let refused: Vec<View> = one
        .decisions
        .iter()
        .map(|one| {
            let (rule, event, face) = (one.decision.rule, one.event, verdict_face(one.decision.verdict));
            let name = one.rule_name.clone().unwrap_or_else(|| "A rule that is gone".into());
            let reason = one.decision.reason.clone();
            view! { li(class="decision") { div(class="decision-head") { (name) " " Badge(face=face) } p(class="row-wrap") { (reason) } AskEvent(rule=rule, event=event) } }
        })
        .collect();
    let runs = listed(runs, "It started no rule.");
    let refused = listed(refused, "No other rule listens to it.");
    view! {
        section(class="panel") { Facts(pairs=pairs) pre(class="json", tabindex="0") { (data) } }
        section(class="panel panel-rows") { h2 { "Started" } (runs) }
        section(class="panel panel-rows") { h2 { "Did not start" } (refused) }
    }
}

fn listed(rows: Vec<View>, nothing: &'static str) -> View {
    if rows.is_empty() {
        return view! { p(class="muted") { (nothing) } };
    }
    view! { ul { (rows) } }
}
