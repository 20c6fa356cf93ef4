//! Tests of facts as tables. The tests of a policy split the values of a fact into a few places; what each test comes to
//! is decided for every place beforehand, by [`evaluate`] itself, and looked up afterwards. So a table cannot mean anything
//! else than the conditions it was made of.

use std::cmp::Ordering;
use std::marker::PhantomData;
use std::time::Duration;

use super::evaluate::{self, Verdict};
use crate::policy::facts::{FactName, Facts, Kind, Reading};
use crate::policy::place::{Marks, rank};
use crate::policy::{Comparison, Matcher, Quantity, Test};

/// How many places of a fact stand in the column itself: more than most facts have.
const PLACES: usize = 16;

/// What the tests of one fact come to together, for every place of it. The default is a column of a fact without tests.
#[derive(Debug, Clone, Default)]
pub(super) struct Column<M> {
    /// The [`rank`]s at which places of a quantity begin, rising; the largest rank where there are fewer.
    bounds: [u64; 2],
    /// Those behind, in the same way.
    further: Vec<[u64; 4]>,
    /// By place; the mark of the last place where there are fewer.
    marks: [M; PLACES],
    /// Those behind.
    more: Vec<M>,
}

impl<M: Copy + Default> Column<M> {
    fn new(bounds: &[Quantity], marks: &[M]) -> Self {
        let rank = |index: usize| bounds.get(index).map_or(u64::MAX, |bound| rank::of(*bound));
        let last = marks.last().copied().unwrap_or_default();
        Self {
            bounds: std::array::from_fn(rank),
            further: (2..bounds.len())
                .step_by(4)
                .map(|first| std::array::from_fn(|index| rank(first.saturating_add(index))))
                .collect(),
            marks: std::array::from_fn(|place| marks.get(place).copied().unwrap_or(last)),
            more: marks.iter().skip(PLACES).chain([&last]).copied().collect(),
        }
    }

    #[cold]
    fn of_more(&self, place: usize) -> M {
        self.more.get(place.wrapping_sub(PLACES)).or(self.more.last()).copied().unwrap_or_default()
    }
}

impl<M: Copy + Default> Marks for Column<M> {
    type Mark = M;

    #[inline(always)]
    fn at(&self, place: usize) -> M {
        self.marks.get(place).copied().unwrap_or_else(|| self.of_more(place))
    }

    // Without a branch on the quantity, because quantities vary from run to run.
    #[inline(always)]
    fn of_rank(&self, rank: u64) -> M {
        let reached = |sum: usize, bound: &u64| sum.wrapping_add(usize::from(rank >= *bound));
        let few = self.bounds.iter().fold(0, reached);
        if self.further.is_empty() {
            self.of_value(few)
        } else {
            self.of_value(self.further.iter().flatten().fold(few, reached))
        }
    }
}

/// The room for tests in a table. Making one takes the square of what its tests weigh, and no policy may take long to make
/// ready: what finds no room is left to the evaluator.
#[derive(Debug)]
pub(super) struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(1024)
    }
}

impl Room {
    /// Takes room for tests, if all of them can stand in a table and there is enough.
    pub(super) fn take<'t, N: FactName>(&mut self, tests: impl Iterator<Item = &'t Test<N>>) -> bool {
        let left = tests
            .map(|test| fits(test).then(|| weight(test)))
            .try_fold(self.0, |left, weight| left.checked_sub(weight?));
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

/// Whether a test can stand in a table: those of words, flags and quantities can, and whether a set is empty.
fn fits<N: FactName>(test: &Test<N>) -> bool {
    match test.fact.spec().kind {
        Kind::Bool | Kind::Enum(_) | Kind::Int | Kind::Number | Kind::Duration => true,
        Kind::Set(_) => matches!(test.matcher, Matcher::Empty(_)),
        Kind::Repo | Kind::Login => false,
    }
}

fn weight<N>(test: &Test<N>) -> usize {
    match &test.matcher {
        Matcher::OneOf(words) => words.len(),
        Matcher::OneOfQuantities(quantities) => quantities.len().saturating_mul(2),
        _ => 2,
    }
}

/// A column for every fact that the tests ask for, in the order of the catalogue. `mark` writes down what a test comes to
/// in one place.
pub(super) fn columns<N: FactName, T, M: Copy + Default, const COUNT: usize>(
    tests: &[(&Test<N>, T)],
    mark: impl Fn(&mut M, &T, Verdict),
) -> [Option<Column<M>>; COUNT] {
    std::array::from_fn(|index| {
        let fact = *N::ALL.get(index)?;
        let tests: Vec<_> = tests.iter().filter(|(test, _)| test.fact == fact).collect();
        tests.first()?;
        let bounds = bounds(tests.iter().map(|(test, _)| *test));
        let marks = readings(fact, &bounds).into_iter().map(|reading| {
            let mut marks = M::default();
            for (test, subject) in &tests {
                mark(&mut marks, subject, evaluate::compare(test, &Only(reading, PhantomData)));
            }
            marks
        });
        Some(Column::new(&bounds, &marks.collect::<Vec<M>>()))
    })
}

/// One value for each place of a fact, in the order of [`place`].
fn readings<N: FactName>(fact: N, bounds: &[Quantity]) -> Vec<Reading<'static>> {
    const NOT_EMPTY: &[String] = &[String::new()];
    let mut readings = vec![Reading::NotRead, Reading::Unknown("")];
    match fact.spec().kind {
        Kind::Bool => readings.extend([Reading::Bool(false), Reading::Bool(true)]),
        Kind::Enum(words) => readings.extend(words.iter().map(|word| Reading::Text(word))),
        Kind::Set(_) => readings.extend([Reading::Set(NOT_EMPTY), Reading::Set(&[])]),
        Kind::Int => readings.push(Reading::Int(i64::MIN)),
        Kind::Number => readings.push(Reading::Number(f64::NEG_INFINITY)),
        Kind::Duration => readings.push(Reading::Duration(Duration::ZERO)),
        Kind::Repo | Kind::Login => {}
    }
    readings.extend(bounds.iter().map(|bound| match *bound {
        Quantity::Int(value) => Reading::Int(value),
        Quantity::Number(value) => Reading::Number(value),
        Quantity::Duration(value) => Reading::Duration(value),
    }));
    readings
}

/// The least values from which on one of these tests may come to something else, rising.
fn bounds<'t, N: FactName>(tests: impl Iterator<Item = &'t Test<N>>) -> Vec<Quantity> {
    let mut bounds: Vec<Quantity> = tests.flat_map(|test| first_values(&test.matcher)).collect();
    bounds.sort_by(order);
    bounds.dedup();
    bounds
}

fn first_values(matcher: &Matcher) -> Vec<Quantity> {
    let both = |value: &Quantity| std::iter::once(*value).chain(next(*value)).collect::<Vec<_>>();
    match matcher {
        Matcher::Compare(Comparison::Lt | Comparison::Gte, bound) => vec![*bound],
        Matcher::Compare(Comparison::Gt | Comparison::Lte, bound) => next(*bound).into_iter().collect(),
        Matcher::Compare(Comparison::Eq | Comparison::Ne, bound) => both(bound),
        Matcher::OneOfQuantities(bounds) => bounds.iter().flat_map(both).collect(),
        _ => Vec::new(),
    }
}

/// The next larger value.
fn next(value: Quantity) -> Option<Quantity> {
    match value {
        Quantity::Int(value) => value.checked_add(1).map(Quantity::Int),
        Quantity::Number(value) => Some(value.next_up()).filter(|next| *next > value).map(Quantity::Number),
        Quantity::Duration(value) => value.checked_add(Duration::from_secs(1)).map(Quantity::Duration),
    }
}

/// Of bounds of one fact, which are all of its type.
fn order(left: &Quantity, right: &Quantity) -> Ordering {
    match (left, right) {
        (Quantity::Int(left), Quantity::Int(right)) => left.cmp(right),
        (Quantity::Number(left), Quantity::Number(right)) => left.total_cmp(right),
        (Quantity::Duration(left), Quantity::Duration(right)) => left.cmp(right),
        _ => Ordering::Equal,
    }
}

/// The same reading, whatever is asked.
struct Only<N>(Reading<'static>, PhantomData<N>);

impl<N: FactName> Facts for Only<N> {
    type Name = N;

    fn read(&self, _: N) -> Reading<'_> {
        self.0
    }
}
