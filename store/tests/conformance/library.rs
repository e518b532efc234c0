//! The script library: states that never change, and rules' versions that hold on to one.

use so_model::id::{UserId, WorkspaceId};
use so_store::{
    StoreError, rules,
    script_library::{self, ModuleVersion},
};

use crate::{
    engine::rule,
    support::{Db, at, is_stale, on_both},
};

fn module(name: &str, version: i64, revision: i64) -> ModuleVersion {
    ModuleVersion {
        name: name.into(),
        version,
        revision,
        source: format!("fn f() {{ {version} }}"),
        author: Some(UserId::derived(&["author"])),
        reason: String::new(),
        override_reason: None,
        created_at: at(revision),
    }
}

async fn save(db: &Db, workspace: WorkspaceId, made: &ModuleVersion) -> Result<(), StoreError> {
    let mut tx = db.begin().await;
    script_library::lock(&mut tx, workspace).await?;
    script_library::put(&mut tx, workspace, made).await?;
    tx.commit().await
}

async fn versions(db: &Db, workspace: WorkspaceId, revision: i64) -> Vec<(String, i64)> {
    let found = script_library::at_revision(&mut db.read(), workspace, revision).await;
    let found = found.unwrap().into_iter();
    found.map(|one| (one.name, one.version)).collect()
}

on_both!(each_state_of_a_library_stays_as_it_was);
async fn each_state_of_a_library_stays_as_it_was(db: Db) {
    let (mine, theirs) = (db.workspace().await, db.workspace().await);
    let made = [
        module("texts", 1, 1),
        module("dates", 1, 2),
        module("texts", 2, 3),
    ];
    for one in &made {
        save(&db, mine, one).await.unwrap();
    }
    let pair = |name: &str, version| (name.to_owned(), version);
    assert_eq!(versions(&db, mine, 1).await, [pair("texts", 1)]);
    assert_eq!(
        versions(&db, mine, 2).await,
        [pair("dates", 1), pair("texts", 1)]
    );
    let newest = [pair("dates", 1), pair("texts", 2)];
    assert_eq!(versions(&db, mine, 3).await, newest);
    // Deleted is left out from then on, and what was stays.
    let mut tx = db.begin().await;
    assert_eq!(script_library::lock(&mut tx, mine).await.unwrap(), 3);
    assert!(
        script_library::delete(&mut tx, mine, "texts", 4, at(4))
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    assert_eq!(versions(&db, mine, 3).await, newest);
    assert_eq!(versions(&db, mine, 4).await, [pair("dates", 1)]);
    let mut read = db.read();
    let read = &mut read;
    assert_eq!(
        script_library::find(read, mine, "texts").await.unwrap(),
        None
    );
    let old = script_library::find_version(read, mine, "texts", 1)
        .await
        .unwrap();
    assert_eq!(old.as_ref(), Some(&made[0]));
    // Made again, it goes on counting.
    save(&db, mine, &module("texts", 3, 5)).await.unwrap();
    let listed = script_library::list_versions(read, mine, "texts", 10)
        .await
        .unwrap();
    let numbers: Vec<i64> = listed.iter().map(|one| one.version).collect();
    assert_eq!(numbers, [3, 2, 1]);
    assert_eq!(
        script_library::find(read, mine, "texts")
            .await
            .unwrap()
            .unwrap()
            .version,
        3
    );
    // What was between is as it was: there again is not there in between.
    assert_eq!(versions(&db, mine, 3).await, newest);
    assert_eq!(versions(&db, mine, 4).await, [pair("dates", 1)]);
    let again = [pair("dates", 1), pair("texts", 3)];
    assert_eq!(versions(&db, mine, 5).await, again);
    // Another workspace has a library of its own.
    assert_eq!(script_library::revision(read, theirs).await.unwrap(), 0);
    assert!(versions(&db, theirs, 5).await.is_empty());
    assert_eq!(
        script_library::find(read, theirs, "dates").await.unwrap(),
        None
    );
    let hidden = script_library::find_version(read, theirs, "texts", 1)
        .await
        .unwrap();
    assert_eq!(hidden, None);
    assert!(
        script_library::list_versions(read, theirs, "texts", 10)
            .await
            .unwrap()
            .is_empty()
    );
}

on_both!(of_two_that_save_a_module_at_once_one_is_told_so);
async fn of_two_that_save_a_module_at_once_one_is_told_so(db: Db) {
    let workspace = db.workspace().await;
    let made = module("texts", 1, 1);
    let ends = tokio::join!(save(&db, workspace, &made), save(&db, workspace, &made));
    let ends = [ends.0, ends.1];
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1, "{ends:?}");
    assert!(ends.into_iter().filter(Result::is_err).all(is_stale));
    // A version that is not the next one is refused as well.
    assert!(is_stale(save(&db, workspace, &module("texts", 4, 2)).await));
}

on_both!(a_version_of_a_rule_holds_on_to_the_library_it_was_saved_with);
async fn a_version_of_a_rule_holds_on_to_the_library_it_was_saved_with(db: Db) {
    let workspace = db.workspace().await;
    save(&db, workspace, &module("texts", 1, 1)).await.unwrap();
    let (row, mut version) = rule(workspace, "a");
    version.document.name = "{{ lib::texts::f() }}".into();
    let mut tx = db.begin().await;
    rules::insert(&mut tx, &row, &version).await.unwrap();
    let (plain, of_plain) = rule(workspace, "b");
    rules::insert(&mut tx, &plain, &of_plain).await.unwrap();
    tx.commit().await.unwrap();
    save(&db, workspace, &module("texts", 2, 2)).await.unwrap();
    let mut tx = db.begin().await;
    let second = rules::RuleVersion {
        version: 2,
        ..version
    };
    rules::insert_version(&mut tx, workspace, &second)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut read = db.read();
    let mut pins = Vec::new();
    for (id, version) in [(row.id, 1), (row.id, 2), (plain.id, 1)] {
        let found = script_library::pinned(&mut read, workspace, id, version).await;
        pins.push(found.unwrap());
    }
    assert_eq!(pins, [Some(1), Some(2), None]);
    let called = script_library::callers(&mut read, workspace).await.unwrap();
    // The rule's row still names its first version.
    assert_eq!(called, [(row.id, 1)]);
    let stranger = db.workspace().await;
    let theirs = script_library::callers(&mut read, stranger).await;
    assert!(theirs.unwrap().is_empty());
    let hidden = script_library::pinned(&mut read, stranger, row.id, 1).await;
    assert_eq!(hidden.unwrap(), None);
}
