//! A rule's versions: who, why, what each changed, and the way back.
//!
//! Invariant: going back is asked for with what it would change in the live version.

use so_model::api::rule::{RestoreRule, RuleDetail, RuleVersionList, RuleVersionView};
use so_model::api::version::{RuleDifference, VersionState};
use so_model::id::RuleId;
use so_model::workspace::Role;
use sycamore::prelude::*;

use super::desk::said;
use super::despite::Despite;
use super::diff::{changes, diff};
use crate::act::Act;
use crate::app::App;
use crate::components::{Ago, Badge, Button, Dialog, Face, Glyph, Kind, TextField, Tone};
use crate::loaded::Loaded;
use crate::may::may;
use crate::pages::people::People;

/// What a version is to its rule.
fn face(state: VersionState) -> Face {
    let (tone, glyph, word) = match state {
        VersionState::Live => (Tone::Published, Glyph::CircleCheck, "Live"),
        VersionState::Former => (Tone::Neutral, Glyph::Clock, "Former"),
        VersionState::Canary => (Tone::Pending, Glyph::Split, "Canary"),
        VersionState::Tried => (Tone::Neutral, Glyph::CircleX, "Tried"),
    };
    Face { tone, glyph, word }
}

/// What all rows share.
#[derive(Clone, Copy)]
struct Room {
    id: RuleId,
    detail: Loaded<RuleDetail>,
    people: People,
    asking: Act,
    shown: Signal<Option<RuleDifference>>,
    restoring: Signal<Option<(i64, RuleDifference)>>,
    open: Signal<bool>,
    reason: Signal<String>,
    act: Act,
}

/// Every version, with the way back to it.
#[component(inline_props)]
pub fn Versions(id: RuleId, detail: Loaded<RuleDetail>) -> View {
    let app = App::here();
    let versions = Loaded::new(move || async move {
        let path = format!("/rules/{id}/versions");
        let list: RuleVersionList = app.client.get(&app.scoped(&path)).await?;
        Ok(list.items)
    });
    versions.follow(move || detail.value().map(|one| one.rule.version));
    // A canary comes and goes without another version being live.
    app.pulse.on(&["rule"], move || versions.reload());
    let room = Room {
        id,
        detail,
        people: People::new(),
        asking: Act::new(),
        shown: create_signal(None),
        restoring: create_signal(None),
        open: create_signal(false),
        reason: create_signal(String::new()),
        act: Act::new(),
    };
    let list = versions.view(move |list| {
        let rows: Vec<View> = list.into_iter().map(|one| room.row(app, one)).collect();
        view! { ul { (rows) } }
    });
    let dialog = room.dialog(app);
    view! { section(class="panel panel-rows") { h2 { "Versions" } (room.asking.notice(&[])) (list) } (dialog) }
}

impl Room {
    fn ask(
        self,
        app: App,
        from: Option<&str>,
        to: String,
        then: impl FnOnce(RuleDifference) + 'static,
    ) {
        let from = from.map(|from| format!("from={from}&")).unwrap_or_default();
        let path = app.scoped(&format!("/rules/{}/difference?{from}to={to}", self.id));
        let call = async move { app.client.get::<RuleDifference>(&path).await };
        self.asking.run(call, then);
    }

    fn row(self, app: App, one: RuleVersionView) -> View {
        let number = one.version;
        let (face, author) = (face(one.state), self.people.shown(one.author));
        let reason = match one.reason.as_str() {
            "" => View::new(),
            text => {
                let text = text.to_owned();
                view! { p(class="row-wrap") { (text) } }
            }
        };
        let forced: View = one
            .override_reason
            .map(|why| view! { p(class="row-wrap finding-warning") { "Published although a case failed: " (why) } })
            .into();
        let compare = move || {
            let to = number.to_string();
            self.ask(app, None, to, move |found| self.shown.set(Some(found)));
        };
        let restore = move || {
            self.ask(app, Some("live"), number.to_string(), move |found| {
                self.restoring.set(Some((number, found)));
                self.act.problem.set(None);
                self.open.set(true);
            });
        };
        let first = match number {
            1 => View::new(),
            _ => {
                view! { Button(label="What changed?", kind=Kind::Quiet, busy=self.asking.busy, on_press=compare) }
            }
        };
        let back = match one.state != VersionState::Live && may(Role::Admin) {
            true => {
                view! { Button(label="Restore", kind=Kind::Quiet, glyph=Glyph::Refresh, busy=self.asking.busy, on_press=restore) }
            }
            false => View::new(),
        };
        let shown = move || match self.shown.get_clone() {
            Some(found) if found.to == number.to_string() => difference(&found),
            _ => View::new(),
        };
        let (title, at) = (format!("Version {number}"), one.created_at);
        view! {
            li(class="decision") {
                div(class="decision-head") { span { (title) } Badge(face=face) span(class="muted") { (author) ", " Ago(at=at) } }
                (reason)
                (forced)
                div(class="form-actions") { (first) (back) }
                (shown)
            }
        }
    }

    fn restore(self, app: App, override_reason: Option<String>) {
        let Some((number, _)) = self.restoring.get_clone_untracked() else {
            return;
        };
        // The editor begins anew with the new version.
        if !app.router.may_replace() {
            return;
        }
        let body = RestoreRule {
            expected_version: untrack(|| self.detail.value()).map_or(0, |one| one.rule.version),
            reason: said(self.reason),
            override_reason,
        };
        let path = app.scoped(&format!("/rules/{}/versions/{number}/restore", self.id));
        let call = async move { app.client.post::<RuleDetail>(&path, &body).await };
        self.act.run(call, move |answer| {
            app.router.hold(None);
            self.open.set(false);
            self.reason.set(String::new());
            app.toasts.done(format!(
                "Version {number} is live again, as version {}",
                answer.rule.version
            ));
            self.detail.set(answer);
        });
    }

    fn dialog(self, app: App) -> View {
        let said = move || match self.restoring.get_clone() {
            Some((number, found)) => {
                let (text, list) = (
                    format!(
                        "Version {number} becomes the newest version. What is live now would change so:"
                    ),
                    difference(&found),
                );
                view! { p { (text) } (list) }
            }
            None => View::new(),
        };
        let foot = view! {
            Button(label="Cancel", on_press=move || self.open.set(false))
            Button(label="Restore it", kind=Kind::Primary, glyph=Glyph::Refresh, busy=self.act.busy, on_press=move || self.restore(app, None))
        };
        view! {
            Dialog(open=self.open, title="Restore an earlier version", foot=foot) {
                div(class="form") {
                    (said)
                    (self.act.notice(&[]))
                    Despite(act=self.act, on_publish=move |word| self.restore(app, Some(word)))
                    TextField(label="Why go back", value=self.reason, optional=true, hint="Kept with the version.")
                }
            }
        }
    }
}

/// Sentences first, the texts below, folded.
fn difference(found: &RuleDifference) -> View {
    let (list, lines) = (changes(&found.changes), diff(&found.lines));
    view! { (list) details(class="answer") { summary { "The texts" } (lines) } }
}
