//! Uploaded files: taking, listing, describing, deleting, handing out.
//!
//! Owns what is known of files. Invariants: a file is what its bytes say, whatever its name says; bytes are
//! on disk before a row names them, and go only after no row does.

mod inspect;
mod link;
mod storage;

pub use inspect::BYTES_MAX;
#[cfg(test)]
pub(crate) use inspect::tests::{bomb, picture};
pub use storage::MediaStore;
use tokio::sync::OwnedSemaphorePermit;

use bytes::Bytes;
use so_model::{
    IdSource as _,
    api::media::{ChangeMedia, MediaLink, MediaList, MediaQuery, MediaView},
    id::{MediaId, WorkspaceId, kind},
    problem::FieldError,
};
use so_store::{Page, media, media::MediaFile};

use super::{
    App,
    change::{Change, PageAsk},
    failure::{Failure, Outcome, chain},
    secrets::sha256_hex,
};

/// Longest name, in characters.
const NAME_MAX: usize = 200;
/// Longest description, in characters; networks take 1500 to 4000.
const ALT_MAX: usize = 10_000;
/// Posts named when a file cannot be deleted.
const USERS_SHOWN: i64 = 5;
/// Seconds after which an upload that was turned away may come again: about as long as one takes.
const PLACE_RETRY_SECS: i64 = 5;

/// A file that was sent.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Its name at home.
    pub name: String,
    /// Description for people who cannot see it.
    pub alt: String,
    /// Its bytes.
    pub bytes: Bytes,
}

fn view(app: &App, file: MediaFile) -> MediaView {
    let (url, url_expires_at) = link::make(app, &file);
    MediaView {
        id: file.id,
        name: file.name,
        mime: file.mime,
        bytes: file.bytes,
        width: file.width,
        height: file.height,
        alt: file.alt,
        sha256: file.sha256,
        created_at: file.created_at,
        url,
        url_expires_at,
    }
}

/// A place for one upload; to be had before its bytes are read.
#[derive(Debug)]
pub struct UploadPlace {
    _permit: OwnedSemaphorePermit,
}

/// Takes a place, or says that there is none.
pub fn place(app: &App) -> Outcome<UploadPlace> {
    let permit = app.files.uploads().try_acquire_owned();
    permit
        .map(|permit| UploadPlace { _permit: permit })
        .map_err(|_| {
            Failure::new(503, "media.busy", "Too many uploads arrive at once")
                .next_step("Upload the file again in a moment.")
                .retry_after(PLACE_RETRY_SECS)
        })
}

/// Checks and keeps a file.
pub async fn upload(app: &App, workspace: WorkspaceId, upload: Upload) -> Outcome<MediaView> {
    let alt = check_alt(&upload.alt).map_err(|error| Failure::invalid(vec![error]))?;
    let name = tame_name(&upload.name);
    let picture = inspect::inspect(app.files.decoding(), upload.bytes.clone()).await?;
    let id: MediaId = app.engine.ids.new_id();
    let file = MediaFile {
        id,
        workspace,
        name,
        mime: picture.mime.to_string(),
        bytes: i64::try_from(upload.bytes.len()).unwrap_or(i64::MAX),
        width: picture.width.into(),
        height: picture.height.into(),
        alt,
        sha256: sha256_hex(&upload.bytes),
        storage_key: format!("{workspace}/{id}"),
        created_at: app.now(),
    };
    app.files
        .put(&file.storage_key, upload.bytes)
        .await
        .map_err(|error| storage_failed(&error))?;
    let mut change = Change::begin(app, workspace).await?;
    media::insert(&mut change.tx, &file).await?;
    change.touch("media", id);
    change.commit().await?;
    Ok(view(app, file))
}

fn storage_failed(error: &std::io::Error) -> Failure {
    tracing::error!(error = %chain(error), "a file could not be kept or read");
    Failure::new(
        507,
        "media.storage",
        "The server could not keep or read the file",
    )
    .next_step("Try again; if it happens again, the server's disk may be full.")
}

/// A page of files, the newest first.
pub async fn list(app: &App, workspace: WorkspaceId, query: &MediaQuery) -> Outcome<MediaList> {
    let page = PageAsk::of::<kind::Media>(query.cursor.as_deref(), query.limit)?;
    let found = media::list(&mut app.reader(), workspace, &page.cursor, page.fetch()).await?;
    let found = Page::cut(found, page.limit, |file| file.id.to_string());
    let items = found
        .items
        .into_iter()
        .map(|file| view(app, file))
        .collect();
    Ok(MediaList {
        items,
        next_cursor: found.next_cursor,
    })
}

/// A file.
pub async fn get(app: &App, workspace: WorkspaceId, id: MediaId) -> Outcome<MediaView> {
    let found = media::find(&mut app.reader(), workspace, id).await?;
    Ok(view(app, found.ok_or_else(|| Failure::not_found("media"))?))
}

/// Changes name and description.
pub async fn change(
    app: &App,
    workspace: WorkspaceId,
    id: MediaId,
    request: &ChangeMedia,
) -> Outcome<MediaView> {
    let mut errors = Vec::new();
    let name = request.name.as_deref().map(tame_name);
    let alt = request
        .alt
        .as_deref()
        .and_then(|alt| check_alt(alt).map_err(|error| errors.push(error)).ok());
    if !errors.is_empty() {
        return Err(Failure::invalid(errors));
    }
    let mut change = Change::begin(app, workspace).await?;
    let found = media::find(&mut change.tx, workspace, id).await?;
    let mut file = found.ok_or_else(|| Failure::not_found("media"))?;
    file.name = name.unwrap_or(file.name);
    file.alt = alt.unwrap_or(file.alt);
    media::update(&mut change.tx, &file).await?;
    change.touch("media", id);
    change.commit().await?;
    Ok(view(app, file))
}

/// Deletes a file that no unsent post uses.
pub async fn delete(app: &App, workspace: WorkspaceId, id: MediaId) -> Outcome<()> {
    let mut change = Change::begin(app, workspace).await?;
    if media::find(&mut change.tx, workspace, id).await?.is_none() {
        return Err(Failure::not_found("media"));
    }
    let users =
        so_store::posts::list_unsent_with_media(&mut change.tx, workspace, id, USERS_SHOWN).await?;
    if !users.is_empty() {
        let named: Vec<String> = users.iter().map(ToString::to_string).collect();
        return Err(Failure::new(
            409,
            "media.in_use",
            "A post that is still to be sent uses the file",
        )
        .detail(format!("It is used by {}.", named.join(", ")))
        .next_step("Take the file out of the post, or delete the post first."));
    }
    let unused = media::delete(&mut change.tx, workspace, id).await?;
    change.touch("media", id);
    change.commit().await?;
    if let Some(key) = unused
        && let Err(error) = app.files.delete(&key).await
    {
        // Nothing names the bytes any more; they cost room, nothing else.
        tracing::warn!(media.id = %id, error = %chain(&error), "the bytes of a deleted file are left over");
    }
    Ok(())
}

/// A file's bytes for whoever has its address.
pub async fn open(
    app: &App,
    workspace: WorkspaceId,
    id: MediaId,
    asked: &MediaLink,
) -> Outcome<(MediaFile, Bytes)> {
    link::check(app, workspace, id, asked)?;
    let found = media::find(&mut app.reader(), workspace, id).await?;
    let file = found.ok_or_else(|| Failure::not_found("media"))?;
    let bytes = app
        .files
        .get(&file.storage_key)
        .await
        .map_err(|error| storage_failed(&error))?;
    Ok((file, bytes))
}

/// A name without what could mislead: no folders, no control characters.
fn tame_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let tame: String = last
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME_MAX)
        .collect();
    if tame.trim().is_empty() {
        "file".into()
    } else {
        tame.trim().to_string()
    }
}

fn check_alt(alt: &str) -> Result<String, FieldError> {
    if alt.chars().count() > ALT_MAX {
        return Err(FieldError::new("/alt", "is too long")
            .expected(format!("at most {ALT_MAX} characters")));
    }
    if alt
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    {
        return Err(FieldError::new("/alt", "holds control characters").expected("text"));
    }
    Ok(alt.trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_no_folder() {
        assert_eq!(tame_name("../../etc/passwd"), "passwd");
        assert_eq!(tame_name("C:\\Users\\a\\cat.jpg"), "cat.jpg");
        assert_eq!(tame_name("a\r\nb.png"), "ab.png");
        assert_eq!(tame_name("/"), "file");
    }
}
