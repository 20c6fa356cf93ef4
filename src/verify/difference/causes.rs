//! Which rule or constant is responsible where two policies decide differently.

use std::collections::BTreeSet;

use super::Report;
use super::areas::Area;
use super::words;
use crate::policy::Condition;
use crate::policy::facts::FactName;

/// How a rule was changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It is gone.
    Gone,
    /// It is new.
    New,
    /// It is written as before; these constants have other values.
    Constants(Vec<String>),
    /// It is written otherwise: in words, after "it".
    Rewritten(String),
}

/// How a condition was changed; `None`: it was not.
pub fn of_condition<F: FactName>(
    report: &Report<'_>,
    area: &Area<'_>,
    old: &Condition<F>,
    new: &Condition<F>,
) -> Option<Change> {
    if words::condition(old) == words::condition(new) {
        return None;
    }
    if words::written(old, &report.old.source) == words::written(new, &report.new.source) {
        let mut constants = words::references(new, &report.new.source);
        let value = |policy, rules, path: &str| words::constant(policy, rules, path).map(|(value, _)| value);
        constants.retain(|path| value(report.old, area.old, path) != value(report.new, area.new, path));
        if !constants.is_empty() {
            return Some(Change::Constants(constants));
        }
    }
    Some(Change::Rewritten(words::change(old, new)))
}

/// Constants with other values, in words.
pub fn constants(report: &Report<'_>, area: &Area<'_>, paths: &[String]) -> String {
    let sentences = paths.iter().filter_map(|path| {
        let (old, _) = words::constant(report.old, area.old, path)?;
        let (new, _) = words::constant(report.new, area.new, path)?;
        Some(words::constant_changed(path, &old, &new))
    });
    sentences.collect::<Vec<_>>().join("; ")
}

/// The names that stand in another order, as few as explain it.
pub fn moved(old: &[&str], new: &[&str]) -> BTreeSet<String> {
    // A longest run of names whose order was kept: for each name the best run that ends with it.
    let places: Vec<(&str, usize)> =
        new.iter().filter_map(|name| Some((*name, old.iter().position(|one| one == name)?))).collect();
    let mut runs: Vec<Vec<usize>> = Vec::new();
    for (_, place) in &places {
        let best = runs.iter().filter(|run| run.last().is_some_and(|last| last < place)).max_by_key(|run| run.len());
        let mut run = best.cloned().unwrap_or_default();
        run.push(*place);
        runs.push(run);
    }
    let kept = runs.into_iter().max_by_key(Vec::len).unwrap_or_default();
    places.into_iter().filter(|(_, place)| !kept.contains(place)).map(|(name, _)| name.to_owned()).collect()
}
