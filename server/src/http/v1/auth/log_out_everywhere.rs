//! `POST /api/v1/auth/logout-everywhere`

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};

use crate::{
    app::{App, failure::Outcome, sessions},
    http::{Endpoint, NoContent, SignedIn, cookie},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/auth/logout-everywhere",
        "auth.log_out_everywhere",
        handle,
    )
    .says("Ends every session of the person who asks, this one too")
    .for_signed_in()
    .answers_nothing()
}

async fn handle(State(app): State<App>, SignedIn(bearer): SignedIn) -> Outcome<Response> {
    sessions::end_all(&app, bearer.user).await?;
    let mut response = NoContent.into_response();
    cookie::take_away(response.headers_mut());
    Ok(response)
}
