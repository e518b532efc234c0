//! A draft tried beside the live version: what it would have done on what really happens.
//!
//! Invariant: counts say how much was compared, so that no difference is not taken for nothing looked at.

use std::ops::RangeInclusive;

use so_model::api::rule::RuleDetail;
use so_model::api::version::{
    PromoteCandidate, RuleShadowView, ShadowDifferenceList, ShadowDifferenceQuery, StartShadow,
};
use so_model::id::RuleId;
use so_model::shadow::{ShadowCounts, ShadowDifference, ShadowOutcome};
use so_model::time::Timestamp;
use sycamore::prelude::*;

use super::canary;
use super::desk::said;
use super::despite::Despite;
use super::diff::changes;
use super::drafts::{Kept, generation};
use super::marks::sentence_case;
use super::whole::{refused, whole};
use crate::act::Act;
use crate::app::App;
use crate::components::{
    Ago, Badge, Button, Face, Facts, Glyph, Kind, Notice, NoticeKind, TextField, Tone,
};
use crate::loaded::Loaded;
use crate::paged::address;
use crate::pages::people::People;
use crate::routes::Route;

/// Differences that are shown.
const SHOWN: u32 = 20;
/// Days that a candidate may wait for itself to go live; the server takes no more.
const DAYS: RangeInclusive<i64> = 1..=90;
/// Where the server says what is wrong with them.
const DAYS_AT: &str = "/promote_after_equal_days";

/// What the panel works with.
#[derive(Clone, Copy)]
struct Trial {
    id: RuleId,
    detail: Loaded<RuleDetail>,
    kept: Kept,
    shadow: Watched,
    differences: Loaded<Vec<ShadowDifference>>,
    people: People,
    act: Act,
    reason: Signal<String>,
    days: Signal<String>,
}

/// The shadow of a rule, if there is one.
pub type Watched = Loaded<Option<RuleShadowView>>;

/// What the server knows of a rule's shadow.
pub fn watched(id: RuleId) -> Watched {
    let app = App::here();
    Loaded::new(move || async move {
        let path = app.scoped(&format!("/rules/{id}/shadow"));
        match app.client.get::<RuleShadowView>(&path).await {
            Ok(found) => Ok(Some(found)),
            Err(problem) if problem.status == 404 => Ok(None),
            Err(problem) => Err(problem),
        }
    })
}

/// The shadow of a rule: begun from its draft, watched, promoted or ended. None is begun beside a canary.
#[component(inline_props)]
pub fn Shadow(
    id: RuleId,
    detail: Loaded<RuleDetail>,
    kept: Kept,
    shadow: Watched,
    canary: canary::Watched,
) -> View {
    let app = App::here();
    let differences = Loaded::new(move || async move {
        if untrack(|| shadow.value()).flatten().is_none() {
            return Ok(Vec::new());
        }
        let query = ShadowDifferenceQuery {
            cursor: None,
            limit: Some(SHOWN),
        };
        let path = address(&format!("/rules/{id}/shadow/differences"), &query);
        let list: ShadowDifferenceList = app.client.get(&app.scoped(&path)).await?;
        Ok(list.items)
    });
    differences.follow(move || Some(shadow.value()));
    app.pulse.on(&["rule", "event"], move || shadow.reload());
    let trial = Trial {
        id,
        detail,
        kept,
        shadow,
        differences,
        people: People::new(),
        act: Act::new(),
        reason: create_signal(String::new()),
        days: create_signal(String::new()),
    };
    let has_draft = create_selector(move || {
        let other = canary.value().flatten();
        kept.value().flatten().is_some() && other.is_none_or(|one| one.problem.is_some())
    });
    // Drawn anew only for another shadow: each event changes the counts, and must not take the cursor from a field.
    let began = create_selector(move || shadow.value().map(|one| one.map(|one| one.started_at)));
    let shown = move || match began.get() {
        None => View::new(),
        Some(Some(_)) => untrack(|| shadow.value())
            .flatten()
            .map(|one| trial.running(one))
            .into(),
        Some(None) if has_draft.get() => trial.begin(),
        Some(None) => View::new(),
    };
    let refused = shadow.refusal();
    view! { (refused) (shown) }
}

impl Trial {
    fn begin(self) -> View {
        let app = App::here();
        let press = move || {
            let days = match self.days.with_untracked(|text| whole(text, DAYS, DAYS_AT)) {
                Ok(days) => days,
                Err(wrong) => {
                    let title = "The draft was not put into the shadow";
                    return self.act.refuse(refused(title, vec![wrong]));
                }
            };
            let body = StartShadow {
                expected_generation: generation(self.kept),
                // The draft's own; the reason that is asked for here is one for promoting.
                reason: None,
                promote_after_equal_days: days,
            };
            let path = app.scoped(&format!("/rules/{}/shadow", self.id));
            let call = async move { app.client.post::<RuleShadowView>(&path, &body).await };
            self.act.run(call, move |one| {
                app.toasts
                    .done("The draft is compared with the live version from now on");
                self.shadow.set(Some(one));
            });
        };
        view! {
            section(class="panel") {
                h2 { "Try the draft in the shadow" }
                p(class="muted") { "It is compared with the live version on what really happens, and does nothing." }
                (self.act.notice(&[DAYS_AT]))
                TextField(label="Days without a difference after which it goes live", value=self.days, optional=true, error=self.act.error(DAYS_AT), hint="1 to 90; without it somebody promotes it.")
                div(class="form-actions") { Button(label="Begin to compare", glyph=Glyph::Play, busy=self.act.busy, on_press=press) }
            }
        }
    }

    /// Promotes the shadow that was seen, and no other that took its place meanwhile.
    fn promote(self, app: App, seen: Timestamp, override_reason: Option<String>) {
        // The editor begins anew with the new version.
        if !app.router.may_replace() {
            return;
        }
        let body = PromoteCandidate {
            started_at: Some(seen),
            reason: said(self.reason),
            override_reason,
        };
        let path = app.scoped(&format!("/rules/{}/shadow/promote", self.id));
        let call = async move { app.client.post::<RuleDetail>(&path, &body).await };
        self.act.run(call, move |answer| {
            app.router.hold(None);
            app.toasts
                .done(format!("It is live as version {}", answer.rule.version));
            self.forget();
            self.detail.set(answer);
        });
    }

    fn end(self, app: App) {
        let path = app.scoped(&format!("/rules/{}/shadow", self.id));
        let call = async move { app.client.delete(&path).await };
        self.act.run(call, move |()| {
            app.toasts.done("It is compared no longer");
            self.forget();
        });
    }

    /// There is no shadow any more, and what was typed about it is not about the next one.
    fn forget(self) {
        self.reason.set(String::new());
        self.days.set(String::new());
        self.shadow.set(None);
    }

    fn running(self, one: RuleShadowView) -> View {
        let app = App::here();
        let (author, at) = (self.people.shown(Some(one.author)), one.started_at);
        let stuck = create_selector(move || self.shadow.value().flatten()?.problem);
        let problem = move || match stuck.get_clone() {
            Some(text) => {
                let text = sentence_case(&text);
                view! { Notice(kind=NoticeKind::Warning, title="It is compared no further", text=text) }
            }
            None => View::new(),
        };
        let found = create_selector(move || self.shadow.value().flatten().map(|one| one.counts));
        let counts = move || View::from(found.get().map(counts));
        let by_itself = match one.promote_after_equal_days {
            Some(days) => format!("It goes live by itself after {days} days without a difference."),
            None => "It goes live when somebody promotes it.".into(),
        };
        let changed = changes(&one.changes);
        let list = move || {
            let rows: Vec<View> = self
                .differences
                .value()
                .unwrap_or_default()
                .iter()
                .map(difference)
                .collect();
            View::from(rows)
        };
        view! {
            section(class="panel") {
                h2 { "In the shadow" }
                p { "By " (author) ", " Ago(at=at) ": " (one.reason) }
                (problem)
                p(class="muted") { (by_itself) }
                (counts)
                details(class="answer") { summary { "What it would change in the rule" } (changed) }
                ul(class="results") { (list) }
                (self.act.notice(&["/reason"]))
                Despite(act=self.act, on_publish=move |word| self.promote(app, at, Some(word)))
                TextField(label="Why promote it", value=self.reason, optional=true, error=self.act.error("/reason"), hint="What was said when it began stands without it.")
                div(class="form-actions") {
                    Button(label="Promote", kind=Kind::Primary, glyph=Glyph::Send, busy=self.act.busy, on_press=move || self.promote(app, at, None))
                    Button(label="Stop", glyph=Glyph::X, busy=self.act.busy, on_press=move || self.end(app))
                }
            }
        }
    }
}

fn counts(counts: ShadowCounts) -> View {
    let pairs = vec![
        ("The same", counts.same.to_string().into()),
        ("Only the live version", counts.only_live.to_string().into()),
        ("Only the draft", counts.only_candidate.to_string().into()),
        ("Both, differently", counts.differs.to_string().into()),
        ("Cannot be said", counts.unknown.to_string().into()),
    ];
    view! { Facts(pairs=pairs) }
}

fn difference(one: &ShadowDifference) -> View {
    let (tone, glyph, word) = match one.outcome {
        ShadowOutcome::Same => (Tone::Published, Glyph::Check, "The same"),
        ShadowOutcome::OnlyLive => (Tone::Partial, Glyph::X, "Only live"),
        ShadowOutcome::OnlyCandidate => (Tone::Partial, Glyph::Plus, "Only the draft"),
        ShadowOutcome::EffectsDiffer => (Tone::Partial, Glyph::Split, "Differently"),
        ShadowOutcome::CannotSay => (Tone::Neutral, Glyph::CircleDashed, "Cannot say"),
    };
    let face = Face { tone, glyph, word };
    let what = one.what.clone();
    let what = match one.event {
        Some(event) => {
            let href = Route::Event(event).path();
            view! { a(href=href) { (what) } }
        }
        None => view! { span { (what) } },
    };
    let (at, because, path) = (one.at, one.because.clone(), one.path.clone());
    view! { li { div(class="decision-head") { Badge(face=face) (what) span(class="muted") { Ago(at=at) } } p(class="row-wrap") { (because) " " code(class="muted") { (path) } } } }
}
