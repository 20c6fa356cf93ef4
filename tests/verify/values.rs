//! Facts by name and value: which values a policy can tell apart, and how they are written into facts.

use std::collections::BTreeSet;
use std::time::Duration;

use afk::policy::facts::{
    AgentStatus, CiStatus, FactName, IssueFact, IssueFacts, IssueStatus, Kind, Members, Observed, PullRequestStatus,
    RunFact, RunFacts,
};
use afk::policy::{Condition, Matcher, Quantity, Test};

/// A value of any fact.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Unknown,
    Bool(bool),
    Int(i64),
    Number(f64),
    Seconds(u64),
    Text(String),
    Set(Vec<String>),
}

fn seen<T>(value: &Value, known: impl FnOnce(&Value) -> T) -> Observed<T> {
    if *value == Value::Unknown {
        Observed::Unknown("it answered 403".to_owned())
    } else {
        Observed::Known(known(value))
    }
}

fn truth(value: &Value) -> bool {
    if let Value::Bool(value) = value { *value } else { panic!("{value:?}") }
}

fn int(value: &Value) -> i64 {
    if let Value::Int(value) = value { *value } else { panic!("{value:?}") }
}

fn length(value: &Value) -> Duration {
    if let Value::Seconds(value) = value { Duration::from_secs(*value) } else { panic!("{value:?}") }
}

fn text(value: &Value) -> String {
    if let Value::Text(value) = value { value.clone() } else { panic!("{value:?}") }
}

fn set(value: &Value) -> Vec<String> {
    if let Value::Set(value) = value { value.clone() } else { panic!("{value:?}") }
}

/// Facts that can be written by name.
pub trait Settable: Clone {
    type Name: FactName + Ord;
    fn put(&mut self, fact: Self::Name, value: &Value);
    /// The least number a fact can be.
    fn least(fact: Self::Name) -> i64;
    /// Facts cut along the constants of each other, because the axioms compare them.
    fn compared(fact: Self::Name) -> &'static [Self::Name];
}

impl Settable for IssueFacts {
    type Name = IssueFact;

    fn put(&mut self, fact: IssueFact, value: &Value) {
        use IssueFact as F;
        match fact {
            F::Repo => self.repo = text(value),
            F::Number => self.number = int(value),
            F::Labels => self.labels = seen(value, set),
            F::ArmedBy => self.armed_by = seen(value, text),
            F::Trusted => self.trusted = seen(value, truth),
            F::Author => self.author = seen(value, text),
            F::AuthorTrusted => self.author_trusted = seen(value, truth),
            F::Assignees => self.assignees = seen(value, set),
            F::Priority => self.priority = seen(value, int),
            F::OpenBlockers => self.open_blockers = seen(value, set),
            F::HasRun => self.has_run = seen(value, truth),
            F::AlreadyRun => self.already_run = seen(value, truth),
            F::InFlightInRepo => self.in_flight_in_repo = seen(value, int),
            F::InFlight => self.in_flight = seen(value, int),
            F::EditedSinceArmed => self.edited_since_armed = seen(value, truth),
            F::Age => self.age = seen(value, length),
            F::ArmedFor => self.armed_for = seen(value, length),
        }
    }

    fn least(fact: IssueFact) -> i64 {
        match fact {
            IssueFact::Priority => i64::MIN,
            IssueFact::Number => 1,
            _ => 0,
        }
    }

    fn compared(fact: IssueFact) -> &'static [IssueFact] {
        use IssueFact as F;
        match fact {
            F::Age | F::ArmedFor => &[F::Age, F::ArmedFor],
            F::InFlight | F::InFlightInRepo => &[F::InFlight, F::InFlightInRepo],
            _ => &[],
        }
    }
}

impl Settable for RunFacts {
    type Name = RunFact;

    fn put(&mut self, fact: RunFact, value: &Value) {
        use RunFact as F;
        match fact {
            F::Repo => self.repo = text(value),
            F::Labels => self.labels = seen(value, set),
            F::Priority => self.priority = seen(value, int),
            F::Agent => self.agent = AgentStatus::from_word(&text(value)).unwrap(),
            F::Pushed => self.pushed = seen(value, truth),
            F::Landed => self.landed = seen(value, truth),
            F::PullRequest => {
                self.pull_request = seen(value, |value| PullRequestStatus::from_word(&text(value)).unwrap());
            }
            F::TouchedProtected => self.touched_protected = seen(value, truth),
            F::Ci => self.ci = CiStatus::from_word(&text(value)).unwrap(),
            F::GreenStages => self.green_stages = seen(value, set),
            F::Attempts => self.attempts = int(value),
            F::Told => self.told = truth(value),
            F::Age => self.age = length(value),
            F::Quiet => self.quiet = length(value),
            F::VerdictWait => self.verdict_wait = length(value),
            F::RedFor => self.red_for = length(value),
            F::Issue => self.issue = seen(value, |value| IssueStatus::from_word(&text(value)).unwrap()),
            F::Held => self.held = seen(value, truth),
            F::Milestones => self.milestones = seen(value, set),
            F::CostUsd => {
                self.cost_usd = seen(value, |value| if let Value::Number(value) = value { *value } else { panic!() });
            }
        }
    }

    fn least(fact: RunFact) -> i64 {
        if fact == RunFact::Priority { i64::MIN } else { 0 }
    }

    fn compared(fact: RunFact) -> &'static [RunFact] {
        use RunFact as F;
        match fact {
            F::Age | F::Quiet | F::VerdictWait | F::RedFor => &[F::Age, F::Quiet, F::VerdictWait, F::RedFor],
            _ => &[],
        }
    }
}

/// Every comparison of a condition.
pub fn tests<'c, F>(condition: &'c Condition<F>, found: &mut Vec<&'c Test<F>>) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().for_each(|part| tests(part, found)),
        Condition::Not(part) => tests(part, found),
        Condition::Test(test) => found.push(test),
    }
}

/// The values of a fact among which the comparisons `tests` (and the numbers and members `also`) can tell a difference:
/// every constant, and what lies just below and just above it.
pub fn values<T: Settable>(fact: T::Name, all: &[&Test<T::Name>], numbers: &[i64], members: &[String]) -> Vec<Value> {
    let spec = fact.spec();
    let own = all.iter().filter(|test| test.fact == fact);
    let linked = all.iter().filter(|test| test.fact == fact || T::compared(fact).contains(&test.fact));
    let mut quantities: Vec<Quantity> = Vec::new();
    for test in linked {
        match &test.matcher {
            Matcher::Compare(_, one) => quantities.push(*one),
            Matcher::OneOfQuantities(some) => quantities.extend(some),
            _ => {}
        }
    }
    let mut words: BTreeSet<String> = members.iter().map(|one| one.to_lowercase()).collect();
    for test in own {
        if let Matcher::OneOf(some) | Matcher::HasAny(some) | Matcher::HasAll(some) | Matcher::HasNone(some) =
            &test.matcher
        {
            words.extend(some.iter().map(|one| one.to_lowercase()));
        }
    }
    let mut values = match spec.kind {
        Kind::Bool => vec![Value::Bool(false), Value::Bool(true)],
        Kind::Enum(words) => words.iter().map(|word| Value::Text((*word).to_owned())).collect(),
        Kind::Repo => Vec::new(),
        Kind::Login => words.into_iter().chain(["zed".to_owned()]).map(Value::Text).collect(),
        Kind::Int => {
            let least = T::least(fact);
            let constants =
                quantities.iter().filter_map(|one| if let Quantity::Int(one) = one { Some(*one) } else { None });
            let around: BTreeSet<i64> = constants
                .chain(numbers.iter().copied())
                .flat_map(|one| [one.saturating_sub(1), one, one.saturating_add(1)])
                .chain([least, 0])
                .filter(|one| *one >= least)
                .collect();
            around.into_iter().map(Value::Int).collect()
        }
        Kind::Duration => {
            let constants = quantities.iter().filter_map(|one| match one {
                Quantity::Duration(one) => Some(one.as_secs()),
                _ => None,
            });
            let around: BTreeSet<u64> =
                constants.flat_map(|one| [one.saturating_sub(1), one, one.saturating_add(1)]).chain([0]).collect();
            around.into_iter().map(Value::Seconds).collect()
        }
        Kind::Number => {
            let constants =
                quantities.iter().filter_map(|one| if let Quantity::Number(one) = one { Some(*one) } else { None });
            let mut around: Vec<f64> = constants
                .flat_map(|one| [one.next_down(), one, one.next_up()])
                .chain([0.0])
                .filter(|one| *one >= 0.0)
                .collect();
            around.sort_by(f64::total_cmp);
            around.dedup();
            around.into_iter().map(Value::Number).collect()
        }
        Kind::Set(kinds) => {
            let members: Vec<String> = match kinds {
                Members::Words(words) => words.iter().map(|word| (*word).to_owned()).collect(),
                Members::Stages => members.to_vec(),
                Members::Free => words.into_iter().chain(["zz-other".to_owned()]).collect(),
            };
            let subset = |bits: u32| members.iter().enumerate().filter(move |(index, _)| bits >> index & 1 == 1);
            (0..1_u32 << members.len())
                .map(|bits| Value::Set(subset(bits).map(|(_, member)| member.clone()).collect()))
                .collect()
        }
    };
    if !spec.always {
        values.push(Value::Unknown);
    }
    values
}

/// Calls `visit` with every combination.
pub fn combinations<T: Settable>(base: &T, domains: &[(T::Name, Vec<Value>)], visit: &mut impl FnMut(&T)) {
    let Some(((fact, values), rest)) = domains.split_first() else { return visit(base) };
    let mut facts = base.clone();
    for value in values {
        facts.put(*fact, value);
        combinations(&facts, rest, visit);
    }
}
