//! The tests beside a policy: cases in a `*.test.toml`, run over the engine. Pure: no clock, file, network, async or
//! logging.
//!
//! A case names issues or a run, by the facts that matter to it, and what the policy should decide. What it leaves out
//! is harmless ([`IssueFacts::harmless`], [`RunFacts::harmless`]). `docs/testing-policies.md` describes the format.
//!
//! [`IssueFacts::harmless`]: crate::policy::facts::IssueFacts::harmless
//! [`RunFacts::harmless`]: crate::policy::facts::RunFacts::harmless

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

mod coverage;
mod facts;
mod file;
mod issues;
mod keys;
mod runs;
mod trace;

pub use coverage::{Coverage, Covered, Rule};
pub use trace::{GateLine, IssueTrace, RowLine, RunTrace, StateTrace, Trace};

use crate::policy::{self, Checked, Finding, Source, Span, Surroundings};

/// What came of a test file.
#[derive(Debug, Clone, PartialEq)]
pub struct TestRun {
    /// The test file.
    pub source: Source,
    /// Everything wrong with the test file itself, in its order: cases that cannot be run.
    pub findings: Vec<Finding>,
    /// The cases that were run, in the order of the file.
    pub cases: Vec<CaseResult>,
    /// What the cases touched of the policy.
    pub covered: Covered,
}

impl TestRun {
    /// Every case could be run, and came out as expected.
    pub fn passed(&self) -> bool {
        self.findings.is_empty() && self.cases.iter().all(CaseResult::passed)
    }
}

/// What came of one case.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseResult {
    /// How the file calls it.
    pub name: String,
    /// Where its name stands.
    pub span: Span,
    /// Where it came out otherwise than expected; none: it passed.
    pub differences: Vec<Difference>,
    /// Why the policy decided so.
    pub trace: Trace,
}

impl CaseResult {
    /// It came out as expected.
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }
}

/// One expectation that was not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What was asked: `dispatch`, `fired acme/app#1`, `row`, `to`, `action`, `held`, `path`, `effects`.
    pub what: String,
    /// What the case expects.
    pub expected: String,
    /// What the policy decides.
    pub actual: String,
    /// Where the expectation stands.
    pub span: Span,
}

/// Runs a test file against a policy. Both are named as findings shall call them.
///
/// # Errors
/// What is wrong with the policy by itself: then no case is run.
pub fn run(policy: &Source, tests: &Source, surroundings: &Surroundings<'_>) -> Result<TestRun, Vec<Finding>> {
    let Checked { policy: checked, findings, .. } = policy::check(&policy.text, &policy.name, surroundings);
    let Some(base) = checked else { return Err(findings) };
    Ok(file::run(&base, tests, surroundings))
}
