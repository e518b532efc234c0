//! What goes wrong at a network, in words for people and classes for the engine.
//!
//! Owns the error type and the form of the tables in which each network lists
//! its errors. Must not carry tokens, post texts or a network's raw answer.
//! Invariant: the first matching row of a table decides, so the order of rows
//! is part of a table's meaning.

use so_model::time::{MINUTE, SECOND};
use so_net::{NetError, OutboundResponse, Sent};

/// What can be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The post has to be changed.
    Content,
    /// The access token ran out: renew it and call again. Nothing was taken.
    Expired,
    /// The person has to connect the account again.
    Reconnect,
    /// The network restricts the account; only its owner can settle that.
    AccountProblem,
    /// Too much too fast.
    RateLimited,
    /// Passing trouble of the network or the line.
    Transient,
    /// The thing that was named is no longer there.
    Gone,
    /// The instance owner has to change the configuration.
    Config,
    /// Not known to the network's table.
    Unknown,
}

/// An error as people read it and as the engine acts on it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ConnectorError {
    /// What can be done.
    pub class: ErrorClass,
    /// Stable code: `mastodon.text_too_long`.
    pub code: String,
    /// What went wrong and why, a sentence for people.
    pub message: String,
    /// What to do about it, a sentence for people.
    pub next_step: String,
    /// Microseconds to wait before the next call.
    pub retry_after: Option<i64>,
    /// JSON pointer into the content: `/text`.
    pub field: Option<String>,
    /// The network says this after it has acted, too: a commit that ends so is unknown, not refused.
    pub may_have_acted: bool,
}

/// Longest detail taken from a network's own message: enough for its sentence, too short for a page.
const MAX_DETAIL: usize = 200;

impl ConnectorError {
    /// An error with a stable code.
    pub fn new(class: ErrorClass, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            class,
            code: code.into(),
            message: message.into(),
            next_step: String::new(),
            retry_after: None,
            field: None,
            may_have_acted: false,
        }
    }

    /// Says what to do.
    pub fn next_step(mut self, text: impl Into<String>) -> Self {
        self.next_step = text.into();
        self
    }

    /// Says how long to wait, in microseconds.
    pub fn retry_after(mut self, micros: i64) -> Self {
        self.retry_after = Some(micros);
        self
    }

    /// Names the wrong field.
    pub fn field(mut self, pointer: impl Into<String>) -> Self {
        self.field = Some(pointer.into());
        self
    }

    /// A wrong answer of a form, such as a sign-in field.
    pub fn form(network: &str, field: &str, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Content, format!("{network}.form"), message)
            .field(format!("/{field}"))
    }

    /// Trouble on the line, told without URL or body.
    pub fn from_net(network: &str, error: &NetError) -> Self {
        if let Some(reason) = error.block_reason() {
            return Self::new(
                ErrorClass::Config,
                format!("{network}.blocked"),
                format!("This server does not call that address: {reason}."),
            )
            .next_step("Check the address. For a private network the instance owner can add it to the allow-list.");
        }
        let class = if error.is_permanent() {
            ErrorClass::Config
        } else {
            ErrorClass::Transient
        };
        Self::new(class, format!("{network}.unreachable"), format!("The network could not be asked: {error}."))
            .next_step("It is tried again; if it lasts, check whether the network can be reached from this server.")
    }

    /// An answer that is not what the network documents, such as a proxy's page.
    pub fn garbled(network: &str, status: u16) -> Self {
        Self::new(
            ErrorClass::Transient,
            format!("{network}.garbled_answer"),
            format!("The network answered {status} with something that could not be read."),
        )
        .next_step("It is tried again; if it lasts, check whether a proxy stands between.")
    }
}

/// Which HTTP statuses a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Exactly this one.
    Is(u16),
    /// Either of these.
    In(&'static [u16]),
    /// 500 to 599.
    Server,
    /// Any.
    Any,
}

impl Status {
    fn matches(self, status: u16) -> bool {
        match self {
            Self::Is(one) => one == status,
            Self::In(list) => list.contains(&status),
            Self::Server => (500..600).contains(&status),
            Self::Any => true,
        }
    }
}

/// One row of a network's error table.
#[derive(Debug, Clone, Copy)]
pub struct ErrorRow {
    /// HTTP status.
    pub status: Status,
    /// The network's own error code; empty matches any.
    pub error: &'static str,
    /// Part of the network's message, in lower case; empty matches any.
    pub contains: &'static str,
    /// What can be done.
    pub class: ErrorClass,
    /// Our code without the network's key.
    pub code: &'static str,
    /// What went wrong, for people.
    pub message: &'static str,
    /// What to do, for people.
    pub next_step: &'static str,
    /// Pointer into the content, or empty.
    pub field: &'static str,
    /// Said after the network has acted, too.
    pub may_have_acted: bool,
}

/// What a network said about an error, taken from its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Its error code.
    pub error: String,
    /// Its message.
    pub message: String,
}

/// How long to wait when a network limits us without saying how long.
pub const DEFAULT_RATE_WAIT: i64 = 5 * MINUTE;
/// Shortest wait after a limit, against clocks that differ by a second.
const MIN_RATE_WAIT: i64 = SECOND;

/// Reads an error answer by a network's table.
pub fn read_error(
    network: &str,
    table: &[ErrorRow],
    answer: &OutboundResponse,
    said: &Said,
    now: i64,
) -> ConnectorError {
    let lower = said.message.to_lowercase();
    let row = table.iter().find(|row| {
        row.status.matches(answer.status)
            && (row.error.is_empty() || row.error == said.error)
            && (row.contains.is_empty() || lower.contains(row.contains))
    });
    let asked = answer
        .retry_after(now)
        .map(|wait| i64::try_from(wait.as_micros()).unwrap_or(i64::MAX));
    let mut error = match row {
        Some(row) => from_row(network, row, said),
        None => unlisted(network, answer.status, said),
    };
    error.retry_after = match error.class {
        ErrorClass::RateLimited => Some(asked.unwrap_or(DEFAULT_RATE_WAIT).max(MIN_RATE_WAIT)),
        ErrorClass::Transient => asked,
        _ => None,
    };
    error
}

fn from_row(network: &str, row: &ErrorRow, said: &Said) -> ConnectorError {
    let detail = detail_of(said);
    // A content error is worth the network's own words: they name the field and the limit.
    let message = if row.class == ErrorClass::Content && !detail.is_empty() {
        format!("{} The network says: {detail}", row.message)
    } else {
        row.message.to_owned()
    };
    let mut error = ConnectorError::new(row.class, format!("{network}.{}", row.code), message)
        .next_step(row.next_step);
    error.may_have_acted = row.may_have_acted;
    if !row.field.is_empty() {
        error = error.field(row.field);
    }
    error
}

fn unlisted(network: &str, status: u16, said: &Said) -> ConnectorError {
    let class = match status {
        429 => ErrorClass::RateLimited,
        401 => ErrorClass::Reconnect,
        500..=599 => ErrorClass::Transient,
        _ => ErrorClass::Unknown,
    };
    let detail = detail_of(said);
    let message = if detail.is_empty() {
        format!("The network refused the call with status {status}.")
    } else {
        format!("The network refused the call with status {status}: {detail}")
    };
    ConnectorError::new(class, format!("{network}.status_{status}"), message)
        .next_step("Check the post and the account at the network, then try again.")
}

fn detail_of(said: &Said) -> String {
    let text = if said.message.is_empty() {
        &said.error
    } else {
        &said.message
    };
    text.chars()
        .filter(|c| !c.is_control())
        .take(MAX_DETAIL)
        .collect()
}

/// Whether a failed call may have reached the network.
pub fn may_have_reached(error: &NetError) -> bool {
    error.was_sent() == Sent::Maybe
}

#[cfg(test)]
mod tests {
    use so_net::{HeaderMap, Url};

    use super::*;

    const TABLE: &[ErrorRow] = &[
        ErrorRow {
            status: Status::Is(400),
            error: "Busy",
            contains: "",
            class: ErrorClass::RateLimited,
            code: "busy",
            message: "Too many.",
            next_step: "Wait.",
            field: "",
            may_have_acted: false,
        },
        ErrorRow {
            status: Status::Any,
            error: "",
            contains: "too long",
            class: ErrorClass::Content,
            code: "text_too_long",
            message: "The text is too long.",
            next_step: "Shorten it.",
            field: "/text",
            may_have_acted: false,
        },
    ];

    fn read(
        status: u16,
        error: &str,
        message: &str,
        headers: &[(&'static str, &'static str)],
    ) -> ConnectorError {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let answer = OutboundResponse {
            status,
            headers,
            body: Default::default(),
            final_url: Url::parse("https://n.example/").unwrap(),
        };
        let said = Said {
            error: error.into(),
            message: message.into(),
        };
        read_error("test", TABLE, &answer, &said, 0)
    }

    #[test]
    fn the_first_row_that_fits_decides() {
        let error = read(400, "Busy", "Text is TOO LONG", &[]);
        assert_eq!(
            (error.code.as_str(), error.retry_after),
            ("test.busy", Some(DEFAULT_RATE_WAIT))
        );
        let error = read(422, "", "Text is TOO LONG\u{1b}[31m", &[]);
        assert_eq!(
            (error.class, error.field.as_deref()),
            (ErrorClass::Content, Some("/text"))
        );
        assert_eq!(
            error.message,
            "The text is too long. The network says: Text is TOO LONG[31m"
        );
    }

    #[test]
    fn a_limit_is_waited_for_as_long_as_asked_and_never_not_at_all() {
        let wait = |value| read(400, "Busy", "", &[("retry-after", value)]).retry_after;
        assert_eq!(wait("7"), Some(7 * SECOND));
        assert_eq!(wait("0"), Some(MIN_RATE_WAIT));
        assert_eq!(wait("soon"), Some(DEFAULT_RATE_WAIT));
    }

    #[test]
    fn what_no_table_knows_is_read_from_the_status() {
        let class = |status| read(status, "", "", &[]).class;
        assert_eq!(
            (class(401), class(429)),
            (ErrorClass::Reconnect, ErrorClass::RateLimited)
        );
        assert_eq!(
            (class(503), class(418)),
            (ErrorClass::Transient, ErrorClass::Unknown)
        );
    }

    #[test]
    fn a_page_instead_of_a_message_is_cut() {
        let error = read(418, "", &"x".repeat(100_000), &[]);
        assert!(error.message.len() < 300);
    }
}
