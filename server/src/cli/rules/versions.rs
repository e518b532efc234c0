//! `rules versions`, `draft`, `publish` and `restore`: what is live, what is to be, and why.
//!
//! Invariant: whatever goes live from here is told with what it changes, and carries a reason.

use std::{fmt::Write as _, path::PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde_json::{Value, json};
use so_engine::rule::Format;
use so_model::{
    api::{
        rule::{RuleDetail, RuleVersionList, RuleView},
        version::{RuleDifference, RuleDraftView, RuleShadowView, ShadowDifferenceList},
    },
    difference::RuleChange,
    id::UserId,
};
use so_net::Method;

use super::{
    folder::read_all,
    outcome::{Answer, Trouble},
    remote::{Place, Remote},
};

/// A rule of the server.
#[derive(Debug, Args)]
pub struct Named {
    /// The rule's name or id.
    rule: String,
    #[command(flatten)]
    place: Place,
}

/// What `draft` is asked.
#[derive(Debug, Args)]
pub struct Drafting {
    #[command(flatten)]
    named: Named,
    /// Keeps this file, and the cases beside it, as the rule's draft; without it the draft is told.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Why the rule is to change.
    #[arg(long, value_name = "REASON")]
    because: Option<String>,
    /// The version it was made from, if that is not the live one or the draft's.
    #[arg(long, value_name = "VERSION")]
    base: Option<i64>,
    /// With `--file`: also in the place of a draft that somebody else wrote.
    #[arg(long, requires = "file")]
    force: bool,
    /// Gives the draft up.
    #[arg(long, conflicts_with_all = ["file", "because", "base"])]
    discard: bool,
}

/// What `publish` is asked.
#[derive(Debug, Args)]
pub struct Publishing {
    #[command(flatten)]
    named: Named,
    /// Why the rule changes; that of the draft without it.
    #[arg(long, value_name = "REASON")]
    because: Option<String>,
    /// The reason for which an owner publishes it although cases fail.
    #[arg(long, value_name = "REASON")]
    despite: Option<String>,
}

/// What `restore` is asked.
#[derive(Debug, Args)]
pub struct Restoring {
    #[command(flatten)]
    named: Named,
    /// The version to make live again, as a new version.
    version: i64,
    /// Why.
    #[arg(long, value_name = "REASON")]
    because: String,
    /// The reason for which an owner publishes it although cases fail.
    #[arg(long, value_name = "REASON")]
    despite: Option<String>,
}

pub(super) struct Found {
    pub remote: Remote,
    pub rule: RuleView,
}

impl Found {
    pub async fn of(named: &Named) -> Result<Self, Trouble> {
        let remote = Remote::open(&named.place).await?;
        let rules = remote.list().await?;
        let found = rules
            .into_iter()
            .find(|rule| rule.name == named.rule || rule.id.to_string() == named.rule);
        let rule = found.ok_or_else(|| anyhow!("the server has no rule {}", named.rule))?;
        Ok(Self { remote, rule })
    }

    pub fn path(&self, rest: &str) -> String {
        format!("rules/{}/{rest}", self.rule.id)
    }

    pub async fn draft(&self) -> Result<RuleDraftView, Trouble> {
        self.remote.get(&self.path("draft")).await
    }
}

/// Differences, one a line.
pub(super) fn sentences(changes: &[RuleChange]) -> String {
    changes
        .iter()
        .map(|change| format!("  {}\n", change.sentence))
        .collect()
}

/// `rules versions`.
pub(super) async fn versions(asked: &Named) -> Answer {
    let found = Found::of(asked).await?;
    let list: RuleVersionList = found.remote.get(&found.path("versions")).await?;
    let mut told = String::new();
    for one in &list.items {
        let state = serde_json::to_value(one.state).unwrap_or_default();
        let reason = if one.reason.is_empty() {
            "no reason was given"
        } else {
            &one.reason
        };
        // A string cannot fail to take more text.
        let _ = writeln!(
            told,
            "{} {} at {}: {reason}",
            one.version,
            state.as_str().unwrap_or_default(),
            one.created_at
        );
        if one.version > 1 {
            let path = found.path(&format!(
                "difference?from={}&to={}",
                one.version - 1,
                one.version
            ));
            let difference: RuleDifference = found.remote.get(&path).await?;
            told.push_str(&sentences(&difference.changes));
        }
    }
    super::super::print(&told)?;
    Ok(true)
}

/// `rules draft`.
pub(super) async fn draft(asked: &Drafting) -> Answer {
    let found = Found::of(&asked.named).await?;
    if asked.discard {
        let _: Value = found
            .remote
            .send(Method::DELETE, &found.path("draft"), None)
            .await?;
        super::super::print("the draft is gone\n")?;
        return Ok(true);
    }
    let draft = match &asked.file {
        None => found.draft().await?,
        Some(file) => {
            let read = read_all(std::slice::from_ref(file))?;
            let read = read.into_iter().next();
            let read = read.with_context(|| format!("{} is no rule", file.display()))?;
            let format = match read.format() {
                Format::Json => "json",
                Format::Yaml => "yaml",
            };
            let former: Option<RuleDraftView> = found.remote.find(&found.path("draft")).await?;
            if let Some(former) = &former {
                let me = found.remote.me().await?.user.id;
                may_replace(former.author, me, asked.force)?;
            }
            let mut body = json!({
                "text": {"format": format, "text": read.text}, "cases": read.cases,
                "expected_generation": former.map_or(0, |former| former.generation),
            });
            if let Some(reason) = &asked.because {
                body["reason"] = reason.as_str().into();
            }
            if let Some(base) = asked.base {
                body["base_version"] = base.into();
            }
            let path = found.path("draft");
            found.remote.send(Method::PUT, &path, Some(&body)).await?
        }
    };
    super::super::print(&told(&draft))?;
    Ok(draft.check.is_valid && !draft.is_outdated)
}

/// Whether a draft may be written over.
fn may_replace(author: UserId, me: UserId, is_forced: bool) -> anyhow::Result<()> {
    if author == me || is_forced {
        return Ok(());
    }
    bail!(
        "the rule has a draft that {author} wrote; look at it with `rules draft`, and give --force to write over it"
    )
}

fn told(draft: &RuleDraftView) -> String {
    let mut told = format!(
        "draft on top of version {}; version {} is live\n",
        draft.base_version, draft.live_version
    );
    for error in &draft.check.errors {
        let _ = writeln!(told, "  error: {} {}", error.pointer, error.reason);
    }
    if !draft.missed.is_empty() {
        told.push_str("published since the draft was begun:\n");
        told.push_str(&sentences(&draft.missed));
    }
    if draft.check.is_valid {
        told.push_str("publishing it changes:\n");
        told.push_str(&sentences(&draft.changes));
    }
    told
}

/// `rules publish`.
pub(super) async fn publish(asked: &Publishing) -> Answer {
    let found = Found::of(&asked.named).await?;
    let draft = found.draft().await?;
    let mut body = json!({ "expected_generation": draft.generation });
    if let Some(reason) = &asked.because {
        body["reason"] = reason.as_str().into();
    }
    if let Some(reason) = &asked.despite {
        body["override_reason"] = reason.as_str().into();
    }
    let path = found.path("draft/publish");
    let live: RuleDetail = found.remote.send(Method::POST, &path, Some(&body)).await?;
    let told = format!("version {} is live\n", live.rule.version);
    super::super::print(&(told + sentences(&draft.changes).as_str()))?;
    Ok(true)
}

/// `rules restore`.
pub(super) async fn restore(asked: &Restoring) -> Answer {
    let found = Found::of(&asked.named).await?;
    let (live, version) = (found.rule.version, asked.version);
    let path = found.path(&format!("difference?from={live}&to={version}"));
    let difference: RuleDifference = found.remote.get(&path).await?;
    let mut body = json!({"expected_version": live, "reason": asked.because});
    if let Some(reason) = &asked.despite {
        body["override_reason"] = reason.as_str().into();
    }
    let path = found.path(&format!("versions/{version}/restore"));
    let made: RuleDetail = found.remote.send(Method::POST, &path, Some(&body)).await?;
    let told = format!(
        "version {version} is live again, as version {}\n",
        made.rule.version
    );
    super::super::print(&(told + sentences(&difference.changes).as_str()))?;
    Ok(true)
}

/// What `shadow` is asked.
#[derive(Debug, Args)]
pub struct Shadowing {
    #[command(flatten)]
    named: Named,
    /// Begins to compare the draft with the live version.
    #[arg(long)]
    start: bool,
    /// With `--start`: goes live by itself after so many days without a difference.
    #[arg(long, value_name = "DAYS", requires = "start")]
    promote_after: Option<i64>,
    /// Makes the candidate the live version.
    #[arg(long, conflicts_with_all = ["start", "stop"])]
    promote: bool,
    /// Gives the candidate up.
    #[arg(long, conflicts_with = "start")]
    stop: bool,
    /// `--start` and `--promote`: why the rule changes.
    #[arg(long, value_name = "REASON")]
    because: Option<String>,
    /// `--promote`: the reason for which an owner publishes it although cases fail.
    #[arg(long, value_name = "REASON")]
    despite: Option<String>,
}

/// `rules shadow`: ends with 1 if there are differences.
pub(super) async fn shadow(asked: &Shadowing) -> Answer {
    let found = Found::of(&asked.named).await?;
    let path = found.path("shadow");
    if asked.stop {
        let _: Value = found.remote.send(Method::DELETE, &path, None).await?;
        super::super::print("the candidate is given up; its draft stays\n")?;
        return Ok(true);
    }
    if asked.promote {
        let mut body = json!({});
        if let Some(reason) = &asked.because {
            body["reason"] = reason.as_str().into();
        }
        if let Some(reason) = &asked.despite {
            body["override_reason"] = reason.as_str().into();
        }
        let path = found.path("shadow/promote");
        let live: RuleDetail = found.remote.send(Method::POST, &path, Some(&body)).await?;
        super::super::print(&format!("version {} is live\n", live.rule.version))?;
        return Ok(true);
    }
    let shadow: RuleShadowView = if asked.start {
        let mut body = json!({ "expected_generation": found.draft().await?.generation });
        if let Some(reason) = &asked.because {
            body["reason"] = reason.as_str().into();
        }
        if let Some(days) = asked.promote_after {
            body["promote_after_equal_days"] = days.into();
        }
        found.remote.send(Method::POST, &path, Some(&body)).await?
    } else {
        found.remote.get(&path).await?
    };
    let list: ShadowDifferenceList = found
        .remote
        .get(&found.path("shadow/differences?limit=20"))
        .await?;
    let counts = &shadow.counts;
    let mut told = format!(
        "candidate on top of version {}, compared until {}\n{}",
        shadow.base_version,
        shadow.seen_until,
        sentences(&shadow.changes)
    );
    if let Some(problem) = &shadow.problem {
        let _ = writeln!(told, "not compared any further: {problem}");
    }
    let _ = writeln!(
        told,
        "same {}, only live {}, only the candidate {}, other effects {}, unknown {}",
        counts.same, counts.only_live, counts.only_candidate, counts.differs, counts.unknown
    );
    for one in &list.items {
        let event = one
            .event
            .map_or_else(String::new, |event| format!(" ({event})"));
        let outcome = serde_json::to_value(one.outcome).unwrap_or_default();
        let outcome = outcome.as_str().unwrap_or_default().replace('_', " ");
        let _ = writeln!(
            told,
            "  {} {}{event}: {outcome}: {}",
            one.at, one.what, one.because
        );
    }
    super::super::print(&told)?;
    Ok(counts.listed() == 0 && shadow.problem.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anothers_draft_is_written_over_only_by_force() {
        let (ann, bob) = (UserId::derived(&["ann"]), UserId::derived(&["bob"]));
        assert!(may_replace(ann, ann, false).is_ok());
        assert!(may_replace(ann, bob, true).is_ok());
        let refused = may_replace(ann, bob, false).unwrap_err().to_string();
        assert!(refused.contains("--force"), "{refused}");
    }
}
