//! `GET /api/v1/workspaces/{ws}/script-api.d.rhai` and `GET /api/v1/workspaces/{ws}/script-api.json`

use axum::{extract::State, http::header, response::IntoResponse};
use so_engine::script::{completions, definitions};
use so_model::workspace::Role;

use crate::{
    app::{App, failure::Outcome},
    http::{Endpoint, Member},
};

const RHAI: &str = "text/plain; charset=utf-8";

pub(super) fn definition_file() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/script-api.d.rhai",
        "scripts.definitions",
        rhai,
    )
    .says("The functions of scripts and of the library as a definition file for editors")
    .for_members(Role::Viewer)
    .answers_other(200, RHAI)
}

pub(super) fn completion_data() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/script-api.json",
        "scripts.completions",
        data,
    )
    .says("The functions and variables of scripts and of the library, for completion")
    .for_members(Role::Viewer)
    .answers_other(200, "application/json")
}

async fn rhai(State(app): State<App>, member: Member) -> Outcome<impl IntoResponse> {
    let scripts = app.engine.scripts_now(member.workspace).await?;
    Ok(([(header::CONTENT_TYPE, RHAI)], definitions(&scripts)))
}

async fn data(State(app): State<App>, member: Member) -> Outcome<impl IntoResponse> {
    let scripts = app.engine.scripts_now(member.workspace).await?;
    let data = completions(&scripts).to_string();
    Ok(([(header::CONTENT_TYPE, "application/json")], data))
}
