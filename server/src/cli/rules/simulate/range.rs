//! `rules simulate --from`: a range of the server's history, played by the rules of a folder.
//!
//! Invariant: what is printed is what the API answers; a rule is sent as it lies in its file, in the place of the saved
//! rule of the same name.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::{Value, json};
use so_model::{
    Timestamp,
    simulation::{SimulatedRule, Simulation, StartDiffers},
};
use so_net::Method;

use super::{
    super::{
        outcome::Answer,
        remote::Remote,
        supposed::{drafts, without},
    },
    Simulated,
};

/// Asks and prints; all is well if nothing differs and everything can be said.
pub(super) async fn play(asked: &Simulated, from: Timestamp) -> Answer {
    let remote = Remote::open(&asked.place).await?;
    let saved = remote.list().await?;
    let drafts = drafts(&asked.paths, &saved)?;
    let without = without(&asked.without, &saved)?;
    let body: Value = json!({"from": from, "until": asked.to, "kinds": asked.kind,
                             "drafts": drafts, "without": without});
    let told: Simulation = remote
        .send(Method::POST, "simulations", Some(&body))
        .await?;
    let text = match asked.json {
        true => serde_json::to_string_pretty(&told).context("could not write the answer")? + "\n",
        false => in_words(&told),
    };
    super::super::super::print(&text)?;
    Ok(is_clean(&told))
}

/// Nothing differs, as far as can be said, and everything was played.
fn is_clean(told: &Simulation) -> bool {
    let is_said = |rule: &SimulatedRule| rule.cannot_say == 0;
    told.differences.is_empty() && told.incomplete_from.is_none() && told.rules.iter().all(is_said)
}

fn in_words(told: &Simulation) -> String {
    let mut text = String::new();
    // A string cannot fail to take more text.
    for one in &told.differences {
        let what = match one.what {
            StartDiffers::OnlySimulated => "would start, and did not",
            StartDiffers::OnlyRecorded => "would not start, and did",
            StartDiffers::Otherwise => "would do something else",
            StartDiffers::CannotSay => "cannot be said",
        };
        let _ = writeln!(
            text,
            "{} {} {}: {} {what}: {}",
            one.at, one.event_kind, one.event, one.rule_name, one.text
        );
    }
    if told.differences_more > 0 {
        let _ = writeln!(text, "and {} more", told.differences_more);
    }
    for rule in &told.rules {
        let _ = writeln!(
            text,
            "{}: {} candidates, {} starts (really {}), {} cannot be said",
            rule.name, rule.candidates, rule.started, rule.started_really, rule.cannot_say
        );
        for refused in &rule.refused {
            let clause = refused.clause.as_deref().unwrap_or_default();
            let (verdict, count) = (refused.verdict.as_str(), refused.count);
            let _ = writeln!(text, "    {count} {verdict} {clause}");
        }
    }
    for calls in &told.calls {
        let account = calls.account.as_deref().unwrap_or_default();
        let _ = writeln!(
            text,
            "calls of {} {account}: {} (really {}), at most {} in an hour",
            calls.action, calls.count, calls.count_really, calls.peak_in_an_hour
        );
    }
    for unknown in &told.unknowns {
        let _ = writeln!(
            text,
            "unknown {}, {} times: {}",
            unknown.what, unknown.count, unknown.text
        );
    }
    if let Some(at) = told.incomplete_from {
        let _ = writeln!(text, "there is too much: nothing from {at} on was played");
    }
    let _ = writeln!(
        text,
        "{} events, {} left out, {} made; {} starts as they were, {} otherwise",
        told.events,
        told.left_out,
        told.made,
        told.same,
        told.differences.len() as u64 + told.differences_more
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(cannot_say: u64, incomplete_from: Option<Timestamp>) -> Simulation {
        serde_json::from_value(json!({
            "from": "2026-06-01T00:00:00Z", "until": "2026-06-02T00:00:00Z", "events": 1, "left_out": 0, "made": 0,
            "rules": [{"rule": "rule_01890a5dac96774bbcceb302099a8057", "name": "R", "is_draft": true, "candidates": 1,
                "started": 0, "started_really": 0, "cannot_say": cannot_say, "refused": []}],
            "starts": [], "starts_more": 0, "differences": [], "differences_more": 0, "same": 0, "unknowns": [], "calls": [],
            "incomplete_from": incomplete_from}))
        .unwrap()
    }

    #[test]
    fn what_cannot_be_said_and_what_was_not_played_is_not_clean() {
        assert!(is_clean(&told(0, None)));
        assert!(!is_clean(&told(1, None)));
        assert!(!is_clean(&told(
            0,
            Timestamp::parse("2026-06-01T12:00:00Z")
        )));
    }
}
