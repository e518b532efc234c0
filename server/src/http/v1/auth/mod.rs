//! `/api/v1/auth`: registering, sessions, the password.

mod change_password;
mod end_session;
mod list_sessions;
mod log_in;
mod log_out;
mod log_out_everywhere;
mod refresh;
mod register;
mod signed_in;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        register::endpoint(),
        log_in::endpoint(),
        refresh::endpoint(),
        log_out::endpoint(),
        log_out_everywhere::endpoint(),
        list_sessions::endpoint(),
        end_session::endpoint(),
        change_password::endpoint(),
    ]
}
