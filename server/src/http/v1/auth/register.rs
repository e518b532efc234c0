//! `POST /api/v1/auth/register`

use axum::{extract::State, http::StatusCode, response::Response};
use so_model::api::auth::{Register, SignedIn};

use super::signed_in;
use crate::{
    app::{App, auth, auth::Client, failure::Outcome},
    http::{Endpoint, Json},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/auth/register", "auth.register", handle)
        .says("Makes an account with a workspace of its own, and signs in")
        .explains("Sets the refresh cookie. Refused with 403 where the owner of the instance has closed registration.")
        .for_everybody()
        .takes::<Register>()
        .answers::<SignedIn>(201)
}

async fn handle(
    State(app): State<App>,
    client: Client,
    Json(request): Json<Register>,
) -> Outcome<Response> {
    let (grant, me) = auth::register(&app, &client, request).await?;
    Ok(signed_in::answer(&app, StatusCode::CREATED, &grant, me))
}
