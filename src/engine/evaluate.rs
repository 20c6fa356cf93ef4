//! Conditions over facts, in three values and a reason for the third.

use std::cmp::Ordering;

use crate::policy::facts::{FactName, Facts, Reading};
use crate::policy::{Comparison, Condition, Matcher, Quantity, RepoList, Test, duration, pattern};
use crate::text;

/// How much of a word of a policy is shown, in bytes.
const LONGEST_WORD: usize = 200;

/// What a condition comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// It depends on a fact that could not be established.
    Unknown,
    /// It depends on a fact that nobody asked for yet.
    NotRead,
}

impl From<bool> for Verdict {
    fn from(holds: bool) -> Self {
        if holds { Verdict::Holds } else { Verdict::Fails }
    }
}

impl std::ops::Not for Verdict {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Verdict::Holds => Verdict::Fails,
            Verdict::Fails => Verdict::Holds,
            Verdict::Unknown | Verdict::NotRead => self,
        }
    }
}

/// Evaluates a condition. Where it depends on facts both unknown and not read, the verdict says whether reading could
/// still make it hold: `all` stays [`Verdict::Unknown`], `any` is [`Verdict::NotRead`].
// Inlined into a loop over conditions, every fact would be loaded before the loop.
#[inline(never)]
pub fn evaluate<F: Facts>(condition: &Condition<F::Name>, facts: &F) -> Verdict {
    match condition {
        // Most conditions are one test: no detour for them.
        Condition::Test(test) => compare(test, facts),
        _ => settle(condition, facts, false),
    }
}

/// Carries `not` down to the tests, so that De Morgan's laws hold for all four verdicts.
fn settle<F: Facts>(condition: &Condition<F::Name>, facts: &F, negated: bool) -> Verdict {
    match condition {
        Condition::Test(test) => {
            let verdict = compare(test, facts);
            if negated { !verdict } else { verdict }
        }
        Condition::Not(part) => settle(part, facts, !negated),
        Condition::All(parts) if !negated => every(parts, facts, negated),
        Condition::Any(parts) if negated => every(parts, facts, negated),
        Condition::All(parts) | Condition::Any(parts) => some(parts, facts, negated),
    }
}

/// Fails, then unknown, then not read: the first that occurs decides.
fn every<F: Facts>(parts: &[Condition<F::Name>], facts: &F, negated: bool) -> Verdict {
    let mut worst = Verdict::Holds;
    for part in parts {
        match settle(part, facts, negated) {
            Verdict::Holds => {}
            Verdict::Fails => return Verdict::Fails,
            Verdict::Unknown => worst = Verdict::Unknown,
            Verdict::NotRead if worst == Verdict::Holds => worst = Verdict::NotRead,
            Verdict::NotRead => {}
        }
    }
    worst
}

/// Holds, then not read, then unknown: the first that occurs decides.
fn some<F: Facts>(parts: &[Condition<F::Name>], facts: &F, negated: bool) -> Verdict {
    let mut best = Verdict::Fails;
    for part in parts {
        match settle(part, facts, negated) {
            Verdict::Holds => return Verdict::Holds,
            Verdict::Fails => {}
            Verdict::NotRead => best = Verdict::NotRead,
            Verdict::Unknown if best == Verdict::Fails => best = Verdict::Unknown,
            Verdict::Unknown => {}
        }
    }
    best
}

/// By the type of the matcher first: each arm then reads the fact as that type, and no other.
#[inline(always)]
pub(super) fn compare<F: Facts>(test: &Test<F::Name>, facts: &F) -> Verdict {
    let reading = || facts.read(test.fact);
    match &test.matcher {
        Matcher::Is(wanted) => decide(reading(), |reading| match reading {
            Reading::Bool(value) => Some(value == *wanted),
            _ => None,
        }),
        Matcher::OneOf(words) => of_text(reading(), |text| contains(words, text)),
        Matcher::In(list) => of_text(reading(), |repo| list.matches(repo)),
        Matcher::NotIn(list) => of_text(reading(), |repo| !list.matches(repo)),
        Matcher::HasAny(wanted) => of_set(reading(), |set| wanted.iter().any(|one| contains(set, one))),
        Matcher::HasAll(wanted) => of_set(reading(), |set| wanted.iter().all(|one| contains(set, one))),
        Matcher::HasNone(wanted) => of_set(reading(), |set| !wanted.iter().any(|one| contains(set, one))),
        Matcher::Empty(wanted) => of_set(reading(), |set| set.is_empty() == *wanted),
        Matcher::Compare(comparison, bound) => decide(reading(), |reading| {
            let ordering = order(reading, *bound)?;
            Some(match comparison {
                Comparison::Lt => ordering.is_lt(),
                Comparison::Lte => ordering.is_le(),
                Comparison::Gt => ordering.is_gt(),
                Comparison::Gte => ordering.is_ge(),
                Comparison::Eq => ordering.is_eq(),
                Comparison::Ne => ordering.is_ne(),
            })
        }),
        Matcher::OneOfQuantities(quantities) => decide(reading(), |reading| {
            quantities.iter().try_fold(false, |found, one| Some(found || order(reading, *one)?.is_eq()))
        }),
    }
}

/// `judge` gives `None` where the two cannot be compared: an amount that is not a number. (A matcher of another type
/// than its fact never passes the check of the policy.)
#[inline(always)]
fn decide<'a>(reading: Reading<'a>, judge: impl FnOnce(Reading<'a>) -> Option<bool>) -> Verdict {
    match reading {
        Reading::Unknown(_) => Verdict::Unknown,
        Reading::NotRead => Verdict::NotRead,
        reading => judge(reading).map_or(Verdict::Unknown, Verdict::from),
    }
}

#[inline(always)]
fn of_text(reading: Reading<'_>, judge: impl FnOnce(&str) -> bool) -> Verdict {
    decide(reading, |reading| if let Reading::Text(text) = reading { Some(judge(text)) } else { None })
}

#[inline(always)]
fn of_set(reading: Reading<'_>, judge: impl FnOnce(&[String]) -> bool) -> Verdict {
    decide(reading, |reading| if let Reading::Set(set) = reading { Some(judge(set)) } else { None })
}

fn contains(set: &[String], wanted: &str) -> bool {
    set.iter().any(|member| pattern::same(member, wanted))
}

fn order(reading: Reading<'_>, quantity: Quantity) -> Option<Ordering> {
    match (reading, quantity) {
        (Reading::Int(value), Quantity::Int(bound)) => Some(value.cmp(&bound)),
        (Reading::Number(value), Quantity::Number(bound)) => value.partial_cmp(&bound),
        // Rules count whole seconds.
        (Reading::Duration(value), Quantity::Duration(bound)) => Some(value.as_secs().cmp(&bound.as_secs())),
        _ => None,
    }
}

/// The tests that keep a condition from holding, in the order of the policy; none where it holds. Of an `any` that does
/// not hold, every branch is named; under a `not`, the tests that hold and should not.
pub fn lacking<'c, F: Facts>(condition: &'c Condition<F::Name>, facts: &F) -> Vec<&'c Test<F::Name>> {
    let mut tests = Vec::new();
    gather(condition, facts, false, &mut tests);
    tests
}

/// Looks only into what does not hold.
fn gather<'c, F: Facts>(
    condition: &'c Condition<F::Name>,
    facts: &F,
    negated: bool,
    tests: &mut Vec<&'c Test<F::Name>>,
) {
    if settle(condition, facts, negated) == Verdict::Holds {
        return;
    }
    match condition {
        Condition::Test(test) => tests.push(test),
        Condition::Not(part) => gather(part, facts, !negated, tests),
        Condition::All(parts) | Condition::Any(parts) => {
            for part in parts {
                gather(part, facts, negated, tests);
            }
        }
    }
}

/// A test in the words of the policy: `ci = green`, `age >= 1d`, `labels has_none [paused]`.
pub fn describe<N: FactName>(test: &Test<N>) -> String {
    let fact = test.fact.spec().name;
    // A word that a policy could break over lines would pass for lines of the report.
    let joined = |words: &[String], between: &str| -> String {
        words.iter().map(|word| text::line(word, LONGEST_WORD)).collect::<Vec<_>>().join(between)
    };
    let list = |words: &[String]| format!("[{}]", joined(words, ", "));
    let repos = |repos: &RepoList| list(&repos.patterns().iter().map(ToString::to_string).collect::<Vec<_>>());
    match &test.matcher {
        Matcher::Is(value) => format!("{fact} = {value}"),
        Matcher::OneOf(words) => format!("{fact} = {}", joined(words, " or ")),
        Matcher::OneOfQuantities(quantities) => {
            let written: Vec<String> = quantities.iter().map(|one| quantity(*one)).collect();
            format!("{fact} = {}", written.join(" or "))
        }
        Matcher::Compare(comparison, bound) => {
            let sign = match comparison {
                Comparison::Lt => "<",
                Comparison::Lte => "<=",
                Comparison::Gt => ">",
                Comparison::Gte => ">=",
                Comparison::Eq => "=",
                Comparison::Ne => "!=",
            };
            format!("{fact} {sign} {}", quantity(*bound))
        }
        Matcher::In(list) => format!("{fact} in {}", repos(list)),
        Matcher::NotIn(list) => format!("{fact} not_in {}", repos(list)),
        Matcher::HasAny(words) => format!("{fact} has_any {}", list(words)),
        Matcher::HasAll(words) => format!("{fact} has_all {}", list(words)),
        Matcher::HasNone(words) => format!("{fact} has_none {}", list(words)),
        Matcher::Empty(true) => format!("{fact} empty"),
        Matcher::Empty(false) => format!("{fact} not empty"),
    }
}

fn quantity(quantity: Quantity) -> String {
    match quantity {
        Quantity::Int(value) => value.to_string(),
        Quantity::Number(value) => value.to_string(),
        Quantity::Duration(value) => duration::format(value),
    }
}
