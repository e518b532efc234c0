//! `dry-run`: tells what a rule of the data folder would do about an event.
//!
//! Invariant: nothing is stored and nobody is called; the answer is the one the API gives.

use std::{
    fmt::Write as _,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::Args;
use so_model::{
    Timestamp,
    api::{
        dry_run::{DryRun, DryRunRequest, MadeEvent},
        rule::{RuleFormat, RuleText},
    },
    id::{EventId, RuleId},
};
use so_store::rules;

use super::{
    data::{DataFolder, open_app},
    told,
};
use crate::{app::dry_run, config::Config};

/// Files that are read are pages of text.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What is tried.
#[derive(Debug, Args)]
pub(super) struct Trial {
    /// The saved rule; with --file, the rule that it is a draft of.
    #[arg(long)]
    rule: RuleId,
    /// A version of it; the live one without it.
    #[arg(long, conflicts_with = "file")]
    version: Option<i64>,
    /// A draft (YAML, or JSON by the extension .json).
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A stored event; without it the sample of a trigger.
    #[arg(long)]
    event: Option<EventId>,
    /// Id of the trigger whose sample is taken; the first without it.
    #[arg(long)]
    trigger: Option<String>,
    /// A JSON file with the event's data instead of the stored or sampled one.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// The moment it is decided (RFC 3339); now without it.
    #[arg(long)]
    at: Option<String>,
    /// Goes through the steps even if the rule would not start.
    #[arg(long)]
    anyway: bool,
    /// Prints JSON as the API answers.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: Config, trial: Trial) -> anyhow::Result<()> {
    let _folder = DataFolder::take(&config)?;
    let request = request(&trial)?;
    let app = open_app(config).await?;
    let Some(history) = rules::history(&mut app.reader(), None, trial.rule).await? else {
        bail!("there is no rule {}", trial.rule);
    };
    app.engine.reload_rules().await?;
    let workspace = history.rule.workspace;
    let answer = dry_run::dry_run(&app, workspace, request)
        .await
        .map_err(told)?;
    app.store.close().await?;
    if trial.json {
        let text = serde_json::to_string_pretty(&answer).context("could not write the answer")?;
        return super::print(&(text + "\n"));
    }
    super::print(&shown(&answer))
}

fn request(trial: &Trial) -> anyhow::Result<DryRunRequest> {
    let text = draft_of(trial.file.as_deref())?;
    let data = match &trial.data {
        Some(file) => Some(
            serde_json::from_str(&read(file)?)
                .with_context(|| format!("{} is no JSON", file.display()))?,
        ),
        None => None,
    };
    let at = match &trial.at {
        Some(text) => Some(
            Timestamp::parse(text).context("--at is no moment of the form 2026-11-24T09:00:00Z")?,
        ),
        None => None,
    };
    Ok(DryRunRequest {
        rule: Some(trial.rule),
        version: trial.version,
        document: None,
        text,
        event: trial.event,
        trigger: trial.trigger.clone(),
        edited: data.map(|data| MadeEvent {
            data: Some(data),
            ..MadeEvent::default()
        }),
        at,
        anyway: trial.anyway,
    })
}

/// A draft that was written to a file.
pub(super) fn draft_of(file: Option<&Path>) -> anyhow::Result<Option<RuleText>> {
    let Some(file) = file else { return Ok(None) };
    let is_json = file
        .extension()
        .is_some_and(|extension| extension == "json");
    Ok(Some(RuleText {
        format: match is_json {
            true => RuleFormat::Json,
            false => RuleFormat::Yaml,
        },
        text: read(file)?,
    }))
}

fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    File::open(file)
        .and_then(|opened| opened.take(FILE_BYTES_MAX).read_to_string(&mut text))
        .with_context(|| format!("could not read {}", file.display()))?;
    Ok(text)
}

pub(super) fn shown(answer: &DryRun) -> String {
    let mut text = format!("{}: {}\n", answer.rule_name, answer.text);
    for clause in &answer.clauses {
        super::why::write_clause(&mut text, clause, 1);
    }
    for effect in &answer.effects {
        // A string cannot fail to take more text.
        let _ = writeln!(text, "  {} {:<24} {}", effect.at, effect.path, effect.text);
    }
    if let Some(reason) = answer.reason.as_ref().filter(|_| answer.would_start) {
        let _ = writeln!(text, "  ends: {reason}");
    }
    text
}
