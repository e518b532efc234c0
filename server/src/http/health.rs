//! `/healthz`, `/readyz`, `/metrics`: for machines that watch over the server.
//!
//! Invariant: readiness fails when the database does not take writes, when a loop stands still or when the
//! server is ending; liveness never depends on anything but the process.

use std::{fmt::Write as _, sync::atomic::Ordering, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use so_model::time::{MINUTE, SECOND};

use super::{Json, peer};
use crate::{
    app::{App, failure::Failure, metrics::describe, recovery},
    config::MetricsAccess,
};

/// The database answers within this or is not ready.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);
/// A loop ticks every few seconds at the slowest; one that is silent for so long stands still.
const LOOP_AGE_MAX: i64 = MINUTE;

/// The process lives.
pub async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The server can do its work.
pub async fn readyz(State(app): State<App>) -> Result<Json<Value>, Failure> {
    let not_ready = |what: &str| {
        Failure::new(503, "server.not_ready", "The server is not ready")
            .detail(what)
            .next_step("Wait a moment; if it lasts, look into the server's log.")
            .retry_after(5)
    };
    if app.stopping.is_cancelled() {
        return Err(not_ready("It is ending."));
    }
    if let Some(name) = standing_loop(&app) {
        tracing::warn!(loop.name = name, "a loop stands still");
        return Err(not_ready("Part of its work stands still."));
    }
    if !database_answers(&app).await {
        return Err(not_ready("The database does not answer."));
    }
    let is_held = recovery::is_held(&mut app.reader()).await?;
    Ok(Json(
        json!({ "status": if is_held { "held" } else { "ready" } }),
    ))
}

// A loop that has not ticked at all is starting: that is for whoever started it to see.
fn standing_loop(app: &App) -> Option<&'static str> {
    let ages = app.engine.pulse.ages(app.now());
    let stands = |age: Option<i64>| age.is_some_and(|age| age > LOOP_AGE_MAX);
    ages.into_iter()
        .find(|(_, age)| stands(*age))
        .map(|(name, _)| name)
}

async fn database_answers(app: &App) -> bool {
    let both = async {
        recovery::is_held(&mut app.reader()).await?;
        app.store.begin().await?.rollback().await
    };
    match tokio::time::timeout(DATABASE_TIMEOUT, both).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(error = %crate::app::failure::chain(&error), "the database does not answer");
            false
        }
        Err(_) => {
            tracing::warn!("the database did not answer in time");
            false
        }
    }
}

/// The counters, for those whom the configuration permits.
pub async fn metrics(
    State(app): State<App>,
    peer: Option<peer::Peer>,
    headers: HeaderMap,
) -> Response {
    let is_local = peer.is_some_and(|peer| peer.0.to_canonical().is_loopback())
        && !peer::is_forwarded(&headers);
    let may = match app.config.server.metrics {
        MetricsAccess::Open => true,
        MetricsAccess::Loopback => is_local,
        MetricsAccess::Off => false,
    };
    if !may {
        return Failure::not_found("page").into_response();
    }
    const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    (
        [(header::CONTENT_TYPE, TEXT)],
        app.metrics.render() + engine_metrics(&app).as_str(),
    )
        .into_response()
}

fn engine_metrics(app: &App) -> String {
    let counters = &app.engine.counters;
    let mut out = String::new();
    for (name, help, counter) in [
        ("so_events_total", "Events stored.", &counters.events),
        ("so_runs_total", "Runs started.", &counters.runs),
        (
            "so_runs_refused_total",
            "Matching rules that started no run.",
            &counters.refused,
        ),
        (
            "so_runs_failed_total",
            "Runs that failed.",
            &counters.failed,
        ),
        ("so_jobs_total", "Jobs carried out.", &counters.jobs),
        (
            "so_job_errors_total",
            "Jobs that ended in an error of the database.",
            &counters.job_errors,
        ),
        ("so_timers_total", "Timers fired.", &counters.timers),
        (
            "so_publish_steps_refused_total",
            "Steps of publications that the protocol does not allow.",
            &counters.refused_steps,
        ),
    ] {
        describe(&mut out, name, "counter", help);
        let _ = writeln!(out, "{name} {}", counter.load(Ordering::Relaxed));
    }
    describe(
        &mut out,
        "so_loop_age_seconds",
        "gauge",
        "Time since a loop's last good tick.",
    );
    for (name, age) in app.engine.pulse.ages(app.now()) {
        if let Some(age) = age {
            let _ = writeln!(
                out,
                "so_loop_age_seconds{{loop=\"{name}\"}} {}",
                age / SECOND
            );
        }
    }
    out
}
