//! `PATCH /api/v1/workspaces/{ws}/posts/{post}`

use axum::{
    extract::State,
    http::{HeaderMap, header},
};
use so_model::{api::post::ChangePost, id::kind, post::Post, workspace::Role};

use crate::{
    app::{
        App,
        failure::{Failure, Outcome},
        posts,
    },
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::patch("/api/v1/workspaces/{ws}/posts/{post}", "posts.change", handle)
        .says("Changes a post that may still be changed")
        .explains("What is absent stays. The revision that is changed is named in the body or as If-Match; 409 tells the current one.")
        .for_members(Role::Editor)
        .takes::<ChangePost>()
        .answers::<Post>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(post): PathId<kind::Post>,
    headers: HeaderMap,
    Json(request): Json<ChangePost>,
) -> Outcome<Json<Post>> {
    let if_match = if_match(&headers)?;
    posts::change(&app, member.actor(), post, if_match, request)
        .await
        .map(Json)
}

fn if_match(headers: &HeaderMap) -> Outcome<Option<i64>> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim().trim_matches('"');
    let wrong = || {
        Failure::field(
            "/revision",
            "is no revision",
            "If-Match: \"3\" with the number of a revision",
        )
    };
    text.parse().map(Some).map_err(|_| wrong())
}
