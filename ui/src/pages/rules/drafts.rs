//! The draft of a rule, kept beside the live version until somebody publishes it.
//!
//! Invariant: a draft is shown with what it would change, and with what it missed, before it can be published.

use so_model::api::rule::RuleDetail;
use so_model::api::version::{PublishDraft, PutDraft, RuleDraftView};
use so_model::id::RuleId;
use so_model::problem::Problem;
use sycamore::prelude::*;

use super::desk::said;
use super::despite::Despite;
use super::diff::changes;
use super::editor::Draft;
use crate::act::Act;
use crate::app::App;
use crate::components::{Ago, Button, Confirm, Glyph, Kind, Notice, NoticeKind, TextField};
use crate::loaded::Loaded;
use crate::pages::people::People;

/// The draft, if there is one.
pub type Kept = Loaded<Option<RuleDraftView>>;

/// Asks for the draft of a rule.
pub fn kept(id: RuleId) -> Kept {
    let app = App::here();
    let kept = Loaded::new(move || async move {
        let path = app.scoped(&format!("/rules/{id}/draft"));
        match app.client.get::<RuleDraftView>(&path).await {
            Ok(found) => Ok(Some(found)),
            Err(problem) if problem.status == 404 => Ok(None),
            Err(problem) => Err(problem),
        }
    });
    app.pulse.on(&["rule"], move || kept.reload());
    kept
}

/// The generation that was seen; 0 without a draft.
pub fn generation(kept: Kept) -> i64 {
    untrack(|| kept.value())
        .flatten()
        .map_or(0, |one| one.generation)
}

/// Keeps a draft.
pub async fn put(app: App, id: RuleId, body: PutDraft) -> Result<RuleDraftView, Problem> {
    let path = app.scoped(&format!("/rules/{id}/draft"));
    app.client.put(&path, &body).await
}

/// The draft above the editor, with what can be done with it.
#[component(inline_props)]
pub fn Banner(
    id: RuleId,
    draft: Draft,
    cases: Signal<String>,
    /// The cases of the live version; a draft without its own has them.
    saved: String,
    detail: Loaded<RuleDetail>,
    kept: Kept,
) -> View {
    let people = People::new();
    let (act, open) = (Act::new(), create_signal(false));
    let reason = create_signal(String::new());
    let desk = Shelf {
        id,
        draft,
        cases,
        detail,
        kept,
        people,
        act,
        open,
        reason,
    };
    let shown = move || match kept.value().flatten() {
        Some(one) => desk.shown(one, saved.clone()),
        None => View::new(),
    };
    let give_up = move || {
        let app = App::here();
        let call = async move {
            app.client
                .delete(&app.scoped(&format!("/rules/{id}/draft")))
                .await
        };
        act.run(call, move |()| {
            open.set(false);
            app.toasts.done("The draft is given up");
            kept.set(None);
        });
    };
    view! {
        (shown)
        Confirm(open=open, title="Give the draft up?", text="Its text is gone. The live version stays as it is.", verb="Give it up", act=act, on_yes=give_up)
    }
}

#[derive(Clone, Copy)]
struct Shelf {
    id: RuleId,
    draft: Draft,
    cases: Signal<String>,
    detail: Loaded<RuleDetail>,
    kept: Kept,
    people: People,
    act: Act,
    open: Signal<bool>,
    reason: Signal<String>,
}

impl Shelf {
    fn publish(self, app: App, override_reason: Option<String>) {
        let id = self.id;
        let body = PublishDraft {
            expected_generation: generation(self.kept),
            reason: said(self.reason),
            override_reason,
        };
        let call = async move {
            let path = app.scoped(&format!("/rules/{id}/draft/publish"));
            app.client.post::<RuleDetail>(&path, &body).await
        };
        self.act.run(call, move |answer| {
            app.router.hold(None);
            app.toasts.done(format!(
                "The draft is live as version {}",
                answer.rule.version
            ));
            self.kept.set(None);
            self.detail.set(answer);
        });
    }

    /// Puts the draft on top of the version that came meanwhile.
    fn lift(self, app: App, one: &RuleDraftView) {
        let body = PutDraft {
            text: Some(one.text.clone()),
            cases: one.cases.clone(),
            base_version: Some(one.live_version),
            expected_generation: one.generation,
            ..PutDraft::default()
        };
        self.act.run(put(app, self.id, body), move |answer| {
            self.kept.set(Some(answer));
        });
    }

    fn shown(self, one: RuleDraftView, saved: String) -> View {
        let app = App::here();
        self.reason.set(one.reason.clone());
        let (author, at) = (self.people.shown(Some(one.author)), one.updated_at);
        let why = match one.reason.as_str() {
            "" => "no reason said".to_owned(),
            reason => reason.to_owned(),
        };
        let mistakes = match one.check.errors.len() {
            0 => View::new(),
            count => {
                let text =
                    format!("{count} mistakes keep it from going live; open it to see them.");
                view! { Notice(kind=NoticeKind::Warning, title="It is not a rule yet", text=text) }
            }
        };
        let differs = changes(&one.changes);
        let is_outdated = one.is_outdated;
        let outdated = self.outdated(app, &one);
        let (text, around) = (one.text.text.clone(), one.cases.clone().unwrap_or(saved));
        let (draft, cases) = (self.draft, self.cases);
        let load = move || {
            draft.text.set(text.clone());
            cases.set(around.clone());
            app.announce("The draft is in the editor");
        };
        let is_stuck = is_outdated || !one.check.errors.is_empty();
        view! {
            section(class="panel") {
                h2 { "Draft" }
                p { "By " (author) ", " Ago(at=at) ": " (why) }
                (mistakes)
                (outdated)
                h3 { "What it would change" }
                (differs)
                (self.act.notice(&[]))
                Despite(act=self.act, on_publish=move |word| self.publish(app, Some(word)))
                TextField(label="Why publish it", value=self.reason, hint="Kept with the version.")
                div(class="form-actions") {
                    Button(label="Publish the draft", kind=Kind::Primary, glyph=Glyph::Send, busy=self.act.busy, off=is_stuck, on_press=move || self.publish(app, None))
                    Button(label="Open it in the editor", glyph=Glyph::Pencil, on_press=load)
                    Button(label="Give it up", kind=Kind::Quiet, glyph=Glyph::Trash, on_press=move || self.open.set(true))
                }
            }
        }
    }

    fn outdated(self, app: App, one: &RuleDraftView) -> View {
        if !one.is_outdated {
            return View::new();
        }
        let text = format!(
            "It was made from version {}, and version {} is live. Publishing it as it is would undo what came meanwhile.",
            one.base_version, one.live_version
        );
        let (missed, label) = (
            changes(&one.missed),
            format!("Save it on top of version {}", one.live_version),
        );
        let own = one.clone();
        view! {
            Notice(kind=NoticeKind::Warning, title="Somebody published since", text=text)
            (missed)
            div(class="form-actions") { Button(label=label, busy=self.act.busy, on_press=move || self.lift(app, &own)) }
        }
    }
}
