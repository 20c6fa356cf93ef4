//! That facts which stay as they are never carry out the same effects tick after tick.
//!
//! The facts are held still and the run is followed from tick to tick. Only a turn changes anything: then `told` is true,
//! and `attempts` is one more, or the same where the turn was given up. A row whose effects are carried out a second time on the way is a breach.

use super::Breach;
use super::case::Case;
use super::diagram::{Diagrams, Region, Variable};
use super::machine::{End, Machine, RowIndex, StateIndex, Tick};
use super::space::Scope;
use crate::policy::facts::RunFact;

/// A run on its way, with facts that stay as they are.
struct Trail<'m> {
    /// The ticks so far, with the state that each began in and the turns that had been accepted by then.
    ticks: Vec<(StateIndex, &'m Tick, i128)>,
    /// The rows carried out so far.
    done: Vec<RowIndex>,
    /// The inputs on which it comes so far; it asks neither `attempts` nor, after a turn, `told`.
    region: Region,
    /// Where a run can be in the state that it starts from.
    within: Region,
    /// Whether a turn was sent, accepted or not.
    told: bool,
    /// Turns accepted so far.
    turns: i128,
    /// The `attempts` at the start that lead here, both ends included.
    first: i128,
    last: i128,
}

struct Variables {
    attempts: Variable,
    told: Variable,
}

impl Machine<'_> {
    /// Facts that stay as they are never carry out the same effects tick after tick.
    pub fn repeat_effects(&self, diagrams: &mut Diagrams) -> Option<Breach> {
        let variables =
            Variables { attempts: self.space.single(RunFact::Attempts)?.0, told: self.space.single(RunFact::Told)?.0 };
        let least = i128::from(RunFact::Attempts.least());
        for state in (0..self.ticks.len()).filter(|state| self.rests(*state)) {
            let mut trail = Trail {
                ticks: Vec::new(),
                done: Vec::new(),
                region: Region::EVERYTHING,
                within: Region::NOTHING,
                told: false,
                turns: 0,
                first: least,
                last: i128::from(i64::MAX),
            };
            if let Some(breach) = self.repeats(diagrams, state, &mut trail, &variables) {
                return Some(breach);
            }
        }
        None
    }

    fn repeats<'m>(
        &'m self,
        diagrams: &mut Diagrams,
        state: StateIndex,
        trail: &mut Trail<'m>,
        variables: &Variables,
    ) -> Option<Breach> {
        for tick in self.ticks.get(state)? {
            // Where nothing is carried out, the next tick is like this one.
            let End::Act(row) = tick.end else { continue };
            if self.is_terminal(tick.state) {
                continue;
            }
            for range in 0..self.space.single(RunFact::Attempts)?.1 {
                if !diagrams.spend(1) {
                    return None;
                }
                let (first, last) = self.space.range(RunFact::Attempts, range)?;
                // What was `attempts` at the start, if after so many turns it lies in this range.
                let (first, last) = (first.saturating_sub(trail.turns), last.saturating_sub(trail.turns));
                let (first, last) = (first.max(trail.first), last.min(trail.last));
                if first > last {
                    continue;
                }
                let mut here = diagrams.given(tick.region, variables.attempts, range);
                if trail.told {
                    here = diagrams.given(here, variables.told, 1);
                }
                let mut region = diagrams.and(trail.region, here);
                if trail.ticks.is_empty() {
                    trail.within = diagrams.given(self.within(state), variables.attempts, range);
                }
                if !diagrams.meet(region, trail.within) {
                    continue;
                }
                if trail.done.contains(&row) {
                    return self.repetition(diagrams, (state, tick), row, (region, first), trail, variables);
                }
                let turn = self.sends_turn(row);
                if turn && !trail.told {
                    region = diagrams.for_some(region, variables.told);
                }
                let before = (trail.region, trail.told, trail.turns, trail.first, trail.last);
                trail.done.push(row);
                trail.ticks.push((state, tick, trail.turns));
                let accepted: &[i128] = if turn { &[1, 0] } else { &[0] };
                for accepted in accepted {
                    trail.region = region;
                    trail.told |= turn;
                    trail.turns = before.2.saturating_add(*accepted);
                    (trail.first, trail.last) = (first, last);
                    let breach = self.repeats(diagrams, tick.state, trail, variables);
                    (trail.region, trail.told, trail.turns, trail.first, trail.last) = before;
                    if breach.is_some() {
                        return breach;
                    }
                }
                trail.ticks.pop();
                trail.done.pop();
            }
        }
        None
    }

    /// The breach, with one case for each tick from the first time to the second.
    fn repetition(
        &self,
        diagrams: &mut Diagrams,
        again: (StateIndex, &Tick),
        row: RowIndex,
        (region, first): (Region, i128),
        trail: &Trail<'_>,
        variables: &Variables,
    ) -> Option<Breach> {
        let name = &self.row(row)?.name;
        let start = trail.done.iter().position(|done| *done == row)?;
        let mut cases: Vec<Case> = Vec::new();
        let mut told = false;
        let steps = trail.ticks.iter().copied().chain([(again.0, again.1, trail.turns)]);
        for (index, (state, tick, turns)) in steps.enumerate() {
            let attempts = first.saturating_add(turns);
            let mut here = region;
            if told {
                // `told` was let go at the first turn; from then on it is true.
                let sent = diagrams.is(variables.told, 2, 1);
                here = diagrams.and(here, sent);
            }
            let range = self.space.range_of(RunFact::Attempts, attempts)?;
            let counted = diagrams.is(variables.attempts, self.space.single(RunFact::Attempts)?.1, range);
            here = diagrams.and(here, counted);
            if index >= start {
                let what = if index == start { "carried out" } else { "carried out again, on the same facts" };
                let mut case = self.case("repeat-effects", what, state, tick, here, diagrams)?;
                case.example.set("attempts", attempts);
                cases.push(case);
            }
            if let End::Act(row) = tick.end {
                told |= self.sends_turn(row);
            }
        }
        Some(Breach {
            message: format!("the effects of row `{name}` can be carried out again and again while nothing changes"),
            span: self.row(row)?.span,
            label: "facts that stay as they are lead back to it".to_owned(),
            cases,
            notes: Vec::new(),
        })
    }
}
