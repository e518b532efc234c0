//! Owns when things happen: schedules as written, and the instants that follow from them.
//! Must not know a clock, a store or a rule: every answer is derived from the definition and a
//! time passed in. Invariant: `next_after(t)` is later than `t`, and no instant comes twice.
//!
//! The daylight-saving policy is told in `docs/schedules.md` and kept in one place, `zone`.

mod catch_up;
mod compiled;
mod cron;
mod duration;
mod error;
mod expand;
mod recurrence;
mod slots;
#[cfg(test)]
mod tests;
mod zone;

pub use catch_up::{CatchUp, CatchUpPlan, LATE_AFTER_MICROS, MAX_FIRED, plan_catch_up};
pub use compiled::{CompiledSchedule, MAX_OCCURRENCES, MAX_SLOTS_LOOKED_AT, next_free_slot};
pub use duration::{format_duration, parse_duration};
pub use error::ScheduleError;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When something happens, as its author wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// Once.
    At {
        /// An instant (`2026-03-29T09:30:00+02:00`), or a local time (`2026-03-29T09:30`) with a zone.
        at: String,
        /// The zone of a local time; for an instant, the zone it is shown in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zone: Option<String>,
    },
    /// By a cron expression with five fields: minute, hour, day of month, month, day of week.
    Cron {
        /// Such as `0 9 * * MON-FRI`, `*/15 * * * *` or `@daily`.
        expression: String,
        /// An IANA time zone.
        zone: String,
    },
    /// At a fixed distance in elapsed time: `1d` is 24 hours, whatever the clocks do.
    Every {
        /// Such as `15m`, `2h` or `1d`; at least one minute.
        every: String,
        /// The instant counted from (RFC 3339), which is the first occurrence. The default is
        /// 1970-01-01T00:00:00Z.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        anchor: Option<String>,
    },
    /// By a calendar rule (RFC 5545).
    Recurrence {
        /// Such as `FREQ=WEEKLY;BYDAY=MO,TH`.
        rrule: String,
        /// The local time the rule begins at, and the source of what it leaves out.
        start: String,
        /// An IANA time zone.
        zone: String,
        /// Local dates, or dates and times, at which it does not happen.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        except: Vec<String>,
        /// Local dates (at the start's time of day), or dates and times, at which it also happens.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        extra: Vec<String>,
    },
    /// At fixed local times on fixed weekdays.
    Slots {
        /// An IANA time zone.
        zone: String,
        /// The slots, in any order.
        slots: Vec<WeeklySlot>,
    },
}

/// One local time on one weekday.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeeklySlot {
    /// The weekday.
    pub weekday: Weekday,
    /// `HH:MM` on the 24 hour clock.
    pub time: String,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// One time at which a schedule fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Occurrence {
    /// The instant, in microseconds since 1970-01-01T00:00:00Z.
    pub at_micros: i64,
    /// What clocks show then, such as `2026-03-29T03:00:00`.
    pub local: String,
    /// The zone those clocks are in.
    pub zone: String,
    /// What was decided where the clocks change.
    pub decision: Decision,
}

/// What was decided for an occurrence where the clocks change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Decision {
    /// The local time exists once.
    Normal,
    /// The local time asked for does not exist; the first one after the gap is used.
    SkippedHour {
        /// The local time that was asked for.
        wanted: String,
    },
    /// The local time exists twice.
    DoubledHour {
        /// Which of the two this is.
        which: Pass,
    },
}

/// Which of two passes through the same local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pass {
    /// Before the clocks go back: the only one that fires for fixed local times.
    First,
    /// After they went back: only fires for expressions that follow elapsed time.
    Second,
}

impl Occurrence {
    /// One sentence that tells a person what was decided, and why.
    pub fn explanation(&self) -> String {
        let (zone, local) = (&self.zone, readable(&self.local));
        match &self.decision {
            Decision::Normal => format!("Fires at {local} local time in {zone}."),
            Decision::SkippedHour { wanted } => format!(
                "{} does not exist in {zone}, where clocks skip ahead, so this fires at {local}, the first local time after the gap.",
                readable(wanted)
            ),
            Decision::DoubledHour { which: Pass::First } => format!(
                "{local} comes twice in {zone}, where clocks go back, and this is the first time."
            ),
            Decision::DoubledHour {
                which: Pass::Second,
            } => format!(
                "{local} comes twice in {zone}, where clocks go back, and this is the second time, because the schedule follows elapsed time."
            ),
        }
    }
}

fn readable(local: &str) -> String {
    let minutes = local.strip_suffix(":00").unwrap_or(local);
    minutes.replacen('T', " ", 1)
}

impl Schedule {
    /// Checks the definition and makes it ready to be asked.
    pub fn compile(&self) -> Result<CompiledSchedule, ScheduleError> {
        compiled::compile(self)
    }
}
