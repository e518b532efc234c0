//! A run laid over its rule's document: each step with its tries, in the document's order, branches not taken too.
//!
//! Pure. Owns the walk that gives every step its JSON pointer. Invariant: every memo and publication of the run is found
//! under exactly one pointer of the picture, or is told as a leftover.

use std::collections::{BTreeSet, HashMap};

use so_model::api::run::{RunDetail, RunPublication};
use so_model::rule::{Condition, Step, StepBody};
use so_model::run::{ConditionTrace, Memo, StepOutcome};

use crate::pages::rules::{condition_words, step_title};

/// A step as it stands in the document, with what the run did there.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// Where it stands: `/steps/1/then/0`.
    pub pointer: String,
    /// Its stable name.
    pub id: String,
    /// What it does, in words.
    pub title: String,
    /// The author's comment.
    pub notes: String,
    /// Every try, in order.
    pub tries: Vec<Memo>,
    /// Publications it asked for.
    pub publications: Vec<RunPublication>,
    /// Ways out of it, in the document's order.
    pub branches: Vec<BranchDrawn>,
}

impl Drawn {
    /// How the last try went; none if the run never came here.
    pub fn outcome(&self) -> Option<StepOutcome> {
        self.tries.last().map(|memo| memo.outcome)
    }
}

/// One way out of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct BranchDrawn {
    /// "Then", "Else", "If title contains launch".
    pub label: String,
    /// Whether the run went this way; none if the step was not reached.
    pub taken: Option<bool>,
    /// The condition with the values seen, where the branch has one that was looked at.
    pub condition: Option<ConditionTrace>,
    /// Its steps.
    pub steps: Vec<Drawn>,
}

/// The whole picture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Picture {
    /// Steps of the document.
    pub steps: Vec<Drawn>,
    /// Tries at places the document does not have; shown so that nothing is hidden.
    pub leftover: Vec<Memo>,
}

/// Lays the run over its document.
pub fn picture(run: &RunDetail) -> Picture {
    let mut walk = Walk {
        memos: HashMap::new(),
        publications: &run.publications,
        met: BTreeSet::new(),
    };
    for memo in &run.memos {
        walk.memos.entry(memo.path.as_str()).or_default().push(memo);
    }
    let steps = run
        .document
        .as_ref()
        .map(|document| walk.steps("/steps", &document.steps))
        .unwrap_or_default();
    let leftover = run
        .memos
        .iter()
        .filter(|memo| !walk.met.contains(&memo.path))
        .cloned()
        .collect();
    Picture { steps, leftover }
}

struct Walk<'a> {
    memos: HashMap<&'a str, Vec<&'a Memo>>,
    publications: &'a [RunPublication],
    met: BTreeSet<String>,
}

impl Walk<'_> {
    fn steps(&mut self, pointer: &str, steps: &[Step]) -> Vec<Drawn> {
        let numbered = steps.iter().enumerate();
        numbered
            .map(|(place, step)| self.step(format!("{pointer}/{place}"), step))
            .collect()
    }

    fn step(&mut self, pointer: String, step: &Step) -> Drawn {
        self.met.insert(pointer.clone());
        let tries: Vec<Memo> = self
            .memos
            .get(pointer.as_str())
            .into_iter()
            .flatten()
            .map(|memo| (*memo).clone())
            .collect();
        let publications = self
            .publications
            .iter()
            .filter(|one| one.path == pointer)
            .cloned()
            .collect();
        let mut branches = self.branches(&pointer, step, &tries);
        if !step.on_error.is_empty() {
            let place = format!("{pointer}/on_error");
            // A branch or a loop fails by what is inside it; then only the steps that stood in tell.
            let stood_in = self.memos.contains_key(format!("{place}/0").as_str());
            let failed = tries
                .last()
                .map(|memo| stood_in || memo.outcome == StepOutcome::Failed);
            branches.push(self.branch("If it failed", &place, &step.on_error, failed));
        }
        Drawn {
            id: step.id.clone(),
            title: step_title(step),
            notes: step.notes.clone(),
            pointer,
            tries,
            publications,
            branches,
        }
    }

    fn branches(&mut self, pointer: &str, step: &Step, tries: &[Memo]) -> Vec<BranchDrawn> {
        // A branch that ran out of time has a second memo, and only the first one says where it went.
        let went = |memo: &&Memo| memo.output["branch"].is_string();
        let memo = tries.iter().rev().find(went).or(tries.last());
        // Where the run went, as the engine recorded it: `then`, `else`, `choose/1/then`, `otherwise`.
        let went = memo.and_then(|memo| memo.output["branch"].as_str().map(str::to_owned));
        let taken = |name: &str| went.as_ref().map(|went| went == name);
        let seen = memo.and_then(|memo| memo.condition.clone());
        match &step.body {
            StepBody::If(body) => {
                let mut then = self.branch(
                    "Then",
                    &format!("{pointer}/then"),
                    &body.then,
                    taken("then"),
                );
                then.condition = seen;
                let mut branches = vec![then];
                if !body.otherwise.is_empty() {
                    branches.push(self.branch(
                        "Else",
                        &format!("{pointer}/else"),
                        &body.otherwise,
                        taken("else"),
                    ));
                }
                branches
            }
            StepBody::Choose(body) => {
                let mut branches = Vec::new();
                for (place, way) in body.choose.iter().enumerate() {
                    let name = format!("choose/{place}/then");
                    let label = format!("If {}", condition_words(&way.condition));
                    let mut branch = self.branch(
                        &label,
                        &format!("{pointer}/{name}"),
                        &way.then,
                        taken(&name),
                    );
                    branch.condition = seen
                        .as_ref()
                        .and_then(|seen| at(seen, &format!("{pointer}/choose/{place}/if")));
                    branches.push(branch);
                }
                if !body.otherwise.is_empty() {
                    branches.push(self.branch(
                        "Otherwise",
                        &format!("{pointer}/otherwise"),
                        &body.otherwise,
                        taken("otherwise"),
                    ));
                }
                branches
            }
            StepBody::ForEach(body) => self.elements(pointer, &body.steps),
            StepBody::Parallel(body) => body
                .parallel
                .iter()
                .enumerate()
                .map(|(place, steps)| {
                    self.branch(
                        &format!("Way {}", place + 1),
                        &format!("{pointer}/parallel/{place}"),
                        steps,
                        None,
                    )
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// One branch for each element that was begun; the steps alone if none was.
    fn elements(&mut self, pointer: &str, steps: &[Step]) -> Vec<BranchDrawn> {
        let begun = |number: &usize| {
            let first = format!("{pointer}/each/{number}/0");
            self.memos.contains_key(first.as_str())
        };
        let count = (0..).take_while(begun).count();
        if count == 0 {
            return vec![self.branch("Each time", &format!("{pointer}/do"), steps, None)];
        }
        (0..count)
            .map(|number| {
                let label = format!("Element {}", number + 1);
                self.branch(
                    &label,
                    &format!("{pointer}/each/{number}"),
                    steps,
                    Some(true),
                )
            })
            .collect()
    }

    fn branch(
        &mut self,
        label: &str,
        pointer: &str,
        steps: &[Step],
        taken: Option<bool>,
    ) -> BranchDrawn {
        BranchDrawn {
            label: label.to_owned(),
            taken,
            condition: None,
            steps: self.steps(pointer, steps),
        }
    }
}

/// The node of a trace that stands at a pointer.
fn at(trace: &ConditionTrace, pointer: &str) -> Option<ConditionTrace> {
    if trace.path == pointer {
        return Some(trace.clone());
    }
    trace.parts.iter().find_map(|part| at(part, pointer))
}

/// The condition as words, for a run whose document is gone or has none.
pub fn condition_line(condition: Option<&Condition>) -> String {
    condition.map_or_else(|| "Always".into(), condition_words)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use so_model::time::Timestamp;

    use super::*;

    fn trace(path: &str, held: bool) -> Value {
        json!({"path": path, "held": held, "text": "x", "saw": 1})
    }

    fn memo(path: &str, attempt: i64, outcome: &str, more: Value) -> Memo {
        let mut memo = json!({"path": path, "step": "s", "attempt": attempt, "outcome": outcome, "started_at": Timestamp::default()});
        for (key, value) in more.as_object().unwrap() {
            memo[key] = value.clone();
        }
        serde_json::from_value(memo).unwrap()
    }

    fn run(memos: Vec<Memo>) -> RunDetail {
        let id = |kind: &str| format!("{kind}_00000000000070008000000000000001");
        let mut run: RunDetail = serde_json::from_value(json!({
            "id": so_model::id::RunId::derived(&["r"]), "workspace": so_model::id::WorkspaceId::derived(&["w"]),
            "rule": so_model::id::RuleId::derived(&["u"]), "version": 3, "event": so_model::id::EventId::derived(&["e"]),
            "trigger": "t", "state": "finished", "key": "", "decision": trace("/if", true), "created_at": Timestamp::default(),
            "rule_name": null, "event_kind": null, "event_subject": null, "started_by": null, "memos": [], "publications": [],
            "document": {"version": 1, "name": "n", "triggers": [{"id": "t", "kind": "manual"}], "steps": [
                {"id": "a", "action": "http.request"},
                {"id": "b", "if": {"field": "event.data.x", "op": "eq", "value": 1},
                 "then": [{"id": "c", "action": "notify"}], "else": [{"id": "d", "stop": {}}]},
                {"id": "e", "choose": [{"if": {"expr": "false"}, "then": [{"id": "f", "set": {"v": 1}}]},
                                       {"if": {"expr": "true"}, "then": [{"id": "g", "set": {"v": 2}}]}],
                 "otherwise": [{"id": "h", "stop": {}}]}
            ]}
        }))
        .unwrap_or_else(|error| panic!("{error} {}", id("run")));
        run.memos = memos;
        run
    }

    #[test]
    fn every_try_stands_at_its_own_pointer_in_the_order_of_the_document() {
        let picture = picture(&run(vec![
            memo("/steps/0", 1, "retrying", json!({})),
            memo("/steps/0", 2, "done", json!({})),
            memo(
                "/steps/1",
                1,
                "done",
                json!({"output": {"branch": "then"}, "condition": trace("/steps/1/if", true)}),
            ),
            memo("/steps/1/then/0", 1, "done", json!({})),
            memo(
                "/steps/2",
                1,
                "done",
                json!({"output": {"branch": "choose/1/then"}, "condition": {
                "path": "/steps/2/choose", "held": true, "text": "first", "parts": [trace("/steps/2/choose/0/if", false), trace("/steps/2/choose/1/if", true)]}}),
            ),
            memo("/steps/2/choose/1/then/0", 1, "done", json!({})),
        ]));
        assert_eq!(picture.leftover, []);
        let [first, second, third] = picture.steps.as_slice() else {
            panic!("three steps");
        };
        assert_eq!(
            (first.tries.len(), first.outcome()),
            (2, Some(StepOutcome::Done))
        );
        assert_eq!(second.branches[0].taken, Some(true));
        assert_eq!(
            second.branches[0].condition.as_ref().unwrap().path,
            "/steps/1/if"
        );
        assert_eq!(second.branches[0].steps[0].pointer, "/steps/1/then/0");
        assert_eq!(second.branches[1].taken, Some(false));
        assert_eq!(second.branches[1].steps[0].outcome(), None);
        let taken: Vec<_> = third.branches.iter().map(|one| one.taken).collect();
        assert_eq!(taken, [Some(false), Some(true), Some(false)]);
        assert_eq!(
            third.branches[0].condition.as_ref().unwrap().held,
            Some(false)
        );
        assert_eq!(
            third.branches[1].steps[0].outcome(),
            Some(StepOutcome::Done)
        );
    }

    #[test]
    fn each_element_of_a_loop_is_drawn_with_its_own_tries() {
        let mut run = run(vec![
            memo(
                "/steps/0",
                1,
                "waiting",
                json!({"output": {"items": [1, 2]}}),
            ),
            memo("/steps/0/each/0/0", 1, "failed", json!({})),
            memo("/steps/0/each/0/0/on_error/0", 1, "done", json!({})),
            memo("/steps/0/each/1/0", 1, "done", json!({})),
        ]);
        run.document = serde_json::from_value(json!({
            "version": 1, "name": "n", "triggers": [], "steps": [{"id": "l", "for_each": {"items": [1, 2]}, "do": [
                {"id": "a", "action": "notify", "on_error": [{"id": "b", "set": {"x": 1}}]}]}]}))
        .unwrap();
        let picture = picture(&run);
        assert_eq!(picture.leftover, []);
        let elements = &picture.steps[0].branches;
        assert_eq!(elements.len(), 2);
        let mended = &elements[0].steps[0];
        assert_eq!(mended.outcome(), Some(StepOutcome::Failed));
        assert_eq!(mended.branches[0].taken, Some(true));
        assert_eq!(elements[1].steps[0].branches[0].taken, Some(false));
    }

    #[test]
    fn a_step_that_was_not_reached_leaves_its_branches_open() {
        let picture = picture(&run(vec![memo("/steps/0", 1, "failed", json!({}))]));
        assert_eq!(picture.steps[1].outcome(), None);
        assert_eq!(picture.steps[1].branches[0].taken, None);
    }

    #[test]
    fn a_try_outside_the_document_is_told_not_hidden() {
        let picture = picture(&run(vec![memo("/steps/9", 1, "done", json!({}))]));
        assert_eq!(picture.leftover.len(), 1);
    }
}
