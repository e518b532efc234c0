//! `POST /api/v1/workspaces/{ws}/media`

use axum::{
    body::Body,
    extract::{
        FromRequest as _, Multipart, Request, State,
        multipart::{Field, MultipartError},
    },
    http::{StatusCode, header},
};
use bytes::{Bytes, BytesMut};
use so_model::{api::media::MediaView, workspace::Role};

use crate::{
    app::{
        App,
        failure::{Failure, Outcome},
        media::{self, BYTES_MAX, Upload},
    },
    http::{
        Created, Endpoint, Member,
        json::{BODY_TIMEOUT, too_large},
    },
};

/// The file, its description and the form around them.
const FORM_BYTES_MAX: usize = BYTES_MAX + 256 * 1024;
/// Longest description, in bytes; its characters are counted later.
const ALT_BYTES_MAX: usize = 64 * 1024;

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/workspaces/{ws}/media", "media.upload", handle)
        .says("Uploads a picture")
        .explains("A form with the part `file` (JPEG, PNG, GIF or WebP, 20 MiB and 50 megapixels at most) and, if wanted, `alt`.")
        .for_members(Role::Editor)
        .takes_other("multipart/form-data")
        .body_max(FORM_BYTES_MAX)
        .answers::<MediaView>(201)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    request: Request,
) -> Outcome<Created<MediaView>> {
    // Held until the file is kept: its bytes lie in memory for so long.
    let _place = media::place(&app)?;
    let form = Multipart::from_request(request, &app)
        .await
        .map_err(|_| no_form())?;
    let upload = tokio::time::timeout(BODY_TIMEOUT, read(form))
        .await
        .map_err(|_| too_slow())??;
    media::upload(&app, member.workspace, upload)
        .await
        .map(Created)
}

/// The parts of a form, as an upload sends them.
///
/// # Errors
///
/// When it is no form, is damaged, or has other parts than the endpoint takes.
pub async fn read_form(content_type: &str, body: Bytes) -> Outcome<Upload> {
    let request = Request::builder()
        .header(header::CONTENT_TYPE, content_type)
        .body(Body::from(body))
        .map_err(|_| no_form())?;
    let form = Multipart::from_request(request, &())
        .await
        .map_err(|_| no_form())?;
    read(form).await
}

async fn read(mut form: Multipart) -> Outcome<Upload> {
    let mut file = None;
    let mut alt = String::new();
    while let Some(field) = form.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_string();
        match name.as_str() {
            "file" if file.is_some() => {
                return Err(Failure::field(
                    "/file",
                    "is given twice",
                    "one file in each request",
                ));
            }
            "file" => {
                let called = field.file_name().unwrap_or_default().to_string();
                file = Some((called, part(field, BYTES_MAX).await?));
            }
            "alt" => {
                let bytes = part(field, ALT_BYTES_MAX).await?;
                alt = String::from_utf8(bytes.to_vec())
                    .map_err(|_| Failure::field("/alt", "is not UTF-8", "text"))?;
            }
            other => {
                let pointer = format!("/{}", other.chars().take(40).collect::<String>());
                return Err(Failure::field(
                    &pointer,
                    "is not known here",
                    "the parts file and alt",
                ));
            }
        }
    }
    let (name, bytes) =
        file.ok_or_else(|| Failure::field("/file", "is missing", "a part called file"))?;
    Ok(Upload {
        name,
        alt,
        bytes: bytes.freeze(),
    })
}

async fn part(mut field: Field<'_>, max: usize) -> Outcome<BytesMut> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        if bytes.len() + chunk.len() > max {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn no_form() -> Failure {
    Failure::new(415, "request.content_type", "The request is not a form")
        .detail("The header Content-Type must be multipart/form-data with a boundary.")
        .next_step("Send the picture as the part `file` of a form.")
}

fn broken(error: MultipartError) -> Failure {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large();
    }
    Failure::new(
        400,
        "request.body_broken",
        "The form is broken off or damaged",
    )
    .next_step("Send it again.")
}

fn too_slow() -> Failure {
    Failure::new(408, "request.too_slow", "The request arrived too slowly")
        .next_step("Send it again over a better connection.")
}
