//! The calendar as it would come: what goes out when, what stands in its way, and what nobody can know.
//!
//! Owns the shape of the answer and its sentences. Invariant: what depends on somebody outside is named among the
//! unknowns; an entry is certain only if none of them stands between now and it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    account::AccountState,
    id::{AccountId, PostId, QueueId, RuleId},
    run::Verdict,
    time::Timestamp,
};

/// How sure it is that an entry comes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ForecastSureness")]
pub enum Sureness {
    /// If nobody changes anything, and the network takes it.
    Certain,
    /// If somebody approves the post before.
    IfApproved,
    /// It hangs on something that is not known; the reasons say on what.
    Unknown,
}

/// What makes an entry come at its moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "how", rename_all = "snake_case")]
#[schemars(rename = "ForecastHow")]
pub enum How {
    /// Somebody gave the post its moment.
    Scheduled,
    /// The post holds a slot of a queue.
    QueueSlot {
        /// The queue.
        queue: QueueId,
    },
    /// A post that repeats by a calendar.
    Recurrence {
        /// The post that is repeated.
        of: PostId,
    },
    /// A post that repeats after an interval.
    Evergreen {
        /// The first of its appearances.
        of: PostId,
        /// Which appearance this is, from 1.
        appearance: u32,
        /// The queue whose slot it holds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        queue: Option<QueueId>,
    },
    /// A rule made the post, or published it by itself.
    Rule {
        /// The rule.
        rule: RuleId,
    },
}

/// One post that goes out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ForecastEntry")]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// The same on the clocks of the workspace: `2026-11-24 09:00`.
    pub local: String,
    /// The post; none if it is yet to be made.
    pub post: Option<PostId>,
    /// The beginning of what it says.
    pub text: String,
    /// The accounts it goes out at.
    pub accounts: Vec<AccountId>,
    /// Accounts where it waits, because they cannot be used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<AccountId>,
    /// What makes it come.
    #[serde(flatten)]
    pub how: How,
    /// The rule whose step publishes it; none if that is yet to be approved.
    pub rule: Option<RuleId>,
    /// How sure it is.
    pub state: Sureness,
    /// What it hangs on, unless it is certain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// A token of one of its accounts has ended by then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_risk: bool,
}

/// What somebody should look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ForecastWarning")]
pub struct Warning {
    /// Since when, or when for the first time.
    pub at: Timestamp,
    /// One sentence.
    pub text: String,
    /// What.
    #[serde(flatten)]
    pub what: WarningKind,
}

impl Warning {
    /// A warning with its sentence.
    pub fn new(at: Timestamp, what: WarningKind) -> Self {
        let text = what.sentence(at);
        Self { at, text, what }
    }
}

/// What stands in the way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "warning", rename_all = "snake_case")]
#[schemars(rename = "ForecastWarningKind")]
pub enum WarningKind {
    /// A token ends, and the network gives no new one without its person.
    TokenEnds {
        /// The account.
        account: AccountId,
        /// Its name.
        name: String,
        /// Entries at the account from then on.
        entries: u64,
    },
    /// Posts wait for an account that cannot be used.
    AccountHolds {
        /// The account.
        account: AccountId,
        /// Its name.
        name: String,
        /// Its state.
        state: AccountState,
        /// Entries that wait for it.
        entries: u64,
    },
    /// After this no slot of a queue is taken.
    QueueRunsEmpty {
        /// The queue.
        queue: QueueId,
        /// Its name.
        name: String,
        /// Its slots from then on to the end of the span.
        slots: u64,
    },
    /// A slot between taken ones stays empty.
    SlotEmpty {
        /// The queue.
        queue: QueueId,
        /// Its name.
        name: String,
    },
    /// A queue is paused: its slots pass, and its posts wait.
    QueuePaused {
        /// The queue.
        queue: QueueId,
        /// Its name.
        name: String,
        /// Posts that wait in it.
        posts: u64,
    },
    /// A rule is kept from starting by a bound of its own.
    CapReached {
        /// The rule.
        rule: RuleId,
        /// Its name.
        name: String,
        /// Which bound: `throttled`, `over_budget`, `mode_refused`, `loop_guard`.
        limit: Verdict,
        /// How often.
        times: u64,
        /// The first time, in words.
        reason: String,
    },
    /// A rule moves a post that had its moment.
    Moved {
        /// The post; none if it is yet to be made.
        post: Option<PostId>,
        /// Where it was to go out.
        from: Timestamp,
        /// Where it goes out.
        to: Timestamp,
        /// The rule, if it was one.
        rule: Option<RuleId>,
        /// Its name.
        name: String,
    },
    /// A post's moment comes and nothing publishes it.
    HeldBack {
        /// The post; none if it is yet to be made.
        post: Option<PostId>,
        /// Why, if a rule refused.
        reason: String,
    },
    /// A network refuses a post as it is.
    Refused {
        /// The post; none if it is yet to be made.
        post: Option<PostId>,
        /// Why.
        reason: String,
    },
    /// A post is marked as missed.
    Missed {
        /// The post; none if it is yet to be made.
        post: Option<PostId>,
    },
    /// A run of a rule fails.
    RuleFails {
        /// The rule.
        rule: RuleId,
        /// Its name.
        name: String,
        /// How often.
        times: u64,
        /// The first time, in words.
        reason: String,
    },
    /// No rule publishes what is due.
    NothingPublishes,
}

impl WarningKind {
    fn sentence(&self, at: Timestamp) -> String {
        let times = |times: u64| match times {
            1 => "once".to_owned(),
            more => format!("{more} times"),
        };
        match self {
            Self::TokenEnds { name, entries, .. } => {
                format!("the token of {name} ends at {at}; {entries} entries after it are at risk")
            }
            Self::AccountHolds {
                name,
                state,
                entries,
                ..
            } => format!(
                "{name} is {}; {entries} entries wait for it",
                state.as_str()
            ),
            Self::QueueRunsEmpty { name, slots, .. } => {
                format!("the queue {name} runs empty at {at}; {slots} slots pass unused")
            }
            Self::SlotEmpty { name, .. } => format!("the slot of {name} at {at} stays empty"),
            Self::QueuePaused { name, posts, .. } => {
                format!("the queue {name} is paused; {posts} posts wait in it")
            }
            Self::CapReached {
                name,
                times: count,
                reason,
                ..
            } => format!(
                "the rule {name} is kept from starting {}: {reason}",
                times(*count)
            ),
            Self::Moved { from, to, name, .. } => {
                format!("the rule {name} moves a post from {from} to {to}")
            }
            Self::HeldBack { reason, .. } => {
                format!("a post due at {at} does not go out: {reason}")
            }
            Self::Refused { reason, .. } => format!("a post due at {at} is refused: {reason}"),
            Self::Missed { .. } => format!("a post is marked as missed at {at}"),
            Self::RuleFails {
                name,
                times: count,
                reason,
                ..
            } => format!("the rule {name} fails {}: {reason}", times(*count)),
            Self::NothingPublishes => {
                "no rule that is on publishes posts when they are due".to_owned()
            }
        }
    }
}

/// What nobody can know now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ForecastUnknown")]
pub struct Unknown {
    /// What.
    pub what: String,
    /// From when on.
    pub since: Timestamp,
    /// Why.
    pub why: String,
    /// The rule it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleId>,
}

/// The calendar of a span to come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Forecast {
    /// The moment it looks ahead from.
    pub from: Timestamp,
    /// The end of the span.
    pub until: Timestamp,
    /// Zone of the local times.
    pub zone: String,
    /// What goes out, the earliest first.
    pub entries: Vec<Entry>,
    /// What somebody should look at, the earliest first.
    pub warnings: Vec<Warning>,
    /// What nobody can know.
    pub unknowns: Vec<Unknown>,
    /// If there was more than a forecast takes: from when on the calendar is not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete_from: Option<Timestamp>,
}
