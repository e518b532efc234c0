//! Finding, deleting and counting statuses.
//!
//! Owns the search for a doubtful status. Must not bind a status that belongs
//! to another publication. Invariant: "absent" is complete only if the list
//! was read back to before the intent.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;
use so_model::{
    account::Account,
    publication::Attempt,
    time::{MINUTE, SECOND},
};
use so_net::{Method, OutboundRequest};

use super::{DIALECT, KEY, instance, sign_in::access_token, wire};
use crate::{
    ConnectorError, Cx, Deleted, ErrorClass, Found, Metrics, PublishCx, SecretValue,
    call::{clock_behind, text_of, url_of},
};

/// Most statuses that the API gives at once.
const PAGE: usize = 40;
/// Pages read in search of a status: more than an account may publish in the time that matters.
const MAX_PAGES: usize = 10;
/// The server's clock may differ from ours.
const CLOCK_SLACK: i64 = 2 * MINUTE;
/// Wait when the server cannot be asked.
const ASK_AGAIN: i64 = 30 * SECOND;
/// Statuses counted in one go.
const MAX_METRICS: usize = 40;

/// Looks for an attempt among the account's own statuses.
pub(super) async fn find(cx: &PublishCx<'_>, attempt: &Attempt, bound: &[String]) -> Found {
    match search(cx, attempt, bound).await {
        Ok(found) => found,
        Err(error) => match error.class {
            // Nobody can look before the account is connected again.
            ErrorClass::Reconnect | ErrorClass::AccountProblem | ErrorClass::Config => {
                Found::CannotTell {
                    reason: error.message,
                }
            }
            _ => Found::TryLater {
                after: error.retry_after.unwrap_or(ASK_AGAIN),
            },
        },
    }
}

async fn search(
    cx: &PublishCx<'_>,
    attempt: &Attempt,
    bound: &[String],
) -> Result<Found, ConnectorError> {
    let base = instance::base_of(&cx.account.settings)?;
    let me =
        text_of(&cx.account.settings, "account_id").unwrap_or_else(|| cx.account.remote_id.clone());
    let mut since = attempt.intent_at.plus(-CLOCK_SLACK);
    let mut seen = HashSet::new();
    let mut matches = Vec::new();
    let mut complete = false;
    let mut max_id: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let (page, behind) = page(cx, &base, &me, max_id.as_deref()).await?;
        // A server whose clock is behind dates a post to before its intent.
        since = since.min(attempt.intent_at.plus(-CLOCK_SLACK - behind));
        let is_older = |status: &wire::Status| status.created_at.is_some_and(|at| at < since);
        let count = page.len();
        let new: Vec<wire::Status> = page
            .into_iter()
            .filter(|status| seen.insert(status.id.clone()))
            .collect();
        let Some(last) = new.last().map(|status| status.id.clone()) else {
            // Either the end, or a server that knows no pages and gave all it has on the first one.
            complete = count < PAGE;
            break;
        };
        // Pinned or back-dated posts may be out of order, so the whole page has to be older.
        complete = new.iter().all(is_older);
        matches.extend(new.into_iter().filter(|status| {
            !is_older(status) && !bound.contains(&status.id) && fits(status, attempt)
        }));
        if complete {
            break;
        }
        max_id = Some(last);
    }
    Ok(verdict(matches, complete))
}

async fn page(
    cx: &PublishCx<'_>,
    base: &str,
    me: &str,
    max_id: Option<&str>,
) -> Result<(Vec<wire::Status>, i64), ConnectorError> {
    let limit = PAGE.to_string();
    let mut query = vec![("limit", limit.as_str()), ("exclude_reblogs", "true")];
    query.extend(max_id.map(|id| ("max_id", id)));
    let url = url_of(
        KEY,
        base,
        &["api", "v1", "accounts", me, "statuses"],
        &query,
    )?;
    let token = access_token(cx.token)?;
    let answer = DIALECT
        .ask_whole(cx.cx, || OutboundRequest::get(&url).bearer(token))
        .await?;
    let behind = clock_behind(&answer, cx.now);
    let list = DIALECT.read(cx.cx, &answer)?;
    let list = list
        .as_array()
        .ok_or_else(|| ConnectorError::garbled(KEY, 200))?;
    Ok((list.iter().filter_map(wire::read_status).collect(), behind))
}

fn fits(status: &wire::Status, attempt: &Attempt) -> bool {
    let wanted = &attempt.fingerprint;
    status.text == wanted.text && status.media == wanted.media && status.reply_to == wanted.reply_to
}

fn verdict(mut matches: Vec<wire::Status>, complete: bool) -> Found {
    if matches.len() > 1 {
        return Found::Several {
            remote_ids: matches.into_iter().map(|status| status.id).collect(),
        };
    }
    match matches.pop() {
        Some(status) => Found::One {
            remote_id: status.id,
            remote_url: status.url,
            extra: status.extra,
        },
        None => Found::Absent { complete },
    }
}

/// Deletes a status.
pub(super) async fn delete(
    cx: &Cx,
    account: &Account,
    token: &SecretValue,
    remote_id: &str,
) -> Result<Deleted, ConnectorError> {
    let base = instance::base_of(&account.settings)?;
    let url = url_of(KEY, &base, &["api", "v1", "statuses", remote_id], &[])?;
    let request = OutboundRequest::new(Method::DELETE, &url).bearer(access_token(token)?);
    match DIALECT.call(cx, request).await {
        Ok(_) => Ok(Deleted::Gone),
        Err(error) if error.class == ErrorClass::Gone => {
            let access = access_token(token)?;
            match DIALECT
                .ask(cx, || OutboundRequest::get(&url).bearer(access))
                .await
            {
                Err(error) if error.class == ErrorClass::Gone => Ok(Deleted::NotThere),
                Err(error) => Err(error),
                // The call is what is not there.
                Ok(_) => Err(cannot_delete()),
            }
        }
        Err(error) => Err(error),
    }
}

fn cannot_delete() -> ConnectorError {
    ConnectorError::new(
        ErrorClass::Unknown,
        "mastodon.cannot_delete",
        "The server does not let programs delete posts.",
    )
    .next_step("Delete the post at the server.")
}

/// Counts as the account's own server knows them.
pub(super) async fn metrics(
    cx: &Cx,
    account: &Account,
    token: &SecretValue,
    remote_ids: &[String],
) -> Result<Vec<Metrics>, ConnectorError> {
    let base = instance::base_of(&account.settings)?;
    let mut all = Vec::new();
    // One by one: the call for several is missing before version 4.3 and in most other servers.
    for id in remote_ids.iter().take(MAX_METRICS) {
        let url = url_of(KEY, &base, &["api", "v1", "statuses", id], &[])?;
        match DIALECT
            .call(cx, OutboundRequest::get(url).bearer(access_token(token)?))
            .await
        {
            Ok(status) => all.push(Metrics {
                remote_id: id.clone(),
                values: counts(&status),
            }),
            Err(error) if error.class == ErrorClass::Gone => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

pub(super) fn counts(status: &Value) -> BTreeMap<String, i64> {
    [
        ("replies", "replies_count"),
        ("reposts", "reblogs_count"),
        ("likes", "favourites_count"),
        ("quotes", "quotes_count"),
    ]
    .into_iter()
    .filter_map(|(ours, theirs)| Some((ours.to_owned(), status.get(theirs)?.as_i64()?)))
    .collect()
}
