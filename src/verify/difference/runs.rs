//! On which inputs a tick ends differently for a run.

use std::collections::{BTreeMap, BTreeSet};

use super::areas::Area;
use super::causes::Denial;
use super::rows::{self, Cause, Rows};
use super::states::{self, States};
use super::{Direction, Item, Place, Report, Sample, TooLarge, words};
use crate::policy::Effect;
use crate::verify::diagram::{Diagrams, Region};
use crate::verify::domain::Chosen;
use crate::verify::machine::{self, End, Machine, StateIndex, Tick};
use crate::verify::space::Example;

/// In seconds.
const A_DAY: u64 = 24 * 60 * 60;

/// What comes of a run in a tick, whatever the rows are called.
struct Outcome<'p> {
    /// The state it is in then, by its name in the new policy.
    state: String,
    has_ended: bool,
    /// What is done.
    effects: Vec<&'p Effect>,
}

impl Outcome<'_> {
    /// Whether the same comes of the run. What its state counts as is said once, of the state.
    fn is_like(&self, other: &Self) -> bool {
        self.state == other.state && self.effects == other.effects && self.has_ended == other.has_ended
    }
}

/// Everything that one cause changes in one direction.
struct Group {
    place: Place,
    details: Vec<String>,
    sample: Sample,
    weight: Weight,
}

/// How hard an example is to follow; of states, the first of the file is the plainest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Weight {
    unknown: usize,
    /// Limits that run out are told of last: they end every run.
    days: u64,
    /// Facts that are not harmless, and rows that are taken on the way without effects.
    parts: usize,
    /// What times and counts add up to.
    amount: u64,
}

impl Weight {
    fn of(example: &Example, rows: usize) -> Self {
        let values = || example.facts.iter().map(|(_, value)| value);
        let seconds = |value: &Chosen| match value {
            Chosen::Seconds(seconds) => *seconds,
            _ => 0,
        };
        let amount = |value: &Chosen| match value {
            Chosen::Int(count) => count.unsigned_abs(),
            value => seconds(value),
        };
        Self {
            unknown: values().filter(|value| matches!(value, Chosen::Unknown)).count(),
            days: values().map(|value| seconds(value).div_euclid(A_DAY)).max().unwrap_or(0),
            parts: example.facts.len().saturating_add(rows),
            amount: values().map(amount).fold(0, u64::saturating_add),
        }
    }
}

/// Compares every tick of every state. What was said of is added to `named`.
pub fn compare(
    area: &Area<'_>,
    steps: &mut u32,
    named: &mut BTreeSet<String>,
    report: &mut Report<'_>,
) -> Result<(), TooLarge> {
    let too_large = || TooLarge { scope: area.scope.as_ref().map(ToString::to_string) };
    let mut diagrams = Diagrams::new(*steps);
    let space = |diagrams: &mut Diagrams| {
        let policies = [area.new.into(), area.old.into()];
        machine::space(diagrams, policies, &area.denied, area.scope.as_ref(), &area.outside).ok_or_else(too_large)
    };
    let (old_space, new_space) = (space(&mut diagrams)?, space(&mut diagrams)?);
    let old_denied = &report.old.denylist.value;
    let mut old = Machine::over(&mut diagrams, area.old.into(), old_space, old_denied);
    let new_denied = &report.new.denylist.value;
    let mut new = Machine::over(&mut diagrams, area.new.into(), new_space, new_denied);
    let (rested, rests) = (resting(&old), resting(&new));
    old.explore_everywhere(&mut diagrams);
    new.explore_everywhere(&mut diagrams);
    let both = diagrams.and(old.possible, new.possible);
    // What the new denylist does to the turns of the old rows is said of the denylist.
    let denial = Denial::of(report, &new.space, &mut diagrams);
    let redenied = diagrams.or(denial.lifted, denial.imposed);
    let held_space = space(&mut diagrams)?;
    let mut held = Machine::over(&mut diagrams, area.old.into(), held_space, new_denied);
    held.explore_everywhere(&mut diagrams);
    let states = States::of(area);
    let rows = Rows::of(area, report, &states);

    let mut groups: BTreeMap<(Cause, Direction), Group> = BTreeMap::new();
    for (state, name) in area.old.states.iter().enumerate().map(|(index, state)| (index, &state.name)) {
        let same = area.new.states.iter().position(|one| one.name == *states.new_name(name));
        // Where no run gets under either, nobody minds.
        let is_reached = |same: &StateIndex| rested.contains(&state) || rests.contains(same);
        let Some(same) = same.filter(is_reached) else { continue };
        let starts = starts(&mut diagrams, &old, &held, state, redenied);
        for (start, is) in starts.iter().flat_map(|start| ticks(&new, same).iter().map(move |is| (start, is))) {
            let (was, (machine, from)) = (start.was, start.from);
            let (before, after) = (outcome(&old, was, Some(&states)), outcome(&new, is, None));
            if before.is_like(&after) || outcome(machine, from, Some(&states)).is_like(&after) {
                continue;
            }
            let region = diagrams.and(start.region, is.region);
            let region = diagrams.and(region, both);
            if region.is_empty() {
                continue;
            }
            let direction = direction(&before, &after);
            let effects = [&before, &after].map(|outcome| words::effects(outcome.effects.iter().copied()));
            let (mut before, mut after) = (told(&old, was), told(&new, is));
            if before == after && effects[0] != effects[1] {
                before.push_str(&format!(" doing `{}`", effects[0]));
                after.push_str(&format!(" doing `{}`", effects[1]));
            }
            let detail = detail(name, &before, &after);
            for (cause, region) in rows.causes(start.from, (&new, is), region, &mut diagrams) {
                let Some(example) = new.space.known_example(&diagrams, region) else { continue };
                let weight = Weight::of(&example, was.path.len().saturating_add(is.path.len()));
                let sample =
                    Sample { state: Some(name.clone()), before: before.clone(), after: after.clone(), example };
                let place = rows.place(&cause, area, report);
                match groups.entry((cause, direction)) {
                    std::collections::btree_map::Entry::Occupied(mut group) => {
                        let group = group.get_mut();
                        // Rows without effects on the way may differ where the end does not.
                        if !group.details.contains(&detail) {
                            group.details.push(detail.clone());
                        }
                        if weight < group.weight {
                            group.sample = sample;
                            group.weight = weight;
                        }
                    }
                    std::collections::btree_map::Entry::Vacant(free) => {
                        free.insert(Group { place, details: vec![detail.clone()], sample, weight });
                    }
                }
            }
        }
    }
    if diagrams.exceeded() {
        return Err(too_large());
    }
    for ((cause, direction), Group { place, mut details, sample, .. }) in one_an_action(groups) {
        rows.name(&cause, area, report, named);
        if let Some(state) = &sample.state {
            // What the example shows is said first.
            let shown = detail(state, &sample.before, &sample.after);
            details.sort_by_key(|detail| *detail != shown);
        }
        let what = rows::what(&cause, area, report, &details);
        report.add(Item { direction, what, scopes: area.scopes(), details, sample: Some(sample), place });
    }
    // Rows of states that no run was ever in: what leads there was told.
    let only_new = area.new.transitions.iter().filter(|row| !row.from.iter().any(|state| states.is_known(state)));
    named.extend(only_new.map(|row| format!("row:{}", row.name)));
    for (old, new) in states.pairs.iter().filter(|(old, new)| old != new) {
        named.extend([format!("state:{old}"), format!("state:{new}")]);
    }
    for row in &area.new.transitions {
        let Some(was) = area.old.transition(&row.name) else { continue };
        let from = was.from.iter().map(|state| states.new_name(state));
        if states.new_name(&was.to) == row.to && from.eq(row.from.iter().map(String::as_str)) {
            named.insert(format!("states-of-row:{}", row.name));
        }
    }
    states::compare(area, &rested, &rests, &states, report);
    *steps = diagrams.left();
    Ok(())
}

/// A tick of the old rows where it comes with one to which the new rows are held.
struct Start<'m, 'p> {
    was: &'m Tick,
    /// That tick itself; where the denial changed, the one that the old rows come to under the new denylist.
    from: (&'m Machine<'p>, &'m Tick),
    region: Region,
}

fn starts<'m, 'p>(
    diagrams: &mut Diagrams,
    old: &'m Machine<'p>,
    held: &'m Machine<'p>,
    state: StateIndex,
    redenied: Region,
) -> Vec<Start<'m, 'p>> {
    let mut starts = Vec::new();
    for was in ticks(old, state) {
        starts.push(Start { was, from: (old, was), region: diagrams.without(was.region, redenied) });
        let changed = diagrams.and(was.region, redenied);
        if !changed.is_empty() {
            let from = ticks(held, state).iter();
            let from = from.map(|from| Start { was, from: (held, from), region: diagrams.and(changed, from.region) });
            starts.extend(from.filter(|start| !start.region.is_empty()));
        }
    }
    starts
}

/// What an action does otherwise is one change, whichever way the rows go that name it: looser, if any is.
fn one_an_action(groups: BTreeMap<(Cause, Direction), Group>) -> Vec<((Cause, Direction), Group)> {
    let mut all: Vec<((Cause, Direction), Group)> = Vec::new();
    for ((cause, direction), group) in groups {
        match all.last_mut() {
            Some(((known, which), last)) if matches!(cause, Cause::Action(_)) && *known == cause => {
                // The first of them is the looser one.
                if *which == Direction::Tighter {
                    *which = direction;
                    last.sample = group.sample;
                }
                last.details.extend(group.details);
            }
            _ => all.push(((cause, direction), group)),
        }
    }
    all
}

/// The states in which runs rest under a policy by itself.
fn resting(machine: &Machine<'_>) -> Vec<StateIndex> {
    (0..machine.rules.states.len()).filter(|state| machine.rests(*state)).collect()
}

fn ticks<'m>(machine: &'m Machine<'_>, state: StateIndex) -> &'m [Tick] {
    machine.ticks.get(state).map_or(&[], Vec::as_slice)
}

fn outcome<'p>(machine: &Machine<'p>, tick: &Tick, states: Option<&States>) -> Outcome<'p> {
    let effects = match tick.end {
        End::Act(row) => machine
            .row(row)
            .map_or(Vec::new(), |row| machine.rules.effects(row).iter().map(|effect| &effect.value).collect()),
        End::Wait | End::Held(_) | End::Circle => Vec::new(),
    };
    let has_ended = machine.rules.states.get(tick.state).is_some_and(|state| state.outcome.is_some());
    let state = machine.state_name(tick.state);
    Outcome { state: states.map_or(state, |states| states.new_name(state)).to_owned(), has_ended, effects }
}

/// A close takes more on itself than a turn, that than waiting, and that than ending the run.
fn direction(before: &Outcome<'_>, after: &Outcome<'_>) -> Direction {
    let reach = |outcome: &Outcome<'_>| {
        if outcome.effects.iter().any(|effect| matches!(effect, Effect::Close(_))) {
            3
        } else if outcome.effects.iter().any(|effect| matches!(effect, Effect::Turn(_))) {
            2
        } else {
            i32::from(!outcome.has_ended)
        }
    };
    let has = |outcome: &Outcome<'_>, wanted: fn(&Effect) -> bool| outcome.effects.iter().any(|effect| wanted(effect));
    if before.state == after.state {
        let interrupts = |outcome| has(outcome, |effect| matches!(effect, Effect::Interrupt));
        let closes = |outcome| has(outcome, |effect| matches!(effect, Effect::Close(_)));
        match (interrupts(before), interrupts(after)) {
            // The agent works on where a person expects it to have stopped.
            (true, false) => return Direction::Looser,
            (false, true) => return Direction::Tighter,
            _ if closes(before) && !closes(after) => return Direction::Different,
            _ => {}
        }
    }
    match reach(after).cmp(&reach(before)) {
        std::cmp::Ordering::Greater => Direction::Looser,
        std::cmp::Ordering::Less => Direction::Tighter,
        std::cmp::Ordering::Equal => Direction::Different,
    }
}

/// How a tick ends, in words.
fn told(machine: &Machine<'_>, tick: &Tick) -> String {
    let state = machine.state_name(tick.state);
    let name = |row: usize| machine.row(row).map_or("", |row| row.name.as_str());
    match (tick.end, tick.path.last()) {
        (End::Act(row), _) => format!("`{}` (→ {state})", name(row)),
        (End::Held(row), _) => format!("waiting (`{}` is held back while a fact is unknown)", name(row)),
        (End::Wait | End::Circle, Some(last)) => format!("`{}` (→ {state})", name(*last)),
        (End::Wait | End::Circle, None) => "waiting".to_owned(),
    }
}

fn detail(state: &str, before: &str, after: &str) -> String {
    if before == after { format!("in `{state}`: {after}") } else { format!("in `{state}`: {before} becomes {after}") }
}
