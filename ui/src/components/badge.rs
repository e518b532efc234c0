//! States as a coloured word with its own icon, so that colour alone never tells.
//!
//! Owns the one table of words, tones and icons. Invariant: the same state looks the same on every page.

use so_model::account::AccountState;
use so_model::post::PostState;
use so_model::publication::PublicationState;
use so_model::run::{RunState, StepOutcome, Verdict};
use sycamore::prelude::*;

use super::{Glyph, Icon};

/// A colour by its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Says nothing.
    Neutral,
    /// Waits for a person.
    Pending,
    /// Allowed.
    Approved,
    /// Has a time.
    Scheduled,
    /// Under way.
    Moving,
    /// Done and good.
    Published,
    /// Done in part, or too late.
    Partial,
    /// Went wrong.
    Failed,
    /// A person must look.
    Review,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Tone::Neutral => "badge tone-neutral",
            Tone::Pending => "badge tone-pending",
            Tone::Approved => "badge tone-approved",
            Tone::Scheduled => "badge tone-scheduled",
            Tone::Moving => "badge tone-moving",
            Tone::Published => "badge tone-published",
            Tone::Partial => "badge tone-partial",
            Tone::Failed => "badge tone-failed",
            Tone::Review => "badge tone-review",
        }
    }
}

/// How a state looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Face {
    /// Its colour.
    pub tone: Tone,
    /// Its icon.
    pub glyph: Glyph,
    /// Its word.
    pub word: &'static str,
}

const fn face(tone: Tone, glyph: Glyph, word: &'static str) -> Face {
    Face { tone, glyph, word }
}

/// A post's state.
pub fn post_face(state: PostState) -> Face {
    match state {
        PostState::Draft => face(Tone::Neutral, Glyph::Pencil, "Draft"),
        PostState::PendingApproval => face(Tone::Pending, Glyph::Hourglass, "Pending approval"),
        PostState::Approved => face(Tone::Approved, Glyph::Check, "Approved"),
        PostState::Scheduled => face(Tone::Scheduled, Glyph::CalendarClock, "Scheduled"),
        PostState::Publishing => face(Tone::Moving, Glyph::Loader, "Publishing"),
        PostState::Published => face(Tone::Published, Glyph::CircleCheckBig, "Published"),
        PostState::PartiallyPublished => face(Tone::Partial, Glyph::Split, "Partly published"),
        PostState::Failed => face(Tone::Failed, Glyph::CircleX, "Failed"),
        PostState::Missed => face(Tone::Partial, Glyph::CalendarX, "Missed"),
        PostState::NeedsReview => face(Tone::Review, Glyph::Eye, "Needs review"),
    }
}

/// A run's state.
pub fn run_face(state: RunState) -> Face {
    match state {
        RunState::Queued => face(Tone::Neutral, Glyph::List, "Queued"),
        RunState::Running => face(Tone::Moving, Glyph::Loader, "Running"),
        RunState::Waiting => face(Tone::Scheduled, Glyph::Clock, "Waiting"),
        RunState::Finished => face(Tone::Published, Glyph::CircleCheckBig, "Finished"),
        RunState::Failed => face(Tone::Failed, Glyph::CircleX, "Failed"),
        RunState::Cancelling => face(Tone::Moving, Glyph::Loader, "Cancelling"),
        RunState::Cancelled => face(Tone::Neutral, Glyph::X, "Cancelled"),
    }
}

/// An account's state.
pub fn account_face(state: AccountState) -> Face {
    match state {
        AccountState::Active => face(Tone::Published, Glyph::CircleCheck, "Connected"),
        AccountState::ReconnectRequired => face(Tone::Failed, Glyph::Alert, "Reconnect"),
        AccountState::Paused => face(Tone::Neutral, Glyph::Pause, "Paused"),
        AccountState::Removed => face(Tone::Neutral, Glyph::Trash, "Removed"),
    }
}

/// How one step of a run went.
pub fn step_face(outcome: StepOutcome) -> Face {
    match outcome {
        StepOutcome::Started => face(Tone::Moving, Glyph::Loader, "Under way"),
        StepOutcome::Done => face(Tone::Published, Glyph::Check, "Done"),
        StepOutcome::Waiting => face(Tone::Scheduled, Glyph::Clock, "Waiting"),
        StepOutcome::Retrying => face(Tone::Partial, Glyph::Refresh, "Will retry"),
        StepOutcome::Failed => face(Tone::Failed, Glyph::CircleX, "Failed"),
        StepOutcome::Stopped => face(Tone::Neutral, Glyph::X, "Stopped"),
    }
}

/// A publication's state.
pub fn publication_face(state: PublicationState) -> Face {
    use PublicationState as S;
    match state {
        S::Due => face(Tone::Scheduled, Glyph::CalendarClock, "Due"),
        S::Preparing => face(Tone::Moving, Glyph::Loader, "Preparing"),
        S::Sending => face(Tone::Moving, Glyph::Loader, "Sending"),
        S::Unknown => face(Tone::Partial, Glyph::Hourglass, "Outcome unknown"),
        S::Reconciling => face(Tone::Moving, Glyph::Loader, "Asking the network"),
        S::RetryWait => face(Tone::Partial, Glyph::Refresh, "Will retry"),
        S::Held => face(Tone::Pending, Glyph::Pause, "Held"),
        S::Published => face(Tone::Published, Glyph::CircleCheckBig, "Live"),
        S::Failed => face(Tone::Failed, Glyph::CircleX, "Failed"),
        S::NeedsReview => face(Tone::Review, Glyph::Eye, "Needs review"),
        S::Cancelled => face(Tone::Neutral, Glyph::X, "Cancelled"),
    }
}

/// Why a rule did or did not start.
pub fn verdict_face(verdict: Verdict) -> Face {
    match verdict {
        Verdict::Started => face(Tone::Published, Glyph::Play, "Started"),
        Verdict::ConditionFailed => face(Tone::Neutral, Glyph::Filter, "Condition did not hold"),
        Verdict::TriggerMismatch => face(Tone::Neutral, Glyph::CircleDashed, "Other trigger"),
        Verdict::ModeRefused => face(Tone::Partial, Glyph::Pause, "Already running"),
        Verdict::Throttled => face(Tone::Partial, Glyph::Hourglass, "Throttled"),
        Verdict::Debounced => face(Tone::Scheduled, Glyph::Clock, "Waits for quiet"),
        Verdict::Duplicate => face(Tone::Neutral, Glyph::Copy, "Done before"),
        Verdict::LoopGuard => face(Tone::Failed, Glyph::Refresh, "Loop stopped"),
        Verdict::OverBudget => face(Tone::Failed, Glyph::Alert, "Over budget"),
    }
}

/// A state as icon and word.
#[component(inline_props)]
pub fn Badge(face: Face) -> View {
    view! { span(class=face.tone.class()) { Icon(glyph=face.glyph) (face.word) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_states_of_a_post_share_their_word_or_their_icon() {
        let states = [
            "draft",
            "pending_approval",
            "approved",
            "scheduled",
            "publishing",
            "published",
            "partially_published",
            "failed",
            "missed",
            "needs_review",
        ];
        let faces: Vec<Face> = states
            .iter()
            .map(|state| post_face(PostState::parse(state).unwrap()))
            .collect();
        for (place, one) in faces.iter().enumerate() {
            for other in &faces[place + 1..] {
                assert!(
                    one.word != other.word && one.glyph != other.glyph,
                    "{one:?} {other:?}"
                );
            }
        }
    }
}
