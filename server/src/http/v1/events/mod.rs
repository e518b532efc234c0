//! `/api/v1/workspaces/{ws}/events`

mod get;
mod list;
mod why;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![list::endpoint(), get::endpoint(), why::endpoint()]
}
