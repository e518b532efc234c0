//! The list of rules, each with its sentence, its last run and its switch.
//!
//! Invariant: a switch shows what the server said, not what was wished.

use std::collections::HashMap;

use so_model::api::rule::{RuleDetail, RuleList, RuleQuery, RuleView, SwitchRule};
use so_model::id::RuleId;
use so_model::workspace::Role;
use sycamore::futures::spawn_local_scoped;
use sycamore::prelude::*;

use super::sentence::sentence;
use crate::act::Act;
use crate::app::App;
use crate::components::{
    Ago, Badge, EmptyState, Face, Glyph, Kind, LinkButton, Switch, Tone, run_face,
};
use crate::frame::Page;
use crate::may::may;
use crate::paged::{Paged, address};
use crate::routes::{Route, RunFilter};

/// Sentences need the documents, which come one by one; further rules do without.
const SENTENCES_MAX: usize = 60;

/// Sentences by rule and version.
type Sentences = HashMap<(RuleId, i64), String>;

/// The page.
#[component]
pub fn List() -> View {
    let app = App::here();
    let list = Paged::new(move |ask| async move {
        let query = RuleQuery {
            cursor: ask.cursor,
            limit: Some(ask.limit),
        };
        let page: RuleList = app
            .client
            .get(&app.scoped(&address("/rules", &query)))
            .await?;
        Ok((page.items, page.next_cursor))
    });
    app.pulse.on(&["rule", "run"], move || list.reload());
    let sentences = create_signal(Sentences::new());
    create_effect(move || {
        let wanted = list.items.with(|items| {
            items
                .iter()
                .map(|rule| (rule.id, rule.version))
                .take(SENTENCES_MAX)
                .collect::<Vec<_>>()
        });
        spawn_local_scoped(read_sentences(app, wanted, sentences));
    });
    let primary = match may(Role::Admin) {
        true => view! {
            LinkButton(href=Route::Scripts.path(), label="Scripts", glyph=Glyph::FileText)
            LinkButton(href=Route::Blueprints.path(), label="Blueprints", glyph=Glyph::Copy)
            LinkButton(href=Route::NewRule.path(), label="New rule", kind=Kind::Primary, glyph=Glyph::Plus)
        },
        false => view! {
            LinkButton(href=Route::Scripts.path(), label="Scripts", glyph=Glyph::FileText)
            LinkButton(href=Route::Blueprints.path(), label="Blueprints", glyph=Glyph::Copy)
        },
    };
    view! {
        Page(title="Rules", primary=primary) { (list.view(empty, move |rule| row(app, rule, list, sentences))) }
    }
}

async fn read_sentences(app: App, wanted: Vec<(RuleId, i64)>, sentences: Signal<Sentences>) {
    for (id, version) in wanted {
        if sentences.with_untracked(|known| known.contains_key(&(id, version))) {
            continue;
        }
        // A rule without its sentence is still a rule: a failure is left to the rule's own page.
        if let Ok(detail) = app
            .client
            .get::<RuleDetail>(&app.scoped(&format!("/rules/{id}")))
            .await
        {
            let words = sentence(&detail.document);
            sentences.update(|known| {
                known.insert((id, version), words);
            });
        }
    }
}

fn empty() -> View {
    if !may(Role::Admin) {
        return view! {
            EmptyState(glyph=Glyph::Workflow, title="No rules yet",
                text="A rule says when something happens, whether it matters, and what to do then. An admin of the workspace can write one.",
                link=(Route::runs().path(), "See what rules did".to_owned()))
        };
    }
    view! {
        EmptyState(glyph=Glyph::Workflow, title="No rules yet",
            text="A rule says when something happens, whether it matters, and what to do then. Every feature here is one.",
            action=(Route::NewRule.path(), "Write a rule".to_owned()), link=(Route::runs().path(), "See what rules did".to_owned()))
    }
}

fn row(app: App, rule: RuleView, list: Paged<RuleView>, sentences: Signal<Sentences>) -> View {
    let act = Act::new();
    let (id, key) = (rule.id, (rule.id, rule.version));
    let switch = move |wish: bool| {
        let body = SwitchRule {
            enabled: wish,
            override_reason: None,
        };
        let call = async move {
            app.client
                .patch::<RuleDetail>(&app.scoped(&format!("/rules/{id}")), &body)
                .await
        };
        act.run(call, move |detail| {
            let word = if detail.rule.is_enabled {
                "is on"
            } else {
                "is off"
            };
            app.announce(format!("{} {word}", detail.rule.name));
            list.reload();
        });
    };
    let said = create_selector(move || {
        sentences.with(|known| known.get(&key).cloned().unwrap_or_default())
    });
    let words = move || said.get_clone();
    let starter = if rule.starter.is_some() {
        view! { Badge(face=Face { tone: Tone::Neutral, glyph: Glyph::Zap, word: "Starter" }) }
    } else {
        View::new()
    };
    let problem: View = rule
        .problem
        .map(|text| view! { span(class="row-problem row-wrap") { (text) } })
        .into();
    let last = match rule.last_run {
        Some(run) => {
            let href = Route::Run(run.id).path();
            view! { a(href=href, class="row-run") { Badge(face=run_face(run.state)) Ago(at=run.created_at) } }
        }
        None => view! { span(class="muted") { "Never ran" } },
    };
    let (href, heard) = (Route::Rule(id).path(), format!("{} is on", rule.name));
    let switch = match may(Role::Admin) {
        true => {
            view! { Switch(label=heard, label_hidden=true, on=rule.is_enabled, busy=act.busy, on_change=switch) }
        }
        false => {
            let face = on_face(rule.is_enabled);
            view! { Badge(face=face) }
        }
    };
    view! {
        li {
            div(class="row") {
                span(class="row-main") {
                    a(class="row-title row-link", href=href) { (rule.name) }
                    span(class="row-note row-wrap") { (words) }
                    (problem)
                    (act.notice(&[]))
                }
                span(class="row-end") {
                    (starter)
                    (last)
                    (switch)
                }
            }
        }
    }
}

/// On or off, for those who may not switch it.
pub fn on_face(is_on: bool) -> Face {
    match is_on {
        true => Face {
            tone: Tone::Published,
            glyph: Glyph::Play,
            word: "On",
        },
        false => Face {
            tone: Tone::Neutral,
            glyph: Glyph::Pause,
            word: "Off",
        },
    }
}

/// The runs of one rule.
pub fn runs_of(rule: RuleId) -> String {
    Route::Runs(RunFilter {
        rule: Some(rule),
        state: None,
    })
    .path()
}
