//! What only PostgreSQL does: transactions that are spoilt, connections that are no good any more.

use so_store::{Store, StoreError, StoreOptions, instance};
use so_testkit::{counterpart::or_skip, postgres::PostgresCluster};

use crate::support::{Db, is_conflict};

/// PostgreSQL would answer such a commit as if all were well, having undone everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_which_a_statement_failed_is_not_committed() {
    let Some(db) = Db::postgres("a_transaction_of_which_a_statement_failed").await else {
        return;
    };
    let mut tx = db.store.begin().await.unwrap();
    instance::set(&mut tx, "fact", "kept").await.unwrap();
    spoil(&mut tx).await;
    assert!(matches!(tx.commit().await, Err(StoreError::Refused(_))));

    let mut tx = db.store.begin().await.unwrap();
    instance::set(&mut tx, "fact", "kept").await.unwrap();
    tx.savepoint().await.unwrap();
    spoil(&mut tx).await;
    tx.undo_to_savepoint().await.unwrap();
    tx.commit().await.unwrap();
    let found = instance::get(&mut db.store.clone(), "fact").await.unwrap();
    assert_eq!(found.as_deref(), Some("kept"));
}

async fn spoil(tx: &mut so_store::Tx) {
    use so_store::Sql as _;
    const TWICE: &str = "INSERT INTO instance (name, value) VALUES ('twice', 'a'), ('twice', 'b')";
    assert!(is_conflict(tx.run(TWICE, Vec::new()).await));
}

/// Whoever wanted to write gets "later", and a connection that is good as soon as there is one.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_take_no_writes_are_given_up() {
    let test = "connections_that_take_no_writes_are_given_up";
    let Some(cluster) = or_skip(test, PostgresCluster::start()) else {
        return;
    };
    let url = cluster.create_fresh_database().unwrap();
    let store = Store::open(&StoreOptions::at(url)).await.unwrap();
    let write = async || {
        let mut tx = store.begin().await?;
        instance::set(&mut tx, "fact", "kept").await?;
        tx.commit().await
    };
    write().await.unwrap();
    let name = "alter database fresh_0 set default_transaction_read_only";
    cluster.run(&format!("{name} = on")).unwrap();
    end_connections(&cluster);
    // Ended, and then new ones that refuse.
    for _ in 0..3 {
        let refused = write().await.unwrap_err();
        assert!(refused.is_transient(), "{refused:?}");
    }
    let failures = store.failures();
    assert!(failures > 0);
    cluster.run(&format!("{name} = off")).unwrap();
    // Settings of a database count for new connections: the old ones would refuse for ever.
    write().await.unwrap();
}

fn end_connections(cluster: &PostgresCluster) {
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'social-orchestrator'";
    cluster.run(end).unwrap();
}
