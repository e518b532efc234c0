//! The counters: statements and commits by what the database driver logs, bytes by what the kernel counts.
//!
//! Invariant: what the test itself asks is taken out again, so that how often it had to look does not matter.

use std::{
    alloc::System,
    fmt::Debug,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

use stats_alloc::StatsAlloc;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::Interest,
};

static IS_ON: AtomicBool = AtomicBool::new(false);
static STATEMENTS: AtomicU64 = AtomicU64::new(0);
static COMMITS: AtomicU64 = AtomicU64::new(0);

/// Looks whether there is something to do: how many there are depends on the machine's speed.
const LOOKS: [&str; 2] = ["SELECT MIN(", "SELECT state, COUNT(*)"];

/// What one event cost on average.
pub struct Counted {
    pub statements: f64,
    pub commits: f64,
    pub allocations: f64,
    /// None where the system does not count them.
    pub bytes: Option<f64>,
}

/// Listens to the driver.
pub struct Counters;

impl Counters {
    /// From now on, for the whole process.
    pub fn install() -> Self {
        tracing::subscriber::set_global_default(Listener).unwrap();
        Self
    }

    /// Counts work twice: allocations without the driver's log, which allocates, and then the statements; bytes both times.
    /// `work` answers how often it looked for its end.
    pub async fn count<F: Future<Output = usize>>(
        &self,
        allocator: &StatsAlloc<System>,
        events: usize,
        work: impl Fn() -> F,
        look: impl AsyncFn(),
    ) -> Counted {
        let allocated = || allocator.stats().allocations as f64;
        let before = allocated();
        look().await;
        let each_look = allocated() - before;
        let (before, from) = (allocated(), written());
        let looks = work().await;
        let allocations = allocated() - before - each_look * looks as f64;
        let middle = written();

        STATEMENTS.store(0, SeqCst);
        COMMITS.store(0, SeqCst);
        IS_ON.store(true, SeqCst);
        work().await;
        IS_ON.store(false, SeqCst);
        // SQLite copies its log into the file every so many pages, which falls into one of both.
        let bytes = || Some(f64::min(middle? - from?, written()? - middle?));
        let bytes = bytes();
        let each = |count: f64| count / events as f64;
        Counted {
            statements: each(STATEMENTS.load(SeqCst) as f64),
            commits: each(COMMITS.load(SeqCst) as f64),
            allocations: each(allocations),
            bytes: bytes.map(each),
        }
    }
}

/// Bytes that this process has handed to the kernel for writing.
fn written() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/io").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("wchar: "))?;
    line.parse().ok()
}

struct Listener;

impl Subscriber for Listener {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.target() == so_store::STATEMENT_TARGET {
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        IS_ON.load(SeqCst) && metadata.target() == so_store::STATEMENT_TARGET
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut Statement);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Reads how a statement begins.
struct Statement;

impl Visit for Statement {
    fn record_str(&mut self, field: &Field, text: &str) {
        if field.name() != "summary" || LOOKS.iter().any(|look| text.starts_with(look)) {
            return;
        }
        STATEMENTS.fetch_add(1, SeqCst);
        if text == "COMMIT" {
            COMMITS.fetch_add(1, SeqCst);
        }
    }
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        self.record_str(field, text.trim_matches('"'));
    }
}
