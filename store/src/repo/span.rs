//! Which rows of a list, and from which end.

/// Rows between two ids.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span<'a> {
    /// After this id; any where empty.
    pub after: &'a str,
    /// Before this id; any where empty.
    pub before: &'a str,
    /// A condition on a row that begins with ` AND `, or nothing.
    pub also: &'static str,
    /// The newest first, or the oldest.
    pub is_newest_first: bool,
    /// Rows at the most.
    pub limit: i64,
}

impl Default for Span<'_> {
    fn default() -> Self {
        Self {
            after: "",
            before: "",
            also: "",
            is_newest_first: true,
            limit: 0,
        }
    }
}
