//! `POST /api/v1/auth/login`

use axum::{extract::State, http::StatusCode, response::Response};
use so_model::api::auth::{LogIn, SignedIn};

use super::signed_in;
use crate::{
    app::{App, auth, auth::Client, failure::Outcome},
    http::{Endpoint, Json},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/auth/login", "auth.log_in", handle)
        .says("Opens a session")
        .explains(
            "Sets the refresh cookie. Too many wrong tries are answered with 429 and Retry-After.",
        )
        .for_everybody()
        .takes::<LogIn>()
        .answers::<SignedIn>(200)
}

async fn handle(
    State(app): State<App>,
    client: Client,
    Json(request): Json<LogIn>,
) -> Outcome<Response> {
    let (grant, me) = auth::log_in(&app, &client, request).await?;
    Ok(signed_in::answer(&app, StatusCode::OK, &grant, me))
}
