//! The steps of a rule document: one type for each kind.
//!
//! Invariant: a kind is told by the one key that no other kind has.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Condition;

/// One step; exactly one key says which kind it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Stable name within the rule: memos and traces are filed under it.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,64}$"))]
    pub id: String,
    /// The author's comments.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// Steps to take when the step failed for good, with whatever is inside it; then the run goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_error: Vec<Step>,
    /// Duration after which the step has failed; counts from its beginning, tries and waits included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// What the step does.
    #[serde(flatten)]
    pub body: StepBody,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum StepBody {
    /// Calls an action.
    Action(ActionStep),
    /// Chooses between two branches.
    If(IfStep),
    /// Takes the first branch whose condition holds.
    Choose(ChooseStep),
    /// Repeats steps for each element of a list.
    ForEach(ForEachStep),
    /// Runs branches side by side.
    Parallel(ParallelStep),
    /// Waits, durably.
    Delay(DelayStep),
    /// Waits for an event, with a time-out.
    WaitFor(WaitForStep),
    /// Sets variables.
    Set(SetStep),
    /// Ends the run.
    Stop(StopStep),
}

/// Calls an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActionStep {
    /// Action kind, such as `post.create`.
    pub action: String,
    /// Parameters as the action's own JSON Schema asks; any text may hold
    /// `{{ Rhai }}`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
    /// How a failed try is repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}

/// Chooses between two branches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IfStep {
    /// The condition.
    #[serde(rename = "if")]
    pub condition: Condition,
    /// Steps when it holds.
    pub then: Vec<Step>,
    /// Steps when it does not.
    #[serde(default, rename = "else", skip_serializing_if = "Vec::is_empty")]
    pub otherwise: Vec<Step>,
}

/// Takes the first branch whose condition holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChooseStep {
    /// Branches in order.
    pub choose: Vec<Branch>,
    /// Steps when none holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub otherwise: Vec<Step>,
}

/// A branch of `choose`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// The condition.
    #[serde(rename = "if")]
    pub condition: Condition,
    /// Steps when it holds.
    pub then: Vec<Step>,
}

/// Repeats steps for each element of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ForEachStep {
    /// The list.
    pub for_each: ForEach,
    /// Steps for each element, which is `item` in scripts.
    #[serde(rename = "do")]
    pub steps: Vec<Step>,
}

/// The list of a `for_each`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForEach {
    /// A list, or a template that yields one.
    pub items: Value,
    /// At most so many elements, 1 to 1000; 100 without it. A longer list is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max: Option<u32>,
    /// So many elements side by side, 1 to 20; one after another without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 20))]
    pub parallel: Option<u32>,
}

impl ForEach {
    /// No list may be longer, whatever the rule says: every element is kept in the run.
    pub const ELEMENTS_MAX: u32 = 1_000;
    /// Longest list of a rule that says nothing.
    pub const ELEMENTS_USUAL: u32 = 100;
    /// Elements side by side at the most; each may hold a call, a wait or a publication.
    pub const BESIDE_MAX: u32 = 20;

    /// Longest list that this loop takes.
    pub fn longest(&self) -> usize {
        let own = self.max.unwrap_or(Self::ELEMENTS_USUAL);
        own.clamp(1, Self::ELEMENTS_MAX) as usize
    }
    /// Elements that are under way at the same time.
    pub fn beside(&self) -> usize {
        self.parallel.unwrap_or(1).clamp(1, Self::BESIDE_MAX) as usize
    }
}

/// Runs branches side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ParallelStep {
    /// The branches.
    pub parallel: Vec<Vec<Step>>,
}

/// Waits, durably.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DelayStep {
    /// How long, or until when.
    pub delay: Delay,
}

/// How long, or until when; exactly one of the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delay {
    /// Duration such as `10m`; may be a template.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Moment in RFC 3339; may be a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// Waits for an event, with a time-out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaitForStep {
    /// What to wait for.
    pub wait_for: WaitFor,
}

/// What to wait for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitFor {
    /// Event kind.
    pub event: String,
    /// What the event must be about, such as the id of a post; may be a template. It makes the wait cheap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Which event of that kind: `event` is the one that came, everything else is the run's.
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    /// Duration after which the wait is over without it.
    pub timeout: String,
    /// What happens then.
    #[serde(default, skip_serializing_if = "OnTimeout::is_default")]
    pub on_timeout: OnTimeout,
}

/// What a wait does whose event did not come in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    /// The run goes on; the step's output says `timed_out`.
    #[default]
    GoOn,
    /// The step fails.
    Fail,
}

impl OnTimeout {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Sets variables, readable later as `vars.name`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SetStep {
    /// Name to value; texts may hold templates.
    pub set: Map<String, Value>,
}

/// Ends the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StopStep {
    /// How.
    pub stop: Stop,
}

/// How a run is ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// Shown in the run; may be a template.
    #[serde(default)]
    pub reason: String,
    /// Ends as failed instead of finished.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub error: bool,
}

/// How a failed try is repeated: delay = first × factor^(n−1), capped, then
/// spread by jitter. A network's own delay is always obeyed if it is longer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Tries in all, the first included; 1 to 20.
    #[serde(default = "Retry::default_tries")]
    #[schemars(range(min = 1, max = 20))]
    pub tries: u32,
    /// Duration before the second try.
    #[serde(default = "Retry::default_first")]
    pub first: String,
    /// Growth from one delay to the next; 1 to 10.
    #[serde(default = "Retry::default_factor")]
    #[schemars(range(min = 1.0, max = 10.0))]
    pub factor: f64,
    /// No delay is longer.
    #[serde(default = "Retry::default_cap")]
    pub cap: String,
    /// Part of a delay that is random, 0 to 1.
    #[serde(default = "Retry::default_jitter")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub jitter: f64,
}

impl Retry {
    fn default_tries() -> u32 {
        5
    }
    fn default_first() -> String {
        "10s".into()
    }
    fn default_factor() -> f64 {
        3.0
    }
    fn default_cap() -> String {
        "1h".into()
    }
    fn default_jitter() -> f64 {
        0.2
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: Self::default_tries(),
            first: Self::default_first(),
            factor: Self::default_factor(),
            cap: Self::default_cap(),
            jitter: Self::default_jitter(),
        }
    }
}
