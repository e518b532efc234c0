//! `POST /api/v1/previews/text`

use axum::extract::State;
use so_model::api::preview::{PreviewText, TextPreview};

use crate::{
    app::{App, failure::Outcome, previews},
    http::{Endpoint, Json, SignedIn},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/previews/text", "previews.text", handle)
        .says("Measures a content for networks and accounts")
        .for_signed_in()
        .takes::<PreviewText>()
        .answers::<TextPreview>(200)
}

async fn handle(
    State(app): State<App>,
    SignedIn(bearer): SignedIn,
    Json(request): Json<PreviewText>,
) -> Outcome<Json<TextPreview>> {
    previews::text(&app, bearer.user, request).await.map(Json)
}
