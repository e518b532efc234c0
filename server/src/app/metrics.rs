//! Counters for Prometheus.
//!
//! Owns counts of answers and their times by route. Invariant: a label is a route's pattern, a method or a
//! class of status, never part of a request, so that no client can make the table grow.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

/// Upper ends of the buckets, in seconds: from a cached read to the longest call.
const BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Labels {
    method: &'static str,
    route: String,
    class: u16,
}

#[derive(Debug, Default, Clone)]
struct Times {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    seconds: f64,
}

/// The counters of this process.
#[derive(Debug, Default)]
pub struct Metrics {
    answers: Mutex<BTreeMap<Labels, Times>>,
    /// Connections that are open.
    pub connections: AtomicI64,
    /// Live streams that are open.
    pub streams: AtomicI64,
    /// Handlers that panicked.
    pub panics: AtomicU64,
    /// Histories of publications that the protocol could not have written, counted at every look.
    pub history_violations: AtomicU64,
}

impl Metrics {
    /// Counts an answer. `route` is the pattern, such as `/api/v1/workspaces/{ws}`.
    pub fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        let labels = Labels {
            method: known_method(method),
            route: route.to_string(),
            class: status / 100,
        };
        let seconds = took.as_secs_f64();
        let mut all = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let times = all.entry(labels).or_default();
        times.count += 1;
        times.seconds += seconds;
        for (bucket, end) in times.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(seconds <= end);
        }
    }

    /// Everything in Prometheus' text form.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let answers = self
            .answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        describe(
            &mut out,
            "so_http_request_seconds",
            "histogram",
            "Time from a request's head to its answer's head.",
        );
        for (labels, times) in &answers {
            render_times(&mut out, labels, times);
        }
        gauge(
            &mut out,
            "so_http_connections",
            "Connections that are open.",
            self.connections.load(Ordering::Relaxed),
        );
        gauge(
            &mut out,
            "so_live_streams",
            "Live streams that are open.",
            self.streams.load(Ordering::Relaxed),
        );
        describe(
            &mut out,
            "so_http_panics_total",
            "counter",
            "Handlers that panicked.",
        );
        let _ = writeln!(
            out,
            "so_http_panics_total {}",
            self.panics.load(Ordering::Relaxed)
        );
        describe(
            &mut out,
            "so_publish_history_violations_total",
            "counter",
            "Histories of publications that the protocol does not allow, at every look.",
        );
        let _ = writeln!(
            out,
            "so_publish_history_violations_total {}",
            self.history_violations.load(Ordering::Relaxed)
        );
        out
    }
}

fn render_times(out: &mut String, labels: &Labels, times: &Times) {
    let name = "so_http_request_seconds";
    let labels = format!(
        "method=\"{}\",route=\"{}\",status=\"{}xx\"",
        labels.method, labels.route, labels.class
    );
    for (count, end) in times.buckets.iter().zip(BUCKETS) {
        let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{end}\"}} {count}");
    }
    let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", times.count);
    let _ = writeln!(out, "{name}_sum{{{labels}}} {}", times.seconds);
    let _ = writeln!(out, "{name}_count{{{labels}}} {}", times.count);
}

/// Writes the two lines that introduce a metric.
pub fn describe(out: &mut String, name: &str, kind: &str, help: &str) {
    // A string cannot fail to take more text.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// Writes a value that goes up and down.
pub fn gauge(out: &mut String, name: &str, help: &str, value: i64) {
    describe(out, name, "gauge", help);
    let _ = writeln!(out, "{name} {value}");
}

fn known_method(method: &str) -> &'static str {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("OTHER")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_fall_into_every_bucket_they_fit() {
        let metrics = Metrics::default();
        metrics.answered("GET", "/healthz", 200, Duration::from_millis(30));
        metrics.answered("BREW", "/healthz", 418, Duration::from_secs(60));
        let text = metrics.render();
        let labels = "method=\"GET\",route=\"/healthz\",status=\"2xx\"";
        assert!(
            text.contains(&format!("_bucket{{{labels},le=\"0.025\"}} 0\n")),
            "{text}"
        );
        assert!(
            text.contains(&format!("_bucket{{{labels},le=\"0.05\"}} 1\n")),
            "{text}"
        );
        assert!(text.contains("method=\"OTHER\""), "{text}");
    }
}
