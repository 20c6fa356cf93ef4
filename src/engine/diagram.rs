//! The rows of a policy as a decision diagram, which grows by the runs it meets.
//!
//! A question asks for one fact, whose place leads to the next question or to an end. What a row comes to while facts are
//! missing is left to [`evaluate`], to which a fact not asked for is one that nobody read. So a diagram cannot mean
//! anything else than the conditions it was made of, and a run costs no more than the facts that its row depends on.

use std::collections::BTreeMap;

use super::evaluate::{self, Verdict};
use super::step::Row;
use super::table;
use crate::policy::facts::{Facts, Reading, RunFact, RunFacts, place};
use crate::policy::{Quantity, Test};

/// Indexes below are questions, those from here on ends: one look tells both whether there is another question and which.
const ENDS: usize = usize::MAX / 2;

/// The index of what no run has led to yet.
const NOT_MET: usize = usize::MAX;

/// Rows, ready for many runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Diagram<'p> {
    questions: Vec<Question>,
    /// What was known before each question, in the same order.
    origins: Vec<Origin<'p>>,
    ends: Vec<End<'p>>,
    /// Every question and end by what is open there.
    met: BTreeMap<Vec<usize>, usize>,
}

/// Where in a diagram some rows begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start(usize);

/// A fact to ask for, and where its places lead.
#[derive(Debug, Clone)]
struct Question {
    fact: RunFact,
    bounds: Vec<Quantity>,
    place: fn(&RunFacts, &[Quantity]) -> usize,
    /// The index of what a place leads to.
    next: Vec<usize>,
}

/// Rows that may still hold, in order, after some answers.
#[derive(Debug, Clone)]
struct Origin<'p> {
    rows: Vec<Row<'p>>,
    answers: Answers,
}

#[derive(Debug, Clone)]
enum End<'p> {
    /// The first row that holds, if any does.
    Decided(Option<Row<'p>>),
    /// It depends on facts that have no places.
    Open(Vec<Row<'p>>),
}

/// What is known of a run.
#[derive(Debug, Clone, Default)]
struct Answers(Vec<(RunFact, Reading<'static>)>);

impl Facts for Answers {
    type Name = RunFact;

    fn read(&self, fact: RunFact) -> Reading<'_> {
        self.0.iter().find(|(asked, _)| *asked == fact).map_or(Reading::NotRead, |(_, answer)| *answer)
    }
}

impl<'p> Diagram<'p> {
    /// Adds rows, of which the first that holds is to be found.
    pub(super) fn add(&mut self, rows: Vec<Row<'p>>) -> Start {
        Start(self.meet(Origin { rows, answers: Answers::default() }))
    }

    /// The first row that holds.
    pub(super) fn first(&mut self, Start(start): Start, facts: &RunFacts) -> Option<Row<'p>> {
        let (mut at, mut asked, mut place) = (start, start, 0);
        loop {
            while let Some(question) = self.questions.get(at) {
                (asked, place) = (at, (question.place)(facts, &question.bounds));
                at = question.next.get(place).copied().unwrap_or(NOT_MET);
            }
            match self.ends.get(at.wrapping_sub(ENDS)) {
                Some(End::Decided(row)) => return *row,
                Some(End::Open(rows)) => {
                    let mut rows = rows.iter();
                    return rows.find(|row| evaluate::evaluate(&row.row.when, facts) == Verdict::Holds).copied();
                }
                None => at = self.grow(asked, place)?,
            }
        }
    }

    /// Adds what an answer leads to.
    #[cold]
    fn grow(&mut self, asked: usize, place: usize) -> Option<usize> {
        let question = self.questions.get(asked)?;
        let mut origin = self.origins.get(asked)?.clone();
        // No row holds by a fact that nobody read, as none does by an unknown one; here it is one that was asked for.
        let answer = *table::readings(question.fact, &question.bounds).get(place.max(place::UNKNOWN))?;
        origin.answers.0.push((question.fact, answer));
        let index = self.meet(origin);
        *self.questions.get_mut(asked)?.next.get_mut(place)? = index;
        Some(index)
    }

    /// The index of the question or end to which some answers lead.
    fn meet(&mut self, mut origin: Origin<'p>) -> usize {
        let open = origin.settle();
        let key: Vec<usize> = open.iter().flat_map(Open::key).collect();
        if let Some(index) = self.met.get(&key) {
            return *index;
        }
        let index = if let Some(question) = question(&open) {
            self.questions.push(question);
            self.origins.push(origin);
            self.questions.len().saturating_sub(1)
        } else {
            let decided = open.first().is_none_or(|row| row.tests.is_empty());
            self.ends.push(if decided { End::Decided(origin.rows.first().copied()) } else { End::Open(origin.rows) });
            self.ends.len().saturating_sub(1).saturating_add(ENDS)
        };
        self.met.insert(key, index);
        index
    }
}

/// A row that may still hold, and the tests on which that depends.
struct Open<'p> {
    row: Row<'p>,
    tests: Vec<&'p Test<RunFact>>,
}

impl Open<'_> {
    /// The same for two rows exactly when the same answers are open to them.
    fn key(&self) -> impl Iterator<Item = usize> {
        let tests = self.tests.iter().map(|test| std::ptr::from_ref(*test).addr());
        std::iter::once(std::ptr::from_ref(self.row.row).addr()).chain(tests)
    }
}

impl<'p> Origin<'p> {
    /// Drops the rows that cannot be the first that holds.
    fn settle(&mut self) -> Vec<Open<'p>> {
        let mut open = Vec::new();
        for row in std::mem::take(&mut self.rows) {
            let verdict = evaluate::evaluate(&row.row.when, &self.answers);
            if matches!(verdict, Verdict::Holds | Verdict::NotRead) {
                self.rows.push(row);
                open.push(Open { row, tests: evaluate::open(&row.row.when, &self.answers) });
            }
            if verdict == Verdict::Holds {
                break;
            }
        }
        open
    }
}

/// Of the facts on which the first row depends the one that most tests ask for; `None` where no fact's place tells what
/// every test of it comes to.
fn question(open: &[Open<'_>]) -> Option<Question> {
    let tests = |fact| open.iter().flat_map(|row| &row.tests).copied().filter(move |test| test.fact == fact);
    let facts = open.first()?.tests.iter().map(|test| test.fact).filter(|fact| tests(*fact).all(table::fits));
    let fact = facts.max_by_key(|fact| tests(*fact).count())?;
    let bounds = table::bounds(tests(fact));
    let next = vec![NOT_MET; table::readings(fact, &bounds).len()];
    Some(Question { fact, place: RunFacts::place_of(fact), next, bounds })
}
