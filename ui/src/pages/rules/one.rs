//! One rule: its desk, switch, button, versions, runs, and why it did not start.
//!
//! Invariant: the switch shows what the server said, and a refused switch says why.

use so_model::api::rule::{PressRule, Pressed, RuleDetail, SwitchRule};
use so_model::id::RuleId;
use so_model::workspace::Role;
use sycamore::prelude::*;

use super::desk::Desk;
use super::despite::Despite;
use super::history::Decisions;
use super::list::{on_face, runs_of};
use super::versions::Versions;
use super::ways::Ways;
use super::why::{AskSpan, TryOut};
use crate::act::Act;
use crate::app::App;
use crate::components::{
    Badge, Button, Confirm, Face, Glyph, Kind, LinkButton, Notice, NoticeKind, Switch, Tone,
};
use crate::frame::{Page, page_title};
use crate::loaded::Loaded;
use crate::may::may;
use crate::routes::Route;

/// A rule with its history.
#[component(inline_props)]
pub fn One(id: RuleId) -> View {
    let app = App::here();
    let detail = Loaded::new(move || async move {
        app.client
            .get::<RuleDetail>(&app.scoped(&format!("/rules/{id}")))
            .await
    });
    let act = Act::new();
    let title = move || page_title(detail.value().map(|one| one.rule.name), "Rule");
    let primary = move || match detail.value() {
        Some(one) => controls(app, &one, detail, act),
        None => View::new(),
    };
    // Drawn anew only for another version: the text under the cursor is never replaced by a switch or a run.
    let version = create_selector(move || detail.value().map(|one| one.rule.version));
    let desk = move || match version.get() {
        Some(_) => untrack(|| detail.value())
            .map(|one| view! { Desk(id=id, start=one, detail=detail) })
            .into(),
        None => detail.view(|_| View::new()),
    };
    let problem = move || match detail.value().and_then(|one| one.rule.problem) {
        Some(text) => {
            view! { Notice(kind=NoticeKind::Warning, title="The rule does not run", text=text) }
        }
        None => View::new(),
    };
    let insist = move |reason: String| switch(app, id, true, Some(reason), detail, act);
    let remove = match may(Role::Admin) {
        true => view! { Remove(id=id) },
        false => View::new(),
    };
    view! {
        Page(title=title, back=Route::Rules, primary=view! { (primary) }) {
            div(class="content-pad columns rule-page") {
                div(class="stack") { (act.notice(&[])) Despite(act=act, on_publish=insist) (problem) (desk) }
                div(class="stack") { TryOut(rule=id) AskSpan(rule=id) Decisions(id=id) Versions(id=id, detail=detail) Ways(id=id) (remove) }
            }
        }
    }
}

/// Switches the rule; `override_reason` is an owner's word although a case fails.
fn switch(
    app: App,
    id: RuleId,
    enabled: bool,
    override_reason: Option<String>,
    detail: Loaded<RuleDetail>,
    act: Act,
) {
    let body = SwitchRule {
        enabled,
        override_reason,
    };
    let call = async move {
        app.client
            .patch::<RuleDetail>(&app.scoped(&format!("/rules/{id}")), &body)
            .await
    };
    act.run(call, move |answer| detail.set(answer));
}

fn controls(app: App, one: &RuleDetail, detail: Loaded<RuleDetail>, act: Act) -> View {
    let (id, is_on) = (one.rule.id, one.rule.is_enabled);
    let run = move || {
        let body = PressRule::default();
        let call = async move {
            app.client
                .post::<Pressed>(&app.scoped(&format!("/rules/{id}/run")), &body)
                .await
        };
        act.run(call, move |pressed| went(app, &pressed));
    };
    let starter = if one.rule.starter.is_some() {
        view! { Badge(face=Face { tone: Tone::Neutral, glyph: Glyph::Zap, word: "Starter" }) }
    } else {
        View::new()
    };
    let version = format!("v{}", one.rule.version);
    let has_button = one
        .document
        .triggers
        .iter()
        .any(|trigger| trigger.kind.starts_with("manual"));
    let button = if has_button && may(Role::Editor) {
        view! { Button(label="Run", glyph=Glyph::Play, busy=act.busy, on_press=run) }
    } else {
        View::new()
    };
    let on = match may(Role::Admin) {
        true => {
            view! { Switch(label="On", on=is_on, busy=act.busy, on_change=move |wish| switch(app, id, wish, None, detail, act)) }
        }
        false => {
            let face = on_face(is_on);
            view! { Badge(face=face) }
        }
    };
    view! {
        (starter)
        span(class="muted num") { (version) }
        (on)
        LinkButton(href=runs_of(id), label="Runs", glyph=Glyph::Activity)
        (button)
    }
}

/// Goes to the run, or says why there is none.
fn went(app: App, pressed: &Pressed) {
    if let Some(run) = pressed.runs.first() {
        app.router.go(Route::Run(*run));
        return;
    }
    let why = pressed
        .decisions
        .first()
        .map(|one| one.decision.reason.clone());
    app.toasts
        .failed(why.unwrap_or_else(|| "Nothing was started".into()));
}

#[component(inline_props)]
fn Remove(id: RuleId) -> View {
    let app = App::here();
    let (open, act) = (create_signal(false), Act::new());
    let yes = move || {
        let call = async move {
            app.client
                .delete(&app.scoped(&format!("/rules/{id}")))
                .await
        };
        act.run(call, move |()| {
            open.set(false);
            app.toasts.done("The rule is deleted");
            app.router.replace(Route::Rules);
        });
    };
    view! {
        section(class="panel") {
            h2 { "Delete" }
            p(class="muted") { "Switching a rule off keeps it. Runs that were made stay in the history." }
            div(class="form-actions") { Button(label="Delete the rule", kind=Kind::Danger, glyph=Glyph::Trash, on_press=move || open.set(true)) }
            Confirm(open=open, title="Delete this rule?", text="It starts nothing from then on, and its versions are gone.", verb="Delete", act=act, on_yes=yes)
        }
    }
}
