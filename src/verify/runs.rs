//! What is proven of the rows: that every run ends, closes only what is verified, and does not go round in circles.

use std::collections::BTreeMap;

use super::case::{Case, Expected};
use super::diagram::{Diagrams, Region};
use super::domain::Chosen;
use super::machine::{End, Machine, StateIndex, Tick};
use super::{Breach, Evidence};
use crate::policy::facts::{CiStatus, RunFact};
use crate::policy::{Matcher, Span, Test, Transition};

/// A way in which a run goes on: from a state, by a tick.
type Move<'m> = (StateIndex, &'m Tick);

impl Machine<'_> {
    /// No run is without an end: from some age on, whatever the other facts.
    pub fn unbounded_run(&self, diagrams: &mut Diagrams, stranded: &[StateIndex]) -> Option<Breach> {
        let old = self.last_range(diagrams, RunFact::Age);
        // Whoever cannot go on with any number of attempts cannot with a certain one.
        self.going_on(diagrams, old, stranded).first()?;
        let (attempts, ranges) = self.space.single(RunFact::Attempts)?;
        for range in 0..ranges {
            // In a run that goes on for ever, `attempts` stays in one range at last. That it sends turns changes nothing:
            // one that is given up is not counted.
            let counted = diagrams.is(attempts, ranges, range);
            let here = diagrams.and(old, counted);
            let moves = self.going_on(diagrams, here, stranded);
            if let Some(breach) = self.endless(diagrams, here, &moves) {
                return Some(breach);
            }
        }
        None
    }

    /// The moves that can follow each other without an end on inputs of `here`.
    fn going_on(&self, diagrams: &mut Diagrams, here: Region, stranded: &[StateIndex]) -> Vec<Move<'_>> {
        let mut moves: Vec<Move<'_>> = Vec::new();
        for state in (0..self.ticks.len()).filter(|state| self.rests(*state) && !stranded.contains(state)) {
            let here = diagrams.and(self.within(state), here);
            for tick in self.ticks.get(state).into_iter().flatten() {
                // What is held waits for a fact to be read or the kill switch to go off, not for the policy. And who has
                // come to an end does not go on.
                let goes_on = !matches!(tick.end, End::Held(_)) && !self.is_terminal(tick.state);
                if goes_on && diagrams.meet(tick.region, here) {
                    moves.push((state, tick));
                }
            }
        }
        // Whoever cannot go on among those that can go on comes to an end.
        loop {
            let before = moves.len();
            let starts: Vec<StateIndex> = moves.iter().map(|(state, _)| *state).collect();
            moves.retain(|(_, tick)| starts.contains(&tick.state));
            if moves.len() == before {
                return moves;
            }
        }
    }

    /// The breach that moves without an end make; a run that simply waits is the plainest.
    fn endless(&self, diagrams: &mut Diagrams, here: Region, moves: &[Move<'_>]) -> Option<Breach> {
        let waits = |(state, tick): &&Move<'_>| tick.end == End::Wait && tick.state == *state;
        let start = moves.iter().find(waits).or(moves.first())?;
        let mut circle: Vec<&Move<'_>> = vec![start];
        while let Some((_, tick)) = circle.last() {
            let next = moves.iter().filter(|(state, _)| *state == tick.state);
            let next = next.min_by_key(|(_, next)| !circle.iter().any(|(state, _)| *state == next.state))?;
            if let Some(again) = circle.iter().position(|(state, _)| *state == next.0) {
                circle.drain(..again);
                break;
            }
            circle.push(next);
        }
        let mut states: Vec<&str> = moves.iter().map(|(state, _)| self.state_name(*state)).collect();
        states.dedup();
        let named = listed(&states);
        let (first, tick) = circle.first()?;
        let message = if states.len() == 1 && tick.end != End::Wait {
            format!("a run can stay in {named} for ever, however old it is")
        } else if tick.end == End::Wait && tick.path.is_empty() {
            format!("a run in {named} can wait for ever, however old it is")
        } else {
            format!("a run can go back and forth between {named} for ever, however old it is")
        };
        let cases = circle
            .iter()
            .filter_map(|(state, tick)| {
                let mut case = self.case("unbounded-run", "goes on for ever", *state, tick, here, diagrams)?;
                case.example.raise("age", Chosen::Seconds(365 * 86_400));
                Some(case)
            })
            .collect();
        Some(Breach {
            message,
            span: self.rules.states.get(*first).map_or(Span::default(), |state| state.span),
            label: "no row is sure to end it".to_owned(),
            cases,
            notes: Vec::new(),
        })
    }

    /// A row that closes takes effect only where CI is green: the rows that do not.
    pub fn unverified_closes(&self, diagrams: &mut Diagrams) -> Vec<Breach> {
        let green = Matcher::OneOf(vec![CiStatus::Green.word().to_owned()]);
        let green = self.space.matches(diagrams, &Test { fact: RunFact::Ci, matcher: green, span: Span::default() });
        let not_green = diagrams.not(green);
        self.rows_that_act(
            |row| self.closes(row),
            |state, tick, row| {
                let case = self.case("unverified-close", "closed unverified", state, tick, not_green, diagrams)?;
                Some(Breach {
                    message: format!("row `{}` can close an issue although CI is not green", row.name),
                    span: row.span,
                    label: "it does not require `ci = \"green\"`".to_owned(),
                    cases: vec![case],
                    notes: Vec::new(),
                })
            },
        )
    }

    /// A row that sends a turn takes effect only below a bound on `attempts`: the rows that do not.
    pub fn endless_fixing(&self, diagrams: &mut Diagrams) -> Vec<Breach> {
        let beyond = self.last_range(diagrams, RunFact::Attempts);
        self.rows_that_act(
            |row| self.sends_turn(row),
            |state, tick, row| {
                let mut case = self.case("endless-fixing", "one turn more", state, tick, beyond, diagrams)?;
                case.example.raise("attempts", Chosen::Int(1_000));
                Some(Breach {
                    message: format!("row `{}` can send turns without a bound on `attempts`", row.name),
                    span: row.span,
                    label: "it does not require `attempts` to be below a limit".to_owned(),
                    cases: vec![case],
                    notes: Vec::new(),
                })
            },
        )
    }

    /// The first breach of each row of a kind.
    fn rows_that_act(
        &self,
        wanted: impl Fn(usize) -> bool,
        mut breach: impl FnMut(StateIndex, &Tick, &Transition) -> Option<Breach>,
    ) -> Vec<Breach> {
        let mut found = BTreeMap::new();
        for (state, tick, index) in self.acts(wanted) {
            let Some(row) = self.row(index).filter(|_| !found.contains_key(&index)) else { continue };
            if let Some(breach) = breach(state, tick, row) {
                found.insert(index, breach);
            }
        }
        found.into_values().collect()
    }

    /// Rows without effects never follow each other in a circle.
    pub fn spin(&self, diagrams: &mut Diagrams) -> Option<Breach> {
        let (state, tick) = self.all_ticks().find(|(_, tick)| tick.end == End::Circle)?;
        let rows: Vec<&str> = tick.path.iter().filter_map(|row| self.row(*row)).map(|row| row.name.as_str()).collect();
        let last = self.row(*tick.path.last()?)?;
        Some(Breach {
            message: format!("rows without effects can follow each other in a circle: {}", listed(&rows)),
            span: last.span,
            label: format!("it leads back to `{}`", last.to),
            cases: self
                .case("spin", "goes in a circle", state, tick, Region::EVERYTHING, diagrams)
                .into_iter()
                .collect(),
            notes: Vec::new(),
        })
    }

    /// The states in which a run can rest and from which no end can be reached.
    pub fn stranded(&self, diagrams: &mut Diagrams) -> Vec<StateIndex> {
        (0..self.ticks.len()).filter(|state| self.rests(*state) && !self.can_end(diagrams, *state)).collect()
    }

    /// Every state in which a run can rest has a way to an end.
    pub fn dead_end(&self, stranded: &[StateIndex]) -> Option<Breach> {
        let names: Vec<&str> = stranded.iter().map(|state| self.state_name(*state)).collect();
        let first = self.rules.states.get(*stranded.first()?)?;
        Some(Breach {
            message: format!("no run that is in {} can ever end", listed(&names)),
            span: first.span,
            label: "no row leads from here to a terminal state, and none to one that has such a row".to_owned(),
            cases: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// The ticks that carry out a row of this kind.
    pub fn acts(&self, wanted: impl Fn(usize) -> bool) -> impl Iterator<Item = (StateIndex, &Tick, usize)> {
        self.all_ticks().filter_map(move |(state, tick)| match tick.end {
            End::Act(row) if wanted(row) => Some((state, tick, row)),
            _ => None,
        })
    }

    /// The inputs whose number lies beyond every constant of the policy.
    fn last_range(&self, diagrams: &mut Diagrams, fact: RunFact) -> Region {
        self.space.single(fact).map_or(Region::EVERYTHING, |(variable, size)| {
            let last = size.saturating_sub(1);
            diagrams.values(variable, size, |value| value == last)
        })
    }

    /// A tick as a test case that says what this policy does; `None` where it cannot happen on inputs of `within`.
    pub fn case(
        &self,
        code: &str,
        what: &str,
        state: StateIndex,
        tick: &Tick,
        within: Region,
        diagrams: &mut Diagrams,
    ) -> Option<Case> {
        let region = diagrams.all([tick.region, within, self.within(state)]);
        let example = self.space.example(diagrams, region)?;
        let name = |row: &usize| self.row(*row).map(|row| row.name.clone()).unwrap_or_default();
        let path: Vec<String> = tick.path.iter().map(name).collect();
        let expected = match tick.end {
            End::Act(row) => Expected::Row(name(&row)),
            End::Held(row) => Expected::Held(name(&row)),
            End::Wait if path.is_empty() => Expected::Wait,
            End::Wait | End::Circle => Expected::Path(path),
        };
        Some(Case {
            name: format!("{code}: {what}"),
            example,
            run: Some((self.state_name(state).to_owned(), expected)),
        })
    }

    /// What a proof stands on that asks these facts of rows like these.
    pub fn evidence(&self, diagrams: &Diagrams, asked: &[RunFact], rows: impl Fn(usize) -> bool) -> Evidence {
        let ticks = self.all_ticks().filter(|(_, tick)| match tick.end {
            End::Act(row) | End::Held(row) => rows(row),
            End::Wait | End::Circle => true,
        });
        let variables = asked.iter().filter_map(|fact| self.space.single(*fact)).map(|(variable, _)| variable);
        Evidence::of(diagrams, &self.space, ticks.map(|(_, tick)| tick.region), variables)
    }
}

/// Names for people: `a`, `b` and `c`.
pub fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}
