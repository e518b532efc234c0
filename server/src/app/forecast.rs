//! Forecasts of the calendar as people ask for them.
//!
//! Owns the span, the drafts, and how many forecasts are made at a time. Must not play anything: the engine does.
//! Invariant: a forecast is made off the threads that serve requests, writes nothing, calls nobody, and is given up when
//! it takes too long.

use std::time::Duration;

use so_engine::forecast::{self, Ask, DRAFTS_MAX, ForecastError, Outbound, Parts, SPAN_MAX};
use so_model::{
    Timestamp,
    account::AccountState,
    api::forecast::{ForecastQuery, ForecastRequest},
    forecast::Forecast,
    id::{AccountId, WorkspaceId},
    problem::FieldError,
    time::{DAY, HOUR},
};
use so_store::{Store, accounts};

use super::{
    App,
    apart::Places,
    build,
    failure::{Failure, Outcome},
    supposed::{drafts, mistaken},
    together::Processor,
};

/// Forecasts at a time: each keeps a processor busy, and for a full calendar a hundred megabytes.
const AT_ONCE: usize = 2;
/// Longest time a forecast may take; one of a full calendar takes seconds.
const LONGEST: Duration = Duration::from_secs(30);
/// The span when none is named.
const WEEKS_DEFAULT: u32 = 4;
/// Rules as if they were off, in one forecast.
const WITHOUT_MAX: usize = 100;
/// Accounts whose tokens are looked at.
const ACCOUNTS_MAX: i64 = 5_000;

/// Where forecasts are made.
pub(super) fn places() -> Places {
    Places::new("forecast", AT_ONCE, LONGEST)
}

/// The calendar of a span, by the rules as they are.
pub async fn look(app: &App, workspace: WorkspaceId, query: ForecastQuery) -> Outcome<Forecast> {
    let request = ForecastRequest {
        weeks: query.weeks,
        until: query.until,
        ..ForecastRequest::default()
    };
    ask(app, workspace, request).await
}

/// The calendar of a span, by the rules as they are or might be.
pub async fn ask(app: &App, workspace: WorkspaceId, request: ForecastRequest) -> Outcome<Forecast> {
    let from = app.now();
    let until = end_of(&request, from)?;
    if request.without.len() > WITHOUT_MAX {
        let expected = format!("at most {WITHOUT_MAX}");
        return Err(Failure::field("/without", "are too many", expected));
    }
    let (ends, renewed) = token_ends(app, workspace, until).await?;
    let ask = Ask {
        workspace,
        from,
        until,
        drafts: drafts(app, workspace, request.drafts, DRAFTS_MAX).await?,
        without: request.without,
        token_ends: ends,
        tokens_renewed: renewed,
    };
    let place = app
        .forecasts
        .wait("forecast.busy", "Other forecasts are being made");
    let place = place.await?;
    let outbound = Outbound::default();
    let parts = Parts {
        plugins: build::for_forecast(app, outbound.clone()),
        scripts: app.engine.scripts_now(workspace).await?,
        out: outbound,
    };
    let store = app.store.clone();
    let work = move || async move {
        let processor = Processor::next();
        let memory = {
            // The database in memory has threads of its own.
            let _kept = processor.keep();
            Store::in_memory().await?
        };
        // To read the server's database may start threads that serve others.
        let ground = forecast::copy(&store, memory, &ask).await?;
        let _kept = processor.keep();
        forecast::forecast(ground, parts, &ask).await
    };
    let made = place.work(work).await?.ok_or_else(|| {
        Failure::new(503, "forecast.too_long", "The forecast took too long")
            .next_step("Ask for fewer weeks, or again when the server is less busy.")
    })?;
    made.map_err(failure)
}

fn failure(error: ForecastError) -> Failure {
    match error {
        ForecastError::Store(error) => error.into(),
        ForecastError::NoRule(_) => Failure::not_found("rule"),
        ForecastError::NoWorkspace => Failure::not_found("workspace"),
        ForecastError::Draft(index) => {
            let error = FieldError::new("", "cannot be carried out by this server");
            mistaken(index, vec![error])
        }
    }
}

fn end_of(request: &ForecastRequest, from: Timestamp) -> Outcome<Timestamp> {
    let longest = (SPAN_MAX / (7 * DAY)).to_string();
    let until = match (request.until, request.weeks) {
        (Some(_), Some(_)) => {
            let reason = "is there beside until";
            return Err(Failure::field("/weeks", reason, "one of the two"));
        }
        (Some(until), None) => until,
        (None, weeks) => from.plus(i64::from(weeks.unwrap_or(WEEKS_DEFAULT)) * 7 * DAY),
    };
    let field = match request.until {
        Some(_) => "/until",
        None => "/weeks",
    };
    if until <= from {
        return Err(Failure::field(
            field,
            "ends before it begins",
            "a span to come",
        ));
    }
    // Whoever counts weeks on their own clock may be off by a little.
    if until.since(from) > SPAN_MAX + HOUR {
        let expected = format!("at most {longest} weeks from now");
        return Err(Failure::field(field, "is too long", expected));
    }
    Ok(until)
}

/// Tokens that end within the span, at networks that give no new one without their person, and how many others do.
async fn token_ends(
    app: &App,
    workspace: WorkspaceId,
    until: Timestamp,
) -> Outcome<(Vec<(AccountId, Timestamp)>, usize)> {
    let all = accounts::list(&mut app.reader(), workspace, "", ACCOUNTS_MAX).await?;
    let (mut ends, mut renewed) = (Vec::new(), 0);
    for account in all {
        let Some(end) = account.token_expires_at.filter(|end| *end < until) else {
            continue;
        };
        if account.state != AccountState::Active {
            continue;
        }
        let connector = app.access.connectors().find(&account.network);
        match connector.is_some_and(|connector| connector.renews_tokens()) {
            true => renewed += 1,
            false => ends.push((account.id, end)),
        }
    }
    Ok((ends, renewed))
}
