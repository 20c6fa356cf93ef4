//! What a change of the policy means: where two policies decide differently, over every possible input.
//!
//! Both are taken over one space of inputs, cut along the constants of both, so that every question is whether a set is
//! empty. The kill switch is taken as off, no repository as paused, and the allowlist as any list: what these three
//! say is compared by itself. Where the two assume different things of facts that hang together (another *ready* label,
//! other stages), inputs are compared that both count with.

mod areas;
mod causes;
mod gates;
mod rows;
mod runs;
mod settings;
mod states;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeSet;

use super::case;
use super::diagram::Diagrams;
use super::space::Example;
use crate::policy::{Policy, Span};

/// The work that one comparison is worth, in steps of the diagrams: that of the two policies, and of the old one under
/// the new denylist.
const MAX_STEPS: u32 = 3 * super::MAX_STEPS;

/// How two policies differ.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Difference {
    /// What is decided differently: looser first, then tighter, then the rest; empty: the two are equal in meaning.
    pub items: Vec<Item>,
    /// What else was changed.
    pub also: Vec<Remark>,
}

/// Which way a decision changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// More is dispatched; or a run goes further without a person.
    Looser,
    /// Less is dispatched; or a run ends where it went on.
    Tighter,
    /// Neither: it ends in another way, or in another order.
    Different,
}

impl Direction {
    /// The word of output.
    pub fn word(self) -> &'static str {
        match self {
            Direction::Looser => "looser",
            Direction::Tighter => "tighter",
            Direction::Different => "different",
        }
    }
}

/// One change of what is decided, with one cause.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Which way.
    pub direction: Direction,
    /// What changes: one sentence, names in backticks.
    pub what: String,
    /// The repositories it is for; empty: every one without overrides of its own.
    pub scopes: Vec<String>,
    /// In detail, where there is more to say.
    pub details: Vec<String>,
    /// The plainest input that is decided differently, where there is one.
    pub sample: Option<Sample>,
    /// The line that is responsible.
    pub place: Place,
}

/// A line of one of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// In the old file: what stood there is gone.
    pub is_old: bool,
    /// Counted from 1.
    pub line: usize,
}

/// An input that the two policies decide differently.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The state of the run; `None`: an issue.
    pub state: Option<String>,
    /// What the old policy does.
    pub before: String,
    /// What the new policy does.
    pub after: String,
    example: Example,
}

impl Sample {
    /// The repository.
    pub fn repo(&self) -> &str {
        &self.example.repo
    }

    /// Whether the repository is on the allowlist.
    pub fn allowlisted(&self) -> bool {
        self.example.allowlisted
    }

    /// The facts that are not harmless, with their values as test cases write them.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        case::facts(&self.example, self.state.is_some())
    }

    /// In one line.
    pub fn line(&self) -> String {
        let facts: Vec<String> = self.facts().iter().map(|(name, value)| format!("{name} = {value}")).collect();
        let listed = if self.example.allowlisted { "" } else { ", not on the allowlist" };
        let facts = match (facts.is_empty(), &self.state) {
            (false, _) => format!("`{}`", facts.join(", ")),
            (true, None) => "a plain issue".to_owned(),
            (true, Some(_)) => "at work, nothing pushed".to_owned(),
        };
        let repo = &self.example.repo;
        match &self.state {
            Some(state) => format!("`{repo}`{listed}, in `{state}`: {facts}: {} → {}", self.before, self.after),
            None => format!("`{repo}`{listed}: {facts}"),
        }
    }
}

/// A change that no decision depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// What was changed: one sentence.
    pub what: String,
    /// What it leads to was not and cannot be proven: a prompt.
    pub is_unproven: bool,
    /// What people are told is another thing now.
    pub is_text: bool,
    /// The lines of a prompt that were changed, each with `-` or `+`.
    pub lines: Vec<String>,
}

/// The rules of the two combine too many facts for an exact comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooLarge {
    /// The repositories that were compared; `None`: those without overrides.
    pub scope: Option<String>,
}

impl std::fmt::Display for TooLarge {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scope = self.scope.as_ref().map_or(String::new(), |scope| format!(" for `{scope}`"));
        write!(out, "the rules of the two policies are too entangled to be compared exactly{scope}")
    }
}

impl std::error::Error for TooLarge {}

impl Difference {
    /// Whether every input is decided alike.
    pub fn is_equal(&self) -> bool {
        self.items.is_empty()
    }

    /// How many changes lead to something that cannot be proven: prompts.
    pub fn unproven(&self) -> usize {
        self.also.iter().filter(|remark| remark.is_unproven).count()
    }

    /// Whether people are told other things.
    pub fn tells_otherwise(&self) -> bool {
        self.also.iter().any(|remark| remark.is_text)
    }

    /// How many items go that way.
    pub fn count(&self, direction: Direction) -> usize {
        self.items.iter().filter(|item| item.direction == direction).count()
    }
}

/// Decides where two policies differ.
///
/// # Errors
/// When that is too much to be decided exactly.
pub fn difference(old: &Policy, new: &Policy) -> Result<Difference, TooLarge> {
    let mut report = Report { old, new, difference: Difference::default() };
    let mut diagrams = Diagrams::new(MAX_STEPS);
    settings::compare_policies(&mut report, &mut diagrams)?;
    let mut steps = diagrams.left();
    for area in areas::areas(old, new) {
        let mut named = BTreeSet::new();
        gates::compare(&area, &mut steps, &mut named, &mut report)?;
        runs::compare(&area, &mut steps, &mut named, &mut report)?;
        settings::compare(&area, &named, &mut report);
    }
    Ok(report.finish())
}

/// Collects what was found.
struct Report<'p> {
    old: &'p Policy,
    new: &'p Policy,
    difference: Difference,
}

impl Report<'_> {
    fn in_new(&self, span: Span) -> Place {
        Place { is_old: false, line: self.new.line(span) }
    }

    fn in_old(&self, span: Span) -> Place {
        Place { is_old: true, line: self.old.line(span) }
    }

    /// Adds an item, once: what holds for every repository is not said again for one with overrides.
    fn add(&mut self, item: Item) {
        let known =
            |one: &&mut Item| one.direction == item.direction && one.what == item.what && one.place == item.place;
        match self.difference.items.iter_mut().find(known) {
            Some(one) if one.scopes.is_empty() => {}
            Some(one) => one.scopes.extend(item.scopes),
            None => self.difference.items.push(item),
        }
    }

    fn remark(&mut self, what: String) {
        self.remarked(Remark { what, is_unproven: false, is_text: false, lines: Vec::new() });
    }

    fn remarked(&mut self, remark: Remark) {
        if !self.difference.also.contains(&remark) {
            self.difference.also.push(remark);
        }
    }

    fn finish(mut self) -> Difference {
        let is_rewritten = self.old.source.text != self.new.source.text;
        if is_rewritten && self.difference.items.is_empty() && self.difference.also.is_empty() {
            self.remark("comments, spacing or the order of keys".to_owned());
        }
        self.difference.items.sort_by_key(|item| (item.direction, item.place.is_old, item.place.line));
        self.difference
    }
}
