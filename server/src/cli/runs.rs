//! `runs`: re-drive, re-run, what-if and compare, over the data folder of a stopped server.
//!
//! Invariant: what is begun here is stored, and worked on by the server when it starts again.

use std::{fmt::Write as _, path::PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use so_model::{
    api::{
        again::{BulkAction, BulkFilter, BulkReport, BulkRuns, Redrive, RunComparison, WhatIf},
        dry_run::DryRun,
    },
    id::{RuleId, RunId, UserId, WorkspaceId},
    run::RunState,
    way::RunWays,
    workspace::Role,
};
use so_store::{rules, runs as store};

use super::{
    data::{DataFolder, open_app},
    dry_run::{draft_of, shown as plan},
    told,
    why::moment,
};
use crate::{
    app::{App, members::Actor, runs},
    config::Config,
};

/// What is done.
#[derive(Debug, Subcommand)]
pub(super) enum RunsCommand {
    /// Goes on with runs that failed, from the failed step: same event, same version, same run.
    Redrive {
        #[command(flatten)]
        which: Which,
        /// Also makes calls again of which nobody knows whether they took effect.
        #[arg(long)]
        even_if_unknown: bool,
    },
    /// Begins runs anew: same event, the live version, new runs.
    Rerun {
        #[command(flatten)]
        which: Which,
    },
    /// Tells what another version would do about the events of runs; does nothing.
    WhatIf {
        #[command(flatten)]
        which: Which,
        /// A version of the rule; the live one without it.
        #[arg(long)]
        version: Option<i64>,
        /// A draft; only for one run.
        #[arg(
            long,
            value_name = "FILE",
            conflicts_with = "version",
            requires = "run"
        )]
        file: Option<PathBuf>,
    },
    /// Tells which ways old runs of a rule went, and how many ordinary ones were let go.
    Ways {
        /// The rule.
        rule: RuleId,
        /// Prints JSON as the API answers.
        #[arg(long)]
        json: bool,
    },
    /// Lays two runs beside each other and tells where they part.
    Compare {
        /// The one.
        left: RunId,
        /// The other.
        right: RunId,
        /// Prints JSON as the API answers.
        #[arg(long)]
        json: bool,
    },
}

/// One run, or those of a rule that match.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// This run.
    #[arg(long, conflicts_with_all = ["rule", "state", "from", "until", "reason", "after"])]
    run: Option<RunId>,
    /// Runs of this rule.
    #[arg(long, required_unless_present = "run")]
    rule: Option<RuleId>,
    /// In this state; failed without it.
    #[arg(long)]
    state: Option<String>,
    /// Made then or later (RFC 3339).
    #[arg(long)]
    from: Option<String>,
    /// Made then or before (RFC 3339).
    #[arg(long)]
    until: Option<String>,
    /// Whose reason contains this.
    #[arg(long)]
    reason: Option<String>,
    /// Made after this run: where an earlier answer was cut.
    #[arg(long)]
    after: Option<RunId>,
    /// Most runs, 1 to 100; of what-ifs 1 to 10.
    #[arg(long)]
    limit: Option<u32>,
    /// Only tells which runs it would be.
    #[arg(long)]
    preview: bool,
    /// Prints JSON as the API answers.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: Config, command: RunsCommand) -> anyhow::Result<()> {
    let _folder = DataFolder::take(&config)?;
    let app = open_app(config).await?;
    app.engine.reload_rules().await?;
    let text = match command {
        RunsCommand::Compare { left, right, json } => {
            let workspace = workspace_of(&app, left).await?;
            let found = runs::compare(&app, workspace, left, right)
                .await
                .map_err(told)?;
            written(&found, json, beside)?
        }
        RunsCommand::Ways { rule, json } => {
            let Some(history) = rules::history(&mut app.reader(), None, rule).await? else {
                bail!("there is no rule {rule}");
            };
            let found = crate::app::rules::ways(&app, history.rule.workspace, rule)
                .await
                .map_err(told)?;
            written(&found, json, ways)?
        }
        RunsCommand::Redrive {
            which,
            even_if_unknown,
        } => match which.run {
            Some(id) => {
                let actor = actor(workspace_of(&app, id).await?);
                let how = Redrive { even_if_unknown };
                let view = runs::redrive(&app, actor, id, &how).await.map_err(told)?;
                written(&view, which.json, |_| {
                    format!("{id} goes on from its failed step\n")
                })?
            }
            None => bulk(&app, which, BulkAction::Redrive, None, even_if_unknown).await?,
        },
        RunsCommand::Rerun { which } => match which.run {
            Some(id) => {
                let actor = actor(workspace_of(&app, id).await?);
                let view = runs::rerun(&app, actor, id).await.map_err(told)?;
                written(&view, which.json, |view| {
                    format!("{id} began anew as {}\n", view.run.id)
                })?
            }
            None => bulk(&app, which, BulkAction::Rerun, None, false).await?,
        },
        RunsCommand::WhatIf {
            which,
            version,
            file,
        } => match which.run {
            Some(id) => {
                let how = WhatIf {
                    version,
                    document: None,
                    text: draft_of(file.as_deref())?,
                };
                let workspace = workspace_of(&app, id).await?;
                let answer: DryRun = runs::what_if(&app, workspace, id, how)
                    .await
                    .map_err(told)?;
                written(&answer, which.json, plan)?
            }
            None => bulk(&app, which, BulkAction::WhatIf, version, false).await?,
        },
    };
    app.store.close().await?;
    super::print(&text)
}

async fn workspace_of(app: &App, run: RunId) -> anyhow::Result<WorkspaceId> {
    store::workspace_of(&mut app.reader(), run)
        .await?
        .with_context(|| format!("there is no run {run}"))
}

// Whoever has the data folder may do everything.
fn actor(workspace: WorkspaceId) -> Actor {
    Actor {
        workspace,
        user: UserId::derived(&["command line"]),
        role: Role::Owner,
    }
}

async fn bulk(
    app: &App,
    which: Which,
    action: BulkAction,
    version: Option<i64>,
    even_if_unknown: bool,
) -> anyhow::Result<String> {
    let Some(rule) = which.rule else {
        bail!("--run or --rule is missing");
    };
    let Some(history) = rules::history(&mut app.reader(), None, rule).await? else {
        bail!("there is no rule {rule}");
    };
    let state = match &which.state {
        Some(text) => Some(
            RunState::parse(text).with_context(|| format!("--state {text} is no state of runs"))?,
        ),
        None => None,
    };
    let request = BulkRuns {
        action,
        filter: BulkFilter {
            rule: Some(rule),
            state,
            from: moment(which.from.as_deref(), "from")?,
            until: moment(which.until.as_deref(), "until")?,
            reason: which.reason,
            after: which.after,
        },
        version,
        even_if_unknown,
        preview: which.preview,
        limit: which.limit,
    };
    let report = runs::bulk(app, actor(history.rule.workspace), &request)
        .await
        .map_err(told)?;
    written(&report, which.json, lines)
}

fn written<T: serde::Serialize>(
    answer: &T,
    is_json: bool,
    words: impl FnOnce(&T) -> String,
) -> anyhow::Result<String> {
    if is_json {
        let text = serde_json::to_string_pretty(answer).context("could not write the answer")?;
        return Ok(text + "\n");
    }
    Ok(words(answer))
}

fn lines(report: &BulkReport) -> String {
    let mut text = String::new();
    for item in &report.items {
        let mark = if item.done { "ok" } else { "--" };
        let now = item
            .now
            .map_or_else(String::new, |now| format!(" -> {now}"));
        // A string cannot fail to take more text.
        let _ = writeln!(text, "{mark} {}{now}: {}", item.run, item.text);
    }
    let more = report.after.map_or_else(String::new, |last| {
        format!("; there may be more, go on with --after {last}")
    });
    let _ = writeln!(text, "{} runs{more}", report.items.len());
    text
}

fn beside(found: &RunComparison) -> String {
    let mut text = format!("{}\n", found.text);
    for step in &found.steps {
        let told = |outcome: Option<so_model::run::StepOutcome>| {
            outcome.map_or("not reached", |outcome| outcome.as_str())
        };
        let mark = if step.is_same { "==" } else { "!=" };
        let _ = writeln!(
            text,
            "  {mark} {:<24} {:<12} {}",
            step.path,
            told(step.left),
            told(step.right)
        );
    }
    if let Some(first) = &found.first_difference {
        let _ = writeln!(text, "  left:  {}\n  right: {}", first.left, first.right);
    }
    text
}

fn ways(found: &RunWays) -> String {
    let mut text = match (found.dull_days, found.thinned_until) {
        (None, _) => "ordinary runs are kept as long as all others\n".to_owned(),
        (Some(days), None) => format!("ordinary runs are let go after {days} days; none was yet\n"),
        (Some(days), Some(until)) => format!(
            "ordinary runs are let go after {days} days; those that finished before {until} were looked at\n"
        ),
    };
    for way in &found.items {
        let _ = writeln!(
            text,
            "\nversion {}, trigger {}: {}\n  first {}, last {}",
            way.version, way.trigger, way.text, way.first_at, way.last_at
        );
        for step in way.steps.iter().flatten() {
            let outcomes: Vec<&str> = step
                .outcomes
                .iter()
                .map(|outcome| outcome.as_str())
                .collect();
            let marks = step.marks.join(", ");
            let _ = writeln!(
                text,
                "  {:<24} {:<12} {} {marks}",
                step.path,
                step.step,
                outcomes.join(", ")
            );
        }
        for run in &way.kept {
            let _ = writeln!(text, "  kept: {run}");
        }
    }
    if found.is_cut {
        text.push_str("\nthere are more\n");
    }
    text
}
