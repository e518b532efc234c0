//! The slots of a week as a person writes them: a day, and its times in one line.
//!
//! Pure. Invariant: reading what was written gives the same slots, sorted, each once.

use so_model::api::queue::{QueueSlot, SlotDay};

/// The days in order, with their names.
pub const DAYS: [(SlotDay, &str); 7] = [
    (SlotDay::Monday, "Monday"),
    (SlotDay::Tuesday, "Tuesday"),
    (SlotDay::Wednesday, "Wednesday"),
    (SlotDay::Thursday, "Thursday"),
    (SlotDay::Friday, "Friday"),
    (SlotDay::Saturday, "Saturday"),
    (SlotDay::Sunday, "Sunday"),
];

/// What a new queue begins with.
pub fn ordinary() -> Vec<QueueSlot> {
    DAYS[..5]
        .iter()
        .flat_map(|(weekday, _)| {
            ["09:00", "17:00"].map(|time| QueueSlot {
                weekday: *weekday,
                time: time.into(),
            })
        })
        .collect()
}

/// The times of a day: "09:00, 17:00".
pub fn line(slots: &[QueueSlot], day: SlotDay) -> String {
    let mut times: Vec<&str> = slots
        .iter()
        .filter(|slot| slot.weekday == day)
        .map(|slot| slot.time.as_str())
        .collect();
    times.sort_unstable();
    times.dedup();
    times.join(", ")
}

/// Reads a day's line; the first part that is no time is the error.
pub fn parse(day: SlotDay, line: &str) -> Result<Vec<QueueSlot>, String> {
    let mut times = Vec::new();
    for part in line.split([',', ' ', ';']).filter(|part| !part.is_empty()) {
        times.push(time(part).ok_or_else(|| {
            format!("\u{201c}{part}\u{201d} is not a time. Write it like 09:00.")
        })?);
    }
    times.sort_unstable();
    times.dedup();
    Ok(times
        .into_iter()
        .map(|time| QueueSlot { weekday: day, time })
        .collect())
}

/// "9", "9:30" and "09:30" on the 24 hour clock.
fn time(text: &str) -> Option<String> {
    let (hour, minute) = text.split_once(':').unwrap_or((text, "00"));
    let fits = |part: &str| part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !fits(hour) || !fits(minute) || minute.len() != 2 {
        return None;
    }
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then(|| format!("{hour:02}:{minute:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_is_written_sorted_and_each_time_once() {
        let slots = parse(SlotDay::Monday, "17:00, 9 09:00;12:30").unwrap();
        assert_eq!(line(&slots, SlotDay::Monday), "09:00, 12:30, 17:00");
        assert_eq!(line(&slots, SlotDay::Tuesday), "");
        assert_eq!(parse(SlotDay::Sunday, "  ").unwrap(), []);
    }

    #[test]
    fn what_is_no_time_is_named() {
        for wrong in ["25:00", "9:5", "noon", "12:60", "1200"] {
            let error = parse(SlotDay::Monday, wrong).unwrap_err();
            assert!(error.contains(wrong), "{error}");
        }
    }
}
