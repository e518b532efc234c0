//! `/api/v1/workspaces/{ws}/queues`

mod change;
mod create;
mod delete;
mod get;
mod list;
mod slots;

#[cfg(test)]
mod tests;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        list::endpoint(),
        create::endpoint(),
        get::endpoint(),
        change::endpoint(),
        delete::endpoint(),
        slots::endpoint(),
    ]
}
