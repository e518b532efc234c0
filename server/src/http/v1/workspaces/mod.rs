//! `/api/v1/workspaces`

mod change;
mod create;
mod get;
mod list;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        list::endpoint(),
        create::endpoint(),
        get::endpoint(),
        change::endpoint(),
    ]
}
