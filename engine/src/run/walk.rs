//! Where a run stands: a pure function of the document and the memos.
//!
//! Owns the order of steps, nested ones included, and the names of their places. Invariant: nothing is
//! remembered but memos, so a run that was lost in the middle stands where it stood.
//!
//! A place is the step's pointer in the document; within a loop `each/<n>` stands for `do`, so that every
//! element has memos of its own: `/steps/3/each/2/0`.

use std::collections::HashMap;

use serde_json::Value;
use so_model::{
    Timestamp,
    rule::{ForEachStep, Step, StepBody},
    run::{Memo, StepOutcome},
};

use crate::schedule::parse_duration;

/// Code of a memo that opens a failed step again.
pub(super) const REDRIVEN: &str = "run.redriven";

/// Memos by path; of several tries the latest.
#[derive(Debug, Clone, Default)]
pub struct Memos {
    latest: HashMap<String, Memo>,
    began: HashMap<String, Timestamp>,
    tries: usize,
    /// What is to be written with others, of each try once; none where every memo is written at once.
    kept_back: Option<Vec<Memo>>,
}

impl Memos {
    /// From stored memos.
    pub fn new(memos: Vec<Memo>) -> Self {
        let mut latest = Self::default();
        for memo in memos {
            latest.put(memo);
        }
        latest
    }
    /// Adds one; an older try gives way.
    pub fn put(&mut self, memo: Memo) {
        let began = self.began.entry(memo.path.clone());
        let began = began.or_insert(memo.started_at);
        // Whoever has a run go on gives its steps their time anew.
        *began = match memo.output["code"] == REDRIVEN {
            true => memo.started_at,
            false => (*began).min(memo.started_at),
        };
        match self.latest.get(&memo.path) {
            Some(known) if known.attempt > memo.attempt => {}
            known => {
                self.tries += usize::from(known.is_none_or(|known| known.attempt != memo.attempt));
                self.latest.insert(memo.path.clone(), memo);
            }
        }
    }
    /// From now on memos are written together.
    pub(super) fn keep_back(&mut self) {
        self.kept_back = Some(Vec::new());
    }
    /// Adds one that is yet to be written; false if that is to be done at once.
    pub(super) fn put_back(&mut self, memo: &Memo) -> bool {
        let Some(kept) = &mut self.kept_back else {
            return false;
        };
        let is_same = |other: &&mut Memo| other.path == memo.path && other.attempt == memo.attempt;
        match kept.iter_mut().find(is_same) {
            Some(other) => *other = memo.clone(),
            None => kept.push(memo.clone()),
        }
        self.put(memo.clone());
        true
    }
    /// Those that are yet to be written.
    pub(super) fn take_kept(&mut self) -> Vec<Memo> {
        self.kept_back
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }
    /// From now on every memo is written at once.
    pub(super) fn write_at_once(&mut self) {
        self.kept_back = None;
    }
    /// No step was tried yet.
    pub fn is_empty(&self) -> bool {
        self.latest.is_empty()
    }
    /// Tries of steps so far.
    pub fn tries(&self) -> usize {
        self.tries
    }
    /// The latest try of a step.
    pub fn get(&self, path: &str) -> Option<&Memo> {
        self.latest.get(path)
    }
    /// All latest tries.
    pub fn iter(&self) -> impl Iterator<Item = &Memo> {
        self.latest.values()
    }
    /// When a step that has begun is out of time, if it has a time-out.
    pub fn deadline(&self, path: &str, step: &Step) -> Option<Timestamp> {
        let span = parse_duration(step.timeout.as_deref()?).ok()?;
        Some(self.began.get(path)?.plus(span))
    }
    /// How a step ended, if it did.
    fn outcome(&self, path: &str) -> Option<StepOutcome> {
        self.get(path).map(|memo| memo.outcome)
    }
}

/// A step at its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Place<'a> {
    /// Where it stands.
    pub path: String,
    /// The step.
    pub step: &'a Step,
}

/// What a run is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Some steps are open.
    Open,
    /// Every step is done.
    Done,
    /// A step failed and nothing stands in for it.
    Failed,
    /// A step ended the run.
    Stopped,
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Position<'a> {
    /// What it is at.
    pub standing: Standing,
    /// Open steps in the order of the document; more than one within `parallel` and loops.
    pub open: Vec<Place<'a>>,
    /// Steps under way that have a time-out: open ones, and those around them, the outermost first.
    pub timed: Vec<Place<'a>>,
    /// The step that failed or ended the run.
    pub culprit: Option<Place<'a>>,
}

/// Where a run stands.
pub fn position<'a>(steps: &'a [Step], memos: &Memos) -> Position<'a> {
    let mut look = Look {
        memos,
        open: Vec::new(),
        timed: Vec::new(),
        culprit: None,
    };
    let standing = look.steps(steps, "/steps");
    let is_open = standing == Standing::Open;
    let is_ended = matches!(standing, Standing::Failed | Standing::Stopped);
    Position {
        standing,
        open: if is_open { look.open } else { Vec::new() },
        timed: if is_open { look.timed } else { Vec::new() },
        culprit: look.culprit.filter(|_| is_ended),
    }
}

struct Look<'a, 'm> {
    memos: &'m Memos,
    open: Vec<Place<'a>>,
    timed: Vec<Place<'a>>,
    culprit: Option<Place<'a>>,
}

impl<'a> Look<'a, '_> {
    fn steps(&mut self, steps: &'a [Step], base: &str) -> Standing {
        for (index, step) in steps.iter().enumerate() {
            let standing = self.step(step, &format!("{base}/{index}"));
            if standing != Standing::Done {
                return standing;
            }
        }
        Standing::Done
    }

    fn step(&mut self, step: &'a Step, path: &str) -> Standing {
        let before = self.timed.len();
        if self.memos.deadline(path, step).is_some() {
            self.timed.push(place(path, step));
        }
        let mut standing = self.body(step, path);
        if standing != Standing::Open {
            self.timed.truncate(before);
        }
        if standing == Standing::Failed && !step.on_error.is_empty() {
            standing = self.steps(&step.on_error, &format!("{path}/on_error"));
        }
        standing
    }

    fn body(&mut self, step: &'a Step, path: &str) -> Standing {
        let memo = self.memos.get(path);
        let output = memo.map_or(&Value::Null, |memo| &memo.output);
        match (memo.map(|memo| memo.outcome), &step.body) {
            (Some(StepOutcome::Done), StepBody::If(_) | StepBody::Choose(_)) => {
                match taken(step, output) {
                    Some((branch, inner)) => self.steps(inner, &format!("{path}/{branch}")),
                    None => Standing::Done,
                }
            }
            (Some(StepOutcome::Done), _) => Standing::Done,
            (Some(StepOutcome::Failed), _) => {
                self.culprit = Some(place(path, step));
                Standing::Failed
            }
            (Some(StepOutcome::Stopped), _) => {
                self.culprit = Some(place(path, step));
                Standing::Stopped
            }
            (Some(_), StepBody::ForEach(body)) => {
                let count = output["items"].as_array().map_or(0, Vec::len);
                self.elements(step, body, path, count)
            }
            (Some(_), StepBody::Parallel(body)) => {
                let ways = body.parallel.iter().enumerate();
                let ways: Vec<_> = ways
                    .map(|(way, steps)| (format!("{path}/parallel/{way}"), steps.as_slice()))
                    .collect();
                self.beside(step, path, ways.into_iter(), usize::MAX)
            }
            _ => {
                self.open.push(place(path, step));
                Standing::Open
            }
        }
    }

    fn elements(
        &mut self,
        step: &'a Step,
        body: &'a ForEachStep,
        path: &str,
        count: usize,
    ) -> Standing {
        let memos = self.memos;
        let ways = (0..count)
            .map(|n| (format!("{path}/each/{n}"), body.steps.as_slice()))
            .filter(move |(base, steps)| !is_surely_done(steps, base, memos));
        self.beside(step, path, ways, body.for_each.beside())
    }

    /// Ways side by side, at most so many open ones; when none is, the step itself is to be closed.
    fn beside(
        &mut self,
        step: &'a Step,
        path: &str,
        ways: impl Iterator<Item = (String, &'a [Step])>,
        most: usize,
    ) -> Standing {
        let mut open = 0;
        for (base, steps) in ways {
            if open >= most {
                break;
            }
            match self.steps(steps, &base) {
                Standing::Open => open += 1,
                Standing::Stopped => return Standing::Stopped,
                // The others are carried to their end all the same; closing the step counts what failed.
                Standing::Failed | Standing::Done => {}
            }
        }
        if open == 0 {
            self.culprit = None;
            self.open.push(place(path, step));
        }
        Standing::Open
    }
}

fn place<'a>(path: &str, step: &'a Step) -> Place<'a> {
    Place {
        path: path.to_owned(),
        step,
    }
}

/// Spares long loops the look at each step of each element: the last one is done and has nothing inside.
fn is_surely_done(steps: &[Step], base: &str, memos: &Memos) -> bool {
    let Some(last) = steps.last() else {
        return true;
    };
    let is_plain = !matches!(last.body, StepBody::If(_) | StepBody::Choose(_));
    is_plain && memos.outcome(&format!("{base}/{}", steps.len() - 1)) == Some(StepOutcome::Done)
}

/// The branch that `if` or `choose` took, as its memo says.
pub(super) fn taken<'a>(step: &'a Step, output: &Value) -> Option<(String, &'a [Step])> {
    let branch = output["branch"].as_str()?;
    let inner = match &step.body {
        StepBody::If(body) if branch == "then" => &body.then,
        StepBody::If(body) if branch == "else" => &body.otherwise,
        StepBody::Choose(body) if branch == "otherwise" => &body.otherwise,
        StepBody::Choose(body) => {
            let number = branch.strip_prefix("choose/")?.strip_suffix("/then")?;
            &body.choose.get(number.parse::<usize>().ok()?)?.then
        }
        _ => return None,
    };
    Some((branch.to_owned(), inner))
}

/// How the ways of a `parallel` or `for_each` ended: how many there are, and the first step of each that failed.
pub(crate) fn ends_of<'a>(step: &'a Step, path: &str, memos: &Memos) -> (usize, Vec<Place<'a>>) {
    let ways: Vec<(String, &'a [Step])> = match &step.body {
        StepBody::Parallel(body) => {
            let ways = body.parallel.iter().enumerate();
            ways.map(|(way, steps)| (format!("{path}/parallel/{way}"), steps.as_slice()))
                .collect()
        }
        StepBody::ForEach(body) => {
            let items = memos.get(path).map(|memo| &memo.output["items"]);
            let count = items.and_then(Value::as_array).map_or(0, Vec::len);
            (0..count)
                .map(|n| (format!("{path}/each/{n}"), body.steps.as_slice()))
                .collect()
        }
        _ => Vec::new(),
    };
    let count = ways.len();
    let failed = ways.into_iter().filter_map(|(base, steps)| {
        let mut look = Look {
            memos,
            open: Vec::new(),
            timed: Vec::new(),
            culprit: None,
        };
        match look.steps(steps, &base) {
            Standing::Failed => look.culprit,
            _ => None,
        }
    });
    (count, failed.collect())
}

/// The step for whose failure `on_error` of a step stands in: itself, or one inside it.
pub(super) fn culprit_of<'a>(step: &'a Step, path: &str, memos: &Memos) -> Option<Place<'a>> {
    let mut look = Look {
        memos,
        open: Vec::new(),
        timed: Vec::new(),
        culprit: None,
    };
    match look.body(step, path) {
        Standing::Failed => look.culprit,
        _ => None,
    }
}

/// The pointer in the document of what stands at a place.
pub(crate) fn pointer_of(path: &str) -> String {
    let mut pointer = String::with_capacity(path.len());
    let mut parts = path.split('/').skip(1);
    while let Some(part) = parts.next() {
        pointer.push('/');
        if part == "each" {
            parts.next();
            pointer.push_str("do");
        } else {
            pointer.push_str(part);
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use so_model::rule::RuleDocument;

    fn document(steps: Value) -> RuleDocument {
        let whole = json!({"version": 1, "name": "n", "triggers": [], "steps": steps});
        serde_json::from_value(whole).unwrap()
    }

    fn memo(path: &str, outcome: StepOutcome, output: Value) -> Memo {
        Memo {
            path: path.into(),
            step: "s".into(),
            attempt: 1,
            outcome,
            input: Value::Null,
            output,
            error: None,
            condition: None,
            started_at: Timestamp::default(),
            finished_at: None,
        }
    }

    fn open(
        document: &RuleDocument,
        memos: &[(&str, StepOutcome, Value)],
    ) -> (Standing, Vec<String>) {
        let memos = memos.iter();
        let memos = memos.map(|(path, outcome, output)| memo(path, *outcome, output.clone()));
        let memos = Memos::new(memos.collect());
        let position = position(&document.steps, &memos);
        let paths = position.open.into_iter().map(|place| place.path);
        (position.standing, paths.collect())
    }

    use StepOutcome::{Done, Failed, Waiting};

    #[test]
    fn branches_side_by_side_are_open_together_and_close_after_the_last() {
        let document = document(json!([
            {"id": "p", "parallel": [[{"id": "a", "set": {}}, {"id": "b", "set": {}}], [{"id": "c", "set": {}}]]},
            {"id": "z", "set": {}}]));
        assert_eq!(open(&document, &[]).1, ["/steps/0"]);
        let began = ("/steps/0", Waiting, Value::Null);
        let seen = open(&document, std::slice::from_ref(&began));
        assert_eq!(seen.1, ["/steps/0/parallel/0/0", "/steps/0/parallel/1/0"]);
        let mut memos = vec![began, ("/steps/0/parallel/1/0", Failed, Value::Null)];
        memos.push(("/steps/0/parallel/0/0", Done, Value::Null));
        assert_eq!(open(&document, &memos).1, ["/steps/0/parallel/0/1"]);
        memos.push(("/steps/0/parallel/0/1", Done, Value::Null));
        assert_eq!(
            open(&document, &memos),
            (Standing::Open, vec!["/steps/0".to_owned()])
        );
        memos[0].1 = Failed;
        assert_eq!(open(&document, &memos).0, Standing::Failed);
    }

    #[test]
    fn a_loop_holds_as_many_elements_open_as_it_says() {
        let document = document(json!([
            {"id": "l", "for_each": {"items": "x", "parallel": 2}, "do": [{"id": "a", "set": {}}]}]));
        let began = ("/steps/0", Waiting, json!({"items": [1, 2, 3]}));
        let seen = open(&document, std::slice::from_ref(&began));
        assert_eq!(seen.1, ["/steps/0/each/0/0", "/steps/0/each/1/0"]);
        let first = ("/steps/0/each/0/0", Done, Value::Null);
        let seen = open(&document, &[began, first]);
        assert_eq!(seen.1, ["/steps/0/each/1/0", "/steps/0/each/2/0"]);
    }

    #[test]
    fn what_stands_in_for_a_failure_is_walked_and_then_the_run_goes_on() {
        let document = document(json!([
            {"id": "a", "action": "x", "on_error": [{"id": "b", "set": {}}]}, {"id": "c", "set": {}}]));
        let failed = ("/steps/0", Failed, Value::Null);
        let seen = open(&document, std::slice::from_ref(&failed));
        assert_eq!(seen.1, ["/steps/0/on_error/0"]);
        let mended = ("/steps/0/on_error/0", Done, Value::Null);
        assert_eq!(open(&document, &[failed, mended]).1, ["/steps/1"]);
    }

    #[test]
    fn a_place_within_a_loop_has_one_pointer_in_the_document() {
        assert_eq!(
            pointer_of("/steps/3/each/12/0/then/1"),
            "/steps/3/do/0/then/1"
        );
        assert_eq!(pointer_of("/steps/3/parallel/1/0"), "/steps/3/parallel/1/0");
    }
}
