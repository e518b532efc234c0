//! `rules run`: presses a rule's button on the server.
//!
//! Invariant: tells what was started, or why nothing was.

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde_json::{Value, json};
use so_model::api::rule::Pressed;
use so_net::Method;

use super::{
    outcome::Answer,
    remote::{Place, Remote},
};

/// What `run` is asked.
#[derive(Debug, Args)]
pub struct Pressing {
    /// The rule's name or id.
    rule: String,
    /// What the rule reads as event.data.input, as JSON.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    input: String,
    #[command(flatten)]
    place: Place,
}

/// `rules run`.
pub(super) async fn press(asked: &Pressing) -> Answer {
    let input: Value = serde_json::from_str(&asked.input).context("--input is no JSON")?;
    let remote = Remote::open(&asked.place).await?;
    let rules = remote.list().await?;
    let named = rules
        .iter()
        .find(|rule| rule.name == asked.rule || rule.id.to_string() == asked.rule);
    let rule = named.ok_or_else(|| anyhow!("the server has no rule {}", asked.rule))?;
    let path = format!("rules/{}/run", rule.id);
    let body = json!({ "input": input });
    let pressed: Pressed = remote.send(Method::POST, &path, Some(&body)).await?;
    let mut told = String::new();
    for run in &pressed.runs {
        told.push_str(&format!("started {run}\n"));
    }
    for decision in &pressed.decisions {
        told.push_str(&format!("not started: {}\n", decision.decision.reason));
    }
    super::super::print(&told)?;
    Ok(!pressed.runs.is_empty())
}
