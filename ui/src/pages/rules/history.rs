//! A rule's past: why it did not start.
//!
//! Invariant: "why not" names the first condition that did not hold, with the value that was seen.

use so_model::api::rule::{DecisionList, DecisionQuery, DecisionView};
use so_model::id::RuleId;
use so_model::run::ConditionTrace;
use sycamore::prelude::*;

use super::why::AskEvent;
use crate::app::App;
use crate::components::{Ago, Badge, verdict_face};
use crate::loaded::Loaded;
use crate::paged::address;
use crate::pages::runs::saw_words;

/// Decisions that are shown.
const SHOWN: u32 = 20;

/// Why the rule did not start lately.
#[component(inline_props)]
pub fn Decisions(id: RuleId) -> View {
    let app = App::here();
    let decisions = Loaded::new(move || async move {
        let query = DecisionQuery { limit: Some(SHOWN) };
        let path = address(&format!("/rules/{id}/decisions"), &query);
        let list: DecisionList = app.client.get(&app.scoped(&path)).await?;
        Ok(list.items)
    });
    app.pulse
        .on(&["rule", "run", "event", "feed", "post"], move || {
            decisions.reload()
        });
    view! {
        section(class="panel panel-rows") {
            h2 { "Why it did not start" }
            (decisions.view(|list| rows(&list)))
        }
    }
}

fn rows(list: &[DecisionView]) -> View {
    if list.is_empty() {
        return view! { p(class="muted panel-pad") { "Nothing lately that it could have started on and did not." } };
    }
    let row = |one: &DecisionView| {
        let face = verdict_face(one.decision.verdict);
        let kind = one
            .event_kind
            .clone()
            .unwrap_or_else(|| "An event that is gone".into());
        let why = one
            .decision
            .trace
            .as_ref()
            .and_then(first_false)
            .unwrap_or_else(|| one.decision.reason.clone());
        let (at, rule, event) = (one.at, one.decision.rule, one.event);
        view! {
            li(class="decision") {
                div(class="decision-head") { Badge(face=face) code { (kind) } span(class="muted push") { Ago(at=at) } }
                p(class="row-wrap") { (why) }
                AskEvent(rule=rule, event=event)
            }
        }
    };
    let rows: Vec<View> = list.iter().map(row).collect();
    view! { ul { (rows) } }
}

/// The first leaf that did not hold: its words with the value it saw.
pub fn first_false(trace: &ConditionTrace) -> Option<String> {
    if trace.held == Some(true) {
        return None;
    }
    let inside = trace.parts.iter().find_map(first_false);
    if inside.is_some() || !trace.parts.is_empty() && trace.held.is_none() {
        return inside;
    }
    if let Some(error) = &trace.error {
        return Some(format!("{}: {error}", trace.text));
    }
    trace.held.map(|_| match saw_words(&trace.saw) {
        saw if saw.is_empty() => format!("Not so: {}", trace.text),
        saw => format!("Not so: {} (it saw {saw})", trace.text),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn leaf(held: Option<bool>, saw: Value) -> ConditionTrace {
        ConditionTrace {
            path: "/if/all/1".into(),
            held,
            saw,
            text: "title contains launch".into(),
            error: None,
            parts: Vec::new(),
        }
    }

    #[test]
    fn why_not_names_the_first_condition_that_failed_with_what_it_saw() {
        let all = ConditionTrace {
            path: "/if".into(),
            held: Some(false),
            saw: Value::Null,
            text: "all of".into(),
            error: None,
            parts: vec![
                leaf(Some(true), json!("x")),
                leaf(Some(false), json!("Weekly notes")),
                leaf(None, Value::Null),
            ],
        };
        assert_eq!(
            first_false(&all).unwrap(),
            "Not so: title contains launch (it saw \u{201c}Weekly notes\u{201d})"
        );
        assert_eq!(first_false(&leaf(Some(true), Value::Null)), None);
        assert_eq!(first_false(&leaf(None, Value::Null)), None);
    }
}
