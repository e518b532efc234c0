//! What a forecast is told while the engine works: refusals, and posts that go out.
//!
//! Owns two lists that the engine, the action that publishes and the watch share. Invariant: they are bounded, since
//! the watch empties them after each moment; what comes beyond that is counted.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use so_model::{
    account::AccountState,
    event::Event,
    id::{AccountId, RuleId, RunId},
    post::Post,
    run::Verdict,
};

use crate::{decide::CompiledRule, engine::lock};

/// Refusals kept between two looks; a moment has fewer.
const REFUSALS_MAX: usize = 10_000;
/// Posts that go out kept between two looks, likewise.
const OUT_MAX: usize = 10_000;

/// A rule that started no run.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) rule: RuleId,
    pub(crate) name: String,
    pub(crate) event: String,
    pub(crate) subject: Option<String>,
    pub(crate) verdict: Verdict,
    pub(crate) reason: String,
}

/// Takes refusals instead of the database.
#[derive(Debug, Clone, Default)]
pub struct Refusals(Arc<Mutex<Vec<Refused>>>, Arc<AtomicBool>);

impl Refusals {
    pub(crate) fn note(
        &self,
        event: &Event,
        rule: &CompiledRule,
        verdict: Verdict,
        reason: String,
    ) {
        let mut all = lock(&self.0);
        if all.len() < REFUSALS_MAX {
            all.push(Refused {
                rule: rule.id,
                name: rule.document.name.clone(),
                event: event.kind.clone(),
                subject: event.subject.clone(),
                verdict,
                reason,
            });
        }
    }

    /// A rule asks how often it ran, so that every run must be a row.
    pub(crate) fn counts_runs(&self) -> bool {
        self.1.load(Ordering::Relaxed)
    }

    pub(crate) fn count_runs(&self, is_counted: bool) {
        self.1.store(is_counted, Ordering::Relaxed);
    }

    pub(crate) fn take(&self) -> Vec<Refused> {
        std::mem::take(&mut *lock(&self.0))
    }
}

/// A post that goes out.
#[derive(Debug, Clone)]
pub struct Out {
    /// The post, as it is then.
    pub post: Post,
    /// The run whose step publishes it.
    pub run: RunId,
    /// That run's rule.
    pub rule: RuleId,
    /// Where it goes out.
    pub accounts: Vec<AccountId>,
    /// Where it waits, and why.
    pub held: Vec<(AccountId, AccountState)>,
}

/// Where the action that publishes tells of it, in a forecast.
#[derive(Debug, Clone, Default)]
pub struct Outbound(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    out: Vec<Out>,
    is_counted: bool,
}

impl Outbound {
    /// A post goes out.
    pub fn tell(&self, out: Out) {
        let mut inner = lock(&self.0);
        if inner.out.len() < OUT_MAX {
            inner.out.push(out);
        }
    }

    /// Whether a rule asks what was published, so that it must be stored.
    pub fn is_counted(&self) -> bool {
        lock(&self.0).is_counted
    }

    pub(crate) fn count(&self, is_counted: bool) {
        lock(&self.0).is_counted = is_counted;
    }

    pub(crate) fn take(&self) -> Vec<Out> {
        std::mem::take(&mut lock(&self.0).out)
    }
}
