//! `GET /api/v1/workspaces/{ws}/posts/{post}/why`

use axum::extract::State;
use so_model::{
    id::kind,
    why::{WhyPost, WhyQuery},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, why},
    http::{Endpoint, Json, Member, PathId, Query},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/posts/{post}/why",
        "posts.why",
        handle,
    )
    .says("Tells what a rule made of everything that happened to a post")
    .explains("One answer for each of the latest 50 events about the post, as events.why gives it.")
    .for_members(Role::Viewer)
    .asks::<WhyQuery>()
    .answers::<WhyPost>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Post>,
    Query(query): Query<WhyQuery>,
) -> Outcome<Json<WhyPost>> {
    why::post(&app, member.workspace, id, query.rule)
        .await
        .map(Json)
}
