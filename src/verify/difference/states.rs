//! Which states of two policies are the same one, and what is said of the others.

use super::areas::Area;
use super::{Direction, Item, Place, Report};
use crate::policy::{Rules, State};
use crate::verify::machine::StateIndex;

/// The states of both policies that are the same one.
pub struct States {
    /// The old name, and the new one.
    pub pairs: Vec<(String, String)>,
    /// Where runs go on whose state is gone.
    start: String,
}

impl States {
    /// Pairs the states: by name, or where exactly one was added that is like the one that is gone.
    pub fn of(area: &Area<'_>) -> Self {
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
    pub fn new_name<'s>(&'s self, old: &str) -> &'s str {
        self.pairs.iter().find(|(one, _)| one == old).map_or(&self.start, |(_, new)| new)
    }

    /// Whether a state of the new policy was there before.
    pub fn is_known(&self, new: &str) -> bool {
        self.pairs.iter().any(|(_, one)| one == new)
    }
}

/// States that are not the same ones any more.
pub fn compare(area: &Area<'_>, rested: &[StateIndex], rests: &[StateIndex], states: &States, report: &mut Report<'_>) {
    let different = |what: String, place: Place| Item {
        direction: Direction::Different,
        what,
        scopes: area.scopes(),
        details: Vec::new(),
        sample: None,
        place,
    };
    let initial = |rules: &Rules| rules.initial_state().map(|state| (state.name.clone(), state.span));
    if let (Some((was, _)), Some((is, span))) = (initial(area.old), initial(area.new))
        && states.new_name(&was) != is
    {
        let what = format!("runs start in `{is}` (was `{was}`)");
        let place = report.in_new(span);
        report.add(different(what, place));
    }
    for state in &area.new.states {
        let was = area.old.state(&state.name).and_then(|was| was.outcome);
        if let (Some(was), Some(is)) = (was, state.outcome)
            && was != is
        {
            report.add(different(
                format!("state `{}` counts as {} (was {})", state.name, is.word(), was.word()),
                report.in_new(state.span),
            ));
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
        report.add(different(what, place));
    }
    let added = area.new.states.iter().enumerate();
    for (_, state) in added.filter(|(index, state)| rests.contains(index) && !states.is_known(&state.name)) {
        // Where runs start was told.
        if state.initial {
            continue;
        }
        let place = report.in_new(state.span);
        report.add(different(format!("state `{}` is new: runs can come to rest in it", state.name), place));
    }
}
