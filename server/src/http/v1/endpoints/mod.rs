//! `/api/v1/workspaces/{ws}/endpoints`

mod change;
mod create;
mod delete;
mod get;
mod list;
mod rotate;
mod test;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        list::endpoint(),
        create::endpoint(),
        get::endpoint(),
        change::endpoint(),
        rotate::endpoint(),
        test::endpoint(),
        delete::endpoint(),
    ]
}
