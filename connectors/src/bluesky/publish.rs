//! Publishing a post.
//!
//! Owns the sub-steps up to the finished record, and the one call. Must not
//! change a record once it is made. Invariant: the first sub-step fixes name
//! and moment, and it is stored before anything else happens.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use so_model::{Timestamp, id::MediaId, publication::Attempt, time::MINUTE};

use super::{
    KEY, facets,
    read::{get_record, name_of},
    record::{COLLECTION, Parts, post_text, record},
    session::{DIALECT, Repo, xrpc},
    tid::tid,
};
use crate::{
    CommitOutcome, ConnectorError, ErrorClass, ParentRef, Prepared, PublishCx, call::text_of,
};

/// Unused uploads are kept for an hour at least.
const UPLOAD_LIFE: i64 = 40 * MINUTE;
/// Before a further attempt uploads are renewed when they are older than this: one may have failed for their loss.
const UPLOAD_LIFE_ON_RETRY: i64 = MINUTE;

/// What is kept between sub-steps and commits.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Progress {
    pub rkey: String,
    created_at: String,
    dids: Option<BTreeMap<String, String>>,
    reply: Option<Value>,
    blobs: Vec<Value>,
    thumb: Option<Value>,
    blobs_since: Timestamp,
    record: Option<Value>,
}

impl Progress {
    pub fn read(value: &Value) -> Self {
        serde_json::from_value(value.clone()).unwrap_or_default()
    }

    fn again(&self) -> Result<Prepared, ConnectorError> {
        Ok(Prepared::Again {
            progress: self.write(),
            after_micros: 0,
        })
    }

    fn write(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// One sub-step.
pub(super) async fn prepare(
    cx: &PublishCx<'_>,
    progress: Value,
) -> Result<Prepared, ConnectorError> {
    let mut progress = Progress::read(&progress);
    if progress.rkey.is_empty() {
        progress.rkey = tid(cx.now, cx.publication.id);
        progress.created_at = moment(cx.now);
        return progress.again();
    }
    if progress.dids.is_none() {
        progress.dids = Some(resolve_mentions(cx).await?);
        return progress.again();
    }
    if progress.reply.is_none() && cx.parent.is_some() {
        progress.reply = Some(reply(cx).await?);
        return progress.again();
    }
    let life = if cx.publication.attempts > 0 {
        UPLOAD_LIFE_ON_RETRY
    } else {
        UPLOAD_LIFE
    };
    if progress.record.is_some() && cx.now.since(progress.blobs_since) > life {
        // The same bytes get the same name again, so the record stays as it is.
        progress.blobs.clear();
        progress.thumb = None;
    }
    if let Some(next) = next_upload(cx, &progress) {
        if progress.blobs.is_empty() && progress.thumb.is_none() {
            progress.blobs_since = cx.now;
        }
        let blob = upload(cx, next).await?;
        if progress.blobs.len() < cx.content.media.len() {
            progress.blobs.push(blob);
        } else {
            progress.thumb = Some(blob);
        }
        return progress.again();
    }
    if progress.record.is_none() {
        progress.record = Some(record(
            cx,
            &Parts {
                created_at: &progress.created_at,
                dids: progress.dids.as_ref().unwrap_or(&BTreeMap::new()),
                blobs: &progress.blobs,
                thumb: progress.thumb.as_ref(),
                reply: progress.reply.as_ref(),
            },
        ));
    }
    Ok(Prepared::Ready {
        progress: progress.write(),
    })
}

// With milliseconds, as all clients write it.
fn moment(at: Timestamp) -> String {
    at.to_chrono().format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

async fn resolve_mentions(cx: &PublishCx<'_>) -> Result<BTreeMap<String, String>, ConnectorError> {
    let repo = Repo::of(cx.account, cx.token)?;
    let mut dids = BTreeMap::new();
    for handle in facets::mentioned(&post_text(cx.content)) {
        let url = xrpc(
            &repo.pds,
            "com.atproto.identity.resolveHandle",
            &[("handle", &handle)],
        )?;
        match DIALECT.call(cx.cx, so_net::OutboundRequest::get(url)).await {
            Ok(answer) => {
                if let Some(did) = text_of(&answer, "did") {
                    dids.insert(handle, did);
                }
            }
            // Nobody has this handle: it stays text.
            Err(error)
                if matches!(
                    error.class,
                    ErrorClass::Content | ErrorClass::Gone | ErrorClass::Unknown
                ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(dids)
}

async fn reply(cx: &PublishCx<'_>) -> Result<Value, ConnectorError> {
    let Some(parent) = cx.parent else {
        return Ok(Value::Null);
    };
    let parent_ref = strong_ref(cx, parent).await?;
    let root = match cx.root {
        Some(root) if root.remote_id != parent.remote_id => strong_ref(cx, root).await?,
        _ => parent_ref.clone(),
    };
    Ok(json!({ "root": root, "parent": parent_ref }))
}

// A post that a person declared to be live came without its hash.
async fn strong_ref(cx: &PublishCx<'_>, post: &ParentRef) -> Result<Value, ConnectorError> {
    if let Some(cid) = text_of(&post.extra, "cid") {
        return Ok(json!({ "uri": post.remote_id, "cid": cid }));
    }
    let name = name_of(&post.remote_id)?;
    let found = get_record(cx, &name.rkey).await?;
    let found = found.ok_or_else(|| {
        ConnectorError::new(
            ErrorClass::Gone,
            "bluesky.parent_gone",
            "The post that this one answers to is gone.",
        )
        .next_step("Publish this part as a post of its own.")
    })?;
    Ok(json!({ "uri": found.uri, "cid": found.cid }))
}

fn next_upload(cx: &PublishCx<'_>, progress: &Progress) -> Option<MediaId> {
    if let Some(used) = cx.content.media.get(progress.blobs.len()) {
        return Some(used.id);
    }
    let thumb = cx.content.link.as_ref().and_then(|link| link.image);
    thumb.filter(|_| cx.content.media.is_empty() && progress.thumb.is_none())
}

async fn upload(cx: &PublishCx<'_>, id: MediaId) -> Result<Value, ConnectorError> {
    let file = cx.media_file(id).ok_or_else(|| {
        ConnectorError::new(
            ErrorClass::Content,
            "bluesky.media_missing",
            "A file of the post is no longer in the library.",
        )
        .next_step("Add the file again.")
        .field("/media")
    })?;
    let repo = Repo::of(cx.account, cx.token)?;
    let bytes = file.read(KEY).await?;
    let request = repo
        .procedure("com.atproto.repo.uploadBlob")?
        .header("content-type", &file.facts.mime)
        .bytes(bytes);
    let (status, answer) = DIALECT.upload(cx.cx, request).await?;
    answer
        .get("blob")
        .cloned()
        .ok_or_else(|| ConnectorError::garbled(KEY, status))
}

/// The one call: the same record under the same name, however often it is made.
pub(super) async fn commit(
    cx: &PublishCx<'_>,
    progress: &Value,
    attempt: &Attempt,
) -> CommitOutcome {
    let progress = Progress::read(progress);
    let request = || -> Result<so_net::OutboundRequest, ConnectorError> {
        let repo = Repo::of(cx.account, cx.token)?;
        let record = progress.record.as_ref().ok_or_else(|| {
            ConnectorError::new(
                ErrorClass::Unknown,
                "bluesky.not_prepared",
                "The post was not prepared.",
            )
        })?;
        Ok(repo.procedure("com.atproto.repo.putRecord")?.json(&json!({
            "repo": repo.did,
            "collection": COLLECTION,
            "rkey": progress.rkey,
            "record": record,
        })))
    };
    match request() {
        Ok(request) => {
            DIALECT
                .commit(cx.cx, attempt.deadline_at, request, published)
                .await
        }
        Err(error) if error.class == ErrorClass::Reconnect => CommitOutcome::Reconnect(error),
        Err(error) => CommitOutcome::Rejected(error),
    }
}

pub(super) fn published(answer: &so_net::OutboundResponse) -> Option<CommitOutcome> {
    let answer: Value = answer.json().ok()?;
    let (uri, cid) = (text_of(&answer, "uri")?, text_of(&answer, "cid")?);
    let name = name_of(&uri).ok()?;
    Some(CommitOutcome::Published {
        remote_url: Some(name.permalink()),
        extra: json!({ "cid": cid }),
        remote_id: uri,
    })
}
