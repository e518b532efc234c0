//! Lists that may be narrowed: every combination gives what looking at each row gives.

use so_model::{
    event::{Event, kind},
    id::{EventId, HookId, Id, IdKind, RuleId, WorkspaceId},
    post::{Post, PostState},
    run::{ConditionTrace, Run, RunState},
    time::{MILLISECOND, Timestamp},
};
use so_store::{
    events, history,
    posts::{self, PostFilter},
    runs::{self, RunFilter, RunSpan},
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

/// The moment in an id; those of these tests lie a millisecond apart.
fn made_at<K: IdKind>(id: Id<K>) -> Timestamp {
    let text = id.to_string();
    let digits = text.split('_').next_back().unwrap();
    Timestamp::from_micros(i64::from_str_radix(&digits[..12], 16).unwrap() * MILLISECOND)
}

/// Events of some kinds, calls of two hooks that speak of the hook or of something else, in the order of their making.
async fn events_of_many_kinds(db: &Db, workspace: WorkspaceId, hooks: [HookId; 2]) -> Vec<Event> {
    let foreign = db.workspace().await;
    let mut tx = db.begin().await;
    let mut all = Vec::new();
    for n in 0..ROWS {
        let of = if n % 11 == 5 { foreign } else { workspace };
        let mut event = event(of, &format!("d{n}"));
        match n * 7 % 5 {
            0 => event.kind = kind::POST_DUE.into(),
            1 => event.subject = Some(format!("post_{}", n % 2)),
            call => {
                let hook = hooks[n / 2 % 2];
                event.kind = kind::WEBHOOK_RECEIVED.into();
                event.source = format!("hook/{hook}");
                event.subject = Some(match call {
                    2 => format!("post_{}", n % 2),
                    _ => hook.to_string(),
                });
            }
        }
        events::insert(&mut tx, &event, true, at(n as i64))
            .await
            .unwrap();
        all.push(event);
    }
    tx.commit().await.unwrap();
    all.retain(|event| event.workspace == workspace);
    all
}

on_both!(events_are_found_by_every_combination_of_conditions);
async fn events_are_found_by_every_combination_of_conditions(db: Db) {
    let workspace = db.workspace().await;
    let hooks: [HookId; 2] = [id(), id()];
    let all = events_of_many_kinds(&db, workspace, hooks).await;
    let hook = hooks[0].to_string();
    let kinds = [
        "",
        kind::POST_DUE,
        kind::WEBHOOK_RECEIVED,
        "webhook",
        "post",
    ];
    let subjects = ["", "post_0", "post_1", &hook, "hook_of_nobody"];
    let befores = [String::new(), all[all.len() / 2].id.to_string()];
    for (kind, subject) in kinds
        .iter()
        .flat_map(|kind| subjects.map(|subject| (kind, subject)))
    {
        for before in &befores {
            let is_wanted = |event: &&Event| {
                (kind.is_empty() || event.kind == **kind)
                    && (subject.is_empty() || event.subject.as_deref() == Some(subject))
                    && (before.is_empty() || event.id.to_string() < *before)
            };
            let wanted: Vec<&Event> = all.iter().rev().filter(is_wanted).take(LIMIT).collect();
            let found = events::list(
                &mut db.read(),
                workspace,
                kind,
                subject,
                before,
                LIMIT as i64,
            )
            .await;
            let found = found.unwrap();
            let found: Vec<&Event> = found.iter().collect();
            assert_eq!(found, wanted, "{kind:?} {subject:?} {before:?}");
        }
    }
}

on_both!(events_of_all_kinds_are_read_on_in_their_order);
async fn events_of_all_kinds_are_read_on_in_their_order(db: Db) {
    let workspace = db.workspace().await;
    let all = events_of_many_kinds(&db, workspace, [id(), id()]).await;
    let ids: Vec<EventId> = all.iter().map(|event| event.id).collect();
    let (last, mut after, mut seen) = (ids[ids.len() - 3], String::new(), Vec::new());
    loop {
        let page = events::list_after(&mut db.read(), workspace, &after, last, LIMIT as i64).await;
        let page = page.unwrap();
        let Some((event, ..)) = page.last() else {
            break;
        };
        after = event.id.to_string();
        seen.extend(page.iter().map(|(event, ..)| event.id));
    }
    assert_eq!(seen, ids[..ids.len() - 2]);

    let (from, until) = (made_at(ids[4]), made_at(ids[ids.len() - 4]));
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = history::page(
            &mut db.read(),
            workspace,
            (from, until),
            after,
            LIMIT as i64,
        )
        .await;
        let page = page.unwrap();
        seen.extend(page.events.iter().map(|(event, _)| event.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids[4..ids.len() - 4]);
    let found = events::list_between(&mut db.read(), workspace, "", from, until, 99).await;
    let mut found: Vec<EventId> = found.unwrap().iter().map(|event| event.id).collect();
    found.reverse();
    assert_eq!(
        found,
        ids[4..=ids.len() - 4],
        "both moments are within the span"
    );
}

on_both!(runs_of_a_span_are_found_over_all_rules);
async fn runs_of_a_span_are_found_over_all_rules(db: Db) {
    let (workspace, foreign) = (db.workspace().await, db.workspace().await);
    let rules: [RuleId; 5] = [id(), id(), id(), id(), id()];
    let mut tx = db.begin().await;
    let mut all = Vec::new();
    for n in 0..ROWS * 2 {
        let of = if n % 11 == 5 { foreign } else { workspace };
        let run = run(n, of, rules[n * 3 / 2 % 5], id());
        runs::insert(&mut tx, &run).await.unwrap();
        all.push(run);
    }
    tx.commit().await.unwrap();
    all.retain(|run| run.workspace == workspace);
    let (from, until) = (made_at(all[9].id), made_at(all[all.len() - 9].id));
    let states = [RunState::Finished, RunState::Failed, RunState::Waiting];
    for (mask, state) in (0..1_u32 << 4).flat_map(|mask| states.map(|state| (mask, state))) {
        let on = |bit: u32| mask & (1 << bit) != 0;
        let span = RunSpan {
            rule: on(0).then_some(rules[1]),
            state,
            from: on(1).then_some(from),
            until: on(2).then_some(until),
            after: on(3).then_some(all[14].id),
        };
        let is_wanted = |run: &&Run| {
            run.state == state
                && span.rule.is_none_or(|rule| run.rule == rule)
                && span.from.is_none_or(|from| made_at(run.id) >= from)
                && span.until.is_none_or(|until| made_at(run.id) <= until)
                && span.after.is_none_or(|after| run.id > after)
        };
        let wanted: Vec<&Run> = all.iter().filter(is_wanted).take(LIMIT).collect();
        let found = runs::list_in(&mut db.read(), workspace, &span, LIMIT as i64).await;
        let found = found.unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{span:?}");
    }
}
