//! A run once more: re-drive, what-if, and the comparison with the run before.
//!
//! Invariant: the three are named apart; only a re-drive changes anything.

use so_model::api::again::{Redrive, RunComparison, WhatIf};
use so_model::api::dry_run::DryRun;
use so_model::api::run::{RunDetail, RunList, RunQuery, RunView};
use so_model::id::RunId;
use so_model::run::RunState;
use so_model::workspace::Role;
use sycamore::prelude::*;

use crate::act::Act;
use crate::app::App;
use crate::components::{Button, Glyph};
use crate::loaded::Loaded;
use crate::may::gate;
use crate::paged::address;
use crate::pages::rules::plan_view;

/// What can be done with a run that is over.
#[component(inline_props)]
pub fn Again(run: RunDetail, page: Loaded<RunDetail>) -> View {
    let own = &run.run.run;
    if !own.state.is_over() {
        return View::new();
    }
    let (id, rule) = (own.id, own.rule);
    let is_broken = matches!(own.state, RunState::Failed | RunState::Cancelled);
    let go_on = if is_broken {
        gate(
            Role::Editor,
            "A re-drive",
            || view! { GoOn(id=id, page=page) },
        )
    } else {
        View::new()
    };
    let tried = gate(
        Role::Editor,
        "A re-run or a what-if",
        || view! { Tried(id=id) },
    );
    view! {
        section(class="panel") {
            h2 { "Once more" }
            (go_on)
            (tried)
            Compared(id=id, rule=rule)
        }
    }
}

#[component(inline_props)]
fn GoOn(id: RunId, page: Loaded<RunDetail>) -> View {
    let app = App::here();
    let act = Act::new();
    let press = move |even_if_unknown: bool| {
        let body = Redrive { even_if_unknown };
        let call = async move {
            let path = format!("/runs/{id}/redrive");
            app.client.post::<RunView>(&app.scoped(&path), &body).await
        };
        act.run(call, move |_| {
            app.toasts.done("The run goes on from its failed step");
            page.reload();
        });
    };
    // Offered only after the server has said that nobody knows.
    let doubtful = move || {
        let is_doubtful = act.problem.with(|problem| {
            problem
                .as_ref()
                .is_some_and(|problem| problem.code == "run.outcome_unknown")
        });
        match is_doubtful {
            true => {
                view! { Button(label="Make the call again", glyph=Glyph::Refresh, busy=act.busy, on_press=move || press(true)) }
            }
            false => View::new(),
        }
    };
    view! {
        p { "Re-drive: goes on from the step that failed, with the same event and version." }
        (act.notice(&[]))
        Button(label="Re-drive", glyph=Glyph::Play, busy=act.busy, on_press=move || press(false))
        (doubtful)
    }
}

#[component(inline_props)]
fn Tried(id: RunId) -> View {
    let app = App::here();
    let (act, answer) = (Act::new(), create_signal(None::<DryRun>));
    let press = move || {
        let call = async move {
            let path = format!("/runs/{id}/what-if");
            app.client
                .post::<DryRun>(&app.scoped(&path), &WhatIf::default())
                .await
        };
        act.run(call, move |plan| answer.set(Some(plan)));
    };
    let shown = move || {
        answer
            .get_clone()
            .as_ref()
            .map_or_else(View::new, plan_view)
    };
    view! {
        p { "What if: tells what the rule of today would do about the same event, and does nothing." }
        (act.notice(&[]))
        Button(label="What if", busy=act.busy, on_press=press)
        (shown)
    }
}

#[component(inline_props)]
fn Compared(id: RunId, rule: so_model::id::RuleId) -> View {
    let app = App::here();
    let (act, answer) = (Act::new(), create_signal(None::<Option<RunComparison>>));
    let press = move || {
        let call = async move {
            let query = RunQuery {
                rule: Some(rule),
                cursor: Some(id.to_string()),
                limit: Some(1),
                ..RunQuery::default()
            };
            let before: RunList = app
                .client
                .get(&app.scoped(&address("/runs", &query)))
                .await?;
            let Some(before) = before.items.first().map(|run| run.run.id) else {
                return Ok(None);
            };
            let path = format!("/runs/{before}/compare?with={id}");
            app.client
                .get::<RunComparison>(&app.scoped(&path))
                .await
                .map(Some)
        };
        act.run(call, move |found| answer.set(Some(found)));
    };
    let shown = move || match answer.get_clone() {
        None => View::new(),
        Some(None) => view! { p(class="muted") { "There is no earlier run of this rule." } },
        Some(Some(found)) => beside(&found),
    };
    view! {
        p { "Compare: lays the run before beside this one." }
        (act.notice(&[]))
        Button(label="Compare with the run before", busy=act.busy, on_press=press)
        (shown)
    }
}

fn beside(found: &RunComparison) -> View {
    let text = found.text.clone();
    let rows: Vec<View> = found
        .steps
        .iter()
        .map(|pair| {
            let told = |outcome: Option<so_model::run::StepOutcome>| {
                outcome.map_or("not reached", |outcome| outcome.as_str())
            };
            let (left, right) = (told(pair.left), told(pair.right));
            let (step, mark) = (pair.step.clone(), if pair.is_same { "the same" } else { "differs" });
            view! { li { p { code { (step) } " " (left) " / " (right) " " span(class="muted") { (mark) } } } }
        })
        .collect();
    let values: View = found
        .first_difference
        .as_ref()
        .map(|first| {
            let (left, right) = (first.left.to_string(), first.right.to_string());
            view! { p(class="row-wrap") { "Before: " code { (left) } } p(class="row-wrap") { "This one: " code { (right) } } }
        })
        .into();
    view! { p { strong { (text) } } (values) ul(class="rows") { (rows) } }
}
