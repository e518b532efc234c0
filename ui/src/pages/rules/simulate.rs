//! What a rule as it stands in the editor would have done about recorded events, beside what was done.
//!
//! Invariant: nothing is done; what history does not hold is told as that.

use so_model::api::forecast::ForecastDraft;
use so_model::api::simulation::SimulationRequest;
use so_model::id::RuleId;
use so_model::simulation::{Simulation, StartDifference, StartDiffers};
use so_model::time::Timestamp;
use so_model::workspace::Role;
use sycamore::prelude::*;

use super::editor::Draft;
use crate::act::Act;
use crate::app::App;
use crate::components::{
    Badge, Button, Choice, Face, Facts, Glyph, Moment, Notice, NoticeKind, SelectField, Tone,
};
use crate::may::gate;
use crate::routes::Route;
use crate::when;

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// The range, the button and the answer.
#[component(inline_props)]
pub fn Simulate(id: RuleId, draft: Draft) -> View {
    let form = gate(
        Role::Editor,
        "A simulation",
        move || view! { Form(id=id, draft=draft) },
    );
    view! {
        section(class="panel") {
            h2 { "Over history" }
            p(class="muted") { "What the text above would have done about recorded events, beside what was done. Nothing is done." }
            (form)
        }
    }
}

#[component(inline_props)]
fn Form(id: RuleId, draft: Draft) -> View {
    let (app, act) = (App::here(), Act::new());
    let days = create_signal("30".to_owned());
    let answer = create_signal(None::<Simulation>);
    let press = move || {
        let span = days.with_untracked(|days| days.parse::<i64>().unwrap_or(30));
        let from = Timestamp::from_micros(when::now().micros() - span * DAY_MICROS);
        let body = SimulationRequest {
            from,
            until: None,
            kinds: Vec::new(),
            drafts: vec![ForecastDraft {
                rule: Some(id),
                text: Some(draft.input()),
                ..ForecastDraft::default()
            }],
            without: Vec::new(),
        };
        let call = async move {
            app.client
                .post::<Simulation>(&app.scoped("/simulations"), &body)
                .await
        };
        act.run(call, move |found| {
            app.announce("The simulation is done");
            answer.set(Some(found));
        });
    };
    let choices = vec![
        Choice::new("1", "The last day"),
        Choice::new("7", "The last 7 days"),
        Choice::new("30", "The last 30 days"),
        Choice::new("365", "The last year"),
    ];
    let shown = move || {
        answer
            .get_clone()
            .as_ref()
            .map_or_else(View::new, |found| drawn(found, id))
    };
    view! {
        SelectField(label="Range", value=days, choices=choices)
        (act.notice(&[]))
        div(class="form-actions") { Button(label="Simulate", glyph=Glyph::Play, busy=act.busy, on_press=press) }
        (shown)
    }
}

fn drawn(found: &Simulation, id: RuleId) -> View {
    let own = found.rules.iter().find(|one| one.rule == id);
    let facts: View = own
        .map(|one| {
            let refused: u64 = one.refused.iter().map(|one| one.count).sum();
            let number = |count: u64| View::from(count.to_string());
            let pairs = vec![
                ("Events it listens to", number(one.candidates)),
                ("It would start", number(one.started)),
                ("It did start", number(one.started_really)),
                ("It would refuse", number(refused)),
                ("Cannot be said", number(one.cannot_say)),
            ];
            view! { Facts(pairs=pairs) }
        })
        .into();
    let (events, same) = (found.events, found.same);
    let words = match found.differences.len() {
        0 => format!("{events} events were played; nothing differs, {same} starts are the same."),
        _ => format!("{events} events were played; {same} starts are the same, and these differ:"),
    };
    let rows: Vec<View> = found.differences.iter().map(difference).collect();
    let more = match found.differences_more {
        0 => View::new(),
        count => {
            let text = format!("{count} more differences are not listed.");
            view! { p(class="muted") { (text) } }
        }
    };
    let cut: View = found
        .incomplete_from
        .map(|at| {
            view! {
                Notice(kind=NoticeKind::Warning, title="There are more events than one simulation takes")
                p { "Nothing was played from " Moment(at=at) " on." }
            }
        })
        .into();
    let unknowns: Vec<View> = found
        .unknowns
        .iter()
        .map(|one| {
            let (what, text) = (
                one.what.clone(),
                format!("{} ({} times)", one.text, one.count),
            );
            view! { li { p(class="row-wrap") { code { (what) } " " (text) } } }
        })
        .collect();
    let unknowns = match unknowns.is_empty() {
        true => View::new(),
        false => view! { h3 { "What history does not hold" } ul(class="results") { (unknowns) } },
    };
    view! { (cut) (facts) p { strong { (words) } } ul(class="results") { (rows) } (more) (unknowns) }
}

fn difference(one: &StartDifference) -> View {
    let (tone, glyph, word) = match one.what {
        StartDiffers::OnlySimulated => (Tone::Partial, Glyph::Plus, "Would start"),
        StartDiffers::OnlyRecorded => (Tone::Partial, Glyph::X, "Would not start"),
        StartDiffers::Otherwise => (Tone::Partial, Glyph::Split, "Otherwise"),
        StartDiffers::CannotSay => (Tone::Neutral, Glyph::CircleDashed, "Cannot say"),
    };
    let face = Face { tone, glyph, word };
    let (event, kind) = (Route::Event(one.event).path(), one.event_kind.clone());
    let run: View = one
        .run
        .map(|run| {
            let href = Route::Run(run).path();
            view! { a(href=href) { "the run" } }
        })
        .into();
    let (rule, at, text) = (one.rule_name.clone(), one.at, one.text.clone());
    view! {
        li {
            div(class="decision-head") { Badge(face=face) span { (rule) } a(href=event) { (kind) } (run) span(class="muted") { Moment(at=at) } }
            p(class="row-wrap") { (text) }
        }
    }
}
