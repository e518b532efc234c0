//! `/api/v1/workspaces/{ws}/feeds`

mod change;
mod create;
mod delete;
mod get;
mod import;
mod list;
mod poll;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        list::endpoint(),
        create::endpoint(),
        import::endpoint(),
        get::endpoint(),
        change::endpoint(),
        delete::endpoint(),
        poll::endpoint(),
    ]
}
