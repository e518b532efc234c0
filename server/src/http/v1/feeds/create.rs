//! `POST /api/v1/workspaces/{ws}/feeds`

use axum::extract::State;
use so_model::{
    api::feed::{CreateFeed, FeedView},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, feeds},
    http::{Created, Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/workspaces/{ws}/feeds", "feeds.create", handle)
        .says("Subscribes a feed; it is read at once")
        .explains("Items that are there already start no rule unless announce_existing asks for some of the newest. A web page is refused with the feeds it names.")
        .for_members(Role::Editor)
        .takes::<CreateFeed>()
        .answers::<FeedView>(201)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Json(request): Json<CreateFeed>,
) -> Outcome<Created<FeedView>> {
    feeds::create(&app, member.workspace, &request)
        .await
        .map(Created)
}
