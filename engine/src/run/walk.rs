//! Which step comes next: a pure function of the document and the memos.

use std::collections::HashMap;

use so_model::{
    rule::{Step, StepBody},
    run::{Memo, StepOutcome},
};

/// Memos by path; of several tries the latest.
#[derive(Debug, Clone, Default)]
pub struct Memos(HashMap<String, Memo>);

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
        match self.0.get(&memo.path) {
            Some(known) if known.attempt > memo.attempt => {}
            _ => {
                self.0.insert(memo.path.clone(), memo);
            }
        }
    }
    /// No step was tried yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// The latest try of a step.
    pub fn get(&self, path: &str) -> Option<&Memo> {
        self.0.get(path)
    }
    /// All latest tries.
    pub fn iter(&self) -> impl Iterator<Item = &Memo> {
        self.0.values()
    }
}

/// What comes next.
#[derive(Debug, PartialEq)]
pub enum Next<'a> {
    /// This step, at this pointer in the document.
    Step(String, &'a Step),
    /// Nothing: the run is at its end.
    End,
}

/// The first step, in order of the document, that has no final memo.
pub fn next_step<'a>(steps: &'a [Step], memos: &Memos) -> Next<'a> {
    match first_open(steps, "/steps", memos) {
        Some((path, step)) => Next::Step(path, step),
        None => Next::End,
    }
}

fn first_open<'a>(steps: &'a [Step], base: &str, memos: &Memos) -> Option<(String, &'a Step)> {
    for (index, step) in steps.iter().enumerate() {
        let path = format!("{base}/{index}");
        let memo = memos
            .get(&path)
            .filter(|memo| memo.outcome == StepOutcome::Done);
        let Some(memo) = memo else {
            return Some((path, step));
        };
        let branch = memo.output["branch"].as_str().unwrap_or("");
        let inner = match &step.body {
            StepBody::If(body) if branch == "then" => Some(&body.then),
            StepBody::If(body) if branch == "else" => Some(&body.otherwise),
            StepBody::Choose(body) if branch == "otherwise" => Some(&body.otherwise),
            StepBody::Choose(body) => branch
                .strip_prefix("choose/")
                .and_then(|rest| rest.strip_suffix("/then"))
                .and_then(|number| number.parse::<usize>().ok())
                .and_then(|number| body.choose.get(number))
                .map(|taken| &taken.then),
            _ => None,
        };
        if let Some(inner) = inner
            && let Some(found) = first_open(inner, &format!("{path}/{branch}"), memos)
        {
            return Some(found);
        }
    }
    None
}
