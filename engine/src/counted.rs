//! Whether copies of what other processes may change are still good.
//!
//! Changes are counted in the database. Invariant: a count holds for a second, as long as a session that was revoked
//! elsewhere may live on; one that is not the last makes every copy worthless.

use so_model::{Timestamp, time::SECOND};

/// How long a count of changes holds, in microseconds.
pub const COUNTED: i64 = SECOND;

/// The last count of changes, and the moment before it was asked for.
#[derive(Debug, Default)]
pub struct Counted(Option<(Timestamp, i64)>);

impl Counted {
    /// Whether it need not be asked for at a moment.
    pub fn holds(&self, now: Timestamp) -> bool {
        // A clock that was set back must not make a count hold for ever.
        self.0
            .is_some_and(|(at, _)| (0..COUNTED).contains(&now.since(at)))
    }

    /// Takes a count that was asked for at a moment; true if something changed since the last one.
    pub fn take(&mut self, now: Timestamp, changes: i64) -> bool {
        let before = self.0.replace((now, changes));
        before.is_none_or(|(_, before)| before != changes)
    }
}
