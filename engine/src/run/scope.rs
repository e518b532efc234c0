//! What a place in the steps may read: variables, outputs, the element of a loop.
//!
//! Owns the order in which they are seen: that of the document. Invariant: a way of a `parallel`, or an element
//! beside others, sees what came before and what is its own, never its neighbours; so a run reads the same
//! values whichever of them was quicker.

use serde_json::{Map, Value, json};
use so_model::{
    rule::{Step, StepBody},
    run::StepOutcome,
};

use super::walk::{Memos, culprit_of, taken};

/// What a place sees.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Variables by name.
    pub vars: Map<String, Value>,
    /// `{ "output": … }` or `{ "error": … }` by step id.
    pub steps: Map<String, Value>,
    /// The element of the innermost loop around the place.
    pub item: Option<Value>,
}

/// What the step at a place sees; `place` may go on below the step: `/steps/0/with`.
pub(super) fn seen_at(steps: &[Step], memos: &Memos, place: &str) -> Seen {
    let mut gather = Gather {
        memos,
        seen: Seen::default(),
    };
    gather.up_to(steps, "/steps", place);
    gather.seen
}

struct Gather<'m> {
    memos: &'m Memos,
    seen: Seen,
}

impl Gather<'_> {
    fn up_to(&mut self, steps: &[Step], base: &str, place: &str) {
        for (index, step) in steps.iter().enumerate() {
            let path = format!("{base}/{index}");
            match place.strip_prefix(path.as_str()) {
                Some("") => return,
                Some(rest) if rest.starts_with('/') => {
                    return self.inside(step, &path, &rest[1..], place);
                }
                _ => self.whole(step, &path),
            }
        }
    }

    /// What is seen within a step, below its path.
    fn inside(&mut self, step: &Step, path: &str, rest: &str, place: &str) {
        let goes_into = |name: &str| {
            let below = rest
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('/'));
            below.is_some_and(|below| below.starts_with(|c: char| c.is_ascii_digit()))
        };
        if goes_into("on_error") {
            self.own(step, path);
            self.within(step, path);
            return self.up_to(&step.on_error, &format!("{path}/on_error"), place);
        }
        if let StepBody::ForEach(body) = &step.body {
            let number = rest
                .strip_prefix("each/")
                .and_then(|rest| rest.split('/').next());
            let Some(number) = number.and_then(|text| text.parse::<usize>().ok()) else {
                return;
            };
            if body.for_each.beside() == 1 {
                self.elements(&body.steps, path, number);
            }
            let items = self.memos.get(path).map(|memo| &memo.output["items"]);
            self.seen.item = items.and_then(|items| items.get(number)).cloned();
            return self.up_to(&body.steps, &format!("{path}/each/{number}"), place);
        }
        let way = ways(step).into_iter().find(|(name, _)| goes_into(name));
        if let Some((name, steps)) = way {
            self.own(step, path);
            self.up_to(steps, &format!("{path}/{name}"), place);
        }
    }

    /// A step that lies before the place, with everything inside it.
    fn whole(&mut self, step: &Step, path: &str) {
        self.within(step, path);
        self.own(step, path);
        if !step.on_error.is_empty() {
            self.list(&step.on_error, &format!("{path}/on_error"));
        }
    }

    fn list(&mut self, steps: &[Step], base: &str) {
        for (index, step) in steps.iter().enumerate() {
            let path = format!("{base}/{index}");
            if self.memos.get(&path).is_none() {
                return;
            }
            self.whole(step, &path);
        }
    }

    fn own(&mut self, step: &Step, path: &str) {
        let Some(memo) = self.memos.get(path) else {
            return;
        };
        if !step.on_error.is_empty()
            && let Some(culprit) = culprit_of(step, path, self.memos)
            && let Some(failed) = self.memos.get(&culprit.path)
        {
            let error = json!({"step": failed.step, "message": failed.error, "code": failed.output["code"]});
            self.seen
                .steps
                .insert(step.id.clone(), json!({ "error": error }));
            return;
        }
        if memo.outcome != StepOutcome::Done {
            return;
        }
        if let Some(set) = memo.output.get("set").and_then(Value::as_object) {
            let set = set
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()));
            self.seen.vars.extend(set);
        }
        let output = json!({"output": memo.output});
        self.seen.steps.insert(step.id.clone(), output);
    }

    fn within(&mut self, step: &Step, path: &str) {
        let Some(memo) = self.memos.get(path) else {
            return;
        };
        match &step.body {
            StepBody::If(_) | StepBody::Choose(_) => {
                if let Some((branch, steps)) = taken(step, &memo.output) {
                    self.list(steps, &format!("{path}/{branch}"));
                }
            }
            StepBody::ForEach(body) => {
                let output = &memo.output;
                let under_way = output["items"].as_array().map(Vec::len);
                let closed = || {
                    output["count"]
                        .as_u64()
                        .and_then(|n| usize::try_from(n).ok())
                };
                let count = under_way.or_else(closed).unwrap_or(0);
                self.elements(&body.steps, path, count);
            }
            StepBody::Parallel(_) => {
                for (name, steps) in ways(step) {
                    self.list(steps, &format!("{path}/{name}"));
                }
            }
            _ => {}
        }
    }

    /// Elements of a loop before a number. Where nothing is set only the last one can be seen.
    fn elements(&mut self, steps: &[Step], path: &str, before: usize) {
        let first = if sets(steps) {
            0
        } else {
            before.saturating_sub(1)
        };
        for number in first..before {
            self.list(steps, &format!("{path}/each/{number}"));
        }
    }
}

/// The lists of steps that a step chooses among or runs beside each other.
fn ways(step: &Step) -> Vec<(String, &[Step])> {
    match &step.body {
        StepBody::If(body) => vec![
            ("then".into(), body.then.as_slice()),
            ("else".into(), body.otherwise.as_slice()),
        ],
        StepBody::Choose(body) => {
            let branches = body.choose.iter().enumerate();
            let branches =
                branches.map(|(n, way)| (format!("choose/{n}/then"), way.then.as_slice()));
            let last = ("otherwise".into(), body.otherwise.as_slice());
            branches.chain([last]).collect()
        }
        StepBody::Parallel(body) => {
            let ways = body.parallel.iter().enumerate();
            ways.map(|(n, steps)| (format!("parallel/{n}"), steps.as_slice()))
                .collect()
        }
        _ => Vec::new(),
    }
}

fn sets(steps: &[Step]) -> bool {
    steps.iter().any(|step| {
        let inner = match &step.body {
            StepBody::Set(_) => true,
            StepBody::ForEach(body) => sets(&body.steps),
            _ => ways(step).iter().any(|(_, steps)| sets(steps)),
        };
        inner || sets(&step.on_error)
    })
}
