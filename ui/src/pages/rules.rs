//! Rules: the list with its switches, and one rule as a text that is checked at the place of the error.
//!
//! Owns the room. Invariant: a rule runs as the server saved it; what is in the editor is a wish until then.

mod ask;
mod blueprints;
mod canary;
mod cases;
mod desk;
mod despite;
mod diff;
mod drafts;
mod editor;
mod history;
mod join;
mod list;
mod marks;
mod one;
mod sentence;
mod shadow;
mod simulate;
mod upgrade;
mod versions;
mod ways;
mod whole;
mod why;

pub use self::blueprints::{Blueprint, Blueprints};
pub use self::desk::{New, guard, said};
pub use self::despite::Despite;
pub use self::join::with_case;
pub use self::list::List;
pub use self::one::One;
pub use self::sentence::{condition_words, sentence, step_title, trigger_words};
pub use self::why::{About, Ask, AskEvent, plan_view};
