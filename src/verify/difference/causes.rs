//! Which rule or constant is responsible where two policies decide differently.

use std::collections::BTreeSet;

use super::Report;
use super::areas::Area;
use super::words;
use crate::policy::facts::FactName;
use crate::policy::{Condition, Matcher, RepoList, RepoPattern, Span, Test};
use crate::verify::diagram::{Diagrams, Region};
use crate::verify::space::{Scope, Space};

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

/// The inputs of repositories that only one of the denylists names.
pub struct Denial {
    /// Of those that are not denied any more.
    pub lifted: Region,
    /// Of those that are denied now.
    pub imposed: Region,
}

impl Denial {
    /// What was done to the denylist.
    pub fn of<F: Scope + Ord>(report: &Report<'_>, space: &Space<F>, diagrams: &mut Diagrams) -> Self {
        let mut denied = |patterns: &[RepoPattern]| {
            let matcher = Matcher::In(list(patterns));
            space.matches(diagrams, &Test { fact: F::REPO, matcher, span: Span::default() })
        };
        let (old, new) = (denied(&report.old.denylist.value), denied(&report.new.denylist.value));
        Self { lifted: diagrams.without(old, new), imposed: diagrams.without(new, old) }
    }
}

/// A condition as it were with this denylist.
pub fn under<F: FactName>(condition: &Condition<F>, denylist: &[RepoPattern]) -> Condition<F> {
    let all = |parts: &[Condition<F>]| parts.iter().map(|part| under(part, denylist)).collect();
    match condition {
        Condition::All(parts) => Condition::All(all(parts)),
        Condition::Any(parts) => Condition::Any(all(parts)),
        Condition::Not(part) => Condition::Not(Box::new(under(part, denylist))),
        Condition::Test(test) => {
            let mut test = test.clone();
            if let Matcher::In(named) | Matcher::NotIn(named) = &mut test.matcher
                && named.is_denylist
            {
                *named = list(denylist);
            }
            Condition::Test(test)
        }
    }
}

fn list(denylist: &[RepoPattern]) -> RepoList {
    RepoList::new(denylist.to_vec(), false, true)
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
