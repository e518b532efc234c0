//! Finding, deleting and counting posts.
//!
//! Owns questions about posts that may be there. Must not ask the readers'
//! view whether a post exists: it lags. Invariant: the account's own server
//! answers by name, so its "not there" is complete.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use so_model::{account::Account, publication::Attempt, time::SECOND};
use so_net::OutboundRequest;

use super::{
    KEY,
    publish::Progress,
    record::COLLECTION,
    search,
    session::{DIALECT, Repo, pds_of, xrpc},
};
use crate::{
    ConnectorError, Cx, Deleted, ErrorClass, Found, Metrics, PublishCx, SecretValue, call::text_of,
};

/// The readers' view; answers without a session.
const APP_VIEW: &str = "https://public.api.bsky.app";
/// Posts counted with one call.
const COUNTED_AT_ONCE: usize = 25;
/// Posts counted in one go.
const MAX_METRICS: usize = 100;
/// Wait when the server cannot be asked.
const ASK_AGAIN: i64 = 15 * SECOND;

/// The parts of `at://did/collection/rkey`.
pub(super) struct Name {
    pub did: String,
    pub rkey: String,
}

impl Name {
    /// Where people see the post.
    pub fn permalink(&self) -> String {
        format!("https://bsky.app/profile/{}/post/{}", self.did, self.rkey)
    }
}

/// Reads a post's name.
pub(super) fn name_of(uri: &str) -> Result<Name, ConnectorError> {
    let parts: Vec<&str> = uri.strip_prefix("at://").unwrap_or("").split('/').collect();
    match parts.as_slice() {
        [did, COLLECTION, rkey] if did.starts_with("did:") && !rkey.is_empty() => Ok(Name {
            did: (*did).to_owned(),
            rkey: (*rkey).to_owned(),
        }),
        _ => Err(ConnectorError::new(
            ErrorClass::Gone,
            "bluesky.not_a_post",
            "That is not the name of a post at Bluesky.",
        )),
    }
}

/// A record that is there.
pub(super) struct Record {
    pub uri: String,
    pub cid: String,
}

/// Asks the account's server for a record by name.
pub(super) async fn get_record(
    cx: &PublishCx<'_>,
    rkey: &str,
) -> Result<Option<Record>, ConnectorError> {
    // Records are public: what was published can be found even after the session has ended.
    let pds = pds_of(cx.account)?;
    let params = [
        ("repo", cx.account.remote_id.as_str()),
        ("collection", COLLECTION),
        ("rkey", rkey),
    ];
    let url = xrpc(&pds, "com.atproto.repo.getRecord", &params)?;
    match DIALECT.ask(cx.cx, || OutboundRequest::get(&url)).await {
        Ok(answer) => match (text_of(&answer, "uri"), text_of(&answer, "cid")) {
            (Some(uri), Some(cid)) => Ok(Some(Record { uri, cid })),
            _ => Err(ConnectorError::garbled(KEY, 200)),
        },
        Err(error) if error.class == ErrorClass::Gone => Ok(None),
        Err(error) => Err(error),
    }
}

/// Looks for the post by the name that was fixed before its first commit. Where that name was lost with the
/// history it was fixed in, by what it says.
pub(super) async fn find(
    cx: &PublishCx<'_>,
    progress: &Value,
    attempt: &Attempt,
    bound: &[String],
) -> Found {
    let rkey = Progress::read(progress).rkey;
    let found = match rkey.is_empty() {
        true => search::by_content(cx, attempt, bound).await,
        false => get_record(cx, &rkey).await.map(by_name),
    };
    match found {
        Ok(found) => found,
        Err(error) => match error.class {
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

fn by_name(record: Option<Record>) -> Found {
    match record {
        Some(record) => Found::One {
            remote_url: name_of(&record.uri).ok().map(|name| name.permalink()),
            extra: json!({ "cid": record.cid }),
            remote_id: record.uri,
        },
        None => Found::Absent { complete: true },
    }
}

/// Deletes a post.
pub(super) async fn delete(
    cx: &Cx,
    account: &Account,
    token: &SecretValue,
    remote_id: &str,
) -> Result<Deleted, ConnectorError> {
    let repo = Repo::of(account, token)?;
    let name = name_of(remote_id)?;
    let request = repo
        .procedure("com.atproto.repo.deleteRecord")?
        .json(&json!({
            "repo": repo.did, "collection": COLLECTION, "rkey": name.rkey,
        }));
    match DIALECT.call(cx, request).await {
        // A deletion that changed something answers with the commit it made.
        Ok(answer) if answer.get("commit").is_some() => Ok(Deleted::Gone),
        Ok(_) => Ok(Deleted::NotThere),
        Err(error) if error.class == ErrorClass::Gone => Ok(Deleted::NotThere),
        Err(error) => Err(error),
    }
}

/// Counts as the readers' view knows them.
pub(super) async fn metrics(
    cx: &Cx,
    remote_ids: &[String],
) -> Result<Vec<Metrics>, ConnectorError> {
    let base = cx.config.base_url("bluesky.appview", APP_VIEW);
    let mut all = Vec::new();
    for some in remote_ids[..remote_ids.len().min(MAX_METRICS)].chunks(COUNTED_AT_ONCE) {
        let params: Vec<(&str, &str)> = some.iter().map(|uri| ("uris", uri.as_str())).collect();
        let answer = DIALECT
            .call(
                cx,
                OutboundRequest::get(xrpc(&base, "app.bsky.feed.getPosts", &params)?),
            )
            .await?;
        for post in answer
            .get("posts")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if let Some(remote_id) = text_of(post, "uri") {
                all.push(Metrics {
                    remote_id,
                    values: counts(post),
                });
            }
        }
    }
    Ok(all)
}

pub(super) fn counts(post: &Value) -> BTreeMap<String, i64> {
    [
        ("likes", "likeCount"),
        ("reposts", "repostCount"),
        ("replies", "replyCount"),
        ("quotes", "quoteCount"),
        ("bookmarks", "bookmarkCount"),
    ]
    .into_iter()
    .filter_map(|(ours, theirs)| Some((ours.to_owned(), post.get(theirs)?.as_i64()?)))
    .collect()
}
