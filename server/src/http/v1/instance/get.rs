//! `GET /api/v1/instance`

use axum::extract::State;
use so_model::api::instance::InstanceState;

use crate::{
    app::{App, failure::Outcome, recovery},
    http::{Endpoint, Json, SignedIn},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/instance", "instance.get", handle)
        .says("Whether the server publishes")
        .explains(
            "A server that may be a copy of one that runs elsewhere is held: it publishes nothing, runs no rule and reads \
             no feed until its owner confirms it.",
        )
        .for_signed_in()
        .answers::<InstanceState>(200)
}

async fn handle(
    State(app): State<App>,
    SignedIn(bearer): SignedIn,
) -> Outcome<Json<InstanceState>> {
    Ok(Json(recovery::state(&app, Some(bearer.user)).await?))
}
