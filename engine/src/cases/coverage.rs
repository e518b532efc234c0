//! What of a rule was gone through: clauses that held and did not, branches that were taken.
//!
//! Invariant: every clause and branch of the document is listed, also those that nothing went through.

use std::collections::BTreeMap;

use serde_json::Value;
use so_model::{
    case::{BranchCount, ClauseCount, Coverage},
    rule::{RuleDocument, Step, StepBody},
    run::{ConditionTrace, Memo, StepOutcome},
};

use crate::run::pointer_of;

/// Counts for one document.
#[derive(Debug, Clone)]
pub struct Counting {
    coverage: Coverage,
    clauses: BTreeMap<String, usize>,
    branches: BTreeMap<String, usize>,
}

impl Counting {
    /// Nothing was gone through yet.
    pub fn of(document: &RuleDocument) -> Self {
        let mut counting = Self {
            coverage: Coverage::default(),
            clauses: BTreeMap::new(),
            branches: BTreeMap::new(),
        };
        if let Some(condition) = &document.condition {
            counting.condition(&serde_json::to_value(condition).unwrap_or_default(), "/if");
        }
        counting.steps(&document.steps, "/steps");
        counting
    }

    /// The counts so far.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// A condition came out so.
    pub fn see(&mut self, trace: &ConditionTrace) {
        if let (Some(held), Some(index)) = (trace.held, self.clauses.get(&pointer_of(&trace.path)))
        {
            let clause = &mut self.coverage.clauses[*index];
            match held {
                true => clause.held += 1,
                false => clause.failed += 1,
            }
        }
        trace.parts.iter().for_each(|part| self.see(part));
    }

    /// A step came out so.
    pub fn see_memo(&mut self, memo: &Memo) {
        if let Some(trace) = &memo.condition {
            self.see(trace);
        }
        let pointer = pointer_of(&memo.path);
        match memo.outcome {
            StepOutcome::Done => {
                if let Some(branch) = memo.output["branch"].as_str() {
                    self.took(&format!("{pointer}/{branch}"));
                }
            }
            StepOutcome::Failed => self.took(&format!("{pointer}/on_error")),
            _ => {}
        }
    }

    fn took(&mut self, path: &str) {
        if let Some(index) = self.branches.get(path) {
            self.coverage.branches[*index].taken += 1;
        }
    }

    fn condition(&mut self, condition: &Value, path: &str) {
        self.clauses
            .insert(path.to_owned(), self.coverage.clauses.len());
        self.coverage.clauses.push(ClauseCount {
            path: path.to_owned(),
            held: 0,
            failed: 0,
        });
        for name in ["all", "any"] {
            for (index, part) in condition[name].as_array().into_iter().flatten().enumerate() {
                self.condition(part, &format!("{path}/{name}/{index}"));
            }
        }
        if let Some(part) = condition.get("not") {
            self.condition(part, &format!("{path}/not"));
        }
    }

    fn of_step(&mut self, condition: &so_model::rule::Condition, path: &str) {
        self.condition(&serde_json::to_value(condition).unwrap_or_default(), path);
    }

    fn branch(&mut self, steps: &[Step], path: String) {
        self.branches
            .insert(path.clone(), self.coverage.branches.len());
        self.coverage.branches.push(BranchCount {
            path: path.clone(),
            taken: 0,
        });
        self.steps(steps, &path);
    }

    fn steps(&mut self, steps: &[Step], base: &str) {
        for (index, step) in steps.iter().enumerate() {
            let path = format!("{base}/{index}");
            match &step.body {
                StepBody::If(body) => {
                    self.of_step(&body.condition, &format!("{path}/if"));
                    self.branch(&body.then, format!("{path}/then"));
                    self.branch(&body.otherwise, format!("{path}/else"));
                }
                StepBody::Choose(body) => {
                    for (way, branch) in body.choose.iter().enumerate() {
                        let at = format!("{path}/choose/{way}");
                        self.of_step(&branch.condition, &format!("{at}/if"));
                        self.branch(&branch.then, format!("{at}/then"));
                    }
                    self.branch(&body.otherwise, format!("{path}/otherwise"));
                }
                StepBody::ForEach(body) => self.steps(&body.steps, &format!("{path}/do")),
                StepBody::Parallel(body) => {
                    for (way, steps) in body.parallel.iter().enumerate() {
                        self.steps(steps, &format!("{path}/parallel/{way}"));
                    }
                }
                StepBody::WaitFor(body) => {
                    if let Some(condition) = &body.wait_for.condition {
                        self.of_step(condition, &format!("{path}/wait_for/if"));
                    }
                }
                _ => {}
            }
            if !step.on_error.is_empty() {
                self.branch(&step.on_error, format!("{path}/on_error"));
            }
        }
    }
}
