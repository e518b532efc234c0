//! `/api/v1/catalogue`, `/api/v1/rule-schema.json` and `/api/v1/script-api.*`

mod get;
mod schema;
mod script_api;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        get::endpoint(),
        schema::endpoint(),
        script_api::definition_file(),
        script_api::completion_data(),
    ]
}
