//! The edges of afk: what the ticks need of the world, in their own words. Adapters obey these traits; the ticks
//! never see more of an adapter than this.
//!
//! Every call may fail, hang, or succeed without an answer. [`crate::adapters::guarded`] bounds each one in time. A
//! writing call is therefore safe to repeat, except [`Tracker::create_comment`] and [`Notifier::ring`], which tell what
//! their callers do instead.
//!
//! All of them fail with a [`PortError`], whose kind the ticks choose by.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::engine::identity::RunId;
use crate::policy::facts::{AgentStatus, IssueStatus, PullRequestStatus};
use crate::policy::{CloseReason, Landing, RepoPattern, Stage, Urgency, pattern};

/// A call to the world that did not work out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortError {
    /// What kind of failure; the ticks choose by it.
    pub kind: PortErrorKind,
    /// One sentence: what was asked, of whom, and what came back. Bounded and free of control characters.
    pub message: String,
    /// More about it, for the adapter that asked; the ticks look at the kind alone.
    pub detail: Option<PortErrorDetail>,
}

/// Failures that an adapter tells apart from others of their kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortErrorDetail {
    /// The token may not do this.
    Forbidden,
    /// The token is wrong, was revoked, or has expired.
    Unauthorized,
    /// Too heavy for the server, or too long an answer: a smaller question may be answered.
    TooMuch,
}

/// The failures that the ticks tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortErrorKind {
    /// No usable answer: the call may or may not have taken effect.
    Unreachable,
    /// A clear no: the call took no effect, and the same call will be refused again.
    Refused,
    /// The thing does not exist.
    NotFound,
    /// What was found is broken: a malformed file, an answer that makes no sense.
    Invalid,
}

impl PortError {
    /// A failure of a kind.
    pub fn new(kind: PortErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), detail: None }
    }
    /// With more about it.
    #[must_use]
    pub fn with(self, detail: PortErrorDetail) -> Self {
        Self { detail: Some(detail), ..self }
    }
    /// No usable answer.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Unreachable, message)
    }
    /// A clear no.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Refused, message)
    }
    /// Not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(PortErrorKind::NotFound, message)
    }
    /// Broken.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(PortErrorKind::Invalid, message)
    }
}

impl std::fmt::Display for PortError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for PortError {}

/// The result of a call to the world.
pub type PortResult<T> = Result<T, PortError>;

/// An issue by name: `owner/name#N`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IssueRef {
    /// `owner/name`, or a bare `name` where the tracker knows no owners.
    pub repo: String,
    /// The number within the repository.
    pub number: u64,
}

impl std::fmt::Display for IssueRef {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}#{}", self.repo, self.number)
    }
}

/// An issue as the tracker shows it. All texts are untrusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Its name.
    pub reference: IssueRef,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// Where people see it.
    pub url: String,
    /// Who opened it; `None` for a deleted account.
    pub author: Option<String>,
    /// Open, or closed by whom; never [`IssueStatus::Gone`].
    pub status: IssueStatus,
    /// Its labels.
    pub labels: Vec<String>,
    /// Logins.
    pub assignees: Vec<String>,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// Read in an earlier tick, because the tracker says that nothing changed since: good enough to deny, never to
    /// dispatch; its text is not kept. [`Tracker::issue`] reads it anew.
    pub remembered: bool,
}

impl Issue {
    /// Whether it carries a label; labels compare without ASCII case.
    pub fn has_label(&self, label: &str) -> bool {
        self.labels.iter().any(|carried| pattern::same(carried, label))
    }
}

/// A label put on or taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelEvent {
    /// The arming that this event would be: an opaque token of host, immutable repository id, issue and event id.
    pub arming: String,
    /// When.
    pub at: DateTime<Utc>,
    /// By whom; `None` for a deleted account.
    pub by: Option<String>,
    /// Which label.
    pub label: String,
    /// On (`true`) or off.
    pub added: bool,
}

impl LabelEvent {
    /// Whether it is about a label; labels compare without ASCII case.
    pub fn is_of(&self, label: &str) -> bool {
        pattern::same(&self.label, label)
    }
}

/// A change of title or body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// When.
    pub at: DateTime<Utc>,
    /// By whom; `None` for a deleted account.
    pub by: Option<String>,
}

/// An issue that has to be closed first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    /// `#40`, `acme/lib#7`, or what stands there when it cannot be resolved.
    pub reference: String,
    /// Still open; an unreadable blocker counts as open.
    pub open: bool,
    /// Where it is said: `dependency`, `body, line 9`.
    pub evidence: String,
}

/// A comment on an issue. The body is untrusted unless afk wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// The tracker's id.
    pub id: String,
    /// Who wrote it; `None` for a deleted account.
    pub author: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
    /// Markdown.
    pub body: String,
}

/// Repositories that match patterns, and the patterns of which nobody can tell what matches them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repositories {
    /// What is known to match, perhaps from an earlier reading.
    pub names: Vec<String>,
    /// Patterns that more may match, and why that is not known.
    pub unreadable: Vec<(String, PortError)>,
}

/// Issues of one repository, and those that could not be read: one that fails does not hold back the others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// What was asked for.
    pub issues: Vec<Issue>,
    /// Issues that may belong to it or not: nobody could tell.
    pub unreadable: Vec<Unreadable>,
}

/// An issue that is there and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Which.
    pub issue: IssueRef,
    /// Why.
    pub error: PortError,
}

/// Something that an edge lacks to do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortcoming {
    /// What, in a few words.
    pub what: String,
    /// What a person can do about it; an address, where there is one.
    pub remedy: String,
}

/// What an edge can see of what afk may do, without doing any of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// What is missing.
    pub shortcomings: Vec<Shortcoming>,
    /// What that was judged by, in a few words; `None` where nothing is restricted.
    pub judged_by: Option<String>,
    /// What can be seen only when it is tried, and was not.
    pub unseen: Option<Shortcoming>,
}

/// The issue tracker. Also the database: a run's record is a comment. Labels, logins and repositories compare without
/// ASCII case.
#[async_trait(?Send)]
pub trait Tracker {
    /// The login that afk's own writes carry.
    async fn login(&self) -> PortResult<String>;
    /// The tracker's own time, which its events are stamped with.
    async fn now(&self) -> PortResult<DateTime<Utc>>;
    /// The repositories that match any of the patterns, in the order in which they are to be read: a tick may not come to
    /// the last of them. One pattern that cannot be followed does not hold back the others.
    async fn repos(&self, patterns: &[RepoPattern]) -> PortResult<Repositories>;
    /// The issues of a repository that carry a label, all of them: open ones only, or closed ones too.
    async fn labelled(&self, repo: &str, label: &str, only_open: bool) -> PortResult<Listing>;
    /// One issue, never a remembered one, and what is asked about it later is not remembered either; `None` when it was
    /// deleted or moved away. Every other call about it then gives [`PortErrorKind::NotFound`].
    async fn issue(&self, issue: &IssueRef) -> PortResult<Option<Issue>>;
    /// Every label event of an issue, oldest first.
    async fn label_events(&self, issue: &IssueRef) -> PortResult<Vec<LabelEvent>>;
    /// Every edit of title or body, oldest first.
    async fn edits(&self, issue: &IssueRef) -> PortResult<Vec<Edit>>;
    /// Everything the issue says it is blocked by, closed ones too; each once.
    async fn blockers(&self, issue: &IssueRef) -> PortResult<Vec<Blocker>>;
    /// The granted permission of a login: `admin`, `maintain`, `write`, `triage`, `read`; `none` for a stranger.
    async fn permission(&self, repo: &str, login: &str) -> PortResult<String>;
    /// The same, of some hours ago at the most: like a remembered issue, good enough to deny, never to dispatch. May be cheaper.
    async fn remembered_permission(&self, repo: &str, login: &str) -> PortResult<String> {
        self.permission(repo, login).await
    }
    /// Every comment of an issue, oldest first, never remembered ones.
    async fn comments(&self, issue: &IssueRef) -> PortResult<Vec<Comment>>;
    /// At least the comments that afk wrote, where records are, oldest first. May be cheaper than all of them.
    async fn own_comments(&self, issue: &IssueRef) -> PortResult<Vec<Comment>> {
        self.comments(issue).await
    }
    /// Writes a comment and gives its id. Called twice it writes two: callers look for theirs first, by what is in it.
    async fn create_comment(&self, issue: &IssueRef, body: &str) -> PortResult<String>;
    /// Replaces the text of one of afk's own comments.
    async fn edit_comment(&self, issue: &IssueRef, comment: &str, body: &str) -> PortResult<()>;
    /// Puts a label on; nothing happens when it is on.
    async fn add_label(&self, issue: &IssueRef, label: &str) -> PortResult<()>;
    /// Takes a label off; nothing happens when it is off.
    async fn remove_label(&self, issue: &IssueRef, label: &str) -> PortResult<()>;
    /// Closes an issue; nothing happens when it is closed.
    async fn close(&self, issue: &IssueRef, reason: CloseReason) -> PortResult<()>;
    /// Opens an issue again; nothing happens when it is open.
    async fn reopen(&self, issue: &IssueRef) -> PortResult<()>;
    /// What afk's login may do in a repository, and what not though it has to. Nothing is tried.
    async fn access(&self, _repo: &str) -> PortResult<Access> {
        Ok(Access::default())
    }
    /// Those of the labels that the repository does not have. Empty where labels need not be created.
    async fn missing_labels(&self, _repo: &str, _labels: &[String]) -> PortResult<Vec<String>> {
        Ok(Vec::new())
    }
    /// Creates a label of a repository; nothing happens when it is there.
    async fn create_label(&self, _repo: &str, _label: &str) -> PortResult<()> {
        Ok(())
    }
}

/// Where a repository stands before a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The default branch.
    pub branch: String,
    /// Its newest commit.
    pub commit: String,
}

/// A commit that carries a run's line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunCommit {
    /// The full hash.
    pub sha: String,
    /// When it was committed, by the committer's clock, which nothing is decided by.
    pub at: DateTime<Utc>,
    /// First line of the message, untrusted.
    pub subject: String,
    /// Paths it changes.
    pub paths: Vec<String>,
}

/// What a run has brought to the code host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunCommits {
    /// The run's commits that are on the default branch, or in its pull request when that is how it lands; oldest first.
    pub commits: Vec<RunCommit>,
    /// Whether the newest is on the default branch.
    pub landed: bool,
    /// The run's pull request.
    pub pull_request: PullRequestStatus,
    /// Where people see it.
    pub pull_request_url: Option<String>,
    /// Commits since the base that mention the issue without the run's line: named to people, never counted.
    pub mentions: Vec<String>,
}

/// Nothing at all.
impl Default for RunCommits {
    fn default() -> Self {
        Self {
            commits: Vec::new(),
            landed: false,
            pull_request: PullRequestStatus::None,
            pull_request_url: None,
            mentions: Vec::new(),
        }
    }
}

/// Which commits are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRange {
    /// The repository.
    pub repo: String,
    /// The issue.
    pub number: u64,
    /// The run.
    pub run: RunId,
    /// Head of the default branch at dispatch; `None` when the record of it is lost.
    pub base: Option<String>,
    /// How the run lands.
    pub landing: Landing,
}

/// The code host.
#[async_trait(?Send)]
pub trait Code {
    /// The default branch and its newest commit, read afresh.
    async fn head(&self, repo: &str) -> PortResult<Head>;
    /// Says which runs are about to be asked about, each once: a host that can be asked about many at once is. That this
    /// fails means nothing.
    async fn expect(&self, _ranges: &[RunRange]) -> PortResult<()> {
        Ok(())
    }
    /// The commits of a run, found by the line `AFK-Run: <run id>` in their messages, never by date. Refused for a
    /// landing that the code host does not know, as plain git knows no pull requests.
    async fn run_commits(&self, range: &RunRange) -> PortResult<RunCommits>;
    /// Whether work can land in a repository in this way. Asked before an agent is started: work that nobody can see
    /// land costs money for nothing.
    async fn can_land(&self, repo: &str, landing: Landing) -> PortResult<()>;
}

/// A job that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedJob {
    /// Its name.
    pub name: String,
    /// Where people see it.
    pub url: Option<String>,
    /// The end of its log, or what is known of it before the log was read; untrusted, at most 8 KiB.
    pub log_tail: String,
}

/// The verdict of one stage on one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StageVerdict {
    /// Nothing has been asked to judge it.
    None,
    /// Not decided yet; the text says how far it is.
    Pending(String),
    /// All good.
    Green,
    /// Not good.
    Red(Vec<FailedJob>),
}

/// Continuous integration.
#[async_trait(?Send)]
pub trait Ci {
    /// Whether a stage of a repository can be judged at all. Asked before an agent is started: work that nobody can
    /// judge costs money for nothing.
    async fn can_judge(&self, repo: &str, stage: &Stage) -> PortResult<()>;
    /// The verdict of a stage on a commit; never waits for one. Where the stage is afk's own to start, asking starts
    /// it, unless it is under way or done. Where everything that shows up has to be green, nothing may have been new
    /// for `settle_time`.
    async fn verdict(&self, repo: &str, commit: &str, stage: &Stage, settle_time: Duration)
    -> PortResult<StageVerdict>;
    /// Failed jobs of a stage with the ends of their logs, where [`Ci::verdict`] left them out because each costs a
    /// call. A log that cannot be read is as it was.
    async fn with_logs(&self, _repo: &str, _stage: &Stage, jobs: Vec<FailedJob>) -> PortResult<Vec<FailedJob>> {
        Ok(jobs)
    }
}

/// Everything an executor needs to bring a run up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The run, which is also the agent's id.
    pub run: RunId,
    /// The issue.
    pub issue: IssueRef,
    /// The arming it answers.
    pub arming: String,
    /// Who armed it.
    pub armed_by: Option<String>,
    /// When it was decided.
    pub dispatched_at: DateTime<Utc>,
    /// Head of the default branch at dispatch.
    pub base: String,
    /// The default branch.
    pub default_branch: String,
    /// The model of the policy.
    pub model: String,
    /// The runtime mode of the policy.
    pub runtime_mode: String,
    /// The id of the first turn.
    pub turn: Uuid,
    /// What the agent is told.
    pub prompt: String,
    /// SHA-256 of the brief inside the prompt, lower-case hex.
    pub brief_sha256: String,
}

/// An agent as its executor shows it. Carries repo, issue, run and controller in clear text, so that a live agent
/// always leads back to its issue.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentReport {
    /// The run.
    pub run: RunId,
    /// The issue.
    pub issue: IssueRef,
    /// What is needed to write its record again; `None` where the executor cannot keep it.
    pub assignment: Option<Assignment>,
    /// Every turn it accepted that it still knows of.
    pub turns: Vec<Uuid>,
    /// How the newest of them is.
    pub status: AgentStatus,
    /// The last sign of life.
    pub last_activity: Option<DateTime<Utc>>,
    /// What the agent says it has reached; `None` where the executor cannot tell.
    pub milestones: Option<Vec<String>>,
    /// What it has cost, where the executor knows.
    pub cost_usd: Option<f64>,
    /// The end of the agent's last words; untrusted, at most 2 KiB.
    pub last_words: Option<String>,
    /// Where people watch it.
    pub link: Option<String>,
}

impl AgentReport {
    /// Whether it still works, or may: everything that has not clearly ended.
    pub fn is_live(&self) -> bool {
        match self.status {
            AgentStatus::Starting | AgentStatus::Running | AgentStatus::Waiting | AgentStatus::Unknown => true,
            AgentStatus::Idle | AgentStatus::Failed | AgentStatus::Gone => false,
        }
    }
}

/// Every agent that an executor knows, and those it cannot tell about: one that is broken does not hold back the
/// others, and is not gone.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Roster {
    /// Live or ended.
    pub agents: Vec<AgentReport>,
    /// There is something of these runs, and nobody can tell how their agents are.
    pub unreadable: Vec<(RunId, PortError)>,
    /// These runs another installation has there, or this one before its identity was lost. They are nobody's business
    /// here, unless a record names one: then nobody can tell how its agent is.
    pub elsewhere: Vec<(RunId, PortError)>,
}

/// Whatever runs agents.
#[async_trait(?Send)]
pub trait Executor {
    /// Whether an agent could be started at all, as far as that can be told without starting one.
    async fn can_start(&self) -> PortResult<()>;
    /// Every agent of this controller, live or ended, in one listing; none that was dismissed.
    async fn list(&self) -> PortResult<Roster>;
    /// Brings a run up from wherever it is; may be called again at any step. Does nothing more once its first turn
    /// was accepted.
    async fn ensure(&self, assignment: &Assignment) -> PortResult<()>;
    /// Sends the same agent another turn. A turn whose id was accepted before is not sent again.
    async fn turn(&self, run: RunId, turn: Uuid, prompt: &str) -> PortResult<()>;
    /// Asks the agent to stop; the next listing shows whether it did. Nothing happens when it has ended.
    async fn interrupt(&self, run: RunId) -> PortResult<()>;
    /// Puts the session of an agent that has ended out of people's way; refused while it works. Nothing happens when it
    /// was put away, or where an executor keeps no sessions.
    async fn archive(&self, _run: RunId) -> PortResult<()> {
        Ok(())
    }
    /// Nothing will be asked of a run any more, and its agent has ended: listings leave it out from now on, and what
    /// people may want to look at stays.
    async fn dismiss(&self, _run: RunId) -> PortResult<()> {
        Ok(())
    }
}

/// What a doorbell is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Derived from the run; the same when it rings again.
    pub id: Uuid,
    /// The kind under `[notify]`.
    pub kind: String,
    /// One line; untrusted text in it is already bounded and cleaned.
    pub title: String,
    /// More lines.
    pub body: String,
    /// How loud.
    pub urgency: Urgency,
    /// Words.
    pub tags: Vec<String>,
    /// The issue.
    pub issue: IssueRef,
    /// Its address.
    pub url: String,
    /// Where people watch the agent, where its executor says so.
    pub link: Option<String>,
    /// The run.
    pub run: RunId,
    /// The policy revision that decided it.
    pub revision: String,
}

/// A doorbell.
#[async_trait(?Send)]
pub trait Notifier {
    /// Rings. May ring twice for one notice, where an answer is lost; receivers tell by its id.
    async fn ring(&self, notice: &Notice) -> PortResult<()>;
}

/// Time, injected.
pub trait Clock {
    /// Now.
    fn now(&self) -> DateTime<Utc>;
}
