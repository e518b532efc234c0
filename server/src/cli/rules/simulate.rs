//! `rules simulate`: recorded events, decided anew by the rules of a folder.
//!
//! With a range, the server plays its history with gates, steps and effects; without one, lines of a file or the newest
//! events are decided here.
//!
//! Invariant: nothing is performed and nothing stored. Decided here, no fact is known: a start does not keep what the facts were, so a
//! clause that asks for one counts as not known, also where the recorded decision knew it.

use std::{io::BufRead as _, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use clap::Args;
use serde::{Deserialize, Serialize};
use so_engine::{
    cases::{self, Ground},
    decide::{CompiledRule, DecisionInput, FactValues, WorkspaceFacts, decide},
    rule,
};
use so_model::{
    Timestamp,
    event::Event,
    run::{Decision, Verdict},
};

mod range;

use super::{
    folder::read_all,
    library,
    offline::document,
    outcome::{Answer, Trouble},
    remote::{Place, Remote},
    report,
};
use crate::app::offline_catalogue;

/// Events of one simulation.
const EVENTS_MAX: usize = 100_000;

/// What `simulate` is asked.
#[derive(Debug, Args)]
pub struct Simulated {
    /// Rules, or folders of them.
    #[arg(default_value = ".")]
    paths: Vec<PathBuf>,
    /// Recorded events, one JSON object a line; without it they come from the server.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// The newest so many events of the server.
    #[arg(long, default_value_t = 200)]
    last: usize,
    /// Plays the server's history from this moment on, `2026-06-01T00:00:00Z`: gates, steps and effects too, held
    /// against what happened.
    #[arg(long, value_name = "MOMENT", value_parser = moment, conflicts_with_all = ["history", "last"])]
    from: Option<Timestamp>,
    /// The end of the range; now without it.
    #[arg(long, value_name = "MOMENT", value_parser = moment, requires = "from")]
    to: Option<Timestamp>,
    /// Only events of this kind; may be given several times.
    #[arg(long, value_name = "KIND", requires = "from")]
    kind: Vec<String>,
    /// Name or id of a saved rule, as if it were off.
    #[arg(long, value_name = "RULE", requires = "from")]
    without: Vec<String>,
    /// Zone of the workspace.
    #[arg(long, default_value = "UTC")]
    zone: String,
    #[command(flatten)]
    place: Place,
    /// Tells as JSON.
    #[arg(long)]
    json: bool,
}

fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "not a moment of the form 2026-06-01T00:00:00Z".to_owned())
}

/// An event with what it led to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Recorded {
    #[serde(flatten)]
    event: Event,
    /// Names of the rules that it started.
    #[serde(default)]
    started: Vec<String>,
    /// Name of the rule that it is about, of a button or a schedule.
    #[serde(default)]
    about: Option<String>,
}

/// A decision that would come out otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Otherwise {
    event: String,
    kind: String,
    at: String,
    rule: String,
    did_start: bool,
    would_start: bool,
    reason: String,
}

/// `rules simulate`.
pub(super) async fn simulate(asked: &Simulated) -> Answer {
    if let Some(from) = asked.from {
        return range::play(asked, from).await;
    }
    let history = history(asked).await?;
    let (plugins, scripts) = offline_catalogue();
    let scripts = library::sound(&scripts, &asked.paths)?;
    let ground = Ground {
        catalogue: plugins.catalogue(),
        plugins: Some(&plugins),
        scripts: &scripts,
    };
    let mut rules: Vec<(bool, Arc<CompiledRule>)> = Vec::new();
    for file in read_all(&asked.paths)?
        .iter()
        .filter(|file| !file.is_blueprint)
    {
        let compiled = document(file).and_then(|document| {
            let checked = rule::validate(&document.value, ground.catalogue, ground.scripts)?;
            let is_enabled = checked.document.enabled;
            Ok((
                is_enabled,
                cases::compile(Arc::new(checked.document), ground)?,
            ))
        });
        match compiled {
            Ok(rule) => rules.push(rule),
            Err(errors) => {
                let told = report(&file.path, "error", &errors);
                return Err(Trouble::Usage(anyhow::anyhow!("{}", told.trim_end())));
            }
        }
    }
    let zone = asked
        .zone
        .parse()
        .map_err(|_| anyhow::anyhow!("there is no time zone {}", asked.zone))?;
    let mut otherwise = Vec::new();
    for recorded in &history {
        for (_, rule) in rules.iter().filter(|(is_enabled, _)| *is_enabled) {
            otherwise.extend(differs(recorded, rule, zone));
        }
        let missing = recorded.started.iter().filter(|name| {
            !rules
                .iter()
                .any(|(is_enabled, rule)| *is_enabled && rule.document.name == **name)
        });
        otherwise.extend(missing.map(|name| {
            told(
                recorded,
                name,
                true,
                false,
                "the folder has no such rule that is on".into(),
            )
        }));
    }
    tell(&history, &otherwise, asked.json)?;
    Ok(otherwise.is_empty())
}

fn differs(recorded: &Recorded, rule: &CompiledRule, zone: chrono_tz::Tz) -> Option<Otherwise> {
    let decision = decided(recorded, rule, zone)?;
    let would = decision.verdict == Verdict::Started;
    let did = recorded.started.contains(&rule.document.name);
    (would != did).then(|| told(recorded, &rule.document.name, did, would, decision.reason))
}

/// None when the rule does not listen to the event.
fn decided(recorded: &Recorded, rule: &CompiledRule, zone: chrono_tz::Tz) -> Option<Decision> {
    let name = &rule.document.name;
    let is_own = match &recorded.about {
        Some(about) => about == name,
        None => recorded.started.contains(name),
    };
    let mut event = recorded.event.clone();
    // A button and a schedule name their rule, which has another id here.
    if is_own && event.data.get("rule").is_some() {
        event.data["rule"] = cases::RULE_OF_CASES.into();
    }
    let event = &event;
    let trigger = rule
        .triggers
        .iter()
        .position(|trigger| trigger.matches(event).is_ok());
    // A rule that did start is told about also when it does not listen any more.
    let trigger = match trigger {
        Some(trigger) => trigger,
        None if recorded.started.contains(&rule.document.name) => 0,
        None => return None,
    };
    let workspace = WorkspaceFacts {
        id: event.workspace,
        name: String::new(),
        time_zone: zone,
    };
    // Facts are not kept with an event, and those of today are not those of then.
    let none = FactValues::default();
    let input = DecisionInput::new(event, &workspace, event.time, &none);
    Some(decide(rule, trigger, &input))
}

fn told(recorded: &Recorded, rule: &str, did: bool, would: bool, reason: String) -> Otherwise {
    let event = &recorded.event;
    Otherwise {
        event: event.id.to_string(),
        kind: event.kind.clone(),
        at: event.time.to_string(),
        rule: rule.to_owned(),
        did_start: did,
        would_start: would,
        reason,
    }
}

fn tell(history: &[Recorded], otherwise: &[Otherwise], is_json: bool) -> anyhow::Result<()> {
    if is_json {
        let answer = serde_json::json!({"events": history.len(), "otherwise": otherwise});
        return super::super::print(&format!("{answer:#}\n"));
    }
    let mut text = String::new();
    for one in otherwise {
        let how = match one.would_start {
            true => "would start, and did not",
            false => "would not start, and did",
        };
        text.push_str(&format!(
            "{} {} {}: {} {how}: {}\n",
            one.at, one.kind, one.event, one.rule, one.reason
        ));
    }
    text.push_str(&format!(
        "{} events, {} decisions otherwise\n",
        history.len(),
        otherwise.len()
    ));
    super::super::print(&text)
}

async fn history(asked: &Simulated) -> Result<Vec<Recorded>, Trouble> {
    let Some(path) = &asked.history else {
        let remote = Remote::open(&asked.place).await?;
        let found = remote.events(asked.last.min(EVENTS_MAX)).await?;
        let rules = remote.list().await?;
        let name_of = |event: &Event| {
            let id = event.data["rule"].as_str()?;
            let rule = rules.iter().find(|rule| rule.id.to_string() == id)?;
            Some(rule.name.clone())
        };
        let recorded = found.into_iter().map(|detail| Recorded {
            about: name_of(&detail.event),
            event: detail.event,
            started: detail
                .runs
                .into_iter()
                .filter_map(|run| run.rule_name)
                .collect(),
        });
        return Ok(recorded.rev().collect());
    };
    let file =
        std::fs::File::open(path).with_context(|| format!("could not read {}", path.display()))?;
    let mut history = Vec::new();
    for (number, line) in std::io::BufReader::new(file)
        .lines()
        .take(EVENTS_MAX)
        .enumerate()
    {
        let line = line.with_context(|| format!("could not read {}", path.display()))?;
        if !line.trim().is_empty() {
            let place = || format!("{}:{}: is no event", path.display(), number + 1);
            history.push(serde_json::from_str(&line).with_context(place)?);
        }
    }
    Ok(history)
}
