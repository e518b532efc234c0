//! Labels by id or by name.
//!
//! Owns the making of labels that rules name. Must not touch posts.
//! Invariant: a name makes one label, however often it is named.

use so_engine::plugin::{ActionError, LocalContext, LocalEnd, LocalError};
use so_model::{
    IdSource as _,
    id::{LabelId, PostId},
};
use so_store::{labels, labels::Label};

use crate::params;

/// Longest name of a label: what still fits beside a post.
const NAME_MAX: usize = 60;
/// Colour of labels that rules make; people choose another.
const COLOR: &str = "#6b7280";

/// What a step on a label did, as its plan tells it: the post, the label's name, and whether anything changed.
pub(crate) fn done(
    post: &str,
    label: &str,
    end: &LocalEnd,
) -> Result<(PostId, String, bool), LocalError> {
    let (LocalEnd::Done(output) | LocalEnd::Wait { output, .. }) = end;
    let name = output["label"]["name"].as_str().unwrap_or(label);
    let is_changed = output["changed"] == true;
    Ok((params::id("post", post)?, name.to_owned(), is_changed))
}

/// The label that a field names by id or by name, if it is there.
pub(crate) async fn find(
    cx: &mut LocalContext<'_>,
    field: &str,
    text: &str,
) -> Result<Option<Label>, LocalError> {
    let name = text.trim();
    let length = name.chars().count();
    if length == 0 || length > NAME_MAX {
        return Err(params::bad(
            field,
            format!("a label has 1 to {NAME_MAX} characters, this one {length}"),
        )
        .into());
    }
    Ok(match name.parse::<LabelId>() {
        Ok(id) => labels::find(cx.tx, cx.workspace, id).await?,
        Err(_) => labels::find_by_name(cx.tx, cx.workspace, name).await?,
    })
}

/// The label that a field names; a name that is not there yet becomes a label.
pub(crate) async fn find_or_make(
    cx: &mut LocalContext<'_>,
    field: &str,
    text: &str,
) -> Result<Label, LocalError> {
    if let Some(found) = find(cx, field, text).await? {
        return Ok(found);
    }
    let name = text.trim();
    if name.parse::<LabelId>().is_ok() {
        return Err(ActionError::fail(
            "label.not_found",
            format!("{field}: there is no label {name}"),
        )
        .next_step("name the label by its name to have it made")
        .into());
    }
    let label = Label {
        id: cx.ids.new_id(),
        workspace: cx.workspace,
        name: name.to_owned(),
        color: COLOR.into(),
        created_at: cx.now,
    };
    labels::insert(cx.tx, &label).await?;
    Ok(label)
}
