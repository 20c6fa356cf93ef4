//! Which row, constant or action is responsible where a tick ends differently.

use std::collections::{BTreeMap, BTreeSet};

use super::areas::Area;
use super::causes::{self, Change};
use super::states::States;
use super::{Place, Report, words};
use crate::policy::{Rules, Transition};
use crate::verify::diagram::{Diagrams, Region};
use crate::verify::machine::{End, Machine, Tick};

/// Why runs are decided differently.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    Constants(Vec<String>),
    Row { name: String, change: Change },
    Action(String),
    Moved(String),
    Unclear(String),
}

/// What was done to the rows of an area.
pub struct Rows {
    /// By name.
    changes: BTreeMap<String, Cause>,
    /// Of which only the condition was changed.
    by_condition: BTreeSet<String>,
    moved: BTreeSet<String>,
}

impl Rows {
    /// Compares the rows.
    pub fn of(area: &Area<'_>, report: &Report<'_>, states: &States) -> Self {
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
    pub fn causes(
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

    /// The line that is responsible.
    pub fn place(&self, cause: &Cause, area: &Area<'_>, report: &Report<'_>) -> Place {
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

    /// Adds to `named` what an item of this cause says.
    pub fn name(&self, cause: &Cause, area: &Area<'_>, report: &Report<'_>, named: &mut BTreeSet<String>) {
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
pub fn what(cause: &Cause, area: &Area<'_>, report: &Report<'_>, details: &[String]) -> String {
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
