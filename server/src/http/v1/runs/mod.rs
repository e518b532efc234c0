//! `/api/v1/workspaces/{ws}/runs`

mod bulk;
mod cancel;
mod case;
mod compare;
mod get;
mod list;
mod redrive;
mod rerun;
mod what_if;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        list::endpoint(),
        get::endpoint(),
        case::endpoint(),
        cancel::endpoint(),
        redrive::endpoint(),
        rerun::endpoint(),
        what_if::endpoint(),
        bulk::endpoint(),
        compare::endpoint(),
    ]
}
