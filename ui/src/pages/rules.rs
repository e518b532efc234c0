//! Rules: the list with its switches, and one rule as a text that is checked at the place of the error.
//!
//! Owns the room. Invariant: a rule runs as the server saved it; what is in the editor is a wish until then.

mod editor;
mod history;
mod list;
mod marks;
mod one;
mod sentence;
mod why;

pub use self::list::List;
pub use self::one::{New, One};
pub use self::sentence::{condition_words, sentence, step_title, trigger_words};
pub use self::why::{AskEvent, AskPost, AskRule, plan_view, rules_to_ask};
