//! On which inputs a tick ends differently for a run.

use std::collections::{BTreeMap, BTreeSet};

use super::areas::Area;
use super::causes::{self, Change, Denial};
use super::{Direction, Item, Place, Report, Sample, TooLarge, words};
use crate::policy::{Effect, Rules, State, Transition};
use crate::verify::diagram::{Diagrams, Region};
use crate::verify::machine::{self, End, Machine, StateIndex, Tick};

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

/// Why runs are decided differently.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    Constants(Vec<String>),
    Row { name: String, change: Change },
    Action(String),
    Moved(String),
    Unclear(String),
}

/// Everything that one cause changes in one direction.
struct Group {
    place: Place,
    details: Vec<String>,
    sample: Sample,
    weight: usize,
}

/// The states of both policies that are the same one.
struct States {
    /// The old name, and the new one.
    pairs: Vec<(String, String)>,
    /// Where runs go on whose state is gone.
    start: String,
}

impl States {
    fn of(area: &Area<'_>) -> Self {
        let kept = area.old.states.iter().filter(|state| area.new.state(&state.name).is_some());
        let mut pairs: Vec<(String, String)> = kept.map(|state| (state.name.clone(), state.name.clone())).collect();
        let gone: Vec<&State> = area.old.states.iter().filter(|one| area.new.state(&one.name).is_none()).collect();
        let added: Vec<&State> = area.new.states.iter().filter(|one| area.old.state(&one.name).is_none()).collect();
        for state in &gone {
            let like = |one: &&&State| {
                one.title == state.title && one.initial == state.initial && one.outcome == state.outcome
            };
            let (mut twins, mut others) = (added.iter().filter(like), gone.iter().filter(like));
            if let (Some(twin), None, Some(_), None) = (twins.next(), twins.next(), others.next(), others.next()) {
                pairs.push((state.name.clone(), twin.name.clone()));
            }
        }
        let start = area.new.initial_state().map_or_else(String::new, |state| state.name.clone());
        Self { pairs, start }
    }

    /// The state of the new policy in which a run goes on.
    fn new_name<'s>(&'s self, old: &str) -> &'s str {
        self.pairs.iter().find(|(one, _)| one == old).map_or(&self.start, |(_, new)| new)
    }

    /// Whether a state of the new policy was there before.
    fn is_known(&self, new: &str) -> bool {
        self.pairs.iter().any(|(_, one)| one == new)
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
        for (was, is) in pairs(&old, state, &new, same) {
            let (before, after) = (outcome(&old, was, Some(&states)), outcome(&new, is, None));
            if before.is_like(&after) {
                continue;
            }
            let region = diagrams.all([was.region, is.region, both]);
            let otherwise = held.ticks.get(state).into_iter().flatten();
            let otherwise = otherwise.filter(|tick| !outcome(&held, tick, Some(&states)).is_like(&after));
            let parts = unexplained(&mut diagrams, region, redenied, (&old, was), (&held, otherwise));
            let direction = direction(&before, &after);
            let effects = [&before, &after].map(|outcome| words::effects(outcome.effects.iter().copied()));
            let (mut before, mut after) = (told(&old, was), told(&new, is));
            if before == after && effects[0] != effects[1] {
                before.push_str(&format!(" doing `{}`", effects[0]));
                after.push_str(&format!(" doing `{}`", effects[1]));
            }
            let detail = detail(name, &before, &after);
            let causes =
                parts.into_iter().flat_map(|(from, region)| rows.causes(from, (&new, is), region, &mut diagrams));
            for (cause, region) in causes.collect::<Vec<_>>() {
                let Some(example) = new.space.example(&diagrams, region) else { continue };
                // An example that needs no bookkeeping first is easier to follow.
                let weight =
                    [example.facts.len(), was.path.len(), is.path.len()].into_iter().fold(0, usize::saturating_add);
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
        let what = what(&cause, area, report, &details);
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
    compare_states(area, &rested, &rests, &states, report);
    *steps = diagrams.left();
    Ok(())
}

/// The parts of a region that the denylist does not explain, each with the tick of the old rows to which the new ones are
/// held: where the denial changed, one under the new denylist, if that alone does not come to what the new rows do.
fn unexplained<'m, 'p>(
    diagrams: &mut Diagrams,
    region: Region,
    redenied: Region,
    (old, was): (&'m Machine<'p>, &'m Tick),
    (held, otherwise): (&'m Machine<'p>, impl Iterator<Item = &'m Tick>),
) -> Vec<((&'m Machine<'p>, &'m Tick), Region)> {
    let mut parts = vec![((old, was), diagrams.without(region, redenied))];
    let region = diagrams.and(region, redenied);
    if !region.is_empty() {
        parts.extend(otherwise.map(|tick| ((held, tick), diagrams.and(region, tick.region))));
    }
    parts.retain(|(_, region)| !region.is_empty());
    parts
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

fn pairs<'m>(
    old: &'m Machine<'_>,
    state: StateIndex,
    new: &'m Machine<'_>,
    same: StateIndex,
) -> impl Iterator<Item = (&'m Tick, &'m Tick)> {
    let of = |machine: &'m Machine<'_>, state| machine.ticks.get(state).map_or(&[][..], Vec::as_slice);
    let news = of(new, same);
    of(old, state).iter().flat_map(move |was| news.iter().map(move |is| (was, is)))
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

/// What was done to the rows of an area.
struct Rows {
    /// By name.
    changes: BTreeMap<String, Cause>,
    /// Of which only the condition was changed.
    by_condition: BTreeSet<String>,
    moved: BTreeSet<String>,
}

impl Rows {
    fn of(area: &Area<'_>, report: &Report<'_>, states: &States) -> Self {
        let mut changes = BTreeMap::new();
        let mut by_condition = BTreeSet::new();
        for row in &area.old.transitions {
            match area.new.transition(&row.name) {
                Some(new) => {
                    if let Some((cause, only_condition)) = row_change(area, report, states, row, new) {
                        if only_condition {
                            by_condition.insert(row.name.clone());
                        }
                        changes.insert(row.name.clone(), cause);
                    }
                }
                None => {
                    changes.insert(row.name.clone(), Cause::Row { name: row.name.clone(), change: Change::Gone });
                }
            }
        }
        for row in area.new.transitions.iter().filter(|row| area.old.transition(&row.name).is_none()) {
            changes.insert(row.name.clone(), Cause::Row { name: row.name.clone(), change: Change::New });
        }
        let names = |rows: &'_ [Transition]| rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>();
        let (old, new) = (names(&area.old.transitions), names(&area.new.transitions));
        let (old, new): (Vec<&str>, Vec<&str>) =
            (old.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
        Self { changes, by_condition, moved: causes::moved(&old, &new) }
    }

    /// What makes two ticks end differently, and where: a condition is responsible only where it comes to something else.
    fn causes(
        &self,
        (old, was): (&Machine<'_>, &Tick),
        (new, is): (&Machine<'_>, &Tick),
        region: Region,
        diagrams: &mut Diagrams,
    ) -> Vec<(Cause, Region)> {
        let rows = |machine: &Machine<'_>, tick: &Tick| {
            let end = match tick.end {
                End::Act(row) | End::Held(row) => Some(row),
                End::Wait | End::Circle => None,
            };
            let rows = end.into_iter().chain(tick.path.iter().copied());
            rows.filter_map(|row| machine.row(row)).map(|row| row.name.clone()).collect::<Vec<_>>()
        };
        let truth = |machine: &Machine<'_>, name: &str| {
            let row = machine.rules.transitions.iter().position(|row| row.name == name)?;
            machine.truths.get(row).map(|truth| truth.holds)
        };
        let (was, is) = (rows(old, was), rows(new, is));
        let names = || is.iter().chain(&was);
        let mut causes = Vec::new();
        let mut rest = region;
        // What is new or gone explains more than a row that was touched besides.
        for (name, cause) in names().filter_map(|name| Some((name, self.changes.get(name)?))) {
            let part = match (self.by_condition.contains(name), truth(old, name), truth(new, name)) {
                (true, Some(before), Some(after)) => {
                    let (gone, added) = (diagrams.without(before, after), diagrams.without(after, before));
                    let changed = diagrams.or(gone, added);
                    diagrams.and(rest, changed)
                }
                _ => rest,
            };
            if !part.is_empty() {
                causes.push((cause.clone(), part));
                rest = diagrams.without(rest, part);
            }
        }
        if !rest.is_empty() {
            let moved = names().find(|name| self.moved.contains(*name)).map(|name| Cause::Moved(name.clone()));
            let other = || names().find_map(|name| self.changes.get(name)).cloned();
            let cause = moved.or_else(other);
            causes.push((cause.unwrap_or_else(|| Cause::Unclear(names().next().cloned().unwrap_or_default())), rest));
        }
        causes
    }

    fn place(&self, cause: &Cause, area: &Area<'_>, report: &Report<'_>) -> Place {
        let row = |name: &str| match (area.new.transition(name), area.old.transition(name)) {
            (Some(new), Some(old)) => report.in_new(words::first_changed(&new.when, &old.when).unwrap_or(new.span)),
            (Some(new), None) => report.in_new(new.span),
            (None, old) => report.in_old(old.map_or_else(Default::default, |row| row.span)),
        };
        match cause {
            Cause::Constants(paths) => {
                let constant = paths.first().and_then(|path| words::constant(report.new, area.new, path));
                report.in_new(constant.map_or_else(Default::default, |(_, span)| span))
            }
            Cause::Row { name, .. } => row(name),
            Cause::Moved(name) | Cause::Unclear(name) => {
                report.in_new(area.new.transition(name).map_or_else(Default::default, |row| row.span))
            }
            Cause::Action(name) => {
                let first = area.new.actions.get(name).and_then(|effects| effects.first());
                report.in_new(first.map_or_else(Default::default, |effect| effect.span))
            }
        }
    }

    fn name(&self, cause: &Cause, area: &Area<'_>, report: &Report<'_>, named: &mut BTreeSet<String>) {
        match cause {
            Cause::Constants(paths) => {
                named.extend(paths.iter().cloned());
                // Rows that are only touched by these constants need not be said again.
                let touched = self.changes.iter().filter(|(_, one)| *one == cause);
                named.extend(touched.map(|(name, _)| format!("row:{name}")));
            }
            Cause::Row { name, .. } => {
                named.insert(format!("row:{name}"));
                // The values of its constants are part of how it was rewritten.
                let row = area.new.transition(name);
                named.extend(row.into_iter().flat_map(|row| words::references(&row.when, &report.new.source)));
            }
            Cause::Action(name) => {
                named.insert(format!("action:{name}"));
            }
            Cause::Moved(_) | Cause::Unclear(_) => {
                named.insert("order".to_owned());
            }
        }
    }
}

/// How a row was changed; `None`: it was not.
fn row_change(
    area: &Area<'_>,
    report: &Report<'_>,
    states: &States,
    old: &Transition,
    new: &Transition,
) -> Option<(Cause, bool)> {
    let mut how = Vec::new();
    let when = causes::of_condition(report, area, &old.when, &new.when);
    let kept = |state: &&String| states.is_known(state);
    let was: BTreeSet<String> = old.from.iter().map(|state| states.new_name(state).to_owned()).collect();
    let was: BTreeSet<&String> = was.iter().filter(kept).collect();
    let is: BTreeSet<&String> = new.from.iter().filter(kept).collect();
    let list = |states: Vec<&&String>| words::list(&states.into_iter().map(|one| (*one).clone()).collect::<Vec<_>>());
    if is.difference(&was).next().is_some() {
        how.push(format!("now applies in {} too", list(is.difference(&was).collect())));
    }
    if was.difference(&is).next().is_some() {
        how.push(format!("no longer applies in {}", list(was.difference(&is).collect())));
    }
    if states.new_name(&old.to) != new.to {
        how.push(format!("leads to `{}` (was `{}`)", new.to, old.to));
    }
    let (was, is) = (area.old.effects(old), area.new.effects(new));
    let effects_changed = !was.iter().map(|effect| &effect.value).eq(is.iter().map(|effect| &effect.value));
    if effects_changed && old.action != new.action {
        let name = |action: &Option<String>| action.as_ref().map_or("nothing".to_owned(), |name| format!("`{name}`"));
        how.push(format!("does {} (was {})", name(&new.action), name(&old.action)));
    }
    let only_condition = how.is_empty() && !effects_changed;
    match when {
        Some(Change::Constants(paths)) if only_condition => return Some((Cause::Constants(paths), true)),
        Some(Change::Constants(paths)) => how.push(format!("compares with {}", words::list(&paths))),
        Some(Change::Rewritten(condition)) => how.insert(0, condition),
        Some(Change::Gone | Change::New) | None => {}
    }
    let cause = match (&new.action, how.is_empty()) {
        (_, false) => Cause::Row { name: new.name.clone(), change: Change::Rewritten(how.join("; it ")) },
        (Some(action), true) if effects_changed => Cause::Action(action.clone()),
        _ => return None,
    };
    Some((cause, only_condition))
}

/// A cause and what comes of it.
fn what(cause: &Cause, area: &Area<'_>, report: &Report<'_>, details: &[String]) -> String {
    let cause = match cause {
        Cause::Constants(paths) => causes::constants(report, area, paths),
        Cause::Row { name, change: Change::Gone } => format!("row `{name}` is gone"),
        Cause::Row { name, change: Change::New } => format!("row `{name}` is new"),
        Cause::Row { name, change: Change::Rewritten(how) } => format!("row `{name}`: it {how}"),
        Cause::Row { name, change: Change::Constants(_) } => format!("row `{name}` compares with other values"),
        Cause::Action(name) => {
            let effects = |rules: &Rules| -> Vec<String> {
                let effects = rules.actions.get(name).map_or(&[][..], Vec::as_slice);
                effects.iter().map(|effect| words::effect(&effect.value)).collect()
            };
            let (was, is) = (effects(area.old), effects(area.new));
            let only = |these: &[String], others: &[String]| -> Vec<String> {
                these.iter().filter(|one| !others.contains(one)).cloned().collect()
            };
            let (dropped, added) = (only(&was, &is), only(&is, &was));
            match (dropped.as_slice(), added.as_slice()) {
                ([], []) => format!("action `{name}` does the same in another order"),
                (dropped, []) => format!("action `{name}` no longer does {}", words::list(dropped)),
                ([], added) => format!("action `{name}` now does {}, too", words::list(added)),
                (dropped, added) => {
                    format!("action `{name}` does {} (was {})", words::list(added), words::list(dropped))
                }
            }
        }
        Cause::Moved(name) => format!("row `{name}` stands in another place"),
        Cause::Unclear(name) => format!("row `{name}` is reached otherwise"),
    };
    match details {
        [] => cause,
        [only] => format!("{cause}: {only}"),
        [first, rest @ ..] => format!("{cause}: {first}, and {} more", rest.len()),
    }
}

/// States that are not the same ones any more.
fn compare_states(
    area: &Area<'_>,
    rested: &[StateIndex],
    rests: &[StateIndex],
    states: &States,
    report: &mut Report<'_>,
) {
    let initial = |rules: &Rules| rules.initial_state().map(|state| (state.name.clone(), state.span));
    if let (Some((was, _)), Some((is, span))) = (initial(area.old), initial(area.new))
        && states.new_name(&was) != is
    {
        let what = format!("runs start in `{is}` (was `{was}`)");
        let place = report.in_new(span);
        report.add(Item {
            direction: Direction::Different,
            what,
            scopes: area.scopes(),
            details: Vec::new(),
            sample: None,
            place,
        });
    }
    for state in &area.new.states {
        let was = area.old.state(&state.name).and_then(|was| was.outcome);
        if let (Some(was), Some(is)) = (was, state.outcome)
            && was != is
        {
            report.add(Item {
                direction: Direction::Different,
                what: format!("state `{}` counts as {} (was {})", state.name, is.word(), was.word()),
                scopes: area.scopes(),
                details: Vec::new(),
                sample: None,
                place: report.in_new(state.span),
            });
        }
    }
    let start = &states.start;
    for (_, state) in area.old.states.iter().enumerate().filter(|(index, _)| rested.contains(index)) {
        let now = states.pairs.iter().find(|(old, _)| *old == state.name).map(|(_, now)| now);
        let place = now.and_then(|now| area.new.state(now)).map(|state| report.in_new(state.span));
        let index = area.new.states.iter().position(|one| Some(&one.name) == now);
        let is_reached = index.is_some_and(|state| rests.contains(&state));
        let what = match now {
            Some(now) if *now == state.name && is_reached => continue,
            Some(now) if is_reached => {
                format!("state `{}` is called `{now}` now; runs in it go on from `{start}`", state.name)
            }
            Some(_) => format!("no run comes to rest in `{}` any more", state.name),
            None => format!("state `{}` is gone; runs in it go on from `{start}`", state.name),
        };
        let place = place.unwrap_or_else(|| report.in_old(state.span));
        report.add(Item {
            direction: Direction::Different,
            what,
            scopes: area.scopes(),
            details: Vec::new(),
            sample: None,
            place,
        });
    }
    let added = area.new.states.iter().enumerate();
    for (_, state) in added.filter(|(index, state)| rests.contains(index) && !states.is_known(&state.name)) {
        // Where runs start was told.
        if state.initial {
            continue;
        }
        let place = report.in_new(state.span);
        report.add(Item {
            direction: Direction::Different,
            what: format!("state `{}` is new: runs can come to rest in it", state.name),
            scopes: area.scopes(),
            details: Vec::new(),
            sample: None,
            place,
        });
    }
}
