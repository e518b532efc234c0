//! Labels on posts.
//!
//! Owns the shapes of `/labels`. Invariant: a colour is `#rrggbb`, so that a page can put it into a style
//! as it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{id::LabelId, time::Timestamp};

/// A label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LabelView {
    /// Own id.
    pub id: LabelId,
    /// Name, unique in the workspace.
    pub name: String,
    /// Colour it is shown in: `#rrggbb`.
    pub color: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Labels of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LabelList {
    /// The oldest first.
    pub items: Vec<LabelView>,
    /// Give this as `cursor` to get the next page; none at the end.
    pub next_cursor: Option<String>,
}

/// Which labels to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelQuery {
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Most items, 1 to 200; 50 without it.
    pub limit: Option<u32>,
}

/// Makes a label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateLabel {
    /// Name, unique in the workspace.
    pub name: String,
    /// Colour as `#rrggbb`; grey without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
}

/// Changes a label; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeLabel {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Colour as `#rrggbb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
}
