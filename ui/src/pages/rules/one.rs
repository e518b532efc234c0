//! One rule: its text, switch, button, versions, runs, and why it did not start.
//!
//! Invariant: saving names the version that was edited, so that nobody overwrites what they have not seen.

use so_model::api::rule::{
    PressRule, Pressed, PutRule, RuleCheck, RuleDetail, RuleInput, SwitchRule,
};
use so_model::id::RuleId;
use so_model::problem::Problem;
use sycamore::prelude::*;
use sycamore::reactive::on_cleanup;

use super::editor::{Draft, Editor};
use super::history::{Decisions, Versions};
use super::list::runs_of;
use super::why::{AskSpan, TryOut};
use crate::act::Act;
use crate::app::App;
use crate::components::{
    Badge, Button, Confirm, Face, Glyph, Kind, LinkButton, Notice, NoticeKind, Switch, Tone,
};
use crate::frame::{Page, page_title};
use crate::loaded::Loaded;
use crate::routes::Route;

/// A rule to begin with: switched off, and harmless.
const FIRST_TEXT: &str = "version: 1
name: A new rule
enabled: false
triggers:
  - id: button
    kind: manual
steps:
  - id: tell
    action: notify
    with:
      title: The button was pressed
";

/// A rule that is not there yet.
#[component]
pub fn New() -> View {
    let app = App::here();
    let (draft, act) = (Draft::new(app, FIRST_TEXT.into()), Act::new());
    guard(app, draft, FIRST_TEXT.into());
    let save = move || {
        let body = RuleInput {
            document: None,
            text: Some(draft.input()),
            rule: None,
        };
        let call = async move {
            told(
                draft,
                app.client
                    .post::<RuleDetail>(&app.scoped("/rules"), &body)
                    .await,
            )
        };
        act.run(call, move |detail| {
            app.toasts.done(format!("{} is saved", detail.rule.name));
            app.router.replace(Route::Rule(detail.rule.id));
        });
    };
    let primary = view! { Button(label="Save", kind=Kind::Primary, glyph=Glyph::Save, busy=act.busy, on_press=save) };
    view! {
        Page(title="New rule", back=Route::Rules, primary=primary) {
            div(class="content-pad stack rule-page") {
                (notice(act))
                section(class="panel") { Editor(draft=draft) }
            }
        }
    }
}

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
        Some(_) => {
            let text = untrack(|| detail.value())
                .map(|one| one.yaml)
                .unwrap_or_default();
            view! { Desk(id=id, text=text, detail=detail) }
        }
        None => detail.view(|_| View::new()),
    };
    let problem = move || match detail.value().and_then(|one| one.rule.problem) {
        Some(text) => {
            view! { Notice(kind=NoticeKind::Warning, title="The rule does not run", text=text) }
        }
        None => View::new(),
    };
    view! {
        Page(title=title, back=Route::Rules, primary=view! { (primary) }) {
            div(class="content-pad columns rule-page") {
                div(class="stack") { (act.notice(&[])) (problem) (desk) }
                div(class="stack") { TryOut(rule=id) AskSpan(rule=id) Decisions(id=id) Versions(id=id, detail=detail) Remove(id=id) }
            }
        }
    }
}

fn controls(app: App, one: &RuleDetail, detail: Loaded<RuleDetail>, act: Act) -> View {
    let (id, is_on) = (one.rule.id, one.rule.is_enabled);
    let path = format!("/rules/{id}");
    let switch = move |wish: bool| {
        let body = SwitchRule {
            enabled: wish,
            override_reason: None,
        };
        let path = path.clone();
        let call = async move {
            app.client
                .patch::<RuleDetail>(&app.scoped(&path), &body)
                .await
        };
        act.run(call, move |answer| detail.set(answer));
    };
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
    let button = if has_button {
        view! { Button(label="Run", glyph=Glyph::Play, busy=act.busy, on_press=run) }
    } else {
        View::new()
    };
    view! {
        (starter)
        span(class="muted num") { (version) }
        Switch(label="On", on=is_on, busy=act.busy, on_change=switch)
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
fn Desk(id: RuleId, text: String, detail: Loaded<RuleDetail>) -> View {
    let app = App::here();
    let act = Act::new();
    let draft = Draft::new(app, text.clone());
    guard(app, draft, text.clone());
    let own = text.clone();
    let is_changed = create_selector(move || draft.text.with(|now| *now != own));
    let save = move || {
        let expected_version = untrack(|| detail.value()).map_or(0, |one| one.rule.version);
        let body = PutRule {
            document: None,
            text: Some(draft.input()),
            expected_version,
            ..PutRule::default()
        };
        let call = async move {
            let path = app.scoped(&format!("/rules/{id}"));
            told(draft, app.client.put::<RuleDetail>(&path, &body).await)
        };
        act.run(call, move |answer| {
            app.router.hold(None);
            app.toasts
                .done(format!("Saved as version {}", answer.rule.version));
            detail.set(answer);
        });
    };
    let undo = move || draft.text.set(text.clone());
    let unchanged = move || !is_changed.get();
    let buttons = view! {
        Button(label="Save a new version", kind=Kind::Primary, glyph=Glyph::Save, busy=act.busy, off=unchanged, on_press=save)
        Button(label="Undo the changes", kind=Kind::Quiet, off=unchanged, on_press=undo)
    };
    let state = move || {
        if is_changed.get() {
            "Changed, not saved"
        } else {
            "As saved"
        }
    };
    view! {
        (notice(act))
        section(class="panel") {
            Editor(draft=draft)
            div(class="form-actions") { (buttons) span(class="muted") { (state()) } }
        }
    }
}

/// Puts a refused save's errors at their lines.
fn told(draft: Draft, answer: Result<RuleDetail, Problem>) -> Result<RuleDetail, Problem> {
    if let Err(problem) = &answer
        && !problem.errors.is_empty()
    {
        draft.show(&RuleCheck {
            is_valid: false,
            errors: problem.errors.clone(),
            warnings: Vec::new(),
            notes: Vec::new(),
            document: None,
            yaml: None,
        });
    }
    answer
}

/// The refusal without the list of errors, which stand at their lines.
fn notice(act: Act) -> View {
    View::from_dynamic(move || match act.problem.get_clone() {
        Some(mut problem) => {
            problem.errors.clear();
            view! { crate::components::ErrorNotice(problem=problem) }
        }
        None => View::new(),
    })
}

fn guard(app: App, draft: Draft, saved: String) {
    let is_changed = create_selector(move || draft.text.with(|now| *now != saved));
    create_effect(move || {
        let question = "The rule has changes that are not saved. Leave it?".to_owned();
        app.router.hold(is_changed.get().then_some(question));
    });
    on_cleanup(move || app.router.hold(None));
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
