//! Posts: the list, one post with all that became of it, and writing.
//!
//! Owns the room. Invariant: a post's state comes from the server; the page never guesses the next one.

mod compose;
mod list;
mod one;

pub use self::compose::{Change, Write};
pub use self::list::List;
use self::list::headline;
pub use self::one::{One, plain, tries};
