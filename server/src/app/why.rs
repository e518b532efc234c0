//! Why a rule started on an event, or did not, as people ask it.
//!
//! Owns the translation of what is missing. Invariant: an answer is about one workspace; what belongs to another is
//! not there.

use so_engine::why::{Missing, SpanError};
use so_model::{
    id::{EventId, PostId, RuleId, WorkspaceId},
    time::DAY,
    why::{Why, WhyPost, WhySpan, WhySpanQuery},
};
use so_store::posts;

use super::{
    App,
    failure::{Failure, Outcome},
};

/// Span that is looked at when none is named.
const SPAN_DEFAULT: i64 = DAY;

/// Why a rule started on an event, or did not.
pub async fn event(
    app: &App,
    workspace: WorkspaceId,
    event: EventId,
    rule: RuleId,
) -> Outcome<Why> {
    app.engine
        .why(workspace, event, rule)
        .await?
        .map_err(missing)
}

/// Why a rule did not start in a span.
pub async fn span(
    app: &App,
    workspace: WorkspaceId,
    rule: RuleId,
    query: &WhySpanQuery,
) -> Outcome<WhySpan> {
    let until = query.until.unwrap_or_else(|| app.now());
    let from = query.from.unwrap_or_else(|| until.plus(-SPAN_DEFAULT));
    let answer = app.engine.why_span(workspace, rule, from, until).await?;
    answer.map_err(|error| match error {
        SpanError::Missing(what) => missing(what),
        SpanError::Backwards => Failure::field("/from", "is later than until", "an earlier moment"),
        SpanError::TooLong => Failure::field(
            "/from",
            "is more than 31 days before until",
            "a span of at most 31 days",
        ),
    })
}

/// What a rule made of everything that happened to a post.
pub async fn post(
    app: &App,
    workspace: WorkspaceId,
    post: PostId,
    rule: RuleId,
) -> Outcome<WhyPost> {
    if posts::find(&mut app.reader(), workspace, post)
        .await?
        .is_none()
    {
        return Err(Failure::not_found("post"));
    }
    app.engine
        .why_post(workspace, post, rule)
        .await?
        .map_err(missing)
}

fn missing(what: Missing) -> Failure {
    Failure::not_found(match what {
        Missing::Event => "event",
        Missing::Rule => "rule",
    })
}
