//! What a rule would do, as a typed list: dry runs, simulations and cases of tests all speak of it.
//!
//! Owns the sentences. Must not know an action. Invariant: an effect is told by its data alone, so that two lists can
//! be compared without their words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    id::{AccountId, PostId, RuleId},
    run::ConditionTrace,
    time::Timestamp,
};

/// One thing that a rule would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Effect {
    /// Place of the step in the document: `/steps/0`.
    pub path: String,
    /// The step's stable id.
    pub step: String,
    /// When, waits of the rule included.
    pub at: Timestamp,
    /// One sentence.
    pub text: String,
    /// What.
    #[serde(flatten)]
    pub what: EffectKind,
}

impl Effect {
    /// An effect with its sentence.
    pub fn new(path: &str, step: &str, at: Timestamp, what: EffectKind) -> Self {
        Self {
            path: path.into(),
            step: step.into(),
            at,
            text: what.sentence(),
            what,
        }
    }
}

/// An account that a post goes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// The account.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// Its network.
    pub network: String,
    /// Posts it becomes there: itself, its thread, its first comment.
    pub parts: u64,
    /// What the network would refuse; empty if it takes it.
    pub problems: Vec<String>,
    /// What it uses of the network's budgets.
    pub budgets: Vec<BudgetUse>,
}

/// A part of a network's budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetUse {
    /// What is counted: `posts`, `requests`.
    pub unit: String,
    /// Used by this.
    pub uses: u64,
    /// At most so many.
    pub max: u64,
    /// In so many seconds.
    pub per_s: u64,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum EffectKind {
    /// A post is made.
    PostCreated {
        /// The post; its id is of this dry run alone.
        post: PostId,
        /// Its state.
        state: String,
        /// Where it goes.
        targets: Vec<Target>,
    },
    /// What a post says is changed.
    PostEdited {
        /// The post.
        post: PostId,
        /// Where it goes.
        targets: Vec<Target>,
    },
    /// A post gets its moment.
    PostScheduled {
        /// The post.
        post: PostId,
        /// The moment.
        due_at: Timestamp,
        /// The same on the clocks of the zone: `2026-11-24 09:00`.
        local: String,
        /// The zone.
        zone: String,
        /// The queue whose slot it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        queue: Option<String>,
        /// It waits for an approval first.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        needs_approval: bool,
        /// Where it goes.
        targets: Vec<Target>,
    },
    /// A post is published.
    PostPublished {
        /// The post.
        post: PostId,
        /// Where it goes.
        targets: Vec<Target>,
    },
    /// A post is noted as missed.
    PostMissed {
        /// The post.
        post: PostId,
    },
    /// A published post is taken down at its networks.
    PostTakenDown {
        /// The post.
        post: PostId,
        /// From where.
        accounts: Vec<String>,
    },
    /// A label is put on a post.
    LabelAdded {
        /// The post.
        post: PostId,
        /// The label's name.
        label: String,
        /// Whether that changes anything.
        changed: bool,
    },
    /// A label is taken off a post.
    LabelRemoved {
        /// The post.
        post: PostId,
        /// The label's name.
        label: String,
        /// Whether that changes anything.
        changed: bool,
    },
    /// The people of the workspace are told.
    Notified {
        /// Headline.
        title: String,
        /// `info`, `warning` or `error`.
        level: String,
    },
    /// A mail is sent.
    Mailed {
        /// To so many addresses.
        recipients: u64,
        /// Subject.
        subject: String,
        /// Why it could not be sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
    },
    /// An address is called.
    Called {
        /// Method.
        method: String,
        /// Scheme and host; the rest may let others send.
        place: String,
        /// The call is signed.
        is_signed: bool,
        /// Why it could not be made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
    },
    /// Another rule is called.
    RuleCalled {
        /// The rule.
        rule: RuleId,
        /// With this input.
        input: Value,
    },
    /// A script is run.
    ScriptRan {
        /// What it yields, shortened.
        output: Value,
    },
    /// Any other action.
    Acted {
        /// Its kind.
        action: String,
        /// It would call the outside.
        is_remote: bool,
        /// What later steps see.
        output: Value,
    },
    /// Variables are set.
    VariablesSet {
        /// Their names.
        names: Vec<String>,
    },
    /// A branch is taken.
    BranchTaken {
        /// Which: `then`, `else`, `choose/0/then`, `otherwise`.
        branch: String,
        /// How its conditions came out.
        conditions: Vec<ConditionTrace>,
    },
    /// A list is gone through.
    Looped {
        /// Elements.
        items: u64,
    },
    /// The run waits for a moment.
    Waited {
        /// Until then.
        until: Timestamp,
        /// In words: `10m`.
        span: String,
    },
    /// The run waits for an event; that it does not come is assumed.
    WaitedFor {
        /// Its kind.
        event: String,
        /// At the longest.
        timeout: String,
    },
    /// An event follows.
    Followed {
        /// Its kind.
        event: String,
        /// What it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
        /// Names of the rules that listen to it; their conditions are not looked at.
        listeners: Vec<String>,
    },
    /// The run is ended by a step.
    Stopped {
        /// Why.
        reason: String,
        /// As failed.
        is_error: bool,
    },
    /// A step fails.
    Failed {
        /// Stable code.
        code: String,
        /// Why.
        reason: String,
        /// The rule goes on with the step's own steps for errors.
        is_handled: bool,
    },
}

impl EffectKind {
    /// One sentence about it.
    pub fn sentence(&self) -> String {
        match self {
            Self::PostCreated { state, targets, .. } => {
                format!(
                    "makes a post ({state}) for {}{}",
                    who(targets),
                    beside(targets)
                )
            }
            Self::PostEdited { targets, .. } => {
                format!("changes a post for {}{}", who(targets), beside(targets))
            }
            Self::PostScheduled {
                local,
                zone,
                queue,
                needs_approval,
                targets,
                ..
            } => {
                let queue = queue.as_ref().map_or_else(String::new, |queue| {
                    format!(", in a slot of the queue {queue}")
                });
                let approval = if *needs_approval {
                    ", if it is approved by then"
                } else {
                    ""
                };
                format!(
                    "schedules a post to {} at {local} {zone}{queue}{approval}{}",
                    who(targets),
                    beside(targets)
                )
            }
            Self::PostPublished { targets, .. } => {
                format!("publishes to {}{}", who(targets), beside(targets))
            }
            Self::PostMissed { .. } => "notes that a post was missed".into(),
            Self::PostTakenDown { accounts, .. } => match accounts.as_slice() {
                [] => "takes a post down, which is live nowhere".into(),
                some => format!("takes a post down at {} (not made)", some.join(", ")),
            },
            Self::LabelAdded { label, changed, .. } => match changed {
                true => format!("adds label {label}"),
                false => format!("adds label {label}, which is there already"),
            },
            Self::LabelRemoved { label, changed, .. } => match changed {
                true => format!("removes label {label}"),
                false => format!("removes label {label}, which is not there"),
            },
            Self::Notified { title, level } => format!("notifies the workspace ({level}): {title}"),
            Self::Mailed {
                recipients,
                subject,
                problem,
            } => format!(
                "sends a mail to {} (not made): {subject}{}",
                plural(*recipients, "address", "addresses"),
                trouble(problem.as_ref())
            ),
            Self::Called {
                method,
                place,
                is_signed,
                problem,
            } => {
                let signed = if *is_signed { ", signed" } else { "" };
                format!(
                    "calls {method} {place}{signed} (not made){}",
                    trouble(problem.as_ref())
                )
            }
            Self::RuleCalled { rule, .. } => format!("calls the rule {rule}"),
            Self::ScriptRan { .. } => "runs a script".into(),
            Self::Acted {
                action, is_remote, ..
            } => match is_remote {
                true => format!("does {action} (not made)"),
                false => format!("does {action}"),
            },
            Self::VariablesSet { names } => format!("sets {}", names.join(", ")),
            Self::BranchTaken { branch, conditions } => {
                let why = conditions
                    .last()
                    .map_or_else(String::new, |trace| format!(": {}", trace.text));
                format!("takes {branch}{why}")
            }
            Self::Looped { items } => {
                format!("goes through {}", plural(*items, "element", "elements"))
            }
            Self::Waited { until, span } if span.is_empty() => format!("waits until {until}"),
            Self::Waited { span, .. } => format!("waits {span}"),
            Self::WaitedFor { event, timeout } => {
                format!(
                    "waits for {event}, {timeout} at the longest; that it does not come is assumed"
                )
            }
            Self::Followed {
                event, listeners, ..
            } => match listeners.as_slice() {
                [] => format!("{event} follows, to which no rule listens"),
                some => format!("{event} follows, to which {} listen", some.join(", ")),
            },
            Self::Stopped { reason, is_error } => {
                let how = if *is_error { "as failed" } else { "here" };
                format!("ends {how}: {reason}")
            }
            Self::Failed {
                reason, is_handled, ..
            } => {
                let then = if *is_handled {
                    "; the rule handles it"
                } else {
                    ""
                };
                format!("fails: {reason}{then}")
            }
        }
    }
}

fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn trouble(problem: Option<&String>) -> String {
    problem.map_or_else(String::new, |problem| format!("; it would fail: {problem}"))
}

fn who(targets: &[Target]) -> String {
    match targets {
        [] => "no account".to_owned(),
        [one] => format!("{} ({})", one.name, one.network),
        some => format!("{} accounts", some.len()),
    }
}

/// Budgets and problems, to follow a sentence.
fn beside(targets: &[Target]) -> String {
    let mut text = String::new();
    // Of each network the tightest budget, once.
    let mut told: Vec<String> = Vec::new();
    for target in targets {
        for budget in &target.budgets {
            let uses: u64 = targets
                .iter()
                .filter(|other| other.network == target.network)
                .flat_map(|other| &other.budgets)
                .filter(|other| other.unit == budget.unit && other.per_s == budget.per_s)
                .map(|other| other.uses)
                .sum();
            let line = format!(
                "uses {uses} of {} {} ({})",
                budget.max, budget.unit, target.network
            );
            if !told.contains(&line) {
                told.push(line);
            }
        }
    }
    for line in told {
        text.push_str("; ");
        text.push_str(&line);
    }
    for target in targets {
        for problem in &target.problems {
            text.push_str(&format!("; refused by {problem}"));
        }
    }
    text
}

/// How a dry run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RehearsalEnd {
    /// The rule would not start.
    NotStarted,
    /// It would come to its end.
    Finished,
    /// It would end by an error.
    Failed,
    /// It has more steps than a dry run takes.
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;

    fn target(network: &str, problems: &[&str]) -> Target {
        Target {
            account: Id::derived(&[network]),
            name: "Ann".into(),
            network: network.into(),
            parts: 1,
            problems: problems.iter().map(ToString::to_string).collect(),
            budgets: vec![BudgetUse {
                unit: "posts".into(),
                uses: 1,
                max: 300,
                per_s: 10_800,
            }],
        }
    }

    #[test]
    fn a_publication_is_told_with_its_accounts_budgets_and_problems() {
        let what = EffectKind::PostScheduled {
            post: Id::derived(&["p"]),
            due_at: Timestamp::default(),
            local: "2026-11-24 09:00".into(),
            zone: "Europe/Berlin".into(),
            queue: None,
            needs_approval: false,
            targets: vec![
                target("mastodon", &[]),
                target("mastodon", &["Ann (mastodon): text is too long"]),
            ],
        };
        assert_eq!(
            what.sentence(),
            "schedules a post to 2 accounts at 2026-11-24 09:00 Europe/Berlin; uses 2 of 300 posts (mastodon); refused \
             by Ann (mastodon): text is too long"
        );
    }

    #[test]
    fn effects_are_told_apart_by_one_word() {
        let effect = Effect::new(
            "/steps/0",
            "wait",
            Timestamp::default(),
            EffectKind::Waited {
                until: Timestamp::default(),
                span: "10m".into(),
            },
        );
        let value = serde_json::to_value(&effect).unwrap_or_default();
        assert_eq!(
            (&value["effect"], &value["text"]),
            (&"waited".into(), &"waits 10m".into())
        );
    }
}
