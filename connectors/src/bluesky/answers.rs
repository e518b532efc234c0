//! Reads one answer in every way in which this protocol's answers are read, for the fuzzer.
//!
//! Owns nothing of the product. Invariant: no call is made.

use std::{collections::BTreeMap, sync::LazyLock};

use serde_json::Value;
use so_net::OutboundResponse;

use super::{facets as marks, publish, read as reading, session};
use crate::{CommitOutcome, Cx, conformance::fixture};

/// Made once: it holds a client.
static CX: LazyLock<Cx> = LazyLock::new(fixture::cx);

/// Reads an answer; what it would mean as the answer to a commit.
pub fn read(answer: &OutboundResponse) -> Option<CommitOutcome> {
    drop(session::DIALECT.error(fixture::NOW, answer));
    let body: Value = answer.json().unwrap_or(Value::Null);
    drop(session::read_session(&CX, &body));
    drop(reading::counts(&body));
    drop(publish::Progress::read(&body));
    if let Some(uri) = body.get("uri").and_then(Value::as_str)
        && let Ok(name) = reading::name_of(uri)
    {
        drop(name.permalink());
    }
    publish::published(answer)
}

/// Handles that a text mentions.
pub fn mentioned(text: &str) -> Vec<String> {
    marks::mentioned(text)
}

/// The marks of a text.
pub fn facets(text: &str, dids: &BTreeMap<String, String>) -> Vec<Value> {
    marks::facets(text, dids)
}
