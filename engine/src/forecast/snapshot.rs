//! What a forecast looks ahead from: a part of one workspace, copied into a database in memory.
//!
//! Owns which rows matter. Must not write to the database it copies from. Invariant: whatever was left out for want of
//! room is told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use so_model::{
    Timestamp,
    id::{IdKind, RuleId, WorkspaceId, kind},
    rule::RuleDocument,
    time::{DAY, HOUR},
};
use so_store::{Row, Sql, StoreError, Tx, rules, snapshot as copy};

use super::Draft;

/// Accounts, rules, labels and queues of a workspace; more than it may have.
const FEW_MAX: i64 = 5_000;
/// Posts of one forecast: a quarter of a year at two hundred a day.
pub const POSTS_MAX: i64 = 20_000;
/// Timers of everything but posts.
const TIMERS_MAX: i64 = 20_000;
/// Slots that posts hold.
const SLOTS_MAX: i64 = 50_000;
/// Runs that are under way and looked at.
const RUNS_MAX: i64 = 5_000;
/// Kind of the keys of events that wait for their quiet spell.
const DEBOUNCE: &str = "debounce";
/// Posts and files that others refer to.
const MENTIONED_MAX: usize = 20_000;
/// What should have gone out already and is still there is looked at for this long.
const OVERDUE: i64 = 7 * DAY;

/// What the copy is of.
#[derive(Debug, Clone, Default)]
pub(super) struct Copied {
    /// Posts that are there now.
    pub(super) posts: BTreeSet<String>,
    /// When those that wait are due.
    pub(super) due: Vec<(String, Timestamp)>,
    /// How many of them wait in which queue.
    pub(super) in_queues: BTreeMap<String, u64>,
    /// Posts that repeat by a calendar.
    pub(super) recurring: BTreeSet<String>,
    /// Schedules of the queues' slots, by id.
    pub(super) slots: Vec<(String, Value)>,
    /// What did not fit, and from when on it is missing.
    pub(super) left_out: Vec<(&'static str, Timestamp)>,
    /// Rules ask what was published.
    pub(super) is_counted: bool,
    /// Rules ask how often they ran.
    pub(super) counts_runs: bool,
}

/// Copies what a forecast of a span needs.
pub(super) async fn take(
    from: &mut dyn Sql,
    to: &mut Tx,
    workspace: WorkspaceId,
    now: Timestamp,
    until: Timestamp,
    drafts: &[Draft],
) -> Result<Copied, StoreError> {
    let mut copied = Copied::default();
    copy::workspace(from, to, workspace, 1).await?;
    let accounts = copy::accounts(from, to, workspace, FEW_MAX).await?;
    copy::labels(from, to, workspace, FEW_MAX).await?;
    copy::queues(from, to, workspace, FEW_MAX).await?;
    copy::library(from, to, workspace, 1).await?;
    copy::modules(from, to, workspace, FEW_MAX).await?;
    copy::module_versions(from, to, workspace, FEW_MAX).await?;
    copy::rule_libraries(from, to, workspace, FEW_MAX).await?;
    copy::slots(from, to, workspace, now.plus(-DAY), SLOTS_MAX).await?;
    let rules = texts(&copy::rules(from, to, workspace, FEW_MAX).await?, 0)?;
    let versions = copy::live_versions(from, to, workspace, FEW_MAX).await?;
    // Timers first: one that fires meanwhile finds its post moved on, and does nothing.
    let timers = copy::timers(from, to, workspace, until, TIMERS_MAX).await?;
    copied.note_full("timers", &timers, TIMERS_MAX, 6)?;
    copied.read_timers(&timers)?;
    let mut mentioned = Mentioned::default();
    mentioned.posts.extend(copied.recurring.iter().cloned());
    mentioned.look_at(&versions, &[3])?;
    history(
        from,
        to,
        workspace,
        now,
        &rules,
        &accounts,
        drafts,
        &mut copied,
    )
    .await?;
    open_runs(from, to, workspace, &mut copied, &mut mentioned, now).await?;
    posts(from, to, workspace, now, until, &mut copied, mentioned).await?;
    Ok(copied)
}

impl Copied {
    fn note_full(
        &mut self,
        what: &'static str,
        rows: &[Row],
        most: i64,
        at: usize,
    ) -> Result<(), StoreError> {
        if rows.len() as i64 >= most
            && let Some(last) = rows.last()
        {
            self.left_out.push((what, last.at(at)?));
        }
        Ok(())
    }

    fn read_timers(&mut self, timers: &[Row]) -> Result<(), StoreError> {
        for timer in timers {
            let (kind, subject) = (timer.text(2)?, timer.text(3)?);
            match kind.as_str() {
                crate::loops::TIMER_RECURRENCE => {
                    self.recurring.insert(subject);
                }
                crate::loops::TIMER_QUEUE => {
                    let doc: Value = timer.json(7)?;
                    self.slots.push((subject, doc["schedule"].clone()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Posts that are due, and those that others speak of.
async fn posts(
    from: &mut dyn Sql,
    to: &mut Tx,
    workspace: WorkspaceId,
    now: Timestamp,
    until: Timestamp,
    copied: &mut Copied,
    mut mentioned: Mentioned,
) -> Result<(), StoreError> {
    let due = copy::posts_due(from, to, workspace, now.plus(-OVERDUE), until, POSTS_MAX).await?;
    copied.note_full("posts", &due, POSTS_MAX, 4)?;
    copied.posts.extend(texts(&due, 0)?);
    let others: Vec<String> = mentioned.posts.difference(&copied.posts).cloned().collect();
    let others = copy::posts(from, to, workspace, &first(others)).await?;
    copied.posts.extend(texts(&others, 0)?);
    for post in &due {
        copied.due.push((post.text(0)?, post.at(4)?));
        if let Some(queue) = post.opt_text(5)? {
            *copied.in_queues.entry(queue).or_default() += 1;
        }
    }
    copy::post_timers(from, to, workspace, &texts(&due, 0)?).await?;
    mentioned.look_at(&due, &[8])?;
    mentioned.look_at(&others, &[8])?;
    let media: Vec<String> = mentioned.media.into_iter().collect();
    copy::media(from, to, workspace, &first(media)).await?;
    Ok(())
}

/// Runs that wait, with all that they know.
async fn open_runs(
    from: &mut dyn Sql,
    to: &mut Tx,
    workspace: WorkspaceId,
    copied: &mut Copied,
    mentioned: &mut Mentioned,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows = copy::open_runs(from, to, workspace, RUNS_MAX).await?;
    let runs = texts(&rows, 0)?;
    if rows.len() as i64 >= RUNS_MAX {
        copied.left_out.push(("runs under way", now));
    }
    if runs.is_empty() {
        return Ok(());
    }
    let mut events = texts(&rows, 4)?;
    let memos = copy::memos(from, to, workspace, &runs).await?;
    let waits = copy::waits(from, to, workspace, &runs).await?;
    for wait in &waits {
        events.extend(wait.opt_text(5)?);
    }
    copy::run_jobs(from, to, workspace, &runs).await?;
    let pinned: BTreeSet<String> = texts(&rows, 2)?.into_iter().collect();
    let pinned: Vec<String> = pinned.into_iter().collect();
    copy::versions(from, to, workspace, &pinned).await?;
    let events = copy::events(from, to, workspace, &events).await?;
    mentioned.look_at(&memos, &[6])?;
    mentioned.look_at(&events, &[5, 7])
}

/// What rules count or remember.
#[expect(
    clippy::too_many_arguments,
    reason = "both sides, the span and who asks"
)]
async fn history(
    from: &mut dyn Sql,
    to: &mut Tx,
    workspace: WorkspaceId,
    now: Timestamp,
    rules: &[String],
    accounts: &[Row],
    drafts: &[Draft],
    copied: &mut Copied,
) -> Result<(), StoreError> {
    let live = rules::list_live(to).await?;
    let mut asked = Asked::default();
    let mut counting: BTreeMap<RuleId, Counts> = BTreeMap::new();
    for id in rules {
        if let Ok(id) = id.parse() {
            counting.insert(id, Counts::default());
        }
    }
    let saved = live.iter().map(|(row, document)| (Some(row.id), document));
    let drafts = drafts.iter().map(|draft| (draft.rule, &draft.document));
    for (rule, document) in saved.chain(drafts) {
        asked.read(&serde_json::to_value(document).unwrap_or_default());
        if let Some(counts) = rule.and_then(|rule| counting.get_mut(&rule)) {
            counts.read(document);
        }
    }
    copied.is_counted = asked.published_hours > 0;
    copied.counts_runs = asked.run_hours > 0;
    if copied.is_counted {
        let since = now.plus(-asked.published_hours.saturating_mul(HOUR));
        for account in texts(accounts, 0)? {
            copy::published(from, to, workspace, &account, since).await?;
        }
    }
    let since = now.plus(-asked.run_hours.max(1) * HOUR);
    for (rule, counts) in counting {
        let id = rule.to_string();
        if counts.runs || asked.run_hours > 0 {
            copy::past_runs(from, to, workspace, rule, since).await?;
        }
        if asked.run_hours > 0 {
            copy::starts_let_go(from, to, workspace, &id, since).await?;
        }
        if counts.keys {
            let keys = copy::rule_keys(from, to, workspace, &id, now).await?;
            // The event that waits for its quiet spell is taken up when that is over.
            let waiting = keys
                .iter()
                .filter(|key| key.text(2).is_ok_and(|kind| kind == DEBOUNCE));
            let events = waiting
                .map(|key| key.text(4))
                .collect::<Result<Vec<_>, _>>()?;
            copy::events(from, to, workspace, &events).await?;
        }
    }
    Ok(())
}

/// What a rule counts of its own, as it is or as it might be.
#[derive(Default)]
struct Counts {
    runs: bool,
    keys: bool,
}

impl Counts {
    fn read(&mut self, document: &RuleDocument) {
        self.runs |= document.limits.max_runs_per_hour.is_some();
        self.keys |=
            document.throttle.is_some() || document.dedupe.is_some() || document.debounce.is_some();
    }
}

/// Hours that facts of rules look back.
#[derive(Default)]
struct Asked {
    published_hours: i64,
    run_hours: i64,
}

impl Asked {
    /// The longest look back that a fact may ask for.
    const HOURS_MAX: i64 = 8_760;

    fn read(&mut self, value: &Value) {
        match value {
            Value::Object(map) => {
                let hours = map
                    .get("of")
                    .and_then(|of| of["hours"].as_i64())
                    .unwrap_or(24)
                    .clamp(1, Self::HOURS_MAX);
                match map.get("fact").and_then(Value::as_str) {
                    Some("posts_published") => {
                        self.published_hours = self.published_hours.max(hours)
                    }
                    // Any time ago counts.
                    Some("last_published_hours") => self.published_hours = Self::HOURS_MAX,
                    Some("rule_runs") => self.run_hours = self.run_hours.max(hours),
                    _ => {}
                }
                map.values().for_each(|inner| self.read(inner));
            }
            Value::Array(items) => items.iter().for_each(|inner| self.read(inner)),
            _ => {}
        }
    }
}

/// Posts and files that texts speak of.
#[derive(Default)]
struct Mentioned {
    posts: BTreeSet<String>,
    media: BTreeSet<String>,
}

impl Mentioned {
    fn look_at(&mut self, rows: &[Row], columns: &[usize]) -> Result<(), StoreError> {
        for row in rows {
            for column in columns {
                let text = row.opt_text(*column)?.unwrap_or_default();
                find_ids(&text, kind::Post::PREFIX, &mut self.posts);
                find_ids(&text, kind::Media::PREFIX, &mut self.media);
            }
        }
        Ok(())
    }
}

/// Hexadecimal digits of an id.
const DIGITS: usize = 32;

fn find_ids(text: &str, prefix: &str, found: &mut BTreeSet<String>) {
    let begin = format!("{prefix}_");
    for (at, _) in text.match_indices(&begin) {
        let digits = at + begin.len()..at + begin.len() + DIGITS;
        let is_id = text
            .get(digits.clone())
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if is_id {
            found.insert(text[at..digits.end].to_owned());
        }
    }
}

fn first(mut ids: Vec<String>) -> Vec<String> {
    ids.truncate(MENTIONED_MAX);
    ids
}

fn texts(rows: &[Row], column: usize) -> Result<Vec<String>, StoreError> {
    rows.iter().map(|row| row.text(column)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_found_wherever_a_text_names_them() {
        let id = format!("post_{}", "0a".repeat(16));
        let text =
            format!("{{\"a\": \"{id}\", \"b\": \"post_short\", \"é\": \"see {id}é\"}} post_");
        let mut found = BTreeSet::new();
        find_ids(&text, "post", &mut found);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [id]);
    }

    #[test]
    fn the_longest_look_back_of_all_conditions_counts() {
        let mut asked = Asked::default();
        asked.read(&json!({"if": {"all": [
            {"fact": "posts_published", "of": {"account": "a", "hours": 72}, "op": "lt", "value": 1},
            {"not": {"fact": "posts_published", "of": {"account": "a"}, "op": "gt", "value": 1}}]},
            "steps": [{"if": {"fact": "rule_runs", "of": {"hours": 99_999}, "op": "lt", "value": 1}}]}));
        assert_eq!((asked.published_hours, asked.run_hours), (72, 8_760));
    }
}
