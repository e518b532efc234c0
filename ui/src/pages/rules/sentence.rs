//! A rule as a sentence, written from its document.
//!
//! Pure. Invariant: the sentence says no more than the document does; a kind nobody has words for is told by its name.

use serde_json::{Map, Value};
use so_model::rule::{Condition, Op, RuleDocument, SILENT_AFTER_LEARNED, Step, StepBody, Trigger};

/// "When a feed has a new item, if title contains launch: write a post, add it to a queue."
pub fn sentence(document: &RuleDocument) -> String {
    let triggers: Vec<String> = document.triggers.iter().map(trigger_words).collect();
    let steps: Vec<String> = document.steps.iter().map(step_words).collect();
    let condition = document
        .condition
        .as_ref()
        .map(|condition| format!(", if {}", condition_words(condition)))
        .unwrap_or_default();
    let silence = document
        .silent_after
        .as_deref()
        .map(|after| format!(" {}", silence_words(after)))
        .unwrap_or_default();
    format!(
        "When {}{condition}: {}.{silence}",
        triggers.join(" or "),
        steps.join(", then ")
    )
}

/// The alarm of a rule that does not start for long.
fn silence_words(after: &str) -> String {
    if after == SILENT_AFTER_LEARNED {
        return "It gives an alarm when it starts more rarely than it is used to.".into();
    }
    format!("It gives an alarm when it did not start for {after}.")
}

/// "a feed has a new item".
pub fn trigger_words(trigger: &Trigger) -> String {
    let with = |key: &str| text(&trigger.with, key);
    match trigger.kind.as_str() {
        "feed.item" => "a feed has a new item".into(),
        "feed.item_edited" => "a feed's item changed".into(),
        "queue.slot" => "a queue's slot comes".into(),
        "webhook.received" => "a webhook is called".into(),
        "manual" | "manual.pressed" => "somebody presses the button".into(),
        "time.at" => with("at").map_or("a time comes".into(), |at| format!("it is {at}")),
        "time.cron" => with("expression")
            .or_else(|| with("cron"))
            .map_or("the clock says so".into(), |cron| {
                format!("the clock fits {cron}")
            }),
        "time.every" => with("interval")
            .or_else(|| with("every"))
            .map_or("a while has passed".into(), |every| {
                format!("every {every}")
            }),
        "time.recurrence" => "a calendar's day comes".into(),
        "post.due" => "a scheduled post's time comes".into(),
        "post.recurred" => "a recurring post's next time comes".into(),
        "post.published" => "a post is live everywhere".into(),
        "post.partially_published" => "a post is live at some accounts".into(),
        "post.failed" => "a post failed".into(),
        "post.missed" => "a post missed its time".into(),
        "post.needs_review" => "a post needs a look".into(),
        "account.reconnect_required" => "an account must be connected again".into(),
        "run.failed" => "a run failed".into(),
        "rule.silent" => "a rule has not started for long".into(),
        "rule.called" => "another rule calls".into(),
        other => plain_kind(other),
    }
}

/// `post.edited` becomes "post edited".
fn plain_kind(kind: &str) -> String {
    kind.replace(['.', '_'], " ")
}

fn text(map: &Map<String, Value>, key: &str) -> Option<String> {
    match map.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A condition in one line.
pub fn condition_words(condition: &Condition) -> String {
    let list = |parts: &[Condition], word: &str, none: &str| match parts {
        [] => none.to_owned(),
        parts => parts
            .iter()
            .map(condition_words)
            .collect::<Vec<_>>()
            .join(word),
    };
    match condition {
        Condition::All(all) => list(&all.all, " and ", "always"),
        Condition::Any(any) => list(&any.any, " or ", "never"),
        Condition::Not(not) => format!("not ({})", condition_words(&not.not)),
        Condition::Compare(compare) => comparison(
            compare.field.trim_start_matches("event.data."),
            compare.op,
            &compare.value,
        ),
        Condition::Fact(fact) => comparison(&plain_kind(&fact.fact), fact.op, &fact.value),
        Condition::Time(time) => {
            let from = time.time.from.as_deref().unwrap_or("00:00");
            let to = time.time.to.as_deref().unwrap_or("24:00");
            let days = time.time.weekdays.join(", ");
            let on = if days.is_empty() {
                String::new()
            } else {
                format!(" on {days}")
            };
            format!("it is between {from} and {to}{on}")
        }
        Condition::Expr(expr) => expr.expr.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

fn comparison(left: &str, op: Op, value: &Value) -> String {
    let value = value_words(value);
    match op {
        Op::Exists => format!("{left} is there"),
        Op::IsEmpty => format!("{left} is empty"),
        _ => format!("{left} {} {value}", op_words(op)),
    }
}

/// A constant as people say it: a list by its elements.
fn value_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(value_words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn op_words(op: Op) -> &'static str {
    match op {
        Op::Eq => "is",
        Op::Ne => "is not",
        Op::Gt => "is more than",
        Op::Ge => "is at least",
        Op::Lt => "is less than",
        Op::Le => "is at most",
        Op::Contains => "contains",
        Op::NotContains => "does not contain",
        Op::StartsWith => "begins with",
        Op::EndsWith => "ends with",
        Op::Matches => "matches",
        Op::In => "is one of",
        Op::NotIn => "is none of",
        Op::Exists | Op::IsEmpty => "",
    }
}

fn step_words(step: &Step) -> String {
    let mut title = step_title(step);
    if let StepBody::If(branch) = &step.body {
        let inside: Vec<String> = branch.then.iter().map(step_words).collect();
        title.push_str(&format!(", {}", inside.join(" and ")));
    }
    let mut letters = title.chars();
    letters
        .next()
        .map(|first| first.to_lowercase().chain(letters).collect())
        .unwrap_or_default()
}

/// What a step does, as the title of its box: "Write a post".
pub fn step_title(step: &Step) -> String {
    match &step.body {
        StepBody::Action(action) => action_title(&action.action),
        StepBody::If(branch) => format!("If {}", condition_words(&branch.condition)),
        StepBody::Choose(choose) => format!("Choose among {} ways", choose.choose.len()),
        StepBody::ForEach(_) => "For each".into(),
        StepBody::Parallel(parallel) => format!("{} ways side by side", parallel.parallel.len()),
        StepBody::Delay(delay) => match (&delay.delay.duration, &delay.delay.until) {
            (Some(duration), _) => format!("Wait {duration}"),
            (None, Some(until)) => format!("Wait until {until}"),
            (None, None) => "Wait".into(),
        },
        StepBody::WaitFor(wait) => format!("Wait for {}", plain_kind(&wait.wait_for.event)),
        StepBody::Set(set) => {
            let names: Vec<&str> = set.set.keys().map(String::as_str).collect();
            format!("Set {}", names.join(", "))
        }
        StepBody::Stop(stop) if stop.stop.error => "Stop as failed".into(),
        StepBody::Stop(_) => "Stop".into(),
    }
}

fn action_title(action: &str) -> String {
    match action {
        "post.create" => "Write a post",
        "post.edit" => "Change the post",
        "post.schedule" => "Schedule the post",
        "post.publish" => "Publish the post",
        "post.delete_remote" => "Delete it at the network",
        "queue.add" => "Add it to a queue",
        "queue.requeue" => "Queue it again",
        "label.add" => "Add a label",
        "label.remove" => "Take a label off",
        "notify" => "Tell the workspace",
        "email.send" => "Send an e-mail",
        "webhook.send" => "Call a webhook",
        "http.request" => "Send an HTTP request",
        "script.run" => "Run a script",
        "rule.call" => "Call a rule",
        other => return other.to_owned(),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(value: Value) -> RuleDocument {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_rule_reads_as_a_sentence() {
        let document = document(json!({
            "version": 1, "name": "Post the blog",
            "triggers": [{"id": "t", "kind": "feed.item"}],
            "if": {"all": [{"field": "event.data.item.title", "op": "contains", "value": "launch"},
                           {"not": {"field": "event.data.item.link", "op": "is_empty"}}]},
            "steps": [{"id": "a", "action": "post.create"}, {"id": "b", "action": "queue.add"}]
        }));
        assert_eq!(
            sentence(&document),
            "When a feed has a new item, if item.title contains launch and not (item.link is empty): write a post, then add it to a queue."
        );
    }

    #[test]
    fn the_alarm_of_silence_is_part_of_the_sentence() {
        let said = |after: &str| {
            sentence(&document(json!({
                "version": 1, "name": "n", "triggers": [{"id": "t", "kind": "manual"}],
                "steps": [{"id": "a", "action": "notify"}], "silent_after": after
            })))
        };
        assert_eq!(
            said("2d"),
            "When somebody presses the button: tell the workspace. It gives an alarm when it did not start for 2d."
        );
        assert!(said("learned").ends_with("more rarely than it is used to."));
    }

    #[test]
    fn what_has_no_words_is_told_by_its_name() {
        let document = document(json!({
            "version": 1, "name": "n",
            "triggers": [{"id": "t", "kind": "moon.full"}],
            "steps": [{"id": "a", "action": "moon.howl"}, {"id": "w", "delay": {"for": "10m"}},
                      {"id": "i", "if": {"field": "event.data.n", "op": "in", "value": [1, 2]}, "then": [{"id": "s", "stop": {"error": true}}]}]
        }));
        assert_eq!(
            sentence(&document),
            "When moon full: moon.howl, then wait 10m, then if n is one of 1, 2, stop as failed."
        );
    }
}
