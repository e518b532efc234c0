//! Copies of a workspace's rows into another database: what a forecast looks ahead from.
//!
//! Owns which columns are copied. Invariant: rows are copied as they are stored, nothing is written to the database
//! they come from, and every copy has a bound.

use so_model::{
    id::{RuleId, RunId, WorkspaceId},
    rule::RuleDocument,
    time::Timestamp,
};

use super::{rules::RuleRow, run_lists, runs::at_or_after, span::Span};
use crate::{
    Result, Row, Sql, Tx, args,
    bulk::Shape,
    value::{Args, Value, to_json},
};

/// A table's columns, and how its rows are written.
struct Table {
    /// `t` for a text, `i` for an integer, in the order of the columns.
    types: &'static str,
    insert: Shape,
}

macro_rules! table {
    ($name:ident, $table:literal, $types:literal, $columns:literal) => {
        const $name: Table = Table {
            types: $types,
            insert: Shape {
                before: concat!("INSERT INTO ", $table, " (", $columns, ") VALUES "),
                columns: $types.len(),
                after: " ON CONFLICT DO NOTHING",
                fixed: 0,
            },
        };
    };
}

/// Copies of rows that one statement with a bound finds: `(workspace, …, limit)`.
macro_rules! by_workspace {
    ($(#[$doc:meta])* $function:ident($($arg:ident: $type:ty),*), $name:ident, $table:literal, $types:literal, $columns:literal, $rest:literal) => {
        table!($name, $table, $types, $columns);
        $(#[$doc])*
        pub async fn $function(from: &mut dyn Sql, to: &mut Tx, workspace: WorkspaceId, $($arg: $type,)* limit: i64) -> Result<Vec<Row>> {
            let rows = from
                .all(concat!("SELECT ", $columns, " FROM ", $table, " ", $rest), args![workspace, $($arg,)* limit])
                .await?;
            write(to, &$name, rows).await
        }
    };
}

/// Copies of rows that belong to rows named by their ids, of one workspace.
macro_rules! by_ids {
    ($(#[$doc:meta])* $function:ident, $name:ident, $query:ident, $table:literal, $types:literal, $columns:literal, $rest:literal) => {
        table!($name, $table, $types, $columns);
        const $query: Shape = Shape {
            before: concat!("SELECT ", $columns, " FROM ", $table, " ", $rest, " IN ("),
            columns: 1,
            after: ")",
            fixed: 1,
        };
        $(#[$doc])*
        pub async fn $function(from: &mut dyn Sql, to: &mut Tx, workspace: WorkspaceId, ids: &[String]) -> Result<Vec<Row>> {
            let rows = $query.all(from, &args![workspace], each(ids)).await?;
            write(to, &$name, rows).await
        }
    };
}

fn each(ids: &[String]) -> Vec<Args> {
    ids.iter().map(|id| args![id]).collect()
}

async fn write(to: &mut Tx, table: &Table, rows: Vec<Row>) -> Result<Vec<Row>> {
    let values = rows.iter().map(|row| values(row, table.types));
    let values = values.collect::<Result<Vec<Args>>>()?;
    table.insert.run(to, &Args::new(), values).await?;
    Ok(rows)
}

fn values(row: &Row, types: &str) -> Result<Args> {
    let value = |(index, kind)| {
        Ok(match kind {
            'i' => Value::Int(row.opt_int(index)?),
            _ => Value::Text(row.opt_text(index)?),
        })
    };
    types.chars().enumerate().map(value).collect()
}

by_workspace!(
    /// The workspace itself; the limit is one.
    workspace(), WORKSPACES, "workspaces", "tttii", "id, name, time_zone, approval_required, created_at",
    "WHERE id = $1 LIMIT $2"
);

by_workspace!(
    /// Accounts.
    accounts(), ACCOUNTS, "accounts", "ttttttiii",
    "id, workspace_id, network, remote_id, state, doc, token_expires_at, created_at, updated_at",
    "WHERE workspace_id = $1 ORDER BY id LIMIT $2"
);

by_workspace!(
    /// Labels.
    labels(), LABELS, "labels", "tttti", "id, workspace_id, name, color, created_at",
    "WHERE workspace_id = $1 ORDER BY id LIMIT $2"
);

by_workspace!(
    /// Queues.
    queues(), QUEUES, "queues", "tttiiti", "id, workspace_id, name, is_paused, generation, doc, created_at",
    "WHERE workspace_id = $1 ORDER BY id LIMIT $2"
);

by_workspace!(
    /// Reserved slots at or after a moment.
    slots(from_at: Timestamp), SLOTS, "queue_slots", "ttit", "workspace_id, queue_id, slot_at, post_id",
    "WHERE workspace_id = $1 AND slot_at >= $2 AND queue_id IN (SELECT id FROM queues WHERE queues.workspace_id = $1) \
     ORDER BY queue_id, slot_at LIMIT $3"
);

by_workspace!(
    /// Rules that are there.
    rules(), RULES, "rules", "tttiiittiii",
    "id, workspace_id, name, is_enabled, version, generation, starter, problem, created_at, updated_at, deleted_at",
    "WHERE workspace_id = $1 AND deleted_at IS NULL ORDER BY id LIMIT $2"
);

by_workspace!(
    /// The live versions of rules.
    live_versions(), LIVE_VERSIONS, "rule_versions", "ttittti",
    "workspace_id, rule_id, version, doc, source, author, created_at",
    "WHERE workspace_id = $1 AND EXISTS (SELECT 1 FROM rules WHERE rules.id = rule_versions.rule_id \
     AND rules.version = rule_versions.version AND rules.deleted_at IS NULL) ORDER BY rule_id LIMIT $2"
);

by_workspace!(
    /// The state of the script library.
    library(), LIBRARIES, "script_libraries", "ti", "workspace_id, revision", "WHERE workspace_id = $1 LIMIT $2"
);

by_workspace!(
    /// Modules of the script library.
    modules(), MODULES, "script_modules", "ttiiii",
    "workspace_id, name, version, created_at, updated_at, deleted_at",
    "WHERE workspace_id = $1 ORDER BY name LIMIT $2"
);

by_workspace!(
    /// Versions of the library's modules, the newest first.
    module_versions(), MODULE_VERSIONS, "script_module_versions", "ttiittttii",
    "workspace_id, name, version, revision, source, author, reason, override_reason, created_at, gone_revision",
    "WHERE workspace_id = $1 ORDER BY revision DESC LIMIT $2"
);

by_workspace!(
    /// Which state of the library versions of rules call.
    rule_libraries(), RULE_LIBRARIES, "rule_libraries", "titi", "rule_id, version, workspace_id, revision",
    "WHERE workspace_id = $1 ORDER BY revision DESC LIMIT $2"
);

by_workspace!(
    /// Posts that have not gone out and are due within a span, the earliest first.
    posts_due(from_at: Timestamp, until: Timestamp), POSTS_DUE, "posts", "tttiittttiii",
    "id, workspace_id, state, revision, due_at, queue_id, repeats, search_text, doc, created_at, updated_at, published_at",
    "WHERE workspace_id = $1 AND due_at >= $2 AND due_at < $3 \
     AND state IN ('draft', 'pending_approval', 'approved', 'scheduled') ORDER BY due_at, id LIMIT $4"
);

by_workspace!(
    /// Timers of everything but posts and the silence of rules, due before a moment, the earliest first.
    timers(until: Timestamp), TIMERS, "timers", "tttttiit",
    "id, workspace_id, kind, ref, slot, generation, due_at, doc",
    "WHERE workspace_id = $1 AND kind IN ('rule', 'queue', 'recurrence', 'debounce') AND due_at < $2 \
     ORDER BY due_at, id LIMIT $3"
);

by_ids!(
    /// Timers of posts.
    post_timers, POST_TIMERS, POST_TIMERS_OF, "timers", "tttttiit",
    "id, workspace_id, kind, ref, slot, generation, due_at, doc",
    "WHERE workspace_id || '' = $1 AND kind = 'post' AND slot = '' AND ref"
);

by_ids!(
    /// Posts in any state.
    posts, POSTS, POSTS_OF, "posts", "tttiittttiii",
    "id, workspace_id, state, revision, due_at, queue_id, repeats, search_text, doc, created_at, updated_at, published_at",
    "WHERE workspace_id || '' = $1 AND id"
);

by_ids!(
    /// Uploaded files.
    media, MEDIA, MEDIA_OF, "media", "ttttiiittti",
    "id, workspace_id, name, mime, bytes, width, height, alt, sha256, storage_key, created_at",
    "WHERE workspace_id || '' = $1 AND id"
);

by_workspace!(
    /// Runs that are not over, the first ones first. Goes by what is not over, of which there is little.
    open_runs(), OPEN_RUNS, "runs", "tttittttttiii",
    "id, workspace_id, rule_id, version, event_id, trigger_id, state, mode_key, decision, reason, events_made, created_at, \
     finished_at",
    "WHERE workspace_id || '' = $1 AND finished_at IS NULL ORDER BY created_at, id LIMIT $2"
);

by_ids!(
    /// What runs did so far.
    memos, MEMOS, MEMOS_OF, "memos", "tttitttii",
    "workspace_id, run_id, path, attempt, step, outcome, doc, started_at, finished_at",
    "WHERE workspace_id || '' = $1 AND run_id"
);

by_ids!(
    /// What runs wait for.
    waits, WAITS, WAITS_OF, "waits", "tttttt", "run_id, path, workspace_id, kind, subject, event_id",
    "WHERE workspace_id || '' = $1 AND run_id"
);

by_ids!(
    /// Events.
    events, EVENTS, EVENTS_OF, "events", "ttttttitttii",
    "id, workspace_id, kind, source, dedupe, subject, at, data, cause, root_id, is_decided, stored_at",
    "WHERE workspace_id || '' = $1 AND id"
);

by_ids!(
    /// Every version of rules that runs are pinned to.
    versions, VERSIONS, VERSIONS_OF, "rule_versions", "ttittti",
    "workspace_id, rule_id, version, doc, source, author, created_at",
    "WHERE workspace_id || '' = $1 AND rule_id"
);

/// Most rows of a history that counts: more are never asked for by a bound that a rule may have.
const HISTORY_MAX: i64 = 20_000;

table!(
    JOBS,
    "jobs",
    "tttttiii",
    "id, workspace_id, kind, ref, state, run_after, epoch, tries"
);
const JOBS_OF: Shape = Shape {
    before: "SELECT id, workspace_id, kind, ref, 'available', run_after, epoch, CAST(0 AS BIGINT) FROM jobs \
             WHERE workspace_id || '' = $1 AND kind = 'run' AND ref IN (",
    columns: 1,
    after: ")",
    fixed: 1,
};

/// When runs go on; a job that is worked on now is copied as one that is due.
pub async fn run_jobs(
    from: &mut dyn Sql,
    to: &mut Tx,
    workspace: WorkspaceId,
    runs: &[String],
) -> Result<Vec<Row>> {
    let rows = JOBS_OF.all(from, &args![workspace], each(runs)).await?;
    write(to, &JOBS, rows).await
}

table!(
    PAST_RUNS,
    "runs",
    "tttittttttiii",
    "id, workspace_id, rule_id, version, event_id, trigger_id, state, mode_key, decision, reason, events_made, created_at, \
     finished_at"
);

/// Starts of a rule since a moment, as far as they are counted.
pub async fn past_runs(
    from: &mut dyn Sql,
    to: &mut Tx,
    workspace: WorkspaceId,
    rule: RuleId,
    since: Timestamp,
) -> Result<Vec<Row>> {
    let span = Span {
        after: &at_or_after(RunId::first_after(since)),
        also: " AND finished_at IS NOT NULL",
        limit: HISTORY_MAX,
        ..Span::default()
    };
    const COLUMNS: &str = "id, workspace_id, rule_id, version, event_id, trigger_id, state, mode_key, '{}', NULL, \
                           events_made, created_at, finished_at";
    let mut rows = run_lists::rows(from, COLUMNS, workspace, Some(rule), &span).await?;
    // SQLite's full-text index begins a new portion where an id comes too early.
    rows.reverse();
    write(to, &PAST_RUNS, rows).await
}

table!(
    WAYS,
    "run_ways",
    "ittittiiiitiii",
    "way, workspace_id, rule_id, version, trigger_id, steps, seen, let_go, week, kept_in_week, kept, first_at, last_at, let_go_at"
);
table!(LET_GO, "runs_let_go", "tii", "event_id, way, at");

/// Starts of a rule since a moment whose runs were let go, as far as they are counted, with the ways that they belong to.
pub async fn starts_let_go(
    from: &mut dyn Sql,
    to: &mut Tx,
    workspace: WorkspaceId,
    rule: &str,
    since: Timestamp,
) -> Result<Vec<Row>> {
    let ways = from
        .all(
            "SELECT way, workspace_id, rule_id, version, trigger_id, 'null', seen, let_go, week, kept_in_week, '[]', first_at, \
             last_at, let_go_at FROM run_ways WHERE workspace_id = $1 AND rule_id = $2 AND let_go_at > $3 \
             ORDER BY last_at DESC, way LIMIT $4",
            args![workspace, rule, since, HISTORY_MAX],
        )
        .await?;
    if ways.is_empty() {
        return Ok(ways);
    }
    write(to, &WAYS, ways).await?;
    let rows = from
        .all(
            "SELECT runs_let_go.event_id, runs_let_go.way, runs_let_go.at FROM run_ways CROSS JOIN runs_let_go \
             WHERE runs_let_go.way = run_ways.way AND run_ways.workspace_id = $1 AND run_ways.rule_id = $2 \
             AND runs_let_go.at > $3 ORDER BY runs_let_go.at DESC LIMIT $4",
            args![workspace, rule, since, HISTORY_MAX],
        )
        .await?;
    write(to, &LET_GO, rows).await
}

table!(
    KEYS,
    "rule_keys",
    "tttttii",
    "workspace_id, rule_id, kind, key, event_id, at, expires_at"
);

/// Keys that a rule remembers and that still count, the newest first.
pub async fn rule_keys(
    from: &mut dyn Sql,
    to: &mut Tx,
    workspace: WorkspaceId,
    rule: &str,
    now: Timestamp,
) -> Result<Vec<Row>> {
    let rows = from
        .all(
            "SELECT workspace_id, rule_id, kind, key, event_id, at, expires_at FROM rule_keys \
             WHERE workspace_id || '' = $1 AND rule_id = $2 AND (expires_at IS NULL OR expires_at > $3) \
             ORDER BY at DESC LIMIT $4",
            args![workspace, rule, now, HISTORY_MAX],
        )
        .await?;
    write(to, &KEYS, rows).await
}

table!(
    PUBLICATIONS,
    "publications",
    "tttttitiiiittttttii",
    "id, workspace_id, post_id, variant_id, account_id, part, state, revision, epoch, attempts, due_at, remote_id, progress, \
     content, problem, run_id, step_path, published_at, updated_at"
);

/// What an account published since a moment, as far as it is counted: when, and not what.
pub async fn published(
    from: &mut dyn Sql,
    to: &mut Tx,
    workspace: WorkspaceId,
    account: &str,
    since: Timestamp,
) -> Result<Vec<Row>> {
    let rows = from
        .all(
            "SELECT id, workspace_id, post_id, variant_id, account_id, part, state, revision, epoch, attempts, due_at, \
             remote_id, 'null', '{}', NULL, NULL, '', published_at, updated_at FROM publications \
             WHERE workspace_id || '' = $1 AND account_id = $2 AND published_at >= $3 ORDER BY published_at DESC LIMIT $4",
            args![workspace, account, since, HISTORY_MAX],
        )
        .await?;
    write(to, &PUBLICATIONS, rows).await
}

/// Stores a rule that is in the copy alone, or another live version of one that was copied.
pub async fn put_rule(to: &mut Tx, rule: &RuleRow, document: &RuleDocument) -> Result<()> {
    to.run(
        "INSERT INTO rules (id, workspace_id, name, is_enabled, version, generation, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO UPDATE SET name = excluded.name, \
         is_enabled = excluded.is_enabled, version = excluded.version, generation = excluded.generation, \
         updated_at = excluded.updated_at",
        args![
            rule.id,
            rule.workspace,
            &rule.name,
            rule.is_enabled,
            rule.version,
            rule.generation,
            rule.created_at,
            rule.updated_at
        ],
    )
    .await?;
    to.run(
        "INSERT INTO rule_versions (workspace_id, rule_id, version, doc, source, created_at) \
         VALUES ($1, $2, $3, $4, '', $5)",
        args![
            rule.workspace,
            rule.id,
            rule.version,
            to_json(document)?,
            rule.updated_at
        ],
    )
    .await?;
    // It calls the library as it is now.
    to.run(
        "INSERT INTO rule_libraries (rule_id, version, workspace_id, revision) \
         SELECT $1, $2, workspace_id, revision FROM script_libraries WHERE workspace_id = $3",
        args![rule.id, rule.version, rule.workspace],
    )
    .await?;
    Ok(())
}
