//! What people, agents and CI do to the world, in the operator's words.

use std::rc::Rc;

use afk::engine::identity::RunId;
use afk::policy::facts::{AgentStatus, IssueStatus, PullRequestStatus};
use afk::ports::*;
use afk::ticks::record::{Record, Seal};

use crate::script::{Act, Deed, Word};
use crate::truth::{AFK, Commit, FORGER, HUMAN, IN_PROGRESS, PAUSED, READY, ROBOT, Truth};

/// One of them, by a number drawn before anybody knew how many there are.
fn one<T: Clone>(these: &[T], pick: u32) -> Option<T> {
    (!these.is_empty()).then(|| these[pick as usize % these.len()].clone())
}

impl Truth {
    /// An issue; every other time one with a run.
    fn some_issue(&self, pick: u32) -> Option<IssueRef> {
        let locked: Vec<IssueRef> = self
            .cards
            .iter()
            .filter(|(_, card)| card.issue.labels.iter().any(|label| label == IN_PROGRESS))
            .map(|(issue, _)| issue.clone())
            .collect();
        if (pick >> 20).is_multiple_of(2) && !locked.is_empty() {
            return one(&locked, pick);
        }
        one(&self.cards.keys().cloned().collect::<Vec<_>>(), pick)
    }

    /// A person does something. Whatever the installation has to be told is given back.
    pub fn person(&mut self, act: Act, pick: u32) {
        let who = if (pick >> 8).is_multiple_of(3) { "leo" } else { "ada" };
        let Some(issue) = self.some_issue(pick) else { return };
        match act {
            Act::Arm | Act::ArmWithoutPermission | Act::ArmAsAgent | Act::ArmAsAfk => {
                let unarmed: Vec<IssueRef> = self
                    .cards
                    .iter()
                    .filter(|(_, card)| card.armed().is_none())
                    .map(|(issue, _)| issue.clone())
                    .collect();
                let Some(issue) = one(&unarmed, pick) else { return };
                let who = match act {
                    Act::ArmWithoutPermission => "mallory",
                    Act::ArmAsAgent => ROBOT,
                    Act::ArmAsAfk => AFK,
                    _ => who,
                };
                self.tell(|| format!("{who} arms {issue}"));
                self.label(who, &issue, READY, true).ok();
            }
            Act::Disarm => {
                self.tell(|| format!("{who} takes {READY} off {issue}"));
                self.label(who, &issue, READY, false).ok();
            }
            Act::ArmAgain => {
                self.tell(|| format!("{who} arms {issue} again"));
                for label in [HUMAN, PAUSED, READY] {
                    self.label(who, &issue, label, false).ok();
                }
                self.label(who, &issue, READY, true).ok();
            }
            Act::Edit | Act::EditOwn => {
                let by = if act == Act::Edit { "mallory" } else { who };
                self.tell(|| format!("{by} edits {issue}"));
                let at = self.now;
                self.change(&issue, |card| {
                    card.issue.body.push_str(" And more.");
                    card.edits.push(Edit { at, by: Some(by.to_owned()) });
                })
                .ok();
            }
            Act::Pause | Act::TakeOver => {
                let label = if act == Act::Pause { PAUSED } else { HUMAN };
                self.tell(|| format!("{who} puts {label} on {issue}"));
                self.label(who, &issue, label, true).ok();
            }
            Act::LetGo => {
                self.tell(|| format!("{who} takes {HUMAN} and {PAUSED} off {issue}"));
                for label in [HUMAN, PAUSED] {
                    self.label(who, &issue, label, false).ok();
                }
            }
            Act::Close | Act::Reopen => {
                let status = if act == Act::Close { IssueStatus::Closed } else { IssueStatus::Open };
                self.tell(|| format!("{who} {} {issue}", if act == Act::Close { "closes" } else { "reopens" }));
                self.change(&issue, |card| card.issue.status = status).ok();
            }
            Act::Delete => {
                self.tell(|| format!("{who} deletes {issue}"));
                self.cards.remove(&issue);
            }
            Act::LockByHand | Act::UnlockByHand => {
                let added = act == Act::LockByHand;
                self.tell(|| {
                    format!("{who} {} {IN_PROGRESS} of {issue} by hand", if added { "sets" } else { "takes" })
                });
                self.label(who, &issue, IN_PROGRESS, added).ok();
            }
            Act::Comment => {
                self.comment(who, &issue, "Any news?".to_owned()).ok();
            }
            Act::ForgeRecord | Act::ForgeUnsignedAsAfk => self.forge(act, &issue),
            Act::Block => {
                let others: Vec<u64> =
                    self.cards.keys().filter(|other| other.repo == issue.repo).map(|other| other.number).collect();
                let other = one(&others, pick >> 4).unwrap_or(0);
                if other != issue.number {
                    self.tell(|| format!("{who} says that #{other} blocks {issue}"));
                    self.change(&issue, |card| card.blocked_by.push(other)).ok();
                }
            }
            Act::SwitchInPolicy => {
                self.switch_in_policy = !self.switch_in_policy;
                let on = self.switch_in_policy;
                self.tell(|| format!("{who} merges kill_switch = {on}"));
            }
            Act::SwitchInEnvironment => {
                self.switch_in_environment = !self.switch_in_environment;
                let on = self.switch_in_environment;
                self.tell(|| format!("{who} sets AFK_KILL_SWITCH={on}"));
            }
            Act::MergePolicy => {
                let index = pick as usize % self.choices.len();
                let policy = &self.choices[index];
                self.tell(|| format!("{who} merges policy {index} {}", policy.changes.join(", ")));
                self.policy = Some(policy);
                self.policies.push(policy);
            }
            Act::BreakPolicy => {
                self.tell(|| format!("{who} merges a policy that is broken"));
                self.policy = None;
            }
            Act::ChangePermission => {
                let change = [("ada", "read"), ("ada", "write"), ("mallory", "write"), ("mallory", "read")];
                let (login, level) = change[pick as usize % change.len()];
                self.tell(|| format!("{login} is granted {level}"));
                self.permissions.insert(login.to_owned(), level.to_owned());
                let now = self.permissions.clone();
                for eye in self.eyes.values_mut() {
                    eye.permissions.push(now.clone());
                }
            }
            Act::RenameLabel => {
                let role = [READY, IN_PROGRESS, HUMAN, PAUSED][pick as usize % 4];
                let renamed = format!("{role}-renamed");
                let is_renamed = self.cards.values().any(|card| {
                    card.issue.labels.contains(&renamed) || card.events.iter().any(|event| event.label == renamed)
                });
                if is_renamed { self.rename(&renamed, role) } else { self.rename(role, &renamed) }
            }
            Act::BreakRepository => {
                let repo = issue.repo.clone();
                self.tell(|| format!("{repo} cannot be listed any more"));
                self.broken = Some(repo);
            }
            // The scheduler tells the installation.
            Act::Stop | Act::StopOne | Act::UndoStop | Act::Abandon => {}
        }
    }

    /// Renames a label everywhere, in the history too.
    pub fn rename(&mut self, before: &str, after: &str) {
        self.tell(|| format!("leo renames the label {before} to {after}"));
        for issue in self.cards.keys().cloned().collect::<Vec<_>>() {
            let carries = self.cards[&issue].issue.labels.iter().any(|label| label == before);
            if after == IN_PROGRESS && carries {
                self.unveiled.insert(issue.clone());
            }
            self.change(&issue, |card| {
                let merged = card.issue.labels.iter().any(|label| label == after);
                card.issue.labels.retain(|label| !(merged && label == before));
                for label in card.issue.labels.iter_mut().filter(|label| *label == before) {
                    after.clone_into(label);
                }
                for event in card.events.iter_mut().filter(|event| event.label == before) {
                    after.clone_into(&mut event.label);
                }
            })
            .ok();
        }
    }

    /// Mallory writes what would be a record of afk's, or somebody does under afk's login without the key.
    fn forge(&mut self, act: Act, issue: &IssueRef) {
        let Some(card) = self.cards.get(issue) else { return };
        let arming = card.armed().map_or("sim:made:up".to_owned(), |event| event.arming.clone());
        let run = RunId::of_arming(&arming);
        let assignment = Assignment {
            run,
            issue: issue.clone(),
            arming,
            armed_by: Some(FORGER.to_owned()),
            dispatched_at: self.now,
            base: "0".repeat(40),
            default_branch: "main".to_owned(),
            model: String::new(),
            runtime_mode: String::new(),
            turn: run.derive(afk::engine::identity::Purpose::FirstTurn, 0),
            prompt: String::new(),
            brief_sha256: FORGER.to_owned(),
        };
        let record = Record::of_dispatch(&self.choices[0].off, "t3", &assignment);
        let (who, seal) = match act {
            Act::ForgeRecord => ("mallory", Seal::new("sim", vec![crate::truth::KEY.to_owned().into()])),
            _ => (AFK, Seal::new("sim", Vec::new())),
        };
        let body = format!("**An agent is working on this.**\n{}", seal.write(&record).unwrap_or_default());
        self.tell(|| format!("a forger writes a record on {issue} as {who}"));
        self.comment(who, issue, body).ok();
    }

    /// An agent, or the executor, does something.
    pub fn deed(&mut self, deed: Deed, pick: u32) {
        let wanted = |working: bool| -> Vec<RunId> {
            self.agents.iter().filter(|(_, agent)| agent.works() == working).map(|(run, _)| *run).collect()
        };
        let Some(run) = one(&wanted(deed != Deed::PushesAfterItsEnd && deed != Deed::ServerForgets), pick) else {
            return;
        };
        let now = self.now;
        let Some(agent) = self.agent(run) else { return };
        let issue = agent.assignment.issue.clone();
        agent.last_activity = now;
        let said = match deed {
            Deed::Begins => {
                agent.status = AgentStatus::Running;
                "begins"
            }
            Deed::Works => {
                agent.status = AgentStatus::Running;
                let next = ["worktree", "tests_red", "tests_green"].get(agent.milestones.len());
                agent.milestones.extend(next.map(|milestone| (*milestone).to_owned()));
                "works"
            }
            Deed::Asks => {
                agent.status = AgentStatus::Waiting;
                "asks something"
            }
            Deed::SaysSomethingNew => {
                agent.status = AgentStatus::Unknown;
                "says something that nobody knows"
            }
            Deed::Ends => {
                (agent.status, agent.alive) = (AgentStatus::Idle, false);
                "ends"
            }
            Deed::Fails => {
                (agent.status, agent.alive) = (AgentStatus::Failed, false);
                "crashes"
            }
            Deed::TurnsStubborn => {
                agent.stubborn = true;
                "will not end when told"
            }
            Deed::Dies => {
                (agent.status, agent.alive, agent.stubborn) = (AgentStatus::Failed, false, false);
                "dies"
            }
            Deed::BecomesAGhost => {
                (agent.status, agent.alive, agent.ghost) = (AgentStatus::Running, false, true);
                "is gone, and its executor shows it as running"
            }
            Deed::TurnsUnreadable => {
                agent.unreadable = true;
                "cannot be read any more"
            }
            Deed::OpensPullRequest => {
                agent.pull_request = PullRequestStatus::Open;
                "opens its pull request"
            }
            Deed::Pushes
            | Deed::PushesWithoutTrailer
            | Deed::PushesProtectedPaths
            | Deed::PushesClosingTheIssue
            | Deed::PushesAfterItsEnd => return self.push(deed, run, &issue),
            Deed::ServerRestarts => return self.restart(),
            Deed::ServerForgets => {
                self.agents.remove(&run);
                "is forgotten by its executor"
            }
        };
        self.tell(|| format!("the agent of {issue} {said}"));
    }

    fn push(&mut self, deed: Deed, run: RunId, issue: &IssueRef) {
        let sha = format!("{:040x}", self.id());
        let landing = self.policy.map(|policy| policy.off.rules(&issue.repo).agent.landing);
        Rc::make_mut(&mut self.commits).push(Commit {
            sha: sha.clone(),
            at: self.now,
            issue: issue.clone(),
            run: (deed != Deed::PushesWithoutTrailer).then_some(run),
            landed: landing != Some(afk::policy::Landing::PullRequest),
            protected: deed == Deed::PushesProtectedPaths,
            verdict: StageVerdict::None,
        });
        if deed == Deed::PushesClosingTheIssue {
            self.change(issue, |card| {
                if card.is_open() {
                    card.issue.status = IssueStatus::ClosedByPush;
                }
            })
            .ok();
        }
        let how = match deed {
            Deed::PushesWithoutTrailer => " without its trailer",
            Deed::PushesProtectedPaths => " that changes protected paths",
            Deed::PushesClosingTheIssue => " that closes the issue",
            Deed::PushesAfterItsEnd => " after its end",
            _ => "",
        };
        self.tell(|| format!("the agent of {issue} pushes commit {}{how}", sha.trim_start_matches('0')));
    }

    /// Every turn at work fails.
    fn restart(&mut self) {
        self.tell(|| "the executor's server restarts".to_owned());
        for agent in self.agents.values_mut().map(Rc::make_mut).filter(|agent| agent.works()) {
            (agent.status, agent.alive) = (AgentStatus::Failed, false);
        }
    }

    /// CI says something about a commit.
    pub fn word(&mut self, word: Word, pick: u32) {
        let count = self.commits.len();
        if count == 0 {
            return;
        }
        let commit = &mut Rc::make_mut(&mut self.commits)[count - 1 - pick as usize % count];
        let job = FailedJob { name: "test".to_owned(), url: None, log_tail: "1 failed".to_owned() };
        let (verdict, said) = match word {
            Word::Pending => (StageVerdict::Pending("1 of 2".to_owned()), "is at work on"),
            Word::Green => (StageVerdict::Green, "is green on"),
            Word::Red => (StageVerdict::Red(vec![job]), "is red on"),
            Word::Nothing => (StageVerdict::None, "has nothing on"),
        };
        commit.verdict = verdict;
        let (issue, sha) = (commit.issue.clone(), commit.sha.trim_start_matches('0').to_owned());
        self.tell(|| format!("CI {said} commit {sha} of {issue}"));
    }
}
