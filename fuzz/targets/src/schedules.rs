//! Schedules as people write them.
//!
//! Owns the promise of `schedule`: what comes next is later, is the same from wherever it is asked,
//! and is shown as clocks show it. Input: a line that names the form, then its fields line by line.

use so_engine::schedule::{
    CatchUp, CompiledSchedule, Schedule, Weekday, WeeklySlot, plan_catch_up,
};

/// Moments asked from: the ends of time, a gap and a fold in Berlin, a skipped day in Apia.
const MOMENTS: [i64; 7] = [
    i64::MIN,
    i64::MAX,
    0,
    1_774_745_940_000_000,
    1_792_888_200_000_000,
    1_325_239_200_000_000,
    32_503_680_000_000_000,
];

pub(crate) fn run(data: &[u8]) {
    let text = crate::text_of(data);
    let mut lines = text.lines();
    let form = lines.next().unwrap_or("");
    let lines: Vec<&str> = lines.collect();
    if form == "json" {
        if let Ok(schedule) = serde_json::from_str::<Schedule>(&lines.join("\n")) {
            ask(&schedule);
        }
        return;
    }
    let line = |n: usize| lines.get(n).copied().unwrap_or("").to_owned();
    let zone = line(0);
    let rest = || lines.iter().skip(3).map(|line| (*line).to_owned());
    let schedule = match form {
        "at" => Schedule::At {
            at: line(1),
            zone: Some(zone).filter(|zone| !zone.is_empty()),
        },
        "every" => Schedule::Every {
            every: line(0),
            anchor: Some(line(1)).filter(|anchor| !anchor.is_empty()),
        },
        "rule" => Schedule::Recurrence {
            rrule: line(1),
            start: line(2),
            zone,
            except: rest()
                .filter(|date| date.starts_with('-'))
                .map(|date| date[1..].to_owned())
                .collect(),
            extra: rest().filter(|date| !date.starts_with('-')).collect(),
        },
        "slots" => Schedule::Slots {
            zone,
            slots: lines
                .iter()
                .skip(1)
                .map(|time| WeeklySlot {
                    weekday: if time.len() % 2 == 0 {
                        Weekday::Sunday
                    } else {
                        Weekday::Saturday
                    },
                    time: time.trim().to_owned(),
                })
                .collect(),
        },
        _ => Schedule::Cron {
            expression: line(1),
            zone,
        },
    };
    ask(&schedule);
}

fn ask(schedule: &Schedule) {
    let compiled = match schedule.compile() {
        Ok(compiled) => compiled,
        Err(error) => {
            assert!(!error.field.is_empty() && !error.to_string().is_empty());
            return;
        }
    };
    for moment in MOMENTS {
        walk(&compiled, moment);
    }
    for policy in [
        CatchUp::Once,
        CatchUp::Late {
            within: "1d".into(),
        },
    ] {
        let (due, now) = (MOMENTS[3], MOMENTS[3] + 3_600_000_000 * 30);
        let plan = plan_catch_up(&policy, &compiled, due, now).unwrap();
        let fired: Vec<i64> = plan.fire.iter().map(|one| one.at_micros).collect();
        assert!(
            fired.is_sorted_by(|one, next| one < next),
            "fired twice or out of order"
        );
        assert!(fired.iter().all(|at| (due..=now).contains(at)));
        assert!(plan.next.is_none_or(|next| next.at_micros > now));
    }
}

fn walk(schedule: &CompiledSchedule, moment: i64) {
    let mut after = moment;
    for _ in 0..4 {
        let Some(next) = schedule.next_after(after) else {
            return;
        };
        assert!(next.at_micros > after, "what comes next is not later");
        // From just before it, and from half way, the same comes next.
        let half = after.max(next.at_micros - 7_200_000_000);
        let half = half + (next.at_micros - half) / 2;
        for from in [next.at_micros - 1, half] {
            if from >= after && from < next.at_micros {
                assert_eq!(
                    schedule.next_after(from).as_ref(),
                    Some(&next),
                    "from {from}"
                );
            }
        }
        assert!(!next.explanation().is_empty());
        after = next.at_micros;
    }
}
