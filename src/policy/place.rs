//! Where the values of facts stand among those that conditions tell apart: the tests of a policy split the values of a
//! fact into a few places. Those without a value come first; then `false` before `true`, words in the order of the catalogue, a set
//! by whether it is empty, a quantity by how many bounds it reaches. A text has one place.

use super::condition::Quantity;

/// Nobody asked.
pub const NOT_READ: usize = 0;
/// Could not be established, or is not a number.
pub const UNKNOWN: usize = 1;
/// The first value.
pub const FIRST: usize = 2;

/// Something marked beforehand for every place of a fact.
pub trait Marks {
    /// What is marked.
    type Mark;

    /// Whether anything is marked that matters.
    #[inline(always)]
    fn wanted(&self) -> bool {
        true
    }

    /// The mark of a place.
    fn at(&self, place: usize) -> Self::Mark;

    /// The mark of a quantity, by its [`rank`].
    fn of_rank(&self, rank: u64) -> Self::Mark;

    /// The mark of a value, counted from 0.
    #[inline(always)]
    fn of_value(&self, index: usize) -> Self::Mark {
        self.at(index.wrapping_add(FIRST))
    }
}

/// Marks of a fact for which there may be none.
impl<M: Marks<Mark: Default>> Marks for Option<M> {
    type Mark = M::Mark;

    #[inline(always)]
    fn wanted(&self) -> bool {
        self.is_some()
    }

    #[inline(always)]
    fn at(&self, place: usize) -> M::Mark {
        self.as_ref().map(|marks| marks.at(place)).unwrap_or_default()
    }

    #[inline(always)]
    fn of_rank(&self, rank: u64) -> M::Mark {
        self.as_ref().map(|marks| marks.of_rank(rank)).unwrap_or_default()
    }
}

/// Quantities as whole numbers in the same order, so that all compare alike.
pub mod rank {
    use std::time::Duration;

    use super::Quantity;

    const SIGN: u64 = 1 << 63;

    /// Of any.
    pub fn of(quantity: Quantity) -> u64 {
        match quantity {
            Quantity::Int(value) => of_int(value),
            Quantity::Number(value) => of_number(value),
            Quantity::Duration(value) => of_duration(value),
        }
    }

    #[inline(always)]
    pub(in crate::policy) fn of_int(value: i64) -> u64 {
        value.cast_unsigned() ^ SIGN
    }

    /// Of one that is a number.
    #[inline(always)]
    pub(in crate::policy) fn of_number(value: f64) -> u64 {
        // Adding makes -0 what it equals.
        let bits = (value + 0.0).to_bits();
        bits ^ ((bits.cast_signed() >> 63).cast_unsigned() | SIGN)
    }

    #[inline(always)]
    pub(in crate::policy) fn of_duration(value: Duration) -> u64 {
        value.as_secs()
    }
}
