//! The two schemas are one: same migrations, tables, columns and indexes.

use std::collections::BTreeSet;

use so_store::{Sql as _, Store};

use crate::support::Db;

fn files(backend: &str) -> BTreeSet<String> {
    let folder = format!("{}/../migrations/{backend}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn both_folders_hold_the_same_migrations() {
    let sqlite = files("sqlite");
    assert!(!sqlite.is_empty());
    assert_eq!(sqlite, files("postgres"));
}

async fn texts(store: &Store, sql: &'static str) -> BTreeSet<String> {
    let rows = store.clone().all(sql, vec![]).await.unwrap();
    let texts: BTreeSet<String> = rows.iter().map(|row| row.text(0).unwrap()).collect();
    assert!(!texts.is_empty());
    texts
}

// Lists of events and runs have another index on each: a full-text one, whose tables begin alike, and one by topics and one
// by rules, which PostgreSQL counts starts by as well.
// Types are compared by what both can hold: text, integer, bytes.
const SQLITE_COLUMNS: &str = "SELECT m.name || '.' || c.name || ' ' || \
    CASE c.type WHEN 'INTEGER' THEN 'bigint' WHEN 'BLOB' THEN 'bytea' ELSE lower(c.type) END || \
    CASE c.\"notnull\" WHEN 1 THEN ' required' ELSE '' END \
    FROM sqlite_master m JOIN pragma_table_info(m.name) c \
    WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> '_sqlx_migrations' \
    AND m.name NOT LIKE 'events_listed%' AND m.name NOT LIKE '%s_counted'";
const POSTGRES_COLUMNS: &str = "SELECT table_name || '.' || column_name || ' ' || data_type || \
    CASE is_nullable WHEN 'NO' THEN ' required' ELSE '' END \
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'";

// Keys made by PRIMARY KEY and UNIQUE have other names on each database: only their columns count.
const SQLITE_INDEXES: &str = "SELECT m.name || CASE i.\"unique\" WHEN 1 THEN ' unique' ELSE '' END || \
    CASE i.partial WHEN 1 THEN ' partial' ELSE '' END || \
    CASE i.origin WHEN 'c' THEN ' ' || i.name ELSE '' END || ' (' || \
    (SELECT group_concat(name, ',') FROM (SELECT c.name FROM pragma_index_info(i.name) c ORDER BY c.seqno)) || ')' \
    FROM sqlite_master m JOIN pragma_index_list(m.name) i \
    WHERE m.type = 'table' AND m.name <> '_sqlx_migrations' AND m.name NOT LIKE 'events_listed%' \
    AND m.name NOT LIKE '%s_counted'";
const POSTGRES_INDEXES: &str = "SELECT t.relname || CASE WHEN x.indisunique THEN ' unique' ELSE '' END || \
    CASE WHEN x.indpred IS NOT NULL THEN ' partial' ELSE '' END || \
    CASE WHEN k.oid IS NULL THEN ' ' || i.relname ELSE '' END || ' (' || \
    (SELECT string_agg(a.attname, ',' ORDER BY c.ord) FROM unnest(x.indkey) WITH ORDINALITY AS c(attnum, ord) \
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.attnum) || ')' \
    FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid \
    JOIN pg_namespace n ON n.oid = t.relnamespace \
    LEFT JOIN pg_constraint k ON k.conindid = x.indexrelid AND k.contype IN ('p', 'u') \
    WHERE n.nspname = 'public' AND t.relname <> '_sqlx_migrations' AND i.relname NOT IN ('events_topic', 'runs_rule')";

const SQLITE_REFERENCES: &str = "SELECT m.name || '.' || f.\"from\" || ' to ' || f.\"table\" || ' ' || lower(f.on_delete) \
    FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table' AND m.name <> 'rules_counted'";
const POSTGRES_REFERENCES: &str = "SELECT t.relname || '.' || a.attname || ' to ' || r.relname || ' ' || \
    CASE k.confdeltype WHEN 'c' THEN 'cascade' ELSE 'no action' END \
    FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid JOIN pg_class r ON r.oid = k.confrelid \
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.conkey[1] WHERE k.contype = 'f'";

#[tokio::test(flavor = "multi_thread")]
async fn both_databases_have_the_same_schema() {
    // Held whole: its folder goes with it.
    let sqlite = Db::sqlite().await;
    let test = "both_databases_have_the_same_schema";
    let Some(postgres) = Db::postgres(test).await else {
        return;
    };
    for (one, other) in [
        (SQLITE_COLUMNS, POSTGRES_COLUMNS),
        (SQLITE_INDEXES, POSTGRES_INDEXES),
        (SQLITE_REFERENCES, POSTGRES_REFERENCES),
    ] {
        let (one, other) = (
            texts(&sqlite.store, one).await,
            texts(&postgres.store, other).await,
        );
        let only_sqlite: Vec<_> = one.difference(&other).collect();
        let only_postgres: Vec<_> = other.difference(&one).collect();
        assert!(
            only_sqlite.is_empty() && only_postgres.is_empty(),
            "only SQLite: {only_sqlite:#?}\nonly PostgreSQL: {only_postgres:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_finds_the_schema_as_it_is() {
    for db in [
        Some(Db::sqlite().await),
        Db::postgres("a_second_start_finds_the_schema_as_it_is").await,
    ] {
        let Some(db) = db else { continue };
        let workspace = db.workspace().await;
        db.store.close().await.unwrap();
        let mut again = Store::open(&db.options).await.unwrap();
        let found = so_store::workspaces::find(&mut again, workspace).await;
        assert!(found.unwrap().is_some());
    }
}

#[tokio::test]
async fn an_address_of_another_database_is_refused() {
    let options = so_store::StoreOptions::at("mysql://somewhere");
    let refused = Store::open(&options).await.unwrap_err().to_string();
    assert!(refused.contains("sqlite:PATH"), "{refused}");
}
