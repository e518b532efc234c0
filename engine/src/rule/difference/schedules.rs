//! Schedules in words.
//!
//! Invariant: two schedules that differ are told in words that differ, or else by what was written.

use serde_json::{Map, Value};

use super::words::{bare, plain};

/// Whether a trigger kind is a schedule.
pub(super) fn is_schedule(kind: &str) -> bool {
    kind.starts_with("time.")
}

/// `every day at 9:00`, without the zone.
pub(super) fn words(kind: &str, with: &Map<String, Value>) -> String {
    let text = |name: &str| with.get(name).map(bare).unwrap_or_default();
    match kind {
        "time.at" => format!("once at {}", text("at")),
        "time.every" => {
            let from = with
                .get("anchor")
                .map_or_else(String::new, |at| format!(", counted from {}", bare(at)));
            format!("every {}{from}", text("every"))
        }
        "time.cron" => cron(&text("expression")),
        "time.recurrence" => {
            let list = |name: &str, word: &str| {
                with.get(name)
                    .map_or_else(String::new, |dates| format!(", {word} {}", plain(dates)))
            };
            format!(
                "{} from {}{}{}",
                recurrence(&text("rrule")),
                text("start"),
                list("except", "but not"),
                list("extra", "and")
            )
        }
        _ => plain(&Value::Object(with.clone())),
    }
}

// The forms that people mostly write; any other one is shown as it stands.
fn cron(expression: &str) -> String {
    let parts: Vec<&str> = expression.split_whitespace().collect();
    let number = |text: &str| text.parse::<u32>().ok();
    match parts.as_slice() {
        [minute, "*", "*", "*", "*"] => match minute.strip_prefix("*/") {
            Some(step) => format!("every {step} minutes"),
            None if number(minute).is_some() => format!("every hour at minute {minute}"),
            None => format!("by cron `{expression}`"),
        },
        [minute, hour, day, "*", weekday] => match (number(minute), number(hour)) {
            (Some(minute), Some(hour)) => {
                let days = match (*day, *weekday) {
                    ("*", "*") => "every day".to_owned(),
                    ("*", weekday) => format!("on {weekday}"),
                    (day, "*") => format!("on day {day} of the month"),
                    (day, weekday) => format!("on day {day} of the month or {weekday}"),
                };
                format!("{days} at {hour}:{minute:02}")
            }
            _ => format!("by cron `{expression}`"),
        },
        _ => format!("by cron `{expression}`"),
    }
}

fn recurrence(rrule: &str) -> String {
    let mut frequency = String::new();
    let mut days = String::new();
    for part in rrule.split(';') {
        match part.split_once('=') {
            Some(("FREQ", value)) => frequency = value.to_lowercase(),
            Some(("BYDAY", value)) => days = format!(" on {}", value.replace(',', ", ")),
            // More than these words say.
            _ => return format!("by `{rrule}`"),
        }
    }
    format!("{frequency}{days}")
}
