//! `POST /api/v1/auth/password`

use axum::extract::State;
use so_model::api::auth::ChangePassword;

use crate::{
    app::{App, auth, auth::Client, failure::Outcome},
    http::{Endpoint, Json, NoContent, SignedIn},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/auth/password", "auth.change_password", handle)
        .says("Changes the password and ends every other session")
        .for_signed_in()
        .takes::<ChangePassword>()
        .answers_nothing()
}

async fn handle(
    State(app): State<App>,
    SignedIn(bearer): SignedIn,
    client: Client,
    Json(request): Json<ChangePassword>,
) -> Outcome<NoContent> {
    auth::change_password(&app, &client, bearer, request).await?;
    Ok(NoContent)
}
