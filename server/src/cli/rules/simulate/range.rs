//! `rules simulate --from`: a range of the server's history, played by the rules of a folder.
//!
//! Invariant: what is printed is what the API answers; a rule is sent as it lies in its file, in the place of the saved
//! rule of the same name.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::{Value, json};
use so_model::{
    Timestamp,
    simulation::{Simulation, StartDiffers},
};
use so_net::Method;

use super::{
    super::{
        folder::read_all,
        offline::document,
        outcome::{Answer, Trouble},
        remote::Remote,
        report,
    },
    Simulated,
};

/// Asks and prints; all is well if nothing differs.
pub(super) async fn play(asked: &Simulated, from: Timestamp) -> Answer {
    let remote = Remote::open(&asked.place).await?;
    let saved = remote.list().await?;
    let id_of = |name: &str| {
        let found = saved
            .iter()
            .find(|rule| rule.name == name || rule.id.to_string() == name);
        found.map(|rule| rule.id)
    };
    let mut drafts = Vec::new();
    for file in read_all(&asked.paths)?
        .iter()
        .filter(|file| !file.is_blueprint)
    {
        match document(file) {
            Ok(document) => {
                let rule = document.value["name"].as_str().and_then(id_of);
                drafts.push(json!({"rule": rule, "document": document.value}));
            }
            Err(errors) => {
                let told = report(&file.path, "error", &errors);
                return Err(Trouble::Usage(anyhow::anyhow!("{}", told.trim_end())));
            }
        }
    }
    let mut without = Vec::new();
    for name in &asked.without {
        without.push(id_of(name).with_context(|| format!("the server has no rule {name}"))?);
    }
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
    Ok(told.differences.is_empty())
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
        let _ = writeln!(
            text,
            "there are too many events: nothing from {at} on was played"
        );
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
