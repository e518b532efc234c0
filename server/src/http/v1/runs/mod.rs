//! `/api/v1/workspaces/{ws}/runs`

mod cancel;
mod get;
mod list;
mod rerun;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        list::endpoint(),
        get::endpoint(),
        cancel::endpoint(),
        rerun::endpoint(),
    ]
}
