//! Two runs beside each other, down to the first value that differs.
//!
//! Owns what counts as the same: ids and moments that follow from the run itself do not tell two runs apart. Invariant:
//! the first difference is the first in the order in which the steps were begun.

use std::collections::HashMap;

use serde_json::{Value, json};
use so_model::{
    Timestamp,
    api::again::{RunComparison, RunDifference, StepPair},
    event::Event,
    id::{RunId, WorkspaceId},
    run::{Memo, Run},
    time::SECOND,
};
use so_store::{events, runs};

use super::{change::view, read::find};
use crate::app::{App, failure::Outcome};

/// Deepest value that is compared piece by piece; outputs are bounded likewise.
const DEPTH_MAX: usize = 64;

/// One run with what is compared.
struct Side {
    run: Run,
    event: Option<Event>,
    memos: Vec<Memo>,
    /// Ids by the order in which they first appear.
    known: HashMap<String, usize>,
}

/// Compares two runs of a workspace.
pub async fn compare(
    app: &App,
    workspace: WorkspaceId,
    left: RunId,
    right: RunId,
) -> Outcome<RunComparison> {
    let mut one = side(app, workspace, left).await?;
    let mut other = side(app, workspace, right).await?;
    let mut first = before_steps(&mut one, &mut other);
    let mut steps = Vec::new();
    for path in paths(&one, &other) {
        let (a, b) = (memo_at(&one, &path), memo_at(&other, &path));
        let difference = step_difference(&path, (&mut one, a.as_ref()), (&mut other, b.as_ref()));
        let named = a.as_ref().or(b.as_ref());
        steps.push(StepPair {
            step: named.map_or_else(String::new, |memo| memo.step.clone()),
            left: a.as_ref().map(|memo| memo.outcome),
            right: b.as_ref().map(|memo| memo.outcome),
            is_same: difference.is_none(),
            path,
        });
        first = first.or(difference);
    }
    let text = sentence(&one.run, &other.run, first.as_ref(), steps.len());
    Ok(RunComparison {
        left: view(app, one.run).await?,
        right: view(app, other.run).await?,
        text,
        first_difference: first,
        steps,
    })
}

async fn side(app: &App, workspace: WorkspaceId, id: RunId) -> Outcome<Side> {
    let mut reader = app.reader();
    let run = find(&mut reader, workspace, id).await?;
    let event = events::find(&mut reader, workspace, run.event).await?;
    let memos = runs::list_memos(&mut reader, workspace, id).await?;
    Ok(Side {
        run,
        event,
        memos,
        known: HashMap::new(),
    })
}

/// Paths of both, in the order in which either began them.
fn paths(one: &Side, other: &Side) -> Vec<String> {
    let order = |side: &Side| -> Vec<(i64, String)> {
        let began = side.run.created_at;
        let mut found: Vec<(i64, String)> = Vec::new();
        for memo in &side.memos {
            if !found.iter().any(|(_, path)| *path == memo.path) {
                found.push((memo.started_at.since(began), memo.path.clone()));
            }
        }
        found
    };
    // The one's order; what only the other reached follows the step after which it was reached.
    let mut all: Vec<String> = order(one).into_iter().map(|(_, path)| path).collect();
    let mut after = 0;
    for (_, path) in order(other) {
        match all.iter().position(|known| *known == path) {
            Some(at) => after = at + 1,
            None => {
                all.insert(after.min(all.len()), path);
                after += 1;
            }
        }
    }
    all
}

fn memo_at(side: &Side, path: &str) -> Option<Memo> {
    let of_path = side.memos.iter().filter(|memo| memo.path == path);
    of_path.max_by_key(|memo| memo.attempt).cloned()
}

fn before_steps(one: &mut Side, other: &mut Side) -> Option<RunDifference> {
    let shown = |side: &Side| {
        side.event.as_ref().map_or(
            Value::Null,
            |event| json!({"kind": event.kind, "subject": event.subject, "data": event.data}),
        )
    };
    let (a, b) = (shown(one), shown(other));
    let of_event = differs("", "event", one, &a, other, &b);
    // A run that a person began looked at no condition, which is no difference in what it did.
    if one.run.decision.held.is_none() || other.run.decision.held.is_none() {
        return of_event;
    }
    of_event.or_else(|| {
        let (a, b) = (json!(one.run.decision), json!(other.run.decision));
        differs("/if", "condition", one, &a, other, &b)
    })
}

fn step_difference(
    path: &str,
    (one, a): (&mut Side, Option<&Memo>),
    (other, b): (&mut Side, Option<&Memo>),
) -> Option<RunDifference> {
    let (Some(a), Some(b)) = (a, b) else {
        return Some(RunDifference {
            path: path.to_owned(),
            what: "presence".into(),
            pointer: String::new(),
            left: json!(a.map(|memo| memo.outcome)),
            right: json!(b.map(|memo| memo.outcome)),
        });
    };
    let pairs = [
        ("input", a.input.clone(), b.input.clone()),
        ("outcome", json!(a.outcome), json!(b.outcome)),
        ("condition", json!(a.condition), json!(b.condition)),
        ("output", a.output.clone(), b.output.clone()),
        ("error", json!(a.error), json!(b.error)),
    ];
    pairs
        .iter()
        .find_map(|(what, left, right)| differs(path, what, one, left, other, right))
}

fn differs(
    path: &str,
    what: &str,
    one: &mut Side,
    left: &Value,
    other: &mut Side,
    right: &Value,
) -> Option<RunDifference> {
    let found = first_unlike(one, left, other, right, 0)?;
    Some(RunDifference {
        path: path.to_owned(),
        what: what.to_owned(),
        left: left.pointer(&found).cloned().unwrap_or_default(),
        right: right.pointer(&found).cloned().unwrap_or_default(),
        pointer: found,
    })
}

/// JSON pointer to the first value that differs.
fn first_unlike(
    one: &mut Side,
    left: &Value,
    other: &mut Side,
    right: &Value,
    depth: usize,
) -> Option<String> {
    if depth > DEPTH_MAX {
        return None;
    }
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
            names.sort_unstable();
            names.dedup();
            names.into_iter().find_map(|name| {
                let (a, b) = (a.get(name), b.get(name));
                let inner = first_unlike(
                    one,
                    a.unwrap_or(&Value::Null),
                    other,
                    b.unwrap_or(&Value::Null),
                    depth + 1,
                )?;
                let name = name.replace('~', "~0").replace('/', "~1");
                Some(format!("/{name}{inner}"))
            })
        }
        (Value::Array(a), Value::Array(b)) => (0..a.len().max(b.len())).find_map(|index| {
            let (a, b) = (a.get(index), b.get(index));
            let inner = first_unlike(
                one,
                a.unwrap_or(&Value::Null),
                other,
                b.unwrap_or(&Value::Null),
                depth + 1,
            )?;
            Some(format!("/{index}{inner}"))
        }),
        (Value::String(a), Value::String(b)) => {
            // Both are told, so that the numbers of ids stay in step.
            let (own, others) = (told(one, a), told(other, b));
            (a != b && own != others).then(String::new)
        }
        (a, b) => (a != b).then(String::new),
    }
}

/// A text without what follows from the run itself: ids by their number, moments by their distance from its begin.
fn told(side: &mut Side, text: &str) -> String {
    if is_id(text) {
        let next = side.known.len();
        let number = *side.known.entry(text.to_owned()).or_insert(next);
        let prefix = text.split('_').next().unwrap_or_default();
        return format!("{prefix}#{number}");
    }
    match Timestamp::parse(text) {
        Some(at) => format!("begin{:+}s", at.since(side.run.created_at) / SECOND),
        None => text.to_owned(),
    }
}

fn is_id(text: &str) -> bool {
    text.split_once('_').is_some_and(|(prefix, rest)| {
        !prefix.is_empty() && rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

fn sentence(one: &Run, other: &Run, first: Option<&RunDifference>, steps: usize) -> String {
    let versions = match one.version == other.version && one.rule == other.rule {
        true => format!("Both ran version {}.", one.version),
        false => format!("They ran versions {} and {}.", one.version, other.version),
    };
    match first {
        None => format!("{versions} Nothing differs in {steps} steps."),
        Some(first) => {
            let place = match (first.path.as_str(), first.what.as_str()) {
                ("", _) => "the event".to_owned(),
                (path, "presence") => format!("{path}: only one of them reached it"),
                (path, what) => format!("{path}: {what}{}", first.pointer),
            };
            format!("{versions} They part at {place}.")
        }
    }
}
