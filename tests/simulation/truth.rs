//! What is true in the world: issues, agents, commits, verdicts, time. Not what afk says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use afk::engine::identity::RunId;
use afk::policy::facts::{AgentStatus, IssueStatus, PullRequestStatus};
use afk::ports::*;
use afk::ticks::record::{Record, Seal};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::edges::Fate;
use crate::policies::Pair;

pub const AFK: &str = "afk";
/// The login that agents use.
pub const ROBOT: &str = "robot";
pub const READY: &str = "ready-for-agent";
pub const IN_PROGRESS: &str = "agent-in-progress";
pub const HUMAN: &str = "ready-for-human";
pub const PAUSED: &str = "paused";
pub const BELLS: [&str; 2] = ["pager", "chat"];
pub const KEY: &str = "the record key";
/// What forged records say, so that whoever believes one gives it away.
pub const FORGER: &str = "forger";

pub type TickId = usize;

/// An issue and what happened to it.
#[derive(Debug, Clone)]
pub struct Card {
    pub issue: Issue,
    pub events: Vec<LabelEvent>,
    pub edits: Vec<Edit>,
    pub comments: Vec<Comment>,
    /// Numbers of the same repository.
    pub blocked_by: Vec<u64>,
}

impl Card {
    pub fn is_open(&self) -> bool {
        self.issue.status == IssueStatus::Open
    }

    pub fn armed(&self) -> Option<&LabelEvent> {
        self.events.iter().rfind(|event| event.label == READY).filter(|event| event.added)
    }
}

/// An agent, as it is and as its executor shows it.
#[derive(Debug, Clone)]
pub struct Agent {
    pub assignment: Assignment,
    pub turns: Vec<Uuid>,
    /// What the executor shows.
    pub status: AgentStatus,
    /// Whether its process is at work.
    pub alive: bool,
    /// Does not end when it is interrupted.
    pub stubborn: bool,
    /// The executor shows it as running for ever.
    pub ghost: bool,
    /// The executor cannot tell about it.
    pub unreadable: bool,
    /// It was brought up after afk had been told that the call failed.
    pub late: bool,
    pub last_activity: DateTime<Utc>,
    pub milestones: Vec<String>,
    pub pull_request: PullRequestStatus,
}

impl Agent {
    /// Whether it works, or may, by what is true.
    pub fn works(&self) -> bool {
        self.alive && !self.turns.is_empty()
    }
}

#[derive(Debug, Clone)]
pub struct Commit {
    pub sha: String,
    pub at: DateTime<Utc>,
    pub issue: IssueRef,
    /// `None`: it lacks the trailer.
    pub run: Option<RunId>,
    pub landed: bool,
    pub protected: bool,
    pub verdict: StageVerdict,
}

/// A call that changes the world.
#[derive(Debug, Clone)]
pub enum Write {
    CreateComment { issue: IssueRef, body: String },
    EditComment { issue: IssueRef, comment: String, body: String },
    AddLabel { issue: IssueRef, label: String },
    RemoveLabel { issue: IssueRef, label: String },
    Close { issue: IssueRef },
    Reopen { issue: IssueRef },
    Ensure { assignment: Box<Assignment> },
    Turn { run: RunId, turn: Uuid },
    Interrupt { run: RunId },
    Ring { bell: String, notice: Box<Notice> },
}

/// The world at some moment; cheap to keep.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub at: DateTime<Utc>,
    pub cards: BTreeMap<IssueRef, Rc<Card>>,
    pub agents: BTreeMap<RunId, Rc<Agent>>,
    pub commits: Rc<Vec<Commit>>,
}

/// What a tick was shown, by what is true.
#[derive(Debug)]
pub struct Eye {
    /// Whose tick it is.
    pub installation: usize,
    pub policy: &'static Pair,
    pub start: Snapshot,
    /// Every version of an issue, and of the permissions, since the tick began.
    pub versions: Vec<(IssueRef, Rc<Card>)>,
    pub permissions: Vec<BTreeMap<String, String>>,
    /// An older moment that the tracker or the executor showed.
    pub stale: Vec<Snapshot>,
    /// The newest commit of a run when it was read, and the verdicts that were read on that very commit.
    pub newest: BTreeMap<RunId, String>,
    pub verdicts: BTreeMap<String, Vec<StageVerdict>>,
    /// Rings of this tick, by their place in the list of all.
    pub rings: Vec<usize>,
}

#[derive(Debug, Clone)]
pub struct Ring {
    pub bell: String,
    pub run: RunId,
    /// A fault came between the ring and the record of it.
    pub excused: bool,
}

/// Something that must never happen, and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub invariant: &'static str,
    pub detail: String,
}

/// What afk has told the world about a run, and what it owes.
#[derive(Debug, Default)]
pub struct Account {
    /// The newest text of the comment that counts.
    pub record: Option<Record>,
    /// The oldest progress comment of the run.
    pub comment: Option<String>,
    /// The kinds of notifications that a decision promised.
    pub owed: BTreeSet<String>,
    /// A record said that the issue is about to be closed.
    pub intends_to_close: bool,
    /// Doublings and stale answers that the tracker itself is to blame for.
    pub tracker_faults: usize,
    /// An older text of the record came after a newer one.
    pub overtaken: bool,
}

pub struct Truth {
    pub now: DateTime<Utc>,
    /// How much this machine's clock is ahead of the tracker's.
    pub skew: TimeDelta,
    pub repos: Vec<String>,
    pub cards: BTreeMap<IssueRef, Rc<Card>>,
    pub agents: BTreeMap<RunId, Rc<Agent>>,
    pub commits: Rc<Vec<Commit>>,
    pub permissions: BTreeMap<String, String>,
    /// Every policy that there is to merge.
    pub choices: &'static [Pair],
    /// The policy that is merged; `None`: it is broken.
    pub policy: Option<&'static Pair>,
    /// The kill switch in the policy, in the environment, by `afk stop`.
    pub switch_in_policy: bool,
    pub switch_in_environment: bool,
    /// Which installations were told so.
    pub stopped: BTreeSet<usize>,
    pub abandoned: BTreeSet<RunId>,
    /// When afk first told an agent to end since its newest turn, by this machine's clock; whatever came of the call.
    pub told_to_end: BTreeMap<RunId, DateTime<Utc>>,
    /// Issues whose lock a person hid, and showed again, by renaming its label.
    pub unveiled: BTreeSet<IssueRef>,
    /// Calls that fail until somebody mends it, by name.
    pub outages: BTreeMap<&'static str, PortErrorKind>,
    /// A repository that cannot be listed, and never will be again.
    pub broken: Option<String>,
    /// The fate of the next call of a kind.
    pub next: BTreeMap<&'static str, Fate>,
    /// Effects of calls that were given up, and when they come.
    pub late: Vec<(DateTime<Utc>, Write)>,
    pub past: Option<Snapshot>,
    pub eyes: BTreeMap<TickId, Eye>,
    pub rings: Vec<Ring>,
    pub accounts: BTreeMap<RunId, Account>,
    pub runs_of_armings: BTreeMap<String, RunId>,
    /// Every run whose agent was ever begun.
    pub started: BTreeMap<RunId, Assignment>,
    /// Every policy that was ever merged.
    pub policies: Vec<&'static Pair>,
    /// Runs whose dispatch rested on what was true.
    pub approved: BTreeSet<RunId>,
    pub turns_about: BTreeSet<(RunId, String)>,
    pub dispatches: usize,
    pub seal: Seal,
    /// For a defect: turns that were sent under another id, and the id that afk knows them by.
    pub aliases: BTreeMap<Uuid, Uuid>,
    /// For a defect that shows once a run.
    pub forgotten: BTreeSet<RunId>,
    pub violation: Option<Violation>,
    /// Invariants that are not asked for.
    pub excused: &'static [&'static str],
    /// What happened, in the operator's words, where somebody reads it.
    pub story: Option<Vec<String>>,
    pub issued: u64,
}

impl Snapshot {
    /// What the code host shows of a run.
    pub fn commits_of(&self, range: &RunRange) -> RunCommits {
        let pull_request = match range.landing {
            afk::policy::Landing::Push => PullRequestStatus::None,
            afk::policy::Landing::PullRequest => {
                self.agents.get(&range.run).map_or(PullRequestStatus::None, |agent| agent.pull_request)
            }
        };
        let visible = |commit: &&Commit| {
            commit.run == Some(range.run) && (commit.landed || range.landing == afk::policy::Landing::PullRequest)
        };
        let commits: Vec<&Commit> = self.commits.iter().filter(visible).collect();
        RunCommits {
            landed: commits.last().is_some_and(|commit| commit.landed),
            commits: commits
                .into_iter()
                .map(|commit| RunCommit {
                    sha: commit.sha.clone(),
                    at: commit.at,
                    subject: "Mend it".to_owned(),
                    paths: vec![if commit.protected { "AGENTS.md" } else { "src/lib.rs" }.to_owned()],
                })
                .collect(),
            pull_request,
            pull_request_url: None,
            mentions: Vec::new(),
        }
    }
}

impl Truth {
    /// A world in which these policies may be merged.
    pub fn of(choices: &'static [Pair]) -> Self {
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        let permissions = [("ada", "write"), ("leo", "admin"), ("mallory", "read"), (AFK, "admin"), (ROBOT, "write")];
        Self {
            now,
            skew: TimeDelta::zero(),
            repos: Vec::new(),
            cards: BTreeMap::new(),
            agents: BTreeMap::new(),
            commits: Rc::default(),
            permissions: permissions.map(|(login, level)| (login.to_owned(), level.to_owned())).into(),
            choices,
            policy: None,
            switch_in_policy: false,
            switch_in_environment: false,
            stopped: BTreeSet::new(),
            abandoned: BTreeSet::new(),
            told_to_end: BTreeMap::new(),
            unveiled: BTreeSet::new(),
            outages: BTreeMap::new(),
            broken: None,
            next: BTreeMap::new(),
            late: Vec::new(),
            past: None,
            eyes: BTreeMap::new(),
            rings: Vec::new(),
            accounts: BTreeMap::new(),
            runs_of_armings: BTreeMap::new(),
            started: BTreeMap::new(),
            policies: Vec::new(),
            approved: BTreeSet::new(),
            turns_about: BTreeSet::new(),
            dispatches: 0,
            seal: Seal::new("sim", vec![KEY.to_owned().into()]),
            aliases: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            violation: None,
            excused: &[],
            story: None,
            issued: 0,
        }
    }

    pub fn tell(&mut self, what: impl FnOnce() -> String) {
        let at = self.now;
        if let Some(story) = &mut self.story {
            story.push(format!("{}  {}", at.format("%d %H:%M:%S"), what()));
        }
    }

    /// Only the first counts: whatever follows may follow from it.
    pub fn violate(&mut self, invariant: &'static str, detail: String) {
        if self.excused.contains(&invariant) {
            return;
        }
        self.tell(|| format!("━━ {invariant}: {detail}"));
        self.violation.get_or_insert(Violation { invariant, detail });
    }

    pub fn id(&mut self) -> u64 {
        self.issued += 1;
        self.issued
    }

    /// Why the kill switch is on for an installation, in any form.
    pub fn switched_off(&self, installation: usize) -> Option<String> {
        let everywhere = self.policy.is_none() || self.switch_in_policy || self.switch_in_environment;
        let on = everywhere || self.stopped.contains(&installation);
        on.then(|| "the operator says so".to_owned())
    }

    pub fn snapshot(&self) -> Snapshot {
        let (cards, agents, commits) = (self.cards.clone(), self.agents.clone(), self.commits.clone());
        Snapshot { at: self.now, cards, agents, commits }
    }

    pub fn machine_time(&self) -> DateTime<Utc> {
        self.now + self.skew
    }

    /// Changes an issue; every open tick may have read it before or after.
    pub fn change<T>(&mut self, issue: &IssueRef, change: impl FnOnce(&mut Card) -> T) -> PortResult<T> {
        let card = self.cards.get_mut(issue).ok_or_else(|| PortError::not_found(format!("no issue {issue}")))?;
        let result = change(Rc::make_mut(card));
        for eye in self.eyes.values_mut() {
            eye.versions.push((issue.clone(), card.clone()));
        }
        Ok(result)
    }

    pub fn agent(&mut self, run: RunId) -> Option<&mut Agent> {
        self.agents.get_mut(&run).map(Rc::make_mut)
    }

    /// Puts a label on or takes it off; whether that changed anything.
    pub fn label(&mut self, by: &str, issue: &IssueRef, label: &str, added: bool) -> PortResult<bool> {
        let (at, id) = (self.now, self.id());
        let Some(card) = self.cards.get(issue) else {
            return Err(PortError::not_found(format!("no issue {issue}")));
        };
        if card.issue.labels.iter().any(|on| on == label) == added {
            return Ok(false);
        }
        self.change(issue, |card| {
            card.issue.labels.retain(|on| on != label);
            if added {
                card.issue.labels.push(label.to_owned());
            }
            let arming = format!("sim:{issue}:{id}");
            card.events.push(LabelEvent { arming, at, by: Some(by.to_owned()), label: label.to_owned(), added });
            true
        })
    }

    pub fn comment(&mut self, by: &str, issue: &IssueRef, body: String) -> PortResult<String> {
        let (at, id) = (self.now, format!("c{}", self.id()));
        self.change(issue, |card| {
            card.comments.push(Comment { id: id.clone(), author: Some(by.to_owned()), at, body });
            id
        })
    }

    /// What the executor shows of the agents.
    pub fn roster(agents: &BTreeMap<RunId, Rc<Agent>>) -> Roster {
        let mut roster = Roster::default();
        for (run, agent) in agents {
            if agent.unreadable {
                roster.unreadable.push((*run, PortError::invalid("its manifest is broken")));
                continue;
            }
            roster.agents.push(AgentReport {
                run: *run,
                issue: agent.assignment.issue.clone(),
                assignment: Some(agent.assignment.clone()),
                turns: agent.turns.clone(),
                status: agent.status,
                last_activity: Some(agent.last_activity),
                milestones: Some(agent.milestones.clone()),
                cost_usd: None,
                last_words: None,
                link: None,
            });
        }
        roster
    }

    pub fn policy_of(&self, eye: &Eye) -> &'static afk::policy::Policy {
        &eye.policy.off
    }
}
