//! Simulated days of the engine: the real engine on SQLite, with a clock, a
//! network, processes and faults that one seed decides.
//!
//! Invariant: the same seed gives the same day, to the last line of its trace.
//!
//! `cargo test -p so-engine --test simulate` plays fifty seeds. `-- --seed 7`
//! plays one and tells its trace if it fails, or writes all of it with `--trace
//! FILE`; `-- --seeds 200 --from 1000` plays more.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod cast;
mod check;
mod day;
mod network;
mod people;
mod stage;
mod world;

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use check::Figures;
use day::{DAY, SETTLES_WITHIN};
use so_model::time::MINUTE;
use stage::Stage;
use world::World;

/// Days in the test command.
const SEEDS: u64 = 50;
/// The first of them.
const FROM: u64 = 1;
/// Lines of the trace told when a day fails.
const LINES_TOLD: usize = 120;
/// A day that takes longer in real time hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a day must at least have been.
const EVENTS_MIN: usize = 2_000;
const PUBLICATIONS_MIN: usize = 1_000;
const FAULTS_MIN: u64 = 200;

struct Day {
    seed: u64,
    hash: u64,
    lines: u64,
    figures: Figures,
    breach: Option<String>,
    last: Vec<String>,
    faults: Vec<(&'static str, u64)>,
    took: Duration,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)?.parse::<u64>().ok()
    };
    let wants_own = args.iter().any(|arg| arg == "--seed" || arg == "--seeds");
    if !wants_own
        && let Some(filter) = args.first()
        && !filter.starts_with('-')
        && !"simulated_days".contains(filter.as_str())
    {
        // `cargo test some_filter` must not play all days.
        return;
    }
    if args.iter().any(|arg| arg == "--list") {
        return;
    }
    let is_good = match value("--seed") {
        Some(seed) => {
            let path = args.iter().position(|arg| arg == "--trace");
            let path = path.and_then(|at| args.get(at + 1)).map(PathBuf::from);
            let first = play(seed, path.as_deref());
            tell(&first, true);
            let second = play(seed, None);
            is_same(&first, &second) && first.breach.is_none()
        }
        None => play_many(
            value("--from").unwrap_or(FROM),
            value("--seeds").unwrap_or(SEEDS),
        ),
    };
    if !is_good {
        std::process::exit(1);
    }
}

fn is_same(first: &Day, second: &Day) -> bool {
    let same = first.hash == second.hash && first.lines == second.lines;
    if !same {
        println!(
            "seed {}: two days differ ({:016x} of {} lines, {:016x} of {})",
            first.seed, first.hash, first.lines, second.hash, second.lines
        );
    }
    same
}

/// As many days at a time as there are processors; the first of them twice.
fn play_many(from: u64, count: u64) -> bool {
    let began = Instant::now();
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let seeds: Vec<u64> = std::iter::once(from).chain(from..from + count).collect();
    let next = AtomicUsize::new(0);
    let mut days: Vec<Day> = std::thread::scope(|scope| {
        let (next, seeds) = (&next, &seeds);
        let workers: Vec<_> = (0..threads)
            .map(|number| {
                scope.spawn(move || {
                    stay_on_processor(number);
                    let mut own = Vec::new();
                    while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let day = play(*seed, None);
                        tell(&day, false);
                        own.push(day);
                    }
                    own
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    days.sort_by_key(|day| day.seed);
    let again = days.remove(0);
    let mut is_good = days.iter().all(|day| day.breach.is_none());
    // The same seed, the same trace.
    if let Some(first) = days.first() {
        is_good &= is_same(first, &again);
    }
    summary(&days, began.elapsed());
    is_good
}

/// Keeps this thread, and those it starts, on one processor: a day and its database's thread take turns, and waking
/// a thread of another processor costs more than the work does.
fn stay_on_processor(number: usize) {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
        // Without the right to it, days only take longer.
        let Ok(allowed) = sched_getaffinity(None) else {
            return;
        };
        let mut processors = (0..CpuSet::MAX_CPU).filter(|processor| allowed.is_set(*processor));
        if let Some(processor) = processors.nth(number) {
            let mut own = CpuSet::new();
            own.set(processor);
            sched_setaffinity(None, &own).ok();
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = number;
}

fn tell(day: &Day, all: bool) {
    let figures = &day.figures;
    if all || day.breach.is_some() {
        for (kind, count) in &day.faults {
            println!("    {count:5} {kind}");
        }
        println!(
            "seed {}: {} events, {} runs, {} publications ({} published, {} failed, {} in review, {} cancelled), \
             {} calls, {} faults, {} lines, {:016x}, {:.1} s",
            day.seed,
            figures.events,
            figures.runs,
            figures.publications,
            figures.published,
            figures.failed,
            figures.review,
            figures.cancelled,
            figures.calls,
            figures.faults,
            day.lines,
            day.hash,
            day.took.as_secs_f64()
        );
    }
    if let Some(breach) = &day.breach {
        println!("seed {} FAILED: {breach}", day.seed);
        for line in &day.last {
            println!("    {line}");
        }
        println!("again: cargo xtask simulate --seed {}", day.seed);
    }
}

fn summary(days: &[Day], took: Duration) {
    let sum = |of: fn(&Figures) -> u64| days.iter().map(|day| of(&day.figures)).sum::<u64>();
    println!(
        "simulated {} days in {:.0} s: {} events, {} publications, {} faults; {} failed",
        days.len(),
        took.as_secs_f64(),
        sum(|figures| figures.events as u64),
        sum(|figures| figures.publications as u64),
        sum(|figures| figures.faults),
        days.iter().filter(|day| day.breach.is_some()).count()
    );
    let slowest = days
        .iter()
        .map(|day| day.took.as_secs_f64())
        .fold(0.0, f64::max);
    println!("the slowest day took {slowest:.1} s");
}

/// Memory if there is some: nothing is to survive a simulated day.
fn folder() -> PathBuf {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => memory.to_path_buf(),
        false => std::env::temp_dir(),
    }
}

fn play(seed: u64, trace: Option<&Path>) -> Day {
    let began = Instant::now();
    let folder = tempfile::Builder::new()
        .prefix("simulated-day-")
        .tempdir_in(folder())
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        // Nothing here reads a socket, and a runtime without them is woken for less.
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let stage = Stage::new(seed);
    if let Some(path) = trace {
        let file = std::fs::File::create(path).unwrap();
        stage.scene().file = Some(std::io::BufWriter::new(file));
    }
    let mut day = runtime.block_on(async {
        // While this blocks, the paused clock does not run ahead of the database's own thread.
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let seen = stage.clone();
        let holder = tokio::task::spawn_blocking(move || {
            if ended.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                eprintln!("seed {seed}: the day does not come to its end");
                for line in seen.scene().last_lines(LINES_TOLD) {
                    eprintln!("    {line}");
                }
                std::process::exit(1);
            }
        });
        let day = play_day(seed, stage, folder.path().to_path_buf()).await;
        drop(end);
        holder.await.unwrap();
        day
    });
    day.took = began.elapsed();
    day
}

async fn play_day(seed: u64, stage: Stage, folder: PathBuf) -> Day {
    let mut world = World::open(stage.clone(), folder).await;
    day::set_up(&mut world).await;
    day::plan(&mut world);
    stage.scene().is_calm = false;
    world.play(DAY).await;
    stage.scene().is_calm = true;
    stage.note("faults stop");
    // People keep making their rounds until all is settled.
    let mut at = DAY;
    while at < DAY + SETTLES_WITHIN {
        world.plan(at, world::Item::Round);
        at += 10 * MINUTE;
    }
    if stage.scene().breach.is_none() {
        // Not on the hour, when a rule starts whose work would be left over.
        world.play(DAY + SETTLES_WITHIN - 7 * MINUTE).await;
    }
    let mut figures = Figures::default();
    if stage.scene().breach.is_none() {
        figures = check::check(&mut world).await;
    }
    let mut scene = stage.scene();
    if let Some(mut file) = scene.file.take() {
        std::io::Write::flush(&mut file).unwrap();
    }
    let faults: Vec<_> = scene
        .faults
        .iter()
        .map(|(kind, count)| (*kind, *count))
        .collect();
    if scene.breach.is_none() {
        let enough = figures.events >= EVENTS_MIN
            && figures.publications >= PUBLICATIONS_MIN
            && figures.faults >= FAULTS_MIN;
        if !enough {
            scene.breach(format!("the day was too quiet: {figures:?}"));
        }
    }
    Day {
        seed,
        hash: scene.hash(),
        lines: scene.count(),
        figures,
        breach: scene.breach.clone(),
        last: scene.last_lines(LINES_TOLD),
        faults,
        took: Duration::ZERO,
    }
}
