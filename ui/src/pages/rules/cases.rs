//! The cases beside a rule: written, tried, and what of the rule they go through.
//!
//! Invariant: what is tried is what stands in the editors, and a result says when it is of an earlier text.

use so_model::api::rule::{CatalogueView, RuleCoverage, TestRule};
use so_model::case::{CaseReport, CaseResult, Coverage};
use so_model::id::RuleId;
use so_model::rule::{Condition, RuleDocument};
use so_model::workspace::Role;
use sycamore::prelude::*;

use super::editor::Draft;
use super::join::{case_of, with_case};
use super::sentence::condition_words;
use crate::act::Act;
use crate::app::App;
use crate::components::{Badge, Button, CodeEditor, Face, Glyph, Kind, Tone};
use crate::may::{gate, may};

const PASSED: Face = Face {
    tone: Tone::Published,
    glyph: Glyph::Check,
    word: "Passed",
};
const FAILED: Face = Face {
    tone: Tone::Failed,
    glyph: Glyph::X,
    word: "Failed",
};

/// What came of the cases, and of which texts.
#[derive(Clone, PartialEq)]
struct Tried {
    report: CaseReport,
    rule: String,
    cases: String,
}

/// The editor of the cases, their results and the coverage.
#[component(inline_props)]
pub fn Cases(id: RuleId, draft: Draft, cases: Signal<String>, document: RuleDocument) -> View {
    let own = document.clone();
    let editor = if may(Role::Admin) {
        view! { CaseEditor(id=id, draft=draft, cases=cases, document=own) }
    } else {
        view! {
            CodeEditor(label="Cases beside the rule", value=cases, read_only=true)
            (gate(Role::Admin, "Trying and writing cases", View::new))
        }
    };
    view! {
        section(class="panel cases") {
            h2 { "Cases" }
            p(class="muted") { "What the rule does about an event, written down. A version whose cases fail does not go live." }
            (editor)
            Covered(id=id, document=document)
        }
    }
}

#[component(inline_props)]
fn CaseEditor(id: RuleId, draft: Draft, cases: Signal<String>, document: RuleDocument) -> View {
    let app = App::here();
    let (act, adding) = (Act::new(), Act::new());
    let tried = create_signal(None::<Tried>);
    let run = move || {
        let (rule, own) = (
            draft.text.get_clone_untracked(),
            cases.get_clone_untracked(),
        );
        let body = TestRule {
            text: Some(draft.input()),
            cases: Some(own.clone()),
            ..TestRule::default()
        };
        let call = async move {
            app.client
                .post::<CaseReport>(&app.scoped(&format!("/rules/{id}/test")), &body)
                .await
        };
        act.run(call, move |report| {
            app.announce(told(&report));
            tried.set(Some(Tried {
                report,
                rule,
                cases: own,
            }));
        });
    };
    let trigger = document
        .triggers
        .first()
        .map(|trigger| trigger.kind.clone())
        .unwrap_or_default();
    let add = move || {
        let trigger = trigger.clone();
        let call = async move { app.client.get::<CatalogueView>("/catalogue").await };
        adding.run(call, move |catalogue| {
            let fresh = case_of(&catalogue, &trigger);
            let joined = cases.with_untracked(|own| with_case(own, &fresh));
            match joined {
                Some(joined) => {
                    cases.set(joined);
                    app.announce("A case is added at the top of the cases");
                }
                None => app.toasts.failed(
                    "The cases are not written as a list under the word cases; add one by hand",
                ),
            }
        });
    };
    let is_old = create_selector(move || {
        tried.get_clone().is_some_and(|one| {
            draft.text.with(|text| *text != one.rule) || cases.with(|own| *own != one.cases)
        })
    });
    let old = move || match is_old.get() {
        true => view! { p(class="muted") { "These are of the text before your latest change." } },
        false => View::new(),
    };
    let results = move || {
        tried
            .get_clone()
            .as_ref()
            .map_or_else(View::new, |one| results(&one.report))
    };
    view! {
        CodeEditor(label="Cases beside the rule", value=cases, hint="YAML: a list under the word cases. It is saved together with the rule.")
        (act.notice(&[]))
        (adding.notice(&[]))
        div(class="form-actions") {
            Button(label="Run the cases", glyph=Glyph::Play, busy=act.busy, on_press=run)
            Button(label="Add a case", kind=Kind::Quiet, glyph=Glyph::Plus, busy=adding.busy, on_press=add)
        }
        (old)
        (results)
    }
}

/// "3 of 4 cases come out as they say."
fn told(report: &CaseReport) -> String {
    let all = report.results.len();
    let passed = report.results.iter().filter(|one| one.passed).count();
    match all {
        0 => "There are no cases.".into(),
        1 if passed == 1 => "The one case comes out as it says.".into(),
        1 => "The one case comes out differently.".into(),
        _ => format!("{passed} of {all} cases come out as they say."),
    }
}

fn results(report: &CaseReport) -> View {
    let rows: Vec<View> = report.results.iter().map(result).collect();
    let words = told(report);
    view! { p { strong { (words) } } ul(class="results") { (rows) } }
}

fn result(one: &CaseResult) -> View {
    let face = if one.passed { PASSED } else { FAILED };
    let name = one.name.clone();
    let problem: View = one
        .problem
        .clone()
        .map(|problem| view! { p(class="row-wrap") { (problem) } })
        .into();
    view! { li { div(class="decision-head") { Badge(face=face) span { (name) } } (problem) } }
}

#[component(inline_props)]
fn Covered(id: RuleId, document: RuleDocument) -> View {
    let app = App::here();
    let (act, answer) = (Act::new(), create_signal(None::<RuleCoverage>));
    let press = move || {
        let call = async move {
            app.client
                .get::<RuleCoverage>(&app.scoped(&format!("/rules/{id}/coverage")))
                .await
        };
        act.run(call, move |found| answer.set(Some(found)));
    };
    let whole = serde_json::to_value(&document).unwrap_or_default();
    let shown = move || {
        answer
            .get_clone()
            .as_ref()
            .map_or_else(View::new, |found| covered(found, &whole))
    };
    view! {
        (act.notice(&[]))
        div(class="form-actions") { Button(label="Show what is covered", kind=Kind::Quiet, glyph=Glyph::RowsCompact, busy=act.busy, on_press=press) }
        (shown)
    }
}

/// One clause or branch, by cases and live.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    what: String,
    path: String,
    cases: String,
    live: String,
    is_bare: bool,
}

fn covered(found: &RuleCoverage, document: &serde_json::Value) -> View {
    let lines = lines(&found.cases, &found.production, document);
    if lines.is_empty() {
        return view! { p(class="muted") { "The rule has no condition and no branches." } };
    }
    let bare = lines.iter().filter(|line| line.is_bare).count();
    let words = match bare {
        0 => "The cases go through every clause both ways and through every branch.".into(),
        _ => format!(
            "{bare} of {} clauses and branches are not gone through by the cases.",
            lines.len()
        ),
    };
    let counted = format!(
        "Live: version {}, its latest {} runs and {} decisions.",
        found.version, found.runs, found.decisions
    );
    let rows: Vec<View> = lines
        .into_iter()
        .map(|line| {
            let mark = if line.is_bare {
                view! { Badge(face=Face { tone: Tone::Partial, glyph: Glyph::CircleDashed, word: "Not covered" }) }
            } else {
                view! { Badge(face=Face { tone: Tone::Published, glyph: Glyph::Check, word: "Covered" }) }
            };
            view! {
                li {
                    div(class="decision-head") { (mark) span { (line.what) } code(class="muted") { (line.path) } }
                    p(class="muted") { "Cases: " (line.cases) ". Live: " (line.live) "." }
                }
            }
        })
        .collect();
    view! { p { strong { (words) } } p(class="muted") { (counted) } ul(class="results") { (rows) } }
}

fn lines(cases: &Coverage, live: &Coverage, document: &serde_json::Value) -> Vec<Line> {
    let clauses = cases.clauses.iter().map(|clause| {
        let (held, failed) = live
            .clauses
            .iter()
            .find(|one| one.path == clause.path)
            .map_or((0, 0), |one| (one.held, one.failed));
        let words = document
            .pointer(&clause.path)
            .and_then(|part| serde_json::from_value::<Condition>(part.clone()).ok());
        Line {
            what: words.map_or_else(|| "A clause".into(), |words| condition_words(&words)),
            path: clause.path.clone(),
            cases: format!("held {}, did not {}", clause.held, clause.failed),
            live: format!("held {held}, did not {failed}"),
            is_bare: clause.held == 0 || clause.failed == 0,
        }
    });
    let branches = cases.branches.iter().map(|branch| {
        let taken = live
            .branches
            .iter()
            .find(|one| one.path == branch.path)
            .map_or(0, |one| one.taken);
        Line {
            what: "A branch".into(),
            path: branch.path.clone(),
            cases: format!("taken {}", branch.taken),
            live: format!("taken {taken}"),
            is_bare: branch.taken == 0,
        }
    });
    clauses.chain(branches).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use so_model::case::{BranchCount, ClauseCount};

    use super::*;

    #[test]
    fn a_clause_is_covered_only_if_it_held_and_did_not_hold() {
        let coverage = |held, failed, taken| Coverage {
            clauses: vec![ClauseCount {
                path: "/if".into(),
                held,
                failed,
            }],
            branches: vec![BranchCount {
                path: "/steps/0/then".into(),
                taken,
            }],
        };
        let document = json!({"if": {"field": "event.data.n", "op": "gt", "value": 3}});
        let found = lines(&coverage(2, 0, 1), &coverage(7, 1, 0), &document);
        assert_eq!(found[0].what, "n is more than 3");
        assert_eq!(
            (found[0].is_bare, found[0].live.as_str()),
            (true, "held 7, did not 1")
        );
        assert!(!found[1].is_bare);
    }

    #[test]
    fn the_sum_counts_what_came_out_as_it_says() {
        let result = |passed| CaseResult {
            name: "n".into(),
            passed,
            problem: None,
        };
        let report = |results| CaseReport {
            results,
            ..CaseReport::default()
        };
        assert_eq!(
            told(&report(vec![result(true), result(false)])),
            "1 of 2 cases come out as they say."
        );
        assert_eq!(told(&report(vec![])), "There are no cases.");
    }
}
