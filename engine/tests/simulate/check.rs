//! What must be true of every day, whatever happened on it.
//!
//! Invariant: what was published is read from the networks' log; our own rows
//! are held against it, never the other way round.

use std::collections::{BTreeMap, BTreeSet};

use so_engine::publish::relation::check_log;
use so_model::{
    event::{Event, kind},
    id::{PostId, RuleId},
    post::{Post, PostState},
    publication::{AttemptPhase, Publication, PublicationState},
    run::{Run, RunState, Verdict},
    time::MINUTE,
};
use so_store::{attempts, decisions, events, jobs, posts, publications, runs};

use crate::{
    cast::{NOTED, RULES, SWITCHED},
    day::{DAY, rule},
    network::Entry,
    people::Wish,
    stage::START,
    world::World,
};

/// Rows read at a time.
const PAGE: i64 = 1_000;

/// What a day amounted to.
#[derive(Debug, Default, Clone)]
pub struct Figures {
    pub events: usize,
    pub runs: usize,
    pub publications: usize,
    pub published: usize,
    pub failed: usize,
    pub review: usize,
    pub cancelled: usize,
    pub calls: u64,
    pub faults: u64,
}

/// Everything that must hold at the end; the first breach ends the day.
pub async fn check(world: &mut World) -> Figures {
    let mut figures = Figures {
        calls: world.network.log().calls,
        faults: world.stage.scene().faults.values().sum(),
        ..Figures::default()
    };
    let events = all_events(world).await;
    let runs = all_runs(world).await;
    figures.events = events.len();
    figures.runs = runs.len();
    settled(world, &runs).await;
    acknowledged(world, &events).await;
    decided(world, &events, &runs).await;
    effects(world, &events, &runs);
    let posts = all_posts(world).await;
    made_once(world, &posts, &runs);
    published(world, &posts, &mut figures).await;
    figures
}

async fn all_events(world: &World) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    loop {
        let before = all
            .last()
            .map(|event| event.id.to_string())
            .unwrap_or_default();
        let page = events::list(
            &mut world.truth.clone(),
            world.workspace,
            "",
            "",
            &before,
            PAGE,
        )
        .await
        .unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

async fn all_runs(world: &World) -> Vec<Run> {
    let mut all: Vec<Run> = Vec::new();
    loop {
        let before = all.last().map(|run| run.id.to_string()).unwrap_or_default();
        let filter = runs::RunFilter {
            before: &before,
            ..runs::RunFilter::default()
        };
        let page = runs::list(&mut world.truth.clone(), world.workspace, &filter, PAGE)
            .await
            .unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

async fn all_posts(world: &World) -> Vec<Post> {
    let mut all: Vec<Post> = Vec::new();
    loop {
        let before = all
            .last()
            .map(|post| post.id.to_string())
            .unwrap_or_default();
        let filter = posts::PostFilter {
            before: &before,
            ..posts::PostFilter::default()
        };
        let page = posts::list(&mut world.truth.clone(), world.workspace, &filter, PAGE)
            .await
            .unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// Liveness: no work is left over and every run has ended.
async fn settled(world: &World, runs: &[Run]) {
    let left = jobs::count_by_state(&mut world.truth.clone())
        .await
        .unwrap();
    if !left.is_empty() {
        world.stage.breach(format!("jobs are left over: {left:?}"));
    }
    for run in runs.iter().filter(|run| !run.state.is_over()) {
        world
            .stage
            .breach(format!("{} has not ended: {:?}", run.id, run.reason));
    }
}

/// What was answered is stored.
async fn acknowledged(world: &World, events: &[Event]) {
    let stored: BTreeSet<(&str, &str)> = events
        .iter()
        .map(|event| (event.source.as_str(), event.dedupe.as_str()))
        .collect();
    for wish in &world.granted {
        match wish {
            Wish::Deliver(delivered) => {
                for event in delivered {
                    let dedupe = event.dedupe.as_deref().unwrap_or_default();
                    if !stored.contains(&(event.source.as_str(), dedupe)) {
                        world
                            .stage
                            .breach(format!("{dedupe} was answered and is not stored"));
                    }
                }
            }
            Wish::Schedule(post) => {
                let found = posts::find(&mut world.truth.clone(), world.workspace, post.id).await;
                if found.unwrap().is_none() {
                    world
                        .stage
                        .breach(format!("{} was answered and is not stored", post.id));
                }
            }
            _ => {}
        }
    }
    // Each tenth minute of the day came once, however the clock went.
    let times: BTreeSet<i64> = events
        .iter()
        .filter(|event| event.kind == kind::TIME_DUE)
        .map(|event| event.time.since(START))
        .collect();
    for minute in 1..(DAY / (10 * MINUTE)) {
        if !times.contains(&(minute * 10 * MINUTE)) {
            world
                .stage
                .breach(format!("minute {} of the day never came", minute * 10));
        }
    }
}

/// Each event has a decision or a run for every rule that listens, and never two runs.
async fn decided(world: &World, events: &[Event], runs: &[Run]) {
    let mut by_event: BTreeMap<(String, RuleId), usize> = BTreeMap::new();
    for run in runs {
        *by_event
            .entry((run.event.to_string(), run.rule))
            .or_default() += 1;
    }
    for ((event, rule), count) in &by_event {
        if *count > 1 {
            world
                .stage
                .breach(format!("{event} started {rule} {count} times"));
        }
    }
    let switched = rule(world, SWITCHED);
    for event in events {
        let listening: Vec<RuleId> = RULES
            .iter()
            .zip(&world.rules)
            .filter(|(spec, id)| spec.listens == event.kind && **id != switched)
            .map(|(_, id)| *id)
            .collect();
        if listening.is_empty() {
            continue;
        }
        let told = decisions::list_for_event(&mut world.truth.clone(), world.workspace, event.id)
            .await
            .unwrap();
        for rule in listening {
            let has_run = by_event.contains_key(&(event.id.to_string(), rule));
            let told = told.iter().find(|told| told.decision.rule == rule);
            match (has_run, told.map(|told| told.decision.verdict)) {
                (false, None) => {
                    world
                        .stage
                        .breach(format!("{} was never decided for {rule}", event.id));
                }
                (true, Some(verdict)) if verdict != Verdict::Debounced => {
                    world.stage.breach(format!(
                        "{} both ran and was refused ({verdict:?})",
                        event.id
                    ));
                }
                _ => {}
            }
        }
    }
}

/// Steps on our own database took effect once.
fn effects(world: &World, events: &[Event], runs: &[Run]) {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for event in events.iter().filter(|event| event.kind == NOTED) {
        let subject = event.subject.as_deref().unwrap_or_default();
        if !seen.insert(subject) {
            world
                .stage
                .breach(format!("the step {subject} took effect twice"));
        }
    }
    let single = [
        "First of a key",
        "Not too often",
        "Quiet",
        "Every ten minutes",
        "After publishing",
        "After failing",
        SWITCHED,
    ]
    .map(|name| rule(world, name));
    for run in runs {
        if run.state == RunState::Finished
            && single.contains(&run.rule)
            && !seen.contains(format!("{}/steps/0", run.id).as_str())
        {
            world
                .stage
                .breach(format!("{} finished and its step had no effect", run.id));
        }
    }
}

/// A feed's item made one post.
fn made_once(world: &World, posts: &[Post], runs: &[Run]) {
    let mut made: BTreeMap<String, usize> = BTreeMap::new();
    for origin in posts.iter().filter_map(|post| post.origin.as_ref()) {
        *made.entry(origin.run.to_string()).or_default() += 1;
    }
    let feed = rule(world, "Feed to posts");
    for run in runs.iter().filter(|run| run.rule == feed) {
        let count = made.get(&run.id.to_string()).copied().unwrap_or(0);
        let wanted = usize::from(run.state == RunState::Finished);
        if count != wanted {
            world
                .stage
                .breach(format!("{} ({:?}) made {count} posts", run.id, run.state));
        }
    }
}

async fn published(world: &World, posts: &[Post], figures: &mut Figures) {
    let mut public: BTreeMap<String, Entry> = BTreeMap::new();
    for entry in &world.network.log().entries {
        public.insert(entry.publication.clone(), entry.clone());
    }
    let cancelled: BTreeSet<PostId> = world
        .granted
        .iter()
        .filter_map(|wish| match wish {
            Wish::Cancel(id) => Some(*id),
            _ => None,
        })
        .collect();
    let mut known = 0;
    for post in posts {
        let rows = publications::list_for_post(&mut world.truth.clone(), world.workspace, post.id)
            .await
            .unwrap();
        match post.state {
            PostState::Draft if cancelled.contains(&post.id) && rows.is_empty() => continue,
            PostState::Draft | PostState::Scheduled | PostState::Publishing => {
                world
                    .stage
                    .breach(format!("{} ended as {:?}", post.id, post.state));
            }
            _ if cancelled.contains(&post.id) => {
                world
                    .stage
                    .breach(format!("{} went on after it was withdrawn", post.id));
            }
            _ => {}
        }
        for row in rows {
            let own = &row.publication;
            let entry = public.get(&own.id.to_string());
            known += usize::from(entry.is_some());
            if let Some(entry) = entry
                && entry.text != row.content.text
            {
                world
                    .stage
                    .breach(format!("{} says something else than it should", own.id));
            }
            one(world, own, entry, figures).await;
            figures.publications += 1;
        }
    }
    if known != public.len() {
        world
            .stage
            .breach("something is public that no publication knows of");
    }
}

async fn one(world: &World, own: &Publication, entry: Option<&Entry>, figures: &mut Figures) {
    let network = network_of(world, own);
    let wrong = |text: &str| {
        let text = format!(
            "{} at {network} is {} and {text}",
            own.id,
            own.state.as_str()
        );
        world.stage.breach(text);
    };
    let was_kept = world.network.log().kept.contains(&own.id.to_string());
    if was_kept && own.state != PublicationState::Published {
        wrong("P3: the network's yes was heard and is lost");
    }
    match own.state {
        PublicationState::Published => {
            figures.published += 1;
            match (entry, &own.remote_id) {
                (None, _) => wrong("not public: lost"),
                // A person who saw it live knows no id.
                (Some(_), None) => {}
                (Some(entry), Some(id)) if entry.remote_id != *id => wrong("bound to another post"),
                _ => {}
            }
        }
        PublicationState::Failed => {
            figures.failed += 1;
            if entry.is_some() {
                wrong("public");
            }
            if own.problem.is_none() {
                wrong("names no reason");
            }
        }
        PublicationState::Cancelled => {
            figures.cancelled += 1;
            if entry.is_some() {
                wrong("public");
            }
        }
        PublicationState::NeedsReview => {
            figures.review += 1;
            let reason = own.problem.clone().unwrap_or_default();
            // A part behind one that a person called live has nothing to answer to.
            let is_detached = reason.contains("its id at the network is not known");
            if network != "blind" && !is_detached {
                wrong(&format!("could have been found: {reason}"));
            }
        }
        _ => {
            if !behind_doubt(world, own).await {
                wrong("stuck");
            }
        }
    }
    log_is_whole(world, own).await;
}

fn network_of(world: &World, own: &Publication) -> &'static str {
    let account = world.accounts.iter().find(|(id, _)| *id == own.account);
    account.map_or("?", |(_, network)| *network)
}

async fn behind_doubt(world: &World, own: &Publication) -> bool {
    publications::list_for_post(&mut world.truth.clone(), world.workspace, own.post)
        .await
        .unwrap()
        .iter()
        .any(|row| {
            let before = &row.publication;
            before.variant == own.variant
                && before.part < own.part
                && before.state == PublicationState::NeedsReview
        })
}

/// The log of transitions is a path, and attempts follow P2.
async fn log_is_whole(world: &World, own: &Publication) {
    let mut reader = world.truth.clone();
    let log = publications::list_log(&mut reader, world.workspace, own.id)
        .await
        .unwrap();
    let mut state = PublicationState::Due;
    for step in &log {
        if step.from != state {
            world.stage.breach(format!(
                "{} jumped from {state:?} to {:?}",
                own.id, step.from
            ));
        }
        if step.from == PublicationState::Published {
            world
                .stage
                .breach(format!("P3: {} left the state published", own.id));
        }
        state = step.to;
    }
    if state != own.state {
        world.stage.breach(format!(
            "{} is {:?}, its log says {state:?}",
            own.id, own.state
        ));
    }
    let tried = attempts::list_for_publication(&mut reader, world.workspace, own.id)
        .await
        .unwrap();
    if let Err(violation) = check_log(own, &log, &tried) {
        world.stage.breach(format!("{}: {violation}", own.id));
    }
    let open = tried
        .iter()
        .filter(|attempt| attempt.phase == AttemptPhase::Open)
        .count();
    let may_be_open = usize::from(own.state == PublicationState::NeedsReview);
    if open > may_be_open {
        world
            .stage
            .breach(format!("{} has {open} open attempts", own.id));
    }
}
