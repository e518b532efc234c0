//! `/api/v1/workspaces/{ws}/notifications`

mod list;
mod read;
mod read_all;
mod unread;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        list::endpoint(),
        unread::endpoint(),
        read::endpoint(),
        read_all::endpoint(),
    ]
}
