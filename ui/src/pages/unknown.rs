//! What stands where no page is.

use sycamore::prelude::*;

use crate::components::{EmptyState, Glyph};
use crate::frame::Page;

/// The page.
pub fn page() -> View {
    view! {
        Page(title="Not found") {
            EmptyState(glyph=Glyph::Search, title="No page has this address", text="The link may be old, or what it showed was deleted.",
                action=("/posts".to_owned(), "Open posts".to_owned()), link=("/runs".to_owned(), "See what ran".to_owned()))
        }
    }
}
