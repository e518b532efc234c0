//! Owns what is said when a schedule cannot be used: which field, why, and what to do.
//! Must not know any form of schedule. Invariant: every error names a field and a next step.

use serde::Serialize;

/// A problem in a schedule as its author wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("cannot use schedule field {field}: {reason}")]
pub struct ScheduleError {
    /// JSON pointer to the field, relative to the schedule: `/zone`, `/slots/3/time`.
    pub field: String,
    /// What is wrong, in one clause.
    pub reason: String,
    /// What the author should do about it.
    pub next_step: String,
    /// A value that was probably meant.
    pub suggestion: Option<String>,
}

impl ScheduleError {
    /// A problem at `field`, without a suggestion.
    pub fn new(
        field: impl Into<String>,
        reason: impl Into<String>,
        next_step: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
            next_step: next_step.into(),
            suggestion: None,
        }
    }

    /// The same problem, with a value that was probably meant.
    #[must_use]
    pub fn suggest(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }

    /// The same problem, told of another field: helpers do not know where their text came from.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = field.into();
        self
    }
}

/// The least likeness (Jaro-Winkler) worth suggesting: below it, guesses confuse more than help.
const LIKE_ENOUGH: f64 = 0.75;

/// Longest word for which a meant one is looked for.
const WORD_MAX: usize = 64;

/// The candidate most like `word`, when one is like enough.
pub(super) fn closest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    // The comparison's cost grows with the square: nobody misspells a name to this length.
    if word.len() > WORD_MAX {
        return None;
    }
    let wanted = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            let likeness = strsim::jaro_winkler(&wanted, &candidate.to_lowercase());
            (likeness, candidate)
        })
        .filter(|(likeness, _)| *likeness >= LIKE_ENOUGH)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate.to_owned())
}
