//! `GET /api/v1/rule-schema.json`

use axum::{http::header, response::IntoResponse};

use crate::http::Endpoint;

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/rule-schema.json", "catalogue.schema", handle)
        .says("The JSON Schema of the rule document")
        .explains(
            "For editors of one's own. Parameters of triggers and actions are in the catalogue.",
        )
        .for_everybody()
        .answers_other(200, "application/schema+json")
}

async fn handle() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/schema+json")],
        so_engine::rule::schema().to_string(),
    )
}
