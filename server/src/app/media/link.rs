//! Addresses of files that end.
//!
//! Owns their signature. Invariant: an address is good for one file of one workspace for some minutes, for
//! pictures in a page cannot send a token.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use so_model::{
    Timestamp,
    api::media::MediaLink,
    id::{MediaId, WorkspaceId},
    time::SECOND,
};
use so_store::media::MediaFile;
use subtle::ConstantTimeEq as _;

use crate::app::{
    App,
    failure::{Failure, Outcome},
    secrets::mac,
};

/// An address is good for at least this many seconds: a page that stays open reads it anew.
const LIFE_SECS: i64 = 15 * 60;
/// Ends are rounded up to this many seconds, so that a browser finds the picture in its cache.
const STEP_SECS: i64 = 5 * 60;

/// The address of a file and its end.
pub(super) fn make(app: &App, file: &MediaFile) -> (String, Timestamp) {
    let until = (app.now().seconds() + LIFE_SECS).div_euclid(STEP_SECS) * STEP_SECS + STEP_SECS;
    let signature = URL_SAFE_NO_PAD.encode(sign(app, file.workspace, file.id, until));
    let (workspace, id) = (file.workspace, file.id);
    let url = format!(
        "/api/v1/workspaces/{workspace}/media/{id}/file?until={until}&signature={signature}"
    );
    (url, Timestamp::from_micros(until * SECOND))
}

fn sign(app: &App, workspace: WorkspaceId, id: MediaId, until: i64) -> [u8; 32] {
    // A key of its own, derived from one that is in use anyway.
    let key = mac(&*app.keys.access, &[b"address of a file"]);
    mac(
        &key,
        &[
            workspace.to_string().as_bytes(),
            id.to_string().as_bytes(),
            &until.to_be_bytes(),
        ],
    )
}

/// Refuses an address that is over or was not made here.
pub(super) fn check(
    app: &App,
    workspace: WorkspaceId,
    id: MediaId,
    asked: &MediaLink,
) -> Outcome<()> {
    let given = URL_SAFE_NO_PAD.decode(&asked.signature).unwrap_or_default();
    let is_ours = bool::from(given.ct_eq(&sign(app, workspace, id, asked.until)));
    if is_ours && asked.until > app.now().seconds() {
        return Ok(());
    }
    Err(
        Failure::new(403, "media.link_over", "The address of this file is over")
            .next_step("Read the file's entry again; it holds a new address."),
    )
}
