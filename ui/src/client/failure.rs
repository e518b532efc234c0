//! Every way a call can fail, as one [`Problem`].
//!
//! Owns the reading of answers. Invariant: whatever a proxy, a broken network or an old server sends, the person gets a
//! title, a reason and a next step.

use gloo_net::http::Response;
use serde::Serialize;
use serde::de::DeserializeOwned;
use so_model::problem::{FieldError, Problem};

/// No answer came.
pub const OFFLINE: &str = "client.offline";
/// An answer came that this page cannot read.
pub const MALFORMED: &str = "client.malformed";

pub(super) fn encode(body: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(body).map_err(|_| malformed("the form could not be written as JSON"))
}

/// An answer whose content does not matter: reads anything, and nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done;

impl<'de> serde::Deserialize<'de> for Done {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Done)
    }
}

/// Reads JSON; an empty answer reads as `null`.
pub(super) fn decode<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let text = if text.trim().is_empty() { "null" } else { text };
    serde_json::from_str(text)
        .map_err(|error| malformed(&format!("the answer could not be read: {error}")))
}

/// The body of a good answer, or the problem that a bad one tells.
pub(super) async fn accept(response: Response) -> Result<String, Problem> {
    let status = response.status();
    let text = response.text().await.map_err(|_| offline())?;
    if (200..300).contains(&status) {
        Ok(text)
    } else {
        Err(problem(status, &text))
    }
}

pub(super) fn offline() -> Problem {
    Problem::new(0, OFFLINE, "The server did not answer")
        .detail("The connection broke or the server is not running.")
        .next_step("Check the connection, then try again. Nothing you wrote is lost.")
}

pub(super) fn malformed(what: &str) -> Problem {
    Problem::new(
        0,
        MALFORMED,
        "The page and the server do not understand each other",
    )
    .detail(format!("{what}."))
    .next_step("Reload the page; it may be older than the server.")
}

/// Reads problem+json, and makes a problem of anything else.
pub(super) fn problem(status: u16, body: &str) -> Problem {
    if let Ok(problem) = serde_json::from_str::<Problem>(body) {
        return problem;
    }
    let (title, next_step) = match status {
        401 => ("You are signed out", "Log in again."),
        403 => (
            "You may not do this",
            "Ask an owner or admin of the workspace.",
        ),
        404 => (
            "This does not exist",
            "It may have been deleted. Go back to the list.",
        ),
        413 => ("This is too large", "Send less at once."),
        429 => ("Too many requests", "Wait a moment, then try again."),
        502..=504 => ("The server is not ready", "Wait a moment, then try again."),
        _ => (
            "The server could not do this",
            "Try again; if it happens again, look into the server's log.",
        ),
    };
    Problem::new(status, format!("http.{status}"), title)
        .detail(format!("The server answered {status}."))
        .next_step(next_step)
}

/// Whether logging in again is the cure.
pub fn is_signed_out(problem: &Problem) -> bool {
    problem.status == 401
}

/// What is wrong with the field at `pointer`, as one sentence for under the field.
pub fn error_at(problem: Option<&Problem>, pointer: &str) -> Option<String> {
    problem?
        .errors
        .iter()
        .find(|error| error.pointer == pointer)
        .map(sentence)
}

/// The wrong fields that are not among `shown`, for the notice above the form: none is swallowed.
pub fn other_errors(problem: &Problem, shown: &[&str]) -> Vec<String> {
    let unshown = problem
        .errors
        .iter()
        .filter(|error| !shown.contains(&error.pointer.as_str()));
    unshown
        .map(|error| format!("{}: {}", error.pointer, sentence(error)))
        .collect()
}

fn sentence(error: &FieldError) -> String {
    let mut sentence = capitalised(&error.reason);
    if !error.expected.is_empty() {
        sentence.push_str(&format!(". Expected {}", error.expected));
    }
    if let Some(suggestion) = &error.suggestion {
        sentence.push_str(&format!(". Did you mean {suggestion}?"));
    } else {
        sentence.push('.');
    }
    sentence
}

fn capitalised(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_from_the_server_is_kept_word_for_word() {
        let sent = Problem::new(409, "user.email_taken", "This address is in use")
            .next_step("Log in instead.");
        let body = serde_json::to_string(&sent).unwrap();
        assert_eq!(problem(409, &body), sent);
    }

    #[test]
    fn a_proxys_error_page_becomes_a_problem_with_a_next_step() {
        let problem = problem(502, "<html>Bad Gateway</html>");
        assert_eq!(problem.code, "http.502");
        assert!(!problem.next_step.is_empty());
    }

    #[test]
    fn an_answer_that_does_not_matter_may_be_anything_and_one_that_does_may_not() {
        assert_eq!(decode::<Done>(""), Ok(Done));
        assert_eq!(decode::<Done>("{\"id\":1}"), Ok(Done));
        assert_eq!(decode::<u8>("{}").unwrap_err().code, MALFORMED);
    }

    #[test]
    fn each_wrong_field_is_shown_at_its_place_or_above_the_form() {
        let problem =
            Problem::new(422, "request.invalid", "Some fields are wrong").with_errors(vec![
                FieldError::new("/email", "not an address").expected("name@host"),
                FieldError::new("/kind", "unknown name").suggest(Some("post".into())),
            ]);
        assert_eq!(
            error_at(Some(&problem), "/email").as_deref(),
            Some("Not an address. Expected name@host.")
        );
        assert_eq!(error_at(Some(&problem), "/name"), None);
        assert_eq!(
            other_errors(&problem, &["/email"]),
            ["/kind: Unknown name. Did you mean post?"]
        );
    }
}
