//! `POST /api/v1/previews/feed`

use axum::extract::State;
use so_model::api::preview::{FeedPreview, PreviewFeed};

use crate::{
    app::{App, failure::Outcome, previews},
    http::{Endpoint, Json, SignedIn},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/previews/feed", "previews.feed", handle)
        .says("Shows the items of a feed")
        .for_signed_in()
        .takes::<PreviewFeed>()
        .body_max(8 * 1024 * 1024)
        .answers::<FeedPreview>(200)
}

async fn handle(
    State(app): State<App>,
    _: SignedIn,
    Json(request): Json<PreviewFeed>,
) -> Outcome<Json<FeedPreview>> {
    previews::feed(&app, request).await.map(Json)
}
