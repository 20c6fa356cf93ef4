//! The gates of a policy, sorted once by how cheaply they are decided: those that read the repository alone once per
//! repository, those that are one plain test by a table, the others one by one.

use super::evaluate;
use super::table::{self, Column, Room};
use super::trace::GateTrace;
use crate::policy::facts::{Facts, IssueFact, IssueFacts, Reading};
use crate::policy::{Condition, Policy, Rules};

/// The plans of all rules of a policy.
pub(super) struct Plans<'p> {
    policy: &'p Policy,
    base: Plan<'p>,
    overrides: Vec<Plan<'p>>,
}

impl<'p> Plans<'p> {
    pub(super) fn new(policy: &'p Policy) -> Self {
        let overrides = policy.overrides.iter().map(|(_, rules)| Plan::new(rules)).collect();
        Self { policy, base: Plan::new(&policy.base), overrides }
    }

    pub(super) fn of(&self, repo: &str) -> &Plan<'p> {
        let rules = self.policy.rules(repo);
        self.overrides.iter().find(|plan| std::ptr::eq(plan.rules, rules)).unwrap_or(&self.base)
    }
}

/// The gates of some rules. Gates are named by their bit in the trace.
pub(super) struct Plan<'p> {
    pub(super) rules: &'p Rules,
    /// The bits of all gates.
    pub(super) bits: u64,
    /// The first gate that no trace can hold, which therefore denies everything. A checked policy has none.
    pub(super) beyond: Option<usize>,
    /// Decided once per repository.
    of_repo: Vec<(u64, &'p Condition<IssueFact>)>,
    /// Those that are one test of a word, a flag or a quantity.
    columns: [Option<Column<GateTrace>>; IssueFacts::COUNT],
    /// The others.
    of_issue: Vec<(u64, &'p Condition<IssueFact>)>,
}

impl<'p> Plan<'p> {
    fn new(rules: &'p Rules) -> Self {
        let mut plan = Self {
            rules,
            bits: (0..rules.gates.len()).map(GateTrace::bit).fold(0, |bits, bit| bits | bit),
            beyond: (rules.gates.len() > GateTrace::CAPACITY).then_some(GateTrace::CAPACITY),
            of_repo: Vec::new(),
            columns: [const { None }; IssueFacts::COUNT],
            of_issue: Vec::new(),
        };
        let (mut tests, mut room) = (Vec::new(), Room::default());
        for (gate, require) in rules.gates.iter().map(|gate| &gate.require).enumerate() {
            let bit = GateTrace::bit(gate);
            match require {
                require if reads_only_repo(require) => plan.of_repo.push((bit, require)),
                Condition::Test(test) if room.take(std::iter::once(test)) => tests.push((test, bit)),
                _ => plan.of_issue.push((bit, require)),
            }
        }
        plan.columns = table::columns(&tests, |trace: &mut GateTrace, bit, verdict| trace.add(*bit, verdict));
        plan
    }

    /// The verdicts that are the same for every issue of a repository.
    pub(super) fn trace_of_repo(&self, repo: &str) -> GateTrace {
        let mut trace = GateTrace::default();
        for (bit, require) in &self.of_repo {
            trace.add(*bit, evaluate::evaluate(*require, &OnlyRepo(repo)));
        }
        trace
    }

    /// Adds the verdicts on one issue to those of its repository.
    #[inline]
    pub(super) fn trace(&self, of_repo: GateTrace, facts: &IssueFacts) -> GateTrace {
        let mut trace = of_repo;
        facts.each_mark(&self.columns, |marked| trace.join(marked));
        for (bit, require) in &self.of_issue {
            trace.add(*bit, evaluate::evaluate(*require, facts));
        }
        trace
    }
}

fn reads_only_repo(condition: &Condition<IssueFact>) -> bool {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().all(reads_only_repo),
        Condition::Not(part) => reads_only_repo(part),
        Condition::Test(test) => test.fact == IssueFact::Repo,
    }
}

/// All that the gates decided once per repository may read.
struct OnlyRepo<'a>(&'a str);

impl Facts for OnlyRepo<'_> {
    type Name = IssueFact;

    fn read(&self, fact: IssueFact) -> Reading<'_> {
        if fact == IssueFact::Repo { Reading::Text(self.0) } else { Reading::NotRead }
    }
}
