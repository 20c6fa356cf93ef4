//! Moments of a run: how old it is and how many turns it had. Neither ever falls, whatever else changes from tick to tick.

use super::diagram::{Diagrams, Region, Value, Variable};
use super::space::Space;
use crate::policy::facts::RunFact;

/// Since when something can be, for each range of `attempts`: the first range of `age` at which it can be with no more
/// `attempts` than that; `None`: not at all. Never rises.
pub type Earliest = Vec<Option<Value>>;

/// The two facts that count time.
pub struct Moments {
    age: (Variable, Value),
    attempts: (Variable, Value),
}

impl Moments {
    /// The moments of a space.
    pub fn new(space: &Space<RunFact>) -> Option<Self> {
        Some(Self { age: space.single(RunFact::Age)?, attempts: space.single(RunFact::Attempts)? })
    }

    /// From the dispatch on.
    pub fn always(&self) -> Earliest {
        (0..self.attempts.1).map(|_| Some(0)).collect()
    }

    /// The inputs from then on.
    pub fn since(&self, diagrams: &mut Diagrams, earliest: &Earliest) -> Region {
        let mut since = Region::NOTHING;
        for (attempts, age) in (0..).zip(earliest) {
            let Some(age) = age else { continue };
            let old = diagrams.values(self.age.0, self.age.1, |value| value >= *age);
            let tried = diagrams.values(self.attempts.0, self.attempts.1, |value| value >= attempts);
            let both = diagrams.and(old, tried);
            since = diagrams.or(since, both);
        }
        since
    }

    /// Adds to `known` the moments of the inputs that are in both `region` and `within`; whether that changed anything.
    pub fn arrive(
        &self,
        diagrams: &mut Diagrams,
        region: Region,
        within: Region,
        known: Option<&mut Option<Earliest>>,
    ) -> bool {
        let Some(known) = known else { return false };
        let mut changed = known.is_none();
        let earliest = known.get_or_insert_with(|| (0..self.attempts.1).map(|_| None).collect());
        // What can be at some age with few attempts can be with more.
        let mut before = None;
        for (attempts, best) in (0..).zip(earliest) {
            let bound = [before, *best].into_iter().flatten().min();
            let found = if bound == Some(0) {
                bound
            } else {
                let tried = diagrams.values(self.attempts.0, self.attempts.1, |value| value <= attempts);
                let within = diagrams.and(within, tried);
                self.youngest(diagrams, region, within, bound.unwrap_or(self.age.1)).or(bound)
            };
            changed |= found != *best;
            *best = found;
            before = found;
        }
        changed
    }

    /// The first range of `age` below `end` at which an input is in both regions.
    fn youngest(&self, diagrams: &mut Diagrams, region: Region, within: Region, end: Value) -> Option<Value> {
        let at_most = |diagrams: &mut Diagrams, age: Value| {
            let young = diagrams.values(self.age.0, self.age.1, |value| value <= age);
            let young = diagrams.and(within, young);
            diagrams.meet(region, young)
        };
        let last = end.checked_sub(1)?;
        if !at_most(diagrams, last) {
            return None;
        }
        let (mut first, mut found) = (0, last);
        while first < found {
            let middle = first.midpoint(found);
            if at_most(diagrams, middle) {
                found = middle;
            } else {
                first = middle.saturating_add(1);
            }
        }
        Some(found)
    }
}
