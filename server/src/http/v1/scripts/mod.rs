//! `/api/v1/workspaces/{ws}/scripts`: the script library

mod api;
mod check;
mod delete;
mod get;
mod get_version;
mod list;
mod list_versions;
mod name;
mod put;
mod restore;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        list::endpoint(),
        get::endpoint(),
        put::endpoint(),
        check::endpoint(),
        delete::endpoint(),
        list_versions::endpoint(),
        get_version::endpoint(),
        restore::endpoint(),
        api::definition_file(),
        api::completion_data(),
    ]
}
