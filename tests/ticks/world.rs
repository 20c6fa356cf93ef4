//! A small world in memory behind the ports: a tracker, a code host, CI, an executor, doorbells, and a clock that
//! stands still until it is moved. Any call can be made to fail, or to work and lose its answer.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use afk::adapters::installation::Installation;
use afk::engine::identity::RunId;
use afk::policy::facts::{AgentStatus, IssueStatus, PullRequestStatus};
use afk::policy::{CloseReason, InstalledNames, Landing, Policy, RepoPattern, Stage, Surroundings, check};
use afk::ports::*;
use afk::ticks::fleet::Fleet;
use afk::ticks::record::{Record, Seal};
use afk::ticks::survey::Survey;
use afk::ticks::world::{Report, Tick, World};
use afk::ticks::{poll, watch};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

pub const AFK: &str = "afk";
pub const REPO: &str = "acme/app";
pub const BASE: &str = "0000000000000000000000000000000000000000";
pub const FIRST: &str = "1111111111111111111111111111111111111111";
pub const PULL_REQUEST: &str = "https://sim.example/pull/9";
pub const SECOND: &str = "2222222222222222222222222222222222222222";

/// An issue and what happened to it.
#[derive(Clone)]
pub struct Card {
    pub issue: Issue,
    pub events: Vec<LabelEvent>,
    pub edits: Vec<Edit>,
    pub comments: Vec<Comment>,
}

/// Everything that is true in the world.
pub struct State {
    pub now: DateTime<Utc>,
    /// By how many seconds the clock of the tracker is ahead of that of the machine.
    pub tracker_ahead: i64,
    pub cards: BTreeMap<u64, Card>,
    /// What the tracker remembers of issues, and lists instead of them.
    pub remembered: BTreeMap<u64, Issue>,
    pub permissions: BTreeMap<String, String>,
    /// What an earlier tick was told instead.
    pub remembered_permissions: BTreeMap<String, String>,
    pub commits: Vec<RunCommit>,
    /// The pull request of runs that land by one; their commits land when it is merged.
    pub pull_request: PullRequestStatus,
    pub verdict: StageVerdict,
    /// The logs of failed jobs, where they are read only when they are needed.
    pub logs: BTreeMap<String, String>,
    pub agents: BTreeMap<RunId, AgentReport>,
    /// Those that are not listed any more.
    pub dismissed: Vec<RunId>,
    /// Agents of which the executor cannot tell anything any more.
    pub unreadable: BTreeSet<RunId>,
    pub prompts: Vec<(Uuid, String)>,
    pub rung: Vec<(String, Notice)>,
    /// Calls that fail, as `who method`: `tracker label_events`, `bell pager`.
    pub failing: BTreeMap<String, PortErrorKind>,
    /// Calls that work and whose answer is lost.
    pub losing: BTreeSet<String>,
    /// Every writing call that took effect.
    pub writes: Vec<String>,
    /// How often each call was made, as `who method`.
    pub calls: BTreeMap<String, usize>,
}

/// The world, the policy it is under, and the data directory of the installation.
pub struct Sim {
    pub state: Rc<RefCell<State>>,
    pub policy: Policy,
    pub world: World,
    pub switch: Rc<Cell<bool>>,
    _data: tempfile::TempDir,
}

#[derive(Clone)]
struct Edge(Rc<RefCell<State>>);

struct Bell(Edge, String);

pub fn start_of_time() -> DateTime<Utc> {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

pub fn reference(number: u64) -> IssueRef {
    IssueRef { repo: REPO.to_owned(), number }
}

/// The shipped policy, switched on for `acme/app`, with texts replaced.
pub fn policy(changes: &[(&str, &str)]) -> Policy {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let mut text = std::fs::read_to_string(folder.join("afk.toml")).unwrap();
    let enrolled = [("kill_switch = true", "kill_switch = false"), ("allowlist   = []", "allowlist = [\"acme/*\"]")];
    for (before, after) in enrolled.iter().chain(changes) {
        assert!(text.contains(before), "the shipped policy does not hold {before:?}");
        text = text.replacen(before, after, 1);
    }
    let prompt = |path: &str| std::fs::read_to_string(folder.join(path)).map_err(|error| error.to_string());
    let checked = check(&text, "afk.toml", &Surroundings { prompt: &prompt, installed: &InstalledNames::default() });
    checked.policy.unwrap_or_else(|| panic!("{:?}", checked.findings))
}

impl Sim {
    pub fn new() -> Self {
        Self::under(policy(&[]))
    }

    pub fn under(policy: Policy) -> Self {
        let state = Rc::new(RefCell::new(State {
            now: start_of_time(),
            tracker_ahead: 0,
            cards: BTreeMap::new(),
            remembered: BTreeMap::new(),
            permissions: [("ada".to_owned(), "write".to_owned())].into(),
            remembered_permissions: BTreeMap::new(),
            commits: Vec::new(),
            pull_request: PullRequestStatus::None,
            verdict: StageVerdict::None,
            logs: BTreeMap::new(),
            agents: BTreeMap::new(),
            dismissed: Vec::new(),
            unreadable: BTreeSet::new(),
            prompts: Vec::new(),
            rung: Vec::new(),
            failing: BTreeMap::new(),
            losing: BTreeSet::new(),
            writes: Vec::new(),
            calls: BTreeMap::new(),
        }));
        let edge = || Edge(state.clone());
        let data = tempfile::tempdir().unwrap();
        let switch = Rc::new(Cell::new(false));
        let reader = switch.clone();
        let world = World {
            tracker: Rc::new(edge()),
            code: Rc::new(edge()),
            ci: Rc::new(edge()),
            executors: [("t3".to_owned(), Rc::new(edge()) as Rc<dyn Executor>)].into(),
            doorbells: ["pager", "chat"]
                .map(|name| (name.to_owned(), Rc::new(Bell(edge(), name.to_owned())) as Rc<dyn Notifier>))
                .into(),
            clock: Rc::new(edge()),
            seal: Seal::new("sim", vec!["key".to_owned().into()]),
            agent_logins: vec!["robot".to_owned()],
            installation: Installation::new(data.path()),
            kill_switch: Box::new(move || reader.get().then(|| "the test says so".to_owned())),
            calls: Rc::default(),
            cost: Box::new(|| None),
        };
        Self { state, policy, world, switch, _data: data }
    }

    /// Opens an issue by a stranger, armed by `ada`.
    pub fn armed(self, number: u64) -> Self {
        {
            let mut state = self.state.borrow_mut();
            let issue = Issue {
                reference: reference(number),
                title: "Mend it".to_owned(),
                body: "It is broken.".to_owned(),
                url: format!("https://sim.example/{number}"),
                author: Some("mallory".to_owned()),
                status: IssueStatus::Open,
                labels: Vec::new(),
                assignees: Vec::new(),
                created_at: state.now,
                remembered: false,
            };
            let card = Card { issue, events: Vec::new(), edits: Vec::new(), comments: Vec::new() };
            state.cards.insert(number, card);
        }
        self.label("ada", number, "ready-for-agent", true);
        self.later(1);
        self
    }

    /// Opens an issue, has it dispatched, and gives the run.
    pub async fn dispatched(self, number: u64) -> (Self, RunId) {
        let sim = self.armed(number);
        sim.poll().await;
        let run = sim.record(number).run;
        (sim, run)
    }

    pub fn label(&self, by: &str, number: u64, label: &str, added: bool) {
        let mut state = self.state.borrow_mut();
        let now = state.now;
        let card = state.cards.get_mut(&number).unwrap();
        let arming = format!("sim:{number}:{}", card.events.len());
        card.issue.labels.retain(|on| on != label);
        if added {
            card.issue.labels.push(label.to_owned());
        }
        card.events.push(LabelEvent { arming, at: now, by: Some(by.to_owned()), label: label.to_owned(), added });
    }

    pub fn later(&self, seconds: i64) {
        self.state.borrow_mut().now += TimeDelta::seconds(seconds);
    }

    pub fn fail(&self, call: &str, kind: PortErrorKind) {
        self.state.borrow_mut().failing.insert(call.to_owned(), kind);
    }

    pub fn mend(&self) {
        let mut state = self.state.borrow_mut();
        state.failing.clear();
        state.losing.clear();
    }

    /// The agent's newest turn ends by itself.
    pub fn agent_is(&self, run: RunId, status: AgentStatus) {
        self.state.borrow_mut().agents.get_mut(&run).unwrap().status = status;
    }

    pub fn push(&self, sha: &str) {
        let mut state = self.state.borrow_mut();
        let at = state.now;
        state.commits.push(RunCommit {
            sha: sha.to_owned(),
            at,
            subject: "Mend it".to_owned(),
            paths: vec!["src/lib.rs".to_owned()],
        });
    }

    pub fn ci(&self, verdict: StageVerdict) {
        self.state.borrow_mut().verdict = verdict;
    }

    /// How often a call was made since that was asked last.
    pub fn calls(&self, call: &str) -> usize {
        self.state.borrow_mut().calls.remove(call).unwrap_or_default()
    }

    pub fn labels(&self, number: u64) -> Vec<String> {
        self.state.borrow().cards[&number].issue.labels.clone()
    }

    pub fn writes(&self) -> Vec<String> {
        std::mem::take(&mut self.state.borrow_mut().writes)
    }

    pub fn records(&self, number: u64) -> Vec<Record> {
        let comments = self.state.borrow().cards[&number].comments.clone();
        let (records, _) = self.world.seal.read_all(&reference(number), AFK, &comments);
        records.into_iter().map(|recorded| recorded.record).collect()
    }

    pub fn record(&self, number: u64) -> Record {
        let [record] = <[Record; 1]>::try_from(self.records(number)).expect("one record");
        record
    }

    pub async fn poll(&self) -> (Survey, Report) {
        let tick = Tick::begin(&self.policy, &self.world).await.unwrap();
        let survey = poll::poll(&tick).await.unwrap();
        (survey, tick.into_report())
    }

    pub async fn watch(&self) -> (Fleet, Report) {
        let tick = Tick::begin(&self.policy, &self.world).await.unwrap();
        let fleet = watch::watch(&tick).await.unwrap();
        (fleet, tick.into_report())
    }
}

impl Edge {
    fn may_fail(&self, call: &str) -> PortResult<()> {
        *self.0.borrow_mut().calls.entry(call.to_owned()).or_default() += 1;
        match self.0.borrow().failing.get(call) {
            Some(kind) => Err(PortError::new(*kind, format!("{call} fails"))),
            None => Ok(()),
        }
    }

    fn wrote(&self, call: &str, what: impl std::fmt::Display) -> PortResult<()> {
        let mut state = self.0.borrow_mut();
        state.writes.push(format!("{call} {what}").trim_end().to_owned());
        if state.losing.contains(call) { Err(PortError::unreachable(format!("{call} lost"))) } else { Ok(()) }
    }

    fn card<T>(&self, issue: &IssueRef, look: impl FnOnce(&mut Card) -> T) -> PortResult<T> {
        let mut state = self.0.borrow_mut();
        let card = state.cards.get_mut(&issue.number).filter(|_| issue.repo == REPO);
        card.map(look).ok_or_else(|| PortError::not_found(format!("no issue {issue}")))
    }

    fn event(&self, issue: &IssueRef, label: &str, added: bool) -> PortResult<bool> {
        let now = self.0.borrow().now;
        self.card(issue, |card| {
            let on = card.issue.labels.iter().any(|on| on == label);
            if on != added {
                card.issue.labels.retain(|on| on != label);
                if added {
                    card.issue.labels.push(label.to_owned());
                }
                let arming = format!("sim:{}:{}", issue.number, card.events.len());
                let by = Some(AFK.to_owned());
                card.events.push(LabelEvent { arming, at: now, by, label: label.to_owned(), added });
            }
            on != added
        })
    }
}

impl Clock for Edge {
    fn now(&self) -> DateTime<Utc> {
        self.0.borrow().now
    }
}

#[async_trait(?Send)]
impl Tracker for Edge {
    async fn login(&self) -> PortResult<String> {
        Ok(AFK.to_owned())
    }
    async fn now(&self) -> PortResult<DateTime<Utc>> {
        let state = self.0.borrow();
        Ok(state.now + TimeDelta::seconds(state.tracker_ahead))
    }
    async fn repos(&self, _patterns: &[RepoPattern]) -> PortResult<Repositories> {
        self.may_fail("tracker repos")?;
        Ok(Repositories { names: vec![REPO.to_owned()], unreadable: Vec::new() })
    }
    async fn labelled(&self, repo: &str, label: &str, only_open: bool) -> PortResult<Listing> {
        self.may_fail("tracker labelled")?;
        let state = self.0.borrow();
        let listed = |card: &Card| {
            let remembered = state.remembered.get(&card.issue.reference.number);
            remembered.map_or_else(|| card.issue.clone(), |issue| Issue { remembered: true, ..issue.clone() })
        };
        let issues = state.cards.values().map(listed).filter(|issue| {
            issue.reference.repo == repo
                && issue.labels.iter().any(|on| on == label)
                && !(only_open && issue.status != IssueStatus::Open)
        });
        Ok(Listing { issues: issues.collect(), unreadable: Vec::new() })
    }
    async fn issue(&self, issue: &IssueRef) -> PortResult<Option<Issue>> {
        self.may_fail("tracker issue")?;
        Ok(self.card(issue, |card| card.issue.clone()).ok())
    }
    async fn label_events(&self, issue: &IssueRef) -> PortResult<Vec<LabelEvent>> {
        self.may_fail("tracker label_events")?;
        self.card(issue, |card| card.events.clone())
    }
    async fn edits(&self, issue: &IssueRef) -> PortResult<Vec<Edit>> {
        self.may_fail("tracker edits")?;
        self.card(issue, |card| card.edits.clone())
    }
    async fn blockers(&self, _issue: &IssueRef) -> PortResult<Vec<Blocker>> {
        self.may_fail("tracker blockers")?;
        Ok(Vec::new())
    }
    async fn permission(&self, _repo: &str, login: &str) -> PortResult<String> {
        self.may_fail("tracker permission")?;
        Ok(self.0.borrow().permissions.get(login).cloned().unwrap_or_else(|| "none".to_owned()))
    }
    async fn remembered_permission(&self, repo: &str, login: &str) -> PortResult<String> {
        let remembered = self.0.borrow().remembered_permissions.get(login).cloned();
        match remembered {
            Some(permission) => Ok(permission),
            None => self.permission(repo, login).await,
        }
    }
    async fn comments(&self, issue: &IssueRef) -> PortResult<Vec<Comment>> {
        self.may_fail("tracker comments")?;
        self.card(issue, |card| card.comments.clone())
    }
    async fn create_comment(&self, issue: &IssueRef, body: &str) -> PortResult<String> {
        self.may_fail("tracker create_comment")?;
        let at = self.0.borrow().now;
        let id = self.card(issue, |card| {
            let id = format!("c{}", card.comments.len());
            let comment = Comment { id: id.clone(), author: Some(AFK.to_owned()), at, body: body.to_owned() };
            card.comments.push(comment);
            id
        })?;
        self.wrote("tracker create_comment", &id).map(|()| id)
    }
    async fn edit_comment(&self, issue: &IssueRef, comment: &str, body: &str) -> PortResult<()> {
        self.may_fail("tracker edit_comment")?;
        self.card(issue, |card| {
            let found = card.comments.iter_mut().find(|known| known.id == comment);
            found.map(|found| body.clone_into(&mut found.body)).ok_or_else(|| PortError::not_found("no such comment"))
        })??;
        self.wrote("tracker edit_comment", comment)
    }
    async fn add_label(&self, issue: &IssueRef, label: &str) -> PortResult<()> {
        self.may_fail("tracker add_label")?;
        if self.event(issue, label, true)? { self.wrote("tracker add_label", label) } else { Ok(()) }
    }
    async fn remove_label(&self, issue: &IssueRef, label: &str) -> PortResult<()> {
        self.may_fail("tracker remove_label")?;
        if self.event(issue, label, false)? { self.wrote("tracker remove_label", label) } else { Ok(()) }
    }
    async fn close(&self, issue: &IssueRef, _reason: CloseReason) -> PortResult<()> {
        self.may_fail("tracker close")?;
        self.card(issue, |card| card.issue.status = IssueStatus::ClosedByPush)?;
        self.wrote("tracker close", "")
    }
    async fn reopen(&self, issue: &IssueRef) -> PortResult<()> {
        self.may_fail("tracker reopen")?;
        self.card(issue, |card| card.issue.status = IssueStatus::Open)
    }
}

#[async_trait(?Send)]
impl Code for Edge {
    async fn head(&self, _repo: &str) -> PortResult<Head> {
        self.may_fail("code head")?;
        Ok(Head { branch: "main".to_owned(), commit: BASE.to_owned() })
    }
    async fn run_commits(&self, range: &RunRange) -> PortResult<RunCommits> {
        self.may_fail("code run_commits")?;
        let state = self.0.borrow();
        let by_pull_request = range.landing == Landing::PullRequest;
        let pull_request = if by_pull_request { state.pull_request } else { PullRequestStatus::None };
        let visible = !by_pull_request || pull_request != PullRequestStatus::None;
        let commits = if visible { state.commits.clone() } else { Vec::new() };
        Ok(RunCommits {
            landed: !commits.is_empty() && (!by_pull_request || pull_request == PullRequestStatus::Merged),
            commits,
            pull_request,
            pull_request_url: (pull_request != PullRequestStatus::None).then(|| PULL_REQUEST.to_owned()),
            mentions: Vec::new(),
        })
    }
    async fn can_land(&self, _repo: &str, _landing: Landing) -> PortResult<()> {
        self.may_fail("code can_land")
    }
}

#[async_trait(?Send)]
impl Ci for Edge {
    async fn can_judge(&self, _repo: &str, _stage: &Stage) -> PortResult<()> {
        self.may_fail("ci can_judge")
    }

    async fn verdict(
        &self,
        _repo: &str,
        _commit: &str,
        _stage: &Stage,
        _settle_time: Duration,
    ) -> PortResult<StageVerdict> {
        self.may_fail("ci verdict")?;
        Ok(self.0.borrow().verdict.clone())
    }

    async fn with_logs(&self, _repo: &str, _stage: &Stage, jobs: Vec<FailedJob>) -> PortResult<Vec<FailedJob>> {
        self.may_fail("ci with_logs")?;
        let logs = self.0.borrow().logs.clone();
        let read = |job: FailedJob| FailedJob { log_tail: logs.get(&job.name).cloned().unwrap_or(job.log_tail), ..job };
        Ok(jobs.into_iter().map(read).collect())
    }
}

#[async_trait(?Send)]
impl Executor for Edge {
    async fn can_start(&self) -> PortResult<()> {
        self.may_fail("executor can_start")
    }

    async fn list(&self) -> PortResult<Roster> {
        self.may_fail("executor list")?;
        let state = self.0.borrow();
        let (broken, agents) = state
            .agents
            .values()
            .filter(|agent| !state.dismissed.contains(&agent.run))
            .cloned()
            .partition(|agent| state.unreadable.contains(&agent.run));
        let broken: Vec<AgentReport> = broken;
        let unreadable = broken.iter().map(|agent| (agent.run, PortError::invalid("its manifest is broken"))).collect();
        Ok(Roster { agents, unreadable, ..Roster::default() })
    }
    async fn ensure(&self, assignment: &Assignment) -> PortResult<()> {
        {
            let mut guard = self.0.borrow_mut();
            let state = &mut *guard;
            let now = state.now;
            let agent = state.agents.entry(assignment.run).or_insert_with(|| AgentReport {
                run: assignment.run,
                issue: assignment.issue.clone(),
                assignment: Some(assignment.clone()),
                turns: Vec::new(),
                status: AgentStatus::Starting,
                last_activity: Some(now),
                milestones: Some(Vec::new()),
                cost_usd: None,
                last_words: None,
                link: Some("https://agents.example.com/1".to_owned()),
            });
            // The thread is there before the turn is: what fails in between leaves it behind.
            if let Some(kind) = state.failing.get("executor ensure") {
                return Err(PortError::new(*kind, "executor ensure fails"));
            }
            if agent.turns.is_empty() {
                agent.turns.push(assignment.turn);
                agent.status = AgentStatus::Running;
                state.prompts.push((assignment.turn, assignment.prompt.clone()));
            } else {
                return Ok(());
            }
        }
        self.wrote("executor ensure", "")
    }
    async fn turn(&self, run: RunId, turn: Uuid, prompt: &str) -> PortResult<()> {
        self.may_fail("executor turn")?;
        {
            let mut state = self.0.borrow_mut();
            let now = state.now;
            let agent = state.agents.get_mut(&run).ok_or_else(|| PortError::not_found("no such run"))?;
            if agent.turns.contains(&turn) {
                return Ok(());
            }
            agent.turns.push(turn);
            agent.status = AgentStatus::Running;
            agent.last_activity = Some(now);
            state.prompts.push((turn, prompt.to_owned()));
        }
        self.wrote("executor turn", "")
    }
    async fn interrupt(&self, run: RunId) -> PortResult<()> {
        self.may_fail("executor interrupt")?;
        if let Some(agent) = self.0.borrow_mut().agents.get_mut(&run).filter(|agent| agent.is_live()) {
            agent.status = AgentStatus::Failed;
        }
        self.wrote("executor interrupt", "")
    }
    async fn archive(&self, run: RunId) -> PortResult<()> {
        self.may_fail("executor archive")?;
        if self.0.borrow().agents.get(&run).is_some_and(AgentReport::is_live) {
            return Err(PortError::refused("its agent is at work"));
        }
        self.wrote("executor archive", "")
    }
    async fn dismiss(&self, run: RunId) -> PortResult<()> {
        self.may_fail("executor dismiss")?;
        let mut state = self.0.borrow_mut();
        assert!(!state.agents.get(&run).is_some_and(AgentReport::is_live), "its agent is at work");
        state.dismissed.push(run);
        Ok(())
    }
}

#[async_trait(?Send)]
impl Notifier for Bell {
    async fn ring(&self, notice: &Notice) -> PortResult<()> {
        self.0.may_fail(&format!("bell {}", self.1))?;
        self.0.0.borrow_mut().rung.push((self.1.clone(), notice.clone()));
        Ok(())
    }
}
