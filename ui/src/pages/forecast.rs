//! The calendar as it would come: what goes out when, what stands in its way, and what nobody can know.
//!
//! Invariant: how sure an entry is stands beside it in a word, with what it hangs on; the page has one forecast made at a
//! time, because the server makes few for everybody.

use std::collections::BTreeMap;

use so_model::account::Account;
use so_model::forecast::{Entry, Forecast, How, Sureness};
use so_model::id::AccountId;
use so_model::problem::Problem;
use sycamore::prelude::*;
use sycamore::reactive::{NodeHandle, use_current_scope};

use crate::act::spawn;
use crate::app::App;
use crate::components::{
    Badge, Button, Callback, EmptyState, ErrorNotice, Face, Glyph, Kind, Moment, Notice,
    NoticeKind, Segment, SkeletonRows, Tone,
};
use crate::frame::Page;
use crate::loaded::Loaded;
use crate::pages::accounts;
use crate::routes::Route;

/// Length of a day's part of a local time: `2026-11-24`.
const DAY: usize = 10;

/// The forecast that is shown, and the making of the next one.
#[derive(Clone, Copy)]
struct Calendar {
    app: App,
    weeks: Signal<u32>,
    found: Signal<Option<Forecast>>,
    /// Why the last one was not made; the one before it stays.
    problem: Signal<Option<Problem>>,
    busy: Signal<bool>,
    /// Another is wanted, of what was chosen or changed since.
    wanted: Signal<bool>,
    scope: NodeHandle,
}

impl Calendar {
    fn new(app: App, weeks: Signal<u32>) -> Self {
        Self {
            app,
            weeks,
            found: create_signal(None),
            problem: create_signal(None),
            busy: create_signal(false),
            wanted: create_signal(false),
            scope: use_current_scope(),
        }
    }

    /// Has one made: now, or once after the one that is under way.
    fn ask(self) {
        self.wanted.set(true);
        if self.busy.replace(true) {
            return;
        }
        self.scope.run_in(|| {
            spawn(Box::pin(async move {
                while self.wanted.replace(false) {
                    self.make().await;
                }
                self.busy.set(false);
            }));
        });
    }

    async fn make(self) {
        let weeks = self.weeks.get_untracked();
        let path = self.app.scoped(&format!("/forecast?weeks={weeks}"));
        let answer = self.app.client.get::<Forecast>(&path).await;
        if self.weeks.get_untracked() != weeks {
            // Another span was chosen meanwhile, and is wanted.
            return;
        }
        match answer {
            Ok(found) => {
                self.problem.set(None);
                self.found.set(Some(found));
            }
            Err(problem) => self.problem.set(Some(problem)),
        }
    }

    fn view(self, ready: impl Fn(&Forecast) -> View + 'static) -> View {
        let refused = move || match self.problem.get_clone() {
            Some(problem) => {
                let old = match self.found.with_untracked(Option::is_some) {
                    true => {
                        view! { p(class="muted") { "The calendar below was made before that." } }
                    }
                    false => View::new(),
                };
                view! { ErrorNotice(problem=problem, retry=Callback::from(move || self.ask())) (old) }
            }
            None => View::new(),
        };
        let has_problem = create_selector(move || self.problem.with(Option::is_some));
        let shown = move || match self.found.get_clone() {
            Some(found) => ready(&found),
            None if has_problem.get() => View::new(),
            None => view! { SkeletonRows(count=6) },
        };
        view! { (refused) (shown) }
    }
}

/// The page.
#[component]
pub fn Ahead() -> View {
    let app = App::here();
    let weeks = create_signal(4_u32);
    let names = Loaded::new(move || accounts::all(app));
    let calendar = Calendar::new(app, weeks);
    create_effect(move || {
        weeks.track();
        untrack(|| calendar.ask());
    });
    // Not at each change of a post or a rule: publishing alone makes many of those, and so does a shadow that is compared.
    // For them there is the button.
    app.pulse.on(&["queue", "account"], move || calendar.ask());
    let choices = vec![
        (1, Glyph::CalendarDays, "A week"),
        (4, Glyph::CalendarDays, "4 weeks"),
        (13, Glyph::CalendarDays, "13 weeks"),
    ];
    let local = view! { Segment(label="How far ahead", value=weeks, choices=choices) };
    let body = calendar.view(move |found| {
        let accounts = names.value().unwrap_or_default();
        drawn(found, &accounts)
    });
    let again = move || calendar.ask();
    view! {
        Page(title="Forecast", local=local) {
            div(class="content-pad stack") {
                div(class="form-actions") { Button(label="Make it anew", kind=Kind::Quiet, glyph=Glyph::Refresh, busy=calendar.busy, on_press=again) }
                (body)
            }
        }
    }
}

fn drawn(found: &Forecast, accounts: &[Account]) -> View {
    let (until, zone) = (found.until, found.zone.clone());
    let cut: View = found
        .incomplete_from
        .map(|at| {
            view! {
                Notice(kind=NoticeKind::Warning, title="There is more than a forecast takes", text="Look at fewer weeks to see all of them.")
                p { "The calendar is not complete from " Moment(at=at) " on." }
            }
        })
        .into();
    let warnings = listed(
        "To look at",
        found.warnings.iter().map(|one| one.text.clone()).collect(),
    );
    let unknowns = listed(
        "What nobody can know",
        found
            .unknowns
            .iter()
            .map(|one| format!("{}: {}", one.what, one.why))
            .collect(),
    );
    let days = days(&found.entries, accounts);
    view! {
        p(class="muted") { "What would go out until " Moment(at=until) " if nobody changed anything. Nothing is sent. Times are in the zone " (zone) "." }
        (cut)
        (warnings)
        (days)
        (unknowns)
    }
}

fn listed(title: &'static str, lines: Vec<String>) -> View {
    if lines.is_empty() {
        return View::new();
    }
    let rows: Vec<View> = lines
        .into_iter()
        .map(|text| {
            let text = sentence(&text);
            view! { li { p(class="row-wrap") { (text) } } }
        })
        .collect();
    view! { section(class="panel") { h2 { (title) } ul(class="results") { (rows) } } }
}

/// A line of the server's, as a sentence begins.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

fn days(entries: &[Entry], accounts: &[Account]) -> View {
    if entries.is_empty() {
        return view! {
            EmptyState(glyph=Glyph::CalendarDays, title="Nothing would go out",
                text="Posts that have their time, hold a queue's slot, repeat, or are made by a rule's clock stand here.",
                action=(Route::NewPost.path(), "Write a post".to_owned()), link=(Route::Queues.path(), "Open the queues".to_owned()))
        };
    }
    let mut days: BTreeMap<&str, Vec<View>> = BTreeMap::new();
    for one in entries {
        let day = one.local.get(..DAY).unwrap_or(&one.local);
        days.entry(day).or_default().push(entry(one, accounts));
    }
    let days: Vec<View> = days
        .into_iter()
        .map(|(day, rows)| {
            let day = day.to_owned();
            view! { section(class="panel panel-rows") { h2 { (day) } ul { (rows) } } }
        })
        .collect();
    days.into()
}

fn entry(one: &Entry, accounts: &[Account]) -> View {
    let clock = one.local.get(DAY..).unwrap_or_default().trim().to_owned();
    let text = match one.text.as_str() {
        "" => "A post that is yet to be made".to_owned(),
        text => text.to_owned(),
    };
    let title = match one.post {
        Some(post) => {
            let href = Route::Post(post).path();
            view! { a(href=href) { (text) } }
        }
        None => view! { span { (text) } },
    };
    let face = sure(one.state);
    let risk = match one.at_risk {
        true => {
            view! { Badge(face=Face { tone: Tone::Partial, glyph: Glyph::TriangleAlert, word: "Token ends before" }) }
        }
        false => View::new(),
    };
    let reasons = one.reasons.join("; ");
    let (mut note, held) = (names(&one.accounts, accounts), names(&one.held, accounts));
    if !held.is_empty() {
        note = format!("{note}; waits for {held}");
    }
    let how = how(&one.how);
    view! {
        li(class="decision") {
            div(class="decision-head") { span(class="num") { (clock) } (title) span(class="push") { Badge(face=face) (risk) } }
            p(class="muted row-wrap") { (note) " \u{b7} " (how) }
            p(class="row-wrap") { (reasons) }
        }
    }
}

fn sure(state: Sureness) -> Face {
    let (tone, glyph, word) = match state {
        Sureness::Certain => (Tone::Scheduled, Glyph::CircleCheck, "Certain"),
        Sureness::IfApproved => (Tone::Pending, Glyph::Hourglass, "If approved"),
        Sureness::Unknown => (Tone::Review, Glyph::CircleDashed, "Unknown"),
    };
    Face { tone, glyph, word }
}

fn how(how: &How) -> String {
    match how {
        How::Scheduled => "somebody gave it its time".into(),
        How::QueueSlot { .. } => "holds a queue's slot".into(),
        How::Recurrence { .. } => "repeats by a calendar".into(),
        How::Evergreen { appearance, .. } => format!("repeats; appearance {appearance}"),
        How::Rule { .. } => "by a rule".into(),
    }
}

fn names(ids: &[AccountId], accounts: &[Account]) -> String {
    let name = |id: &AccountId| {
        accounts
            .iter()
            .find(|one| one.id == *id)
            .map_or("an account that is gone", |one| one.name.as_str())
    };
    ids.iter().map(name).collect::<Vec<_>>().join(", ")
}
