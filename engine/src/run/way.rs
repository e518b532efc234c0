//! The way of a run: what it has in common with other runs of its version.
//!
//! Invariant: a way is made of places, outcomes, branches and codes alone, in the order of the document; so the same
//! steps taken by another clock, or on other values, are the same way.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};
use so_model::{
    run::{Memo, StepOutcome},
    way::WayStep,
};
use so_store::run_ways::Finished;

use super::walk::{REDRIVEN, pointer_of};

/// Code of a step of which nobody knows whether it took effect.
const UNKNOWN: &str = "step.outcome_unknown";
/// Longest code that is part of a way; those of the product are shorter.
const CODE_CHARS_MAX: usize = 64;

/// Something happened in a run that somebody may want to see whole, although the run came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Oddity {
    /// A call was begun whose outcome nobody knows.
    Unknown,
    /// A person had it go on after it failed.
    Redriven,
}

/// What is odd about a run, if anything is.
pub(crate) fn oddity_of(memos: &[Memo]) -> Option<Oddity> {
    memos.iter().find_map(|memo| {
        if memo.output["code"] == UNKNOWN || memo.outcome == StepOutcome::Started {
            Some(Oddity::Unknown)
        } else if memo.output["code"] == REDRIVEN {
            Some(Oddity::Redriven)
        } else {
            None
        }
    })
}

/// The steps of the way that a run went.
pub(crate) fn steps_of(memos: &[Memo]) -> Vec<WayStep> {
    #[derive(Default)]
    struct Seen<'a> {
        step: &'a str,
        outcomes: BTreeSet<&'static str>,
        marks: BTreeSet<String>,
    }
    let mut places: BTreeMap<Vec<Part>, (String, Seen<'_>)> = BTreeMap::new();
    for memo in memos {
        let pointer = pointer_of(&memo.path);
        let (_, seen) = places
            .entry(parts_of(&pointer))
            .or_insert_with(|| (pointer, Seen::default()));
        seen.step = &memo.step;
        seen.outcomes.insert(memo.outcome.as_str());
        seen.marks.extend(mark_of(memo));
    }
    places
        .into_values()
        .map(|(path, seen)| WayStep {
            path,
            step: seen.step.to_owned(),
            outcomes: seen
                .outcomes
                .into_iter()
                .filter_map(StepOutcome::parse)
                .collect(),
            marks: seen.marks.into_iter().collect(),
        })
        .collect()
}

/// The number of a way of a run's rule; `None` is what is counted together.
pub(crate) fn number_of(run: &Finished, steps: Option<&[WayStep]>) -> i64 {
    let mut hash = Sha256::new();
    let steps = serde_json::to_string(&steps).unwrap_or_default();
    for part in [
        &run.workspace.to_string(),
        &run.rule.to_string(),
        &run.version.to_string(),
        &run.trigger,
        &steps,
    ] {
        hash.update([0]);
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    // Both databases hold it, and its text has no sign.
    i64::from_be_bytes(bytes) & i64::MAX
}

/// A part of a pointer: numbers in their order, so that step 10 comes after step 9.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Name(String),
}

fn parts_of(pointer: &str) -> Vec<Part> {
    let parts = pointer.split('/').skip(1);
    parts
        .map(|part| match part.parse() {
            Ok(number) => Part::Number(number),
            Err(_) => Part::Name(part.to_owned()),
        })
        .collect()
}

/// The branch it took, a wait that ran out of time, the code of its error.
fn mark_of(memo: &Memo) -> Option<String> {
    let output = &memo.output;
    match memo.outcome {
        StepOutcome::Done => {
            if output["timed_out"] == true {
                return Some("timed_out".into());
            }
            // What an action answers may be called the same, and its values are no way.
            let branch = output["branch"].as_str()?;
            let is_place = memo.condition.is_some();
            is_place.then(|| branch.to_owned())
        }
        StepOutcome::Failed | StepOutcome::Retrying => {
            let code = output["code"].as_str()?;
            Some(code.chars().take(CODE_CHARS_MAX).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use so_model::{Timestamp, run::ConditionTrace};

    use super::*;

    fn memo(path: &str, attempt: i64, outcome: StepOutcome, output: Value) -> Memo {
        Memo {
            path: path.into(),
            step: "s".into(),
            attempt,
            outcome,
            input: Value::Null,
            output,
            error: None,
            condition: None,
            started_at: Timestamp::from_micros(attempt),
            finished_at: Some(Timestamp::default()),
        }
    }

    use StepOutcome::{Done, Failed, Retrying, Started};

    fn paths(memos: &[Memo]) -> Vec<String> {
        steps_of(memos).into_iter().map(|step| step.path).collect()
    }

    #[test]
    fn elements_of_a_loop_are_one_place_and_values_are_no_part_of_a_way() {
        let two = [
            memo("/steps/0", 1, Done, json!({"items": [1, 2]})),
            memo("/steps/0/each/0/0", 1, Done, json!(1)),
            memo("/steps/0/each/1/0", 1, Done, json!(2)),
        ];
        let one = [
            memo("/steps/0/each/0/0", 1, Done, json!("x")),
            memo(
                "/steps/0",
                1,
                Done,
                json!({"items": ["x"], "branch": "main"}),
            ),
        ];
        assert_eq!(steps_of(&two), steps_of(&one));
        assert_eq!(paths(&two), ["/steps/0", "/steps/0/do/0"]);
        assert!(steps_of(&one).iter().all(|step| step.marks.is_empty()));
    }

    #[test]
    fn steps_stand_in_the_order_of_their_numbers() {
        let memos = [
            memo("/steps/10", 1, Done, json!(null)),
            memo("/steps/9", 1, Done, json!(null)),
        ];
        assert_eq!(paths(&memos), ["/steps/9", "/steps/10"]);
    }

    #[test]
    fn another_branch_a_second_try_a_time_out_and_another_error_are_other_ways() {
        let branch = |branch: &str| {
            let mut memo = memo("/steps/0", 1, Done, json!({"branch": branch}));
            memo.condition = Some(ConditionTrace::unconditional());
            vec![memo]
        };
        let failed = |code: &str| {
            vec![
                memo("/steps/0", 1, Failed, json!({"code": code})),
                memo("/steps/0/on_error/0", 1, Done, json!(null)),
            ]
        };
        let ways = [
            branch("then"),
            branch("else"),
            vec![memo("/steps/0", 1, Done, json!({"timed_out": false}))],
            vec![memo("/steps/0", 1, Done, json!({"timed_out": true}))],
            vec![
                memo("/steps/0", 1, Retrying, json!({"code": "test.busy"})),
                memo("/steps/0", 2, Done, json!(null)),
            ],
            failed("test.busy"),
            failed("test.gone"),
        ];
        let ways: Vec<_> = ways.iter().map(|memos| steps_of(memos)).collect();
        for (n, way) in ways.iter().enumerate() {
            assert!(!ways[..n].contains(way), "{way:?}");
        }
    }

    #[test]
    fn doubt_and_what_a_person_did_are_odd() {
        assert_eq!(oddity_of(&[memo("/steps/0", 1, Done, json!(null))]), None);
        for (outcome, output, expected) in [
            (Failed, json!({"code": UNKNOWN}), Oddity::Unknown),
            (Started, json!(null), Oddity::Unknown),
            (Retrying, json!({"code": REDRIVEN}), Oddity::Redriven),
        ] {
            let memos = [memo("/steps/0", 1, outcome, output)];
            assert_eq!(oddity_of(&memos), Some(expected));
        }
    }
}
