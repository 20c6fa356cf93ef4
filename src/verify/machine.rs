//! The state machine of one scope, decided: what one tick does to a run in each state, over all inputs.

use super::axioms;
use super::diagram::{Diagrams, Region};
use super::moments::{Earliest, Moments};
use super::space::{Constants, Space, Truth};
use crate::policy::facts::{RunFact, RunFacts};
use crate::policy::{Effect, Matcher, RepoList, RepoPattern, RunRules, Test, Transition};

/// A state by its place in the policy.
pub type StateIndex = usize;
/// A row by its place in the policy.
pub type RowIndex = usize;

/// One thing that a tick can do to a run that rests in a state.
#[derive(Debug, Clone)]
pub struct Tick {
    /// The rows without effects that are taken, in order.
    pub path: Vec<RowIndex>,
    /// What comes after them.
    pub end: End,
    /// Where the run is then.
    pub state: StateIndex,
    /// The inputs on which this is what happens. Some are possible, not all: see [`Machine::possible`].
    pub region: Region,
}

/// How a tick ends for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// No row matches.
    Wait,
    /// The effects of this row are carried out.
    Act(RowIndex),
    /// This row is due and held, because a fact is unknown that it must not go without.
    Held(RowIndex),
    /// Rows without effects came back to a state already passed in this tick.
    Circle,
}

/// The rows of one scope, decided.
pub struct Machine<'p> {
    pub rules: RunRules<'p>,
    pub space: Space<RunFact>,
    /// The inputs that the axioms allow. Kept apart from the regions, which it would make many times larger.
    pub possible: Region,
    /// The condition of each row.
    pub truths: Vec<Truth>,
    /// What a tick can do, by state; empty where no run ever rests.
    pub ticks: Vec<Vec<Tick>>,
    /// The states that a run can be in, if only within a tick.
    pub visited: Vec<bool>,
    /// For each state the inputs on which a run can be in it at the start of a tick: `age` and `attempts` never fall, so
    /// a run is at least as old as it was when it got there.
    within: Vec<Region>,
    /// For each state its rows in order, with the inputs on which each is the first that matches; then the others.
    choices: Vec<(Vec<(RowIndex, Region)>, Region)>,
    /// Where a row that sends a turn or closes may take effect.
    delicate: Region,
}

impl<'p> Machine<'p> {
    /// `None`: more variables than can be decided.
    pub fn new(
        diagrams: &mut Diagrams,
        rules: RunRules<'p>,
        denylist: &[RepoPattern],
        scope: Option<&RepoPattern>,
        outside: &[RepoPattern],
    ) -> Option<Self> {
        let space = space(diagrams, [rules], &[denylist], scope, outside)?;
        Some(Self::over(diagrams, rules, space, denylist))
    }

    /// The rows over a space that is already cut.
    pub fn over(diagrams: &mut Diagrams, rules: RunRules<'p>, space: Space<RunFact>, denylist: &[RepoPattern]) -> Self {
        let possible = axioms::runs(&space, diagrams, &rules);
        let truths: Vec<Truth> = rules.transitions.iter().map(|row| space.truth(diagrams, &row.when)).collect();
        let listed = space.allowlisted(diagrams);
        let denied = RepoList::new(denylist.to_vec(), false, true);
        let test = Test { fact: RunFact::Repo, matcher: Matcher::In(denied), span: Default::default() };
        let denied = space.matches(diagrams, &test);
        let enrolled = diagrams.without(listed, denied);
        let (held, issue) = (space.known(diagrams, RunFact::Held), space.known(diagrams, RunFact::Issue));
        let delicate = diagrams.and(held, issue);
        let choices = rules
            .states
            .iter()
            .map(|state| {
                let mut rest = Region::EVERYTHING;
                let mut rows = Vec::new();
                for (index, (row, truth)) in rules.transitions.iter().zip(&truths).enumerate() {
                    if !row.from.contains(&state.name) {
                        continue;
                    }
                    let matches =
                        if sends_turn(&rules, row) { diagrams.and(truth.holds, enrolled) } else { truth.holds };
                    rows.push((index, diagrams.and(rest, matches)));
                    rest = diagrams.without(rest, matches);
                }
                (rows, rest)
            })
            .collect();
        let count = rules.states.len();
        let mut machine = Self {
            rules,
            space,
            possible,
            truths,
            ticks: vec![Vec::new(); count],
            visited: vec![false; count],
            within: vec![Region::NOTHING; count],
            choices,
            delicate,
        };
        machine.explore(diagrams);
        machine
    }

    /// Whether a run can be in the state at the start of a tick.
    pub fn rests(&self, state: StateIndex) -> bool {
        self.ticks.get(state).is_some_and(|ticks| !ticks.is_empty())
    }

    /// Whether a run in the state has ended.
    pub fn is_terminal(&self, state: StateIndex) -> bool {
        self.rules.states.get(state).is_none_or(|state| state.outcome.is_some())
    }

    /// The name of a state.
    pub fn state_name(&self, state: StateIndex) -> &'p str {
        self.rules.states.get(state).map_or("", |state| &state.name)
    }

    /// A row.
    pub fn row(&self, row: RowIndex) -> Option<&'p Transition> {
        self.rules.transitions.get(row)
    }

    /// The state that a row leads to.
    pub fn target(&self, row: RowIndex) -> Option<StateIndex> {
        let to = &self.row(row)?.to;
        self.rules.states.iter().position(|state| state.name == *to)
    }

    /// The rows of a state, with the inputs on which each is the first that matches.
    pub fn choices(&self, state: StateIndex) -> &[(RowIndex, Region)] {
        self.choices.get(state).map_or(&[], |(rows, _)| rows)
    }

    /// Whether a row has an effect of this kind.
    pub fn has_effect(&self, row: RowIndex, wanted: impl Fn(&Effect) -> bool) -> bool {
        self.row(row).is_some_and(|row| self.rules.effects(row).iter().any(|effect| wanted(&effect.value)))
    }

    /// Whether a row sends a turn.
    pub fn sends_turn(&self, row: RowIndex) -> bool {
        self.row(row).is_some_and(|row| sends_turn(&self.rules, row))
    }

    /// Whether a row closes the issue.
    pub fn closes(&self, row: RowIndex) -> bool {
        self.has_effect(row, |effect| matches!(effect, Effect::Close(_)))
    }

    /// Every tick of every state in which a run can rest.
    pub fn all_ticks(&self) -> impl Iterator<Item = (StateIndex, &Tick)> {
        self.ticks.iter().enumerate().flat_map(|(state, ticks)| ticks.iter().map(move |tick| (state, tick)))
    }

    /// The inputs on which a run can be in a state at the start of a tick.
    pub fn within(&self, state: StateIndex) -> Region {
        self.within.get(state).copied().unwrap_or(Region::NOTHING)
    }

    /// Follows what ticks can do, from the initial state on.
    fn explore(&mut self, diagrams: &mut Diagrams) {
        let Some(start) = self.rules.states.iter().position(|state| state.initial) else { return };
        let Some(moments) = Moments::new(&self.space) else { return };
        let mut reached: Vec<Option<Earliest>> = vec![None; self.rules.states.len()];
        if let Some(first) = reached.get_mut(start) {
            *first = Some(moments.always());
        }
        self.visit(start);
        let mut open = vec![start];
        while let Some(state) = open.pop() {
            let Some(Some(earliest)) = reached.get(state) else { continue };
            let since = moments.since(diagrams, earliest);
            let within = diagrams.and(self.possible, since);
            if self.is_terminal(state) || diagrams.exceeded() {
                continue;
            }
            if let Some(of_state) = self.within.get_mut(state) {
                *of_state = within;
            }
            let mut ticks = Vec::new();
            self.follow(diagrams, state, Region::EVERYTHING, &mut Vec::new(), &mut vec![state], &mut ticks);
            for tick in &ticks {
                for passed in tick.path.iter().filter_map(|row| self.target(*row)).collect::<Vec<_>>() {
                    self.visit(passed);
                }
                self.visit(tick.state);
                // When a run came to its end matters to nothing that follows.
                if !self.is_terminal(tick.state)
                    && moments.arrive(diagrams, tick.region, within, reached.get_mut(tick.state))
                {
                    open.push(tick.state);
                }
            }
            if let Some(of_state) = self.ticks.get_mut(state) {
                *of_state = ticks;
            }
        }
    }

    /// Follows what ticks can do from every active state on, whether or not a run gets there under this policy: one that
    /// was begun under another may be anywhere.
    pub fn explore_everywhere(&mut self, diagrams: &mut Diagrams) {
        for state in 0..self.ticks.len() {
            let within = self.within.get_mut(state).map(|within| std::mem::replace(within, self.possible));
            if within == Some(self.possible) {
                continue;
            }
            let mut ticks = Vec::new();
            if !self.is_terminal(state) {
                self.follow(diagrams, state, Region::EVERYTHING, &mut Vec::new(), &mut vec![state], &mut ticks);
            }
            if let Some(of_state) = self.ticks.get_mut(state) {
                *of_state = ticks;
            }
        }
    }

    /// Whether a run that is in a state can get to an end.
    pub fn can_end(&self, diagrams: &mut Diagrams, state: StateIndex) -> bool {
        let Some(moments) = Moments::new(&self.space) else { return false };
        let mut reached: Vec<Option<Earliest>> = vec![None; self.ticks.len()];
        let mut open = vec![(state, self.within(state))];
        while let Some((state, within)) = open.pop() {
            let ticks = self.ticks.get(state).map_or(&[][..], Vec::as_slice);
            let (ends, others): (Vec<&Tick>, Vec<&Tick>) = ticks.iter().partition(|tick| self.is_terminal(tick.state));
            if ends.into_iter().any(|tick| diagrams.meet(tick.region, within)) {
                return true;
            }
            for tick in others {
                if moments.arrive(diagrams, tick.region, within, reached.get_mut(tick.state))
                    && let Some(Some(earliest)) = reached.get(tick.state)
                {
                    let since = moments.since(diagrams, earliest);
                    let within = diagrams.and(self.within(tick.state), since);
                    open.push((tick.state, within));
                }
            }
        }
        false
    }

    fn visit(&mut self, state: StateIndex) {
        if let Some(visited) = self.visited.get_mut(state) {
            *visited = true;
        }
    }

    fn follow(
        &self,
        diagrams: &mut Diagrams,
        state: StateIndex,
        region: Region,
        path: &mut Vec<RowIndex>,
        passed: &mut Vec<StateIndex>,
        ticks: &mut Vec<Tick>,
    ) {
        let tick = |path: &[RowIndex], end, state, region| Tick { path: path.to_vec(), end, state, region };
        let Some((rows, rest)) = self.choices.get(state) else { return };
        let within = passed.first().map_or(Region::NOTHING, |start| self.within(*start));
        if self.is_terminal(state) {
            ticks.push(tick(path, End::Wait, state, region));
            return;
        }
        let waits = diagrams.and(region, *rest);
        if diagrams.meet(waits, within) {
            ticks.push(tick(path, End::Wait, state, waits));
        }
        for (row, chosen) in rows {
            let chosen = diagrams.and(region, *chosen);
            let (Some(target), true) = (self.target(*row), diagrams.meet(chosen, within)) else { continue };
            if !diagrams.spend(1) {
                return;
            }
            if self.has_effect(*row, |_| true) {
                let delicate = self.sends_turn(*row) || self.closes(*row);
                let acts = if delicate { diagrams.and(chosen, self.delicate) } else { chosen };
                let held = diagrams.without(chosen, acts);
                for (end, state, region) in [(End::Act(*row), target, acts), (End::Held(*row), state, held)] {
                    if diagrams.meet(region, within) {
                        ticks.push(tick(path, end, state, region));
                    }
                }
                continue;
            }
            path.push(*row);
            if passed.contains(&target) {
                ticks.push(Tick { path: path.clone(), end: End::Circle, state: target, region: chosen });
            } else {
                passed.push(target);
                self.follow(diagrams, target, chosen, path, passed, ticks);
                passed.pop();
            }
            path.pop();
        }
    }
}

/// The space of the runs of several policies, cut along the constants of all of them.
pub fn space<'p>(
    diagrams: &mut Diagrams,
    policies: impl IntoIterator<Item = RunRules<'p>>,
    denylists: &[&[RepoPattern]],
    scope: Option<&RepoPattern>,
    outside: &[RepoPattern],
) -> Option<Space<RunFact>> {
    let mut constants = Constants::new();
    let mut harmless = None;
    for rules in policies {
        rules.transitions.iter().for_each(|row| constants.of_condition(&row.when));
        axioms::cuts_of_runs(&mut constants, &rules);
        let labels = &rules.labels;
        harmless.get_or_insert_with(|| RunFacts::harmless("acme/app", &labels.ready.value, &labels.in_progress.value));
    }
    denylists.iter().for_each(|denylist| constants.patterns(denylist));
    Space::new(diagrams, constants, &harmless?, scope, outside)
}

fn sends_turn(rules: &RunRules<'_>, row: &Transition) -> bool {
    rules.effects(row).iter().any(|effect| matches!(effect.value, Effect::Turn(_)))
}
