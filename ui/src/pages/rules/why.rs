//! Why a rule started or not, and what it would do: the answers, drawn plainly.
//!
//! Owns the drawing of clauses and effects. Invariant: the clause that settled the matter is marked, and nothing here
//! changes anything.

use so_model::api::dry_run::{DryRun, DryRunRequest};
use so_model::api::event::{EventList, EventQuery};
use so_model::api::rule::{RuleList, RuleQuery, RuleView};
use so_model::id::{EventId, PostId, RuleId};
use so_model::why::{Clause, Why, WhyPost, WhySpan};
use so_model::workspace::Role;
use sycamore::prelude::*;

use crate::act::Act;
use crate::app::App;
use crate::components::{Ago, Button, Choice, Glyph, Icon, Kind, Moment, SelectField};
use crate::loaded::Loaded;
use crate::may::gate;
use crate::paged::address;

/// Events that a dry run offers.
const EVENTS_SHOWN: u32 = 50;
/// Rules that a post or an event offers to be asked about.
const RULES_SHOWN: u32 = 200;

/// A button that asks why a rule did or did not start on an event.
#[component(inline_props)]
pub fn AskEvent(rule: RuleId, event: EventId) -> View {
    let app = App::here();
    let (act, answer) = (Act::new(), create_signal(None::<Why>));
    let ask = move || {
        let call = async move {
            let path = format!("/events/{event}/why?rule={rule}");
            app.client.get::<Why>(&app.scoped(&path)).await
        };
        act.run(call, move |why| answer.set(Some(why)));
    };
    let shown = move || answer.get_clone().as_ref().map_or_else(View::new, why_view);
    view! {
        (act.notice(&[]))
        Button(label="Why?", kind=Kind::Quiet, busy=act.busy, on_press=ask)
        (shown)
    }
}

/// One answer: its sentence and every clause.
pub fn why_view(why: &Why) -> View {
    let (text, list) = (why.text.clone(), clauses(&why.clauses));
    view! { p { strong { (text) } } (list) }
}

/// Clauses as a list, the parts within.
pub fn clauses(list: &[Clause]) -> View {
    if list.is_empty() {
        return View::new();
    }
    let rows: Vec<View> = list.iter().map(clause).collect();
    view! { ul(class="rows") { (rows) } }
}

fn clause(one: &Clause) -> View {
    let (glyph, word) = match one.held {
        Some(true) => (Glyph::Check, "holds"),
        Some(false) => (Glyph::X, "does not hold"),
        None => (Glyph::History, "not known"),
    };
    let text = match &one.error {
        Some(error) => format!("{}: {error}", one.text),
        None => one.text.clone(),
    };
    let line = if one.is_first {
        view! { strong { (text) } }
    } else {
        view! { span { (text) } }
    };
    let (path, parts) = (one.path.clone(), clauses(&one.parts));
    view! {
        li {
            p(class="row-wrap") { Icon(glyph=glyph, small=true) " " span(class="visually-hidden") { (word) ": " } (line) " " code(class="muted") { (path) } }
            (parts)
        }
    }
}

/// Why the rule did not start since yesterday.
#[component(inline_props)]
pub fn AskSpan(rule: RuleId) -> View {
    let app = App::here();
    let (act, answer) = (Act::new(), create_signal(None::<WhySpan>));
    let ask = move || {
        let call = async move {
            let path = format!("/rules/{rule}/why");
            app.client.get::<WhySpan>(&app.scoped(&path)).await
        };
        act.run(call, move |span| answer.set(Some(span)));
    };
    let shown = move || {
        answer
            .get_clone()
            .as_ref()
            .map_or_else(View::new, span_view)
    };
    view! {
        section(class="panel") {
            h2 { "The last 24 hours" }
            (act.notice(&[]))
            Button(label="Why did it not start?", busy=act.busy, on_press=ask)
            (shown)
        }
    }
}

fn span_view(span: &WhySpan) -> View {
    let text = span.text.clone();
    let lines: Vec<View> = span
        .events
        .iter()
        .map(|line| {
            let (kind, text, at) = (line.kind.clone(), line.text.clone(), line.at);
            view! { li { p(class="row-wrap") { code { (kind) } " " span(class="muted") { Ago(at=at) } ": " (text) } } }
        })
        .collect();
    let schedules: Vec<View> = span
        .schedules
        .iter()
        .map(|schedule| {
            let text = schedule.text.clone();
            view! { p(class="muted") { (text) } }
        })
        .collect();
    view! { p { strong { (text) } } (schedules) ul(class="rows") { (lines) } }
}

/// What a rule is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// What it made of a post.
    Post(PostId),
    /// What it made of an event; any rule, also one that was no candidate.
    Event(EventId),
}

/// Asks what a rule that one chooses made of a post or an event.
#[component(inline_props)]
pub fn Ask(about: About) -> View {
    let app = App::here();
    let (act, answer) = (Act::new(), create_signal(None::<(String, Vec<Why>)>));
    let chosen = create_signal(String::new());
    let rules = Loaded::new(move || async move {
        let query = RuleQuery {
            limit: Some(RULES_SHOWN),
            ..RuleQuery::default()
        };
        let list: RuleList = app
            .client
            .get(&app.scoped(&address("/rules", &query)))
            .await?;
        Ok(list.items)
    });
    let ask = move || {
        let rule = chosen.get_clone_untracked();
        let call = async move {
            match about {
                About::Post(post) => {
                    let path = app.scoped(&format!("/posts/{post}/why?rule={rule}"));
                    let why = app.client.get::<WhyPost>(&path).await?;
                    Ok((why.text, why.events))
                }
                About::Event(event) => {
                    let path = app.scoped(&format!("/events/{event}/why?rule={rule}"));
                    let why = app.client.get::<Why>(&path).await?;
                    Ok((String::new(), vec![why]))
                }
            }
        };
        act.run(call, move |why| answer.set(Some(why)));
    };
    let field = rules.view(move |rules| {
        let choices = rule_choices(&rules);
        view! { SelectField(label="Rule", value=chosen, choices=choices) }
    });
    let shown = move || {
        answer.get_clone().map_or_else(View::new, |(text, list)| {
            let each: Vec<View> = list.iter().map(why_view).collect();
            view! { p { strong { (text) } } (each) }
        })
    };
    let title = match about {
        About::Post(_) => "Why did a rule act, or not?",
        About::Event(_) => "Why did a rule start, or not?",
    };
    let is_unchosen = move || chosen.with(String::is_empty);
    view! {
        section(class="panel") {
            h2 { (title) }
            (field)
            (act.notice(&[]))
            Button(label="Why?", busy=act.busy, off=is_unchosen, on_press=ask)
            (shown)
        }
    }
}

fn rule_choices(rules: &[RuleView]) -> Vec<Choice> {
    let mut choices = vec![Choice::new("", "Choose a rule")];
    choices.extend(
        rules
            .iter()
            .map(|rule| Choice::new(rule.id.to_string(), rule.name.clone())),
    );
    choices
}

/// Tries a rule on an event, without doing anything.
#[component(inline_props)]
pub fn TryOut(rule: RuleId) -> View {
    let app = App::here();
    let (act, answer) = (Act::new(), create_signal(None::<DryRun>));
    let chosen = create_signal(String::new());
    let events = Loaded::new(move || async move {
        let query = EventQuery {
            limit: Some(EVENTS_SHOWN),
            ..EventQuery::default()
        };
        let list: EventList = app
            .client
            .get(&app.scoped(&address("/events", &query)))
            .await?;
        Ok(list.items)
    });
    let press = move || {
        let body = DryRunRequest {
            rule: Some(rule),
            event: chosen.get_clone().parse().ok(),
            ..DryRunRequest::default()
        };
        let call = async move {
            app.client
                .post::<DryRun>(&app.scoped("/dry-runs"), &body)
                .await
        };
        act.run(call, move |plan| answer.set(Some(plan)));
    };
    let field = events.view(move |events| {
        let mut choices = vec![Choice::new("", "A sample of its trigger")];
        choices.extend(events.iter().map(|event| {
            let subject = event.subject.clone().unwrap_or_default();
            let words = format!("{} {subject} {}", event.kind, event.time);
            Choice::new(event.id.to_string(), words)
        }));
        view! { SelectField(label="Event", value=chosen, choices=choices) }
    });
    let shown = move || {
        answer
            .get_clone()
            .as_ref()
            .map_or_else(View::new, plan_view)
    };
    let form = gate(Role::Editor, "A dry run", || {
        view! {
            (field)
            (act.notice(&[]))
            Button(label="Dry run", glyph=Glyph::Play, busy=act.busy, on_press=press)
            (shown)
        }
    });
    view! {
        section(class="panel") {
            h2 { "Dry run" }
            p(class="muted") { "Tells what the saved rule would do. Nothing is done, and nobody is called." }
            (form)
        }
    }
}

/// A plan: its sentence, every effect, and the clauses.
pub fn plan_view(plan: &DryRun) -> View {
    let text = plan.text.clone();
    let effects: Vec<View> = plan
        .effects
        .iter()
        .map(|effect| {
            let (text, step, at) = (effect.text.clone(), effect.step.clone(), effect.at);
            view! { li { p(class="row-wrap") { code { (step) } " " (text) " " span(class="muted") { Moment(at=at) } } } }
        })
        .collect();
    let clauses = clauses(&plan.clauses);
    view! { p { strong { (text) } } ul(class="rows") { (effects) } (clauses) }
}
