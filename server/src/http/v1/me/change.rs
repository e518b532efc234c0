//! `PATCH /api/v1/me`

use axum::extract::State;
use so_model::api::auth::{ChangeMe, Me};

use crate::{
    app::{App, auth, failure::Outcome},
    http::{Endpoint, Json, SignedIn},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::patch("/api/v1/me", "me.change", handle)
        .says("Changes the name of the person who asks")
        .for_signed_in()
        .takes::<ChangeMe>()
        .answers::<Me>(200)
}

async fn handle(
    State(app): State<App>,
    SignedIn(bearer): SignedIn,
    Json(request): Json<ChangeMe>,
) -> Outcome<Json<Me>> {
    auth::rename(&app, bearer.user, &request.name)
        .await
        .map(Json)
}
