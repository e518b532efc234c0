//! `/api/v1/previews`

mod feed;
mod rule;
mod schedule;
mod script;
mod signature;
mod text;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        schedule::endpoint(),
        feed::endpoint(),
        text::endpoint(),
        script::endpoint(),
        signature::endpoint(),
        rule::endpoint(),
    ]
}
