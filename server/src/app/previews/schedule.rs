//! When would this fire?

use so_engine::schedule::{Decision, Occurrence, Schedule, ScheduleError};
use so_model::{
    Timestamp,
    api::preview::{OccurrenceView, PreviewSchedule, PreviewTrigger, SchedulePreview},
    problem::FieldError,
};

use crate::app::{
    App,
    failure::{Failure, Outcome},
    text,
};

/// Most moments of one answer.
const COUNT_MAX: u32 = 100;
const COUNT_DEFAULT: u32 = 10;

/// The next moments of a schedule or of a trigger.
pub async fn schedule(app: &App, request: PreviewSchedule) -> Outcome<SchedulePreview> {
    let count = request.count.unwrap_or(COUNT_DEFAULT);
    if count == 0 || count > COUNT_MAX {
        return Err(Failure::field(
            "/count",
            "is out of range",
            format!("1 to {COUNT_MAX}"),
        ));
    }
    let zone = request.zone.as_deref().unwrap_or("UTC");
    let zone = text::time_zone(zone, "/zone").map_err(|error| Failure::invalid(vec![error]))?;
    let (schedule, pointer) = match (&request.schedule, &request.trigger) {
        (Some(schedule), None) => (read(schedule)?, "/schedule"),
        (None, Some(trigger)) => (of_trigger(app, trigger, &zone)?, "/trigger/with"),
        _ => {
            return Err(Failure::field(
                "/schedule",
                "stands together with a trigger, or neither is there",
                "one of the two",
            ));
        }
    };
    let after = request.after.unwrap_or_else(|| app.now());
    // Rules of the calendar may have to look far ahead for the next moment.
    let look = move || {
        schedule
            .compile()
            .map(|compiled| compiled.occurrences(after.micros(), count as usize))
    };
    let occurrences = app
        .bench
        .work(look)
        .await?
        .map_err(|error| Failure::invalid(vec![field_error(error, pointer)]))?;
    Ok(SchedulePreview {
        occurrences: occurrences.into_iter().map(view).collect(),
    })
}

fn read(schedule: &serde_json::Value) -> Outcome<Schedule> {
    let bytes = schedule.to_string();
    crate::http::json::parse::<Schedule>(bytes.as_bytes()).map_err(|mut failure| {
        for error in &mut failure.problem.errors {
            error.pointer.insert_str(0, "/schedule");
        }
        failure
    })
}

fn of_trigger(app: &App, trigger: &PreviewTrigger, zone: &str) -> Outcome<Schedule> {
    let Some(plugin) = app.engine.plugins.trigger(&trigger.kind) else {
        let known = app
            .engine
            .plugins
            .catalogue()
            .triggers
            .keys()
            .map(String::as_str);
        let near = crate::config::nearest(&trigger.kind, known).map(str::to_string);
        let error = FieldError::new("/trigger/kind", "there is no such trigger")
            .expected("a trigger of the catalogue")
            .suggest(near);
        return Err(Failure::invalid(vec![error]));
    };
    let made = plugin.schedule(&trigger.with, zone).map_err(|mut error| {
        error.pointer.insert_str(0, "/trigger/with");
        Failure::invalid(vec![error])
    })?;
    made.ok_or_else(|| {
        Failure::field(
            "/trigger/kind",
            "is not started by time",
            "a trigger such as time.cron",
        )
    })
}

fn field_error(error: ScheduleError, pointer: &str) -> FieldError {
    FieldError::new(format!("{pointer}{}", error.field), error.reason)
        .expected(error.next_step)
        .suggest(error.suggestion)
}

fn view(occurrence: Occurrence) -> OccurrenceView {
    OccurrenceView {
        at: Timestamp::from_micros(occurrence.at_micros),
        explanation: occurrence.explanation(),
        is_special: occurrence.decision != Decision::Normal,
        local: occurrence.local,
        zone: occurrence.zone,
    }
}
