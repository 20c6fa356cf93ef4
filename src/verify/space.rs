//! The space of inputs: which variables the facts of one scope become, and which inputs a condition picks.
//!
//! The constants of the policy cut each fact into finitely many values that no rule can tell apart inside: words, ranges
//! between numbers, classes of repositories between patterns, members of sets. "Unknown" is one value more.

use std::collections::{BTreeMap, BTreeSet};

use super::diagram::{Diagrams, Region, Value, Variable};
use super::domain::{Chosen, Domain, unlike};
use super::line::Line;
use super::repos::RepoClasses;
use crate::policy::facts::{FactName, Facts, Kind, Members, Reading};
use crate::policy::{Condition, Matcher, RepoPattern, Test, pattern};

/// What a proof must know of a scope besides its catalogue.
pub trait Scope: FactName {
    /// Facts of which the first is never above the second, where both are known. They are cut at the same places.
    const AT_MOST: &'static [(Self, Self)];
    /// The fact that names the repository.
    const REPO: Self;
    /// The least value of a number or duration.
    fn least(self) -> i64;
    /// The greatest value, where it is less than its type can hold.
    fn greatest(self) -> Option<i64>;
}

/// What a condition comes to, over all inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truth {
    /// Where it holds.
    pub holds: Region,
    /// Where it is known not to. Everywhere else it depends on a fact that is unknown.
    pub fails: Region,
}

/// The variables of a fact.
#[derive(Debug, Clone)]
enum Place {
    /// One value.
    Single { variable: Variable, domain: Domain },
    /// Whether the set is known (1) or not (0), then one variable a member.
    Set { known: Variable, members: Vec<(String, Variable)>, other: Option<Variable> },
}

/// What one variable stands for, for counting and showing.
#[derive(Debug, Clone)]
struct Column {
    fact: &'static str,
    /// How many values it has.
    size: Value,
    /// The value of a harmless input, and how much dearer each other one is in an example.
    usual: Value,
    /// The value that stands for unknown.
    unknown: Option<Value>,
}

/// The input space of one scope, cut along the constants of its conditions.
#[derive(Debug)]
pub struct Space<F> {
    columns: Vec<Column>,
    places: Vec<(F, Place)>,
    /// Whether the repository is on the allowlist: whatever stands there.
    allowlisted: Variable,
}

/// More variables than this are refused: the diagrams would be too deep.
pub const MAX_VARIABLES: usize = 1_000;

/// What the conditions of a policy compare facts with.
#[derive(Debug)]
pub struct Constants<F: Ord> {
    quantities: BTreeMap<F, BTreeSet<i128>>,
    texts: BTreeMap<F, BTreeSet<String>>,
    patterns: Vec<Vec<RepoPattern>>,
}

impl<F: Scope + Ord> Constants<F> {
    /// None yet.
    pub fn new() -> Self {
        Self { quantities: BTreeMap::new(), texts: BTreeMap::new(), patterns: Vec::new() }
    }

    /// Adds those of a condition.
    pub fn of_condition(&mut self, condition: &Condition<F>) {
        match condition {
            Condition::All(parts) | Condition::Any(parts) => parts.iter().for_each(|part| self.of_condition(part)),
            Condition::Not(part) => self.of_condition(part),
            Condition::Test(test) => self.of_test(test),
        }
    }

    fn of_test(&mut self, test: &Test<F>) {
        match &test.matcher {
            Matcher::Is(_) | Matcher::Empty(_) => {}
            Matcher::In(list) | Matcher::NotIn(list) if list.is_allowlist => {}
            Matcher::In(list) | Matcher::NotIn(list) => self.patterns(list.patterns()),
            Matcher::OneOf(words) if test.fact == F::REPO => {
                let exact: Vec<RepoPattern> = words.iter().filter_map(|word| RepoPattern::parse(word).ok()).collect();
                self.patterns(&exact);
            }
            Matcher::OneOf(words) | Matcher::HasAny(words) | Matcher::HasAll(words) | Matcher::HasNone(words) => {
                words.iter().for_each(|word| self.text(test.fact, word));
            }
            Matcher::OneOfQuantities(quantities) => {
                quantities.iter().for_each(|one| self.quantity(test.fact, Line::place(*one)));
            }
            Matcher::Compare(_, bound) => self.quantity(test.fact, Line::place(*bound)),
        }
    }

    /// Adds a number, at its place on the line.
    pub fn quantity(&mut self, fact: F, place: i128) {
        self.quantities.entry(fact).or_default().insert(place);
    }

    /// Adds a member of a set, or a login.
    pub fn text(&mut self, fact: F, text: &str) {
        self.texts.entry(fact).or_default().insert(text.to_ascii_lowercase());
    }

    /// Adds a list of patterns of repositories.
    pub fn patterns(&mut self, patterns: &[RepoPattern]) {
        // `$denylist` is asked for often.
        if self.patterns.last().is_none_or(|last| last != patterns) {
            self.patterns.push(patterns.to_vec());
        }
    }
}

impl<F: Scope + Ord> Space<F> {
    /// Cuts the space along `constants`. `harmless` is what an example says nothing about; `scope` the repositories that
    /// are asked about, and `outside` those among them that are not. `None`: more variables than [`MAX_VARIABLES`], or
    /// the steps of `diagrams` do not suffice.
    pub fn new(
        diagrams: &mut Diagrams,
        mut constants: Constants<F>,
        harmless: &impl Facts<Name = F>,
        scope: Option<&RepoPattern>,
        outside: &[RepoPattern],
    ) -> Option<Self> {
        for fact in F::ALL {
            // What stands in an example unless it matters must be a value of its own, or examples would not be small.
            match harmless.read(*fact) {
                Reading::Set(members) => members.iter().for_each(|member| constants.text(*fact, member)),
                _ if Self::group(*fact).is_some() => constants.quantity(*fact, 0),
                _ => {}
            }
        }
        let mut space = Self { columns: Vec::new(), places: Vec::new(), allowlisted: 0 };
        for fact in F::ALL.iter().copied() {
            let place = space.place(diagrams, fact, &constants, harmless.read(fact), scope, outside)?;
            space.places.push((fact, place));
            if fact == F::REPO {
                space.allowlisted = space.column(fact, 2, 1, None);
            }
        }
        (space.columns.len() <= MAX_VARIABLES).then_some(space)
    }

    /// The largest of the facts that a fact is compared with, which stands for all of them.
    fn group(fact: F) -> Option<F> {
        F::AT_MOST.iter().find(|(less, more)| *less == fact || *more == fact).map(|(_, more)| *more)
    }

    fn column(&mut self, fact: F, size: Value, usual: Value, unknown: Option<Value>) -> Variable {
        let variable = self.columns.len();
        self.columns.push(Column { fact: fact.spec().name, size, usual, unknown });
        variable
    }

    fn place(
        &mut self,
        diagrams: &mut Diagrams,
        fact: F,
        constants: &Constants<F>,
        usual: Reading<'_>,
        scope: Option<&RepoPattern>,
        outside: &[RepoPattern],
    ) -> Option<Place> {
        let texts = || constants.texts.get(&fact).into_iter().flatten().cloned();
        let domain = match fact.spec().kind {
            Kind::Bool => Domain::Bool,
            Kind::Enum(words) => Domain::Words(words),
            Kind::Login => Domain::Logins(texts().collect()),
            Kind::Repo => Domain::Repos(RepoClasses::new(diagrams, &constants.patterns, scope, outside)?),
            Kind::Int | Kind::Number | Kind::Duration => {
                let linked = |other: F| {
                    other == fact || (Self::group(fact).is_some() && Self::group(fact) == Self::group(other))
                };
                let cuts = constants.quantities.iter().filter(|(other, _)| linked(**other)).flat_map(|(_, cuts)| cuts);
                let line = Line::new(fact.spec().kind, i128::from(fact.least()), cuts.copied());
                Domain::Line(line.up_to(fact.greatest()))
            }
            Kind::Set(members) => return Some(self.set(fact, members, texts().collect(), usual)),
        };
        let size = domain.size()?;
        let unknown = (!fact.spec().always).then_some(size);
        let usual = match usual {
            Reading::Unknown(_) | Reading::NotRead => size,
            usual => domain.value(usual),
        };
        let variable = self.column(fact, size.saturating_add(Value::from(unknown.is_some())), usual, unknown);
        Some(Place::Single { variable, domain })
    }

    fn set(&mut self, fact: F, members: Members, mut named: Vec<String>, usual: Reading<'_>) -> Place {
        if let Members::Words(words) = members {
            named = words.iter().map(|word| (*word).to_owned()).collect();
        }
        let usual = if let Reading::Set(members) = usual { members } else { &[] };
        let known = self.column(fact, 2, 1, Some(0));
        let contains = |member: &str| Value::from(usual.iter().any(|one| pattern::same(one, member)));
        let members_of = named
            .into_iter()
            .map(|member| {
                let variable = self.column(fact, 2, contains(&member), None);
                (member, variable)
            })
            .collect();
        let other = matches!(members, Members::Free).then(|| self.column(fact, 2, 0, None));
        Place::Set { known, members: members_of, other }
    }

    fn place_of(&self, fact: F) -> Option<&Place> {
        self.places.iter().find(|(one, _)| *one == fact).map(|(_, place)| place)
    }

    /// The variable of a fact with one value, and how many values it has without "unknown".
    pub fn single(&self, fact: F) -> Option<(Variable, Value)> {
        match self.place_of(fact)? {
            Place::Single { variable, domain } => Some((*variable, domain.size()?)),
            Place::Set { .. } => None,
        }
    }

    /// The numbers of a range, both ends included.
    pub fn range(&self, fact: F, value: Value) -> Option<(i128, i128)> {
        match self.place_of(fact)? {
            Place::Single { domain: Domain::Line(line), .. } => line.range(usize::try_from(value).ok()?),
            _ => None,
        }
    }

    /// The range that a count lies in.
    pub fn range_of(&self, fact: F, count: i128) -> Option<Value> {
        match self.place_of(fact)? {
            Place::Single { domain: Domain::Line(line), .. } => {
                let count = i64::try_from(count).ok()?;
                Value::try_from(line.index(Reading::Int(count))).ok()
            }
            _ => None,
        }
    }

    /// Where a condition holds and where it fails.
    pub fn truth(&self, diagrams: &mut Diagrams, condition: &Condition<F>) -> Truth {
        match condition {
            Condition::All(parts) => {
                let start = Truth { holds: Region::EVERYTHING, fails: Region::NOTHING };
                parts.iter().fold(start, |all, part| {
                    let part = self.truth(diagrams, part);
                    Truth { holds: diagrams.and(all.holds, part.holds), fails: diagrams.or(all.fails, part.fails) }
                })
            }
            Condition::Any(parts) => {
                let start = Truth { holds: Region::NOTHING, fails: Region::EVERYTHING };
                parts.iter().fold(start, |any, part| {
                    let part = self.truth(diagrams, part);
                    Truth { holds: diagrams.or(any.holds, part.holds), fails: diagrams.and(any.fails, part.fails) }
                })
            }
            Condition::Not(part) => {
                let part = self.truth(diagrams, part);
                Truth { holds: part.fails, fails: part.holds }
            }
            Condition::Test(test) => {
                let holds = self.matches(diagrams, test);
                let known = self.known(diagrams, test.fact);
                Truth { holds, fails: diagrams.without(known, holds) }
            }
        }
    }

    /// Where a fact is known.
    pub fn known(&self, diagrams: &mut Diagrams, fact: F) -> Region {
        match self.place_of(fact) {
            Some(Place::Single { variable, domain }) => {
                let size = domain.size().unwrap_or(Value::MAX);
                diagrams.values(*variable, size.saturating_add(Value::from(!fact.spec().always)), |value| value < size)
            }
            Some(Place::Set { known, .. }) => diagrams.is(*known, 2, 1),
            None => Region::EVERYTHING,
        }
    }

    /// Where the repository is on the allowlist.
    pub fn allowlisted(&self, diagrams: &mut Diagrams) -> Region {
        diagrams.is(self.allowlisted, 2, 1)
    }

    /// Where a set is known and holds a member.
    pub fn has(&self, diagrams: &mut Diagrams, fact: F, member: &str) -> Region {
        self.matches(
            diagrams,
            &Test { fact, matcher: Matcher::HasAny(vec![member.to_owned()]), span: Default::default() },
        )
    }

    /// Where a comparison holds.
    pub fn matches(&self, diagrams: &mut Diagrams, test: &Test<F>) -> Region {
        match self.place_of(test.fact) {
            None => Region::NOTHING,
            Some(Place::Single { variable, domain }) => match &test.matcher {
                Matcher::In(list) if list.is_allowlist => diagrams.is(self.allowlisted, 2, 1),
                Matcher::NotIn(list) if list.is_allowlist => diagrams.is(self.allowlisted, 2, 0),
                matcher => {
                    let size = domain.size().unwrap_or(Value::MAX);
                    let asked = size.saturating_add(Value::from(!test.fact.spec().always));
                    if let Matcher::In(list) | Matcher::NotIn(list) = matcher {
                        // Every repository is held against every pattern.
                        let patterns = u32::try_from(list.patterns().len()).unwrap_or(u32::MAX);
                        diagrams.spend(size.saturating_mul(patterns).div_euclid(16));
                    }
                    diagrams.values(*variable, asked, |value| value < size && domain.matches(value, matcher))
                }
            },
            Some(Place::Set { known, members, other }) => {
                let known = diagrams.is(*known, 2, 1);
                let has = |diagrams: &mut Diagrams, wanted: &String| {
                    let variable = members.iter().find(|(member, _)| pattern::same(member, wanted));
                    variable.map_or(Region::NOTHING, |(_, variable)| diagrams.is(*variable, 2, 1))
                };
                let picked = match &test.matcher {
                    Matcher::HasAny(wanted) => wanted.iter().fold(Region::NOTHING, |any, one| {
                        let one = has(diagrams, one);
                        diagrams.or(any, one)
                    }),
                    Matcher::HasAll(wanted) => wanted.iter().fold(Region::EVERYTHING, |all, one| {
                        let one = has(diagrams, one);
                        diagrams.and(all, one)
                    }),
                    Matcher::HasNone(wanted) => wanted.iter().fold(Region::EVERYTHING, |none, one| {
                        let one = has(diagrams, one);
                        diagrams.without(none, one)
                    }),
                    Matcher::Empty(empty) => {
                        let variables = members.iter().map(|(_, variable)| variable).chain(other);
                        let nothing = variables.fold(Region::EVERYTHING, |none, variable| {
                            let absent = diagrams.is(*variable, 2, 0);
                            diagrams.and(none, absent)
                        });
                        if *empty { nothing } else { diagrams.not(nothing) }
                    }
                    _ => Region::NOTHING,
                };
                diagrams.and(known, picked)
            }
        }
    }

    /// Where a fact is at most another one, or one of the two is unknown.
    pub fn at_most(&self, diagrams: &mut Diagrams, less: F, more: F) -> Region {
        let (Some((low, size)), Some((high, other))) = (self.single(less), self.single(more)) else {
            return Region::EVERYTHING;
        };
        let asked = |fact: F, size: Value| size.saturating_add(Value::from(!fact.spec().always));
        // Both are cut at the same places from the same least value, so the counts compare like the values. Unknown is
        // counted last: it is above every value of `more`, and `less` may always be it.
        let (low_asked, high_asked) = (asked(less, size), asked(more, other));
        if low < high {
            diagrams.by_value(low, low_asked, |diagrams, one| {
                diagrams.values(high, high_asked, |other| one >= size || other >= one)
            })
        } else {
            diagrams.by_value(high, high_asked, |diagrams, other| {
                diagrams.values(low, low_asked, |one| one >= size || other >= one)
            })
        }
    }

    /// The names of the facts behind variables, in catalogue order, and how many inputs their values make.
    pub fn facts(&self, variables: &BTreeSet<Variable>) -> (Vec<&'static str>, u128) {
        let mut names: Vec<&'static str> = Vec::new();
        let mut inputs: u128 = 1;
        for column in variables.iter().filter_map(|variable| self.columns.get(*variable)) {
            if names.last() != Some(&column.fact) {
                names.push(column.fact);
            }
            inputs = inputs.saturating_mul(u128::from(column.size));
        }
        (names, inputs)
    }

    /// The plainest input of a region: the repository, whether it is on the allowlist, and every fact that is not
    /// harmless. `None` of an empty region.
    pub fn example(&self, diagrams: &Diagrams, region: Region) -> Option<Example> {
        self.example_for(diagrams, region, 3)
    }

    /// The plainest input of a region whose facts are known, as far as there is one.
    pub fn known_example(&self, diagrams: &Diagrams, region: Region) -> Option<Example> {
        self.example_for(diagrams, region, 1_000)
    }

    fn example_for(&self, diagrams: &Diagrams, region: Region, unknown: u64) -> Option<Example> {
        let price = |variable: Variable, first: Value, last: Option<Value>| {
            let Some(column) = self.columns.get(variable) else { return (first, 0) };
            let last = last.unwrap_or(column.size.saturating_sub(1));
            if (first..=last).contains(&column.usual) {
                (column.usual, 0)
            } else if column.unknown == Some(first) {
                (first, unknown)
            } else {
                (first, 2)
            }
        };
        let path: BTreeMap<Variable, Value> = diagrams.cheapest(region, &price)?.into_iter().collect();
        let value = |variable: Variable| {
            let usual = self.columns.get(variable).map_or(0, |column| column.usual);
            path.get(&variable).copied().unwrap_or(usual)
        };
        let mut example = Example { repo: String::new(), allowlisted: value(self.allowlisted) == 1, facts: Vec::new() };
        for (fact, place) in &self.places {
            let (chosen, usual) = match place {
                Place::Single { variable, domain } => {
                    let usual = self.columns.get(*variable).map_or(0, |column| column.usual);
                    let picked = value(*variable);
                    (domain.chosen(picked), picked == usual)
                }
                Place::Set { known, members, other } => {
                    let known = value(*known) == 1;
                    let mut set: Vec<String> = members
                        .iter()
                        .filter(|(_, variable)| value(*variable) == 1)
                        .map(|(member, _)| member.clone())
                        .collect();
                    if other.is_some_and(|other| value(other) == 1) {
                        set.push(unlike("other", |name| members.iter().any(|(member, _)| member == name)));
                    }
                    let variables = members.iter().map(|(_, variable)| variable).chain(other);
                    let usual = |variable: Variable| {
                        self.columns.get(variable).is_some_and(|column| column.usual == value(variable))
                    };
                    let all_usual = known && variables.copied().all(usual);
                    (if known { Chosen::Set(set) } else { Chosen::Unknown }, all_usual)
                }
            };
            match chosen {
                Chosen::Text(repo) if *fact == F::REPO => example.repo = repo,
                chosen if !usual => example.facts.push((fact.spec().name, chosen)),
                _ => {}
            }
        }
        Some(example)
    }
}

/// One input, as a test case would write it.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The repository.
    pub repo: String,
    /// Whether it is on the allowlist.
    pub allowlisted: bool,
    /// The facts that are not harmless, in catalogue order.
    pub facts: Vec<(&'static str, Chosen)>,
}
