//! `/api/v1/catalogue` and `/api/v1/rule-schema.json`

mod get;
mod schema;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![get::endpoint(), schema::endpoint()]
}
