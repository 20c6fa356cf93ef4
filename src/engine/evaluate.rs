//! Conditions over facts, in three values and a reason for the third.

/// What a condition comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// It depends on a fact that could not be established.
    Unknown,
    /// It depends on a fact that nobody asked for yet.
    NotRead,
}
