//! History that is dense where interesting: ordinary runs are let go before the others.
//!
//! Owns which finished runs are ordinary. Invariant: runs that are not over are never touched, nor one of a chain of
//! consequences of which anything is not over; what is counted, what is deleted and how far the walk came is one
//! commit.

use std::collections::{BTreeMap, HashMap, HashSet, btree_map::Entry};

use serde_json::Value;
use so_model::{
    Timestamp,
    id::{PostId, RunId},
    run::Memo,
    time::DAY,
    way::WayStep,
};
use so_store::{
    StoreError, Tx,
    run_ways::{self, Finished, Mark, WayRow},
    runs,
};

use crate::{
    engine::Engine,
    run::{number_of, oddity_of, steps_of},
};

/// Runs looked at in one transaction, so that nobody waits long for the writer.
const BATCH: i64 = 200;
/// Memos read and deleted in one transaction, unless a single run has more.
const MEMOS_BATCH: i64 = 4_000;
/// Characters of memos read in one transaction, unless a single run has more: they are held in memory.
const CHARS_BATCH: i64 = 16 * 1024 * 1024;
/// Batches of one turn: twice as many runs as one rule may start between two turns.
const BATCHES_MAX: usize = 4_000;
/// Runs of each way that are kept of each week: the first ones, and a sample over time.
const KEPT_A_WEEK: i64 = 3;
/// Kept runs that a way names.
const NAMED: usize = 5;
/// Ways of a version that are told apart; a rule whose runs all differ would keep all of them.
const WAYS_MAX: i64 = 200;
/// A way is counted at least so long, also where events go earlier: a year and a month.
pub(super) const COUNTED: i64 = 400 * DAY;
/// What the source of a run that a person began anew calls it.
const RERUN: &str = "rerun/";

/// What is known of a run that is looked at.
#[derive(Default)]
struct Look {
    memos: Vec<Memo>,
    /// A memo could not be read.
    is_unreadable: bool,
}

impl Engine {
    /// Lets ordinary runs go that are older than the span for them; answers how many, and whether the walk came to its
    /// end for now.
    pub(super) async fn thin(&self) -> Result<(u64, bool), StoreError> {
        let Some(span) = self.config.dull_span() else {
            return Ok((0, true));
        };
        let before = self.now().plus(-span);
        let mut gone = 0;
        for _ in 0..BATCHES_MAX {
            match self.thin_some(before).await {
                Ok(Some(let_go)) => gone += let_go,
                Ok(None) => return Ok((gone, true)),
                // Another process removed one of them, whose time was over as a whole: they are looked at anew.
                Err(StoreError::Stale { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((gone, false))
    }

    /// One transaction of the walk; none when it came to its end, or another process walks.
    async fn thin_some(&self, before: Timestamp) -> Result<Option<u64>, StoreError> {
        let mut tx = self.store.begin().await?;
        let Some(step) = step(&mut tx, before).await? else {
            tx.rollback().await?;
            return Ok(None);
        };
        crate::failpoint::hit("thin.commit");
        tx.commit().await?;
        Ok((!step.is_end || step.gone > 0).then_some(step.gone))
    }
}

/// How one transaction went.
pub(super) struct Step {
    /// Runs that were let go.
    pub gone: u64,
    /// Nothing older is left.
    pub is_end: bool,
}

/// Looks at some runs, counts them, lets the ordinary ones go and moves the mark past them.
pub(super) async fn step(tx: &mut Tx, before: Timestamp) -> Result<Option<Step>, StoreError> {
    let Some(mark) = run_ways::claim_mark(tx).await? else {
        return Ok(None);
    };
    let mut found = run_ways::finished_after(tx, &mark, before, BATCH).await?;
    let is_short = (found.len() as i64) < BATCH;
    let is_end = cut(tx, &mut found).await? && is_short;
    // Runs that failed are passed over as well.
    let next = match found.last() {
        Some(last) if !is_end => Mark {
            finished_at: last.finished_at,
            run: last.run.to_string(),
        },
        _ => Mark {
            finished_at: before,
            run: String::new(),
        },
    };
    if next <= mark {
        return Ok(None);
    }
    let gone = let_go_ordinary(tx, &found).await?;
    run_ways::move_mark(tx, &next).await?;
    Ok(Some(Step { gone, is_end }))
}

/// Cuts runs off behind which there is too much for one transaction; false if any were.
async fn cut(tx: &mut Tx, found: &mut Vec<Finished>) -> Result<bool, StoreError> {
    let ids: Vec<RunId> = found.iter().map(|run| run.run).collect();
    let weights = runs::weigh_memos(tx, &ids).await?.into_iter();
    let weights: HashMap<RunId, (i64, i64)> = weights.collect();
    let (mut memos, mut chars) = (0, 0);
    let fitting = found.iter().take_while(|run| {
        let weight = weights.get(&run.run).copied().unwrap_or_default();
        memos += weight.0;
        chars += weight.1;
        memos <= MEMOS_BATCH && chars <= CHARS_BATCH
    });
    let fitting = fitting.count().max(1);
    let is_whole = fitting >= found.len();
    found.truncate(fitting);
    Ok(is_whole)
}

/// Counts runs by their ways and deletes the ordinary ones; answers how many.
async fn let_go_ordinary(tx: &mut Tx, found: &[Finished]) -> Result<u64, StoreError> {
    let looks = look_at(tx, found).await?;
    let wanted = wanted(tx, found, &looks).await?;
    let mut ways = ways_of(tx, found, &looks).await?;
    let mut gone = Vec::new();
    for (run, way) in found.iter().zip(&ways.of_run) {
        let Some(row) = way.and_then(|way| ways.rows.get_mut(&way)) else {
            continue;
        };
        if count(row, run, wanted.contains(&run.run)) {
            gone.push((run, row.way));
        }
    }
    let rows: Vec<WayRow> = ways.rows.into_values().collect();
    run_ways::put_many(tx, &rows).await?;
    run_ways::let_go(tx, &gone).await?;
    Ok(gone.len() as u64)
}

async fn look_at(tx: &mut Tx, found: &[Finished]) -> Result<HashMap<RunId, Look>, StoreError> {
    let ids: Vec<RunId> = found.iter().map(|run| run.run).collect();
    let mut looks: HashMap<RunId, Look> = HashMap::new();
    for (run, memo) in runs::list_memos_of(tx, &ids).await? {
        let look = looks.entry(run).or_default();
        match memo {
            Some(memo) => look.memos.push(memo),
            None => look.is_unreadable = true,
        }
    }
    Ok(looks)
}

/// Runs that are kept whatever their way: odd ones, and those that somebody refers to.
async fn wanted(
    tx: &mut Tx,
    found: &[Finished],
    looks: &HashMap<RunId, Look>,
) -> Result<HashSet<RunId>, StoreError> {
    let mut posts = HashSet::new();
    for run in found {
        let subject = run.cause.as_ref().and_then(|cause| cause.subject.as_ref());
        posts.extend(subject.and_then(|text| text.parse::<PostId>().ok()));
        for memo in looks.get(&run.run).iter().flat_map(|look| &look.memos) {
            gather(&memo.input, &mut posts);
            gather(&memo.output, &mut posts);
        }
    }
    let posts: Vec<PostId> = posts.into_iter().collect();
    let mut wanted = run_ways::publishers(tx, &posts).await?;
    let causes = found.iter().filter_map(|run| run.cause.as_ref());
    let roots: HashSet<_> = causes.map(|cause| cause.root).collect();
    let roots: Vec<_> = roots.into_iter().collect();
    let alive = run_ways::live_roots(tx, &roots).await?;
    for run in found {
        let is_odd = looks
            .get(&run.run)
            .is_some_and(|look| look.is_unreadable || oddity_of(&look.memos).is_some());
        let is_linked = run
            .cause
            .as_ref()
            .is_some_and(|cause| alive.contains(&cause.root) || cause.dedupe.starts_with(RERUN));
        if is_odd || is_linked {
            wanted.insert(run.run);
        }
    }
    Ok(wanted)
}

fn gather(value: &Value, posts: &mut HashSet<PostId>) {
    match value {
        Value::String(text) => posts.extend(text.parse::<PostId>()),
        Value::Array(items) => items.iter().for_each(|item| gather(item, posts)),
        Value::Object(fields) => fields.values().for_each(|field| gather(field, posts)),
        _ => {}
    }
}

/// Ways of a batch: of each run the number, of each number the row.
struct Ways {
    of_run: Vec<Option<i64>>,
    rows: BTreeMap<i64, WayRow>,
}

async fn ways_of(
    tx: &mut Tx,
    found: &[Finished],
    looks: &HashMap<RunId, Look>,
) -> Result<Ways, StoreError> {
    let none = Look::default();
    let mut own = Vec::with_capacity(found.len());
    for run in found {
        let look = looks.get(&run.run).unwrap_or(&none);
        own.push((!look.is_unreadable).then(|| {
            let steps = steps_of(&look.memos);
            (number_of(run, Some(&steps)), steps)
        }));
    }
    let numbers: HashSet<i64> = own.iter().flatten().map(|(way, _)| *way).collect();
    let numbers: Vec<i64> = numbers.into_iter().collect();
    let known = run_ways::find_many(tx, &numbers).await?;
    let mut rows: BTreeMap<i64, WayRow> = known.into_iter().map(|row| (row.way, row)).collect();
    let mut counts = HashMap::new();
    let mut of_run = Vec::with_capacity(found.len());
    for (run, own) in found.iter().zip(own) {
        let Some((way, steps)) = own else {
            of_run.push(None);
            continue;
        };
        if rows.contains_key(&way) {
            of_run.push(Some(way));
            continue;
        }
        let version = (run.rule, run.version);
        let count = match counts.get(&version) {
            Some(count) => *count,
            None => run_ways::count(tx, run.workspace, run.rule, run.version).await?,
        };
        counts.insert(version, count + 1);
        let (way, steps) = match count < WAYS_MAX {
            true => (way, Some(steps)),
            false => (number_of(run, None), None),
        };
        if let Entry::Vacant(place) = rows.entry(way) {
            let rest = run_ways::find_many(tx, &[way]).await?.pop();
            place.insert(rest.unwrap_or_else(|| new_row(run, way, steps)));
        }
        of_run.push(Some(way));
    }
    Ok(Ways { of_run, rows })
}

fn new_row(run: &Finished, way: i64, steps: Option<Vec<WayStep>>) -> WayRow {
    WayRow {
        way,
        workspace: run.workspace,
        rule: run.rule,
        version: run.version,
        trigger: run.trigger.clone(),
        steps,
        seen: 0,
        let_go: 0,
        week: week_of(run),
        kept_in_week: 0,
        kept: Vec::new(),
        first_at: run.created_at,
        last_at: run.created_at,
        let_go_at: None,
    }
}

fn week_of(run: &Finished) -> i64 {
    run.finished_at.micros().div_euclid(7 * DAY)
}

/// Counts a run; answers whether it is let go.
fn count(row: &mut WayRow, run: &Finished, is_wanted: bool) -> bool {
    row.seen += 1;
    row.first_at = row.first_at.min(run.created_at);
    row.last_at = row.last_at.max(run.created_at);
    if row.week != week_of(run) {
        row.week = week_of(run);
        row.kept_in_week = 0;
    }
    let is_sample = !is_wanted && row.kept_in_week < KEPT_A_WEEK;
    row.kept_in_week += i64::from(is_sample);
    if is_wanted || is_sample {
        row.kept.push(run.run);
        let more = row.kept.len().saturating_sub(NAMED);
        row.kept.drain(..more);
        return false;
    }
    row.let_go += 1;
    row.let_go_at = row.let_go_at.max(Some(run.created_at));
    true
}
