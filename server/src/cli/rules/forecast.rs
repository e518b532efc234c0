//! `rules forecast`: asks a server for the calendar of the weeks to come.
//!
//! Invariant: what is printed is what the API answers; a draft is sent as it lies in its file.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use so_model::{
    api::account::AccountList,
    forecast::{Entry, Forecast, How, Sureness},
    id::AccountId,
};
use so_net::Method;

use super::{
    outcome::Answer,
    remote::{Place, Remote},
    supposed::{drafts, without},
};

/// What is asked.
#[derive(Debug, Args)]
pub struct Looking {
    /// Weeks from now, 1 to 13.
    #[arg(long, default_value_t = 4)]
    weeks: u32,
    /// A file with a rule as it might be; takes the place of the saved rule of the same name.
    #[arg(long, value_name = "FILE")]
    draft: Vec<PathBuf>,
    /// Name or id of a saved rule, as if it were off.
    #[arg(long, value_name = "RULE")]
    without: Vec<String>,
    /// Prints JSON as the API answers.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Asks and prints; all is well if there is nothing to be warned of and nothing is missing.
pub(super) async fn ask(asked: &Looking) -> Answer {
    let remote = Remote::open(&asked.place).await?;
    let saved = match asked.draft.is_empty() && asked.without.is_empty() {
        true => Vec::new(),
        false => remote.list().await?,
    };
    let drafts = drafts(&asked.draft, &saved)?;
    let without = without(&asked.without, &saved)?;
    let body = json!({"weeks": asked.weeks, "drafts": drafts, "without": without});
    let told: Forecast = match drafts.is_empty() && without.is_empty() {
        true => {
            remote
                .get(&format!("forecast?weeks={}", asked.weeks))
                .await?
        }
        false => remote.send(Method::POST, "forecast", Some(&body)).await?,
    };
    let text = if asked.json {
        serde_json::to_string_pretty(&told).context("could not write the answer")? + "\n"
    } else {
        let accounts: AccountList = remote.get("accounts?limit=200").await?;
        let names = accounts.items.into_iter();
        in_words(
            &told,
            &names.map(|account| (account.id, account.name)).collect(),
        )
    };
    super::super::print(&text)?;
    Ok(told.warnings.is_empty() && told.incomplete_from.is_none())
}

fn in_words(told: &Forecast, names: &BTreeMap<AccountId, String>) -> String {
    let mut text = String::new();
    // A string cannot fail to take more text.
    let _ = writeln!(
        text,
        "{} entries until {}, {}",
        told.entries.len(),
        told.until,
        told.zone
    );
    for entry in &told.entries {
        let accounts: Vec<&str> = entry
            .accounts
            .iter()
            .chain(&entry.held)
            .map(|id| names.get(id).map_or("?", String::as_str))
            .collect();
        let beginning: String = entry
            .text
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .take(50)
            .collect();
        let _ = writeln!(
            text,
            "{}  {:<11} {:<10} {:<24} {beginning}{}",
            entry.local,
            sureness(entry),
            how(&entry.how),
            accounts.join(", "),
            notes(entry)
        );
    }
    if let Some(since) = told.incomplete_from {
        let _ = writeln!(text, "from {since} on the calendar is not complete");
    }
    for (title, lines) in [
        (
            "warnings",
            told.warnings
                .iter()
                .map(|warning| warning.text.clone())
                .collect::<Vec<_>>(),
        ),
        (
            "unknown",
            told.unknowns
                .iter()
                .map(|unknown| format!("{}: {}", unknown.what, unknown.why))
                .collect(),
        ),
    ] {
        if !lines.is_empty() {
            let _ = writeln!(text, "\n{title}");
        }
        for line in lines {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

fn sureness(entry: &Entry) -> &'static str {
    match entry.state {
        Sureness::Certain => "certain",
        Sureness::IfApproved => "if approved",
        Sureness::Unknown => "unknown",
    }
}

fn how(how: &How) -> &'static str {
    match how {
        How::Scheduled => "scheduled",
        How::QueueSlot { .. } => "queue",
        How::Recurrence { .. } => "recurrence",
        How::Evergreen { .. } => "evergreen",
        How::Rule { .. } => "rule",
    }
}

fn notes(entry: &Entry) -> String {
    let mut notes = entry.reasons.clone();
    if entry.at_risk {
        notes.push("a token has ended by then".into());
    }
    if !entry.held.is_empty() {
        notes.push("waits for an account".into());
    }
    match notes.is_empty() {
        true => String::new(),
        false => format!("  ({})", notes.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use so_model::Timestamp;

    use super::*;

    #[test]
    fn an_entry_is_one_line_with_what_it_hangs_on() {
        let at = Timestamp::from_micros(1_800_000_000_000_000);
        let entry = Entry {
            at,
            local: "2027-01-15 09:00".into(),
            post: None,
            text: "First\nsecond".into(),
            accounts: Vec::new(),
            held: Vec::new(),
            how: How::Scheduled,
            rule: None,
            state: Sureness::IfApproved,
            reasons: vec!["it waits for an approval".into()],
            at_risk: true,
        };
        let told = Forecast {
            from: at,
            until: at,
            zone: "Europe/Berlin".into(),
            entries: vec![entry],
            warnings: Vec::new(),
            unknowns: Vec::new(),
            incomplete_from: None,
        };
        let text = in_words(&told, &BTreeMap::new());
        assert_eq!(text.lines().count(), 2, "{text}");
        let line = text.lines().nth(1).unwrap();
        assert!(
            line.starts_with("2027-01-15 09:00  if approved scheduled"),
            "{line}"
        );
        let end = "First  (it waits for an approval; a token has ended by then)";
        assert!(line.ends_with(end), "{line}");
    }
}
