//! `POST /api/v1/previews/script`

use axum::extract::State;
use so_model::api::preview::{PreviewScript, ScriptPreview};

use crate::{
    app::{App, failure::Outcome, previews},
    http::{Endpoint, Json, SignedIn},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/previews/script", "previews.script", handle)
        .says("Runs a script in the sandbox on an event")
        .explains("Answers 200 also for a script that fails: the error is what was asked for.")
        .for_signed_in()
        .takes::<PreviewScript>()
        .answers::<ScriptPreview>(200)
}

async fn handle(
    State(app): State<App>,
    _: SignedIn,
    Json(request): Json<PreviewScript>,
) -> Outcome<Json<ScriptPreview>> {
    previews::script(&app, request).await.map(Json)
}
