//! `DELETE /api/v1/workspaces/{ws}/posts/{post}`

use axum::extract::State;
use so_model::{api::post::PostDeleted, id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, posts},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::delete(
        "/api/v1/workspaces/{ws}/posts/{post}",
        "posts.delete",
        handle,
    )
    .says("Deletes the record of a post")
    .explains(
        "What is live at a network stays there. A post that is being sent or in doubt is refused.",
    )
    .for_members(Role::Editor)
    .answers::<PostDeleted>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(post): PathId<kind::Post>,
) -> Outcome<Json<PostDeleted>> {
    posts::delete(&app, member.actor(), post).await.map(Json)
}
