//! What the figures were taken on.

use std::{
    fs::File,
    io::Write as _,
    process::Command,
    time::{Duration, Instant},
};

/// Syncs measured.
const SYNCS: usize = 200;
/// Steps of the piece of work: some tenths of a second.
const STEPS: usize = 4_000_000;
/// Numbers that the piece of work walks through: 64 MiB, more than a processor's caches hold.
const PLACES: usize = 1 << 23;

/// What the machine did just before a run, so that figures of two days can be compared.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Median time of a small write with its sync.
    pub fsync: Option<Duration>,
    /// The same arithmetic each time.
    pub arithmetic: Duration,
    /// The same walk through memory that no cache holds each time.
    pub memory: Duration,
}

impl Pace {
    /// Measured now.
    pub fn measured() -> Self {
        Self {
            fsync: fsync_median(),
            arithmetic: arithmetic(),
            memory: walk(),
        }
    }
}

fn arithmetic() -> Duration {
    let began = Instant::now();
    let mut state = 88_172_645_463_325_252_u64;
    for _ in 0..STEPS {
        state = step(state);
    }
    std::hint::black_box(state);
    began.elapsed()
}

/// Each place names the next one, so that no read can begin before the one before has ended.
fn walk() -> Duration {
    // A full period modulo a power of two (Hull and Dobell): every place is met once.
    let places: Vec<u64> = (0..PLACES as u64)
        .map(|place| (place * 5_592_405 + 3_037_001) % PLACES as u64)
        .collect();
    let began = Instant::now();
    let mut place = 0;
    for _ in 0..STEPS {
        place = places[place as usize];
    }
    std::hint::black_box(place);
    began.elapsed()
}

/// Marsaglia's xorshift over 64 bits.
fn step(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    state
}

/// Processor, memory, kernel and compiler in one line.
pub fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let parts = [
        format!("{cores} cores"),
        line_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into()),
        memory(),
        said("uname", &["-sr"]),
        said("rustc", &["--version"])
            .split(" (")
            .next()
            .unwrap_or_default()
            .to_owned(),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(", ")
}

/// Day and minute, UTC.
pub fn moment() -> String {
    said("date", &["-u", "+%Y-%m-%d %H:%M UTC"])
}

/// Median time of writing 4 KiB to the folder of temporary files and syncing it.
fn fsync_median() -> Option<Duration> {
    let folder = tempfile::tempdir().ok()?;
    let mut file = File::create(folder.path().join("probe")).ok()?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&[7; 4096]).ok()?;
        file.sync_data().ok()?;
        times.push(began.elapsed());
    }
    times.sort();
    times.get(SYNCS / 2).copied()
}

fn memory() -> String {
    let kilobytes = line_of("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    kilobytes.map_or_else(String::new, |size| {
        format!("{:.0} GiB", size / 1024.0 / 1024.0)
    })
}

fn line_of(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
