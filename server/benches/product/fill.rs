//! Rows in bulk: copies of rows that the product itself has made.
//!
//! Owns the SQL that copies them inside the database, in chunks. Invariant: a copy differs from its original in
//! ids, moments and what lists are filtered by, so that documents can be read like any others.

use std::{collections::HashMap, ops::Range, sync::Mutex};

use so_engine::clock::{Clock as _, SystemClock};
use so_store::{Backend, Sql as _, Store, args};
use so_testkit::figures::progress;

/// Rows of one transaction: bounds the log that a commit leaves behind.
const CHUNK: usize = 50_000;
/// Milliseconds between the making of two rows: a million are three weeks.
const STEP_MILLIS: i64 = 2_000;
/// One run or post of so many has failed.
pub const FAILED_IN: usize = 1_000;
/// One run of so many belongs to the second rule, one post of so many has the common label.
pub const SECOND_IN: usize = 100;
/// One run of so many is about a subject, ten to a subject.
pub const SUBJECT_IN: usize = 1_000;
/// One post of so many has the rare label and the rare word.
pub const RARE_IN: usize = 10_000;
/// Seconds between two due times: half a million posts span five years.
const DUE_STEP_SECONDS: i64 = 300;
/// The word that only few posts have.
pub const RARE_WORD: &str = "kestrel";

/// The original of the runs.
pub struct RunFill {
    pub run: String,
    pub second_rule: String,
    /// All that will be there in the end; ids lie in the past in the order of numbers.
    pub total: usize,
}

impl RunFill {
    /// Copies event, run and memos of the original for a range of numbers.
    pub async fn copy(&self, store: &Store, range: Range<usize>) {
        self.copy_every(store, range, STEP_MILLIS).await;
    }

    /// The same with so many milliseconds between two of them.
    pub async fn copy_every(&self, store: &Store, range: Range<usize>, step: i64) {
        let backend = store.backend();
        let start = start_millis(self.total, step);
        let event = id(backend, "evt", start, step);
        let run = id(backend, "run", start, step);
        let at = format!("({start} + n * {step}) * 1000");
        let tenth = format!("n / {}", SUBJECT_IN * 10);
        let subject = id_of(backend, "post", start, step, &tenth);
        let Self {
            run: original,
            second_rule,
            ..
        } = self;
        let of_run = format!("(SELECT event_id FROM runs WHERE id = '{original}')");
        let events = format!(
            "INSERT INTO events (id, workspace_id, kind, source, dedupe, subject, at, data, cause, root_id, is_decided, \
             stored_at) WITH RECURSIVE {SERIES} SELECT {event}, workspace_id, kind, source, {event}, \
             CASE WHEN n % {SUBJECT_IN} = 7 THEN {subject} ELSE subject END, {at}, data, cause, {event}, is_decided, {at} \
             FROM series CROSS JOIN events WHERE id = {of_run}"
        );
        let runs = format!(
            "INSERT INTO runs (id, workspace_id, rule_id, version, event_id, trigger_id, state, mode_key, decision, reason, \
             events_made, created_at, finished_at) WITH RECURSIVE {SERIES} SELECT {run}, workspace_id, \
             CASE WHEN n % {SECOND_IN} = 3 THEN '{second_rule}' ELSE rule_id END, version, {event}, trigger_id, \
             CASE WHEN n % {FAILED_IN} = 5 THEN 'failed' ELSE state END, mode_key, decision, reason, events_made, {at}, \
             {at} + 1500 FROM series CROSS JOIN runs WHERE id = '{original}'"
        );
        let memos = format!(
            "INSERT INTO memos (workspace_id, run_id, path, attempt, step, outcome, doc, started_at, finished_at) \
             WITH RECURSIVE {SERIES} SELECT workspace_id, {run}, path, attempt, step, outcome, doc, {at}, {at} + 1500 \
             FROM series CROSS JOIN memos WHERE run_id = '{original}'"
        );
        in_chunks(store, range, &[events, runs, memos]).await;
    }

    /// A subject that ten runs of the copies are about.
    pub fn subject(&self, number: usize) -> String {
        text_of("post", start_millis(self.total, STEP_MILLIS), number)
    }

    /// The id of a copied event.
    pub fn event_id(&self, number: usize) -> String {
        text_of("evt", start_millis(self.total, STEP_MILLIS), number)
    }

    /// The id of a copied run.
    pub fn run_id(&self, number: usize) -> String {
        text_of("run", start_millis(self.total, STEP_MILLIS), number)
    }
}

/// The original of the posts.
pub struct PostFill {
    pub post: String,
    pub total: usize,
    pub common_label: String,
    pub rare_label: String,
    /// Every copy is scheduled and has a timer; otherwise the newest twentieth is, without one.
    pub all_scheduled: bool,
}

impl PostFill {
    /// Copies the post for all numbers.
    pub async fn copy(&self, store: &Store) {
        let backend = store.backend();
        let start = start_millis(self.total, STEP_MILLIS);
        let post = id(backend, "post", start, STEP_MILLIS);
        let timer = id(backend, "timer", start, STEP_MILLIS);
        let due = self.due();
        let future = self.total - self.total / 20;
        let state = if self.all_scheduled {
            "'scheduled'".to_owned()
        } else {
            format!(
                "CASE WHEN n % {FAILED_IN} = 5 THEN 'failed' WHEN n % {SECOND_IN} = 9 THEN 'draft' \
                 WHEN n > {future} THEN 'scheduled' ELSE 'published' END"
            )
        };
        let word = format!("CASE WHEN n % {RARE_IN} = 11 THEN '{RARE_WORD} ' ELSE '' END");
        let Self {
            post: original,
            common_label,
            rare_label,
            ..
        } = self;
        let posts = format!(
            "INSERT INTO posts (id, workspace_id, state, revision, due_at, queue_id, repeats, search_text, doc, created_at, \
             updated_at, published_at) WITH RECURSIVE {SERIES} SELECT {post}, workspace_id, {state}, revision, {due}, \
             queue_id, repeats, {word} || search_text, \
             replace(replace(doc, '{original}', {post}), '\"state\":\"scheduled\"', '\"state\":\"' || {state} || '\"'), \
             created_at, updated_at, published_at FROM series CROSS JOIN posts WHERE id = '{original}'"
        );
        let accounts = format!(
            "INSERT INTO post_accounts (workspace_id, post_id, account_id) WITH RECURSIVE {SERIES} \
             SELECT workspace_id, {post}, account_id FROM series CROSS JOIN post_accounts WHERE post_id = '{original}'"
        );
        let mut statements = vec![posts, accounts];
        if self.all_scheduled {
            statements.push(format!(
                "INSERT INTO timers (id, workspace_id, kind, ref, slot, generation, due_at, doc) WITH RECURSIVE {SERIES} \
                 SELECT {timer}, workspace_id, kind, {post}, slot, generation, {due}, doc \
                 FROM series CROSS JOIN timers WHERE ref = '{original}'"
            ));
        } else {
            for (label, every, rest) in [(common_label, SECOND_IN, 2), (rare_label, RARE_IN, 3)] {
                statements.push(format!(
                    "INSERT INTO post_labels (workspace_id, post_id, label_id) WITH RECURSIVE {SERIES} \
                     SELECT workspace_id, {post}, '{label}' FROM series CROSS JOIN posts \
                     WHERE id = '{original}' AND n % {every} = {rest}"
                ));
            }
        }
        in_chunks(store, 0..self.total, &statements).await;
    }

    /// Due times in microseconds: in the past up to the newest twentieth, or all to come.
    fn due(&self) -> String {
        format!(
            "{} + n * {}",
            self.first_due(),
            DUE_STEP_SECONDS * 1_000_000
        )
    }

    fn first_due(&self) -> i64 {
        let month = 30 * 24 * 3_600;
        let span = self.total as i64 * DUE_STEP_SECONDS;
        let ahead = if self.all_scheduled {
            month
        } else {
            span / 20 - span
        };
        SystemClock.now().micros() / 1_000_000_000 * 1_000_000_000 + ahead * 1_000_000
    }

    /// When the copy of a number is due, as the API writes it.
    pub fn due_of(&self, number: usize) -> so_model::Timestamp {
        so_model::Timestamp::from_micros(
            self.first_due() + number as i64 * DUE_STEP_SECONDS * 1_000_000,
        )
    }

    /// The id of a copy.
    pub fn post_id(&self, number: usize) -> String {
        text_of("post", start_millis(self.total, STEP_MILLIS), number)
    }
}

/// What both databases take for the numbers of a chunk.
const SERIES: &str =
    "series(n) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT n + 1 FROM series WHERE n + 1 < $2)";

async fn in_chunks(store: &Store, range: Range<usize>, statements: &[String]) {
    let mut from = range.start;
    while from < range.end {
        let to = (from + CHUNK).min(range.end);
        let mut tx = store.begin().await.unwrap();
        for statement in statements {
            let bounds = args![from as i64, to as i64];
            tx.run(kept(statement), bounds).await.unwrap();
        }
        tx.commit().await.unwrap();
        from = to;
    }
    progress(&format!("{} rows copied", range.len()));
    if store.backend() == Backend::Postgres {
        // What its own housekeeping does within a minute.
        for table in [
            "events",
            "runs",
            "memos",
            "posts",
            "post_labels",
            "post_accounts",
            "timers",
        ] {
            let statement = kept(&format!("VACUUM ANALYZE {table}"));
            store.clone().all(statement, Vec::new()).await.unwrap();
        }
    }
}

/// The store takes statements that live for ever; those of one benchmark are few.
fn kept(statement: &str) -> &'static str {
    static KEPT: Mutex<Option<HashMap<String, &'static str>>> = Mutex::new(None);
    let mut kept = KEPT.lock().unwrap();
    let kept = kept.get_or_insert_default();
    if let Some(known) = kept.get(statement) {
        return known;
    }
    let leaked: &'static str = Box::leak(statement.to_owned().into_boxed_str());
    kept.insert(statement.to_owned(), leaked);
    leaked
}

fn start_millis(total: usize, step: i64) -> i64 {
    // Rounded, so that ids made of it are the same in the whole of a measurement.
    SystemClock.now().micros() / 1_000 / 86_400_000 * 86_400_000 - total as i64 * step
}

fn id(backend: Backend, prefix: &str, start: i64, step: i64) -> String {
    id_of(backend, prefix, start, step, "n")
}

// A UUIDv7 of the row's moment whose random part is the row's number.
fn id_of(backend: Backend, prefix: &str, start: i64, step: i64, number: &str) -> String {
    let hex = |value: String| match backend {
        Backend::Sqlite => format!("printf('%012x', {value})"),
        Backend::Postgres => format!("lpad(to_hex(({value})::bigint), 12, '0')"),
    };
    let moment = hex(format!("{start} + ({number}) * {step}"));
    format!(
        "'{prefix}_' || {moment} || '70008000' || {}",
        hex(number.to_owned())
    )
}

fn text_of(prefix: &str, start: i64, number: usize) -> String {
    let moment = start + number as i64 * STEP_MILLIS;
    format!("{prefix}_{moment:012x}70008000{number:012x}")
}
