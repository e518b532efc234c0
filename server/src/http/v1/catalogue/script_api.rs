//! `GET /api/v1/script-api.d.rhai` and `GET /api/v1/script-api.json`

use axum::{extract::State, http::header, response::IntoResponse};
use so_engine::script::{completions, definitions};

use crate::{app::App, http::Endpoint};

const RHAI: &str = "text/plain; charset=utf-8";

pub(super) fn definition_file() -> Endpoint {
    Endpoint::get(
        "/api/v1/script-api.d.rhai",
        "catalogue.script_definitions",
        rhai,
    )
    .says("The functions of scripts as a definition file for editors")
    .for_everybody()
    .answers_other(200, RHAI)
}

pub(super) fn completion_data() -> Endpoint {
    Endpoint::get("/api/v1/script-api.json", "catalogue.script_api", data)
        .says("The functions and variables of scripts, for completion")
        .for_everybody()
        .answers_other(200, "application/json")
}

async fn rhai(State(app): State<App>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, RHAI)],
        definitions(&app.engine.scripts),
    )
}

async fn data(State(app): State<App>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/json")],
        completions(&app.engine.scripts).to_string(),
    )
}
