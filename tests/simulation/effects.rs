//! What calls do to the world.

use std::rc::Rc;

use afk::policy::facts::{AgentStatus, IssueStatus, PullRequestStatus};
use afk::ports::*;

use crate::invariants;
use crate::truth::{AFK, Agent, Ring, TickId, Truth, Write};

impl Truth {
    /// A call takes effect. `tick`: whose it is; `None` for one that comes late, after its caller was told otherwise.
    pub fn apply(&mut self, tick: Option<TickId>, write: &Write) -> PortResult<String> {
        match write {
            Write::CreateComment { issue, body } => {
                let id = self.comment(AFK, issue, body.clone())?;
                invariants::of_record(self, tick, issue, &id, body, true);
                return Ok(id);
            }
            Write::EditComment { issue, comment, body } => {
                self.change(issue, |card| {
                    let found = card.comments.iter_mut().find(|known| known.id == *comment);
                    let found = found.filter(|found| found.author.as_deref() == Some(AFK));
                    found
                        .map(|found| body.clone_into(&mut found.body))
                        .ok_or_else(|| PortError::not_found("no such comment of this login"))
                })??;
                invariants::of_record(self, tick, issue, comment, body, false);
            }
            Write::AddLabel { issue, label } => {
                if self.label(AFK, issue, label, true)? {
                    self.tell(|| format!("      afk puts {label} on {issue}"));
                }
            }
            Write::RemoveLabel { issue, label } => {
                if self.label(AFK, issue, label, false)? {
                    self.tell(|| format!("      afk takes {label} off {issue}"));
                }
            }
            Write::Close { issue } => {
                self.change(issue, |card| {
                    if card.is_open() {
                        card.issue.status = IssueStatus::ClosedByPush;
                    }
                })?;
                self.tell(|| format!("      afk closes {issue}"));
            }
            Write::Reopen { issue } => self.change(issue, |card| card.issue.status = IssueStatus::Open)?,
            Write::Ensure { assignment } => self.make_thread(assignment, true, tick),
            Write::Turn { run, turn } => {
                let (now, late) = (self.now, tick.is_none());
                let agent = self.agent(*run).ok_or_else(|| PortError::not_found("no such run"))?;
                if agent.turns.contains(turn) {
                    return Ok(String::new());
                }
                agent.turns.push(*turn);
                agent.status = AgentStatus::Running;
                agent.late |= late;
                (agent.alive, agent.last_activity) = (true, now);
                let issue = agent.assignment.issue.clone();
                self.told_to_end.remove(run);
                self.tell(|| format!("      the agent of {issue} gets another turn"));
                invariants::of_turn(self, tick, *run);
            }
            Write::Interrupt { run } => {
                let Some(agent) = self.agent(*run).filter(|agent| !agent.stubborn && !agent.ghost) else {
                    return Ok(String::new());
                };
                let live = matches!(
                    agent.status,
                    AgentStatus::Starting | AgentStatus::Running | AgentStatus::Waiting | AgentStatus::Unknown
                );
                if live {
                    agent.status = AgentStatus::Failed;
                    agent.alive = false;
                    let issue = agent.assignment.issue.clone();
                    self.tell(|| format!("      the agent of {issue} is interrupted"));
                }
            }
            Write::Ring { bell, notice } => {
                let place = self.rings.len();
                self.tell(|| format!("      {bell} rings: {}", notice.title));
                self.rings.push(Ring { bell: bell.clone(), run: notice.run, excused: tick.is_none() });
                if let Some(eye) = tick.and_then(|tick| self.eyes.get_mut(&tick)) {
                    eye.rings.push(place);
                }
            }
        }
        Ok(String::new())
    }

    /// The executor has an assignment; with `begin`, its first turn too.
    pub fn make_thread(&mut self, assignment: &Assignment, begin: bool, tick: Option<TickId>) {
        let now = self.now;
        let run = assignment.run;
        let agent = Agent {
            assignment: assignment.clone(),
            turns: Vec::new(),
            status: AgentStatus::Starting,
            alive: false,
            stubborn: false,
            ghost: false,
            unreadable: false,
            late: tick.is_none(),
            last_activity: now,
            milestones: Vec::new(),
            pull_request: PullRequestStatus::None,
        };
        let agent = Rc::make_mut(self.agents.entry(run).or_insert_with(|| Rc::new(agent)));
        if !begin || !agent.turns.is_empty() {
            return;
        }
        agent.late |= tick.is_none();
        agent.turns.push(assignment.turn);
        agent.alive = true;
        agent.status = AgentStatus::Starting;
        self.dispatches += 1;
        self.tell(|| format!("      an agent is started for {}", assignment.issue));
        invariants::of_start(self, tick, assignment);
    }

    /// A fault hit a tick: what it rang may ring again.
    pub fn disturb(&mut self, tick: TickId) {
        let rings = self.eyes.get(&tick).map(|eye| eye.rings.clone()).unwrap_or_default();
        for ring in rings {
            self.rings[ring].excused = true;
        }
    }

    /// The tracker doubles or misplaces what it is given, or shows what is no longer so.
    pub fn blame_tracker(&mut self, issue: &IssueRef) {
        let run = self.agents.values().filter(|agent| agent.assignment.issue == *issue);
        let runs: Vec<_> = run.map(|agent| agent.assignment.run).collect();
        for run in runs {
            self.accounts.entry(run).or_default().tracker_faults += 1;
        }
    }
}
