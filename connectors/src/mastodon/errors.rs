//! What Mastodon's errors mean.
//!
//! Owns the table. Must not act. Invariant: a row that says "not taken" does
//! so for answers that Mastodon gives before it creates a post.

use crate::error::{
    ErrorClass::{AccountProblem, Content, Gone, RateLimited, Reconnect, Transient},
    ErrorRow, Status,
};

const RECONNECT: &str = "Connect the account again.";
const CHANGE: &str = "Change the post and publish it again.";
const AGAIN: &str = "It is tried again.";

const fn row(
    status: Status,
    contains: &'static str,
    class: crate::ErrorClass,
    code: &'static str,
    message: &'static str,
    next_step: &'static str,
) -> ErrorRow {
    ErrorRow {
        status,
        error: "",
        contains,
        class,
        code,
        message,
        next_step,
        field: "",
        may_have_acted: false,
    }
}

const fn at(field: &'static str, row: ErrorRow) -> ErrorRow {
    ErrorRow { field, ..row }
}

/// The first row that fits decides.
pub(super) const ERRORS: &[ErrorRow] = &[
    row(
        Status::Is(401),
        "",
        Reconnect,
        "token_refused",
        "The server no longer accepts this account's token.",
        RECONNECT,
    ),
    row(
        Status::Is(403),
        "outside the authorized scopes",
        Reconnect,
        "scope_missing",
        "The account was connected without the permissions that publishing needs.",
        RECONNECT,
    ),
    row(
        Status::Is(403),
        "login is currently disabled",
        AccountProblem,
        "account_disabled",
        "The server has disabled this account.",
        "Sign in at the server and read its notice.",
    ),
    row(
        Status::Is(403),
        "pending",
        AccountProblem,
        "account_pending",
        "The server has not approved this account yet.",
        "Wait for the approval, then publish again.",
    ),
    row(
        Status::Is(403),
        "",
        AccountProblem,
        "forbidden",
        "The server does not allow this account to do that.",
        "Sign in at the server and check the account.",
    ),
    row(
        Status::In(&[404, 410]),
        "",
        Gone,
        "not_found",
        "The server does not know the post, or the post that this one answers to.",
        "Check whether it was deleted.",
    ),
    row(
        Status::Is(422),
        "not finished processing",
        Transient,
        "media_processing",
        "The server is still processing a file of the post.",
        AGAIN,
    ),
    at(
        "/media",
        row(
            Status::Is(422),
            "cannot attach",
            Content,
            "media_refused",
            "The server refused the files.",
            CHANGE,
        ),
    ),
    at(
        "/media",
        row(
            Status::Is(422),
            "content type",
            Content,
            "media_type",
            "The server does not take files of this type.",
            CHANGE,
        ),
    ),
    at(
        "/poll",
        row(
            Status::Is(422),
            "poll",
            Content,
            "poll_refused",
            "The server refused the poll.",
            CHANGE,
        ),
    ),
    at(
        "/text",
        row(
            Status::Is(422),
            "character limit",
            Content,
            "text_too_long",
            "The text is too long for this server.",
            CHANGE,
        ),
    ),
    at(
        "/text",
        row(
            Status::Is(422),
            "too long",
            Content,
            "text_too_long",
            "The text is too long for this server.",
            CHANGE,
        ),
    ),
    at(
        "/media",
        row(
            Status::Is(413),
            "",
            Content,
            "media_too_large",
            "A file is too large for this server.",
            CHANGE,
        ),
    ),
    row(
        Status::Is(422),
        "",
        Content,
        "refused",
        "The server refused the post.",
        CHANGE,
    ),
    row(
        Status::Is(429),
        "",
        RateLimited,
        "rate_limited",
        "The server takes no more calls from this account for now.",
        "It is tried again after the wait.",
    ),
    row(
        Status::Server,
        "",
        Transient,
        "server_error",
        "The server failed.",
        AGAIN,
    ),
];
