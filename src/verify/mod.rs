//! The proofs: what the rules of a policy allow together, decided exactly. Pure: no clock, file, network, async or logging.
//!
//! Facts come from finite sets or are cut into finitely many ranges by the constants of the policy, so the space of
//! inputs is finite. Conditions become sets of inputs, and every question is whether a set is
//! empty; where it is not, an input in it is the counterexample. Nothing is sampled. What is assumed of facts that hang
//! together is listed in [`AXIOMS`]; the kill switch is taken as off, and the allowlist as any list.

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
mod findings;
mod issues;
mod line;
mod liveness;
mod machine;
mod repetition;
mod repos;
mod runs;
mod space;

use std::collections::BTreeSet;

use crate::policy::facts::RunFact;
use crate::policy::{Code, Finding, Policy, RepoPattern, Rules, Span};

pub use axioms::AXIOMS;
use case::Case;
use diagram::{Diagrams, Region, Variable};
use issues::Gates;
use liveness::Alive;
use machine::Machine;
use space::{Scope, Space};

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

/// What was proven of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Proofs {
    /// One for each of [`INVARIANTS`].
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

/// The repositories that one set of rules is for.
struct Area<'p> {
    rules: &'p Rules,
    /// `None`: every repository without overrides.
    scope: Option<&'p RepoPattern>,
    /// Those that have rules of their own.
    outside: Vec<RepoPattern>,
}

fn areas(policy: &Policy) -> Vec<Area<'_>> {
    let patterns = || policy.overrides.iter().map(|(pattern, _)| pattern);
    let base = Area { rules: &policy.base, scope: None, outside: patterns().cloned().collect() };
    let overrides = policy.overrides.iter().map(|(pattern, rules)| {
        let inner = patterns().filter(|one| one.is_exact() && *one != pattern && !pattern.is_exact());
        Area { rules, scope: Some(pattern), outside: inner.cloned().collect() }
    });
    std::iter::once(base).chain(overrides).collect()
}

/// Decides every invariant for every repository with overrides, and once for any other.
pub fn prove(policy: &Policy) -> Proofs {
    decide(policy, false)
}

/// [`prove`], with the evidence of each proof: what it was decided on.
pub fn prove_with_evidence(policy: &Policy) -> Proofs {
    decide(policy, true)
}

fn decide(policy: &Policy, with_evidence: bool) -> Proofs {
    let mut report = findings::Report::new(policy);
    let mut alive = Alive::default();
    let mut steps = MAX_STEPS;
    for area in areas(policy) {
        steps = prove_area(policy, &area, steps, &mut alive, &mut report);
        if with_evidence {
            evidence_of_area(policy, &area, &mut report);
        }
        if steps == 0 {
            report.undecided(&area);
            return report.finish();
        }
    }
    let revived = policy.switched_on.as_deref().map(|policy| survey(policy, steps));
    liveness::report(policy, &alive, revived.as_ref(), &mut report);
    report.finish()
}

/// Proves one area; the steps that are left.
fn prove_area(
    policy: &Policy,
    area: &Area<'_>,
    steps: u32,
    alive: &mut Alive,
    report: &mut findings::Report<'_>,
) -> u32 {
    let denylist = &policy.denylist.value;
    let mut diagrams = Diagrams::new(steps);
    let Some(gates) = Gates::new(&mut diagrams, area.rules, denylist, area.scope, &area.outside) else { return 0 };
    for (code, breach) in gates.breaches(&mut diagrams, denylist) {
        report.broken(area, code, breach);
    }
    alive.of_gates(&mut diagrams, &gates);
    if diagrams.exceeded() {
        return 0;
    }

    let mut diagrams = Diagrams::new(diagrams.left());
    let Some(machine) = Machine::new(&mut diagrams, area.rules, denylist, area.scope, &area.outside) else { return 0 };
    let stranded = machine.stranded();
    for (code, breach) in [
        (Code::UnboundedRun, machine.unbounded_run(&mut diagrams, &stranded)),
        (Code::UnverifiedClose, machine.unverified_close(&mut diagrams)),
        (Code::EndlessFixing, machine.endless_fixing(&mut diagrams)),
        (Code::RepeatEffects, machine.repeat_effects(&mut diagrams)),
        (Code::Spin, machine.spin(&mut diagrams)),
        (Code::DeadEnd, machine.dead_end(&stranded)),
    ] {
        if let Some(breach) = breach {
            report.broken(area, code, breach);
        }
    }
    alive.of_machine(&mut diagrams, &machine);
    diagrams.left()
}

/// Adds what the proofs of one area stand on.
fn evidence_of_area(policy: &Policy, area: &Area<'_>, report: &mut findings::Report<'_>) {
    let denylist = &policy.denylist.value;
    let mut diagrams = Diagrams::new(MAX_STEPS);
    let gates = Gates::new(&mut diagrams, area.rules, denylist, area.scope, &area.outside);
    let machine = Machine::new(&mut diagrams, area.rules, denylist, area.scope, &area.outside);
    let (Some(gates), Some(machine)) = (gates, machine) else { return };
    for code in INVARIANTS {
        let evidence = match code {
            Code::UnboundedRun => machine.evidence(&diagrams, &[RunFact::Age, RunFact::Attempts], |_| true),
            Code::UnverifiedClose => machine.evidence(&diagrams, &[RunFact::Ci], |row| machine.closes(row)),
            Code::EndlessFixing => machine.evidence(&diagrams, &[RunFact::Attempts], |row| machine.sends_turn(row)),
            Code::RepeatEffects | Code::Spin | Code::DeadRow | Code::UnreachableState | Code::DeadEnd => {
                machine.evidence(&diagrams, &[], |_| true)
            }
            Code::DeadGate => gates.evidence_of_all(&diagrams),
            _ => gates.evidence(&mut diagrams, denylist, code),
        };
        report.evidence(code, evidence);
    }
}

/// What is alive in a policy, without any other question.
fn survey(policy: &Policy, steps: u32) -> Alive {
    let denylist = &policy.denylist.value;
    let mut alive = Alive::default();
    let mut left = steps;
    for area in areas(policy) {
        let mut diagrams = Diagrams::new(left);
        if let Some(gates) = Gates::new(&mut diagrams, area.rules, denylist, area.scope, &area.outside) {
            alive.of_gates(&mut diagrams, &gates);
        }
        let mut diagrams = Diagrams::new(diagrams.left());
        if let Some(machine) = Machine::new(&mut diagrams, area.rules, denylist, area.scope, &area.outside) {
            alive.of_machine(&mut diagrams, &machine);
        }
        left = diagrams.left();
    }
    alive
}
