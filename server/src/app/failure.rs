//! How a use case goes wrong, ready to be told to a client.
//!
//! Owns the translation of the store's errors. Invariant: what a client gets names no table, path or
//! cause; the cause is logged here, once.

use so_model::problem::{FieldError, Problem};
use so_store::StoreError;

/// Seconds after which a client may try again when the database did not answer.
const UNAVAILABLE_RETRY_SECS: i64 = 2;

/// Seconds after which a client may try again when the disk is full: somebody must come and free space.
const STORAGE_FULL_RETRY_SECS: i64 = 30;

/// An error with what the client must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Code, sentence, next step.
    pub problem: Box<Problem>,
    /// Seconds to wait before trying again.
    pub retry_after: Option<i64>,
    /// The browser's refresh cookie is worthless and is taken away.
    pub ends_session: bool,
}

/// Result of a use case.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// An error with a stable code.
    pub fn new(status: u16, code: impl Into<String>, title: impl Into<String>) -> Self {
        Problem::new(status, code, title).into()
    }
    /// Says what exactly is wrong.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.problem.detail = detail.into();
        self
    }
    /// Says what to do about it.
    pub fn next_step(mut self, next_step: impl Into<String>) -> Self {
        self.problem.next_step = next_step.into();
        self
    }
    /// Says when trying again makes sense.
    pub fn retry_after(mut self, seconds: i64) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }
    /// Takes the refresh cookie away.
    pub fn ending_session(mut self) -> Self {
        self.ends_session = true;
        self
    }

    /// Fields that hold something else than they may.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Problem::new(422, "request.invalid", "Some fields are wrong")
            .next_step("Correct the fields that are named and send the request again.")
            .with_errors(errors)
            .into()
    }
    /// One field that holds something else than it may.
    pub fn field(pointer: &str, reason: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError::new(pointer, reason).expected(expected)])
    }
    /// Something that is not there, or not for whoever asks: the two look the same.
    pub fn not_found(what: &str) -> Self {
        let spoken = what.replace('_', " ");
        Self::new(
            404,
            format!("{what}.not_found"),
            format!("There is no such {spoken}"),
        )
        .next_step("It may have been deleted, or it belongs to a workspace you are no member of.")
    }
    /// Somebody who has not said who they are.
    pub fn signed_out() -> Self {
        Self::new(401, "auth.signed_out", "You are signed out").next_step("Log in again.")
    }
    /// An error of ours.
    pub fn internal() -> Self {
        Self::new(500, "server.internal", "The server could not do this").next_step(
            "Try again; if it happens again, look for the request id in the server's log.",
        )
    }
    /// Too many tries.
    pub fn throttled(seconds: i64) -> Self {
        Self::new(429, "request.throttled", "Too many tries")
            .detail(format!(
                "This may be tried again in {} seconds.",
                seconds.max(1)
            ))
            .next_step("Wait, then try again.")
            .retry_after(seconds)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self {
            problem: Box::new(problem),
            retry_after: None,
            ends_session: false,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::LastOwner => {
                Self::new(409, "workspace.last_owner", "A workspace needs an owner")
                    .next_step("Make somebody else an owner first.")
            }
            StoreError::Stale { what } => {
                let code = format!("{}.changed", what.replace(' ', "_"));
                Self::new(409, code, format!("The {what} was changed meanwhile"))
                    .next_step("Load it again and repeat the change.")
            }
            StoreError::Conflict { .. } => {
                Self::new(409, "request.conflict", "This exists already")
                    .next_step("Choose another name, or change the one that is there.")
            }
            error @ StoreError::Full(_) => {
                tracing::error!(error = %chain(error), "a request found the storage full");
                Self::new(507, "server.storage_full", "The server's storage is full")
                    .next_step("Nothing was changed. Whoever runs the server must free space; then try again.")
                    .retry_after(STORAGE_FULL_RETRY_SECS)
            }
            error if error.is_transient() => {
                tracing::error!(error = %chain(error), "the database did not answer a request");
                Self::new(503, "server.unavailable", "The database does not answer")
                    .next_step("Nothing was changed. Try again in a moment.")
                    .retry_after(UNAVAILABLE_RETRY_SECS)
            }
            error => {
                tracing::error!(error = %chain(error), "a request failed in the store");
                Self::internal()
            }
        }
    }
}

/// An error and its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_says_does_not_reach_the_client() {
        let failure = Failure::from(StoreError::corrupt("rule", "column doc of table rules"));
        assert_eq!(failure.problem.status, 500);
        assert!(!format!("{:?}", failure.problem).contains("table"));
    }

    #[test]
    fn a_full_disk_is_told_apart_from_a_database_that_is_away() {
        let failure = Failure::from(StoreError::Full("database or disk is full".into()));
        assert_eq!(failure.problem.status, 507);
        assert_eq!(failure.problem.code, "server.storage_full");
        assert!(failure.retry_after.is_some());
    }

    #[test]
    fn every_failure_names_a_next_step() {
        for failure in [
            Failure::from(StoreError::LastOwner),
            Failure::from(StoreError::Stale { what: "post" }),
            Failure::from(StoreError::Full("full".into())),
            Failure::from(StoreError::Conflict {
                constraint: "x".into(),
            }),
            Failure::not_found("post"),
            Failure::signed_out(),
            Failure::throttled(0),
            Failure::internal(),
            Failure::field("/a", "b", "c"),
        ] {
            assert!(!failure.problem.next_step.is_empty(), "{failure:?}");
        }
    }
}
