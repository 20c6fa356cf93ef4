//! The rows of a policy, ready to be found by the facts of many runs.
//!
//! A row holds in one way or another: every alternative is a list of tests that must all hold, and has a bit. A table says of
//! every place of a fact which alternatives it closes. What is closed by no fact is open, and the first of those is the
//! row. That takes the same few steps for every run, whatever its facts are, and nothing that the processor would
//! have to guess.

use super::evaluate::{self, Verdict};
use super::step::Row;
use super::table::{self, Column, Room};
use crate::policy::facts::{RunFact, RunFacts};
use crate::policy::{Condition, Test};

/// How many alternatives have bits.
const BITS: usize = 64;

/// How many alternatives of one row are told apart.
const MOST: usize = 16;

/// How many tests an alternative may have.
const LONGEST: usize = 32;

/// Rows, in the order in which they are tried.
#[derive(Debug, Clone)]
pub(super) struct Rows<'p> {
    closed: [Column<u64>; RunFacts::COUNT],
    alternatives: Vec<Alternative<'p>>,
    /// The rows behind those that have bits.
    beyond: Vec<Row<'p>>,
}

/// A way in which a row may hold.
#[derive(Debug, Clone, Copy)]
struct Alternative<'p> {
    row: Row<'p>,
    /// The table says all about it. Where it does not, the condition has the last word.
    settled: bool,
}

/// Tests that must all hold, or must not (`true`).
type Tests<'p> = Vec<(&'p Test<RunFact>, bool)>;

impl<'p> Rows<'p> {
    /// Makes them ready.
    pub(super) fn new(mut rows: impl Iterator<Item = Row<'p>>) -> Self {
        let (mut alternatives, mut tests, mut beyond) = (Vec::new(), Vec::new(), Vec::new());
        let mut room = Room::default();
        for row in rows.by_ref() {
            let ways = ways(&row.row.when, false);
            let ways = ways.filter(|ways| room.take(ways.iter().flatten().map(|(test, _)| *test)));
            let settled = ways.is_some();
            let ways = ways.unwrap_or_else(|| vec![Vec::new()]);
            if alternatives.len().saturating_add(ways.len()) > BITS {
                beyond.push(row);
                break;
            }
            for way in ways {
                let bit = bit(alternatives.len());
                tests.extend(way.into_iter().map(|(test, negated)| (test, (bit, negated))));
                alternatives.push(Alternative { row, settled });
            }
        }
        beyond.extend(rows);
        let columns = table::columns(&tests, |closed: &mut u64, (bit, negated), verdict| {
            let holds = if *negated { Verdict::Fails } else { Verdict::Holds };
            *closed |= if verdict == holds { 0 } else { *bit };
        });
        Self { closed: columns.map(Option::unwrap_or_default), alternatives, beyond }
    }

    /// The bits of the rows that are wanted.
    pub(super) fn bits(&self, wanted: impl Fn(&Row<'p>) -> bool) -> u64 {
        let all = self.alternatives.iter().enumerate();
        all.filter(|(_, one)| wanted(&one.row)).fold(0, |bits, (index, _)| bits | bit(index))
    }

    /// The bits of what does not hold.
    // Inlined, it took a fifth more instructions: too much is kept at hand at once.
    #[inline(never)]
    pub(super) fn closed(&self, facts: &RunFacts) -> u64 {
        let mut closed = 0;
        facts.each_mark(&self.closed, |bits| closed |= bits);
        closed
    }

    /// The first row that holds, of those whose bits are open and of those beyond that are wanted.
    #[inline]
    pub(super) fn first(&self, mut open: u64, wanted: impl Fn(&Row<'p>) -> bool, facts: &RunFacts) -> Option<Row<'p>> {
        let holds = |row: &Row<'_>| evaluate::evaluate(&row.row.when, facts) == Verdict::Holds;
        while open != 0 {
            let alternative = self.alternatives.get(usize::try_from(open.trailing_zeros()).ok()?)?;
            if alternative.settled || holds(&alternative.row) {
                return Some(alternative.row);
            }
            open &= open.wrapping_sub(1);
        }
        self.beyond.iter().find(|row| wanted(row) && holds(row)).copied()
    }
}

/// The bit of an alternative; no bit past the last.
fn bit(index: usize) -> u64 {
    u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index)).unwrap_or(0)
}

/// The ways in which a condition may hold; `None` where they are too many or too long.
fn ways(condition: &Condition<RunFact>, negated: bool) -> Option<Vec<Tests<'_>>> {
    let (parts, every) = match condition {
        Condition::Test(test) => return Some(vec![vec![(test, negated)]]),
        Condition::Not(part) => return ways(part, !negated),
        Condition::All(parts) => (parts, !negated),
        Condition::Any(parts) => (parts, negated),
    };
    // What must hold at once multiplies, what may hold instead adds up.
    let mut all = if every { vec![Vec::new()] } else { Vec::new() };
    for part in parts {
        let ways = ways(part, negated)?;
        if every {
            let pairs = all.iter().flat_map(|one| ways.iter().map(move |other| (one, other)));
            all = pairs.map(|(one, other)| [one.as_slice(), other].concat()).collect();
        } else {
            all.extend(ways);
        }
        if all.len() > MOST || all.iter().any(|way| way.len() > LONGEST) {
            return None;
        }
    }
    Some(all)
}
