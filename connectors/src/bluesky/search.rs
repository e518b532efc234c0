//! Looking for a post whose name nobody remembers.
//!
//! Owns the search through an account's own records, for an attempt that belongs to a history which the
//! database lost. Invariant: "absent" is complete only if the list was read back to before the intent.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use so_model::{
    Timestamp,
    publication::{Attempt, Fingerprint},
    text::normalise,
    time::MINUTE,
};
use so_net::OutboundRequest;

use super::{
    KEY,
    read::name_of,
    record::COLLECTION,
    session::{DIALECT, pds_of, xrpc},
};
use crate::{ConnectorError, Found, PublishCx, call::text_of};

/// Most records that a server gives at once.
const PAGE: usize = 100;
/// Pages read: more than an account may publish in the time that matters.
const PAGES_MAX: usize = 10;
/// The moment in a record is that of the machine that made it.
const CLOCK_SLACK: i64 = 2 * MINUTE;

/// Looks for the attempt's content among the account's own records, the latest first.
pub(super) async fn by_content(
    cx: &PublishCx<'_>,
    attempt: &Attempt,
    bound: &[String],
) -> Result<Found, ConnectorError> {
    let pds = pds_of(cx.account)?;
    let since = attempt.intent_at.plus(-CLOCK_SLACK);
    let limit = PAGE.to_string();
    let mut cursor: Option<String> = None;
    let mut seen = BTreeSet::new();
    let mut matches = Vec::new();
    let mut complete = false;
    for _ in 0..PAGES_MAX {
        let mut params = vec![
            ("repo", cx.account.remote_id.as_str()),
            ("collection", COLLECTION),
            ("limit", limit.as_str()),
        ];
        params.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let url = xrpc(&pds, "com.atproto.repo.listRecords", &params)?;
        let answer = DIALECT.ask(cx.cx, || OutboundRequest::get(&url)).await?;
        let records = answer
            .get("records")
            .and_then(Value::as_array)
            .ok_or_else(|| ConnectorError::garbled(KEY, 200))?;
        let mut is_old = true;
        for record in records {
            let at = made_at(record);
            is_old &= at.is_some_and(|at| at < since);
            let Some(uri) = text_of(record, "uri") else {
                continue;
            };
            let fits = at.is_none_or(|at| at >= since) && fits(record, &attempt.fingerprint);
            if fits && !bound.contains(&uri) && seen.insert(uri.clone()) {
                matches.push((uri, text_of(record, "cid").unwrap_or_default()));
            }
        }
        cursor = text_of(&answer, "cursor");
        // Names sort by time, but anybody may choose one: a whole page has to be older.
        complete = records.is_empty() || cursor.is_none() || is_old;
        if complete {
            break;
        }
    }
    Ok(verdict(matches, complete))
}

fn made_at(record: &Value) -> Option<Timestamp> {
    let text = record.pointer("/value/createdAt")?.as_str()?;
    Timestamp::parse(text)
}

fn fits(record: &Value, wanted: &Fingerprint) -> bool {
    let text = record
        .pointer("/value/text")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let embed = record.pointer("/value/embed");
    let images = embed
        .and_then(|embed| embed.get("images"))
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    let videos = usize::from(embed.is_some_and(|embed| embed.get("video").is_some()));
    let parent = record
        .pointer("/value/reply/parent/uri")
        .and_then(Value::as_str);
    normalise(text) == wanted.text
        && images + videos == wanted.media
        && parent == wanted.reply_to.as_deref()
}

fn verdict(mut matches: Vec<(String, String)>, complete: bool) -> Found {
    if matches.len() > 1 {
        return Found::Several {
            remote_ids: matches.into_iter().map(|(uri, _)| uri).collect(),
        };
    }
    match matches.pop() {
        Some((uri, cid)) => Found::One {
            remote_url: name_of(&uri).ok().map(|name| name.permalink()),
            extra: json!({ "cid": cid }),
            remote_id: uri,
        },
        None => Found::Absent { complete },
    }
}
