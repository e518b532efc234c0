//! `POST /api/v1/previews/schedule`

use axum::extract::State;
use so_model::api::preview::{PreviewSchedule, SchedulePreview};

use crate::{
    app::{App, failure::Outcome, previews},
    http::{Endpoint, Json, SignedIn},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/previews/schedule", "previews.schedule", handle)
        .says("Tells the next moments of a schedule or trigger")
        .explains("Each moment comes with what was decided where clocks change.")
        .for_signed_in()
        .takes::<PreviewSchedule>()
        .answers::<SchedulePreview>(200)
}

async fn handle(
    State(app): State<App>,
    _: SignedIn,
    Json(request): Json<PreviewSchedule>,
) -> Outcome<Json<SchedulePreview>> {
    previews::schedule(&app, request).await.map(Json)
}
