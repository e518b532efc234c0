//! `GET /api/v1/workspaces/{ws}/media/{media}/file`
//!
//! Invariant: whatever the bytes are, a browser shows them as a picture or saves them; it never runs them.

use axum::{
    extract::{RawPathParams, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use so_model::{
    api::media::MediaLink,
    id::{WorkspaceId, kind},
};

use crate::{
    app::{
        App,
        failure::{Failure, Outcome},
        media,
    },
    http::{Endpoint, PathId, Query, access::WORKSPACE_PARAMETER},
};

/// Kinds that a browser may show.
const SHOWN: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/media/{media}/file",
        "media.file",
        handle,
    )
    .says("The bytes of a file, for whoever has its address")
    .explains("The address stands in the file's entry and ends after some minutes.")
    .for_everybody()
    .asks::<MediaLink>()
    .answers_other(200, "image/*")
}

async fn handle(
    State(app): State<App>,
    PathId(id): PathId<kind::Media>,
    params: RawPathParams,
    Query(link): Query<MediaLink>,
) -> Outcome<Response> {
    let named = params
        .iter()
        .find(|(name, _)| *name == WORKSPACE_PARAMETER)
        .map(|(_, value)| value);
    let workspace: Option<WorkspaceId> = named.and_then(|text| text.parse().ok());
    let workspace = workspace.ok_or_else(|| Failure::not_found("media"))?;
    let (file, bytes) = media::open(&app, workspace, id, &link).await?;
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    let shown = SHOWN.into_iter().find(|kind| *kind == file.mime);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(shown.unwrap_or("application/octet-stream")),
    );
    let disposition = if shown.is_some() {
        "inline"
    } else {
        "attachment"
    };
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_static(disposition),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("sandbox; default-src 'none'"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, max-age=900, immutable"),
    );
    Ok(response)
}
