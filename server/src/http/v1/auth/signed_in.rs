//! The answer that registering, logging in and refreshing share.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use so_model::{
    api::auth::{Me, SignedIn, Tokens},
    time::SECOND,
};

use crate::{
    app::{App, sessions::Grant, tokens::ACCESS_SPAN},
    http::{Json, cookie},
};

/// Tokens in the body and in the cookie.
pub(super) fn answer(app: &App, status: StatusCode, grant: &Grant, me: Me) -> Response {
    let tokens = Tokens {
        access_token: grant.access_token.clone(),
        token_type: "Bearer".into(),
        expires_in: ACCESS_SPAN / SECOND,
    };
    let mut response = (status, Json(SignedIn { tokens, me })).into_response();
    cookie::set(app, response.headers_mut(), grant);
    response
}
