//! Owns what becomes of occurrences that were missed, while the process was down or busy.
//! Must not know why they were missed, nor a clock. Invariant: an occurrence that is on time is
//! always fired, and every other due one is fired, asked about or counted as skipped.

use super::duration::{HOUR, MINUTE};
use super::{CompiledSchedule, Occurrence, ScheduleError, parse_duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A tick that comes later than this after its occurrence was missed: schedules are written in
/// minutes, so within one minute nobody calls it late.
pub const LATE_AFTER_MICROS: i64 = MINUTE;
/// The most occurrences fired by one plan, so that a long outage cannot flood a network.
pub const MAX_FIRED: usize = 100;
/// The most occurrences walked through only to be counted: two weeks of every minute.
const MAX_COUNTED: u64 = 20_000;
/// The most occurrences walked through in one look: what is fired at most, with room to spare.
const MAX_WALKED: usize = 4 * MAX_FIRED;
/// Looks needed to narrow any span of microseconds down, with as many again to widen it first.
const MAX_LOOKS: usize = 128;

/// What to do with occurrences that were missed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "policy", rename_all = "snake_case", deny_unknown_fields)]
pub enum CatchUp {
    /// Fire each one that is not older than this, the newest hundred at most; skip the others.
    Late {
        /// A duration such as `2h`.
        within: String,
    },
    /// Fire the latest one, however many were missed.
    Once,
    /// Fire none of them.
    Skip,
    /// Ask a person about the latest one.
    Ask,
}

impl CatchUp {
    /// Checks the policy as its author wrote it.
    pub fn check(&self) -> Result<(), ScheduleError> {
        self.window().map(drop)
    }

    fn window(&self) -> Result<i64, ScheduleError> {
        match self {
            Self::Late { within } => parse_duration(within).map_err(|error| error.at("/within")),
            _ => Ok(0),
        }
    }
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CatchUpPlan {
    /// To be fired, in order; at most [`MAX_FIRED`].
    pub fire: Vec<Occurrence>,
    /// To be put before a person.
    pub ask: Vec<Occurrence>,
    /// How many were due and are neither fired nor asked about.
    pub skipped: u64,
    /// Whether there were too many to count, so that `skipped` is the least it can be.
    pub skipped_at_least: bool,
    /// What comes after now.
    pub next: Option<Occurrence>,
}

/// Plans for all occurrences from `due_at` (the one that was being waited for) to `now`.
pub fn plan_catch_up(
    policy: &CatchUp,
    schedule: &CompiledSchedule,
    due_at: i64,
    now: i64,
) -> Result<CatchUpPlan, ScheduleError> {
    let window = policy.window()?;
    let late_until = now.saturating_sub(LATE_AFTER_MICROS).saturating_sub(1);
    let on_time = newest(
        schedule,
        due_at.max(late_until.saturating_add(1)),
        now,
        MAX_FIRED,
    );
    let room = MAX_FIRED.saturating_sub(on_time.len());
    let (mut fire, mut ask) = (Vec::new(), Vec::new());
    match policy {
        CatchUp::Late { .. } => {
            let from = due_at.max(now.saturating_sub(window));
            fire = newest(schedule, from, late_until, room);
        }
        CatchUp::Once => fire = newest(schedule, due_at, late_until, room.min(1)),
        CatchUp::Skip => {}
        CatchUp::Ask => ask = newest(schedule, due_at, late_until, 1),
    }
    let (missed, at_least) = count(schedule, due_at, late_until);
    let taken = (fire.len() + ask.len()) as u64;
    fire.extend(on_time);
    Ok(CatchUpPlan {
        fire,
        ask,
        skipped: missed.saturating_sub(taken),
        skipped_at_least: at_least,
        next: schedule.next_after(now),
    })
}

/// The newest occurrences in `from..=to`, oldest first. Looks back from the near end in growing
/// steps and then narrows down, so that years of outage cost no more than the answer.
fn newest(schedule: &CompiledSchedule, from: i64, to: i64, most: usize) -> Vec<Occurrence> {
    if from > to || most == 0 {
        return Vec::new();
    }
    // Fewer than `most` lie at or after `late`; at least that many at or after `early`.
    let (mut early, mut late) = (None, to.saturating_add(1));
    let mut back = 2 * HOUR;
    let mut best = Vec::new();
    for _ in 0..MAX_LOOKS {
        let start = match early {
            None => from.max(to.saturating_sub(back)),
            Some(early) => late - late.saturating_sub(early) / 2,
        };
        let (found, complete) = walk(schedule, start, to);
        let enough = found.len() >= most;
        if complete {
            best = found;
        }
        if complete && (enough || start == from) {
            break;
        }
        if enough {
            early = Some(start);
        } else {
            late = start;
            back = back.saturating_mul(4);
        }
    }
    best.split_off(best.len().saturating_sub(most))
}

/// The first occurrences in `from..=to`, and whether these are all.
fn walk(schedule: &CompiledSchedule, from: i64, to: i64) -> (Vec<Occurrence>, bool) {
    let mut found = Vec::new();
    let mut after = from.saturating_sub(1);
    while let Some(next) = schedule.next_after(after).filter(|n| n.at_micros <= to) {
        if found.len() == MAX_WALKED {
            return (found, false);
        }
        after = next.at_micros;
        found.push(next);
    }
    (found, true)
}

fn count(schedule: &CompiledSchedule, from: i64, to: i64) -> (u64, bool) {
    if from > to {
        return (0, false);
    }
    if let Some(counted) = schedule.counted(from, to) {
        return (counted, false);
    }
    let mut after = from.saturating_sub(1);
    for counted in 0..MAX_COUNTED {
        match schedule
            .next_after(after)
            .filter(|next| next.at_micros <= to)
        {
            None => return (counted, false),
            Some(next) => after = next.at_micros,
        }
    }
    (MAX_COUNTED, true)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::schedule::Schedule;
    use crate::schedule::duration::{DAY, SECOND};

    /// 2026-01-05T00:00:00Z, a Monday.
    const MONDAY: i64 = 1_767_571_200 * SECOND;

    fn cron(expression: &str) -> CompiledSchedule {
        let (expression, zone) = (expression.to_owned(), "UTC".to_owned());
        Schedule::Cron { expression, zone }.compile().unwrap()
    }

    fn times(list: &[Occurrence]) -> Vec<i64> {
        let minutes = |o: &Occurrence| (o.at_micros - MONDAY) / MINUTE;
        list.iter().map(minutes).collect()
    }

    fn late(within: &str) -> CatchUp {
        CatchUp::Late {
            within: within.to_owned(),
        }
    }

    #[test]
    fn an_occurrence_on_time_fires_under_every_policy() {
        let hourly = cron("0 * * * *");
        for policy in [late("1s"), CatchUp::Once, CatchUp::Skip, CatchUp::Ask] {
            for delay in [0, 30 * SECOND, LATE_AFTER_MICROS] {
                let plan = plan_catch_up(&policy, &hourly, MONDAY, MONDAY + delay).unwrap();
                assert_eq!(times(&plan.fire), [0], "{policy:?} {delay}");
                assert_eq!((plan.ask.len(), plan.skipped), (0, 0));
                assert_eq!(plan.next.unwrap().at_micros, MONDAY + HOUR);
            }
        }
    }

    #[test]
    fn an_occurrence_a_minute_past_is_missed() {
        let now = MONDAY + LATE_AFTER_MICROS + 1;
        let plan = plan_catch_up(&CatchUp::Skip, &cron("0 * * * *"), MONDAY, now).unwrap();
        assert_eq!((plan.fire.len(), plan.skipped), (0, 1));
    }

    #[test]
    fn each_policy_treats_five_missed_hours_in_its_way() {
        let hourly = cron("0 * * * *");
        let now = MONDAY + 5 * HOUR;
        let plan = |policy: CatchUp| plan_catch_up(&policy, &hourly, MONDAY, now).unwrap();
        let two_hours = plan(late("2h"));
        assert_eq!(times(&two_hours.fire), [180, 240, 300]);
        assert_eq!(two_hours.skipped, 3);
        let once = plan(CatchUp::Once);
        assert_eq!((times(&once.fire), once.skipped), (vec![240, 300], 4));
        let skip = plan(CatchUp::Skip);
        assert_eq!((times(&skip.fire), skip.skipped), (vec![300], 5));
        let ask = plan(CatchUp::Ask);
        assert_eq!(times(&ask.fire), [300]);
        assert_eq!((times(&ask.ask), ask.skipped), (vec![240], 4));
    }

    #[test]
    fn a_long_outage_fires_the_newest_hundred_at_most() {
        let now = MONDAY + 10 * DAY + 30 * SECOND;
        let plan = plan_catch_up(&late("10d"), &cron("* * * * *"), MONDAY, now).unwrap();
        let expected: Vec<i64> = (14_301..=14_400).collect();
        assert_eq!(times(&plan.fire), expected);
        assert_eq!((plan.skipped, plan.skipped_at_least), (14_301, false));
    }

    #[test]
    fn years_of_minutes_are_counted_as_at_least() {
        let now = MONDAY + 1_000 * DAY;
        let plan = plan_catch_up(&CatchUp::Once, &cron("* * * * *"), MONDAY, now).unwrap();
        assert_eq!(plan.fire.len(), 3);
        assert_eq!((plan.skipped, plan.skipped_at_least), (19_999, true));
        let (every, anchor) = ("1m".to_owned(), None);
        let every = Schedule::Every { every, anchor }.compile().unwrap();
        let plan = plan_catch_up(&CatchUp::Skip, &every, MONDAY, now).unwrap();
        assert_eq!((plan.skipped, plan.skipped_at_least), (1_439_999, false));
    }

    #[test]
    fn the_newest_is_found_behind_a_long_silence_and_a_burst() {
        // Every minute of January, then nothing until December.
        let burst = cron("* * * 1 *");
        let found = newest(&burst, MONDAY, MONDAY + 300 * DAY, 3);
        let last = 27 * 1_440 - 1;
        assert_eq!(times(&found), [last - 2, last - 1, last]);
        assert!(newest(&burst, MONDAY + 60 * DAY, MONDAY + 300 * DAY, 3).is_empty());
    }

    #[test]
    fn what_is_not_due_is_left_for_later() {
        let plan = plan_catch_up(&late("1h"), &cron("0 * * * *"), MONDAY, MONDAY - HOUR / 2);
        let plan = plan.unwrap();
        assert_eq!((plan.fire.len(), plan.skipped), (0, 0));
        assert_eq!(plan.next.unwrap().at_micros, MONDAY);
    }

    #[test]
    fn extreme_times_do_no_harm() {
        for (due, now) in [
            (i64::MIN, i64::MAX),
            (i64::MAX, i64::MIN),
            (i64::MIN, i64::MIN),
        ] {
            plan_catch_up(&late("1h"), &cron("0 0 29 2 *"), due, now).unwrap();
            plan_catch_up(&CatchUp::Once, &cron("* * * * *"), due, now).unwrap();
        }
    }

    #[test]
    fn a_bad_window_is_refused_by_name() {
        let error = late("soon").check().unwrap_err();
        assert_eq!(error.field, "/within");
        let read: CatchUp = serde_json::from_str(r#"{"policy":"late","within":"2h"}"#).unwrap();
        assert_eq!(read, late("2h"));
    }
}
