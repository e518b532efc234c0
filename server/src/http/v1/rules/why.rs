//! `GET /api/v1/workspaces/{ws}/rules/{rule}/why`

use axum::extract::State;
use so_model::{
    id::kind,
    why::{WhySpan, WhySpanQuery},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, why},
    http::{Endpoint, Json, Member, PathId, Query},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/rules/{rule}/why", "rules.why", handle)
        .says("Tells why a rule did not start in a span of time")
        .explains("The events of the kinds it listens to with their outcomes, its schedule around the span, and when it was switched. At most 31 days.")
        .for_members(Role::Viewer)
        .asks::<WhySpanQuery>()
        .answers::<WhySpan>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
    Query(query): Query<WhySpanQuery>,
) -> Outcome<Json<WhySpan>> {
    why::span(&app, member.workspace, id, &query)
        .await
        .map(Json)
}
