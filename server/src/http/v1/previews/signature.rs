//! `POST /api/v1/previews/signature`

use axum::extract::State;
use so_model::api::preview::{PreviewSignature, SignaturePreview};

use crate::{
    app::{App, failure::Outcome, previews},
    http::{Endpoint, Json, SignedIn},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/previews/signature", "previews.signature", handle)
        .says("Verifies a webhook call")
        .for_signed_in()
        .takes::<PreviewSignature>()
        .answers::<SignaturePreview>(200)
}

async fn handle(
    State(app): State<App>,
    _: SignedIn,
    Json(request): Json<PreviewSignature>,
) -> Outcome<Json<SignaturePreview>> {
    Ok(Json(previews::signature(&app, &request)))
}
