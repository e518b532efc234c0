//! `why`: asks the data folder why a rule did or did not start.
//!
//! Invariant: nothing runs and nothing is changed; the answer is the one the API gives.

use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use clap::Args;
use so_model::{
    Timestamp,
    id::{EventId, PostId, RuleId},
    why::{Clause, Why, WhySpan, WhySpanQuery},
};
use so_store::rules;

use super::{
    data::{DataFolder, open_app},
    told,
};
use crate::{app::why, config::Config};

/// What is asked.
#[derive(Debug, Args)]
pub(super) struct Question {
    /// The rule.
    #[arg(long)]
    rule: RuleId,
    /// Why on this event.
    #[arg(long, conflicts_with_all = ["post", "from", "until"])]
    event: Option<EventId>,
    /// Why on everything that happened to this post.
    #[arg(long, conflicts_with_all = ["from", "until"])]
    post: Option<PostId>,
    /// Why in a span that begins here (RFC 3339); a day before its end without it.
    #[arg(long)]
    from: Option<String>,
    /// End of the span; now without it.
    #[arg(long)]
    until: Option<String>,
    /// Prints JSON as the API answers.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: Config, question: Question) -> anyhow::Result<()> {
    let _folder = DataFolder::take(&config)?;
    let app = open_app(config).await?;
    let rule = question.rule;
    let Some(history) = rules::history(&mut app.reader(), None, rule).await? else {
        bail!("there is no rule {rule}");
    };
    let workspace = history.rule.workspace;
    let text = if let Some(event) = question.event {
        let answer = why::event(&app, workspace, event, rule)
            .await
            .map_err(told)?;
        shown(&answer, question.json, &on_event)?
    } else if let Some(post) = question.post {
        let answer = why::post(&app, workspace, post, rule).await.map_err(told)?;
        shown(&answer, question.json, &|answer| {
            let each: String = answer.events.iter().map(on_event).collect();
            format!("{}\n{each}", answer.text)
        })?
    } else {
        let query = WhySpanQuery {
            from: moment(question.from.as_deref(), "from")?,
            until: moment(question.until.as_deref(), "until")?,
        };
        let answer = why::span(&app, workspace, rule, &query)
            .await
            .map_err(told)?;
        shown(&answer, question.json, &in_span)?
    };
    app.store.close().await?;
    super::print(&text)
}

pub(super) fn moment(text: Option<&str>, name: &str) -> anyhow::Result<Option<Timestamp>> {
    let Some(text) = text else { return Ok(None) };
    Timestamp::parse(text)
        .map(Some)
        .with_context(|| format!("--{name} is no moment of the form 2026-11-24T09:00:00Z"))
}

fn shown<T: serde::Serialize>(
    answer: &T,
    is_json: bool,
    words: &dyn Fn(&T) -> String,
) -> anyhow::Result<String> {
    if is_json {
        let text = serde_json::to_string_pretty(answer).context("could not write the answer")?;
        return Ok(text + "\n");
    }
    Ok(words(answer))
}

fn on_event(why: &Why) -> String {
    let version = why
        .version
        .map_or_else(String::new, |version| format!(", version {version}"));
    let mut text = format!(
        "{} {} at {}\n{}{version}: {}\n",
        why.event_kind, why.event, why.at, why.rule_name, why.text
    );
    for clause in &why.clauses {
        write_clause(&mut text, clause, 1);
    }
    text
}

pub(super) fn write_clause(text: &mut String, clause: &Clause, depth: usize) {
    let mark = match (clause.is_first, clause.held) {
        (true, _) => "->",
        (_, Some(true)) => "ok",
        (_, Some(false)) => "no",
        (_, None) => " ?",
    };
    let error = clause
        .error
        .as_ref()
        .map_or_else(String::new, |error| format!(": {error}"));
    // A string cannot fail to take more text.
    let _ = writeln!(
        text,
        "{}{mark} {:<28} {}{error}",
        "  ".repeat(depth),
        clause.path,
        clause.text
    );
    for part in &clause.parts {
        write_clause(text, part, depth + 1);
    }
}

fn in_span(span: &WhySpan) -> String {
    let mut text = format!(
        "{} from {} until {}: {}\n",
        span.rule_name, span.from, span.until, span.text
    );
    for switch in &span.switches {
        let what = if switch.is_enabled { "on" } else { "off" };
        let _ = writeln!(text, "  switched {what} at {}", switch.at);
    }
    for schedule in &span.schedules {
        let _ = writeln!(text, "  {}: {}", schedule.trigger, schedule.text);
    }
    for line in &span.events {
        let _ = writeln!(
            text,
            "  {} {} {}: {}",
            line.at, line.kind, line.event, line.text
        );
    }
    if span.is_cut {
        text.push_str("  and more\n");
    }
    text
}
