//! `GET /api/v1/me`

use axum::extract::State;
use so_model::api::auth::Me;

use crate::{
    app::{App, auth, failure::Outcome},
    http::{Endpoint, Json, SignedIn},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/me", "me.get", handle)
        .says("The person who asks, and their workspaces")
        .for_signed_in()
        .answers::<Me>(200)
}

async fn handle(State(app): State<App>, SignedIn(bearer): SignedIn) -> Outcome<Json<Me>> {
    auth::me(&app, bearer.user).await.map(Json)
}
