//! Calls of other rules: the events that they make, and what the caller hears of the run.
//!
//! Invariant: a call is one event, the recorded one where the recorded run made it, and its outcome is told once the
//! called run is over.

use std::sync::Arc;

use serde_json::{Value, json};
use so_model::{
    event::{Cause, Event, kind},
    id::{RuleId, RunId},
    run::{Memo, RunState, StepOutcome},
};

use super::{
    play::Play,
    runs::{Here, Sim},
};
use crate::{
    plugin::ActionError,
    run::{Answer, Call},
};

/// Codes of a call that made no event.
const CALL_REFUSED: [&str; 3] = ["rule.not_found", "rule.disabled", "rule.input"];

/// What came of a call of another rule.
pub(super) enum CallState {
    /// Its event is yet to come.
    Sent,
    NotStarted(String),
    Started(RunId),
    Over(Value, RunState),
}

impl Play {
    pub(super) fn wake_caller(&mut self, sim: &Sim, state: RunState, reason: Option<&str>) {
        let event = &sim.dry.cx.event;
        if event.kind != kind::RULE_CALLED {
            return;
        }
        let run = &sim.dry.cx.run;
        // One that was let go had another name, which its caller may know.
        let id = (!sim.is_gone()).then_some(run.id);
        let told = json!({"rule": run.rule, "run": id, "state": state, "reason": reason});
        self.call_settled(event, CallState::Over(told, state));
    }

    pub(super) fn call_started(&mut self, event: &Event, run: RunId) {
        self.call_settled(event, CallState::Started(run));
    }

    pub(super) fn call_started_nothing(&mut self, event: &Event, reason: String) {
        self.call_settled(event, CallState::NotStarted(reason));
    }

    fn call_settled(&mut self, event: &Event, state: CallState) {
        if event.data["caller"]["waits"] != true {
            return;
        }
        let call = (event.source.clone(), event.dedupe.clone());
        self.calls.insert(call, state);
        let caller = event.data["caller"]["run"].as_str();
        let caller = caller.and_then(|text| text.parse::<RunId>().ok());
        if let Some(caller) = caller
            && let Some(sim) = self.runs.get_mut(&caller)
        {
            sim.dry.wake();
            self.ready.push_back(caller);
        }
    }
}

impl Here<'_> {
    pub(super) fn rule_call(&mut self, call: &Call<'_>, recorded: Option<&Memo>) -> Answer {
        let waits = call.with["wait"] == true;
        let place = (format!("call/{}", call.cx.run.id), call.path.to_owned());
        let rule = call.with["rule"].clone();
        if let Some(state) = self.play.calls.get(&place) {
            return called(call, state, rule, recorded, &self.play.runs);
        }
        if let Some(memo) = recorded {
            let code = memo.output["code"].as_str().unwrap_or_default();
            let made_nothing = memo.outcome == StepOutcome::Failed && CALL_REFUSED.contains(&code);
            if made_nothing || !waits {
                return Answer::As(Box::new(memo.clone()));
            }
            // The event of the call comes by itself.
        } else if let Err(error) = self.send(call, &place, waits) {
            return Answer::Failed(error);
        }
        if !waits {
            return Answer::Done(json!({"rule": rule}));
        }
        self.play.calls.insert(place, CallState::Sent);
        Answer::Wait(json!({"rule": rule}), None)
    }

    fn send(
        &mut self,
        call: &Call<'_>,
        (source, dedupe): &(String, String),
        waits: bool,
    ) -> Result<(), ActionError> {
        let text = call.with["rule"].as_str().unwrap_or_default();
        let play = &mut *self.play;
        let found = text.parse::<RuleId>().ok();
        let Some(target) = found.and_then(|id| play.index.get(id)) else {
            let reason = format!("rule: there is no rule {text} that is on");
            return Err(ActionError::fail("rule.not_found", reason));
        };
        let given = call.with["input"].clone();
        let input = target
            .document
            .take_input(given, true)
            .map_err(|problems| {
                let told: Vec<String> = problems
                    .iter()
                    .map(|one| format!("{} (expected: {})", one.reason, one.expected))
                    .collect();
                ActionError::fail("rule.input", format!("input: {}", told.join("; ")))
            })?;
        let run = &call.cx.run;
        let mut caller = json!({"rule": run.rule, "run": run.id});
        if waits {
            caller["waits"] = json!(true);
        }
        let data = json!({"rule": target.id, "caller": caller, "input": input});
        let (subject, cause) = (
            target.id.to_string(),
            Cause::of(&call.cx.event, run.id, run.rule),
        );
        let mut event = play.made(kind::RULE_CALLED, source, dedupe, subject, data, cause);
        if let Some(recorded) = play.expected.remove(&(source.clone(), dedupe.clone())) {
            Arc::make_mut(&mut event).id = recorded;
            play.come.insert(recorded);
            play.told.made -= 1;
        }
        play.pending.push_back(event);
        Ok(())
    }
}

/// What a call of another rule has come to.
fn called(
    call: &Call<'_>,
    state: &CallState,
    rule: Value,
    recorded: Option<&Memo>,
    runs: &std::collections::HashMap<RunId, Box<Sim>>,
) -> Answer {
    let wait = || Answer::Wait(json!({ "rule": rule }), None);
    match state {
        CallState::Sent => wait(),
        CallState::NotStarted(reason) => Answer::Failed(
            ActionError::fail(
                "rule.not_started",
                format!("the called rule did not start: {reason}"),
            )
            .next_step("look at its condition and its mode"),
        ),
        CallState::Started(id) => {
            let cx = call.cx;
            let waits_for_itself = runs.get(id).is_some_and(|sim| {
                let of = sim.dry.cx.run.rule;
                sim.is_queued && (of == cx.run.rule || cx.event.cause.rules.contains(&of))
            });
            match waits_for_itself {
                true => Answer::Failed(
                    ActionError::fail(
                        "rule.waits_for_itself",
                        "the called rule takes one run at a time, and that one waits for this call",
                    )
                    .next_step("call it without waiting, or give its mode a key"),
                ),
                false => wait(),
            }
        }
        CallState::Over(told, RunState::Finished) => {
            let mut told = told.clone();
            if let Some(memo) = recorded.filter(|_| told["run"].is_null()) {
                told["run"] = memo.output["run"].clone();
            }
            Answer::Done(told)
        }
        CallState::Over(told, state) => {
            let (run, reason) = (&told["run"], told["reason"].as_str().unwrap_or_default());
            let run = run.as_str().unwrap_or_default();
            Answer::Failed(
                ActionError::fail(
                    "rule.failed",
                    format!("the called run {run} {}: {reason}", state.as_str()),
                )
                .next_step("look at the page of that run"),
            )
        }
    }
}
