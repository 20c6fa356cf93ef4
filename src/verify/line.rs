//! Numbers and durations, cut into ranges that no comparison of the policy can tell apart inside.

use crate::policy::facts::{Kind, Reading};
use crate::policy::{Comparison, Matcher, Quantity};

use super::domain::Chosen;

/// The ranges of one fact, ascending. Every value has a place among the whole numbers: counts are their own, durations
/// count seconds (facts never hold parts of one), and amounts take the place of their bits, which sort like they do.
#[derive(Debug, Clone)]
pub struct Line {
    kind: Kind,
    /// Where each range starts; it ends before the next one.
    starts: Vec<i128>,
    /// The last place there is.
    last: i128,
}

impl Line {
    /// From `least` up, cut before and behind every constant.
    pub fn new(kind: Kind, least: i128, cuts: impl Iterator<Item = i128>) -> Self {
        let last = match kind {
            Kind::Number => Self::place(Quantity::Number(f64::INFINITY)),
            Kind::Duration => i128::from(u64::MAX),
            _ => i128::from(i64::MAX),
        };
        let mut starts = vec![least];
        for cut in cuts {
            starts.extend([cut, cut.saturating_add(1)].into_iter().filter(|start| (least..=last).contains(start)));
        }
        starts.sort_unstable();
        starts.dedup();
        Self { kind, starts, last }
    }

    /// The same, where no value is above `greatest`.
    pub fn up_to(mut self, greatest: Option<i64>) -> Self {
        if let Some(greatest) = greatest.map(i128::from) {
            self.last = greatest;
            self.starts.retain(|start| *start <= greatest);
        }
        self
    }

    /// The place of a quantity.
    pub fn place(quantity: Quantity) -> i128 {
        match quantity {
            Quantity::Int(value) => i128::from(value),
            Quantity::Duration(value) => i128::from(value.as_secs()),
            // The bits of floating-point numbers sort like the numbers, and the other way round below zero.
            Quantity::Number(value) if value.is_sign_negative() => i128::from(value.abs().to_bits()).saturating_neg(),
            Quantity::Number(value) => i128::from(value.to_bits()),
        }
    }

    /// How many ranges.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// The range that a reading falls into.
    pub fn index(&self, reading: Reading<'_>) -> usize {
        let place = match reading {
            Reading::Int(value) => Self::place(Quantity::Int(value)),
            Reading::Number(value) => Self::place(Quantity::Number(value)),
            Reading::Duration(value) => Self::place(Quantity::Duration(value)),
            _ => return 0,
        };
        self.starts.partition_point(|start| *start <= place).saturating_sub(1)
    }

    /// Whether a comparison holds for every value of a range.
    pub fn matches(&self, index: usize, matcher: &Matcher) -> bool {
        let Some(start) = self.starts.get(index) else { return false };
        match matcher {
            Matcher::OneOfQuantities(quantities) => quantities.iter().any(|one| Self::place(*one) == *start),
            Matcher::Compare(comparison, bound) => {
                let ordering = start.cmp(&Self::place(*bound));
                match comparison {
                    Comparison::Lt => ordering.is_lt(),
                    Comparison::Lte => ordering.is_le(),
                    Comparison::Gt => ordering.is_gt(),
                    Comparison::Gte => ordering.is_ge(),
                    Comparison::Eq => ordering.is_eq(),
                    Comparison::Ne => ordering.is_ne(),
                }
            }
            _ => false,
        }
    }

    /// The first and the last place of a range.
    pub fn range(&self, index: usize) -> Option<(i128, i128)> {
        let next = self.starts.get(index.saturating_add(1));
        Some((*self.starts.get(index)?, next.map_or(self.last, |next| next.saturating_sub(1))))
    }

    /// A value of a range that people like to read.
    pub fn chosen(&self, index: usize) -> Option<Chosen> {
        let (first, last) = self.range(index)?;
        Some(match self.kind {
            Kind::Duration => {
                let rounded =
                    |unit: i128| first.saturating_add(unit).saturating_sub(1).div_euclid(unit).saturating_mul(unit);
                let place = [3_600, 60].map(rounded).into_iter().find(|place| *place <= last).unwrap_or(first);
                Chosen::Seconds(u64::try_from(place).ok()?)
            }
            Kind::Number => {
                let amount = |place: i128| match u64::try_from(place) {
                    Ok(bits) => Some(f64::from_bits(bits)),
                    Err(_) => u64::try_from(place.saturating_neg()).ok().map(|bits| -f64::from_bits(bits)),
                };
                let exact = amount(first)?;
                let whole = exact.floor() + 1.0;
                let inside = exact.fract() != 0.0 && Self::place(Quantity::Number(whole)) <= last;
                Chosen::Number(if inside { whole } else { exact })
            }
            _ => Chosen::Int(i64::try_from(if first < 0 && last >= 0 { 0 } else { first }).ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    const COMPARISONS: [Comparison; 6] =
        [Comparison::Lt, Comparison::Lte, Comparison::Gt, Comparison::Gte, Comparison::Eq, Comparison::Ne];

    fn holds<T: PartialOrd>(comparison: Comparison, value: T, bound: T) -> bool {
        match comparison {
            Comparison::Lt => value < bound,
            Comparison::Lte => value <= bound,
            Comparison::Gt => value > bound,
            Comparison::Gte => value >= bound,
            Comparison::Eq => value == bound,
            Comparison::Ne => value != bound,
        }
    }

    fn ranges(line: &Line) -> Vec<(i128, i128)> {
        (0..line.len()).map(|index| line.range(index).unwrap()).collect()
    }

    #[test]
    fn neighbours_and_the_ends_of_the_line_are_ranges_of_their_own() {
        let seconds = Line::new(Kind::Duration, 0, [59, 60, 61].into_iter());
        assert_eq!(ranges(&seconds), [(0, 58), (59, 59), (60, 60), (61, 61), (62, i128::from(u64::MAX))]);
        let whole = Line::new(Kind::Int, i128::from(i64::MIN), [i64::MIN, 0, i64::MAX].map(i128::from).into_iter());
        let (least, most) = (i128::from(i64::MIN), i128::from(i64::MAX));
        assert_eq!(ranges(&whole), [(least, least), (least + 1, -1), (0, 0), (1, most - 1), (most, most)]);
        let below = Line::new(Kind::Int, 0, [-5, -1].into_iter());
        assert_eq!(ranges(&below), [(0, most)]);
    }

    proptest! {
        #[test]
        fn whole_numbers_compare_like_their_range(bounds in prop::collection::vec(-3_i64..4, 1..4), value in -6_i64..7) {
            let line = Line::new(Kind::Int, i128::from(i64::MIN), bounds.iter().copied().map(i128::from));
            let index = line.index(Reading::Int(value));
            let (first, last) = line.range(index).unwrap();
            prop_assert!((first..=last).contains(&i128::from(value)));
            for bound in bounds {
                for comparison in COMPARISONS {
                    let matcher = Matcher::Compare(comparison, Quantity::Int(bound));
                    prop_assert_eq!(line.matches(index, &matcher), holds(comparison, value, bound));
                }
                let one_of = Matcher::OneOfQuantities(vec![Quantity::Int(bound)]);
                prop_assert_eq!(line.matches(index, &one_of), value == bound);
            }
        }

        #[test]
        fn amounts_compare_like_their_range(
            bounds in prop::collection::vec(prop_oneof![Just(0.3), Just(0.1 + 0.2), Just(-0.0), Just(0.0), -1.0..200.0_f64], 1..4),
            value in prop_oneof![Just(0.3), Just(0.1 + 0.2), Just(-0.0), Just(f64::INFINITY), 0.0..200.0_f64],
        ) {
            let line = Line::new(Kind::Number, 0, bounds.iter().map(|bound| Line::place(Quantity::Number(*bound))));
            let index = line.index(Reading::Number(value));
            for bound in bounds {
                for comparison in COMPARISONS {
                    let matcher = Matcher::Compare(comparison, Quantity::Number(bound));
                    prop_assert_eq!(line.matches(index, &matcher), holds(comparison, value, bound));
                }
            }
        }

        #[test]
        fn what_is_chosen_of_a_range_lies_in_it(bounds in prop::collection::vec(0_u64..10_000, 0..6)) {
            let line = Line::new(Kind::Duration, 0, bounds.iter().copied().map(i128::from));
            for index in 0..line.len() {
                let Some(Chosen::Seconds(seconds)) = line.chosen(index) else { panic!() };
                prop_assert_eq!(line.index(Reading::Duration(Duration::from_secs(seconds))), index);
            }
            let line = Line::new(Kind::Number, 0, bounds.iter().map(|bound| Line::place(Quantity::Number(*bound as f64 / 8.0))));
            for index in 0..line.len() {
                let Some(Chosen::Number(amount)) = line.chosen(index) else { panic!() };
                prop_assert_eq!(line.index(Reading::Number(amount)), index);
            }
        }
    }
}
