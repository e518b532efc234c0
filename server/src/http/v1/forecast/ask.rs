//! `POST /api/v1/workspaces/{ws}/forecast`

use axum::extract::State;
use so_model::{api::forecast::ForecastRequest, forecast::Forecast, workspace::Role};

use crate::{
    app::{App, failure::Outcome, forecast},
    http::{Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/workspaces/{ws}/forecast", "forecast.ask", handle)
        .says("Tells what would go out in the weeks to come by other rules")
        .explains("As by GET, with rules as they might be: drafts beside the saved rules or in their place, and saved rules as if they were off. Nothing is stored, and nobody is called.")
        .for_members(Role::Editor)
        .takes::<ForecastRequest>()
        .answers::<Forecast>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Json(request): Json<ForecastRequest>,
) -> Outcome<Json<Forecast>> {
    forecast::ask(&app, member.workspace, request)
        .await
        .map(Json)
}
