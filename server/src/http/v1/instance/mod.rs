//! `/api/v1/instance`: the server itself.

mod confirm;
mod get;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![get::endpoint(), confirm::endpoint()]
}
