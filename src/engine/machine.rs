//! The rows of a policy, made ready once for many runs.
//!
//! A row holds in a few cases, each of which asks for several tests at once. Every case is a bit. A fact is only read
//! when the first case that is left asks for it, and then rules out every case that it rules out.

use super::evaluate::{self, Verdict};
use super::step::{Circumstances, HeldBy, Step, sends_turn};
use super::table::{self, Column};
use crate::policy::facts::{RunFact, RunFacts};
use crate::policy::{Condition, Effect, Rules, Test, Transition};

/// How many cases a row may be taken apart into; of one with more, the whole condition is evaluated.
const MAX_CASES: usize = 16;

/// How many cases of a state have a bit.
const MAX_BITS: usize = 64;

/// The rows of some rules, for [`Machine::step`].
#[derive(Debug, Clone)]
pub struct Machine<'p> {
    states: Vec<Active<'p>>,
    initial: Option<usize>,
}

/// An active state, or one that ends the run and has no rows.
#[derive(Debug, Clone)]
struct Active<'p> {
    name: &'p str,
    /// The cases that a fact rules out.
    columns: Vec<Column<RunFact, u64>>,
    /// In the order of the policy, a bit each, and the columns that may rule it out, a bit each too.
    cases: Vec<(u64, Row<'p>)>,
    /// The bits of all cases.
    all: u64,
    /// The bits of rows that send a turn.
    turns: u64,
    /// Rows for whose cases there are no bits left.
    beyond: Vec<Row<'p>>,
}

/// A row, or one case of it.
#[derive(Debug, Clone, Copy)]
struct Row<'p> {
    row: &'p Transition,
    turns: bool,
    /// It sends a turn or closes.
    delicate: bool,
    /// The table does not tell everything: the condition itself decides.
    open: bool,
}

impl<'p> Machine<'p> {
    /// Makes the rows of some rules ready.
    pub fn new(rules: &'p Rules) -> Self {
        Self {
            states: rules.states.iter().map(|state| Active::new(rules, &state.name, state.outcome.is_none())).collect(),
            initial: rules.states.iter().position(|state| state.initial),
        }
    }

    /// The next row of a run in `state`: the same as [`super::step::step`] finds.
    pub fn step(&self, state: &str, facts: &RunFacts, circumstances: Circumstances) -> Step<'p> {
        let named = self.states.iter().find(|active| active.name == state);
        let initial = || self.initial.and_then(|index| self.states.get(index));
        named.or_else(initial).map_or(Step::Wait, |active| active.step(facts, circumstances))
    }
}

impl<'p> Active<'p> {
    fn new(rules: &'p Rules, name: &'p str, active: bool) -> Self {
        let mut state = Self { name, columns: Vec::new(), cases: Vec::new(), all: 0, turns: 0, beyond: Vec::new() };
        let mut tests = Vec::new();
        for row in rules.transitions.iter().filter(|row| active && row.from.iter().any(|from| from == name)) {
            let turns = sends_turn(rules, row);
            let closes = rules.effects(row).iter().any(|effect| matches!(effect.value, Effect::Close(_)));
            let taken_apart = cases(&row.when, false);
            let open = taken_apart.is_none();
            let ready = Row { row, turns, delicate: turns || closes, open };
            let taken_apart = taken_apart.unwrap_or_else(|| vec![Vec::new()]);
            // Rows are tried in order: behind one that does not fit, none may.
            if !state.beyond.is_empty() || state.cases.len().saturating_add(taken_apart.len()) > MAX_BITS {
                state.beyond.push(Row { open: true, ..ready });
                continue;
            }
            for case in taken_apart {
                let bit = bit(state.cases.len());
                state.all |= bit;
                state.turns |= if turns { bit } else { 0 };
                let (table, rest): (Vec<_>, Vec<_>) = case.into_iter().partition(|(test, _)| table::fits(test));
                tests.extend(table.into_iter().map(|(test, negated)| (test, (bit, negated))));
                state.cases.push((0, Row { open: open || !rest.is_empty(), ..ready }));
            }
        }
        state.columns = table::columns(&tests, |ruled_out: &mut u64, (bit, negated), verdict| {
            let verdict = if *negated { !verdict } else { verdict };
            *ruled_out |= if verdict == Verdict::Holds { 0 } else { *bit };
        });
        for (number, (asks, _)) in state.cases.iter_mut().enumerate() {
            for (index, column) in state.columns.iter().enumerate() {
                *asks |= if column.marks().any(|marks| marks & bit(number) != 0) { bit(index) } else { 0 };
            }
        }
        state
    }

    fn step(&self, facts: &RunFacts, circumstances: Circumstances) -> Step<'p> {
        let mut left = if circumstances.enrolled { self.all } else { self.all & !self.turns };
        let mut unread = u64::MAX;
        let holds = |row: &Row<'p>| !row.open || evaluate::evaluate(&row.row.when, facts) == Verdict::Holds;
        while let Some((asks, row)) = at(&self.cases, left) {
            if let Some(column) = at(&self.columns, asks & unread) {
                let read = asks & unread;
                unread &= !(read & read.wrapping_neg());
                left &= !column.at(facts.place(column.fact, &column.bounds));
            } else if holds(row) {
                return row.due(facts, circumstances);
            } else {
                left &= left.wrapping_sub(1);
            }
        }
        let mut beyond = self.beyond.iter().filter(|row| circumstances.enrolled || !row.turns);
        beyond.find(|row| holds(row)).map_or(Step::Wait, |row| row.due(facts, circumstances))
    }
}

impl<'p> Row<'p> {
    /// A row that matches: whether it may take effect now.
    #[inline]
    fn due(&self, facts: &RunFacts, circumstances: Circumstances) -> Step<'p> {
        if self.turns && circumstances.kill_switch {
            Step::Held(self.row, HeldBy::KillSwitch)
        } else if self.delicate && facts.held.known().is_none() {
            Step::Held(self.row, HeldBy::HeldUnknown)
        } else if self.delicate && facts.issue.known().is_none() {
            Step::Held(self.row, HeldBy::IssueUnknown)
        } else {
            Step::Row(self.row)
        }
    }
}

fn bit(number: usize) -> u64 {
    u32::try_from(number).ok().and_then(|number| 1_u64.checked_shl(number)).unwrap_or(0)
}

/// What belongs to the lowest bit; `None` without any.
#[inline(always)]
fn at<T>(all: &[T], bits: u64) -> Option<&T> {
    usize::try_from(bits.trailing_zeros()).ok().and_then(|lowest| all.get(lowest))
}

/// A test, and whether it must fail instead of hold.
type Asked<'p> = (&'p Test<RunFact>, bool);

/// The cases in which a condition holds, or under `negated` fails: in each, all of its tests hold. `None`: too many.
fn cases(condition: &Condition<RunFact>, negated: bool) -> Option<Vec<Vec<Asked<'_>>>> {
    match condition {
        Condition::Test(test) => Some(vec![vec![(test, negated)]]),
        Condition::Not(part) => cases(part, !negated),
        Condition::All(parts) if !negated => together(parts, negated),
        Condition::Any(parts) if negated => together(parts, negated),
        Condition::All(parts) | Condition::Any(parts) => {
            let mut either = Vec::new();
            for part in parts {
                either.extend(cases(part, negated)?);
                if either.len() > MAX_CASES {
                    return None;
                }
            }
            Some(either)
        }
    }
}

/// Every case of one part with every case of the others.
fn together(parts: &[Condition<RunFact>], negated: bool) -> Option<Vec<Vec<Asked<'_>>>> {
    let mut all = vec![Vec::new()];
    for part in parts {
        let further = cases(part, negated)?;
        if all.len().saturating_mul(further.len()) > MAX_CASES {
            return None;
        }
        all = all.iter().flat_map(|case| further.iter().map(move |more| [case.as_slice(), more].concat())).collect();
    }
    Some(all)
}
