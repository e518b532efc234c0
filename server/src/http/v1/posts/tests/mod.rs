//! Posts in process.

mod approving;
mod going_out;
mod writing;

use serde_json::Value;

use super::fixture::post_path;
use crate::testing::{Answer, Person, TestApp};

/// Does something to a post that needs no body.
async fn go(test: &TestApp, person: &Person, post: &Value, rest: &str) -> Answer {
    let call = test.call("POST", &post_path(person, post, rest));
    call.bearer(&person.token).send().await
}
