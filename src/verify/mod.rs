//! The proofs: what the rules of a policy allow together, decided exactly. Pure: no clock, file, network, async or logging.
//!
//! Facts come from finite sets or are cut into finitely many ranges by the constants of the policy, so the space of
//! inputs is finite. Conditions become sets of inputs, and every question is whether a set is empty; where it is not, an
//! input in it is the counterexample. Nothing is sampled. What is assumed of facts that hang together is listed in
//! [`AXIOMS`]; the kill switch is taken as off, and the allowlist as any list.
//!
//! From the bottom: `diagram` holds sets of inputs, `space` cuts the facts and turns conditions into sets, `axioms`
//! says which inputs are possible; `issues` decides the gates and `machine` what a tick does to a run; `runs`,
//! `repetition` and `liveness` ask the questions, `findings` puts the answers into words, `case` into test cases.
//! [`difference()`] compares two policies the same way.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::as_conversions,
        clippy::arithmetic_side_effects
    )
)]

mod axioms;
pub mod case;
mod diagram;
pub mod difference;
mod domain;
mod findings;
mod issues;
mod line;
mod liveness;
mod machine;
mod moments;
mod repetition;
mod repos;
mod runs;
mod space;
mod subject;

use std::collections::BTreeSet;

use crate::policy::facts::RunFact;
use crate::policy::{Code, Finding, Fragments, Policy, Source, Span};

pub use axioms::AXIOMS;
use case::Case;
use diagram::{Diagrams, Region, Variable};
pub use difference::difference;
use issues::Gates;
use liveness::Alive;
use machine::Machine;
use space::{Scope, Space};
use subject::{Area, Subject};

/// The work that one policy is worth, in steps of the diagrams: well under a second.
const MAX_STEPS: u32 = 3_000_000;

/// The invariants that are proven here, in the order of the documentation. (The other codes of policy-language.md §6 are
/// findings of [`crate::policy::check`].)
pub const INVARIANTS: [Code; 14] = [
    Code::UntrustedDispatch,
    Code::UnlistedDispatch,
    Code::DoubleDispatch,
    Code::BlockedDispatch,
    Code::RearmLoop,
    Code::UnboundedRun,
    Code::UnverifiedClose,
    Code::EndlessFixing,
    Code::RepeatEffects,
    Code::Spin,
    Code::DeadGate,
    Code::DeadRow,
    Code::UnreachableState,
    Code::DeadEnd,
];

/// Those of [`INVARIANTS`] that gates answer; rows answer the others.
const OF_GATES: [Code; 6] = [
    Code::UntrustedDispatch,
    Code::UnlistedDispatch,
    Code::DoubleDispatch,
    Code::BlockedDispatch,
    Code::RearmLoop,
    Code::DeadGate,
];

/// What was proven of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Proofs {
    /// One for each of [`INVARIANTS`] that the sound part of the policy is enough for.
    pub proofs: Vec<Proof>,
    /// What does not hold, what was waived, and what could not be decided.
    pub findings: Vec<Finding>,
}

/// One invariant, decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    /// Which.
    pub invariant: Code,
    /// Whether it holds.
    pub outcome: Outcome,
    /// What it was decided on.
    pub evidence: Evidence,
}

/// What a proof came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It holds for every input.
    Holds,
    /// There is an input for which it does not.
    Broken,
    /// There is such an input, and the policy waives the invariant.
    Waived,
    /// The rules are too entangled to tell.
    Undecided,
}

/// What a proof was decided on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evidence {
    /// The facts that mattered, in catalogue order.
    pub facts: Vec<&'static str>,
    /// Into how many regions the constants of the policy cut the values of these facts; each was decided.
    pub regions: u128,
}

impl Evidence {
    fn of<F: Scope + Ord>(
        diagrams: &Diagrams,
        space: &Space<F>,
        regions: impl IntoIterator<Item = Region>,
        asked: impl IntoIterator<Item = Variable>,
    ) -> Self {
        let mut variables: BTreeSet<Variable> = asked.into_iter().collect();
        variables.extend(regions.into_iter().flat_map(|region| diagrams.support(region)));
        let (facts, regions) = space.facts(&variables);
        Self { facts, regions }
    }

    /// What both stand on.
    fn join(&mut self, other: Self) {
        for fact in other.facts {
            if !self.facts.contains(&fact) {
                self.facts.push(fact);
            }
        }
        self.regions = self.regions.saturating_add(other.regions);
    }
}

/// An invariant that does not hold, and the proof of that.
#[derive(Debug, Clone, PartialEq)]
struct Breach {
    /// One sentence.
    message: String,
    /// The rule that comes closest to holding it.
    span: Span,
    /// What stands beside that rule.
    label: String,
    /// Counterexamples; of a breach in several ticks one each.
    cases: Vec<Case>,
    /// More for the reader.
    notes: Vec<String>,
}

/// Decides every invariant for every repository with overrides, and once for any other.
pub fn prove(policy: &Policy) -> Proofs {
    decide(&Subject::of_policy(policy), policy.switched_on.as_deref(), false)
}

/// [`prove`], with the evidence of each proof: what it was decided on.
pub fn prove_with_evidence(policy: &Policy) -> Proofs {
    decide(&Subject::of_policy(policy), policy.switched_on.as_deref(), true)
}

/// Decides the invariants of what could be read of a policy that is in error elsewhere, with the evidence.
pub fn prove_fragments(fragments: &Fragments, source: &Source) -> Proofs {
    decide(&Subject::of_fragments(fragments, source), None, true)
}

fn decide(subject: &Subject<'_>, switched_on: Option<&Policy>, with_evidence: bool) -> Proofs {
    let mut report = findings::Report::new(subject);
    let mut alive = Alive::default();
    let mut steps = MAX_STEPS;
    for area in &subject.areas {
        match prove_area(subject, area, steps, with_evidence, &mut alive, &mut report) {
            Ok(left) => steps = left,
            Err(met) => {
                report.undecided(area, met);
                return report.finish();
            }
        }
    }
    let revived = match switched_on.map(|policy| survey(&Subject::of_policy(policy), steps)) {
        // Without it nobody can tell what is dead from what is switched off.
        Some(None) => {
            let met = Met { limit: Limit::Steps, by_gates: false };
            subject.areas.iter().take(1).for_each(|area| report.undecided(area, met));
            return report.finish();
        }
        revived => revived.flatten(),
    };
    liveness::report(subject, &alive, revived.as_ref(), &mut report);
    report.finish()
}

/// Which limit kept an area from being decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    /// [`MAX_STEPS`].
    Steps,
    /// [`space::MAX_VARIABLES`].
    Variables,
}

/// A limit that was met, and on which rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Met {
    limit: Limit,
    /// On the gates; else on the rows.
    by_gates: bool,
}

impl Met {
    /// Why the space of an area could not be cut.
    fn of(diagrams: &Diagrams, by_gates: bool) -> Self {
        let limit = if diagrams.exceeded() { Limit::Steps } else { Limit::Variables };
        Self { limit, by_gates }
    }
}

/// Proves one area, and says what the proofs stand on; the steps that are left.
fn prove_area(
    subject: &Subject<'_>,
    area: &Area<'_>,
    steps: u32,
    with_evidence: bool,
    alive: &mut Alive,
    report: &mut findings::Report<'_>,
) -> Result<u32, Met> {
    let mut breaches = Vec::new();
    let mut of_gates = Diagrams::new(steps);
    let mut gates = None;
    if let Some(rules) = area.gates {
        let decided = Gates::new(&mut of_gates, rules, subject.denylist, area.scope, &area.outside);
        let decided = decided.ok_or_else(|| Met::of(&of_gates, true))?;
        breaches.extend(decided.breaches(&mut of_gates, subject.denylist));
        alive.of_gates(&mut of_gates, &decided);
        gates = Some(decided);
    }
    // What the gates took, the rows lack.
    let by_gates = of_gates.left() < steps.div_euclid(2);
    let mut of_runs = Diagrams::new(of_gates.left());
    let mut machine = None;
    if let Some(rules) = area.runs {
        let decided = Machine::new(&mut of_runs, rules, subject.denylist, area.scope, &area.outside);
        let mut decided = decided.ok_or_else(|| Met::of(&of_runs, by_gates && of_runs.exceeded()))?;
        let stranded = decided.stranded(&mut of_runs);
        let dead_end = decided.dead_end(&stranded);
        alive.of_machine(&mut of_runs, &decided);
        // What a rule is good for depends on where this policy leads; what it must not do, does not: a run that was begun
        // under another policy may be in any state.
        decided.explore_everywhere(&mut of_runs);
        let found = [
            (Code::UnboundedRun, decided.unbounded_run(&mut of_runs, &stranded).into_iter().collect()),
            (Code::UnverifiedClose, decided.unverified_closes(&mut of_runs)),
            (Code::EndlessFixing, decided.endless_fixing(&mut of_runs)),
            (Code::RepeatEffects, decided.repeat_effects(&mut of_runs).into_iter().collect()),
            (Code::Spin, decided.spin(&mut of_runs).into_iter().collect()),
            (Code::DeadEnd, dead_end.into_iter().collect::<Vec<Breach>>()),
        ];
        breaches.extend(found.into_iter().flat_map(|(code, found)| found.into_iter().map(move |one| (code, one))));
        machine = Some(decided);
    }
    // What was found with too few steps is not to be believed.
    if of_runs.exceeded() {
        return Err(Met { limit: Limit::Steps, by_gates });
    }
    for (code, breach) in breaches {
        report.broken(area, code, breach);
    }
    // The evidence is not counted: whether a policy is accepted must not depend on who asks.
    let left = of_runs.left();
    if let Some(gates) = gates.filter(|_| with_evidence) {
        for code in OF_GATES {
            let evidence = match code {
                Code::DeadGate => gates.evidence_of_all(&of_gates),
                code => gates.evidence(&mut of_gates, subject.denylist, code),
            };
            report.evidence(code, evidence);
        }
    }
    if let Some(machine) = machine.filter(|_| with_evidence) {
        for code in INVARIANTS.into_iter().filter(|code| !OF_GATES.contains(code)) {
            let evidence = match code {
                Code::UnboundedRun => machine.evidence(&of_runs, &[RunFact::Age, RunFact::Attempts], |_| true),
                Code::UnverifiedClose => machine.evidence(&of_runs, &[RunFact::Ci], |row| machine.closes(row)),
                Code::EndlessFixing => machine.evidence(&of_runs, &[RunFact::Attempts], |row| machine.sends_turn(row)),
                _ => machine.evidence(&of_runs, &[], |_| true),
            };
            report.evidence(code, evidence);
        }
    }
    Ok(left)
}

/// What is alive, without any other question; `None` where that is too much to decide.
fn survey(subject: &Subject<'_>, steps: u32) -> Option<Alive> {
    let mut alive = Alive::default();
    let mut left = steps;
    for area in &subject.areas {
        let mut diagrams = Diagrams::new(left);
        if let Some(rules) = area.gates {
            let gates = Gates::new(&mut diagrams, rules, subject.denylist, area.scope, &area.outside)?;
            alive.of_gates(&mut diagrams, &gates);
        }
        let mut diagrams = Diagrams::new(diagrams.left());
        if let Some(rules) = area.runs {
            let machine = Machine::new(&mut diagrams, rules, subject.denylist, area.scope, &area.outside)?;
            alive.of_machine(&mut diagrams, &machine);
        }
        left = diagrams.left();
    }
    (left > 0).then_some(alive)
}
