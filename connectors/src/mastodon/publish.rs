//! Publishing a status.
//!
//! Owns uploads, the wait for their processing, and the one call. Must not
//! wait itself: it says when to be called again. Invariant: `progress` holds
//! every upload's id before the status is sent.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use so_model::{
    Timestamp,
    publication::Attempt,
    time::{HOUR, SECOND},
};
use so_net::{Multipart, OutboundRequest, PartContent};

use super::{DIALECT, KEY, instance, wire};
use crate::{
    CommitOutcome, ConnectorError, ErrorClass, MediaFile, Prepared, PublishCx,
    call::{text_of, url_of},
};

/// Unused uploads are purged after about a day; half of that leaves time for retries.
const UPLOAD_LIFE: i64 = 12 * HOUR;
/// First wait for a file to be processed; grows by as much with each look.
const PROCESSING_WAIT: i64 = 2 * SECOND;
/// Looks at a file before it is given up: with growing waits about an hour.
const MAX_LOOKS: i64 = 60;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Progress {
    media: Vec<Upload>,
    since: Timestamp,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Upload {
    id: String,
    is_ready: bool,
    looks: i64,
}

impl Progress {
    fn read(value: Value) -> Self {
        serde_json::from_value(value).unwrap_or_default()
    }

    fn write(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// One upload, or one look at a file that is being processed.
pub(super) async fn prepare(
    cx: &PublishCx<'_>,
    progress: Value,
) -> Result<Prepared, ConnectorError> {
    let mut progress = Progress::read(progress);
    if !progress.media.is_empty() && cx.now.since(progress.since) > UPLOAD_LIFE {
        progress = Progress::default();
    }
    let wanted = cx.content.media.len();
    if progress.media.len() < wanted {
        let used = &cx.content.media[progress.media.len()];
        let file = cx.media_file(used.id).ok_or_else(missing_file)?;
        let upload = upload(cx, file, &used.alt).await?;
        if progress.media.is_empty() {
            progress.since = cx.now;
        }
        progress.media.push(upload);
        return Ok(next(&progress, wanted, 0));
    }
    if let Some(waiting) = progress.media.iter_mut().find(|upload| !upload.is_ready) {
        if waiting.looks >= MAX_LOOKS {
            return Err(processing_failed("It was still not ready after an hour."));
        }
        waiting.looks += 1;
        waiting.is_ready = is_processed(cx, &waiting.id).await?;
        let wait = if waiting.is_ready {
            0
        } else {
            waiting.looks * PROCESSING_WAIT
        };
        return Ok(next(&progress, wanted, wait));
    }
    Ok(Prepared::Ready {
        progress: progress.write(),
    })
}

fn next(progress: &Progress, wanted: usize, wait: i64) -> Prepared {
    let is_done =
        progress.media.len() == wanted && progress.media.iter().all(|upload| upload.is_ready);
    if is_done {
        return Prepared::Ready {
            progress: progress.write(),
        };
    }
    Prepared::Again {
        progress: progress.write(),
        after_micros: wait,
    }
}

fn missing_file() -> ConnectorError {
    ConnectorError::new(
        ErrorClass::Content,
        "mastodon.media_missing",
        "A file of the post is no longer in the library.",
    )
    .next_step("Add the file again.")
    .field("/media")
}

fn processing_failed(why: &str) -> ConnectorError {
    ConnectorError::new(
        ErrorClass::Content,
        "mastodon.media_unprocessable",
        format!("The server could not process a file. {why}"),
    )
    .next_step("Convert the file or use another one.")
    .field("/media")
}

async fn upload(cx: &PublishCx<'_>, file: &MediaFile, alt: &str) -> Result<Upload, ConnectorError> {
    let base = instance::base_of(&cx.account.settings)?;
    let bytes = file.read(KEY).await?;
    let send = async |version: &str| {
        // The name is ours: the person's own may say more than the post does.
        let name = format!("media.{}", extension(&file.facts.mime));
        let mut form = Multipart::new().file(
            "file",
            name,
            file.facts.mime.clone(),
            PartContent::Bytes(bytes.clone()),
        );
        if !alt.is_empty() {
            form = form.text("description", alt);
        }
        let url = url_of(KEY, &base, &["api", version, "media"], &[])?;
        DIALECT
            .upload(
                cx.cx,
                OutboundRequest::post(url)
                    .bearer(token(cx)?)
                    .multipart(form),
            )
            .await
    };
    let (status, answer) = match send("v2").await {
        // Older servers have the first version only, which answers when the file is ready.
        Err(error) if error.class == ErrorClass::Gone => send("v1").await?,
        other => other?,
    };
    let id = text_of(&answer, "id").ok_or_else(|| ConnectorError::garbled(KEY, status))?;
    Ok(Upload {
        id,
        is_ready: status != 202,
        looks: 0,
    })
}

fn extension(mime: &str) -> &str {
    match mime {
        "image/jpeg" => "jpg",
        "video/quicktime" => "mov",
        _ => mime.rsplit('/').next().unwrap_or("bin"),
    }
}

async fn is_processed(cx: &PublishCx<'_>, id: &str) -> Result<bool, ConnectorError> {
    let base = instance::base_of(&cx.account.settings)?;
    let url = url_of(KEY, &base, &["api", "v1", "media", id], &[])?;
    let answer = DIALECT
        .answer(cx.cx, OutboundRequest::get(url).bearer(token(cx)?))
        .await?;
    match answer.status {
        206 => Ok(false),
        200..=299 => Ok(true),
        422 => Err(processing_failed(
            "It may be damaged or of a form that the server does not know.",
        )),
        _ => Err(DIALECT.error(cx.now, &answer)),
    }
}

fn token<'a>(cx: &'a PublishCx<'_>) -> Result<&'a str, ConnectorError> {
    super::sign_in::access_token(cx.token)
}

/// The one call.
pub(super) async fn commit(
    cx: &PublishCx<'_>,
    progress: &Value,
    attempt: &Attempt,
) -> CommitOutcome {
    let ids: Vec<String> = Progress::read(progress.clone())
        .media
        .into_iter()
        .map(|upload| upload.id)
        .collect();
    let request = || -> Result<OutboundRequest, ConnectorError> {
        let base = instance::base_of(&cx.account.settings)?;
        let url = url_of(KEY, &base, &["api", "v1", "statuses"], &[])?;
        Ok(OutboundRequest::post(url)
            .bearer(token(cx)?)
            .header("idempotency-key", &attempt.key)
            .json(&wire::status_body(cx, &ids)))
    };
    match request() {
        Ok(request) => {
            DIALECT
                .commit(cx.cx, attempt.deadline_at, request, wire::published)
                .await
        }
        Err(error) if error.class == ErrorClass::Reconnect => CommitOutcome::Reconnect(error),
        Err(error) => CommitOutcome::Rejected(error),
    }
}
