//! Lists of runs where ids make it hard.

use so_model::{
    id::{RuleId, RunId, WorkspaceId},
    run::{ConditionTrace, Run, RunState},
    time::Timestamp,
};
use so_store::{Sql as _, rules, runs, runs::RunFilter, runs::RunSpan};

use crate::{
    engine::rule,
    support::{Db, NOW, at, id, id_at, on_both},
};

/// A run that is over, whose id begins as all ids of its moment do.
fn run(workspace: WorkspaceId, rule: RuleId, moment: Timestamp) -> Run {
    Run {
        id: id_at(moment),
        workspace,
        rule,
        version: 1,
        event: id(),
        trigger: "t".into(),
        state: RunState::Finished,
        key: String::new(),
        decision: ConditionTrace::unconditional(),
        reason: None,
        created_at: moment,
        finished_at: Some(moment),
    }
}

async fn store(db: &Db, all: &[Run]) {
    let mut tx = db.begin().await;
    let rows = all.iter().map(|run| runs::NewRow::of(run).unwrap());
    runs::insert_rows(&mut tx, rows.collect()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn listed(db: &Db, workspace: WorkspaceId, rule: &str, before: &str) -> Vec<RunId> {
    let filter = RunFilter {
        rule,
        before,
        ..RunFilter::default()
    };
    let found = runs::list(&mut db.read(), workspace, &filter, 99).await;
    found.unwrap().iter().map(|run| run.id).collect()
}

fn ids<'r>(runs: impl IntoIterator<Item = &'r Run>) -> Vec<RunId> {
    runs.into_iter().map(|run| run.id).collect()
}

on_both!(runs_of_one_millisecond_are_listed_each);
async fn runs_of_one_millisecond_are_listed_each(db: Db) {
    let (workspace, foreign) = (db.workspace().await, db.workspace().await);
    let (one, other): (RuleId, RuleId) = (id(), id());
    let made = |n: i64| {
        let of = if n % 4 == 1 { foreign } else { workspace };
        run(of, if n % 3 == 0 { one } else { other }, at(n / 10))
    };
    let mut all: Vec<Run> = (0..40).map(made).collect();
    // In no order: whoever stores them puts them in it.
    let mut shuffled = all.clone();
    shuffled.rotate_left(17);
    store(&db, &shuffled).await;
    all.retain(|run| run.workspace == workspace);
    all.reverse();
    let of_one: Vec<&Run> = all.iter().filter(|run| run.rule == one).collect();
    for (rule, wanted) in [("", ids(&all)), (&*one.to_string(), ids(of_one.clone()))] {
        assert_eq!(listed(&db, workspace, rule, "").await, wanted);
        for (n, id) in wanted.iter().enumerate() {
            let rest = listed(&db, workspace, rule, &id.to_string()).await;
            assert_eq!(rest, wanted[n + 1..]);
        }
    }
    let mut read = db.read();
    let since = runs::count_since(&mut read, workspace, one, at(1)).await;
    let later = of_one.iter().filter(|run| run.created_at > at(1)).count();
    assert_eq!(since.unwrap(), i64::try_from(later).unwrap());
    let starts = runs::latest_starts(&mut read, workspace, one, 5)
        .await
        .unwrap();
    let wanted: Vec<Timestamp> = of_one.iter().take(5).map(|run| run.created_at).collect();
    assert_eq!(starts, wanted);
    let within = runs::list_between(&mut read, workspace, one, at(1), at(2), 99).await;
    let is_within = |run: &&&Run| (at(1)..=at(2)).contains(&run.created_at);
    assert_eq!(
        ids(&within.unwrap()),
        ids(of_one.iter().filter(is_within).copied())
    );
    for rule in [None, Some(one)] {
        let span = RunSpan {
            rule,
            state: RunState::Finished,
            from: Some(at(1)),
            until: None,
            after: None,
        };
        let found = runs::list_in(&mut read, workspace, &span, 99)
            .await
            .unwrap();
        let wanted = all.iter().rev().filter(|run| run.created_at >= at(1));
        let wanted = wanted.filter(|run| rule.is_none_or(|rule| run.rule == rule));
        assert_eq!(ids(&found), ids(wanted));
    }
}

on_both!(what_one_run_leaves_takes_none_of_the_same_millisecond_along);
async fn what_one_run_leaves_takes_none_of_the_same_millisecond_along(db: Db) {
    let (workspace, foreign) = (db.workspace().await, db.workspace().await);
    let (one, other): (RuleId, RuleId) = (id(), id());
    let all = [
        run(workspace, one, NOW),
        run(workspace, one, NOW),
        run(workspace, other, NOW),
        run(foreign, other, NOW),
    ];
    store(&db, &all).await;
    let [a, b, c, d] = all.each_ref().map(|run| run.id);
    let gone = async |id: RunId| {
        let mut tx = db.begin().await;
        tx.run("DELETE FROM runs WHERE id = $1", vec![id.into()])
            .await
            .unwrap();
        tx.commit().await.unwrap();
    };
    gone(a).await;
    assert_eq!(listed(&db, workspace, "", "").await, [c, b]);
    assert_eq!(listed(&db, workspace, &one.to_string(), "").await, [b]);
    let count = runs::count_since(&mut db.read(), workspace, one, at(-1)).await;
    assert_eq!(count.unwrap(), 1);
    gone(b).await;
    assert_eq!(listed(&db, workspace, "", "").await, [c]);
    assert_eq!(listed(&db, workspace, &one.to_string(), "").await, []);
    gone(c).await;
    assert_eq!(listed(&db, workspace, "", "").await, []);
    assert_eq!(listed(&db, foreign, &other.to_string(), "").await, [d]);
}

on_both!(starts_of_a_rule_that_comes_to_bound_them_are_counted_as_before);
async fn starts_of_a_rule_that_comes_to_bound_them_are_counted_as_before(db: Db) {
    let (workspace, foreign) = (db.workspace().await, db.workspace().await);
    let (row, mut version) = rule(workspace, "a");
    let mut tx = db.begin().await;
    rules::insert(&mut tx, &row, &version).await.unwrap();
    tx.commit().await.unwrap();
    let of = |moment| run(workspace, row.id, moment);
    let count = async |workspace, since| {
        let mut read = db.read();
        let count = runs::count_since(&mut read, workspace, row.id, since).await;
        count.unwrap()
    };
    let (early, before) = (of(at(10)), of(at(20)));
    store(&db, &[early.clone(), before.clone()]).await;
    version.version = 2;
    version.document.limits.max_runs_per_hour = Some(3);
    let mut tx = db.begin().await;
    rules::insert_version(&mut tx, workspace, &version)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count(workspace, at(0)).await, 2);
    assert_eq!(count(workspace, at(20)).await, 0);
    // By a clock that was set back.
    let (back, after) = (of(at(15)), of(at(30)));
    store(&db, &[after, back, run(foreign, id(), at(30))]).await;
    let counts = [(0, 4), (10, 3), (15, 2), (20, 1), (29, 1), (30, 0)];
    for (since, wanted) in counts {
        assert_eq!(count(workspace, at(since)).await, wanted, "since {since}");
        assert_eq!(count(foreign, at(since)).await, 0);
    }
    version.version = 3;
    version.document.limits.max_runs_per_hour = None;
    let mut tx = db.begin().await;
    rules::insert_version(&mut tx, workspace, &version)
        .await
        .unwrap();
    for gone in [early.id, before.id] {
        tx.run("DELETE FROM runs WHERE id = $1", vec![gone.into()])
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    store(&db, &[of(at(40))]).await;
    for (since, wanted) in [(0, 3), (15, 2), (20, 2), (30, 1), (40, 0)] {
        assert_eq!(count(workspace, at(since)).await, wanted, "since {since}");
    }
}

on_both!(what_is_no_rule_and_no_state_finds_no_run);
async fn what_is_no_rule_and_no_state_finds_no_run(db: Db) {
    let workspace = db.workspace().await;
    store(&db, &[run(workspace, id(), NOW)]).await;
    for (rule, state) in [("nothing", ""), ("", "nothing"), ("evt_1", "finished")] {
        let filter = RunFilter {
            rule,
            state,
            ..RunFilter::default()
        };
        let found = runs::list(&mut db.read(), workspace, &filter, 9).await;
        assert_eq!(found.unwrap(), [], "{rule} {state}");
    }
}
