//! Time as a start: once, by cron, at an interval, by a recurrence rule.
//!
//! Owns the parameters only; when a schedule comes due, and what happens at
//! daylight-saving edges, is the engine's one policy (docs/schedules.md).

use serde_json::{Map, Value, json};
use so_engine::{
    plugin::TriggerKind,
    rule::catalogue::{Discriminator, TriggerSpec},
    schedule::{Schedule, ScheduleError},
};
use so_model::{event::kind, problem::FieldError};

use crate::spec::object;

fn spec(
    name: &str,
    title: &str,
    description: &str,
    properties: Value,
    required: &[&str],
) -> TriggerSpec {
    TriggerSpec {
        kind: name.into(),
        title: title.into(),
        description: description.into(),
        event_kinds: vec![kind::TIME_DUE.into()],
        params_schema: object(properties, required),
        sample_data: json!({
            "rule": "rule_01890a5dac96774bbcceb302099a8057", "trigger": "start", "late_by_s": 0,
            "occurrence": {"at": "2026-11-24T08:00:00Z", "local": "2026-11-24T09:00:00",
                           "zone": "Europe/Berlin", "explanation": "on time"}
        }),
        open_data: false,
        discriminators: vec![
            Discriminator::rule("data.rule"),
            Discriminator::trigger("data.trigger"),
        ],
    }
}

fn zone_schema() -> Value {
    json!({"type": "string", "description": "IANA time zone; the workspace's if absent", "examples": ["Europe/Berlin"]})
}

/// The schedule that `with` describes, in the given zone unless it names one.
fn schedule(
    kind: &str,
    with: &Map<String, Value>,
    zone: &str,
) -> Result<Option<Schedule>, FieldError> {
    let mut all = with.clone();
    all.insert("kind".into(), json!(kind));
    if matches!(kind, "at" | "cron" | "recurrence") && !all.contains_key("zone") {
        all.insert("zone".into(), json!(zone));
    }
    let schedule: Schedule = serde_json::from_value(Value::Object(all))
        .map_err(|error| FieldError::new("", error.to_string()))?;
    schedule.compile().map_err(field_error)?;
    Ok(Some(schedule))
}

fn field_error(error: ScheduleError) -> FieldError {
    FieldError::new(error.field.clone(), error.reason.clone())
        .expected(error.next_step.clone())
        .suggest(error.suggestion)
}

/// Once, at a moment.
pub struct At;

impl TriggerKind for At {
    fn spec(&self) -> TriggerSpec {
        let properties = json!({
            "at": {"type": "string", "description": "RFC 3339, or a local time such as 2026-11-24T09:00"},
            "zone": zone_schema()
        });
        spec(
            "time.at",
            "At a time",
            "Starts once, at the given moment.",
            properties,
            &["at"],
        )
    }
    fn schedule(
        &self,
        with: &Map<String, Value>,
        zone: &str,
    ) -> Result<Option<Schedule>, FieldError> {
        schedule("at", with, zone)
    }
}

/// By a cron expression.
pub struct Cron;

impl TriggerKind for Cron {
    fn spec(&self) -> TriggerSpec {
        let properties = json!({
            "expression": {"type": "string", "description": "Minute, hour, day of month, month, day of week", "examples": ["0 9 * * MON-FRI"]},
            "zone": zone_schema()
        });
        spec(
            "time.cron",
            "Cron",
            "Starts whenever the cron expression matches the wall clock.",
            properties,
            &["expression"],
        )
    }
    fn schedule(
        &self,
        with: &Map<String, Value>,
        zone: &str,
    ) -> Result<Option<Schedule>, FieldError> {
        schedule("cron", with, zone)
    }
}

/// At an interval of elapsed time.
pub struct Every;

impl TriggerKind for Every {
    fn spec(&self) -> TriggerSpec {
        let properties = json!({
            "every": {"type": "string", "description": "Duration, at least one minute", "examples": ["15m", "2h"]},
            "anchor": {"type": "string", "description": "Moment from which the intervals count; 1970 if absent"}
        });
        spec(
            "time.every",
            "Every interval",
            "Starts again and again after the same elapsed time.",
            properties,
            &["every"],
        )
    }
    fn schedule(
        &self,
        with: &Map<String, Value>,
        zone: &str,
    ) -> Result<Option<Schedule>, FieldError> {
        schedule("every", with, zone)
    }
}

/// By a recurrence rule with exceptions.
pub struct Recurrence;

impl TriggerKind for Recurrence {
    fn spec(&self) -> TriggerSpec {
        let dates = json!({"type": "array", "items": {"type": "string"}, "maxItems": 1000});
        let properties = json!({
            "rrule": {"type": "string", "description": "RFC 5545 recurrence rule", "examples": ["FREQ=WEEKLY;BYDAY=MO,TH"]},
            "start": {"type": "string", "description": "First local date and time", "examples": ["2026-11-24T09:00"]},
            "zone": zone_schema(),
            "except": dates, "extra": dates
        });
        spec(
            "time.recurrence",
            "Recurrence",
            "Starts at each occurrence of a recurrence rule.",
            properties,
            &["rrule", "start"],
        )
    }
    fn schedule(
        &self,
        with: &Map<String, Value>,
        zone: &str,
    ) -> Result<Option<Schedule>, FieldError> {
        schedule("recurrence", with, zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_schedule_without_a_zone_runs_in_the_workspaces() {
        let made = Cron
            .schedule(&with(json!({"expression": "0 9 * * *"})), "Europe/Berlin")
            .unwrap()
            .unwrap();
        let first = made
            .compile()
            .unwrap()
            .next_after(1_780_000_000_000_000)
            .unwrap();
        assert_eq!(
            (first.zone.as_str(), &first.local[11..16]),
            ("Europe/Berlin", "09:00")
        );
    }

    #[test]
    fn a_wrong_schedule_names_its_field_and_what_was_expected() {
        let error = Cron
            .schedule(&with(json!({"expression": "61 9 * * *"})), "UTC")
            .unwrap_err();
        assert_eq!(error.pointer, "/expression");
        let error = Recurrence
            .schedule(&with(json!({"rrule": "FREQ=WEEKLY", "start": "2026-11-24T09:00", "zone": "Europe/Berln"})), "UTC")
            .unwrap_err();
        assert_eq!(
            (error.pointer.as_str(), error.suggestion.as_deref()),
            ("/zone", Some("Europe/Berlin"))
        );
    }
}
