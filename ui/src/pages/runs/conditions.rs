//! A condition tree with the values that were seen.
//!
//! Invariant: each node says whether it held in a word, not by colour alone; one that was not looked at says that too.

use serde_json::Value;
use so_model::run::ConditionTrace;
use sycamore::prelude::*;

use crate::components::{Glyph, Icon};

/// Longest value shown on the line; the whole stands in the event.
const SAW_MAX: usize = 120;

/// A value as it is read beside a condition; empty when there is none.
pub fn saw_words(saw: &Value) -> String {
    let text = match saw {
        Value::Null => return String::new(),
        Value::String(text) => format!("\u{201c}{text}\u{201d}"),
        other => other.to_string(),
    };
    if text.chars().count() > SAW_MAX {
        let cut: String = text.chars().take(SAW_MAX).collect();
        return format!("{cut}\u{2026}");
    }
    text
}

/// The tree.
pub fn tree(trace: &ConditionTrace) -> View {
    let row = node(trace);
    view! { ul(class="tree") { (row) } }
}

fn node(trace: &ConditionTrace) -> View {
    let (class, glyph, word) = match trace.held {
        Some(true) => ("node node-held", Glyph::Check, "held"),
        Some(false) => ("node node-not", Glyph::X, "did not hold"),
        None => ("node node-open", Glyph::CircleDashed, "not looked at"),
    };
    let text = trace.text.clone();
    // The engine's own words often name the value; said twice it only makes noise.
    let bare = saw_words(&trace.saw);
    let is_told = text.contains(bare.trim_matches(['\u{201c}', '\u{201d}']));
    let saw: View = Some(bare)
        .filter(|saw| !saw.is_empty() && !is_told)
        .map(|saw| view! { span(class="saw") { "saw " (saw) } })
        .into();
    let error: View = trace
        .error
        .clone()
        .map(|error| view! { p(class="error-line") { Icon(glyph=Glyph::Alert, small=true) (error) } })
        .into();
    let parts: Vec<View> = trace.parts.iter().map(node).collect();
    let parts = if parts.is_empty() {
        View::new()
    } else {
        view! { ul { (parts) } }
    };
    let pointer = trace.path.clone();
    view! {
        li(class=class, title=pointer) {
            p { Icon(glyph=glyph, small=true) span(class="visually-hidden") { (word) ": " } span { (text) } (saw) }
            (error)
            (parts)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_quoted_when_they_are_text_and_cut_when_they_are_long() {
        assert_eq!(
            saw_words(&json!("launch day")),
            "\u{201c}launch day\u{201d}"
        );
        assert_eq!(saw_words(&json!(3)), "3");
        assert_eq!(saw_words(&Value::Null), "");
        let long = saw_words(&json!("é".repeat(500)));
        assert_eq!(long.chars().count(), SAW_MAX + 1);
    }
}
