//! Forecasts: the calendar of a span to come, by playing it.
//!
//! Owns the virtual clock and the copy in memory that is played on. Must not write to the workspace's database, and calls
//! nobody. Invariant: what happens is decided by the engine itself (admission, decisions, runs, timers, actions on our own
//! database); what is left out is told in `docs/forecast.md`.
//!
//! Everything happens in one transaction that is never committed, so that a step costs its statements and nothing else.

mod around;
mod nowhere;
mod play;
mod snapshot;
mod told;
mod watch;

use std::collections::{HashMap, HashSet};

use so_model::{
    IdSource as _, Timestamp,
    event::kind,
    forecast::{Forecast, Warning},
    id::{AccountId, PostId, RuleId, WorkspaceId},
    post::PostState,
    time::DAY,
};
use so_store::{Store, StoreError, Tx, posts, rules, timers, workspaces};

pub use crate::draft::Draft;
pub use told::{Out, Outbound, Refusals};

use crate::{
    Engine, EngineParts,
    clock::{Ids, ManualClock},
    config::EngineConfig,
    decide::CompiledRule,
    loops::{TIMER_QUEUE, TIMER_RULE, sync_rule_timers},
    plugin::Plugins,
    script::ScriptEngine,
};
use nowhere::Nowhere;
use play::Play;
use snapshot::Copied;
use watch::Watch;

/// The longest span: a quarter of a year.
pub const SPAN_MAX: i64 = 13 * 7 * DAY;
/// Rules as they might be, in one forecast.
pub const DRAFTS_MAX: usize = 20;
/// Entries of one forecast: what a calendar shows, and what an answer can hold.
pub const ENTRIES_MAX: usize = 10_000;
/// Chance in a forecast is the same each time.
const SEED: u64 = 1;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The moment it looks ahead from: now.
    pub from: Timestamp,
    /// The end of the span; no later than [`SPAN_MAX`] after `from`.
    pub until: Timestamp,
    /// Rules as they might be.
    pub drafts: Vec<Draft>,
    /// Rules as if they were off.
    pub without: Vec<RuleId>,
    /// When tokens end that nobody renews.
    pub token_ends: Vec<(AccountId, Timestamp)>,
    /// How many tokens end that the server renews.
    pub tokens_renewed: usize,
}

/// What a forecast is played with.
pub struct Parts {
    /// Triggers, facts, and actions of which the one that publishes tells `out` of it.
    pub plugins: Plugins,
    /// The sandbox.
    pub scripts: ScriptEngine,
    /// Where posts go out.
    pub out: Outbound,
}

/// Why there is no forecast.
#[derive(Debug, thiserror::Error)]
pub enum ForecastError {
    /// A database's fault.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A draft cannot be carried out.
    #[error("the draft {0} cannot be carried out")]
    Draft(usize),
    /// A rule that is named is not there.
    #[error("there is no rule {0}")]
    NoRule(RuleId),
    /// The workspace is not there.
    #[error("there is no such workspace")]
    NoWorkspace,
}

/// What a forecast is played on: a part of a workspace, copied into a database in memory.
pub struct Ground {
    store: Store,
    tx: Tx,
    copied: Copied,
}

/// Copies what a forecast looks ahead from into an empty database in memory.
pub async fn copy(source: &Store, memory: Store, ask: &Ask) -> Result<Ground, ForecastError> {
    let until = ask.until.min(ask.from.plus(SPAN_MAX));
    let mut tx = memory.begin().await?;
    let (mut source, drafts) = (source.clone(), &ask.drafts);
    let taken = snapshot::take(&mut source, &mut tx, ask.workspace, ask.from, until, drafts);
    let copied = taken.await?;
    Ok(Ground {
        store: memory,
        tx,
        copied,
    })
}

/// The calendar of a span to come; nothing but the copy is read.
pub async fn forecast(ground: Ground, parts: Parts, ask: &Ask) -> Result<Forecast, ForecastError> {
    let until = ask.until.min(ask.from.plus(SPAN_MAX));
    let Ground {
        store,
        mut tx,
        copied,
    } = ground;
    let (workspace, from) = (ask.workspace, ask.from);
    let Some(house) = workspaces::find(&mut tx, workspace).await? else {
        return Err(ForecastError::NoWorkspace);
    };
    let clock = ManualClock::at(from);
    let refusals = Refusals::default();
    let (engine, _receiver) = Engine::new(EngineParts {
        store: store.clone(),
        ids: Ids::new(std::sync::Arc::new(clock.clone()), SEED),
        config: EngineConfig {
            refusals: Some(refusals.clone()),
            ..EngineConfig::new("forecast")
        },
        plugins: parts.plugins,
        scripts: parts.scripts,
        publisher: std::sync::Arc::new(Nowhere),
    });
    switch_off(&mut tx, ask).await?;
    let mut taken_up = Vec::new();
    for draft in ask.drafts.iter().take(DRAFTS_MAX) {
        taken_up.push(take_up(&engine, &mut tx, ask, draft, &house.time_zone).await?);
    }
    // Reads what the transaction has written, for it never will be committed.
    engine.reload_rules().await?;
    let rules = engine.index().of_workspace(workspace);
    for (index, id) in taken_up.iter().enumerate() {
        let is_on = ask.drafts[index].document.enabled;
        if is_on && !rules.iter().any(|rule| rule.id == *id) {
            return Err(ForecastError::Draft(index));
        }
    }
    if !around::listens(&rules, kind::QUEUE_SLOT) {
        for (queue, _) in &copied.slots {
            timers::delete_for(&mut tx, TIMER_QUEUE, queue).await?;
        }
    }
    parts.out.count(copied.is_counted);
    refusals.count_runs(copied.counts_runs);
    let watch = watch(&rules, &copied, &house.time_zone);
    let mut play = Play::new(engine, clock, tx, watch, refusals, parts.out, until);
    let incomplete = play.play_on().await?;
    let (tx, watch) = play.into_parts();
    let forecast = told(
        tx,
        watch,
        &rules,
        &copied,
        ask,
        until,
        &house.time_zone,
        incomplete,
    )
    .await?;
    store.close().await?;
    Ok(forecast)
}

fn watch(rules: &[std::sync::Arc<CompiledRule>], copied: &Copied, zone: &str) -> Watch {
    let ids = |texts: &std::collections::BTreeSet<String>| -> HashSet<PostId> {
        texts.iter().filter_map(|text| text.parse().ok()).collect()
    };
    let moments = copied
        .due
        .iter()
        .filter_map(|(id, at)| Some((id.parse().ok()?, *at)));
    let names: HashMap<RuleId, String> = rules
        .iter()
        .map(|rule| (rule.id, rule.document.name.clone()))
        .collect();
    Watch::new(
        zone.parse().unwrap_or(chrono_tz::UTC),
        ids(&copied.posts),
        ids(&copied.recurring),
        moments.collect(),
        names,
        around::by_chance(rules),
    )
}

async fn switch_off(tx: &mut Tx, ask: &Ask) -> Result<(), ForecastError> {
    for id in &ask.without {
        let row = rules::find(tx, ask.workspace, *id).await?;
        let mut row = row.ok_or(ForecastError::NoRule(*id))?;
        row.is_enabled = false;
        row.generation += 1;
        rules::update(tx, &row).await?;
        timers::delete_for(tx, TIMER_RULE, &id.to_string()).await?;
    }
    Ok(())
}

/// Makes a draft the live version of its rule, in the copy.
async fn take_up(
    engine: &Engine,
    tx: &mut Tx,
    ask: &Ask,
    draft: &Draft,
    zone: &str,
) -> Result<RuleId, ForecastError> {
    let now = ask.from;
    let known = match draft.rule {
        Some(id) => {
            let row = rules::find(tx, ask.workspace, id).await?;
            Some(row.ok_or(ForecastError::NoRule(id))?)
        }
        None => None,
    };
    let id = draft.rule.unwrap_or_else(|| engine.ids.new_id());
    let row = rules::RuleRow {
        id,
        workspace: ask.workspace,
        name: draft.document.name.clone(),
        is_enabled: draft.document.enabled,
        // Versions of the saved rule are below it.
        version: i64::from(u32::MAX),
        generation: known.as_ref().map_or(1, |row| row.generation + 1),
        starter: None,
        problem: None,
        created_at: known.as_ref().map_or(now, |row| row.created_at),
        updated_at: now,
    };
    so_store::snapshot::put_rule(tx, &row, &draft.document).await?;
    sync_rule_timers(engine, tx, &row, &draft.document, zone, now).await?;
    // Whether it falls silent is not forecast.
    timers::delete_for(tx, crate::loops::TIMER_SILENCE, &id.to_string()).await?;
    Ok(id)
}

#[expect(
    clippy::too_many_arguments,
    reason = "everything that was found, and what was asked"
)]
async fn told(
    mut tx: Tx,
    mut watch: Watch,
    rules: &[std::sync::Arc<CompiledRule>],
    copied: &Copied,
    ask: &Ask,
    until: Timestamp,
    zone: &str,
    incomplete: Option<Timestamp>,
) -> Result<Forecast, ForecastError> {
    let pending = posts::PostFilter {
        state: Some(PostState::PendingApproval),
        due_from: Some(ask.from),
        due_to: Some(until),
        ..posts::PostFilter::default()
    };
    for post in posts::list(&mut tx, ask.workspace, &pending, snapshot::POSTS_MAX).await? {
        watch.pending(&post);
    }
    let names = around::account_names(&mut tx, ask.workspace).await?;
    watch.close(around::listens(rules, kind::POST_DUE), |account| {
        names.get(&account).cloned().unwrap_or_default()
    });
    let mut entries = watch.entries;
    entries.sort_by(|a, b| (a.at, a.post, &a.text).cmp(&(b.at, b.post, &b.text)));
    let cut = entries.get(ENTRIES_MAX).map(|entry| entry.at);
    entries.truncate(ENTRIES_MAX);
    let mut warnings: Vec<Warning> = watch.warnings;
    warnings.extend(around::token_ends(&ask.token_ends, &names, &mut entries));
    warnings.extend(around::queue_warnings(&mut tx, ask.workspace, copied, ask.from, until).await?);
    warnings.sort_by(|a, b| (a.at, &a.text).cmp(&(b.at, &b.text)));
    let mut unknowns: Vec<_> = around::unknowns(rules, copied, ask);
    unknowns.extend(watch.unknowns);
    let left_out = copied.left_out.iter().map(|(_, since)| *since);
    tx.rollback().await?;
    Ok(Forecast {
        from: ask.from,
        until,
        zone: zone.to_owned(),
        entries,
        warnings,
        unknowns,
        incomplete_from: left_out.chain(incomplete).chain(cut).min(),
    })
}
