//! Edits of a rule's text that leave everything else as its author wrote it.
//!
//! Owns the way from "this value shall stand there" to changed lines: comments, blank lines, order and quotes of
//! everything else stay. Must not know the grammar of rules. Invariant: what comes out reads as the value that was
//! asked for, or nothing comes out: every single edit is read back before the next one.

mod carry;
mod diff;
mod edit;
mod tree;
mod write;

#[cfg(test)]
mod tests;

use serde_json::Value;

use super::{Format, parse};
pub use carry::carry;
pub use edit::Edit;
use tree::Tree;

/// Single edits of one rewriting; a document has fewer values than this that people change at once.
const EDITS_MAX: usize = 2_000;
/// Bytes that the edits of one rewriting read together: every edit reads the whole text several times, about a second for these.
const BYTES_READ_MAX: usize = 16 * 1024 * 1024;

/// Why a text could not be edited in place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not edit the text in place: {0}")]
pub struct Unfit(pub(super) String);

/// Makes one edit.
pub fn apply(text: &str, edit: &Edit) -> Result<String, Unfit> {
    let before = value_of(text)?;
    let wanted = edit.applied(&before)?;
    let made = edit::make(text, &Tree::read(text)?, edit)?;
    match value_of(&made) {
        Ok(after) if after == wanted => Ok(made),
        _ => Err(Unfit(format!(
            "{} reads otherwise afterwards",
            edit.place()
        ))),
    }
}

/// Makes the edits after which the text reads as `target`; its order of keys says where new keys go.
pub fn rewrite(text: &str, target: &Value) -> Result<String, Unfit> {
    let mut text = text.to_owned();
    let mut read = 0;
    for _ in 0..EDITS_MAX {
        read += text.len();
        if read > BYTES_READ_MAX {
            break;
        }
        let now = value_of(&text)?;
        let Some(edit) = diff::first(&now, target) else {
            return Ok(text);
        };
        text = apply(&text, &edit).or_else(|error| coarser(&text, &edit, target).ok_or(error))?;
    }
    Err(Unfit("too much is different".into()))
}

/// The same by setting what is around it: more lines change, but only there.
fn coarser(text: &str, edit: &Edit, target: &Value) -> Option<String> {
    let mut pointer = edit.place();
    while !pointer.is_empty() {
        let value = target.pointer(pointer)?.clone();
        let set = Edit::Set {
            pointer: pointer.to_owned(),
            value,
        };
        if let Ok(made) = apply(text, &set) {
            return Some(made);
        }
        pointer = &pointer[..pointer.rfind('/')?];
    }
    None
}

fn value_of(text: &str) -> Result<Value, Unfit> {
    let told = |errors: Vec<so_model::problem::FieldError>| {
        let first = errors.into_iter().next();
        Unfit(first.map_or_else(String::new, |error| error.reason))
    };
    parse(text, Format::Yaml)
        .map(|(value, _)| value)
        .map_err(told)
}
