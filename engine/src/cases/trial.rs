//! One case after the other: the decision, then the walk, held against what is expected.
//!
//! Invariant: the first difference is told, with what was expected and what came.

use std::sync::Arc;

use serde_json::{Map, Value};
use so_model::{
    Timestamp,
    case::{Case, CaseCall, CaseEnd, CaseEvent, CaseReport, CaseResult},
    event::{Cause, Event},
    id::{EventId, RuleId, RunId, WorkspaceId},
    problem::FieldError,
    rule::RuleDocument,
    run::{ConditionTrace, Decision, Run, RunState, Verdict},
};

use super::{coverage::Counting, gates::Starts, walk::Walk};
use crate::{
    decide::{
        CompiledRule, DecisionInput, FactValues, WorkspaceFacts, decide, facts_needed, settle,
    },
    plugin::Plugins,
    rule::Catalogue,
    run::{Memos, RunContext},
    schedule::parse_duration,
    script::ScriptEngine,
};

/// Id of the rule in every case: the one in the samples of triggers.
pub const RULE_OF_CASES: &str = "rule_01890a5dac96774bbcceb302099a8057";
/// Moment of cases that name none: 2026-06-01T08:00:00Z, a Monday.
const NOW: Timestamp = Timestamp::from_micros(1_780_300_800_000_000);
/// Zone of cases that name none.
const ZONE: &str = "Europe/Berlin";

/// What cases are tried with.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// What rules may name.
    pub catalogue: &'a Catalogue,
    /// The triggers themselves, which know schedules; without them no case may ask for `next`.
    pub plugins: Option<&'a Plugins>,
    /// Compiles expressions.
    pub scripts: &'a ScriptEngine,
}

/// Makes a rule ready for its cases.
pub fn compile(
    document: Arc<RuleDocument>,
    ground: Ground<'_>,
) -> Result<Arc<CompiledRule>, Vec<FieldError>> {
    let made = (Timestamp::from_micros(0), [1; 10]);
    let rule = RULE_OF_CASES
        .parse()
        .unwrap_or_else(|_| RuleId::from_parts(made.0, made.1));
    let workspace = WorkspaceId::from_parts(made.0, [2; 10]);
    CompiledRule::compile(
        rule,
        workspace,
        1,
        document,
        ground.catalogue,
        ground.scripts,
    )
    .map(Arc::new)
}

/// Tries every case.
pub fn run_all(cases: &[Case], rule: &Arc<CompiledRule>, ground: Ground<'_>) -> CaseReport {
    let mut counting = Counting::of(&rule.document);
    let results = cases
        .iter()
        .map(|case| {
            let problem = Trial { case, rule, ground }.run(&mut counting).err();
            CaseResult {
                name: case.name.clone(),
                passed: problem.is_none(),
                problem,
            }
        })
        .collect();
    CaseReport {
        results,
        coverage: counting.coverage().clone(),
    }
}

struct Trial<'a> {
    case: &'a Case,
    rule: &'a Arc<CompiledRule>,
    ground: Ground<'a>,
}

impl Trial<'_> {
    fn run(&self, counting: &mut Counting) -> Result<(), String> {
        let case = self.case;
        let now = case.now.unwrap_or(NOW);
        let zone = case.zone.as_deref().unwrap_or(ZONE);
        let workspace = Arc::new(WorkspaceFacts {
            id: self.rule.workspace,
            name: "Example".into(),
            time_zone: zone
                .parse()
                .map_err(|_| format!("there is no time zone {zone}"))?,
        });
        if let Some(wanted) = case.next {
            self.check_next(wanted, now, zone)?;
        }
        let Some(made) = &case.event else {
            return match case.next {
                Some(_) => Ok(()),
                None => Err("the case has neither event nor next".into()),
            };
        };
        let event = event_of(made, &case.name, self.rule, now);
        let starts = self.starts(&workspace, now)?;
        let told = self.decided(&event, &workspace, now, &starts, counting)?;
        if told.verdict != Verdict::Started {
            return Ok(());
        }
        let run = run_of(self.rule, &event, &told, now);
        let cx = RunContext {
            run,
            event: Arc::new(event),
            rule: self.rule.clone(),
            workspace,
            memos: Memos::default(),
        };
        let mut walk = Walk::new(cx, case, self.ground.catalogue, now)?;
        let end = walk.run_out();
        walk.memos().for_each(|memo| counting.see_memo(memo));
        self.check_walk(&walk, end?)
    }

    /// The events before the case.
    fn starts(&self, workspace: &WorkspaceFacts, now: Timestamp) -> Result<Starts, String> {
        let mut starts = Starts::default();
        for (index, earlier) in self.case.earlier.iter().enumerate() {
            let span = parse_duration(&earlier.ago).map_err(|error| error.to_string())?;
            let at = now.plus(-span);
            let Some(made) = earlier.event.as_ref().or(self.case.event.as_ref()) else {
                continue;
            };
            let name = format!("{} earlier {index}", self.case.name);
            let event = event_of(made, &name, self.rule, at);
            let (told, _) = self.decide(&event, workspace, at);
            starts.note(self.rule, &told, &event, workspace, at);
        }
        Ok(starts)
    }

    fn decide(
        &self,
        event: &Event,
        workspace: &WorkspaceFacts,
        now: Timestamp,
    ) -> (Decision, FactValues) {
        let rule = self.rule;
        let listening = rule
            .triggers
            .iter()
            .position(|trigger| trigger.matches(event).is_ok());
        let trigger = listening.unwrap_or(0);
        let none = FactValues::default();
        let asked = facts_needed(
            rule,
            trigger,
            &DecisionInput::new(event, workspace, now, &none),
        );
        let values = asked
            .into_iter()
            .map(|request| {
                let value = fact(self.case, &request.key, &request.fact);
                (request.key, value)
            })
            .collect();
        let told = decide(
            rule,
            trigger,
            &DecisionInput::new(event, workspace, now, &values),
        );
        (told, values)
    }

    /// The decision, held against what is expected of it.
    fn decided(
        &self,
        event: &Event,
        workspace: &WorkspaceFacts,
        now: Timestamp,
        starts: &Starts,
        counting: &mut Counting,
    ) -> Result<Decision, String> {
        let (case, rule) = (self.case, self.rule);
        let (mut told, values) = self.decide(event, workspace, now);
        if let Some(trace) = &told.trace {
            counting.see(trace);
        }
        let input = DecisionInput::new(event, workspace, now, &values);
        if told.verdict == Verdict::Started
            && let Some((verdict, reason)) = starts.refuse(rule, case, &told, &input)
        {
            told.verdict = verdict;
            told.reason = reason;
        }
        let fires = told.verdict == Verdict::Started;
        let wanted = case
            .fires
            .unwrap_or(case.because.is_none() && case.clause.is_none());
        if fires != wanted {
            let how = match fires {
                true => "it fires",
                false => "it does not fire",
            };
            return Err(format!(
                "expected fires to be {wanted}, but {how}: {}",
                told.reason
            ));
        }
        if let Some(because) = case
            .because
            .as_ref()
            .filter(|part| !told.reason.contains(*part))
        {
            return Err(format!(
                "expected a reason with \"{because}\", but: {}",
                told.reason
            ));
        }
        if let Some(clause) = &case.clause {
            let at = rule
                .triggers
                .iter()
                .position(|trigger| trigger.id == told.trigger);
            let settled = settle(rule, at.unwrap_or(0), &input);
            let first = settled.trace.map_or_else(String::new, |trace| trace.path);
            if first != *clause {
                return Err(format!(
                    "expected the clause {clause} to fail first, but it is {first}: {}",
                    settled.reason
                ));
            }
        }
        Ok(told)
    }

    fn check_walk(&self, walk: &Walk<'_>, end: (CaseEnd, String)) -> Result<(), String> {
        let case = self.case;
        let (end, reason) = end;
        let wanted = case.ends.unwrap_or(CaseEnd::Finished);
        if end != wanted {
            let (said, came) = (end_name(wanted), end_name(end));
            return Err(format!(
                "expected the run to end as {said}, but it {came}: {reason}"
            ));
        }
        if let Some(part) = case.reason.as_ref().filter(|part| !reason.contains(*part)) {
            return Err(format!(
                "expected the run to end with \"{part}\", but: {reason}"
            ));
        }
        if let Some(steps) = &case.steps {
            check_calls(steps, &walk.calls)?;
        }
        match &case.timers {
            Some(wanted) if *wanted != walk.timers => Err(format!(
                "expected it to wait for {}, but it waits for {}",
                moments(wanted),
                moments(&walk.timers)
            )),
            _ => Ok(()),
        }
    }

    fn check_next(&self, wanted: Timestamp, now: Timestamp, zone: &str) -> Result<(), String> {
        let Some(plugins) = self.ground.plugins else {
            return Err("next cannot be tried here".into());
        };
        let mut first: Option<Timestamp> = None;
        for trigger in &self.rule.document.triggers {
            let Some(plugin) = plugins.trigger(&trigger.kind) else {
                continue;
            };
            let schedule = plugin
                .schedule(&trigger.with, zone)
                .map_err(|error| error.reason)?;
            let Some(schedule) = schedule else { continue };
            let compiled = schedule.compile().map_err(|error| error.to_string())?;
            let next = compiled.next_after(now.micros());
            let next = next.map(|next| Timestamp::from_micros(next.at_micros));
            first = match (first, next) {
                (Some(first), Some(next)) => Some(first.min(next)),
                (one, other) => one.or(other),
            };
        }
        match first {
            Some(first) if first == wanted => Ok(()),
            Some(first) => Err(format!(
                "expected it next at {wanted}, but it is at {first}"
            )),
            None => Err(format!(
                "expected it next at {wanted}, but it has no schedule"
            )),
        }
    }
}

/// A fact as the case gives it, by its whole key or by its name; one that it does not give is not there.
pub(super) fn fact(case: &Case, key: &str, name: &str) -> Value {
    let given = case.facts.get(key).or_else(|| case.facts.get(name));
    given.cloned().unwrap_or_default()
}

fn check_calls(wanted: &[CaseCall], made: &[CaseCall]) -> Result<(), String> {
    for (index, (wanted, made)) in wanted.iter().zip(made).enumerate() {
        let number = index + 1;
        if wanted.id != made.id || wanted.action != made.action {
            return Err(format!(
                "expected call {number} to be {} ({}), but it is {} ({})",
                wanted.id, wanted.action, made.id, made.action
            ));
        }
        let with = made.with.clone().unwrap_or(Value::Object(Map::new()));
        if let Some(wanted) = wanted.with.as_ref().filter(|wanted| **wanted != with) {
            return Err(format!(
                "call {number}, {}: expected {wanted}, but it is {with}",
                made.id
            ));
        }
    }
    if wanted.len() == made.len() {
        return Ok(());
    }
    let ids = |calls: &[CaseCall]| {
        let ids: Vec<&str> = calls.iter().map(|call| call.id.as_str()).collect();
        ids.join(", ")
    };
    Err(format!(
        "expected the calls {}, but there were {}",
        ids(wanted),
        ids(made)
    ))
}

fn end_name(end: CaseEnd) -> &'static str {
    match end {
        CaseEnd::Finished => "finished",
        CaseEnd::Failed => "failed",
    }
}

fn moments(moments: &[Timestamp]) -> String {
    match moments {
        [] => "nothing".to_owned(),
        some => some
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// An event of a case; one that has to name its rule or trigger does.
pub(super) fn event_of(made: &CaseEvent, name: &str, rule: &CompiledRule, now: Timestamp) -> Event {
    let id = EventId::derived(&["case", name]);
    Event {
        id,
        workspace: rule.workspace,
        kind: made.kind.clone(),
        source: made.source.clone().unwrap_or_else(|| "case".into()),
        dedupe: id.to_string(),
        subject: made.subject.clone(),
        time: now,
        data: made.data.clone(),
        cause: Cause::default(),
    }
}

fn run_of(rule: &CompiledRule, event: &Event, told: &Decision, now: Timestamp) -> Run {
    Run {
        id: RunId::derived(&["case", &event.dedupe]),
        workspace: rule.workspace,
        rule: rule.id,
        version: rule.version,
        event: event.id,
        trigger: told.trigger.clone(),
        state: RunState::Running,
        key: String::new(),
        decision: told
            .trace
            .clone()
            .unwrap_or_else(ConditionTrace::unconditional),
        reason: None,
        created_at: now,
        finished_at: None,
    }
}
