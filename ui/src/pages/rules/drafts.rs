//! The draft of a rule, kept beside the live version until somebody publishes it.
//!
//! Invariant: a draft is shown with what it would change, and with what it missed, before it can be published; it takes
//! the place of nothing in the editor that is kept nowhere, unless that was asked for.

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
    /// Text and cases of the live version; a draft without cases of its own has these.
    live: (String, String),
    detail: Loaded<RuleDetail>,
    kept: Kept,
) -> View {
    let people = People::new();
    let (act, open) = (Act::new(), create_signal(false));
    let (replace, over, asked) = (create_signal(false), create_signal(false), Act::new());
    let reason = create_signal(String::new());
    let desk = Shelf {
        id,
        draft,
        cases,
        live: create_signal(live),
        detail,
        kept,
        people,
        act,
        open,
        replace,
        over,
        reason,
    };
    let shown = move || match kept.value().flatten() {
        Some(one) => desk.shown(one),
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
    let load = move || desk.load(App::here());
    let publish = move || desk.publish(App::here(), None);
    let refused = kept.refusal();
    view! {
        (refused)
        (shown)
        Confirm(open=replace, title="Replace what is in the editor?", text="Its text or its cases have changes that are saved nowhere. They are gone when the draft takes their place.", verb="Open the draft", act=asked, on_yes=load)
        Confirm(open=over, title="Publish what is not in the editor?", text="What is in the editor is not what the draft says, and is saved nowhere. It is gone when the draft is live.", verb="Publish the draft", act=asked, on_yes=publish)
        Confirm(open=open, title="Give the draft up?", text="Its text is gone. The live version stays as it is.", verb="Give it up", act=act, on_yes=give_up)
    }
}

#[derive(Clone, Copy)]
struct Shelf {
    id: RuleId,
    draft: Draft,
    cases: Signal<String>,
    live: Signal<(String, String)>,
    detail: Loaded<RuleDetail>,
    kept: Kept,
    people: People,
    act: Act,
    open: Signal<bool>,
    replace: Signal<bool>,
    over: Signal<bool>,
    reason: Signal<String>,
}

impl Shelf {
    fn publish(self, app: App, override_reason: Option<String>) {
        self.over.set(false);
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

    /// Text and cases of the draft.
    fn texts(self) -> Option<(String, String)> {
        let one = untrack(|| self.kept.value()).flatten()?;
        let cases = one.cases;
        let cases = cases.unwrap_or_else(|| self.live.with_untracked(|live| live.1.clone()));
        Some((one.text.text, cases))
    }

    /// The editor holds what is kept nowhere.
    fn is_unsaved(self) -> bool {
        let now = (
            self.draft.text.get_clone_untracked(),
            self.cases.get_clone_untracked(),
        );
        let draft = self.texts();
        self.live
            .with_untracked(|live| is_lost(&now, live, draft.as_ref()))
    }

    /// Puts the draft into the editor.
    fn load(self, app: App) {
        self.replace.set(false);
        if let Some((text, cases)) = self.texts() {
            self.draft.text.set(text);
            self.cases.set(cases);
            app.announce("The draft is in the editor");
        }
    }

    fn shown(self, one: RuleDraftView) -> View {
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
        let load = move || match self.is_unsaved() {
            true => self.replace.set(true),
            false => self.load(app),
        };
        let publish = move || match self.is_unsaved() {
            true => self.over.set(true),
            false => self.publish(app, None),
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
                    Button(label="Publish the draft", kind=Kind::Primary, glyph=Glyph::Send, busy=self.act.busy, off=is_stuck, on_press=publish)
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

/// Text and cases in the editor are neither those of the live version nor those of the draft.
fn is_lost(
    now: &(String, String),
    live: &(String, String),
    draft: Option<&(String, String)>,
) -> bool {
    now != live && Some(now) != draft
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_kept_nowhere_is_asked_about() {
        let of = |text: &str, cases: &str| (text.to_owned(), cases.to_owned());
        let (live, draft) = (of("live", "cases"), of("draft", "cases"));
        assert!(!is_lost(&live, &live, Some(&draft)));
        assert!(!is_lost(&draft, &live, Some(&draft)));
        assert!(is_lost(&of("typed", "cases"), &live, Some(&draft)));
        assert!(is_lost(&of("live", "typed"), &live, Some(&draft)));
        assert!(is_lost(&of("draft", "typed"), &live, Some(&draft)));
        assert!(is_lost(&draft, &live, None));
    }
}
