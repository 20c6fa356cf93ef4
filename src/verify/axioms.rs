//! What the proofs take for granted of facts that hang together.
//!
//! The list is short, public, and true of what afk's own adapters report. Whatever is not in it, the proofs count with: a
//! run whose commits vanished after they were pushed, an agent that is idle and yet not done, labels against priority.
//! Test cases may say what no axiom allows; they are run all the same.

use super::diagram::{Diagrams, Region};
use super::space::{Constants, Scope, Space};
use crate::policy::facts::{CiStatus, FactName, IssueFact, RunFact};
use crate::policy::{Comparison, GateRules, Matcher, Quantity, RunRules, Test};

/// The axioms in words: on issues, then on runs.
pub const AXIOMS: [&str; 8] = [
    "an armed issue carries the *ready* label, where its labels are known",
    "`in_flight_in_repo` is at most `in_flight`, and at least 1 where `has_run` is true",
    "`armed_for` is at most `age`",
    "where `pushed` is false, `landed` is false and `ci` is `none`; where `landed` is true, `pushed` is true",
    "`green_stages` holds every stage exactly where `ci` is `green`, and none where `pushed` is false",
    "`red_for` is 0 where `ci` is not `red`; `verdict_wait` is 0 where `ci` is `green` or `red`",
    "`quiet`, `verdict_wait` and `red_for` are at most `age`",
    "from tick to tick every fact may change in any way, but `age` only grows and `attempts` never falls",
];

impl Scope for IssueFact {
    const AT_MOST: &'static [(Self, Self)] = &[(Self::InFlightInRepo, Self::InFlight), (Self::ArmedFor, Self::Age)];
    const REPO: Self = Self::Repo;

    fn least(self) -> i64 {
        match self {
            Self::Number => 1,
            Self::Priority => i64::MIN,
            _ => 0,
        }
    }

    fn greatest(self) -> Option<i64> {
        None
    }
}

impl Scope for RunFact {
    const AT_MOST: &'static [(Self, Self)] =
        &[(Self::Quiet, Self::Age), (Self::VerdictWait, Self::Age), (Self::RedFor, Self::Age)];
    const REPO: Self = Self::Repo;

    fn least(self) -> i64 {
        match self {
            Self::Priority => i64::MIN,
            _ => 0,
        }
    }

    fn greatest(self) -> Option<i64> {
        match self {
            // Records count them so.
            Self::Attempts => Some(i64::from(u32::MAX)),
            _ => None,
        }
    }
}

/// Cuts that the axioms themselves need.
pub fn cuts_of_issues(constants: &mut Constants<IssueFact>, rules: &GateRules<'_>) {
    let labels = &rules.labels;
    for label in [&labels.ready, &labels.human, &labels.paused] {
        constants.text(IssueFact::Labels, &label.value);
    }
    let slots = i64::try_from(rules.slots_per_repo).unwrap_or(i64::MAX);
    constants.quantity(IssueFact::InFlightInRepo, i128::from(slots));
}

/// Cuts that the axioms themselves need.
pub fn cuts_of_runs(constants: &mut Constants<RunFact>, rules: &RunRules<'_>) {
    for stage in rules.stages {
        constants.text(RunFact::GreenStages, &stage.name.value);
    }
}

/// The issues there can be.
pub fn issues(space: &Space<IssueFact>, diagrams: &mut Diagrams, rules: &GateRules<'_>) -> Region {
    let mut axioms = Axioms { space, diagrams, all: Region::EVERYTHING };
    let known = axioms.known(IssueFact::Labels);
    let ready = axioms.space.has(axioms.diagrams, IssueFact::Labels, &rules.labels.ready.value);
    axioms.implies(known, ready);
    let runs = axioms.test(IssueFact::HasRun, Matcher::Is(true));
    let none = axioms.test(IssueFact::InFlightInRepo, count(0));
    axioms.never(runs, none);
    axioms.ordered()
}

/// The runs there can be.
pub fn runs(space: &Space<RunFact>, diagrams: &mut Diagrams, rules: &RunRules<'_>) -> Region {
    let mut axioms = Axioms { space, diagrams, all: Region::EVERYTHING };
    let pushed = axioms.test(RunFact::Pushed, Matcher::Is(true));
    let nothing_pushed = axioms.test(RunFact::Pushed, Matcher::Is(false));
    let landed = axioms.test(RunFact::Landed, Matcher::Is(true));
    let not_landed = axioms.test(RunFact::Landed, Matcher::Is(false));
    let ci = |axioms: &mut Axioms<'_, RunFact>, status: CiStatus| {
        axioms.test(RunFact::Ci, Matcher::OneOf(vec![status.word().to_owned()]))
    };
    let no_ci = ci(&mut axioms, CiStatus::None);
    let green = ci(&mut axioms, CiStatus::Green);
    let red = ci(&mut axioms, CiStatus::Red);
    axioms.implies(nothing_pushed, not_landed);
    axioms.implies(nothing_pushed, no_ci);
    axioms.implies(landed, pushed);

    let stages: Vec<String> = rules.stages.iter().map(|stage| stage.name.value.clone()).collect();
    let all_green = axioms.test(RunFact::GreenStages, Matcher::HasAll(stages.clone()));
    let none_green = axioms.test(RunFact::GreenStages, Matcher::HasNone(stages));
    axioms.implies(green, all_green);
    axioms.implies(all_green, green);
    axioms.implies(nothing_pushed, none_green);

    let no_red_time = axioms.test(RunFact::RedFor, Matcher::Compare(Comparison::Eq, ZERO));
    let not_waiting = axioms.test(RunFact::VerdictWait, Matcher::Compare(Comparison::Eq, ZERO));
    let decided = axioms.diagrams.or(green, red);
    let not_red = axioms.diagrams.not(red);
    axioms.implies(not_red, no_red_time);
    axioms.implies(decided, not_waiting);
    axioms.ordered()
}

const ZERO: Quantity = Quantity::Duration(std::time::Duration::ZERO);

fn count(number: i64) -> Matcher {
    Matcher::Compare(Comparison::Eq, Quantity::Int(number))
}

struct Axioms<'a, F> {
    space: &'a Space<F>,
    diagrams: &'a mut Diagrams,
    all: Region,
}

impl<F: Scope + Ord + FactName> Axioms<'_, F> {
    fn test(&mut self, fact: F, matcher: Matcher) -> Region {
        self.space.matches(self.diagrams, &Test { fact, matcher, span: Default::default() })
    }

    fn known(&mut self, fact: F) -> Region {
        self.space.known(self.diagrams, fact)
    }

    fn implies(&mut self, given: Region, then: Region) {
        let broken = self.diagrams.without(given, then);
        self.all = self.diagrams.without(self.all, broken);
    }

    fn never(&mut self, one: Region, other: Region) {
        let both = self.diagrams.and(one, other);
        self.all = self.diagrams.without(self.all, both);
    }

    fn ordered(&mut self) -> Region {
        for (less, more) in F::AT_MOST {
            let allowed = self.space.at_most(self.diagrams, *less, *more);
            self.all = self.diagrams.and(self.all, allowed);
        }
        self.all
    }
}
