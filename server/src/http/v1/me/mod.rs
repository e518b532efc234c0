//! `/api/v1/me`: the person who asks.

mod change;
mod get;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![get::endpoint(), change::endpoint()]
}
