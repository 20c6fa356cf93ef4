//! Deliberate defects: what a defective afk would do to the world, in a layer between the ticks and the edges, so that
//! the product holds no knob for it. Each must be caught, or the invariants prove nothing.

use std::cell::Cell;
use std::time::Duration;

use afk::adapters::installation::TickKind;
use afk::engine::identity::RunId;
use afk::policy::{CloseReason, Effect, Landing, RepoPattern, Stage};
use afk::ports::*;
use afk::ticks::record::{Found, Record, Seal};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::edges::Edge;
use crate::truth::{AFK, HUMAN, IN_PROGRESS, KEY, PAUSED, READY};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Defect {
    LabelBeforeDispatch,
    RandomRunIds,
    RandomTurnIds,
    LockFromTheReadyList,
    LockReleasedFirst,
    NotifyUnrecorded,
    TrustsByAssociation,
    TrustsAnyPermission,
    SwitchUncheckedInWatch,
    SwitchUncheckedInPoll,
    AttemptCountedTwice,
    NoTickLock,
    IntentionUnrecorded,
    EditsUnread,
    BlockersFailOpen,
    PeopleUnheard,
    VerdictUnreadableIsGreen,
    NewestCommitOverlooked,
    UnreachableIsEmpty,
    InterruptedIsEnded,
    CommentEveryTick,
    HoldLabelsUnread,
    CorrectedWithoutEnd,
    DoorbellsForgotten,
    DisarmedAnew,
    EndUntold,
}

impl Defect {
    pub const ALL: [Self; 26] = [
        Self::LabelBeforeDispatch,
        Self::RandomRunIds,
        Self::RandomTurnIds,
        Self::LockFromTheReadyList,
        Self::LockReleasedFirst,
        Self::NotifyUnrecorded,
        Self::TrustsByAssociation,
        Self::TrustsAnyPermission,
        Self::SwitchUncheckedInWatch,
        Self::SwitchUncheckedInPoll,
        Self::AttemptCountedTwice,
        Self::NoTickLock,
        Self::IntentionUnrecorded,
        Self::EditsUnread,
        Self::BlockersFailOpen,
        Self::PeopleUnheard,
        Self::VerdictUnreadableIsGreen,
        Self::NewestCommitOverlooked,
        Self::UnreachableIsEmpty,
        Self::InterruptedIsEnded,
        Self::CommentEveryTick,
        Self::HoldLabelsUnread,
        Self::CorrectedWithoutEnd,
        Self::DoorbellsForgotten,
        Self::DisarmedAnew,
        Self::EndUntold,
    ];

    /// What the defective afk does.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::LabelBeforeDispatch => "locks before the agent is started",
            Self::RandomRunIds => "gives a run another id at every look",
            Self::RandomTurnIds => "gives a turn another id at every try",
            Self::LockFromTheReadyList => "reads locks off the open issues that carry ready",
            Self::LockReleasedFirst => "takes the lock off before the effects of the last row",
            Self::NotifyUnrecorded => "does not write down that a doorbell rang",
            Self::TrustsByAssociation => "believes whatever looks like a record",
            Self::TrustsAnyPermission => "lets anybody arm",
            Self::SwitchUncheckedInWatch => "does not look at the kill switch in watch",
            Self::SwitchUncheckedInPoll => "does not look at the kill switch in poll",
            Self::AttemptCountedTwice => "counts every correction twice",
            Self::NoTickLock => "lets two ticks work at once",
            Self::IntentionUnrecorded => "does not write an intention down before its effects",
            Self::EditsUnread => "does not ask who edited",
            Self::BlockersFailOpen => "takes blockers for closed",
            Self::PeopleUnheard => "does not hear people who take a run back",
            Self::VerdictUnreadableIsGreen => "takes a verdict that it cannot read for green",
            Self::NewestCommitOverlooked => "judges the commit before the newest",
            Self::UnreachableIsEmpty => "takes an executor that cannot be asked for an empty one",
            Self::InterruptedIsEnded => "takes an agent that was told to end for one that ended",
            Self::CommentEveryTick => "writes a new progress comment at every change",
            Self::HoldLabelsUnread => "does not look at the labels human and paused",
            Self::CorrectedWithoutEnd => "forgets how often it corrected",
            Self::DoorbellsForgotten => "forgets a doorbell that cannot be rung",
            Self::DisarmedAnew => "takes ready off when a run ends, whoever put it there since",
            Self::EndUntold => "writes down that it told an agent to end, and does not tell it",
        }
    }

    /// Whether a tick takes the kill switch for off.
    pub fn blind_to_the_switch(defect: Option<Self>, kind: TickKind) -> bool {
        match kind {
            TickKind::Watch => defect == Some(Self::SwitchUncheckedInWatch),
            TickKind::Poll => defect == Some(Self::SwitchUncheckedInPoll),
        }
    }
}

/// The edges, as a defective afk uses them.
pub struct Defective {
    edge: Edge,
    defect: Defect,
    seal: Seal,
    looks: Cell<u64>,
}

impl Defective {
    pub fn new(edge: Edge, defect: Defect) -> Self {
        let seal = Seal::new("sim", vec![KEY.to_owned().into()]);
        Self { edge, defect, seal, looks: Cell::new(0) }
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    /// A number that no other look gives, in no other tick.
    fn random(&self) -> u64 {
        self.looks.set(self.looks.get() + 1);
        self.edge.tick as u64 * 1_000_000 + self.looks.get()
    }

    fn forgets_once(&self, run: RunId) -> bool {
        self.edge.truth.borrow_mut().forgotten.insert(run)
    }

    fn record(&self, issue: &IssueRef, body: &str) -> Option<Record> {
        match self.seal.read(issue, body) {
            Some(Found::Valid(record)) => Some(*record),
            _ => None,
        }
    }
}

#[async_trait(?Send)]
impl Tracker for Defective {
    async fn login(&self) -> PortResult<String> {
        self.edge.login().await
    }
    async fn now(&self) -> PortResult<DateTime<Utc>> {
        Tracker::now(&self.edge).await
    }
    async fn repos(&self, patterns: &[RepoPattern]) -> PortResult<Repositories> {
        self.edge.repos(patterns).await
    }
    async fn labelled(&self, repo: &str, label: &str, only_open: bool) -> PortResult<Listing> {
        let from_ready = self.is(Defect::LockFromTheReadyList) && label == IN_PROGRESS;
        let mut listing = self.edge.labelled(repo, label, only_open || from_ready).await?;
        if from_ready {
            listing.issues.retain(|issue| issue.has_label(READY));
        }
        if self.is(Defect::HoldLabelsUnread) {
            for issue in &mut listing.issues {
                issue.labels.retain(|label| label != HUMAN && label != PAUSED);
            }
        }
        Ok(listing)
    }
    async fn issue(&self, issue: &IssueRef) -> PortResult<Option<Issue>> {
        self.edge.issue(issue).await
    }
    async fn label_events(&self, issue: &IssueRef) -> PortResult<Vec<LabelEvent>> {
        let mut events = self.edge.label_events(issue).await?;
        if self.is(Defect::RandomRunIds) {
            let random = self.random();
            events.iter_mut().for_each(|event| event.arming.push_str(&format!(":{random}")));
        }
        if self.is(Defect::PeopleUnheard) {
            let armed = events.iter().rposition(|event| event.added && event.label == READY).unwrap_or(0);
            let mut place = 0;
            events.retain(|event| {
                place += 1;
                place <= armed + 1 || event.by.as_deref() == Some(AFK)
            });
        }
        Ok(events)
    }
    async fn edits(&self, issue: &IssueRef) -> PortResult<Vec<Edit>> {
        let edits = self.edge.edits(issue).await?;
        Ok(if self.is(Defect::EditsUnread) { Vec::new() } else { edits })
    }
    async fn blockers(&self, issue: &IssueRef) -> PortResult<Vec<Blocker>> {
        let blockers = self.edge.blockers(issue).await?;
        Ok(if self.is(Defect::BlockersFailOpen) { Vec::new() } else { blockers })
    }
    async fn permission(&self, repo: &str, login: &str) -> PortResult<String> {
        let permission = self.edge.permission(repo, login).await?;
        Ok(if self.is(Defect::TrustsAnyPermission) { "write".to_owned() } else { permission })
    }
    async fn comments(&self, issue: &IssueRef) -> PortResult<Vec<Comment>> {
        let mut comments = self.edge.comments(issue).await?;
        if self.is(Defect::TrustsByAssociation) {
            comments.iter_mut().for_each(|comment| comment.author = Some(AFK.to_owned()));
        }
        Ok(comments)
    }
    async fn create_comment(&self, issue: &IssueRef, body: &str) -> PortResult<String> {
        self.edge.create_comment(issue, body).await
    }
    async fn edit_comment(&self, issue: &IssueRef, comment: &str, body: &str) -> PortResult<()> {
        let Some(mut record) = self.record(issue, body) else {
            return self.edge.edit_comment(issue, comment, body).await;
        };
        let untried = record
            .pending
            .as_ref()
            .is_some_and(|pending| pending.remaining.iter().all(|effect| effect.first_tried.is_none()));
        let notifies = |effect: &Effect| matches!(effect, Effect::Notify(_));
        match self.defect {
            Defect::CommentEveryTick => return self.edge.create_comment(issue, body).await.map(drop),
            Defect::IntentionUnrecorded if untried => return Ok(()),
            Defect::DisarmedAnew if record.outcome.is_some() => {
                self.edge.remove_label(issue, READY).await?;
                return self.edge.edit_comment(issue, comment, body).await;
            }
            Defect::LockReleasedFirst if untried => self.edge.remove_label(issue, IN_PROGRESS).await?,
            // Once: the next tick finds the intention, and nothing of what was done about it.
            Defect::NotifyUnrecorded if record.outcome.is_some() && self.forgets_once(record.run) => return Ok(()),
            Defect::AttemptCountedTwice => record.attempts *= 2,
            Defect::CorrectedWithoutEnd => record.attempts = 0,
            Defect::DoorbellsForgotten => {
                if let Some(pending) = &mut record.pending {
                    pending.remaining.retain(|effect| effect.first_tried.is_none() || !notifies(&effect.effect));
                }
            }
            _ => return self.edge.edit_comment(issue, comment, body).await,
        }
        let words = body.rsplit_once("<!-- afk-run:").map_or(body, |(words, _)| words);
        let body = format!("{words}{}", self.seal.write(&record).unwrap_or_default());
        self.edge.edit_comment(issue, comment, &body).await
    }
    async fn add_label(&self, issue: &IssueRef, label: &str) -> PortResult<()> {
        self.edge.add_label(issue, label).await
    }
    async fn remove_label(&self, issue: &IssueRef, label: &str) -> PortResult<()> {
        self.edge.remove_label(issue, label).await
    }
    async fn close(&self, issue: &IssueRef, reason: CloseReason) -> PortResult<()> {
        self.edge.close(issue, reason).await
    }
    async fn reopen(&self, issue: &IssueRef) -> PortResult<()> {
        self.edge.reopen(issue).await
    }
}

#[async_trait(?Send)]
impl Code for Defective {
    async fn head(&self, repo: &str) -> PortResult<Head> {
        self.edge.head(repo).await
    }
    async fn run_commits(&self, range: &RunRange) -> PortResult<RunCommits> {
        let mut commits = self.edge.run_commits(range).await?;
        if self.is(Defect::NewestCommitOverlooked) && commits.commits.len() > 1 {
            commits.commits.pop();
        }
        Ok(commits)
    }
    async fn can_land(&self, repo: &str, landing: Landing) -> PortResult<()> {
        self.edge.can_land(repo, landing).await
    }
}

#[async_trait(?Send)]
impl Ci for Defective {
    async fn can_judge(&self, repo: &str, stage: &Stage) -> PortResult<()> {
        self.edge.can_judge(repo, stage).await
    }
    async fn verdict(
        &self,
        repo: &str,
        commit: &str,
        stage: &Stage,
        settle_time: Duration,
    ) -> PortResult<StageVerdict> {
        match self.edge.verdict(repo, commit, stage, settle_time).await {
            Err(_) if self.is(Defect::VerdictUnreadableIsGreen) => Ok(StageVerdict::Green),
            verdict => verdict,
        }
    }
}

#[async_trait(?Send)]
impl Executor for Defective {
    async fn can_start(&self) -> PortResult<()> {
        self.edge.can_start().await
    }
    async fn list(&self) -> PortResult<Roster> {
        let mut roster = match self.edge.list().await {
            Err(_) if self.is(Defect::UnreachableIsEmpty) => Roster::default(),
            roster => roster?,
        };
        if self.is(Defect::RandomTurnIds) {
            let truth = self.edge.truth.borrow();
            for turn in roster.agents.iter_mut().flat_map(|agent| &mut agent.turns) {
                *turn = truth.aliases.get(turn).copied().unwrap_or(*turn);
            }
        }
        if self.is(Defect::CorrectedWithoutEnd) {
            for agent in &mut roster.agents {
                agent.turns = agent.turns.split_off(agent.turns.len().saturating_sub(1));
            }
        }
        if self.is(Defect::InterruptedIsEnded) {
            let truth = self.edge.truth.borrow();
            for agent in &mut roster.agents {
                let told = truth.accounts.get(&agent.run).and_then(|account| account.record.as_ref());
                if told.is_some_and(|record| record.interrupted_at.is_some()) {
                    agent.status = afk::policy::facts::AgentStatus::Failed;
                }
            }
        }
        Ok(roster)
    }
    async fn ensure(&self, assignment: &Assignment) -> PortResult<()> {
        if self.is(Defect::LabelBeforeDispatch) {
            self.edge.add_label(&assignment.issue, IN_PROGRESS).await?;
        }
        self.edge.ensure(assignment).await
    }
    async fn turn(&self, run: RunId, turn: Uuid, prompt: &str) -> PortResult<()> {
        if !self.is(Defect::RandomTurnIds) {
            return self.edge.turn(run, turn, prompt).await;
        }
        let random = Uuid::new_v5(&turn, &self.random().to_le_bytes());
        self.edge.turn(run, random, prompt).await?;
        // Only with an answer does it know what the turn became.
        self.edge.truth.borrow_mut().aliases.insert(random, turn);
        Ok(())
    }
    async fn interrupt(&self, run: RunId) -> PortResult<()> {
        if self.is(Defect::EndUntold) {
            return Ok(());
        }
        self.edge.interrupt(run).await
    }
}
