//! A database of an older version keeps what it holds when it is opened by this one.

use std::path::Path;

use serde_json::json;
use so_model::{
    id::{EventId, RuleId, RunId, WorkspaceId},
    run::{ConditionTrace, Verdict},
};
use so_store::{Sql as _, Store, StoreOptions, decisions, events, runs, runs::RunFilter};
use so_testkit::{counterpart::or_skip, postgres::PostgresCluster};
use sqlx::{Connection as _, migrate::Migrator};

use crate::support::{NOW, at, id};

/// Migrations up to one, as an older version had them.
async fn older(backend: &str, last: &str) -> (Migrator, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let all = format!("{}/../migrations/{backend}", env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(all).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if name.to_str().unwrap()[..4] <= *last {
            std::fs::copy(&path, folder.path().join(name)).unwrap();
        }
    }
    let migrator = Migrator::new(Path::new(folder.path())).await.unwrap();
    (migrator, folder)
}

/// What the version before 0013 kept: a row for each refusal.
fn old_refusals(
    workspace: WorkspaceId,
    event: EventId,
    rules: [RuleId; 2],
) -> impl Iterator<Item = String> {
    let now = NOW.micros();
    let seen = json!({"f": {"queue_length:{}": 3}});
    let trace = json!({"path": "/if", "held": false, "saw": "it's\ntwo lines", "text": ""});
    let quoted = trace.to_string().replace('\'', "''");
    [
        format!("INSERT INTO workspaces (id, name, time_zone, approval_required, created_at) VALUES ('{workspace}', 'W', 'UTC', 0, {now})"),
        format!(
            "INSERT INTO events (id, workspace_id, kind, source, dedupe, at, data, cause, root_id, is_decided, stored_at) \
             VALUES ('{event}', '{workspace}', 'k', 's', 'd', {now}, '{{}}', '{{}}', '{event}', 1, {now})"
        ),
        format!(
            "INSERT INTO decisions (workspace_id, event_id, rule_id, trigger_id, version, verdict, reason, trace, at, seen) \
             VALUES ('{workspace}', '{event}', '{}', 't', 3, 'condition_failed', 'likes is 87', '{quoted}', {now}, '{seen}'), \
             ('{workspace}', '{event}', '{}', 'u', 1, 'throttled', 'no place', 'null', {}, NULL)",
            rules[0],
            rules[1],
            at(1).micros()
        ),
        format!(
            "INSERT INTO runs (id, workspace_id, rule_id, version, event_id, trigger_id, state, mode_key, decision, events_made, \
             created_at, finished_at) VALUES ('{}', '{workspace}', '{}', 1, '{event}', 't', 'finished', '', '{}', 0, {now}, {now})",
            old_run(),
            rules[0],
            serde_json::to_string(&ConditionTrace::unconditional()).unwrap(),
        ),
        format!(
            "INSERT INTO rules (id, workspace_id, name, is_enabled, version, generation, created_at, updated_at) \
             VALUES ('{}', '{workspace}', 'r', 1, 1, 1, {now}, {now})",
            rules[0]
        ),
        format!(
            "INSERT INTO rule_versions (workspace_id, rule_id, version, doc, source, reason, created_at) \
             VALUES ('{workspace}', '{}', 1, '{}', '', '', {now})",
            rules[0],
            json!({"limits": {"max_runs_per_hour": 1}})
        ),
    ]
    .into_iter()
}

fn old_run() -> RunId {
    RunId::from_parts(NOW, [9; 10])
}

async fn assert_kept(
    options: &StoreOptions,
    workspace: WorkspaceId,
    event: EventId,
    rules: [RuleId; 2],
) {
    let mut store = Store::open(options).await.unwrap();
    let mut found = decisions::list_for_event(&mut store, workspace, event)
        .await
        .unwrap();
    found.sort_by_key(|one| one.at);
    let [first, second] = &found[..] else {
        panic!("{found:#?}")
    };
    let told = &first.decision;
    assert_eq!((told.rule, told.version, first.at), (rules[0], 3, NOW));
    assert_eq!(
        (told.trigger.as_str(), told.verdict),
        ("t", Verdict::ConditionFailed)
    );
    let trace = told.trace.as_ref().unwrap();
    assert_eq!(trace.saw, json!("it's\ntwo lines"));
    assert_eq!(trace.text, "likes is 87");
    assert_eq!(first.seen.as_ref().unwrap().facts["queue_length:{}"], 3);
    let told = &second.decision;
    assert_eq!((told.rule, second.at), (rules[1], at(1)));
    assert_eq!((told.verdict, &told.trace), (Verdict::Throttled, &None));
    assert_eq!(second.seen, None);
    let seen = so_store::history::page(&mut store, workspace, (at(-9), at(9)), None, 9).await;
    assert_eq!(seen.unwrap().seen.len(), 1);
    for rule in rules {
        let found = decisions::list_for_rule(&mut store, workspace, rule, 9).await;
        assert_eq!(found.unwrap().len(), 1);
    }
    let listed = events::list(&mut store, workspace, "k", "", "", 9).await;
    let listed: Vec<_> = listed.unwrap().iter().map(|event| event.id).collect();
    assert_eq!(listed, [event], "what was stored before is listed");
    for rule in ["", &*rules[0].to_string()] {
        let filter = RunFilter {
            rule,
            ..RunFilter::default()
        };
        let listed = runs::list(&mut store, workspace, &filter, 9).await.unwrap();
        let listed: Vec<_> = listed.iter().map(|run| run.id).collect();
        assert_eq!(listed, [old_run()], "what was stored before is listed");
    }
    let count = runs::count_since(&mut store, workspace, rules[0], at(-1)).await;
    assert_eq!(count.unwrap(), 1, "what was started before is counted");
    let rest = store
        .one("SELECT COUNT(*) FROM decisions", vec![])
        .await
        .unwrap();
    assert_eq!(rest.unwrap().int(0).unwrap(), 0, "nothing is held twice");
    store.close().await.unwrap();
}

/// Fills an older database and opens it.
macro_rules! upgraded {
    ($connection:ty, $backend:literal, $options:expr) => {{
        let options: StoreOptions = $options;
        let (workspace, event, rules) = (id(), EventId::from_parts(NOW, [7; 10]), [id(), id()]);
        let (migrator, _folder) = older($backend, "0012").await;
        let url = options.url.clone();
        let mut raw = <$connection>::connect(&url).await.unwrap();
        migrator.run(&mut raw).await.unwrap();
        for sql in old_refusals(workspace, event, rules) {
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
                .execute(&mut raw)
                .await
                .unwrap();
        }
        raw.close().await.unwrap();
        assert_kept(&options, workspace, event, rules).await;
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_the_version_before_are_kept_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions::in_folder(folder.path());
    std::fs::File::create(options.url.strip_prefix("sqlite:").unwrap()).unwrap();
    upgraded!(sqlx::SqliteConnection, "sqlite", options);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_the_version_before_are_kept_on_postgres() {
    let cluster = tokio::task::block_in_place(|| {
        or_skip(
            "refusals_of_the_version_before_are_kept_on_postgres",
            PostgresCluster::shared(),
        )
    });
    let Some(cluster) = cluster else { return };
    let url = tokio::task::block_in_place(|| cluster.create_fresh_database().unwrap());
    upgraded!(sqlx::PgConnection, "postgres", StoreOptions::at(url));
}
