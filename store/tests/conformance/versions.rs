//! Drafts and reasons of rules.

use so_model::id::UserId;
use so_store::{
    rule_drafts::{self, RuleDraft},
    rules,
};

use crate::{
    engine::rule,
    support::{Db, NOW, at, is_stale, on_both},
};

on_both!(a_draft_is_written_in_turn_and_seen_by_its_workspace_alone);
async fn a_draft_is_written_in_turn_and_seen_by_its_workspace_alone(db: Db) {
    let (workspace, stranger) = (db.workspace().await, db.workspace().await);
    let (row, version) = rule(workspace, "a");
    let mut tx = db.begin().await;
    rules::insert(&mut tx, &row, &version).await.unwrap();
    let mut draft = RuleDraft {
        rule: row.id,
        workspace,
        format: "yaml".into(),
        text: "name: half a ru".into(),
        cases: None,
        base_version: 1,
        author: UserId::derived(&["ann"]),
        reason: String::new(),
        generation: 1,
        created_at: NOW,
        updated_at: NOW,
    };
    rule_drafts::put(&mut tx, &draft).await.unwrap();
    assert!(is_stale(rule_drafts::put(&mut tx, &draft).await));
    draft.generation = 2;
    draft.cases = Some("cases: []".into());
    draft.reason = "because".into();
    draft.updated_at = at(5);
    rule_drafts::put(&mut tx, &draft).await.unwrap();
    assert!(is_stale(rule_drafts::put(&mut tx, &draft).await));
    tx.commit().await.unwrap();
    let mut read = db.read();
    let found = rule_drafts::find(&mut read, workspace, row.id).await;
    assert_eq!(found.unwrap(), Some(draft.clone()));
    let found = rule_drafts::find(&mut read, stranger, row.id).await;
    assert_eq!(found.unwrap(), None);

    let mut tx = db.begin().await;
    let foreign = RuleDraft {
        workspace: stranger,
        generation: 3,
        ..draft
    };
    assert!(is_stale(rule_drafts::put(&mut tx, &foreign).await));
    for (of, generation, is_gone) in [
        (stranger, None, false),
        (workspace, Some(1), false),
        (workspace, Some(2), true),
        (workspace, None, false),
    ] {
        let gone = rule_drafts::delete(&mut tx, of, row.id, generation).await;
        assert_eq!(gone.unwrap(), is_gone, "{generation:?}");
    }
    tx.commit().await.unwrap();
}

on_both!(a_version_keeps_its_reason_and_a_candidate_was_never_live);
async fn a_version_keeps_its_reason_and_a_candidate_was_never_live(db: Db) {
    let workspace = db.workspace().await;
    let (row, version) = rule(workspace, "a");
    let mut tx = db.begin().await;
    rules::insert(&mut tx, &row, &version).await.unwrap();
    let candidate = rules::RuleVersion {
        version: 2,
        reason: "quieter nights".into(),
        created_at: at(10),
        ..version
    };
    rules::insert_candidate(&mut tx, workspace, &candidate)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut read = db.read();
    let found = rules::find_version(&mut read, workspace, row.id, 2).await;
    assert_eq!(found.unwrap(), Some(candidate));
    let live = rules::version_at(&mut read, workspace, row.id, at(20)).await;
    assert_eq!(live.unwrap(), Some(1));
}
