//! Why the policy decided a case as it did: every gate, every row, and what each rests on.

use serde::Serialize;

use crate::engine::evaluate::{Verdict, describe, evaluate, lacking};
use crate::engine::select::{Candidate, Decision, Outcome, fired, sentence};
use crate::engine::step::{self, Advance, End, HeldBy};
use crate::policy::facts::{FactName, Facts, IssueFacts, Reading, RunFacts};
use crate::policy::sentence::in_words;
use crate::policy::{Condition, Policy, Rules};

/// Why a case came out as it did. Texts may quote the test file: clean them before they are shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trace {
    /// Of each issue, in the order of the case.
    Issues(Vec<IssueTrace>),
    /// Of each state that the run passed in the tick, and how the tick ends.
    Run(RunTrace),
}

/// Why a run went as far as it did in one tick.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunTrace {
    /// Each state passed, with the rows that apply there.
    pub states: Vec<StateTrace>,
    /// How the tick ends, in one sentence.
    pub end: String,
}

/// One issue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IssueTrace {
    /// `acme/app#1`.
    pub issue: String,
    /// What fired; `null`: it is dispatched.
    pub fired: Option<String>,
    /// What was decided, in one sentence.
    pub why: String,
    /// Every gate in file order; none where no gate is evaluated.
    pub gates: Vec<GateLine>,
}

/// One gate on one issue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GateLine {
    /// Its name.
    pub gate: String,
    /// `pass`, `deny`, `unknown`.
    pub verdict: &'static str,
    /// What the verdict rests on.
    pub evidence: Vec<String>,
    /// Its line in the policy.
    pub line: usize,
}

/// The rows that apply in one state.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StateTrace {
    /// Its name.
    pub state: String,
    /// In file order.
    pub rows: Vec<RowLine>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowLine {
    /// Its name.
    pub row: String,
    /// Where it leads.
    pub to: String,
    /// `matches`, `no`, `unknown`.
    pub verdict: &'static str,
    /// What it lacks; nothing where it matches.
    pub lacks: Vec<String>,
    /// Its line in the policy.
    pub line: usize,
}

/// `acme/app#1`.
pub fn reference(facts: &IssueFacts) -> String {
    format!("{}#{}", facts.repo, facts.number)
}

/// The traces of all issues of a case.
pub fn issues(policy: &Policy, candidates: &[Candidate], decisions: &[Decision]) -> Vec<IssueTrace> {
    let all = candidates.iter().zip(decisions).enumerate();
    all.map(|(index, (candidate, decision))| IssueTrace {
        issue: reference(&candidate.facts),
        fired: fired(policy, candidate, decision).map(str::to_owned),
        why: sentence(policy, candidates, index, decision),
        gates: match decision.outcome {
            Outcome::KillSwitch | Outcome::Paused => Vec::new(),
            _ => gates(policy, &candidate.facts),
        },
    })
    .collect()
}

fn gates(policy: &Policy, facts: &IssueFacts) -> Vec<GateLine> {
    let gates = policy.rules(&facts.repo).gates.iter();
    gates
        .map(|gate| {
            let (verdict, evidence) = match evaluate(&gate.require, facts) {
                Verdict::Holds => ("pass", values(&gate.require, facts)),
                Verdict::Fails => ("deny", lacks(&gate.require, facts)),
                Verdict::Unknown | Verdict::NotRead => ("unknown", lacks(&gate.require, facts)),
            };
            GateLine { gate: gate.name.clone(), verdict, evidence, line: policy.line(gate.span) }
        })
        .collect()
}

/// The trace of one tick of a run.
pub fn run(
    policy: &Policy,
    rules: &Rules,
    state: &str,
    facts: &RunFacts,
    enrolled: bool,
    advanced: &Advance<'_>,
) -> RunTrace {
    let mut states = Vec::new();
    let passed = std::iter::once(state).chain(advanced.path.iter().map(|row| row.to.as_str()));
    for state in passed {
        if states.iter().all(|one: &StateTrace| one.state != state) {
            states.push(StateTrace { state: state.to_owned(), rows: rows(policy, rules, state, facts, enrolled) });
        }
    }
    let end = match advanced.end {
        End::Wait if advanced.path.is_empty() => format!("no row matches: it waits in {}", advanced.state),
        End::Wait => format!("it waits in {}", advanced.state),
        End::Act(row) => {
            let action = row.action.as_deref().unwrap_or_default();
            format!("row {} leads to {} with action {action}", row.name, row.to)
        }
        End::Held(row, why) => format!("row {} matches and is held: {}", row.name, held(why)),
        End::Circle => format!("rows without effects lead back to {}: it goes in a circle", advanced.state),
    };
    RunTrace { states, end }
}

fn held(why: HeldBy) -> &'static str {
    match why {
        HeldBy::KillSwitch => "it sends a turn, and the kill switch is on",
        HeldBy::HeldUnknown => "it sends a turn or closes, and `held` is unknown",
        HeldBy::IssueUnknown => "it sends a turn or closes, and `issue` is unknown",
    }
}

fn rows(policy: &Policy, rules: &Rules, state: &str, facts: &RunFacts, enrolled: bool) -> Vec<RowLine> {
    let rows = step::trace(rules, state, facts).into_iter().filter(|traced| traced.applies);
    rows.map(|traced| {
        let mut lacks = lacks(&traced.row.when, facts);
        let withheld = !enrolled && step::sends_turn(rules, traced.row);
        if withheld {
            lacks.push("it sends a turn, and the repository is not enrolled".to_owned());
        }
        RowLine {
            row: traced.row.name.clone(),
            to: traced.row.to.clone(),
            verdict: match traced.verdict {
                Verdict::Holds if !withheld => "matches",
                Verdict::Holds | Verdict::Fails => "no",
                Verdict::Unknown | Verdict::NotRead => "unknown",
            },
            lacks,
            line: policy.line(traced.row.span),
        }
    })
    .collect()
}

/// What keeps a condition from holding: `ci = green (is red)`.
fn lacks<F: Facts>(condition: &Condition<F::Name>, facts: &F) -> Vec<String> {
    let mut lacks: Vec<String> = Vec::new();
    for test in lacking(condition, facts) {
        let lack = format!("{} ({})", describe(test), is(facts.read(test.fact)));
        if !lacks.contains(&lack) {
            lacks.push(lack);
        }
    }
    lacks
}

/// The facts that a condition reads: `trusted is yes`.
fn values<F: Facts>(condition: &Condition<F::Name>, facts: &F) -> Vec<String> {
    let mut values = Vec::new();
    gather(condition, facts, &mut values);
    values
}

fn gather<F: Facts>(condition: &Condition<F::Name>, facts: &F, values: &mut Vec<String>) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().for_each(|part| gather(part, facts, values)),
        Condition::Not(part) => gather(part, facts, values),
        Condition::Test(test) => {
            let value = format!("{} {}", test.fact.spec().name, is(facts.read(test.fact)));
            if !values.contains(&value) {
                values.push(value);
            }
        }
    }
}

/// `is pending`; bools as the file writes them.
fn is(reading: Reading<'_>) -> String {
    match reading {
        Reading::Bool(value) => format!("is {value}"),
        known => in_words(known).map_or_else(|| "is unknown".to_owned(), |value| format!("is {value}")),
    }
}
