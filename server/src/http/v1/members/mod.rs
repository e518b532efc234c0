//! `/api/v1/workspaces/{ws}/members`

mod add;
mod change;
mod list;
mod remove;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        list::endpoint(),
        add::endpoint(),
        change::endpoint(),
        remove::endpoint(),
    ]
}
