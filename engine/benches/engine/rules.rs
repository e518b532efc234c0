//! Deciding, in process and on one thread: no database has a share in it.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use so_engine::{
    decide::{CompiledRule, DecisionInput, FactValues, RuleIndex, WorkspaceFacts, decide, verdict},
    script::{ScriptEngine, ScriptLimits},
};
use so_model::{
    Timestamp,
    event::{Cause, Event},
    id::{EventId, RuleId, WorkspaceId},
    rule::RuleDocument,
    run::Verdict,
};
use so_testkit::figures::{Ask, Goal, Teller, progress};

use crate::world::{KIND, plugins};

/// Different events, so that no branch is always the same.
const EVENTS: usize = 512;
/// Rules that listen to the hook that is called.
const CANDIDATES: usize = 36;
/// Candidates in the comparison of few with many rules.
const FEW: usize = 10;
/// Rounds of which the best is taken: what disturbs only ever adds.
const ROUNDS: usize = 7;

/// What every measurement needs.
struct Bench {
    workspace: WorkspaceFacts,
    facts: FactValues,
    now: Timestamp,
    scripts: ScriptEngine,
    plugins: so_engine::plugin::Plugins,
}

pub fn measure(ask: &Ask) {
    let teller = Teller::alone("rules");
    let bench = Bench {
        workspace: WorkspaceFacts {
            id: WorkspaceId::derived(&["bench"]),
            name: "Bench".into(),
            time_zone: chrono_tz::Europe::Berlin,
        },
        facts: FactValues::default(),
        now: Timestamp::from_micros(1_780_300_800_000_000),
        scripts: ScriptEngine::new(ScriptLimits::default()),
        plugins: plugins(),
    };
    let events: Vec<Event> = (0..EVENTS).map(|n| bench.event(n, "hook-0")).collect();
    conditions(&bench, &events, ask, &teller);
    candidates(&bench, &events, ask, &teller);
    growth(&bench, ask, &teller);
}

fn conditions(bench: &Bench, events: &[Event], ask: &Ask, teller: &Teller) {
    progress("conditions");
    let tree = json!({"all": [
        {"field": "event.data.body.likes", "op": "gt", "value": 100},
        {"field": "event.data.body.text", "op": "contains", "value": "#launch"}]});
    let native = bench.rule(0, "hook-0", &tree);
    let looks = ask.size(2_000_000, 20_000);
    let each = bench.per_event(events, looks, |event| {
        let input = bench.input(event);
        native
            .condition()
            .unwrap()
            .holds(&input.facts_for(&native, 0))
    });
    let million = |each: Duration| 1e-6 / each.as_secs_f64();
    teller.tell(
        "condition of workload E as a tree, millions per s",
        million(each),
        "M/s",
        Goal::AtLeast(10.0),
    );

    let source = r##"event.data.body.likes > 100 && event.data.body.text.contains("#launch")"##;
    let rhai = bench.rule(1, "hook-0", &json!({"expr": source}));
    let looks = ask.size(200_000, 2_000);
    let inputs: Vec<DecisionInput<'_>> = events.iter().map(|event| bench.input(event)).collect();
    let each = bench.per_event(&inputs, looks, |input| {
        rhai.condition().unwrap().holds(&input.facts_for(&rhai, 0))
    });
    teller.tell(
        "the same in Rhai, event converted before, millions per s",
        million(each),
        "M/s",
        Goal::AtLeast(1.0),
    );
    let each = bench.per_event(events, looks, |event| {
        let input = bench.input(event);
        rhai.condition().unwrap().holds(&input.facts_for(&rhai, 0))
    });
    teller.tell(
        "the same in Rhai with the event's conversion, millions per s",
        million(each),
        "M/s",
        Goal::None,
    );
}

/// One event among ten thousand rules, some of which listen.
fn candidates(bench: &Bench, events: &[Event], ask: &Ask, teller: &Teller) {
    let all = ask.size(10_000, 500);
    progress(&format!("{all} rules"));
    let index = bench.index(all, CANDIDATES);
    let looks = ask.size(20_000, 200);
    let micros = |each: Duration| each.as_secs_f64() * 1e6;
    let each = bench.per_event(events, looks, |event| bench.count(&index, event));
    teller.tell(
        "10 000 rules, 36 candidates, an event decided",
        micros(each),
        "µs",
        Goal::AtMost(25.0),
    );
    let each = bench.per_event(events, looks, |event| {
        let input = bench.input(event);
        let found = index.candidates(event);
        found
            .iter()
            .map(|(rule, trigger)| decide(rule, *trigger, &input).reason.len())
            .sum::<usize>()
    });
    teller.tell(
        "the same with every reason in words",
        micros(each),
        "µs",
        Goal::None,
    );
}

/// Rules that do not listen must cost nothing.
fn growth(bench: &Bench, ask: &Ask, teller: &Teller) {
    let many = ask.size(100_000, 1_000);
    progress(&format!("{FEW} and {many} rules"));
    let (few, many) = (bench.index(FEW, FEW), bench.index(many, FEW));
    let events: Vec<Event> = (0..EVENTS).map(|n| bench.event(n, "hook-0")).collect();
    let looks = ask.size(50_000, 500);
    let mut best = [Duration::MAX; 2];
    // In turn, so that a busy machine slows both.
    for _ in 0..ROUNDS {
        for (best, index) in best.iter_mut().zip([&few, &many]) {
            let each = bench.once(&events, looks, &mut |event| bench.count(index, event));
            *best = each.min(*best);
        }
    }
    teller.tell(
        "100 000 rules against 10, same candidates",
        best[1].as_secs_f64() / best[0].as_secs_f64(),
        "times",
        Goal::AtMost(1.3),
    );
}

impl Bench {
    fn event(&self, n: usize, hook: &str) -> Event {
        let likes = if n.is_multiple_of(2) { 150 } else { 50 };
        Event {
            id: EventId::derived(&[hook, &n.to_string()]),
            workspace: self.workspace.id,
            kind: KIND.into(),
            source: format!("hook/{hook}"),
            dedupe: n.to_string(),
            subject: None,
            time: self.now,
            data: json!({"hook": hook, "body": {"id": n.to_string(), "text": "Our #launch is here",
                         "likes": likes, "network": "mastodon"}}),
            cause: Cause::default(),
        }
    }

    fn rule(&self, n: usize, hook: &str, condition: &Value) -> Arc<CompiledRule> {
        let document = json!({
            "version": 1, "name": "Bench",
            "triggers": [{"id": "call", "kind": KIND, "with": {"hook": hook}}],
            "if": condition,
            "steps": [{"id": "nothing", "action": "bench.nothing"}]
        });
        let document: RuleDocument = serde_json::from_value(document).unwrap();
        let rule = CompiledRule::compile(
            RuleId::derived(&[&n.to_string()]),
            self.workspace.id,
            1,
            Arc::new(document),
            self.plugins.catalogue(),
            &self.scripts,
        );
        Arc::new(rule.unwrap())
    }

    /// The first rules listen to `hook-0`, the others each to a hook of its own.
    fn index(&self, all: usize, listening: usize) -> RuleIndex {
        let rules = (0..all).map(|n| {
            let hook = if n < listening { 0 } else { n };
            let condition = json!({"all": [
                {"field": "event.data.body.likes", "op": "gt", "value": 100 + n % 100},
                {"field": "event.data.body.text", "op": "contains", "value": "#launch"}]});
            self.rule(n, &format!("hook-{hook}"), &condition)
        });
        RuleIndex::build(rules.collect())
    }

    fn input<'a>(&'a self, event: &'a Event) -> DecisionInput<'a> {
        DecisionInput::new(event, &self.workspace, self.now, &self.facts)
    }

    fn count(&self, index: &RuleIndex, event: &Event) -> usize {
        let input = self.input(event);
        let found = index.candidates(event);
        found
            .iter()
            .filter(|(rule, trigger)| verdict(rule, *trigger, &input) == Verdict::Started)
            .count()
    }

    fn per_event<T, R>(
        &self,
        inputs: &[T],
        looks: usize,
        mut look: impl FnMut(&T) -> R,
    ) -> Duration {
        (0..ROUNDS)
            .map(|_| self.once(inputs, looks, &mut look))
            .min()
            .unwrap()
    }

    fn once<T, R>(&self, inputs: &[T], looks: usize, look: &mut impl FnMut(&T) -> R) -> Duration {
        let began = Instant::now();
        for input in inputs.iter().cycle().take(looks) {
            black_box(look(black_box(input)));
        }
        began.elapsed() / u32::try_from(looks).unwrap()
    }
}
