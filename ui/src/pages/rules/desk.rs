//! Where a rule is written: its text, its cases, and saving both.
//!
//! Invariant: saving names the version that was edited, so that nobody overwrites what they have not seen.

use so_model::api::rule::{CreateRule, PutRule, RuleCheck, RuleDetail};
use so_model::api::version::PutDraft;
use so_model::id::RuleId;
use so_model::problem::Problem;
use so_model::workspace::Role;
use sycamore::prelude::*;
use sycamore::reactive::on_cleanup;

use super::canary::{self, Canary};
use super::cases::Cases;
use super::despite::Despite;
use super::drafts::{Banner, Kept, generation, kept, put};
use super::editor::{Draft, Editor};
use super::shadow::{self, Shadow};
use super::simulate::Simulate;
use super::upgrade::Upgrade;
use crate::act::Act;
use crate::app::App;
use crate::components::{Button, Glyph, Kind, TextField};
use crate::frame::Page;
use crate::loaded::Loaded;
use crate::may::{gate, may};
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
    let draft = Draft::new(app, FIRST_TEXT.into());
    let is_changed = create_selector(move || draft.text.with(|now| now != FIRST_TEXT));
    guard(app, is_changed);
    let form = gate(
        Role::Admin,
        "Writing a rule",
        || view! { Fresh(draft=draft) },
    );
    view! {
        Page(title="New rule", back=Route::Rules) {
            div(class="content-pad stack rule-page") {
                p(class="muted") { "Or begin with one that is filled in: " a(href=Route::Blueprints.path()) { "the blueprints" } "." }
                (form)
            }
        }
    }
}

/// The editor of a rule to be, and its making.
#[component(inline_props)]
pub fn Fresh(draft: Draft) -> View {
    let (app, act) = (App::here(), Act::new());
    let send = move |override_reason: Option<String>| {
        let body = CreateRule {
            text: Some(draft.input()),
            override_reason,
            ..CreateRule::default()
        };
        let call = async move {
            let path = app.scoped("/rules");
            told(draft, app.client.post::<RuleDetail>(&path, &body).await)
        };
        act.run(call, move |detail| {
            app.router.hold(None);
            app.toasts.done(format!("{} is saved", detail.rule.name));
            app.router.replace(Route::Rule(detail.rule.id));
        });
    };
    view! {
        (headline(act))
        Despite(act=act, on_publish=move |reason| send(Some(reason)))
        section(class="panel") {
            Editor(draft=draft)
            div(class="form-actions") {
                Button(label="Save", kind=Kind::Primary, glyph=Glyph::Save, busy=act.busy, on_press=move || send(None))
            }
        }
    }
}

/// The texts of a rule that is there; those who may not change it read them.
#[component(inline_props)]
pub fn Desk(id: RuleId, start: RuleDetail, detail: Loaded<RuleDetail>) -> View {
    let app = App::here();
    let draft = Draft::new(app, start.yaml.clone());
    let cases = create_signal(start.cases.clone());
    let may_write = may(Role::Admin);
    let (own, yaml) = (start.clone(), start.yaml.clone());
    let kept = may_write.then(|| kept(id));
    let foot = match kept {
        Some(kept) => {
            view! { Save(id=id, draft=draft, cases=cases, start=own, detail=detail, kept=kept) }
        }
        None => gate(Role::Admin, "Changing a rule", View::new),
    };
    let banner: View = kept
        .map(|kept| {
            let live = (start.yaml.clone(), start.cases.clone());
            let (shadow, canary) = (shadow::watched(id), canary::watched(id));
            view! {
                Banner(id=id, draft=draft, cases=cases, live=live, detail=detail, kept=kept)
                Shadow(id=id, detail=detail, kept=kept, shadow=shadow, canary=canary)
                Canary(id=id, detail=detail, kept=kept, canary=canary, shadow=shadow)
            }
        })
        .into();
    let upgrade = match may_write {
        true => view! { Upgrade(id=id, yaml=yaml, draft=draft) },
        false => View::new(),
    };
    let document = start.document;
    view! {
        (banner)
        section(class="panel") { Editor(draft=draft, read_only=!may_write) (foot) }
        (upgrade)
        Cases(id=id, draft=draft, cases=cases, document=document)
        Simulate(id=id, draft=draft)
    }
}

#[component(inline_props)]
fn Save(
    id: RuleId,
    draft: Draft,
    cases: Signal<String>,
    start: RuleDetail,
    detail: Loaded<RuleDetail>,
    kept: Kept,
) -> View {
    let (app, act) = (App::here(), Act::new());
    let why = create_signal(String::new());
    let (text, own) = (start.yaml.clone(), start.cases.clone());
    let is_changed = create_selector(move || {
        draft.text.with(|now| *now != text) || cases.with(|now| *now != own)
    });
    let saved = start.cases.clone();
    let is_unkept = create_selector(move || {
        let is_kept = kept.value().flatten().is_some_and(|one| {
            let around = one.cases.as_ref().unwrap_or(&saved);
            draft.text.with(|now| *now == one.text.text) && cases.with(|now| now == around)
        });
        is_changed.get() && !is_kept
    });
    guard(app, is_unkept);
    let saved = start.cases.clone();
    let keep = move || {
        let now = cases.get_clone_untracked();
        let body = PutDraft {
            text: Some(draft.input()),
            cases: (now != saved).then_some(now),
            expected_generation: generation(kept),
            reason: said(why),
            ..PutDraft::default()
        };
        act.run(put(app, id, body), move |answer| {
            app.toasts
                .done("Kept as a draft; the live version decides on");
            kept.set(Some(answer));
        });
    };
    let saved = start.cases.clone();
    let send = move |override_reason: Option<String>| {
        let expected_version = untrack(|| detail.value()).map_or(0, |one| one.rule.version);
        let now = cases.get_clone_untracked();
        let body = PutRule {
            text: Some(draft.input()),
            expected_version,
            cases: (now != saved).then_some(now),
            reason: said(why),
            override_reason,
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
    let undo = move || {
        draft.text.set(start.yaml.clone());
        cases.set(start.cases.clone());
    };
    let unchanged = move || !is_changed.get();
    let state = move || match (is_changed.get(), is_unkept.get()) {
        (false, _) => "As saved",
        (true, true) => "Changed, not saved",
        (true, false) => "As in the draft",
    };
    let (plain, insist) = (send.clone(), send);
    view! {
        (headline(act))
        Despite(act=act, on_publish=move |reason| insist(Some(reason)))
        TextField(label="Why this change", value=why, optional=true, error=act.error("/reason"), hint="Kept with the version.")
        div(class="form-actions") {
            Button(label="Save a new version", kind=Kind::Primary, glyph=Glyph::Save, busy=act.busy, off=unchanged, on_press=move || plain(None))
            Button(label="Keep as a draft", glyph=Glyph::FileText, busy=act.busy, off=move || !is_unkept.get(), on_press=keep)
            Button(label="Undo the changes", kind=Kind::Quiet, off=unchanged, on_press=undo)
            span(class="muted") { (state()) }
        }
    }
}

/// A reason, if something was said.
pub fn said(reason: Signal<String>) -> Option<String> {
    let said = reason.with_untracked(|reason| reason.trim().to_owned());
    (!said.is_empty()).then_some(said)
}

/// Puts a refused save's errors at their lines.
pub fn told<T>(draft: Draft, answer: Result<T, Problem>) -> Result<T, Problem> {
    if let Err(problem) = &answer
        && problem.code != "rule.cases_invalid"
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

/// The refusal without the list of errors, which stand at their lines; mistakes in cases have no line here.
pub fn headline(act: Act) -> View {
    View::from_dynamic(move || match act.problem.get_clone() {
        Some(mut problem) => {
            if problem.code != "rule.cases_invalid" {
                problem.errors.clear();
            }
            view! { crate::components::ErrorNotice(problem=problem) }
        }
        None => View::new(),
    })
}

/// Asks before leaving while something is changed and not saved.
pub fn guard(app: App, is_changed: ReadSignal<bool>) {
    create_effect(move || {
        let question = "The rule has changes that are not saved. Go on without them?".to_owned();
        app.router.hold(is_changed.get().then_some(question));
    });
    on_cleanup(move || app.router.hold(None));
}
