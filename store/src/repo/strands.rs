//! Lists of a workspace's rows in their order, where no index has that order, as PostgreSQL finds them.
//!
//! Each index that begins with the workspace costs every new row a page of its own as soon as there are many
//! workspaces. So a table has one such index, over (workspace, strand, id): the kind of an event, the rule of a run.
//! SQLite has none, and lists both through a full-text index (`listed`).
//! Rows of one strand lie in their order in it; those of a workspace are merged here, from the end that is asked for,
//! with one look into the index for each strand and one for each row.

use so_model::id::WorkspaceId;

use super::{filter::kept, span::Span};
use crate::{Result, Row, Sql, args};

/// A table whose rows lie in strands.
pub(super) struct Strands {
    /// The table; its ids are in the order of making.
    pub table: &'static str,
    /// What its strands are named by, word for word as the index has it.
    pub name: &'static str,
}

/// After any id, in every order of letters that a database may have.
const PAST_ALL: &str = "zz";

impl Strands {
    /// These columns of the rows of a span, in its order: those of the strand with a name and of strands whose names
    /// continue it after `/`, or all of them where it is empty.
    pub async fn rows(
        &self,
        sql: &mut dyn Sql,
        columns: &'static str,
        workspace: WorkspaceId,
        strand: &str,
        span: &Span<'_>,
    ) -> Result<Vec<Row>> {
        let text = kept(self.spell(columns, span));
        let before = if span.before.is_empty() {
            PAST_ALL
        } else {
            span.before
        };
        let args = args![workspace, span.after, before, span.limit, strand];
        sql.all(text, args).await
    }

    fn spell(&self, columns: &str, span: &Span<'_>) -> String {
        let order = if span.is_newest_first { "DESC" } else { "ASC" };
        let (table, strands, ids) = (self.table, self.strands(), self.merged(span, order));
        // As an array there is nothing to merge the table with.
        format!(
            "WITH RECURSIVE {strands}, {ids} SELECT {columns} FROM {table} \
             WHERE id = ANY(ARRAY(SELECT id FROM merged)) ORDER BY id {order}"
        )
    }

    // From name to name, one look for each.
    fn strands(&self) -> String {
        let (table, name) = (self.table, self.name);
        format!(
            "strands (name) AS (\
             SELECT * FROM (SELECT {name} FROM {table} WHERE workspace_id = $1 ORDER BY {name} LIMIT 1) AS first \
             UNION ALL SELECT (SELECT {name} FROM {table} WHERE workspace_id = $1 AND {name} > strands.name \
             ORDER BY {name} LIMIT 1) FROM strands WHERE strands.name IS NOT NULL), \
             wanted (name) AS (SELECT name FROM strands WHERE name IS NOT NULL \
             AND ($5 = '' OR name = $5 OR SUBSTR(name, 1, LENGTH($5) + 1) = $5 || '/'))"
        )
    }

    // No row of a strand whose first one comes too late is among those asked for.
    //
    // Bounds and order are of all three columns: with `name = …` alone it may walk the whole table by its ids, in the hope
    // of meeting that strand soon, which is in vain for one with few rows.
    fn merged(&self, span: &Span<'_>, order: &str) -> String {
        let (table, name, also) = (self.table, self.name, span.also);
        let first = |strand: &str| {
            format!(
                "SELECT id FROM {table} WHERE (workspace_id, {name}, id) > ($1, {strand}, $2) \
                 AND (workspace_id, {name}, id) < ($1, {strand}, $3){also} \
                 ORDER BY workspace_id {order}, {name} {order}, id {order} LIMIT"
            )
        };
        format!(
            "first_of (name, id) AS (SELECT name, ({} 1) FROM wanted), \
             early (name) AS (SELECT name FROM first_of WHERE id IS NOT NULL ORDER BY id {order} LIMIT $4), \
             merged (id) AS (SELECT ids.id FROM early CROSS JOIN LATERAL ({} $4) AS ids ORDER BY ids.id {order} LIMIT $4)",
            first("wanted.name"),
            first("early.name"),
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{Store, StoreOptions, repo::run_lists};

    /// As a statement that is explained once; PostgreSQL's planner goes by what the table holds.
    async fn plan(store: &mut Store, strands: &Strands, workspace: WorkspaceId) -> Vec<String> {
        let text = strands.spell("id", &Span::default());
        let text = format!("EXPLAIN {text}").leak();
        let args = args![workspace, "", PAST_ALL, 51, ""];
        let plan = store.all(text, args).await.unwrap();
        plan.iter().map(|row| row.text(0).unwrap()).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn postgres_looks_into_the_index_for_a_strand_of_few_rows_too() {
        let cluster = tokio::task::block_in_place(|| {
            let test = "postgres_looks_into_the_index_for_a_strand_of_few_rows_too";
            so_testkit::counterpart::or_skip(test, so_testkit::postgres::PostgresCluster::shared())
        });
        let Some(cluster) = cluster else { return };
        let url = tokio::task::block_in_place(|| cluster.create_fresh_database().unwrap());
        let mut store = Store::open(&StoreOptions::at(url)).await.unwrap();
        let workspace = WorkspaceId::derived(&["one"]);
        let mut tx = store.begin().await.unwrap();
        tx.run(
            "INSERT INTO workspaces (id, name, time_zone, approval_required, created_at) VALUES ($1, 'W', 'UTC', 0, 0)",
            args![workspace],
        )
        .await
        .unwrap();
        // The oldest three are of a rule of their own.
        tx.run(
            "INSERT INTO runs (id, workspace_id, rule_id, version, event_id, trigger_id, state, mode_key, decision, \
             events_made, created_at) SELECT 'run_' || LPAD(n::text, 32, '0'), $1, \
             CASE WHEN n < 3 THEN 'rare' ELSE 'frequent' END, 1, 'evt', 't', 'finished', '', '{}', 0, 0 \
             FROM generate_series(0, 20000) AS n",
            args![workspace],
        )
        .await
        .unwrap();
        tx.run("ANALYZE runs", args![]).await.unwrap();
        tx.commit().await.unwrap();
        let plan = plan(&mut store, &run_lists::STRANDS, workspace).await;
        let walks = plan.iter().filter(|step| step.contains("runs_pkey"));
        assert!(walks.count() <= 1, "only for what was found: {plan:#?}");
        assert!(
            !plan.iter().any(|step| step.contains("Seq Scan on runs")),
            "{plan:#?}"
        );
        store.close().await.unwrap();
    }
}
