//! The checked policy: what the engine interprets. Nothing in here can be wrong any more; every name it refers to
//! exists, every number is in range, every `$` is resolved for the repository at hand.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::condition::{Condition, Quantity};
use super::facts::{IssueFact, RunFact};
use super::pattern::{LabelPattern, ProtectedPaths, RepoPattern};
use super::sentence::Sentence;
use super::source::{Located, Source, Span};

/// A whole policy: one file, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The text it came from, for pointing at lines.
    pub source: Source,
    /// SHA-256 over the policy and its prompts, in lower-case hex.
    pub revision: String,
    /// On: nothing is dispatched, no turn is sent. The edges may turn it on, never off.
    pub kill_switch: Located<bool>,
    /// Repositories that may be read and worked on.
    pub allowlist: Located<Vec<RepoPattern>>,
    /// Repositories taken out again.
    pub denylist: Located<Vec<RepoPattern>>,
    /// The rules of a repository without overrides.
    pub base: Rules,
    /// The rules of the repositories under `[repos]`, exact names before `owner/*`.
    pub overrides: Vec<(RepoPattern, Rules)>,
    /// Safety invariants that the operator gives up.
    pub waivers: Vec<Waiver>,
    /// The same policy with every limit of 0 as 1, where there is one: what is only switched off is not dead.
    pub switched_on: Option<Box<Policy>>,
    /// The test file that lays values over it, if one does: spans past the end of `source` lie there.
    pub overlay: Option<Source>,
}

/// A safety invariant that the operator gives up, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// One of [`SAFETY_INVARIANTS`].
    pub invariant: Located<String>,
    /// Why this policy may do without.
    pub reason: String,
}

/// The invariants whose breach is an error, unless it is waived.
pub const SAFETY_INVARIANTS: [&str; 8] = [
    "untrusted-dispatch",
    "unlisted-dispatch",
    "double-dispatch",
    "blocked-dispatch",
    "rearm-loop",
    "unbounded-run",
    "unverified-close",
    "endless-fixing",
];

/// The first eight hex digits of a revision: how people are shown it.
pub fn short_revision(revision: &str) -> &str {
    revision.get(..8).unwrap_or(revision)
}

impl Policy {
    /// The rules that hold for a repository.
    pub fn rules(&self, repo: &str) -> &Rules {
        self.overrides.iter().find(|(pattern, _)| pattern.matches(repo)).map_or(&self.base, |(_, rules)| rules)
    }

    /// Whether afk may work on a repository: on the allowlist and not on the denylist.
    pub fn enrolled(&self, repo: &str) -> bool {
        let listed = |list: &[RepoPattern]| list.iter().any(|pattern| pattern.matches(repo));
        listed(&self.allowlist.value) && !listed(&self.denylist.value)
    }

    /// Where a value stands, for people: `line 30`, or `line 4 of afk.test.toml` where a test file lays it over.
    pub fn line_in_words(&self, span: Span) -> String {
        match (&self.overlay, span.start.checked_sub(self.source.text.len())) {
            (Some(overlay), Some(byte)) => format!("line {} of {}", overlay.line_and_column(byte).0, overlay.name),
            _ => format!("line {}", self.line(span)),
        }
    }

    /// The line of the policy file that holds a span, for people.
    pub fn line(&self, span: Span) -> usize {
        self.source.line_and_column(span.start).0
    }
}

/// The rules for one repository, overrides merged and references resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Why no new run may start here, where `[repos]` says so.
    pub paused: Option<Located<String>>,
    /// The label names of the roles.
    pub labels: Labels,
    /// Who may arm issues.
    pub trust: Trust,
    /// How issues are ordered.
    pub priority: Priority,
    /// How many runs at a time.
    pub dispatch: Dispatch,
    /// The named constants.
    pub limits: BTreeMap<String, Located<Quantity>>,
    /// `limits.settle_time`: how long a push, a turn or a check may take to show.
    pub settle_time: Duration,
    /// `limits.effect_timeout`: how long a failing effect is tried.
    pub effect_timeout: Duration,
    /// `limits.edit_window`: an edit this shortly before arming was not what the armer read.
    pub edit_window: Duration,
    /// Which agent, and how its work lands.
    pub agent: AgentChoice,
    /// Where verdicts come from, in order.
    pub stages: Vec<Stage>,
    /// Paths an agent may change only under a person's eyes.
    pub protect: ProtectedPaths,
    /// In file order; all must hold.
    pub gates: Vec<Gate>,
    /// In file order.
    pub states: Vec<State>,
    /// In file order; the first match wins.
    pub transitions: Vec<Transition>,
    /// Named lists of effects.
    pub actions: BTreeMap<String, Vec<Located<Effect>>>,
    /// Lines of the progress comment.
    pub checklist: Vec<ChecklistItem>,
    /// Comment texts by name.
    pub comments: BTreeMap<String, Sentence>,
    /// Notification texts by kind.
    pub notify: BTreeMap<String, Notification>,
    /// Prompt templates by name; `implement` is always there.
    pub prompts: BTreeMap<String, Prompt>,
}

impl Rules {
    /// The state a run starts in.
    pub fn initial_state(&self) -> Option<&State> {
        self.states.iter().find(|state| state.initial)
    }

    /// The state of that name.
    pub fn state(&self, name: &str) -> Option<&State> {
        self.states.iter().find(|state| state.name == name)
    }

    /// The row of that name.
    pub fn transition(&self, name: &str) -> Option<&Transition> {
        self.transitions.iter().find(|row| row.name == name)
    }

    /// The effects of a row, empty where it has none.
    pub fn effects(&self, row: &Transition) -> &[Located<Effect>] {
        RunRules::from(self).effects(row)
    }
}

/// What decides which issues may be dispatched: a part of [`Rules`], or of what could be read of a policy in error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GateRules<'p> {
    /// The label names of the roles.
    pub labels: &'p Labels,
    /// Runs in flight in one repository.
    pub slots_per_repo: usize,
    /// In file order; all must hold.
    pub gates: &'p [Gate],
}

impl<'p> From<&'p Rules> for GateRules<'p> {
    fn from(rules: &'p Rules) -> Self {
        Self { labels: &rules.labels, slots_per_repo: rules.dispatch.slots_per_repo.value, gates: &rules.gates }
    }
}

/// What moves runs: a part of [`Rules`], or of what could be read of a policy in error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunRules<'p> {
    /// The label names of the roles.
    pub labels: &'p Labels,
    /// Where verdicts come from, in order.
    pub stages: &'p [Stage],
    /// In file order.
    pub states: &'p [State],
    /// In file order; the first match wins.
    pub transitions: &'p [Transition],
    /// Named lists of effects.
    pub actions: &'p BTreeMap<String, Vec<Located<Effect>>>,
}

impl<'p> From<&'p Rules> for RunRules<'p> {
    fn from(rules: &'p Rules) -> Self {
        Self {
            labels: &rules.labels,
            stages: &rules.stages,
            states: &rules.states,
            transitions: &rules.transitions,
            actions: &rules.actions,
        }
    }
}

impl<'p> RunRules<'p> {
    /// The effects of a row, empty where it has none.
    pub fn effects(&self, row: &Transition) -> &'p [Located<Effect>] {
        row.action.as_ref().and_then(|name| self.actions.get(name)).map_or(&[], Vec::as_slice)
    }
}

/// What could be read of a policy that is in error elsewhere, for the proofs that need no more.
#[derive(Debug, Clone)]
pub struct Fragments {
    /// Repositories taken out again.
    pub denylist: Vec<RepoPattern>,
    /// Safety invariants that the operator gives up.
    pub waivers: Vec<Waiver>,
    /// Of the rules of a repository without overrides.
    pub base: Fragment,
    /// Of the rules of the repositories under `[repos]`.
    pub overrides: Vec<(RepoPattern, Fragment)>,
}

/// What could be read of the rules for one repository.
#[derive(Debug, Clone)]
pub struct Fragment {
    pub(super) labels: Option<Labels>,
    pub(super) slots_per_repo: Option<usize>,
    pub(super) gates: Option<Vec<Gate>>,
    pub(super) stages: Option<Vec<Stage>>,
    pub(super) states: Option<Vec<State>>,
    pub(super) transitions: Option<Vec<Transition>>,
    pub(super) actions: Option<BTreeMap<String, Vec<Located<Effect>>>>,
}

impl Fragment {
    /// What decides which issues may be dispatched, where all of it could be read.
    pub fn gate_rules(&self) -> Option<GateRules<'_>> {
        Some(GateRules {
            labels: self.labels.as_ref()?,
            slots_per_repo: self.slots_per_repo?,
            gates: self.gates.as_deref()?,
        })
    }

    /// What moves runs, where all of it could be read.
    pub fn run_rules(&self) -> Option<RunRules<'_>> {
        Some(RunRules {
            labels: self.labels.as_ref()?,
            stages: self.stages.as_deref()?,
            states: self.states.as_deref()?,
            transitions: self.transitions.as_deref()?,
            actions: self.actions.as_ref()?,
        })
    }
}

/// A role that a label plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelRole {
    /// A person wants an agent to take the issue.
    Ready,
    /// The lock: a run is in flight.
    InProgress,
    /// A person has to look.
    Human,
    /// A person holds the issue back.
    Paused,
}

/// Label names by role; all different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// [`LabelRole::Ready`].
    pub ready: Located<String>,
    /// [`LabelRole::InProgress`].
    pub in_progress: Located<String>,
    /// [`LabelRole::Human`].
    pub human: Located<String>,
    /// [`LabelRole::Paused`].
    pub paused: Located<String>,
}

impl Labels {
    /// The label that plays a role.
    pub fn of(&self, role: LabelRole) -> &str {
        match role {
            LabelRole::Ready => &self.ready.value,
            LabelRole::InProgress => &self.in_progress.value,
            LabelRole::Human => &self.human.value,
            LabelRole::Paused => &self.paused.value,
        }
    }
}

/// Who may arm issues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// Granted permissions that suffice: `admin`, `maintain`, `write`, `triage`, `read`.
    pub permissions: Vec<String>,
    /// Logins trusted whatever their permission.
    pub logins: Vec<String>,
}

/// How issues are ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priority {
    /// `priority:{n}`: where the number of a label stands.
    pub label: LabelPattern,
    /// Labels that are words, lower-cased, with their number.
    pub levels: BTreeMap<String, i64>,
    /// Without any such label.
    pub default: i64,
    /// Compared in this order; then number, then repository.
    pub order: Vec<OrderKey>,
}

impl Priority {
    /// The priority that labels give: the lowest of several, the default without any.
    pub fn of(&self, labels: &[String]) -> i64 {
        labels
            .iter()
            .filter_map(|label| {
                self.levels.get(&label.to_ascii_lowercase()).copied().or_else(|| self.label.number(label))
            })
            .min()
            .unwrap_or(self.default)
    }
}

/// One key of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderKey {
    /// What is compared.
    pub by: OrderBy,
    /// Larger first (`-` before the name).
    pub descending: bool,
}

/// What an order compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderBy {
    /// The fact `priority`.
    Priority,
    /// The fact `number`.
    Number,
    /// When the *ready* label was applied; earlier first.
    ArmedAt,
    /// When the issue was opened; earlier first.
    CreatedAt,
}

/// How many runs at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// Runs in flight in one repository.
    pub slots_per_repo: Located<usize>,
    /// Runs in flight everywhere.
    pub max_in_flight: Located<usize>,
    /// New runs in one tick.
    pub max_per_tick: Located<usize>,
}

/// Which agent takes the issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentChoice {
    /// An executor of the settings, by name.
    pub executor: Located<String>,
    /// Handed to the executor.
    pub model: String,
    /// Handed to the executor.
    pub runtime_mode: String,
    /// How work reaches the default branch.
    pub landing: Landing,
    /// Whether the agent's session is put away once the run and its agent have ended.
    pub archive: bool,
}

/// How work reaches the default branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Landing {
    /// The agent pushes to it.
    Push,
    /// The agent opens a pull request.
    PullRequest,
}

impl Landing {
    /// The word of the policy.
    pub fn word(self) -> &'static str {
        match self {
            Landing::Push => "push",
            Landing::PullRequest => "pull_request",
        }
    }
}

/// One source of verdicts on a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// How rules and comments call it.
    pub name: Located<String>,
    /// Who is asked.
    pub source: StageSource,
}

/// Who gives the verdict of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StageSource {
    /// What the forge itself reports for the commit.
    Checks {
        /// The checks that must be green; `None`: all, with at least one.
        require: Option<Vec<String>>,
    },
    /// A command of the settings, run in a clean clone of the commit.
    Command {
        /// Its name under `[ci]` of the settings.
        command: String,
    },
}

/// A condition that an issue must meet to be dispatched.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// How output calls it.
    pub name: String,
    /// What must hold.
    pub require: Condition<IssueFact>,
    /// Said when it does not.
    pub message: Sentence,
    /// The `name` entry of the gate in the file.
    pub span: Span,
}

/// A state of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// How rows and output call it.
    pub name: String,
    /// For people.
    pub title: String,
    /// Whether runs start here.
    pub initial: bool,
    /// How a run that reaches it has ended; `None`: it is active.
    pub outcome: Option<RunOutcome>,
    /// The key in the file.
    pub span: Span,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// The issue is done.
    Success,
    /// A person has to go on.
    Human,
    /// A person took it back.
    Cancelled,
}

impl RunOutcome {
    /// The word of the policy.
    pub fn word(self) -> &'static str {
        match self {
            RunOutcome::Success => "success",
            RunOutcome::Human => "human",
            RunOutcome::Cancelled => "cancelled",
        }
    }
}

/// A row of the state machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// How output calls it.
    pub name: String,
    /// The states it applies to; `"*"` is written out as every active one.
    pub from: Vec<String>,
    /// When it matches.
    pub when: Condition<RunFact>,
    /// The state it leads to.
    pub to: String,
    /// The action carried out, by name.
    pub action: Option<String>,
    /// Said to people; always there on rows into `human` and `cancelled`.
    pub reason: Option<Sentence>,
    /// The `name` entry of the row in the file.
    pub span: Span,
}

/// One thing done to the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Open the issue again, where it was closed.
    Reopen,
    /// Stop the agent.
    Interrupt,
    /// Close the issue.
    Close(CloseReason),
    /// Put the label of a role on.
    AddLabel(LabelRole),
    /// Take the label of a role off; *ready* stays where somebody has armed the issue again since.
    RemoveLabel(LabelRole),
    /// Send the same agent a prompt.
    Turn(String),
    /// Write a new comment.
    Comment(String),
    /// Ring the doorbells.
    Notify(String),
}

/// Why an issue is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// The work is done.
    Completed,
    /// It will not be done.
    NotPlanned,
}

/// A line of the progress comment.
#[derive(Debug, Clone, PartialEq)]
pub struct ChecklistItem {
    /// What it says.
    pub title: String,
    /// When it is ticked.
    pub when: Condition<RunFact>,
}

/// What doorbells are given.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// One line.
    pub title: Sentence,
    /// More lines; the title where the policy gives none.
    pub body: Sentence,
    /// How loud.
    pub urgency: Urgency,
    /// Words for channels that have tags.
    pub tags: Vec<String>,
    /// Doorbells of the settings; `None`: every one.
    pub to: Option<Vec<Located<String>>>,
}

/// How loud a notification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// Can wait.
    Low,
    /// As usual.
    Normal,
    /// Somebody should come.
    High,
}

impl Urgency {
    /// The word of the policy.
    pub fn word(self) -> &'static str {
        match self {
            Urgency::Low => "low",
            Urgency::Normal => "normal",
            Urgency::High => "high",
        }
    }
}

/// A prompt file, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The path as the policy writes it.
    pub path: Located<String>,
    /// Its text, a minijinja template over the names of [`super::prompt::PROMPT_NAMES`].
    pub template: String,
}
