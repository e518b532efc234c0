//! `/api/v1/workspaces/{ws}/sandbox`

mod behave;
mod delete;
mod step;
mod timeline;

#[cfg(test)]
mod tests;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        timeline::endpoint(),
        behave::endpoint(),
        delete::endpoint(),
        step::endpoint(),
    ]
}
