//! The workspace's labels as a resource, for pages that show or choose them.
//!
//! Invariant: a label that is gone is left out, never shown as an id.

use so_model::api::label::{LabelList, LabelQuery, LabelView};
use so_model::id::LabelId;
use sycamore::prelude::*;

use super::pick::LabelTag;
use crate::app::App;
use crate::loaded::Loaded;
use crate::paged::address;

/// Every label, up to what the server gives at once.
pub fn loaded() -> Loaded<Vec<LabelView>> {
    let app = App::here();
    let labels = Loaded::new(move || async move {
        let query = LabelQuery {
            cursor: None,
            limit: Some(200),
        };
        let list: LabelList = app
            .client
            .get(&app.scoped(&address("/labels", &query)))
            .await?;
        Ok(list.items)
    });
    app.pulse.on(&["label"], move || labels.reload());
    labels
}

/// The tags of these labels, in the workspace's order.
pub fn tags(all: &[LabelView], chosen: &[LabelId]) -> View {
    let tags: Vec<View> = all
        .iter()
        .filter(|label| chosen.contains(&label.id))
        .map(|label| view! { LabelTag(label=label.clone()) })
        .collect();
    tags.into()
}
