//! `/api/v1/workspaces/{ws}/live`

mod stream;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![stream::endpoint()]
}
