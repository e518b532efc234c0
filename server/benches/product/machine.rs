//! What the machine costs, so that durable figures can be compared.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

/// Syncs measured.
const SYNCS: usize = 200;

/// Median time of writing 4 KiB and syncing it.
pub fn fsync_median() -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(folder.path().join("probe")).unwrap();
    let mut times: Vec<Duration> = (0..SYNCS)
        .map(|_| {
            let began = Instant::now();
            file.write_all(&[7; 4096]).unwrap();
            file.sync_data().unwrap();
            began.elapsed()
        })
        .collect();
    times.sort();
    times[SYNCS / 2]
}

/// Processor time of a process, from `/proc`.
pub fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit(')').next().unwrap_or("");
    let field = |n: usize| {
        rest.split_whitespace()
            .nth(n)
            .and_then(|text| text.parse::<u64>().ok())
            .unwrap_or(0)
    };
    // Fields 14 and 15 of proc(5), in hundredths of a second on Linux.
    Duration::from_millis((field(11) + field(12)) * 10)
}

/// A line of `/proc/PID/status` in bytes.
pub fn status_bytes(pid: u32, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}
