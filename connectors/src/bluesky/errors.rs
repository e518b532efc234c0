//! What the protocol's errors mean.
//!
//! Owns the table. Must not act. Invariant: only names that a server gives
//! before it writes a record are called refusals.

use crate::error::{
    ErrorClass::{self, AccountProblem, Content, Expired, Gone, RateLimited, Reconnect, Transient},
    ErrorRow, Status,
};

const RECONNECT: &str = "Connect the account again with a new app password.";
const CHANGE: &str = "Change the post and publish it again.";
const AGAIN: &str = "It is tried again.";
const ENDED: &str = "Bluesky no longer accepts this account's sign-in.";
const SUSPENDED: &str = "Bluesky has taken down or deactivated this account.";
const LOOK: &str = "Sign in to Bluesky and read its notice.";

const fn row(
    error: &'static str,
    class: ErrorClass,
    code: &'static str,
    message: &'static str,
    next_step: &'static str,
) -> ErrorRow {
    ErrorRow {
        status: Status::Any,
        error,
        contains: "",
        class,
        code,
        message,
        next_step,
        field: "",
        may_have_acted: false,
    }
}

const fn saying(contains: &'static str, field: &'static str, row: ErrorRow) -> ErrorRow {
    ErrorRow {
        contains,
        field,
        ..row
    }
}

const fn with(status: Status, row: ErrorRow) -> ErrorRow {
    ErrorRow { status, ..row }
}

/// The first row that fits decides.
pub(super) const ERRORS: &[ErrorRow] = &[
    row(
        "ExpiredToken",
        Expired,
        "token_expired",
        "The access to this account has run out and is renewed.",
        AGAIN,
    ),
    row("InvalidToken", Reconnect, "token_refused", ENDED, RECONNECT),
    row("AuthMissing", Reconnect, "token_refused", ENDED, RECONNECT),
    row(
        "AuthFactorTokenRequired",
        Reconnect,
        "app_password_needed",
        "Bluesky asks for a code by e-mail, which it does for the main password only.",
        "Make an app password in Bluesky's settings and use that.",
    ),
    row(
        "AuthenticationRequired",
        Reconnect,
        "wrong_password",
        "Bluesky does not know this handle and app password.",
        "Check the handle, and make a new app password in Bluesky's settings.",
    ),
    row(
        "ScopeMissingError",
        Reconnect,
        "scope_missing",
        "The sign-in does not allow publishing.",
        RECONNECT,
    ),
    row(
        "AccountTakedown",
        AccountProblem,
        "account_suspended",
        SUSPENDED,
        LOOK,
    ),
    row(
        "AccountDeactivated",
        AccountProblem,
        "account_suspended",
        SUSPENDED,
        LOOK,
    ),
    row(
        "RepoDeactivated",
        AccountProblem,
        "account_suspended",
        SUSPENDED,
        LOOK,
    ),
    row(
        "RepoTakendown",
        AccountProblem,
        "account_suspended",
        SUSPENDED,
        LOOK,
    ),
    row(
        "RecordNotFound",
        Gone,
        "not_found",
        "Bluesky does not know the post.",
        "Check whether it was deleted.",
    ),
    // Unused uploads are removed after a while; preparing again brings them back under the same name.
    row(
        "BlobNotFound",
        Transient,
        "upload_gone",
        "Bluesky has removed a file before the post came.",
        AGAIN,
    ),
    saying(
        "could not find blob",
        "",
        row(
            "",
            Transient,
            "upload_gone",
            "Bluesky has removed a file before the post came.",
            AGAIN,
        ),
    ),
    // Versions of the server word it as "Record/text must not be longer" or "too big … at $.record.text".
    saying(
        "record/text",
        "/text",
        row(
            "InvalidRequest",
            Content,
            "text_too_long",
            "The text is too long for Bluesky.",
            CHANGE,
        ),
    ),
    saying(
        "record.text",
        "/text",
        row(
            "InvalidRequest",
            Content,
            "text_too_long",
            "The text is too long for Bluesky.",
            CHANGE,
        ),
    ),
    saying(
        "embed",
        "/media",
        row(
            "InvalidRequest",
            Content,
            "embed_refused",
            "Bluesky refused the files or the card of the post.",
            CHANGE,
        ),
    ),
    row(
        "InvalidMimeType",
        Content,
        "media_type",
        "Bluesky does not take files of this type.",
        CHANGE,
    ),
    row(
        "BlobTooLarge",
        Content,
        "media_too_large",
        "A file is too large for this server.",
        CHANGE,
    ),
    row(
        "PayloadTooLarge",
        Content,
        "media_too_large",
        "A file is too large for this server.",
        CHANGE,
    ),
    with(
        Status::Is(413),
        row(
            "",
            Content,
            "media_too_large",
            "A file is too large for this server.",
            CHANGE,
        ),
    ),
    row(
        "InvalidSwap",
        Content,
        "changed_meanwhile",
        "The post was changed at Bluesky meanwhile.",
        "Look at the post at Bluesky.",
    ),
    row(
        "RateLimitExceeded",
        RateLimited,
        "rate_limited",
        "Bluesky takes no more calls from this account for now.",
        "It is tried again after the wait.",
    ),
    with(
        Status::Is(429),
        row(
            "",
            RateLimited,
            "rate_limited",
            "Bluesky takes no more calls for now.",
            "It is tried again after the wait.",
        ),
    ),
    row(
        "InvalidRequest",
        Content,
        "refused",
        "Bluesky refused the post.",
        CHANGE,
    ),
    with(
        Status::Is(401),
        row("", Reconnect, "token_refused", ENDED, RECONNECT),
    ),
    with(
        Status::Server,
        row("", Transient, "server_error", "Bluesky failed.", AGAIN),
    ),
];
