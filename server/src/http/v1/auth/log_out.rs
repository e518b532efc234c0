//! `POST /api/v1/auth/logout`

use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use crate::{
    app::{App, failure::Outcome, sessions},
    http::{Endpoint, NoContent, cookie},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/auth/logout", "auth.log_out", handle)
        .says("Ends the session of the refresh cookie")
        .explains("Takes the cookie away. Done also when the session had ended before.")
        .for_everybody()
        .answers_nothing()
}

async fn handle(State(app): State<App>, headers: HeaderMap) -> Outcome<Response> {
    if let Some(token) = cookie::read(&app, &headers)? {
        sessions::end_by_token(&app, &token).await?;
    }
    let mut response = NoContent.into_response();
    cookie::take_away(response.headers_mut());
    Ok(response)
}
