//! `/api/v1/workspaces/{ws}/media`

mod change;
mod delete;
mod file;
mod get;
mod list;
mod upload;

#[cfg(test)]
mod tests;

pub use upload::read_form;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        upload::endpoint(),
        list::endpoint(),
        get::endpoint(),
        change::endpoint(),
        delete::endpoint(),
        file::endpoint(),
    ]
}
