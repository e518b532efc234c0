//! `/api/v1/workspaces/{ws}/networks`

mod list;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![list::endpoint()]
}
