//! Drafts, reasons and shadows of rules.

use so_model::{
    id::{AccountId, EventId, RuleId, UserId, WorkspaceId},
    run::{ConditionTrace, Run, RunState},
    shadow::{ShadowCounts, ShadowDifference, ShadowOutcome},
    time::{DAY, HOUR},
};
use so_store::{
    events, rule_canaries,
    rule_canaries::{RuleCanary, VersionRuns},
    rule_drafts::{self, RuleDraft},
    rule_shadows::{self, Progress, RuleShadow},
    rules, runs,
};

use crate::{
    engine::rule,
    support::{Db, NOW, at, event, id_at, is_stale, on_both},
};

fn draft(workspace: WorkspaceId, rule: RuleId, generation: i64) -> RuleDraft {
    RuleDraft {
        rule,
        workspace,
        format: "yaml".into(),
        text: "name: half a ru".into(),
        cases: None,
        base_version: 1,
        author: UserId::derived(&["ann"]),
        reason: String::new(),
        generation,
        created_at: NOW,
        updated_at: NOW,
    }
}

fn shadow(rule: &rules::RuleRow, document: so_model::rule::RuleDocument) -> RuleShadow {
    RuleShadow {
        rule: rule.id,
        workspace: rule.workspace,
        document,
        source: "name: a".into(),
        cases: Some("cases: []".into()),
        base_version: 1,
        library_revision: 4,
        author: UserId::derived(&["ann"]),
        reason: "because".into(),
        promote_after_days: Some(3),
        progress: Progress {
            after_event: "evt_0".into(),
            seen_until: NOW,
            counts: ShadowCounts::default(),
            same_at: None,
            differed_at: None,
        },
        problem: None,
        generation: 1,
        started_at: NOW,
    }
}

on_both!(a_draft_is_written_in_turn_and_seen_by_its_workspace_alone);
async fn a_draft_is_written_in_turn_and_seen_by_its_workspace_alone(db: Db) {
    let (workspace, stranger) = (db.workspace().await, db.workspace().await);
    let (row, version) = rule(workspace, "a");
    let mut tx = db.begin().await;
    rules::insert(&mut tx, &row, &version).await.unwrap();
    let mut draft = draft(workspace, row.id, 1);
    rule_drafts::put(&mut tx, &draft, true).await.unwrap();
    assert!(is_stale(rule_drafts::put(&mut tx, &draft, true).await));
    draft.generation = 2;
    draft.cases = Some("cases: []".into());
    draft.reason = "because".into();
    draft.updated_at = at(5);
    rule_drafts::put(&mut tx, &draft, false).await.unwrap();
    assert!(is_stale(rule_drafts::put(&mut tx, &draft, false).await));
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
    assert!(is_stale(rule_drafts::put(&mut tx, &foreign, false).await));
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

on_both!(a_version_keeps_its_reason_and_is_live_from_when_it_was_made);
async fn a_version_keeps_its_reason_and_is_live_from_when_it_was_made(db: Db) {
    let workspace = db.workspace().await;
    let (row, version) = rule(workspace, "a");
    let mut tx = db.begin().await;
    rules::insert(&mut tx, &row, &version).await.unwrap();
    let second = rules::RuleVersion {
        version: 2,
        reason: "quieter nights".into(),
        created_at: at(10),
        ..version
    };
    rules::insert_version(&mut tx, workspace, &second)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut read = db.read();
    let found = rules::find_version(&mut read, workspace, row.id, 2).await;
    assert_eq!(found.unwrap(), Some(second));
    for (moment, version) in [(at(9), 1), (at(10), 2), (at(20), 2)] {
        let live = rules::version_at(&mut read, workspace, row.id, moment).await;
        assert_eq!(live.unwrap(), Some(version));
    }
}

on_both!(a_draft_in_the_place_of_another_is_not_taken_for_it_and_moves_with_an_equal_version);
async fn a_draft_in_the_place_of_another_is_not_taken_for_it_and_moves_with_an_equal_version(
    db: Db,
) {
    let (workspace, stranger) = (db.workspace().await, db.workspace().await);
    let (row, version) = rule(workspace, "a");
    let mut tx = db.begin().await;
    rules::insert(&mut tx, &row, &version).await.unwrap();
    let first = draft(workspace, row.id, 1_000);
    rule_drafts::put(&mut tx, &first, true).await.unwrap();
    assert!(
        rule_drafts::delete(&mut tx, workspace, row.id, None)
            .await
            .unwrap()
    );
    let second = draft(workspace, row.id, 2_000);
    rule_drafts::put(&mut tx, &second, true).await.unwrap();
    // Whoever saw the first one neither writes over the second nor removes it.
    let edited = RuleDraft {
        generation: 1_001,
        ..first
    };
    assert!(is_stale(rule_drafts::put(&mut tx, &edited, false).await));
    let gone = rule_drafts::delete(&mut tx, workspace, row.id, Some(1_000)).await;
    assert!(!gone.unwrap());
    for (of, from) in [(stranger, 1), (workspace, 7), (workspace, 1)] {
        let before = rule_drafts::find(&mut tx, workspace, row.id).await.unwrap();
        rule_drafts::rebase(&mut tx, of, row.id, from, 2)
            .await
            .unwrap();
        let after = rule_drafts::find(&mut tx, workspace, row.id).await.unwrap();
        let is_moved = of == workspace && from == 1;
        assert_eq!(before != after, is_moved);
        assert_eq!(after.unwrap().generation, 2_000);
    }
    tx.commit().await.unwrap();
}

on_both!(a_shadow_moves_only_for_whoever_claimed_it_and_keeps_the_latest_differences);
async fn a_shadow_moves_only_for_whoever_claimed_it_and_keeps_the_latest_differences(db: Db) {
    let (workspace, stranger) = (db.workspace().await, db.workspace().await);
    let (row, version) = rule(workspace, "a");
    let mut tx = db.begin().await;
    rules::insert(&mut tx, &row, &version).await.unwrap();
    let mut shadow = shadow(&row, version.document);
    rule_shadows::insert(&mut tx, &shadow).await.unwrap();
    assert!(is_stale(rule_shadows::insert(&mut tx, &shadow).await));
    let found = rule_shadows::find(&mut tx, workspace, row.id).await;
    assert_eq!(found.unwrap(), Some(shadow.clone()));
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
    shadow.progress.same_at = Some(at(6));
    // One that took its place is another, whatever its generation.
    let other = RuleShadow {
        started_at: at(1),
        ..shadow.clone()
    };
    assert!(!rule_shadows::advance(&mut tx, &other).await.unwrap());
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
    for (of, started_at, is_gone) in [
        (stranger, None, false),
        (workspace, Some(at(1)), false),
        (workspace, Some(NOW), true),
    ] {
        let gone = rule_shadows::delete(&mut tx, of, row.id, started_at).await;
        assert_eq!(gone.unwrap(), is_gone);
        let listed = rule_shadows::list_differences(&mut tx, workspace, row.id, 600, 9).await;
        assert_eq!(listed.unwrap().is_empty(), is_gone);
    }
    tx.commit().await.unwrap();
    let gone = rule_shadows::list_differences(&mut read, workspace, row.id, 600, 9).await;
    assert!(gone.unwrap().is_empty());
}

on_both!(a_shadow_is_proven_by_days_since_the_latest_difference_in_which_both_did_the_same);
async fn a_shadow_is_proven_by_days_since_the_latest_difference_in_which_both_did_the_same(db: Db) {
    const SECOND: i64 = 1_000_000;
    let day = |days: i64| NOW.plus(days * DAY);
    let workspace = db.workspace().await;
    let (row, version) = rule(workspace, "a");
    let mut tx = db.begin().await;
    rules::insert(&mut tx, &row, &version).await.unwrap();
    let mut one = shadow(&row, version.document);
    rule_shadows::insert(&mut tx, &one).await.unwrap();
    let is_proven = async |tx: &mut so_store::Tx, now| {
        let proven = rule_shadows::list_proven(tx, now, HOUR, 100).await.unwrap();
        proven.iter().any(|found| found.rule == row.id)
    };
    // What it says, and on which day it is proven with that.
    let progress = |seen, same: Option<i64>, differed: Option<i64>| Progress {
        seen_until: day(seen),
        same_at: same.map(|days| day(days).plus(SECOND)),
        differed_at: differed.map(day),
        ..one.progress.clone()
    };
    let table = [
        (progress(3, None, None), 3, false, "nothing happened"),
        (
            progress(3, Some(1), None),
            3,
            true,
            "three days of the same",
        ),
        (progress(2, Some(1), None), 2, false, "too early"),
        (
            progress(2, Some(1), None),
            3,
            false,
            "the comparison is behind",
        ),
        (
            progress(4, Some(2), Some(1)),
            3,
            false,
            "it differed too late",
        ),
        (
            progress(4, Some(2), Some(1)),
            4,
            true,
            "three days since it differed",
        ),
        (
            progress(4, Some(0), Some(1)),
            4,
            false,
            "nothing happened since",
        ),
    ];
    for (progress, now, expected, what) in table {
        one.progress = progress;
        assert!(rule_shadows::advance(&mut tx, &one).await.unwrap());
        one.generation += 1;
        assert_eq!(is_proven(&mut tx, day(now)).await, expected, "{what}");
    }
    // Where no days were asked for, and with a problem, it waits for somebody.
    one.progress.same_at = Some(day(2));
    one.problem = Some("it is so".into());
    assert!(rule_shadows::advance(&mut tx, &one).await.unwrap());
    assert!(!is_proven(&mut tx, day(9)).await);
    rule_shadows::delete(&mut tx, workspace, row.id, None)
        .await
        .unwrap();
    one.promote_after_days = None;
    rule_shadows::insert(&mut tx, &one).await.unwrap();
    (one.generation, one.problem) = (1, None);
    assert!(rule_shadows::advance(&mut tx, &one).await.unwrap());
    assert!(!is_proven(&mut tx, day(4)).await);
    tx.rollback().await.unwrap();
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

fn canary(rule: &rules::RuleRow, version: i64, started_at: so_model::Timestamp) -> RuleCanary {
    RuleCanary {
        rule: rule.id,
        workspace: rule.workspace,
        version,
        base_version: rule.version,
        accounts: vec![AccountId::derived(&["ann"]), AccountId::derived(&["bob"])],
        library_revision: 4,
        failures_max: Some(3),
        author: UserId::derived(&["ann"]),
        reason: "try".into(),
        problem: None,
        started_at,
    }
}

on_both!(a_canary_decides_until_it_is_withdrawn_or_another_version_is_live);
async fn a_canary_decides_until_it_is_withdrawn_or_another_version_is_live(db: Db) {
    let (workspace, stranger) = (db.workspace().await, db.workspace().await);
    let (mut row, version) = rule(workspace, "a");
    let mut tx = db.begin().await;
    rules::insert(&mut tx, &row, &version).await.unwrap();
    let number = rules::next_version(&mut tx, workspace, row.id).await;
    assert_eq!(number.unwrap(), 2);
    let trial = rules::RuleVersion {
        version: 2,
        created_at: at(10),
        is_trial: true,
        ..version.clone()
    };
    rules::insert_version(&mut tx, workspace, &trial)
        .await
        .unwrap();
    let number = rules::next_version(&mut tx, workspace, row.id).await;
    assert_eq!(number.unwrap(), 3);
    // It never was the live one.
    let live = rules::version_at(&mut tx, workspace, row.id, at(20)).await;
    assert_eq!(live.unwrap(), Some(1));
    let found = rules::find_version(&mut tx, workspace, row.id, 2).await;
    assert_eq!(found.unwrap(), Some(trial.clone()));

    let before = rules::stamp(&mut tx).await.unwrap();
    let one = canary(&row, 2, at(10));
    rule_canaries::insert(&mut tx, &one).await.unwrap();
    assert!(is_stale(rule_canaries::insert(&mut tx, &one).await));
    let began = rules::stamp(&mut tx).await.unwrap();
    let changed = rules::newest_change(&mut tx, &[workspace]).await.unwrap();
    rules::touch(&mut tx, stranger, row.id, at(30))
        .await
        .unwrap();
    assert_eq!(
        rules::newest_change(&mut tx, &[workspace]).await.unwrap(),
        changed
    );
    rules::touch(&mut tx, workspace, row.id, at(30))
        .await
        .unwrap();
    assert_eq!(
        rules::newest_change(&mut tx, &[workspace]).await.unwrap(),
        at(30)
    );
    let other = stranger;
    for (asked, newest) in [
        (vec![other, workspace], at(30)),
        (vec![workspace, other], at(30)),
        (vec![other], so_model::time::Timestamp::default()),
        (vec![], so_model::time::Timestamp::default()),
    ] {
        let found = rules::newest_change(&mut tx, &asked).await;
        assert_eq!(found.unwrap(), newest, "{asked:?}");
    }
    let of_any = rules::newest_change_of_any(&mut tx).await;
    assert_eq!(of_any.unwrap(), at(30));
    assert_ne!(before, began);
    let found = rule_canaries::find(&mut tx, workspace, row.id).await;
    assert_eq!(found.unwrap(), Some(one.clone()));
    let foreign = rule_canaries::find(&mut tx, stranger, row.id).await;
    assert_eq!(foreign.unwrap(), None);
    let deciding = rule_canaries::list_deciding(&mut tx).await.unwrap();
    assert_eq!(deciding, [(one.clone(), trial.document.clone())]);

    // Off, it decides nothing; on again, it does; with another version live it is over.
    for (is_enabled, version, decides) in [(false, 1, 0), (true, 1, 1), (true, 3, 0), (true, 1, 1)]
    {
        row.is_enabled = is_enabled;
        row.version = version;
        row.generation += 1;
        rules::update(&mut tx, &row).await.unwrap();
        let deciding = rule_canaries::list_deciding(&mut tx).await.unwrap();
        assert_eq!(deciding.len(), decides, "{is_enabled} {version}");
    }
    let began = rules::stamp(&mut tx).await.unwrap();
    let other = canary(&row, 2, at(11));
    assert!(
        !rule_canaries::withdraw(&mut tx, &other, "no")
            .await
            .unwrap()
    );
    assert!(
        rule_canaries::withdraw(&mut tx, &one, "too much")
            .await
            .unwrap()
    );
    assert!(
        !rule_canaries::withdraw(&mut tx, &one, "again")
            .await
            .unwrap()
    );
    assert_ne!(rules::stamp(&mut tx).await.unwrap(), began);
    assert_eq!(rule_canaries::list_deciding(&mut tx).await.unwrap(), []);
    let found = rule_canaries::find(&mut tx, workspace, row.id)
        .await
        .unwrap();
    assert_eq!(found.unwrap().problem.as_deref(), Some("too much"));
    for (of, started_at, is_gone) in [
        (stranger, None, false),
        (workspace, Some(at(11)), false),
        (workspace, Some(at(10)), true),
        (workspace, None, false),
    ] {
        let gone = rule_canaries::delete(&mut tx, of, row.id, started_at).await;
        assert_eq!(gone.unwrap(), is_gone, "{started_at:?}");
    }
    tx.commit().await.unwrap();
}

on_both!(runs_are_counted_by_their_version_since_a_moment);
async fn runs_are_counted_by_their_version_since_a_moment(db: Db) {
    let (workspace, stranger) = (db.workspace().await, db.workspace().await);
    let (row, version) = rule(workspace, "a");
    let mut tx = db.begin().await;
    rules::insert(&mut tx, &row, &version).await.unwrap();
    let made = [
        (1, 5, RunState::Finished),
        (1, 20, RunState::Finished),
        (2, 20, RunState::Failed),
        (2, 21, RunState::Finished),
        (2, 9, RunState::Failed),
    ];
    for (number, (version, second, state)) in made.into_iter().enumerate() {
        let cause = event(workspace, &format!("e{number}"));
        events::insert(&mut tx, &cause, true, at(second))
            .await
            .unwrap();
        let run = Run {
            id: id_at(at(second)),
            workspace,
            rule: row.id,
            version,
            event: cause.id,
            trigger: "t".into(),
            state,
            key: String::new(),
            decision: ConditionTrace::unconditional(),
            reason: None,
            created_at: at(second),
            finished_at: Some(at(second)),
        };
        runs::insert(&mut tx, &run).await.unwrap();
    }
    let counted = rule_canaries::count_runs(&mut tx, workspace, row.id, at(10)).await;
    let of = |version, started, failed| VersionRuns {
        version,
        started,
        failed,
    };
    assert_eq!(counted.unwrap(), [of(1, 1, 0), of(2, 2, 1)]);
    // Both failures of the second version count, whenever they were.
    for (most, is_failing) in [
        (None, false),
        (Some(3), false),
        (Some(2), true),
        (Some(1), true),
    ] {
        let tried = RuleCanary {
            failures_max: most,
            ..canary(&row, 2, at(10))
        };
        rule_canaries::insert(&mut tx, &tried).await.unwrap();
        let failing = rule_canaries::list_failing(&mut tx).await.unwrap();
        let expected = if is_failing {
            vec![(tried, 2)]
        } else {
            Vec::new()
        };
        assert_eq!(failing, expected, "{most:?}");
        rule_canaries::delete(&mut tx, workspace, row.id, None)
            .await
            .unwrap();
    }
    let foreign = rule_canaries::count_runs(&mut tx, stranger, row.id, at(10)).await;
    assert_eq!(foreign.unwrap(), []);
    tx.rollback().await.unwrap();
}
