//! The policy: text in, checked rules or findings out. Pure: no clock, file, network, async or logging.
//!
//! [`check`] reads the text, resolves every reference, and reports *every* finding of the file in one run. What it
//! returns as [`Policy`] cannot be wrong any more, so the engine interprets it without a single error path.

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

pub(crate) mod check;
pub mod condition;
pub mod duration;
pub mod facts;
pub mod finding;
pub mod pattern;
pub mod place;
pub mod prompt;
pub mod rules;
pub mod sentence;
pub mod source;

pub use check::{MAX_POLICY_BYTES, check};
pub use condition::{Comparison, Condition, Matcher, Quantity, RepoList, Test};
pub use finding::{Code, Finding, Severity};
pub use pattern::{LabelPattern, ProtectedPaths, RepoPattern};
pub use prompt::{PROMPT_NAMES, PromptName, render_prompt};
pub use rules::*;
pub use source::{Located, Source, Span};

/// What a check may know of the world outside the text.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "a closure has nothing to show")]
pub struct Surroundings<'a> {
    /// Reads a prompt by the path that the policy writes; the error is a sentence.
    pub prompt: &'a dyn Fn(&str) -> Result<String, String>,
    /// What the settings have.
    pub installed: &'a InstalledNames,
}

/// The names that the settings of an installation have, of each kind that a policy refers to. `None`: not at hand, or
/// not to be held against the policy; then references of that kind are not checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstalledNames {
    /// `[doorbells]`, which `to` of a notification names.
    pub doorbells: Option<Vec<String>>,
    /// `[executors]`, which `[agent] executor` names.
    pub executors: Option<Vec<String>>,
    /// The commands of `[ci]`, which `[[ci.stages]] command` names.
    pub commands: Option<Vec<String>>,
    /// `[repos]`, which the allowlist matches.
    pub repositories: Option<Vec<String>>,
}

/// The result of a check.
#[derive(Debug, Clone)]
pub struct Checked {
    /// There when no finding is an error.
    pub policy: Option<Policy>,
    /// Otherwise what could be read of it all the same.
    pub fragments: Option<Box<Fragments>>,
    /// In the order of the file.
    pub findings: Vec<Finding>,
    /// The prompt files that were read, by the path that the policy writes: findings may lie in them.
    pub prompts: Vec<Source>,
}
