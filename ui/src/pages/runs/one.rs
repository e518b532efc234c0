//! One run: the event that started it, the condition with the values seen, and every step with its tries.
//!
//! Invariant: it is read anew as long as it goes on, so that one can watch.

use so_model::api::run::{RunDetail, RunView};
use so_model::event::Event;
use so_model::id::RunId;
use so_model::run::{Memo, RunState};
use so_model::workspace::Role;
use sycamore::prelude::*;

use super::again::Again;
use super::case::AsCase;
use super::conditions::tree;
use super::picture::{condition_line, picture};
use super::steps::{steps, value};
use crate::act::Act;
use crate::app::App;
use crate::components::{
    Badge, Button, Facts, Glyph, Icon, LinkButton, Moment, Notice, NoticeKind, run_face,
};
use crate::frame::{Page, page_title};
use crate::loaded::Loaded;
use crate::may::may;
use crate::pages::rules::{sentence, trigger_words};
use crate::routes::Route;
use crate::when;

/// The page.
#[component(inline_props)]
pub fn One(id: RunId) -> View {
    let app = App::here();
    let run = Loaded::new(move || async move {
        app.client
            .get::<RunDetail>(&app.scoped(&format!("/runs/{id}")))
            .await
    });
    app.pulse
        .on(&["run", "post", "publication"], move || run.reload());
    let act = Act::new();
    let title = move || page_title(run.value().and_then(|one| one.run.rule_name), "Run");
    let primary = move || match run.value() {
        Some(one) => controls(app, &one, run, act),
        None => View::new(),
    };
    view! {
        Page(title=title, back=Route::runs(), primary=view! { (primary) }) {
            div(class="content-pad run") {
                (act.notice(&[]))
                (run.view(move |one| body(&one, run)))
            }
        }
    }
}

fn controls(app: App, one: &RunDetail, run: Loaded<RunDetail>, act: Act) -> View {
    let id = one.run.run.id;
    let cancel = move || {
        let call = async move {
            app.client
                .press::<RunView>(&app.scoped(&format!("/runs/{id}/cancel")))
                .await
        };
        act.run(call, move |now| {
            app.toasts.done(match now.run.state {
                RunState::Cancelling => "It ends before its next step",
                _ => "Cancelled: no further step begins",
            });
            run.reload();
        });
    };
    let again = move || {
        let call = async move {
            app.client
                .press::<RunView>(&app.scoped(&format!("/runs/{id}/rerun")))
                .await
        };
        act.run(call, move |fresh| {
            app.toasts.done("The rule runs again on the same event");
            app.router.go(Route::Run(fresh.run.id));
        });
    };
    let rule = Route::Rule(one.run.run.rule).path();
    let button = if !may(Role::Editor) {
        View::new()
    } else if one.run.run.state.is_over() {
        view! { Button(label="Re-run", glyph=Glyph::Refresh, busy=act.busy, on_press=again) }
    } else if one.run.run.state == RunState::Cancelling {
        View::new()
    } else {
        view! { Button(label="Cancel", glyph=Glyph::X, busy=act.busy, on_press=cancel) }
    };
    view! { LinkButton(href=rule, label="The rule", glyph=Glyph::Workflow) (button) }
}

fn body(run: &RunDetail, page: Loaded<RunDetail>) -> View {
    let drawn = picture(run);
    let is_live = !run.run.run.state.is_over();
    let (head, when, condition) = (head(run), trigger(run), condition(run));
    let then = if run.document.is_some() {
        steps(&drawn.steps, is_live)
    } else {
        view! { Notice(kind=NoticeKind::Warning, title="The rule's document of then is gone", text="What the run did is listed below, without the picture.") }
    };
    let leftover = leftover(&drawn.leftover);
    let again = view! { Again(run=run.clone(), page=page) };
    // A case says how a run ends.
    let case = match run.run.run.state {
        RunState::Finished | RunState::Failed if may(Role::Editor) => {
            view! { AsCase(id=run.run.run.id, rule=run.run.run.rule) }
        }
        _ => View::new(),
    };
    view! {
        (head)
        div(class="trace") {
            section(class="trace-part") { h2 { "When" } (when) }
            section(class="trace-part") { h2 { "If" } (condition) }
            section(class="trace-part") { h2 { "Then" } (then) (leftover) }
        }
        (again)
        (case)
    }
}

fn head(run: &RunDetail) -> View {
    let own = &run.run.run;
    let (face, created) = (run_face(own.state), own.created_at);
    let mut pairs = vec![
        ("State", view! { Badge(face=face) }),
        ("Began", view! { Moment(at=created) }),
    ];
    if let Some(end) = own.finished_at {
        let took = when::span(end.since(own.created_at));
        pairs.push(("Took", took.into()));
    }
    pairs.push(("Rule's version", format!("{}", own.version).into()));
    if let Some(reason) = own.reason.clone() {
        let name = if own.state == RunState::Waiting {
            "Waits for"
        } else {
            "Because"
        };
        pairs.push((name, reason.into()));
    }
    let said: View = run
        .document
        .as_ref()
        .map(|document| {
            let words = sentence(document);
            view! { p(class="sentence") { (words) } }
        })
        .into();
    view! { section(class="panel") { (said) Facts(pairs=pairs) } }
}

fn trigger(run: &RunDetail) -> View {
    let named = run.document.as_ref().and_then(|document| {
        document
            .triggers
            .iter()
            .find(|trigger| trigger.id == run.run.run.trigger)
    });
    let words = named.map_or_else(|| run.run.run.trigger.clone(), trigger_words);
    let event = match &run.started_by {
        Some(event) => event_view(event),
        None => view! { p(class="muted") { "The event is gone." } },
    };
    view! { div(class="step") { div(class="step-head") { Icon(glyph=Glyph::Zap, small=true) strong { (words) } } (event) } }
}

fn event_view(event: &Event) -> View {
    let (kind, source, at) = (event.kind.clone(), event.source.clone(), event.time);
    let data = value("The event's data", &event.data);
    let about: View = event
        .subject
        .as_ref()
        .and_then(|subject| subject.parse().ok())
        .map(|post| {
            let href = Route::Post(post).path();
            view! { " about " a(href=href) { "this post" } }
        })
        .into();
    let cause: View = event
        .cause
        .run
        .map(|run| {
            let href = Route::Run(run).path();
            view! { p { a(href=href) { "The run that caused it" } } }
        })
        .into();
    let own = Route::Event(event.id).path();
    view! {
        p(class="muted") { a(href=own) { code { (kind) } } " from " (source) ", " Moment(at=at) (about) }
        (cause)
        (data)
    }
}

fn condition(run: &RunDetail) -> View {
    let decision = &run.run.run.decision;
    let has_condition = run
        .document
        .as_ref()
        .is_none_or(|document| document.condition.is_some());
    if has_condition {
        let tree = tree(decision);
        return view! { div(class="step") { (tree) } };
    }
    let words = condition_line(None);
    view! { div(class="step") { p { Icon(glyph=Glyph::Check, small=true) " " (words) } } }
}

fn leftover(memos: &[Memo]) -> View {
    if memos.is_empty() {
        return View::new();
    }
    let rows: Vec<View> = memos
        .iter()
        .map(|memo| {
            let (path, error) = (memo.path.clone(), memo.error.clone().unwrap_or_default());
            let output = value("What came out", &memo.output);
            view! { li(class="step") { code { (path) } " " (error) (output) } }
        })
        .collect();
    view! { h3 { "Elsewhere" } ul(class="steps") { (rows) } }
}
