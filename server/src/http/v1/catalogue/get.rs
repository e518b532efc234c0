//! `GET /api/v1/catalogue`

use axum::extract::State;
use so_model::api::rule::CatalogueView;

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Endpoint, Json, SignedIn},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/catalogue", "catalogue.get", handle)
        .says("Lists the triggers, actions, facts and functions that rules may name")
        .explains("Each with the JSON Schema of its parameters and a sample.")
        .for_signed_in()
        .answers::<CatalogueView>(200)
}

async fn handle(State(app): State<App>, _: SignedIn) -> Outcome<Json<CatalogueView>> {
    Ok(Json(rules::catalogue(&app)))
}
