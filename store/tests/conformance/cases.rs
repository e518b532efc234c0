//! Cases beside versions of rules.

use so_model::id::UserId;
use so_store::{
    rule_cases::{self, VersionCases},
    rules,
};

use crate::{
    engine::rule,
    support::{Db, on_both},
};

on_both!(cases_stand_beside_a_version_and_an_override_stays);
async fn cases_stand_beside_a_version_and_an_override_stays(db: Db) {
    let workspace = db.workspace().await;
    let (row, version) = rule(workspace, "a");
    let mut tx = db.begin().await;
    rules::insert(&mut tx, &row, &version).await.unwrap();
    let none = rule_cases::find(&mut tx, workspace, row.id, 1)
        .await
        .unwrap();
    assert_eq!((none.version, none.cases.as_str()), (1, ""));
    let who = UserId::derived(&["owner"]);
    let mut beside = VersionCases {
        version: 1,
        cases: "cases: []\n".into(),
        override_reason: Some("it is urgent".into()),
        override_by: Some(who),
    };
    rule_cases::put(&mut tx, workspace, row.id, &beside)
        .await
        .unwrap();
    let listed = rule_cases::list_overridden(&mut tx, workspace, row.id, 10).await;
    assert_eq!(listed.unwrap(), [beside.clone()]);
    // Switched on again without a word.
    beside.override_reason = None;
    beside.override_by = None;
    rule_cases::put(&mut tx, workspace, row.id, &beside)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut read = db.read();
    let found = rule_cases::find(&mut read, workspace, row.id, 1)
        .await
        .unwrap();
    assert_eq!(found.override_by, Some(who));
    assert_eq!(found.override_reason.as_deref(), Some("it is urgent"));
    let stranger = so_model::id::WorkspaceId::derived(&["stranger"]);
    let hidden = rule_cases::find(&mut read, stranger, row.id, 1)
        .await
        .unwrap();
    assert_eq!(hidden.cases, "");
}
