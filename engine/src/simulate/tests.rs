//! Simulations of small histories that a real engine has lived through.

use serde_json::{Value, json};
use so_model::{
    id::{AccountId, RuleId},
    rule::RuleDocument,
    run::Verdict,
    simulation::{Simulation, StartDiffers},
    time::{DAY, HOUR, MINUTE},
};

use super::{Ask, Draft, Given, Play, Published, Taking, facts::Past, gates::Gates, simulate};
use crate::{
    decide::{FactRequest, WorkspaceFacts},
    testing::{START, World},
};

fn document(yaml: &str) -> RuleDocument {
    serde_yaml_ng::from_str(yaml).unwrap()
}

async fn ask(world: &World, drafts: Vec<Draft>, without: Vec<RuleId>) -> Simulation {
    ask_of(world, drafts, without, &[]).await
}

async fn ask_of(
    world: &World,
    drafts: Vec<Draft>,
    without: Vec<RuleId>,
    kinds: &[&str],
) -> Simulation {
    let engine = &world.engine;
    let asked = Ask {
        workspace: world.workspace,
        from: START,
        until: engine.now().plus(HOUR),
        kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        drafts,
        without,
        events_max: super::EVENTS_MAX,
    };
    simulate(engine, &engine.scripts, &asked).await.unwrap()
}

/// A play with the rules as they are, or without any.
fn play(world: &World, with_rules: bool) -> Play {
    let engine = &world.engine;
    let rules = engine.index().of_workspace(world.workspace).into_iter();
    let taking = rules.filter(|_| with_rules).map(|rule| Taking {
        rule,
        is_draft: false,
        schedules: None,
    });
    Play::new(Given {
        workspace: WorkspaceFacts {
            id: world.workspace,
            name: String::new(),
            time_zone: chrono_tz::UTC,
        },
        catalogue: engine.plugins.catalogue().clone(),
        rules: taking.collect(),
        kinds: Vec::new(),
        first: START,
        from: START,
        until: engine.now().plus(HOUR),
        published: Published::default(),
        published_since: START,
    })
}

/// A play of a day with a draft's schedule.
async fn scheduled(world: &World, yaml: &str) -> Play {
    let engine = &world.engine;
    let id = world.rule(yaml).await;
    let rule = engine.index().get(id).unwrap().clone();
    let schedules = super::schedules(&rule.document, &engine.plugins, "UTC");
    let of = play(world, false);
    Play::new(Given {
        workspace: of.workspace.as_ref().clone(),
        catalogue: of.catalogue.clone(),
        rules: vec![Taking {
            rule,
            is_draft: true,
            schedules: Some(schedules),
        }],
        kinds: Vec::new(),
        first: START,
        from: START,
        until: START.plus(DAY),
        published: Published::default(),
        published_since: START,
    })
}

/// Everything that happened, in one page.
async fn everything(world: &World) -> so_store::history::HistoryPage {
    let (span, mut reader) = (
        (START, world.engine.now().plus(HOUR)),
        world.engine.store.clone(),
    );
    let page = so_store::history::page(&mut reader, world.workspace, span, None, 1_000);
    page.await.unwrap()
}

/// The differences in short: what, and of which rule.
fn differences(told: &Simulation) -> Vec<(StartDiffers, &str)> {
    let told = told.differences.iter();
    told.map(|one| (one.what, one.rule_name.as_str())).collect()
}

const LIKED: &str = "
version: 1
name: Liked
triggers: [{id: t, kind: test.happened}]
if: {field: event.data.likes, op: ge, value: 10}
steps: [{id: say, action: test.echo, with: {likes: '{{ event.data.likes }}'}}]
";

async fn happened(world: &mut World, data: Value) {
    world.event("test.happened", data).await;
    world.settle().await;
}

#[tokio::test]
async fn the_rules_of_then_differ_in_nothing_and_a_draft_differs_in_what_it_says() {
    let mut world = World::new().await;
    let rule = world.rule(LIKED).await;
    for likes in [5, 10, 20] {
        world.pass(MINUTE).await;
        happened(&mut world, json!({ "likes": likes })).await;
    }
    let same = ask(&world, Vec::new(), Vec::new()).await;
    assert_eq!(differences(&same), []);
    assert_eq!((same.events, same.same), (3, 2));
    let told = &same.rules[0];
    assert_eq!(
        (told.candidates, told.started, told.started_really),
        (3, 2, 2)
    );
    assert_eq!(told.refused[0].verdict, Verdict::ConditionFailed);
    assert_eq!(told.refused[0].clause.as_deref(), Some("/if"));
    assert_eq!(same.starts[1].effects[0].with, json!({"likes": 20}));

    let draft = |text: &str| Draft {
        rule: Some(rule),
        document: document(text),
    };
    let laxer = ask(&world, vec![draft(&LIKED.replace("10", "1"))], Vec::new()).await;
    assert_eq!(
        differences(&laxer),
        [(StartDiffers::OnlySimulated, "Liked")]
    );
    assert_eq!(laxer.starts[0].assumed, ["test.echo"]);
    let stricter = ask(&world, vec![draft(&LIKED.replace("10", "15"))], Vec::new()).await;
    assert_eq!(
        differences(&stricter),
        [(StartDiffers::OnlyRecorded, "Liked")]
    );
    assert!(
        stricter.differences[0].text.contains("10"),
        "{:?}",
        stricter.differences
    );
    let other = LIKED.replace("with: {likes:", "with: {hearts:");
    let other = ask(&world, vec![draft(&other)], Vec::new()).await;
    assert_eq!(differences(&other), [(StartDiffers::Otherwise, "Liked"); 2]);
    let text = r#"step say: with {"hearts":10}; it was {"likes":10}"#;
    assert_eq!(other.differences[0].text, text);
    let off = ask(&world, Vec::new(), vec![rule]).await;
    assert_eq!(off.differences.len(), 2);
    assert!(off.rules.is_empty());
}

#[tokio::test]
async fn what_a_rule_made_does_not_come_without_it_and_what_it_would_make_is_unknown() {
    let mut world = World::new().await;
    let maker = "
version: 1
name: Maker
triggers: [{id: t, kind: test.happened}]
steps: [{id: say, action: test.echo, with: {emit: test.echoed}}]
";
    let maker = world.rule(maker).await;
    world
        .rule("{version: 1, name: Hearer, triggers: [{id: t, kind: test.echoed}], steps: [{id: b, action: test.echo}]}")
        .await;
    happened(&mut world, json!({})).await;
    let same = ask(&world, Vec::new(), Vec::new()).await;
    assert_eq!((differences(&same), same.same), (vec![], 2));
    let without = ask(&world, Vec::new(), vec![maker]).await;
    assert_eq!(without.left_out, 1);
    let text: Vec<&str> = without
        .differences
        .iter()
        .map(|one| one.text.as_str())
        .collect();
    assert_eq!(
        text,
        [
            "the rule is not among those that are simulated",
            "its event would not have come"
        ]
    );
}

#[tokio::test]
async fn gates_count_what_starts_in_the_simulation() {
    let mut world = World::new().await;
    let rule = world
        .rule(&format!("{LIKED}throttle: {{max: 1, per: 1h}}\n"))
        .await;
    for _ in 0..3 {
        world.pass(MINUTE).await;
        happened(&mut world, json!({"likes": 50})).await;
    }
    world.pass(HOUR).await;
    happened(&mut world, json!({"likes": 50})).await;
    let same = ask(&world, Vec::new(), Vec::new()).await;
    assert_eq!((differences(&same), same.same), (vec![], 2));
    assert_eq!(same.rules[0].refused[0].verdict, Verdict::Throttled);
    assert_eq!(same.rules[0].refused[0].count, 2);
    let wider = Draft {
        rule: Some(rule),
        document: document(&format!("{LIKED}throttle: {{max: 2, per: 1h}}\n")),
    };
    let wider = ask(&world, vec![wider], Vec::new()).await;
    assert_eq!(
        differences(&wider),
        [(StartDiffers::OnlySimulated, "Liked")]
    );
    let quiet = Draft {
        rule: Some(rule),
        document: document(&format!("{LIKED}debounce: {{for: 10m}}\n")),
    };
    let quiet = ask(&world, vec![quiet], Vec::new()).await;
    assert_eq!(quiet.rules[0].started, 2, "one after each quiet spell");
    assert_eq!(quiet.starts[0].at, START.plus(13 * MINUTE));
}

#[tokio::test]
async fn a_draft_that_bounds_its_starts_starts_no_more_often() {
    let mut world = World::new().await;
    let rule = world.rule(LIKED).await;
    for _ in 0..4 {
        world.pass(20 * MINUTE).await;
        happened(&mut world, json!({"likes": 50})).await;
    }
    let bounded = Draft {
        rule: Some(rule),
        document: document(&format!("{LIKED}limits: {{max_runs_per_hour: 2}}\n")),
    };
    let told = ask(&world, vec![bounded], Vec::new()).await;
    // The third comes within an hour of the first, and the fourth just an hour after it.
    assert_eq!(differences(&told), [(StartDiffers::OnlyRecorded, "Liked")]);
    let refused = &told.rules[0].refused[0];
    assert_eq!((refused.verdict, refused.count), (Verdict::OverBudget, 1));
}

#[tokio::test]
async fn a_schedule_of_a_draft_has_its_moments_on_the_virtual_clock() {
    let mut world = World::new().await;
    world.pass(3 * HOUR).await;
    let draft = "
version: 1
name: Hourly
triggers: [{id: t, kind: time.cron, with: {expression: '30 * * * *'}}]
steps: [{id: wait, delay: {for: 5m}}, {id: say, action: test.echo, with: {at: '{{ event.data.occurrence.local }}'}}]
";
    let draft = Draft {
        rule: None,
        document: document(draft),
    };
    let told = ask(&world, vec![draft], Vec::new()).await;
    let at: Vec<_> = told.starts.iter().map(|start| start.at).collect();
    let half = 30 * MINUTE;
    let wanted: Vec<_> = (0..4).map(|hour| START.plus(hour * HOUR + half)).collect();
    assert_eq!(at, wanted);
    assert_eq!(told.starts[0].effects[0].at, START.plus(half + 5 * MINUTE));
    assert_eq!((told.made >= 4, told.events), (true, 0));
}

#[tokio::test]
async fn a_fact_that_history_does_not_hold_is_told_by_its_name() {
    let mut world = World::new().await;
    let rule = world.rule(LIKED).await;
    happened(&mut world, json!({"likes": 50})).await;
    let fact = "if: {fact: queue_length, of: {queue: q}, op: lt, value: 5}";
    let with = LIKED.replace("if: {field: event.data.likes, op: ge, value: 10}", fact);
    let draft = |text: &str| Draft {
        rule: Some(rule),
        document: document(text),
    };
    let told = ask(&world, vec![draft(&with)], Vec::new()).await;
    assert_eq!(differences(&told), [(StartDiffers::CannotSay, "Liked")]);
    assert_eq!(
        (told.unknowns[0].what.as_str(), told.unknowns[0].count),
        ("queue_length", 1)
    );
    assert_eq!(told.rules[0].cannot_say, 1);
    // A clause that fails anyway settles it without the fact.
    let both = format!(
        "if: {{all: [{{field: event.data.likes, op: gt, value: 90}}, {}]}}",
        &fact[4..]
    );
    let both = LIKED.replace("if: {field: event.data.likes, op: ge, value: 10}", &both);
    let told = ask(&world, vec![draft(&both)], Vec::new()).await;
    assert_eq!(differences(&told), [(StartDiffers::OnlyRecorded, "Liked")]);
    assert!(told.unknowns.is_empty());
}

#[tokio::test]
async fn unchanged_rules_differ_in_nothing_also_if_only_some_kinds_are_played() {
    let mut world = World::new().await;
    world.rule(LIKED).await;
    world
        .rule("{version: 1, name: Waits, triggers: [{id: t, kind: test.happened}],
                steps: [{id: w, wait_for: {event: test.echoed, timeout: 50m}}, {id: a, action: test.echo}]}")
        .await;
    world
        .rule("{version: 1, name: Other, triggers: [{id: t, kind: test.echoed}], steps: [{id: b, action: test.echo}]}")
        .await;
    happened(&mut world, json!({"likes": 50})).await;
    world.pass(MINUTE).await;
    world.event("test.echoed", json!({})).await;
    world.settle().await;
    let told = ask_of(&world, Vec::new(), Vec::new(), &["test.happened"]).await;
    assert_eq!(differences(&told), []);
    assert_eq!((told.events, told.same), (1, 2));
    let other = told.rules.iter().find(|rule| rule.name == "Other").unwrap();
    assert_eq!((other.started, other.started_really), (0, 0));
}

#[tokio::test]
async fn runs_of_rules_that_do_not_take_part_are_told_with_their_page() {
    let mut world = World::new().await;
    world.rule(LIKED).await;
    // What the decision of such a rule saw is not kept either.
    world
        .rule("{version: 1, name: Busy, triggers: [{id: t, kind: test.happened}],
            if: {fact: rule_runs, of: {hours: 1}, op: gt, value: 5}, steps: [{id: a, action: test.echo}]}")
        .await;
    happened(&mut world, json!({"likes": 50})).await;
    let mut play = play(&world, false);
    let page = everything(&world).await;
    assert_eq!(page.seen.len(), 1);
    assert!(play.page(page).await);
    assert_eq!((play.reality.len(), play.past.len()), (0, 0));
    let told = play.finish().await;
    assert_eq!(told.differences.len(), 1);
}

#[tokio::test]
async fn a_simulation_that_would_keep_too_much_ends_at_its_last_event() {
    let mut world = World::new().await;
    world
        .rule(
            "{version: 1, name: Late, triggers: [{id: t, kind: test.happened}],
                steps: [{id: w, delay: {for: 3d}}, {id: a, action: test.echo}]}",
        )
        .await;
    for _ in 0..5 {
        world.pass(MINUTE).await;
        happened(&mut world, json!({})).await;
    }
    let mut play = play(&world, true);
    play.held_max = 2;
    assert!(!play.page(everything(&world).await).await);
    let told = play.finish().await;
    assert_eq!(told.incomplete_from, Some(START.plus(3 * MINUTE)));
    assert_eq!((told.events, told.starts.len()), (3, 3));
    assert_eq!(told.rules[0].started_really, 3);
    assert_eq!(differences(&told), []);
}

#[tokio::test]
async fn a_simulation_can_be_given_up_while_it_plays_to_its_end() {
    let world = World::new().await;
    let often = "
version: 1
name: Often
triggers: [{id: t, kind: time.cron, with: {expression: '* * * * *'}}]
steps: [{id: say, action: test.echo}]
";
    let play = scheduled(&world, often).await;
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let mut finish = std::pin::pin!(play.finish());
    let mut polls = 1;
    let told = loop {
        match finish.as_mut().poll(&mut cx) {
            std::task::Poll::Ready(told) => break told,
            std::task::Poll::Pending => polls += 1,
        }
    };
    assert_eq!(told.starts.len(), 1_000);
    assert!(polls > 3, "{polls}");
}

#[tokio::test]
async fn starts_whose_runs_were_let_go_are_starts_and_what_they_did_is_unknown() {
    let mut world = World::new().await;
    let maker = "
version: 1
name: Maker
triggers: [{id: t, kind: test.happened}]
steps: [{id: say, action: test.echo, with: {emit: test.echoed}}]
";
    let maker = world.rule(maker).await;
    world
        .rule("{version: 1, name: Hearer, triggers: [{id: t, kind: test.echoed}], steps: [{id: b, action: test.echo}]}")
        .await;
    for _ in 0..8 {
        world.pass(MINUTE).await;
        happened(&mut world, json!({})).await;
    }
    world.clock.advance(50 * DAY);
    let gone = world.engine.prune().await.unwrap();
    assert_eq!(world.runs().await.len(), 6, "{gone:?}");
    let same = ask(&world, Vec::new(), Vec::new()).await;
    assert_eq!(differences(&same), []);
    for rule in &same.rules {
        assert_eq!((rule.started, rule.started_really), (8, 8), "{}", rule.name);
    }
    assert_eq!((same.same, same.left_out, same.made), (6, 0, 0));
    let unknown: Vec<_> = same
        .unknowns
        .iter()
        .map(|one| (one.what.as_str(), one.count))
        .collect();
    assert_eq!(unknown, [("run", 5); 2]);
    // What runs made that were let go does not come without them.
    let without = ask(&world, Vec::new(), vec![maker]).await;
    assert_eq!(without.left_out, 8);
    assert_eq!(without.differences.len(), 16);
    let is_real =
        |one: &&so_model::simulation::StartDifference| one.what == StartDiffers::OnlyRecorded;
    assert_eq!(without.differences.iter().filter(is_real).count(), 16);
    let kept = without.differences.iter().filter(|one| one.run.is_some());
    assert_eq!(kept.count(), 6);
}

#[tokio::test]
async fn a_simulation_that_keeps_too_much_after_its_last_event_ends_there() {
    let world = World::new().await;
    let slow = "
version: 1
name: Slow
triggers: [{id: t, kind: time.cron, with: {expression: '* * * * *'}}]
steps: [{id: w, delay: {for: 3d}}, {id: say, action: test.echo}]
";
    let mut play = scheduled(&world, slow).await;
    play.held_max = 50;
    let told = play.finish().await;
    let end = told.incomplete_from.unwrap();
    assert!(end > START.plus(HOUR) && end < START.plus(DAY), "{end}");
    assert_eq!(told.until, end);
    assert!(told.starts.iter().all(|start| start.at <= end));
}

#[test]
fn a_list_of_publications_that_was_cut_does_not_tell_the_last_one() {
    let account: AccountId = AccountId::derived(&["a"]);
    let request = FactRequest {
        key: "k".into(),
        fact: "last_published_hours".into(),
        params: json!({"account": account}),
    };
    let published: Published = [(account, vec![(START, true)])].into_iter().collect();
    let now = START.plus(3 * HOUR);
    let about = (
        so_model::id::EventId::derived(&["e"]),
        RuleId::derived(&["r"]),
    );
    let told = |since| {
        let past = Past::new(published.clone(), since);
        past.fact(&request, about, &Gates::default(), START, now)
    };
    assert_eq!(told(START), Some(json!(3.0)));
    assert_eq!(told(now.plus(HOUR)), None);
}
