//! `/api/v1/workspaces/{ws}/accounts`

mod callback;
mod check;
mod get;
mod list;
mod pause;
mod reconnect;
mod remove;
mod resume;
mod sign_in;

#[cfg(test)]
mod tests;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        list::endpoint(),
        sign_in::endpoint(),
        get::endpoint(),
        pause::endpoint(),
        resume::endpoint(),
        check::endpoint(),
        remove::endpoint(),
        reconnect::endpoint(),
        callback::endpoint(),
    ]
}
