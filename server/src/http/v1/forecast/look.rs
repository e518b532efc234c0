//! `GET /api/v1/workspaces/{ws}/forecast`

use axum::extract::State;
use so_model::{api::forecast::ForecastQuery, forecast::Forecast, workspace::Role};

use crate::{
    app::{App, failure::Outcome, forecast},
    http::{Endpoint, Json, Member, Query},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/forecast", "forecast.look", handle)
        .says("Tells what would go out in the weeks to come")
        .explains("Played on a clock of its own by the rules, queues and posts as they are now. Nothing is stored, and nobody is called; what depends on the outside is listed as unknown.")
        .for_members(Role::Viewer)
        .asks::<ForecastQuery>()
        .answers::<Forecast>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Query(query): Query<ForecastQuery>,
) -> Outcome<Json<Forecast>> {
    forecast::look(&app, member.workspace, query)
        .await
        .map(Json)
}
