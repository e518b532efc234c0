//! Reads one answer in every way in which this API's answers are read, for the fuzzer.
//!
//! Owns nothing of the product. Invariant: no call is made.

use serde_json::Value;
use so_net::OutboundResponse;

use super::{DIALECT, html, instance, wire};
use crate::{CommitOutcome, call::clock_behind, conformance::fixture};

/// Reads an answer; what it would mean as the answer to a commit.
pub fn read(answer: &OutboundResponse) -> Option<CommitOutcome> {
    let now = fixture::NOW;
    drop(DIALECT.error(now, answer));
    clock_behind(answer, now);
    let body: Value = answer.json().unwrap_or(Value::Null);
    drop(instance::Limits::of(&body));
    drop(instance::Limits::of_instance(&body));
    for status in body.as_array().into_iter().flatten() {
        drop(wire::read_status(status));
        drop(super::read::counts(status));
    }
    drop(html::comparable(&html::to_text(&answer.text())));
    wire::published(answer)
}
