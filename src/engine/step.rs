//! The next row of a run: pure, total, first match wins.

use std::cell::OnceCell;
use std::time::Duration;

use super::evaluate::{self, Verdict};
use super::rows::Rows;
use crate::policy::facts::{CiStatus, Observed, RunFact, RunFacts};
use crate::policy::{Comparison, Condition, Effect, Matcher, Policy, Quantity, Rules, State, Test, Transition};

/// What binds a run besides its facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circumstances {
    /// The kill switch is on, in any of its forms.
    pub kill_switch: bool,
    /// The repository is on the allowlist and not on the denylist.
    pub enrolled: bool,
}

/// What is due for a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step<'p> {
    /// No row matches.
    Wait,
    /// This row is the first that matches.
    Row(&'p Transition),
    /// This row is the first that matches, and may not take effect now. No later row is tried.
    Held(&'p Transition, HeldBy),
}

/// Why a row that matches may not take effect now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldBy {
    /// It sends a turn, and the kill switch is on.
    KillSwitch,
    /// It sends a turn or closes, and whether a person holds the run cannot be established.
    HeldUnknown,
    /// It sends a turn or closes, and the state of the issue cannot be established.
    IssueUnknown,
}

/// The state machines of a policy, each made when it is first asked for.
#[derive(Debug)]
pub struct Machines<'p> {
    policy: &'p Policy,
    base: OnceCell<Machine<'p>>,
    overrides: Vec<(&'p Rules, OnceCell<Machine<'p>>)>,
}

impl<'p> Machines<'p> {
    /// Those of a policy.
    pub fn new(policy: &'p Policy) -> Self {
        let overrides = policy.overrides.iter().map(|(_, rules)| (rules, OnceCell::new()));
        Self { policy, base: OnceCell::new(), overrides: overrides.collect() }
    }

    /// The one for a repository.
    pub fn of(&self, repo: &str) -> &Machine<'p> {
        let rules = self.policy.rules(repo);
        let made =
            self.overrides.iter().find(|(other, _)| std::ptr::eq(*other, rules)).map_or(&self.base, |(_, made)| made);
        made.get_or_init(|| Machine::new(rules))
    }
}

/// The state machine of some rules, ready for many runs.
#[derive(Debug, Clone)]
pub struct Machine<'p> {
    rules: &'p Rules,
    states: Vec<Ready<'p>>,
    rows: Rows<'p>,
}

/// A state of the [`Machine`] that was asked for it, found by its name once for many steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateIndex(usize);

/// A row, and what it does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'p> {
    pub(super) row: &'p Transition,
    /// It sends a turn.
    turns: bool,
    /// It sends a turn or closes.
    delicate: bool,
}

/// A state, and the bits of those of its rows that have some.
#[derive(Debug, Clone, Copy)]
struct Ready<'p> {
    state: &'p State,
    enrolled: u64,
    /// Without the rows that send a turn.
    not_enrolled: u64,
}

impl<'p> Machine<'p> {
    /// Makes it ready.
    pub fn new(rules: &'p Rules) -> Self {
        let rows = Rows::new(rules.transitions.iter().map(|row| Row::new(rules, row)));
        let states = rules.states.iter().map(|state| Ready {
            state,
            enrolled: rows.bits(|row| row.applies(state, true)),
            not_enrolled: rows.bits(|row| row.applies(state, false)),
        });
        Self { rules, states: states.collect(), rows }
    }

    /// The state of a run by its name, or the initial one where the policy does not have it.
    pub fn state(&self, name: &str) -> Option<StateIndex> {
        let named = self.states.iter().position(|ready| ready.state.name == name);
        named.or_else(|| self.states.iter().position(|ready| ready.state.initial)).map(StateIndex)
    }

    /// The next row of a run.
    #[inline]
    pub fn step(&self, state: StateIndex, facts: &RunFacts, circumstances: Circumstances) -> Step<'p> {
        self.first(state, facts, self.rows.closed(facts), circumstances)
    }

    /// The first row of a state that holds, by the bits of what does not, which are the same in every state.
    #[inline]
    fn first(
        &self,
        StateIndex(state): StateIndex,
        facts: &RunFacts,
        closed: u64,
        circumstances: Circumstances,
    ) -> Step<'p> {
        let Some(ready) = self.states.get(state) else { return Step::Wait };
        let bits = if circumstances.enrolled { ready.enrolled } else { ready.not_enrolled };
        let beyond = |row: &Row<'p>| row.applies(ready.state, circumstances.enrolled);
        self.rows.first(bits & !closed, beyond, facts).map_or(Step::Wait, |row| row.due(facts, circumstances))
    }

    /// Takes every row without effects that is due, up to the first row with effects.
    pub fn advance(&self, name: &str, facts: &RunFacts, circumstances: Circumstances) -> Advance<'p> {
        let closed = self.rows.closed(facts);
        let (mut path, mut passed, mut next) = (Vec::new(), Vec::new(), self.state(name));
        // Every turn of the loop passes a state for the first time, so it ends.
        let end = loop {
            let Some(state) = next.filter(|state| !passed.contains(state)) else {
                break if passed.is_empty() { End::Wait } else { End::Circle };
            };
            passed.push(state);
            match self.first(state, facts, closed, circumstances) {
                Step::Wait => break End::Wait,
                Step::Held(row, why) => break End::Held(row, why),
                Step::Row(row) if !self.rules.effects(row).is_empty() => break End::Act(row),
                Step::Row(row) => {
                    path.push(row);
                    next = self.state(&row.to);
                }
            }
        };
        let start = passed.first().and_then(|StateIndex(index)| self.states.get(*index));
        let start = start.map_or(name, |ready| ready.state.name.as_str());
        let state = path.last().map_or(start, |row| row.to.as_str()).to_owned();
        Advance { path, state, end, restarted: start != name }
    }

    /// The next thing to happen to a run, if only time passes, and how long until then. `Duration::ZERO`: it is due now.
    pub fn next_due(
        &self,
        state: &str,
        facts: &RunFacts,
        circumstances: Circumstances,
    ) -> Option<(Duration, Step<'p>)> {
        let state = self.state(state)?;
        let mut moments = vec![Duration::ZERO];
        for row in &self.rules.transitions {
            turning_points(&row.when, facts, &mut moments);
        }
        moments.sort_unstable();
        moments
            .into_iter()
            .map(|moment| (moment, self.step(state, &later(facts, moment), circumstances)))
            .find(|(_, step)| *step != Step::Wait)
    }
}

impl<'p> Row<'p> {
    fn new(rules: &'p Rules, row: &'p Transition) -> Self {
        let turns = sends_turn(rules, row);
        let closes = rules.effects(row).iter().any(|effect| matches!(effect.value, Effect::Close(_)));
        Self { row, turns, delicate: turns || closes }
    }

    /// It may be taken in this state.
    fn applies(&self, state: &State, enrolled: bool) -> bool {
        state.outcome.is_none() && self.row.from.contains(&state.name) && (enrolled || !self.turns)
    }

    /// It is the first that holds: whether it may take effect now.
    #[inline]
    fn due(self, facts: &RunFacts, circumstances: Circumstances) -> Step<'p> {
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

/// The state of a run, or the initial one (`true`) where the policy no longer has it.
fn resolve<'p>(rules: &'p Rules, state: &str) -> Option<(&'p State, bool)> {
    rules.state(state).map(|state| (state, false)).or_else(|| rules.initial_state().map(|state| (state, true)))
}

/// Whether a row sends the agent a turn: such a row does not match where the repository is not enrolled.
pub fn sends_turn(rules: &Rules, row: &Transition) -> bool {
    rules.effects(row).iter().any(|effect| matches!(effect.value, Effect::Turn(_)))
}

/// How far a run goes in one tick.
#[derive(Debug, Clone, PartialEq)]
pub struct Advance<'p> {
    /// The rows without effects that were taken, in order.
    pub path: Vec<&'p Transition>,
    /// The state they lead to.
    pub state: String,
    /// What comes next.
    pub end: End<'p>,
    /// The policy no longer has the state it started from: it went on from the initial one.
    pub restarted: bool,
}

/// What comes after the rows without effects.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum End<'p> {
    /// Nothing is due.
    Wait,
    /// This row has effects: carry them out, then the run is in its `to`.
    Act(&'p Transition),
    /// This row is due and held.
    Held(&'p Transition, HeldBy),
    /// Rows without effects came back to a state already passed; the last of the path closes the circle.
    Circle,
}

/// The lines of the progress comment, and whether each is ticked.
pub fn checklist<'p>(rules: &'p Rules, facts: &RunFacts) -> Vec<(&'p str, bool)> {
    rules
        .checklist
        .iter()
        .map(|item| (item.title.as_str(), evaluate::evaluate(&item.when, facts) == Verdict::Holds))
        .collect()
}

/// One row, as `explain` shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct RowTrace<'p> {
    /// The row.
    pub row: &'p Transition,
    /// What its condition comes to.
    pub verdict: Verdict,
    /// Its `from` has the state.
    pub applies: bool,
    /// What keeps its condition from holding.
    pub lacking: Vec<&'p Test<RunFact>>,
}

/// Every row, in file order.
pub fn trace<'p>(rules: &'p Rules, state: &str, facts: &RunFacts) -> Vec<RowTrace<'p>> {
    let state = resolve(rules, state).map(|(state, _)| &state.name);
    rules
        .transitions
        .iter()
        .map(|row| RowTrace {
            row,
            verdict: evaluate::evaluate(&row.when, facts),
            applies: state.is_some_and(|state| row.from.contains(state)),
            lacking: evaluate::lacking(&row.when, facts),
        })
        .collect()
}

/// How long until a row matches, if only time passes and every other fact stays as it is; `None`: never by itself.
pub fn due_in(row: &Transition, facts: &RunFacts) -> Option<Duration> {
    let mut moments = vec![Duration::ZERO];
    turning_points(&row.when, facts, &mut moments);
    moments.sort_unstable();
    moments.into_iter().find(|moment| evaluate::evaluate(&row.when, &later(facts, *moment)) == Verdict::Holds)
}

/// The moments at which a test of a duration that grows may change its verdict.
fn turning_points(condition: &Condition<RunFact>, facts: &RunFacts, moments: &mut Vec<Duration>) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().for_each(|part| turning_points(part, facts, moments));
        }
        Condition::Not(part) => turning_points(part, facts, moments),
        Condition::Test(test) => {
            let bounds: &[Quantity] = match &test.matcher {
                Matcher::Compare(_, bound) => std::slice::from_ref(bound),
                Matcher::OneOfQuantities(bounds) => bounds,
                _ => return,
            };
            let past = matches!(test.matcher, Matcher::Compare(Comparison::Gt | Comparison::Lte | Comparison::Ne, _));
            for bound in bounds {
                let Quantity::Duration(bound) = bound else { continue };
                let Some(left) = growing(test.fact, facts).and_then(|now| bound.checked_sub(now)) else { continue };
                // The first moment after the bound; policies count whole seconds.
                moments.push(if past { left.saturating_add(Duration::from_secs(1)) } else { left });
            }
        }
    }
}

/// A duration that grows while time passes and nothing happens, in whole seconds.
fn growing(fact: RunFact, facts: &RunFacts) -> Option<Duration> {
    let grown = later(facts, Duration::from_secs(1));
    let now = match fact {
        RunFact::Age => Some(facts.age),
        RunFact::Quiet => Some(facts.quiet),
        RunFact::VerdictWait if grown.verdict_wait > facts.verdict_wait => Some(facts.verdict_wait),
        RunFact::RedFor if grown.red_for > facts.red_for => Some(facts.red_for),
        _ => None,
    };
    now.map(|now| Duration::from_secs(now.as_secs()))
}

/// The facts after some time in which nothing happens.
fn later(facts: &RunFacts, by: Duration) -> RunFacts {
    let mut facts = facts.clone();
    facts.age = facts.age.saturating_add(by);
    facts.quiet = facts.quiet.saturating_add(by);
    match facts.ci {
        CiStatus::Red => facts.red_for = facts.red_for.saturating_add(by),
        CiStatus::None | CiStatus::Pending | CiStatus::Unknown if facts.pushed != Observed::Known(false) => {
            facts.verdict_wait = facts.verdict_wait.saturating_add(by);
        }
        CiStatus::None | CiStatus::Pending | CiStatus::Unknown | CiStatus::Green => {}
    }
    facts
}
