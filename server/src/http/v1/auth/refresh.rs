//! `POST /api/v1/auth/refresh`

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use so_model::api::auth::SignedIn;

use super::signed_in;
use crate::{
    app::{
        App, auth,
        failure::{Failure, Outcome},
        sessions,
    },
    http::{Endpoint, cookie},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/auth/refresh", "auth.refresh", handle)
        .says("Exchanges the refresh cookie for new tokens")
        .explains(
            "Each refresh token is good once. A former one that comes back later than ten seconds after its exchange \
             ends the session, because somebody may have copied it.",
        )
        .for_everybody()
        .answers::<SignedIn>(200)
}

async fn handle(State(app): State<App>, headers: HeaderMap) -> Outcome<Response> {
    let token = cookie::read(&app, &headers)?.ok_or_else(Failure::signed_out)?;
    let grant = sessions::refresh(&app, &token).await?;
    let me = auth::me(&app, grant.bearer.user).await?;
    Ok(signed_in::answer(&app, StatusCode::OK, &grant, me))
}
