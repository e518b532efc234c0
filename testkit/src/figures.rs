//! What benchmarks share: what they were asked for, and how they tell a figure.
//!
//! Owns the line that `cargo xtask bench` reads; it must not know what is measured. Invariant: one line of
//! standard output is one figure, and everything else goes to standard error.

use std::{io::Write as _, time::Duration};

use serde_json::json;

/// What a line with a figure begins with.
pub const MARK: &str = "figure ";

/// What a benchmark was asked for on its command line.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    only: Vec<String>,
    database: Option<String>,
    /// Small sizes: whether everything runs, not how fast.
    pub is_quick: bool,
}

impl Ask {
    /// Reads `--only NAME`, `--database NAME` and `--quick`; what cargo adds is passed over.
    pub fn from_args() -> Self {
        let mut ask = Self::default();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--only" => ask.only.extend(words.next()),
                "--database" => ask.database = words.next(),
                "--quick" => ask.is_quick = true,
                _ => {}
            }
        }
        ask
    }

    /// Whether a part is to run; without a choice all do.
    pub fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == part)
    }

    /// Whether a database is to be measured; without a choice both are.
    pub fn wants_database(&self, database: &str) -> bool {
        self.database
            .as_deref()
            .is_none_or(|chosen| chosen == database || chosen == "both")
    }

    /// The full size, or the small one.
    pub fn size(&self, full: usize, small: usize) -> usize {
        if self.is_quick { small } else { full }
    }
}

/// What a figure is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// Nothing: it explains another one.
    None,
    /// It must not be below this.
    AtLeast(f64),
    /// It must not be above this.
    AtMost(f64),
}

/// Tells the figures of one part on one database.
#[derive(Debug, Clone, Copy)]
pub struct Teller {
    part: &'static str,
    database: &'static str,
}

impl Teller {
    /// For figures that depend on a database: `sqlite` or `postgres`.
    pub fn on(part: &'static str, database: &'static str) -> Self {
        Self { part, database }
    }

    /// For figures that no database has a share in.
    pub fn alone(part: &'static str) -> Self {
        Self::on(part, "none")
    }

    /// Tells one figure.
    pub fn tell(&self, name: &str, value: f64, unit: &str, goal: Goal) {
        let (at_least, at_most) = match goal {
            Goal::None => (None, None),
            Goal::AtLeast(bound) => (Some(bound), None),
            Goal::AtMost(bound) => (None, Some(bound)),
        };
        let line = json!({
            "part": self.part, "database": self.database, "name": name, "value": value, "unit": unit,
            "at_least": at_least, "at_most": at_most,
        });
        let mut out = std::io::stdout().lock();
        // Nobody listens any more: the benchmark was ended.
        let _ = writeln!(out, "{MARK}{line}").and_then(|()| out.flush());
    }

    /// Tells the median and the 99th percentile of some times, in milliseconds.
    pub fn tell_times(&self, name: &str, times: Vec<Duration>, p50: Goal, p99: Goal) {
        let Some((half, most)) = percentiles(times) else {
            return;
        };
        self.tell(&format!("{name}, p50"), millis(half), "ms", p50);
        self.tell(&format!("{name}, p99"), millis(most), "ms", p99);
    }
}

/// Tells on standard error what is being done.
pub fn progress(what: &str) {
    let _ = writeln!(std::io::stderr().lock(), "   … {what}");
}

/// Milliseconds with their fraction.
pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Median and 99th percentile; none of nothing.
pub fn percentiles(mut times: Vec<Duration>) -> Option<(Duration, Duration)> {
    times.sort();
    let at =
        |share: usize| times.get((times.len() * share / 100).min(times.len().saturating_sub(1)));
    Some((*at(50)?, *at(99)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_few_times_are_among_them() {
        let times = |n: u64| (1..=n).map(Duration::from_millis).collect::<Vec<_>>();
        assert_eq!(percentiles(Vec::new()), None);
        let one = Duration::from_millis(1);
        assert_eq!(percentiles(times(1)), Some((one, one)));
        let (half, most) = percentiles(times(100)).unwrap();
        assert_eq!((half.as_millis(), most.as_millis()), (51, 100));
    }

    #[test]
    fn without_a_choice_everything_is_wanted() {
        let ask = Ask::default();
        assert!(ask.wants("events") && ask.wants_database("sqlite"));
        let chosen = Ask {
            only: vec!["rules".into()],
            database: Some("postgres".into()),
            is_quick: true,
        };
        assert!(chosen.wants("rules") && !chosen.wants("events"));
        assert!(!chosen.wants_database("sqlite"));
        assert_eq!(chosen.size(100, 1), 1);
    }
}
