//! Drafts, reasons and shadows of rules.

use so_model::{
    id::{EventId, UserId},
    shadow::{ShadowCounts, ShadowDifference, ShadowOutcome},
};
use so_store::{
    events,
    rule_drafts::{self, RuleDraft},
    rule_shadows::{self, Progress, RuleShadow},
    rules,
};

use crate::{
    engine::rule,
    support::{Db, NOW, at, event, is_stale, on_both},
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

on_both!(a_shadow_moves_only_for_whoever_claimed_it_and_keeps_the_latest_differences);
async fn a_shadow_moves_only_for_whoever_claimed_it_and_keeps_the_latest_differences(db: Db) {
    let (workspace, stranger) = (db.workspace().await, db.workspace().await);
    let (row, version) = rule(workspace, "a");
    let mut tx = db.begin().await;
    rules::insert(&mut tx, &row, &version).await.unwrap();
    let mut shadow = RuleShadow {
        rule: row.id,
        workspace,
        document: version.document,
        source: "name: a".into(),
        cases: Some("cases: []".into()),
        base_version: 1,
        author: UserId::derived(&["ann"]),
        reason: "because".into(),
        promote_after_days: Some(3),
        progress: Progress {
            after_event: "evt_0".into(),
            seen_until: NOW,
            counts: ShadowCounts::default(),
            differed_at: None,
        },
        problem: None,
        generation: 1,
        started_at: NOW,
    };
    rule_shadows::insert(&mut tx, &shadow).await.unwrap();
    assert!(is_stale(rule_shadows::insert(&mut tx, &shadow).await));
    let found = rule_shadows::find(&mut tx, workspace, row.id).await;
    assert_eq!(found.unwrap(), Some(shadow.clone()));
    let promoting = rule_shadows::list_promoting(&mut tx, 9).await.unwrap();
    assert!(promoting.contains(&shadow));
    let is_free = async |tx: &mut so_store::Tx, now| {
        let free = rule_shadows::list_free(tx, now, 9).await.unwrap();
        free.iter().any(|one| one.rule == row.id)
    };
    assert!(is_free(&mut tx, NOW).await);
    assert!(
        rule_shadows::claim(&mut tx, &shadow, NOW, at(60))
            .await
            .unwrap()
    );
    assert!(
        !rule_shadows::claim(&mut tx, &shadow, NOW, at(60))
            .await
            .unwrap()
    );
    assert!(!is_free(&mut tx, at(59)).await && is_free(&mut tx, at(60)).await);
    assert!(!rule_shadows::advance(&mut tx, &shadow).await.unwrap());
    shadow.generation = 2;
    shadow.progress.counts.only_live = 600;
    shadow.progress.differed_at = Some(at(5));
    assert!(rule_shadows::advance(&mut tx, &shadow).await.unwrap());
    assert!(is_free(&mut tx, NOW).await);
    let found: Vec<ShadowDifference> = (1..=600)
        .map(|seq| ShadowDifference {
            seq,
            outcome: ShadowOutcome::OnlyLive,
            at: at(seq),
            event: None,
            what: "test".into(),
            because: "it was so".into(),
            path: String::new(),
        })
        .collect();
    rule_shadows::add_differences(&mut tx, workspace, row.id, &found)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut read = db.read();
    let listed = rule_shadows::list_differences(&mut read, workspace, row.id, 600, 1_000).await;
    let listed = listed.unwrap();
    assert_eq!((listed.len(), listed[0].seq), (499, 599));
    let foreign = rule_shadows::list_differences(&mut read, stranger, row.id, 600, 9).await;
    assert!(foreign.unwrap().is_empty());
    let foreign = rule_shadows::find(&mut read, stranger, row.id).await;
    assert_eq!(foreign.unwrap(), None);
    let mut tx = db.begin().await;
    assert!(
        !rule_shadows::delete(&mut tx, stranger, row.id)
            .await
            .unwrap()
    );
    assert!(
        rule_shadows::delete(&mut tx, workspace, row.id)
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    let gone = rule_shadows::list_differences(&mut read, workspace, row.id, 600, 9).await;
    assert!(gone.unwrap().is_empty());
}

on_both!(events_after_one_come_in_order_with_their_moment);
async fn events_after_one_come_in_order_with_their_moment(db: Db) {
    let (workspace, stranger) = (db.workspace().await, db.workspace().await);
    let mut tx = db.begin().await;
    let mut ids = Vec::new();
    for (index, name) in ["a", "b", "c"].into_iter().enumerate() {
        let mut one = event(workspace, name);
        one.id = EventId::from_parts(at(index as i64), [index as u8; 10]);
        ids.push(one.id);
        events::insert(&mut tx, &one, name != "b", at(7))
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let mut read = db.read();
    let after = ids[0].to_string();
    let found = events::list_after(&mut read, workspace, &after, ids[2], 9).await;
    let found: Vec<_> = found
        .unwrap()
        .into_iter()
        .map(|(event, stored_at, is_decided)| (event.id, stored_at, is_decided))
        .collect();
    assert_eq!(found, [(ids[1], at(7), false), (ids[2], at(7), true)]);
    let until = events::list_after(&mut read, workspace, "", ids[1], 9).await;
    assert_eq!(until.unwrap().len(), 2);
    let foreign = events::list_after(&mut read, stranger, "", ids[2], 9).await;
    assert!(foreign.unwrap().is_empty());
}
