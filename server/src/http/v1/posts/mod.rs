//! `/api/v1/workspaces/{ws}/posts`

mod approve;
mod change;
mod clear_recurrence;
mod counts;
mod create;
mod delete;
mod duplicate;
mod enqueue;
mod get;
mod list;
mod problems;
mod publish_now;
mod reject;
mod schedule;
mod set_recurrence;
mod submit;
mod unschedule;
mod why;

#[cfg(test)]
pub(super) mod fixture;
#[cfg(test)]
mod tests;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        list::endpoint(),
        create::endpoint(),
        counts::endpoint(),
        get::endpoint(),
        change::endpoint(),
        delete::endpoint(),
        duplicate::endpoint(),
        problems::endpoint(),
        why::endpoint(),
        schedule::endpoint(),
        unschedule::endpoint(),
        publish_now::endpoint(),
        enqueue::endpoint(),
        submit::endpoint(),
        approve::endpoint(),
        reject::endpoint(),
        set_recurrence::endpoint(),
        clear_recurrence::endpoint(),
    ]
}
