//! Labels: making, changing, deleting.
//!
//! Invariant: a name stands for one label of a workspace; a deleted label leaves every post.

use so_model::{
    IdSource as _,
    api::label::{ChangeLabel, CreateLabel, LabelList, LabelQuery, LabelView},
    id::{LabelId, WorkspaceId, kind},
    problem::FieldError,
};
use so_store::{Page, StoreError, labels, labels::Label};

use super::{
    App,
    change::{Change, PageAsk},
    failure::{Failure, Outcome},
    text,
};

/// Labels of one workspace; a page shows them all at once.
const LABELS_MAX: i64 = 1000;
/// Shown when nobody chose a colour.
const GREY: &str = "#6b7280";

fn view(label: Label) -> LabelView {
    LabelView {
        id: label.id,
        name: label.name,
        color: label.color,
        created_at: label.created_at,
    }
}

/// A page of labels, the oldest first.
pub async fn list(app: &App, workspace: WorkspaceId, query: &LabelQuery) -> Outcome<LabelList> {
    let page = PageAsk::of::<kind::Label>(query.cursor.as_deref(), query.limit)?;
    let found = labels::list(&mut app.reader(), workspace, &page.cursor, page.fetch()).await?;
    let found = Page::cut(found, page.limit, |label| label.id.to_string());
    Ok(LabelList {
        items: found.items.into_iter().map(view).collect(),
        next_cursor: found.next_cursor,
    })
}

/// Makes a label.
pub async fn create(
    app: &App,
    workspace: WorkspaceId,
    request: &CreateLabel,
) -> Outcome<LabelView> {
    let (name, color) = check(
        Some(&request.name),
        Some(request.color.as_deref().unwrap_or(GREY)),
    )?;
    let mut change = Change::begin(app, workspace).await?;
    if labels::list(&mut change.tx, workspace, "", LABELS_MAX)
        .await?
        .len() as i64
        >= LABELS_MAX
    {
        return Err(Failure::new(
            409,
            "label.too_many",
            "The workspace has as many labels as it may have",
        )
        .next_step("Delete a label first."));
    }
    let label = Label {
        id: app.engine.ids.new_id(),
        workspace,
        name: name.unwrap_or_default(),
        color: color.unwrap_or_default(),
        created_at: change.now,
    };
    labels::insert(&mut change.tx, &label)
        .await
        .map_err(taken)?;
    change.touch("label", label.id);
    change.commit().await?;
    Ok(view(label))
}

/// Changes name and colour.
pub async fn change(
    app: &App,
    workspace: WorkspaceId,
    id: LabelId,
    request: &ChangeLabel,
) -> Outcome<LabelView> {
    let (name, color) = check(request.name.as_deref(), request.color.as_deref())?;
    let mut change = Change::begin(app, workspace).await?;
    let found = labels::find(&mut change.tx, workspace, id).await?;
    let mut label = found.ok_or_else(|| Failure::not_found("label"))?;
    label.name = name.unwrap_or(label.name);
    label.color = color.unwrap_or(label.color);
    labels::update(&mut change.tx, &label)
        .await
        .map_err(taken)?;
    change.touch("label", id);
    change.commit().await?;
    Ok(view(label))
}

/// Deletes a label and takes it off every post.
pub async fn delete(app: &App, workspace: WorkspaceId, id: LabelId) -> Outcome<()> {
    let mut change = Change::begin(app, workspace).await?;
    if !labels::delete(&mut change.tx, workspace, id).await? {
        return Err(Failure::not_found("label"));
    }
    change.touch("label", id);
    change.commit().await
}

fn taken(error: StoreError) -> Failure {
    if error.is_conflict() {
        return Failure::new(409, "label.name_taken", "Another label has this name")
            .next_step("Choose another name, or use the label that is there.");
    }
    error.into()
}

fn check(name: Option<&str>, color: Option<&str>) -> Outcome<(Option<String>, Option<String>)> {
    let mut errors = Vec::new();
    let mut keep =
        |result: Result<String, FieldError>| result.map_err(|error| errors.push(error)).ok();
    let name = name.and_then(|name| keep(text::name(name, "/name")));
    let color = color.and_then(|color| keep(check_color(color)));
    if errors.is_empty() {
        Ok((name, color))
    } else {
        Err(Failure::invalid(errors))
    }
}

fn check_color(color: &str) -> Result<String, FieldError> {
    let is_hex =
        |digits: &str| digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if color.strip_prefix('#').is_some_and(is_hex) {
        return Ok(color.to_ascii_lowercase());
    }
    Err(FieldError::new("/color", "is no colour")
        .expected("# and six hexadecimal digits, such as #2563eb"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_cannot_carry_anything_else_into_a_style() {
        assert_eq!(check_color("#2563EB").unwrap(), "#2563eb");
        for bad in [
            "",
            "red",
            "#12345",
            "#1234567",
            "#12345g",
            "#123456;background:url(x)",
            "123456",
        ] {
            assert!(check_color(bad).is_err(), "{bad:?}");
        }
    }
}
