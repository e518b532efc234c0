//! The list of runs, by state and rule.
//!
//! Invariant: the filters are in the address.

use so_model::api::rule::RuleDetail;
use so_model::api::run::{RunList, RunQuery, RunView};
use so_model::run::RunState;
use sycamore::prelude::*;

use crate::app::App;
use crate::components::{Ago, Badge, EmptyState, Glyph, Kind, LinkButton, RowLink, run_face};
use crate::frame::Page;
use crate::loaded::Loaded;
use crate::paged::{Paged, address};
use crate::routes::{Route, RunFilter};
use crate::when;

const STATES: [RunState; 6] = [
    RunState::Running,
    RunState::Waiting,
    RunState::Queued,
    RunState::Finished,
    RunState::Failed,
    RunState::Cancelled,
];

/// The page.
#[component(inline_props)]
pub fn List(filter: RunFilter) -> View {
    let app = App::here();
    let list = Paged::new(move |ask| async move {
        let query = RunQuery {
            rule: filter.rule,
            state: filter.state,
            cursor: ask.cursor,
            limit: Some(ask.limit),
            ..RunQuery::default()
        };
        let page: RunList = app
            .client
            .get(&app.scoped(&address("/runs", &query)))
            .await?;
        Ok((page.items, page.next_cursor))
    });
    app.pulse.on(&["run"], move || list.reload());
    let chips = view! { (tabs(filter)) (of_rule(app, filter)) };
    let is_filtered = filter != RunFilter::default();
    view! { Page(title="Runs", chips=chips) { (list.view(move || empty(is_filtered), row)) } }
}

fn tabs(filter: RunFilter) -> View {
    let tab = |state: Option<RunState>, word: &'static str| {
        let mark = (filter.state == state).then_some("page");
        let href = Route::Runs(RunFilter { state, ..filter }).path();
        view! { a(class="tab", href=href, aria-current=mark) { (word) } }
    };
    let mut all = vec![tab(None, "All")];
    all.extend(STATES.map(|state| tab(Some(state), run_face(state).word)));
    view! { nav(class="tabs", aria-label="States") { (all) } }
}

/// The chip that says of which rule, and takes that away.
fn of_rule(app: App, filter: RunFilter) -> View {
    let Some(rule) = filter.rule else {
        return View::new();
    };
    let name = Loaded::new(move || async move {
        let detail: RuleDetail = app
            .client
            .get(&app.scoped(&format!("/rules/{rule}")))
            .await?;
        Ok(detail.rule.name)
    });
    let words = move || format!("Rule: {}", name.value().unwrap_or_else(|| "one".into()));
    let all = Route::Runs(RunFilter {
        rule: None,
        ..filter
    })
    .path();
    view! {
        span(class="chip", aria-pressed="true") { (words()) }
        LinkButton(href=all, label="All rules", kind=Kind::Quiet, glyph=Glyph::X)
    }
}

fn empty(is_filtered: bool) -> View {
    if is_filtered {
        return view! {
            EmptyState(glyph=Glyph::Filter, title="No run fits the filters", text="Others may be there: look at all of them.",
                action=(Route::runs().path(), "Show all runs".to_owned()))
        };
    }
    view! {
        EmptyState(glyph=Glyph::Activity, title="Nothing ran yet",
            text="Each time a rule acts, its run stands here: the event, the conditions with the values seen, every step.",
            action=(Route::Rules.path(), "Open the rules".to_owned()), link=(Route::NewPost.path(), "Schedule a post and watch".to_owned()))
    }
}

fn row(view: RunView) -> View {
    let run = view.run;
    let title = view.rule_name.unwrap_or_else(|| "A deleted rule".into());
    let because = view
        .event_kind
        .unwrap_or_else(|| "an event that is gone".into());
    let note = match &run.reason {
        Some(reason) => format!("{because}: {reason}"),
        None => because,
    };
    let took = run
        .finished_at
        .map(|end| when::span(end.since(run.created_at)))
        .unwrap_or_default();
    let (face, at, href) = (
        run_face(run.state),
        run.created_at,
        Route::Run(run.id).path(),
    );
    let end = view! { span(class="muted num") { (took) } Badge(face=face) Ago(at=at) };
    view! { RowLink(href=href, title=title, note=note, end=end) }
}
