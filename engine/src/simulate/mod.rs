//! Simulation over history: a draft rule set against the recorded events of a range, held against what really happened.
//!
//! Owns the reading of a range and the rules it is played with. Must not write to any database, and calls nobody.
//! Invariant: decisions, gates and steps are those of real events and runs; what history does not hold is said to be
//! unknown. `docs/simulating-rules.md` tells what is modelled and what is not.

#[cfg(test)]
mod agree_tests;
mod calls;
mod comes;
mod decides;
mod facts;
mod gates;
mod play;
mod real;
mod runs;
#[cfg(test)]
mod tests;
mod told;

use std::{collections::BTreeMap, sync::Arc};

use so_model::{
    Timestamp,
    id::{RuleId, WorkspaceId},
    problem::FieldError,
    rule::RuleDocument,
    simulation::Simulation,
    time::{DAY, HOUR},
};
use so_store::{Store, StoreError, history, rules, workspaces};

pub use crate::draft::Draft;
pub use facts::Published;
pub use play::{HELD_MAX, Play};
pub use told::{DIFFERENCES_MAX, EFFECTS_MAX, STARTS_MAX};

use crate::{
    Engine,
    decide::{CompiledRule, WorkspaceFacts},
    plugin::Plugins,
    rule::Catalogue,
    schedule::CompiledSchedule,
    script::ScriptEngine,
};

/// The longest range.
pub const SPAN_MAX: i64 = 400 * DAY;
/// Events in one simulation: a year of a busy workspace.
pub const EVENTS_MAX: u64 = 1_000_000;
/// Rules as they might be, in one simulation.
pub const DRAFTS_MAX: usize = 100;
/// Played before the range, so that gates and waiting runs stand as they stood.
pub const LEAD: i64 = DAY;
/// Publications read for facts; facts that would need more are not known.
const PUBLISHED_MAX: i64 = 200_000;
/// Facts look back a year at the most.
const FACTS_BACK: i64 = 8_760 * HOUR;
/// Events read at a time.
const PAGE: i64 = 2_000;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// From this moment on it is told.
    pub from: Timestamp,
    /// Up to this one.
    pub until: Timestamp,
    /// Only events of these kinds are played; all if there is none.
    pub kinds: Vec<String>,
    /// Rules as they might be.
    pub drafts: Vec<Draft>,
    /// Rules as if they were off.
    pub without: Vec<RuleId>,
    /// Events that are played at the most.
    pub events_max: u64,
}

/// Why there is no simulation.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// A database's fault.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A draft cannot be carried out.
    #[error("the draft {0} cannot be carried out")]
    Draft(usize, Vec<FieldError>),
    /// A rule that is named is not there.
    #[error("there is no rule {0}")]
    NoRule(RuleId),
    /// The workspace is not there.
    #[error("there is no such workspace")]
    NoWorkspace,
}

/// A rule that takes part.
pub struct Taking {
    /// The rule.
    pub rule: Arc<CompiledRule>,
    /// It is a draft.
    pub is_draft: bool,
    /// Schedules that stand in for the recorded moments of the rule.
    pub schedules: Option<Vec<(String, CompiledSchedule)>>,
}

/// What a play begins with.
pub struct Given {
    /// The tenant.
    pub workspace: WorkspaceFacts,
    /// What actions are.
    pub catalogue: Arc<Catalogue>,
    /// The rules.
    pub rules: Vec<Taking>,
    /// Only events of these kinds; all if there is none.
    pub kinds: Vec<String>,
    /// The first moment that is played.
    pub first: Timestamp,
    /// From this one on it is told.
    pub from: Timestamp,
    /// Up to this one.
    pub until: Timestamp,
    /// When accounts published.
    pub published: Published,
    /// Since when that is known.
    pub published_since: Timestamp,
}

/// Plays the recorded events of a range.
///
/// Drafts call the scripts that are handed in; live rules are those of the engine.
pub async fn simulate(
    engine: &Engine,
    scripts: &ScriptEngine,
    ask: &Ask,
) -> Result<Simulation, SimulateError> {
    let (store, plugins) = (&engine.store, &engine.plugins);
    let mut source = store.clone();
    let until = ask.until.min(ask.from.plus(SPAN_MAX));
    let first = ask.from.plus(-LEAD);
    let house = workspaces::find(&mut source, ask.workspace).await?;
    let house = house.ok_or(SimulateError::NoWorkspace)?;
    let rules = taking(engine, scripts, ask, &house.time_zone).await?;
    let (published, published_since) = published(store, ask.workspace, first, until).await?;
    let mut play = Play::new(Given {
        workspace: WorkspaceFacts {
            id: ask.workspace,
            name: house.name,
            time_zone: house.time_zone.parse().unwrap_or(chrono_tz::UTC),
        },
        catalogue: plugins.catalogue().clone(),
        rules,
        kinds: ask.kinds.clone(),
        first,
        from: ask.from,
        until,
        published,
        published_since,
    });
    let mut left = i64::try_from(ask.events_max.min(EVENTS_MAX)).unwrap_or(i64::MAX);
    let mut after = None;
    loop {
        let page = history::page(
            &mut source,
            ask.workspace,
            (first, until),
            after,
            PAGE.min(left),
        )
        .await?;
        left -= i64::try_from(page.events.len()).unwrap_or(i64::MAX);
        after = page.next;
        let last = page.events.last().map(|(_, at)| *at);
        if !play.page(page).await || after.is_none() {
            break;
        }
        if left <= 0 {
            if let Some(last) = last {
                play.cut(last);
            }
            break;
        }
        // Others on this thread have their turn between pages.
        tokio::task::yield_now().await;
    }
    Ok(play.finish().await)
}

async fn published(
    store: &Store,
    workspace: WorkspaceId,
    first: Timestamp,
    until: Timestamp,
) -> Result<(Published, Timestamp), StoreError> {
    let mut since = first.plus(-FACTS_BACK);
    let span = (since, until);
    let found = history::published(&mut store.clone(), workspace, span, PUBLISHED_MAX).await?;
    if i64::try_from(found.len()).unwrap_or(i64::MAX) >= PUBLISHED_MAX {
        // The list ends early, so nothing that counts to its end is known.
        since = until;
    }
    let mut published = Published::default();
    for (account, at, is_first) in found {
        published.entry(account).or_default().push((at, is_first));
    }
    Ok((published, since))
}

/// The live rules, with drafts in their places.
async fn taking(
    engine: &Engine,
    scripts: &ScriptEngine,
    ask: &Ask,
    zone: &str,
) -> Result<Vec<Taking>, SimulateError> {
    let catalogue = engine.plugins.catalogue();
    let mut source = engine.store.clone();
    let live = engine.index().of_workspace(ask.workspace);
    let mut live: BTreeMap<RuleId, Arc<CompiledRule>> =
        live.into_iter().map(|rule| (rule.id, rule)).collect();
    for id in &ask.without {
        if live.remove(id).is_none() {
            let row = rules::find(&mut source, ask.workspace, *id).await?;
            row.ok_or(SimulateError::NoRule(*id))?;
        }
    }
    let mut found = Vec::new();
    for (number, draft) in ask.drafts.iter().enumerate().take(DRAFTS_MAX) {
        let saved = match draft.rule {
            None => None,
            Some(id) => match live.remove(&id) {
                Some(live) => Some(live),
                None => {
                    let row = rules::find(&mut source, ask.workspace, id).await?;
                    row.ok_or(SimulateError::NoRule(id))?;
                    None
                }
            },
        };
        let id = draft
            .rule
            .unwrap_or_else(|| RuleId::derived(&["draft", &number.to_string()]));
        let document = Arc::new(draft.document.clone());
        let rule = CompiledRule::compile(id, ask.workspace, 0, document, catalogue, scripts)
            .map_err(|errors| SimulateError::Draft(number, errors))?;
        if !draft.document.enabled {
            continue;
        }
        let is_same = saved.is_some_and(|saved| timed(&saved.document) == timed(&draft.document));
        found.push(Taking {
            rule: Arc::new(rule),
            is_draft: true,
            schedules: (!is_same).then(|| schedules(&draft.document, &engine.plugins, zone)),
        });
    }
    found.extend(live.into_values().map(|rule| Taking {
        rule,
        is_draft: false,
        schedules: None,
    }));
    Ok(found)
}

/// What makes the moments of a rule.
fn timed(
    document: &RuleDocument,
) -> Vec<(&str, &str, &serde_json::Map<String, serde_json::Value>)> {
    let triggers = document.triggers.iter();
    triggers
        .map(|trigger| (trigger.id.as_str(), trigger.kind.as_str(), &trigger.with))
        .collect()
}

/// The schedules of a document's triggers.
pub fn schedules(
    document: &RuleDocument,
    plugins: &Plugins,
    zone: &str,
) -> Vec<(String, CompiledSchedule)> {
    let made = document.triggers.iter().filter_map(|trigger| {
        let plugin = plugins.trigger(&trigger.kind)?;
        let schedule = plugin.schedule(&trigger.with, zone).ok()??;
        Some((trigger.id.clone(), schedule.compile().ok()?))
    });
    made.collect()
}
