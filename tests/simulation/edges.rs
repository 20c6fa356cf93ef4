//! The ports over the truth. Every call stops at its boundary until the scheduler has decided what becomes of it, and
//! whatever it is about to do is held against the invariants first.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use afk::engine::identity::RunId;
use afk::policy::{CloseReason, Landing, RepoPattern, Stage};
use afk::ports::*;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::invariants;
use crate::truth::{AFK, Snapshot, TickId, Truth, Write};

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It works.
    Works,
    /// It fails, without effect.
    Fails(PortErrorKind),
    /// No answer within the time for a call, and no effect.
    TimesOut,
    /// It takes effect, and its answer is lost.
    LosesAnswer,
    /// It takes effect twice.
    Doubles,
    /// No answer; the effect comes so many seconds later.
    ComesLate(i64),
    /// It shows how things were up to a minute ago.
    Stale,
    /// Some of what is listed cannot be read.
    Partial,
    /// The executor makes the agent's thread and then fails.
    Half,
    /// The process that makes it is killed before it takes effect.
    Killed,
    /// It takes effect, and the process that made it is no more.
    LastDeed,
}

/// Where a tick stands between two calls.
#[derive(Debug, Default)]
pub struct Desk {
    /// The call that waits for its fate.
    pub at: Option<&'static str>,
    pub fate: Option<Fate>,
    /// The process is no more.
    pub dead: bool,
}

/// Every edge of one tick.
#[derive(Clone)]
pub struct Edge {
    pub truth: Rc<RefCell<Truth>>,
    pub desk: Rc<RefCell<Desk>>,
    pub tick: TickId,
}

/// The doorbell of that name.
pub struct Bell(pub Edge, pub String);

impl Edge {
    async fn boundary(&self, call: &'static str) -> Fate {
        let fate = poll_fn(|_| {
            let mut desk = self.desk.borrow_mut();
            match desk.fate.take() {
                Some(fate) => Poll::Ready(fate),
                None => {
                    desk.at = Some(call);
                    Poll::Pending
                }
            }
        })
        .await;
        let fate = {
            let mut truth = self.truth.borrow_mut();
            let outage = truth.outages.get(call).map(|kind| Fate::Fails(*kind));
            let next = truth.next.remove(call);
            if fate == Fate::Works { next.or(outage).unwrap_or(fate) } else { fate }
        };
        if fate != Fate::Works {
            self.truth.borrow_mut().disturb(self.tick);
            self.truth.borrow_mut().tell(|| format!("      {call} {}", in_words(fate)));
        }
        fate
    }

    async fn die<T>(&self) -> T {
        self.desk.borrow_mut().dead = true;
        std::future::pending().await
    }

    fn fail(&self, call: &str, kind: PortErrorKind) -> PortError {
        PortError::new(kind, format!("{call} fails"))
    }

    fn time_out(&self, call: &str) -> PortError {
        self.truth.borrow_mut().now += TimeDelta::seconds(30);
        PortError::unreachable(format!("{call}: no answer within 30 s"))
    }

    /// A call that changes nothing.
    async fn read<T>(
        &self,
        call: &'static str,
        look: impl FnOnce(&mut Truth, &Snapshot, bool) -> PortResult<T>,
    ) -> PortResult<T> {
        let fate = self.boundary(call).await;
        match fate {
            Fate::Fails(kind) => return Err(self.fail(call, kind)),
            Fate::TimesOut | Fate::LosesAnswer | Fate::ComesLate(_) | Fate::Half => return Err(self.time_out(call)),
            Fate::Killed | Fate::LastDeed => self.die().await,
            Fate::Works | Fate::Doubles | Fate::Stale | Fate::Partial => {}
        }
        let mut truth = self.truth.borrow_mut();
        let truth = &mut *truth;
        let past =
            truth.past.clone().filter(|past| fate == Fate::Stale && truth.now - past.at <= TimeDelta::minutes(1));
        let shown = match past {
            // What code host and CI showed is kept by itself.
            Some(past) if !call.starts_with("tracker") && !call.starts_with("executor") => past,
            Some(past) => {
                for account in truth.accounts.values_mut() {
                    account.tracker_faults += 1;
                }
                truth.eyes.get_mut(&self.tick).into_iter().for_each(|eye| eye.stale.push(past.clone()));
                past
            }
            None => truth.snapshot(),
        };
        look(truth, &shown, fate == Fate::Partial)
    }

    /// A call that changes the world.
    async fn write(&self, call: &'static str, write: Write) -> PortResult<String> {
        invariants::of_call(&mut self.truth.borrow_mut(), self.tick, &write);
        let asked_at = self.truth.borrow().machine_time();
        let fate = self.boundary(call).await;
        if let (Write::Interrupt { run }, false) = (&write, fate == Fate::Killed) {
            self.truth.borrow_mut().told_to_end.entry(*run).or_insert(asked_at);
        }
        let apply = |write: &Write| self.truth.borrow_mut().apply(Some(self.tick), write);
        match fate {
            Fate::Fails(kind) => Err(self.fail(call, kind)),
            Fate::TimesOut | Fate::Stale | Fate::Partial => Err(self.time_out(call)),
            Fate::ComesLate(seconds) => {
                let at = self.truth.borrow().now + TimeDelta::seconds(seconds);
                self.truth.borrow_mut().late.push((at, write));
                Err(self.time_out(call))
            }
            Fate::Half => {
                if let Write::Ensure { assignment } = &write {
                    self.truth.borrow_mut().make_thread(assignment, false, Some(self.tick));
                }
                Err(self.time_out(call))
            }
            Fate::Works => apply(&write),
            Fate::Doubles => {
                if let Write::CreateComment { issue, .. } = &write {
                    self.truth.borrow_mut().blame_tracker(issue);
                }
                let answer = apply(&write).and_then(|_| apply(&write));
                self.truth.borrow_mut().disturb(self.tick);
                answer
            }
            Fate::LosesAnswer => {
                apply(&write).ok();
                self.truth.borrow_mut().disturb(self.tick);
                Err(self.time_out(call))
            }
            Fate::LastDeed => {
                apply(&write).ok();
                self.die().await
            }
            Fate::Killed => self.die().await,
        }
    }
}

pub fn in_words(fate: Fate) -> String {
    match fate {
        Fate::Works => "works".to_owned(),
        Fate::Fails(PortErrorKind::Unreachable) => "cannot be reached".to_owned(),
        Fate::Fails(PortErrorKind::Refused) => "is refused".to_owned(),
        Fate::Fails(PortErrorKind::NotFound) => "finds nothing".to_owned(),
        Fate::Fails(PortErrorKind::Invalid) => "gives an answer that makes no sense".to_owned(),
        Fate::TimesOut => "times out, without effect".to_owned(),
        Fate::LosesAnswer => "takes effect, its answer is lost".to_owned(),
        Fate::Doubles => "takes effect twice".to_owned(),
        Fate::ComesLate(seconds) => format!("times out, takes effect {seconds} s later"),
        Fate::Stale => "shows how things were a moment ago".to_owned(),
        Fate::Partial => "cannot read some of it".to_owned(),
        Fate::Half => "gets half way".to_owned(),
        Fate::Killed => "is never made: the process is killed".to_owned(),
        Fate::LastDeed => "takes effect as the last thing the process does".to_owned(),
    }
}

fn card<'s>(shown: &'s Snapshot, issue: &IssueRef) -> PortResult<&'s crate::truth::Card> {
    shown.cards.get(issue).map(|card| &**card).ok_or_else(|| PortError::not_found(format!("no issue {issue}")))
}

impl Clock for Edge {
    fn now(&self) -> DateTime<Utc> {
        self.truth.borrow().machine_time()
    }
}

#[async_trait(?Send)]
impl Tracker for Edge {
    async fn login(&self) -> PortResult<String> {
        self.read("tracker login", |_, _, _| Ok(AFK.to_owned())).await
    }
    async fn now(&self) -> PortResult<DateTime<Utc>> {
        self.read("tracker now", |truth, _, _| Ok(truth.now)).await
    }
    async fn repos(&self, patterns: &[RepoPattern]) -> PortResult<Repositories> {
        let matches = |repo: &&String| patterns.iter().any(|pattern| pattern.matches(repo));
        self.read("tracker repos", |truth, _, _| {
            Ok(Repositories { names: truth.repos.iter().filter(matches).cloned().collect(), unreadable: Vec::new() })
        })
        .await
    }
    async fn labelled(&self, repo: &str, label: &str, only_open: bool) -> PortResult<Listing> {
        self.read("tracker labelled", |truth, shown, partial| {
            if truth.broken.as_deref() == Some(repo) {
                return Err(PortError::not_found("there is no such repository"));
            }
            let from = IssueRef { repo: repo.to_owned(), number: 0 };
            let of_repo = shown.cards.range(from..).take_while(|(issue, _)| issue.repo == repo).map(|(_, card)| card);
            let wanted =
                of_repo.filter(|card| (card.is_open() || !only_open) && card.issue.labels.iter().any(|on| on == label));
            let mut listing = Listing::default();
            for (place, card) in wanted.enumerate() {
                if partial && place % 2 == 0 {
                    let error = PortError::invalid("it cannot be read");
                    listing.unreadable.push(Unreadable { issue: card.issue.reference.clone(), error });
                } else {
                    listing.issues.push(card.issue.clone());
                }
            }
            Ok(listing)
        })
        .await
    }
    async fn issue(&self, issue: &IssueRef) -> PortResult<Option<Issue>> {
        self.read("tracker issue", |_, shown, _| Ok(shown.cards.get(issue).map(|card| card.issue.clone()))).await
    }
    async fn label_events(&self, issue: &IssueRef) -> PortResult<Vec<LabelEvent>> {
        self.read("tracker label_events", |_, shown, _| Ok(card(shown, issue)?.events.clone())).await
    }
    async fn edits(&self, issue: &IssueRef) -> PortResult<Vec<Edit>> {
        self.read("tracker edits", |_, shown, _| Ok(card(shown, issue)?.edits.clone())).await
    }
    async fn blockers(&self, issue: &IssueRef) -> PortResult<Vec<Blocker>> {
        self.read("tracker blockers", |_, shown, _| {
            let blocker = |number: &u64| Blocker {
                reference: format!("#{number}"),
                open: shown
                    .cards
                    .get(&IssueRef { repo: issue.repo.clone(), number: *number })
                    .is_some_and(|card| card.is_open()),
                evidence: "dependency".to_owned(),
            };
            Ok(card(shown, issue)?.blocked_by.iter().map(blocker).collect())
        })
        .await
    }
    async fn permission(&self, _repo: &str, login: &str) -> PortResult<String> {
        self.read("tracker permission", |truth, _, _| {
            Ok(truth.permissions.get(login).cloned().unwrap_or_else(|| "none".to_owned()))
        })
        .await
    }
    async fn comments(&self, issue: &IssueRef) -> PortResult<Vec<Comment>> {
        self.read("tracker comments", |_, shown, _| Ok(card(shown, issue)?.comments.clone())).await
    }
    async fn create_comment(&self, issue: &IssueRef, body: &str) -> PortResult<String> {
        let write = Write::CreateComment { issue: issue.clone(), body: body.to_owned() };
        self.write("tracker create_comment", write).await
    }
    async fn edit_comment(&self, issue: &IssueRef, comment: &str, body: &str) -> PortResult<()> {
        let write = Write::EditComment { issue: issue.clone(), comment: comment.to_owned(), body: body.to_owned() };
        self.write("tracker edit_comment", write).await.map(drop)
    }
    async fn add_label(&self, issue: &IssueRef, label: &str) -> PortResult<()> {
        let write = Write::AddLabel { issue: issue.clone(), label: label.to_owned() };
        self.write("tracker add_label", write).await.map(drop)
    }
    async fn remove_label(&self, issue: &IssueRef, label: &str) -> PortResult<()> {
        let write = Write::RemoveLabel { issue: issue.clone(), label: label.to_owned() };
        self.write("tracker remove_label", write).await.map(drop)
    }
    async fn close(&self, issue: &IssueRef, _reason: CloseReason) -> PortResult<()> {
        self.write("tracker close", Write::Close { issue: issue.clone() }).await.map(drop)
    }
    async fn reopen(&self, issue: &IssueRef) -> PortResult<()> {
        self.write("tracker reopen", Write::Reopen { issue: issue.clone() }).await.map(drop)
    }
}

#[async_trait(?Send)]
impl Code for Edge {
    async fn head(&self, _repo: &str) -> PortResult<Head> {
        self.read("code head", |_, _, _| Ok(Head { branch: "main".to_owned(), commit: "0".repeat(40) })).await
    }
    async fn run_commits(&self, range: &RunRange) -> PortResult<RunCommits> {
        self.read("code run_commits", |truth, shown, _| {
            let commits = shown.commits_of(range);
            if let (Some(newest), Some(eye)) = (commits.commits.last(), truth.eyes.get_mut(&self.tick)) {
                eye.newest.insert(range.run, newest.sha.clone());
                eye.verdicts.remove(&newest.sha);
            }
            Ok(commits)
        })
        .await
    }
    async fn can_land(&self, _repo: &str, _landing: Landing) -> PortResult<()> {
        self.read("code can_land", |_, _, _| Ok(())).await
    }
}

#[async_trait(?Send)]
impl Ci for Edge {
    async fn can_judge(&self, _repo: &str, _stage: &Stage) -> PortResult<()> {
        self.read("ci can_judge", |_, _, _| Ok(())).await
    }
    async fn verdict(
        &self,
        _repo: &str,
        commit: &str,
        _stage: &Stage,
        _settle_time: Duration,
    ) -> PortResult<StageVerdict> {
        self.read("ci verdict", |truth, shown, _| {
            let found = shown.commits.iter().find(|known| known.sha == commit);
            let verdict = found.map_or(StageVerdict::None, |commit| commit.verdict.clone());
            if let Some(eye) = truth.eyes.get_mut(&self.tick) {
                eye.verdicts.entry(commit.to_owned()).or_default().push(verdict.clone());
            }
            Ok(verdict)
        })
        .await
    }
}

#[async_trait(?Send)]
impl Executor for Edge {
    async fn can_start(&self) -> PortResult<()> {
        self.read("executor can_start", |_, _, _| Ok(())).await
    }
    async fn list(&self) -> PortResult<Roster> {
        self.read("executor list", |_, shown, partial| {
            let mut roster = Truth::roster(&shown.agents);
            if partial {
                let broken = roster.agents.split_off(roster.agents.len() / 2);
                let error = PortError::invalid("its manifest is broken");
                roster.unreadable.extend(broken.into_iter().map(|agent| (agent.run, error.clone())));
            }
            Ok(roster)
        })
        .await
    }
    async fn ensure(&self, assignment: &Assignment) -> PortResult<()> {
        let write = Write::Ensure { assignment: Box::new(assignment.clone()) };
        self.write("executor ensure", write).await.map(drop)
    }
    async fn turn(&self, run: RunId, turn: Uuid, _prompt: &str) -> PortResult<()> {
        self.write("executor turn", Write::Turn { run, turn }).await.map(drop)
    }
    async fn interrupt(&self, run: RunId) -> PortResult<()> {
        self.write("executor interrupt", Write::Interrupt { run }).await.map(drop)
    }
}

#[async_trait(?Send)]
impl Notifier for Bell {
    async fn ring(&self, notice: &Notice) -> PortResult<()> {
        let write = Write::Ring { bell: self.1.clone(), notice: Box::new(notice.clone()) };
        self.0.write("bell ring", write).await.map(drop)
    }
}
