//! Forecasts of the calendar as people ask for them.
//!
//! Owns the span, the drafts, and how many forecasts are made at a time. Must not play anything: the engine does.
//! Invariant: a forecast is made off the threads that serve requests, writes nothing, calls nobody, and is given up when
//! it takes too long.

use std::time::Duration;

use so_engine::{
    forecast::{self, Ask, DRAFTS_MAX, Draft, ForecastError, Outbound, Parts, SPAN_MAX},
    plugin::Plugins,
};
use so_model::{
    Timestamp,
    account::AccountState,
    api::{
        forecast::{ForecastDraft, ForecastQuery, ForecastRequest},
        rule::RuleInput,
    },
    forecast::Forecast,
    id::{AccountId, WorkspaceId},
    problem::FieldError,
    time::{DAY, HOUR},
};
use so_store::accounts;
use tokio::sync::Semaphore;

use super::{
    App, build,
    failure::{Failure, Outcome},
    rules,
};

/// Forecasts at a time: each keeps a processor and some ten megabytes busy.
const AT_ONCE: usize = 2;
/// How long somebody waits for a place.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest time a forecast may take; one of a full calendar takes seconds.
const LONGEST: Duration = Duration::from_secs(30);
/// The span when none is named.
const WEEKS_DEFAULT: u32 = 4;
/// Rules as if they were off, in one forecast.
const WITHOUT_MAX: usize = 100;
/// Accounts whose tokens are looked at.
const ACCOUNTS_MAX: i64 = 5_000;

/// Where forecasts are made.
#[derive(Debug)]
pub struct Places(Semaphore);

impl Default for Places {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
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
    let ask = Ask {
        workspace,
        from,
        until,
        drafts: drafts(app, workspace, request.drafts).await?,
        without: request.without,
        token_ends: token_ends(app, workspace, until).await?,
    };
    let place = tokio::time::timeout(PATIENCE, app.forecasts.0.acquire()).await;
    let _place = match place {
        Ok(place) => place.map_err(|_| Failure::internal())?,
        Err(_) => {
            let failure = Failure::new(503, "forecast.busy", "Other forecasts are being made");
            return Err(failure.next_step("Try again in a moment."));
        }
    };
    let outbound = Outbound::default();
    let plugins = build::for_forecast(app, outbound.clone());
    make(app, plugins, outbound, ask).await
}

/// Plays on a thread of its own, so that those of the server stay free.
async fn make(app: &App, plugins: Plugins, out: Outbound, ask: Ask) -> Outcome<Forecast> {
    let parts = Parts {
        plugins,
        scripts: app.engine.scripts.clone(),
        out,
    };
    let store = app.store.clone();
    let runtime = tokio::runtime::Handle::current();
    let played = tokio::task::spawn_blocking(move || {
        runtime.block_on(async {
            tokio::time::timeout(LONGEST, forecast::forecast(&store, parts, &ask)).await
        })
    });
    let played = played.await.map_err(|error| {
        tracing::error!(%error, "a forecast did not come to its end");
        Failure::internal()
    })?;
    let forecast = played.map_err(|_| {
        Failure::new(503, "forecast.too_long", "The forecast took too long")
            .next_step("Ask for fewer weeks, or again when the server is less busy.")
    })?;
    forecast.map_err(failure)
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

async fn drafts(
    app: &App,
    workspace: WorkspaceId,
    asked: Vec<ForecastDraft>,
) -> Outcome<Vec<Draft>> {
    if asked.len() > DRAFTS_MAX {
        let expected = format!("at most {DRAFTS_MAX}");
        return Err(Failure::field("/drafts", "are too many", expected));
    }
    let mut drafts = Vec::with_capacity(asked.len());
    for (index, draft) in asked.into_iter().enumerate() {
        if draft.document.is_none() && draft.text.is_none() {
            let field = format!("/drafts/{index}");
            let expected = "a rule in document or text";
            return Err(Failure::field(&field, "holds no rule", expected));
        }
        let input = RuleInput {
            document: draft.document,
            text: draft.text,
            ..RuleInput::default()
        };
        let checked = rules::check(app, Some(workspace), input).await?;
        let Some(document) = checked.document else {
            return Err(mistaken(index, checked.errors));
        };
        let rule = draft.rule;
        drafts.push(Draft { rule, document });
    }
    Ok(drafts)
}

fn mistaken(index: usize, errors: Vec<FieldError>) -> Failure {
    let mut failure = Failure::new(422, "rule.invalid", "A draft has mistakes")
        .next_step("Correct what is named and try again.");
    let within = |error: FieldError| FieldError {
        pointer: format!("/drafts/{index}{}", error.pointer),
        ..error
    };
    failure.problem.errors = errors.into_iter().map(within).collect();
    failure
}

/// Tokens that end within the span, at networks that give no new one without their person.
async fn token_ends(
    app: &App,
    workspace: WorkspaceId,
    until: Timestamp,
) -> Outcome<Vec<(AccountId, Timestamp)>> {
    let all = accounts::list(&mut app.reader(), workspace, "", ACCOUNTS_MAX).await?;
    let connectors = app.access.connectors();
    let ends = all.into_iter().filter_map(|account| {
        let end = account.token_expires_at.filter(|end| *end < until)?;
        let renews = connectors
            .find(&account.network)
            .is_some_and(|connector| connector.renews_tokens());
        (account.state == AccountState::Active && !renews).then_some((account.id, end))
    });
    Ok(ends.collect())
}
