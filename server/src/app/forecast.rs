//! Forecasts of the calendar as people ask for them.
//!
//! Owns the span, the drafts, and how many forecasts are made at a time. Must not play anything: the engine does.
//! Invariant: a forecast is made off the threads that serve requests, writes nothing, calls nobody, and is given up when
//! it takes too long.

use std::time::Duration;

use so_engine::forecast::{self, Ask, DRAFTS_MAX, Draft, ForecastError, Outbound, Parts, SPAN_MAX};
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

use super::{
    App,
    apart::Places,
    build,
    failure::{Failure, Outcome},
    rules,
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
        stay_on_a_processor();
        forecast::forecast(&store, parts, &ask).await
    };
    let made = place.work(work).await?.ok_or_else(|| {
        Failure::new(503, "forecast.too_long", "The forecast took too long")
            .next_step("Ask for fewer weeks, or again when the server is less busy.")
    })?;
    made.map_err(failure)
}

/// Keeps this thread, and that of the database in memory, which it starts, on one processor: the two take turns, and
/// waking a thread of another processor costs more than a statement does.
fn stay_on_a_processor() {
    #[cfg(target_os = "linux")]
    {
        use std::sync::atomic::{AtomicUsize, Ordering};

        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
        // Two forecasts at a time get two processors, if there are as many.
        static TURN: AtomicUsize = AtomicUsize::new(0);
        // Without the right to it, a forecast only takes longer.
        let Ok(allowed) = sched_getaffinity(None) else {
            return;
        };
        let processors = (0..CpuSet::MAX_CPU).filter(|processor| allowed.is_set(*processor));
        let processors: Vec<usize> = processors.collect();
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        if let Some(processor) = processors.get(turn % processors.len().max(1)) {
            let mut own = CpuSet::new();
            own.set(*processor);
            sched_setaffinity(None, &own).ok();
        }
    }
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

/// Rules as they might be, checked as saved ones are.
pub(super) async fn drafts(
    app: &App,
    workspace: WorkspaceId,
    asked: Vec<ForecastDraft>,
    most: usize,
) -> Outcome<Vec<Draft>> {
    if asked.len() > most {
        let expected = format!("at most {most}");
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
