//! Conditions, checked and resolved: every fact exists, every value has the fact's type, no `$` is left.

use std::collections::HashSet;
use std::time::Duration;

use foldhash::fast::FixedState;

use super::pattern::RepoPattern;
use super::source::Span;

/// A condition over the facts of one scope (see [`super::facts`]).
#[derive(Debug, Clone, PartialEq)]
pub enum Condition<F> {
    /// Holds when every part holds; an empty list holds.
    All(Vec<Condition<F>>),
    /// Holds when at least one part holds; an empty list does not.
    Any(Vec<Condition<F>>),
    /// Holds when the part does not; unknown stays unknown.
    Not(Box<Condition<F>>),
    /// One comparison of one fact.
    Test(Test<F>),
}

impl<F> Condition<F> {
    /// Shows every test of the condition, in order.
    pub fn each_test<'a>(&'a self, see: &mut impl FnMut(&'a Test<F>)) {
        match self {
            Condition::All(parts) | Condition::Any(parts) => parts.iter().for_each(|part| part.each_test(see)),
            Condition::Not(part) => part.each_test(see),
            Condition::Test(test) => see(test),
        }
    }
}

/// One comparison, and where the policy writes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Test<F> {
    /// The fact compared.
    pub fact: F,
    /// With what.
    pub matcher: Matcher,
    /// The entry in the file, key and value.
    pub span: Span,
}

/// What a fact is compared with. Texts compare without ASCII case.
#[derive(Debug, Clone, PartialEq)]
pub enum Matcher {
    /// A bool equals this.
    Is(bool),
    /// A text or enum is one of these.
    OneOf(Vec<String>),
    /// A quantity is one of these.
    OneOfQuantities(Vec<Quantity>),
    /// A quantity compares so with this one.
    Compare(Comparison, Quantity),
    /// A repository matches one of the patterns.
    In(RepoList),
    /// A repository matches none of the patterns.
    NotIn(RepoList),
    /// A set holds at least one of these.
    HasAny(Vec<String>),
    /// A set holds all of these.
    HasAll(Vec<String>),
    /// A set holds none of these.
    HasNone(Vec<String>),
    /// A set is empty, or is not.
    Empty(bool),
}

/// Repositories that a condition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoList {
    patterns: Vec<RepoPattern>,
    /// The patterns that name one repository: every repository is looked for among all of them.
    exact: HashSet<String, FixedState>,
    /// Written as `"$allowlist"`: what is proven of the policy holds whatever stands on that list.
    pub is_allowlist: bool,
    /// Written as `"$denylist"`: another denylist is another list here.
    pub is_denylist: bool,
}

impl RepoList {
    /// Those that these patterns name.
    pub fn new(patterns: Vec<RepoPattern>, is_allowlist: bool, is_denylist: bool) -> Self {
        let exact = patterns.iter().filter(|pattern| pattern.is_exact()).map(ToString::to_string).collect();
        Self { patterns, exact, is_allowlist, is_denylist }
    }

    /// What they are named by.
    pub fn patterns(&self) -> &[RepoPattern] {
        &self.patterns
    }

    /// Whether a repository is meant.
    pub fn matches(&self, repo: &str) -> bool {
        let mut prefixes = self.patterns.iter().filter(|pattern| !pattern.is_exact());
        self.exact.contains(repo.to_ascii_lowercase().as_str()) || prefixes.any(|pattern| pattern.matches(repo))
    }
}

/// `lt lte gt gte eq ne`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Less than.
    Lt,
    /// At most.
    Lte,
    /// More than.
    Gt,
    /// At least.
    Gte,
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
}

/// A number with its type; a test only ever holds the type of its fact.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// A count.
    Int(i64),
    /// An amount; never NaN.
    Number(f64),
    /// A length of time.
    Duration(Duration),
}
