//! `/api/v1/workspaces/{ws}/labels`

mod change;
mod create;
mod delete;
mod list;

#[cfg(test)]
mod tests;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        list::endpoint(),
        create::endpoint(),
        change::endpoint(),
        delete::endpoint(),
    ]
}
