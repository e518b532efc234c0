//! Lists that may be narrowed: every combination gives what looking at each row gives.

use so_model::{
    id::{RuleId, WorkspaceId},
    post::{Post, PostState},
    run::{ConditionTrace, Run, RunState},
};
use so_store::{
    events,
    posts::{self, PostFilter},
    runs::{self, RunFilter},
};

use crate::support::{Db, NOW, at, event, id, on_both, post, variant};

/// Enough that each condition is met by some and missed by others.
const ROWS: usize = 48;
/// Shorter than most lists, so that its end matters.
const LIMIT: usize = 7;

on_both!(posts_are_found_by_every_combination_of_conditions);
async fn posts_are_found_by_every_combination_of_conditions(db: Db) {
    let (workspace, foreign) = (db.workspace().await, db.workspace().await);
    let accounts = [
        db.account(workspace, "ann").await,
        db.account(workspace, "ben").await,
    ];
    let label = id();
    let mut tx = db.begin().await;
    let mut all = Vec::new();
    for n in 0..ROWS {
        let words = if n % 3 == 0 { "A new menu" } else { "Closed" };
        let mut post = post(if n % 11 == 5 { foreign } else { workspace }, words);
        post.state = [PostState::Scheduled, PostState::Draft][n % 2];
        post.variants = vec![variant(&accounts[n / 2 % 2])];
        post.labels = if n % 5 < 3 { vec![label] } else { Vec::new() };
        // Not in the order of their making.
        post.due_at = (n % 7 != 0).then(|| at((n * 29 % 40) as i64));
        posts::insert(&mut tx, &post).await.unwrap();
        all.push(post);
    }
    tx.commit().await.unwrap();
    let before = all[ROWS * 3 / 4].id.to_string();
    for mask in 0..1_u32 << 7 {
        let on = |bit: u32| mask & (1 << bit) != 0;
        let filter = PostFilter {
            state: on(0).then_some(PostState::Scheduled),
            account: on(1).then_some(accounts[0].id),
            label: on(2).then_some(label),
            search: if on(3) { "NEW m" } else { "" },
            before: if on(4) { &before } else { "" },
            due_from: on(5).then_some(at(4)),
            due_to: on(6).then_some(at(33)),
        };
        let wanted: Vec<&Post> = all
            .iter()
            .rev()
            .filter(|post| post.workspace == workspace && meets(post, &filter))
            .take(LIMIT)
            .collect();
        let found = posts::list(&mut db.read(), workspace, &filter, LIMIT as i64).await;
        let found = found.unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{filter:?}");
    }
}

fn meets(post: &Post, filter: &PostFilter<'_>) -> bool {
    let text = post.content.text.to_lowercase();
    filter.state.is_none_or(|state| post.state == state)
        && filter
            .account
            .is_none_or(|account| post.variants.iter().any(|v| v.account == account))
        && filter
            .label
            .is_none_or(|label| post.labels.contains(&label))
        && text.contains(&filter.search.to_lowercase())
        && (filter.before.is_empty() || post.id.to_string().as_str() < filter.before)
        && filter
            .due_from
            .is_none_or(|from| post.due_at.is_some_and(|due| due >= from))
        && filter
            .due_to
            .is_none_or(|to| post.due_at.is_some_and(|due| due < to))
}

fn run(n: usize, workspace: WorkspaceId, rule: RuleId, event: so_model::id::EventId) -> Run {
    let state = [
        RunState::Finished,
        RunState::Failed,
        RunState::Waiting,
        RunState::Cancelled,
        RunState::Running,
        RunState::Queued,
    ][n % 6];
    Run {
        id: id(),
        workspace,
        rule,
        version: 1,
        event,
        trigger: "t".into(),
        state,
        key: String::new(),
        decision: ConditionTrace::unconditional(),
        reason: None,
        created_at: NOW,
        finished_at: state.is_over().then_some(NOW),
    }
}

on_both!(runs_are_found_by_every_combination_of_conditions);
async fn runs_are_found_by_every_combination_of_conditions(db: Db) {
    let (workspace, foreign) = (db.workspace().await, db.workspace().await);
    let rules: [RuleId; 2] = [id(), id()];
    let mut tx = db.begin().await;
    let mut all = Vec::new();
    for n in 0..ROWS {
        let of = if n % 11 == 5 { foreign } else { workspace };
        let mut event = event(of, &format!("d{n}"));
        event.subject = (n % 4 != 3).then(|| format!("post_{}", n % 2));
        events::insert(&mut tx, &event, true, NOW).await.unwrap();
        let run = run(n, of, rules[n / 3 % 2], event.id);
        runs::insert(&mut tx, &run).await.unwrap();
        all.push((run, event.subject));
    }
    tx.commit().await.unwrap();
    let (before, event) = (
        all[ROWS * 3 / 4].0.id.to_string(),
        all[ROWS / 2].0.event.to_string(),
    );
    let rule = rules[0].to_string();
    let states = ["", "finished", "failed", "waiting", "cancelled", "queued"];
    for (mask, state) in (0..1_u32 << 4).flat_map(|mask| states.map(|state| (mask, state))) {
        let on = |bit: u32| mask & (1 << bit) != 0;
        let filter = RunFilter {
            rule: if on(0) { &rule } else { "" },
            state,
            event: if on(1) { &event } else { "" },
            subject: if on(2) { "post_0" } else { "" },
            before: if on(3) { &before } else { "" },
        };
        let empty_or = |wanted: &str, seen: &str| wanted.is_empty() || wanted == seen;
        let wanted: Vec<&Run> = all
            .iter()
            .rev()
            .filter(|(run, subject)| {
                run.workspace == workspace
                    && empty_or(filter.rule, &run.rule.to_string())
                    && empty_or(filter.state, run.state.as_str())
                    && empty_or(filter.event, &run.event.to_string())
                    && empty_or(filter.subject, subject.as_deref().unwrap_or_default())
                    && (filter.before.is_empty() || run.id.to_string().as_str() < filter.before)
            })
            .map(|(run, _)| run)
            .take(LIMIT)
            .collect();
        let found = runs::list(&mut db.read(), workspace, &filter, LIMIT as i64).await;
        let found = found.unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{filter:?}");
    }
}
