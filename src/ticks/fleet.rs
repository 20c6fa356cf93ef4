//! What is in flight: the union of labels, records and agents, and what each combination of the three means.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::adapters::installation::{Orders, TickKind};
use crate::engine::identity::RunId;
use crate::policy::facts::AgentStatus;
use crate::ports::{AgentReport, Issue, IssueRef, PortError, PortErrorKind, PortResult};
use crate::text::clean_line;

use super::record::{Record, Recorded};
use super::world::Tick;

/// Everything in flight, or not quite over, at the start of a tick.
#[derive(Debug, Default)]
pub struct Fleet {
    /// The login of afk itself.
    pub afk: String,
    /// One entry a run, and one for a lock that nobody can explain.
    pub runs: Vec<Run>,
    /// Every agent that an executor knows, with the executor's name.
    pub agents: BTreeMap<RunId, (String, AgentReport)>,
    /// Runs of which an executor has something and cannot tell how their agents are, and why.
    pub unreadable_agents: BTreeMap<RunId, String>,
    /// Those of them that are, or seem to be, another installation's.
    pub elsewhere: BTreeSet<RunId>,
    /// Executors that answered.
    pub asked: BTreeSet<String>,
    /// Issues that were in flight when the last ticks ended, or about to be.
    pub hinted: BTreeSet<IssueRef>,
    /// Executors that could not be asked, and why.
    pub unasked: BTreeMap<String, String>,
    /// Repositories that were looked at, in the order in which the tracker wants them to be read.
    pub repos: Vec<String>,
    /// Repositories whose locks could not be read, and why.
    pub unreadable: BTreeMap<String, String>,
    /// What people told this installation.
    pub orders: Orders,
}

/// One run, and what is known of it.
#[derive(Debug, Clone)]
pub struct Run {
    /// The issue.
    pub reference: IssueRef,
    /// The issue as listed in this tick; `None` where only a record or an agent led here.
    pub issue: Option<Issue>,
    /// Whether the issue carries *in_progress*.
    pub labelled: bool,
    /// The record and the comment that holds it.
    pub recorded: Option<Recorded>,
    /// The agent, as its executor showed it, and the executor's name.
    pub agent: Option<(String, AgentReport)>,
    /// What label, record and agent come to.
    pub standing: Standing,
}

/// What the record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordState {
    /// There is none that counts.
    None,
    /// The run goes on.
    Active,
    /// The run has ended.
    Ended,
}

/// What the executor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentPresence {
    /// It answered and knows no such agent, or a person said that it is gone.
    None,
    /// It works, or may.
    Live,
    /// It has ended.
    Ended,
    /// The executor could not be asked.
    Unasked,
}

/// What label, record and agent come to, and so what is to be repaired. `docs/how-it-works.md` shows the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In flight, as it should be. A missing label is put back.
    Active,
    /// An executor knows the run and there is no record: write label and record.
    Adopt,
    /// A lock without record and agent: write the record again, the agent counts as gone, the policy decides.
    Rebuild,
    /// The run has ended and the lock is left: release it.
    Release,
    /// The run has ended and its agent has not: stop the agent, keep the repository locked.
    Ending,
    /// Nobody can tell while the executor cannot be asked: locked, nothing is touched.
    Unclear,
    /// A newer afk writes here, or the issue cannot be read: locked, nothing is touched.
    Unreadable,
    /// Over.
    Finished,
}

impl Standing {
    /// Every combination has exactly one meaning.
    pub fn of(labelled: bool, record: RecordState, agent: AgentPresence) -> Self {
        use AgentPresence as Agent;
        match (labelled, record, agent) {
            (_, RecordState::Active, _) => Standing::Active,
            (_, RecordState::Ended, Agent::Live) => Standing::Ending,
            (true, RecordState::Ended, Agent::Unasked) => Standing::Unclear,
            (true, RecordState::Ended, Agent::None | Agent::Ended) => Standing::Release,
            (false, RecordState::Ended, _) => Standing::Finished,
            (_, RecordState::None, Agent::Live | Agent::Ended) => Standing::Adopt,
            (true, RecordState::None, Agent::None) => Standing::Rebuild,
            (true, RecordState::None, Agent::Unasked) => Standing::Unclear,
            (false, RecordState::None, Agent::None | Agent::Unasked) => Standing::Finished,
        }
    }

    /// The word of output.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Active => "active",
            Standing::Adopt => "adopt",
            Standing::Rebuild => "rebuild",
            Standing::Release => "release",
            Standing::Ending => "ending",
            Standing::Unclear => "unclear",
            Standing::Unreadable => "unreadable",
            Standing::Finished => "finished",
        }
    }

    /// Whether the lock is this run's, and no earlier one's of the issue.
    pub fn goes_on(self) -> bool {
        matches!(self, Standing::Active | Standing::Adopt)
    }

    /// Whether it takes a slot of its repository. Releasing does until it is done.
    pub fn is_in_flight(self) -> bool {
        self != Standing::Finished
    }
}

impl Run {
    /// Of an issue that cannot be read.
    fn unreadable(reference: IssueRef) -> Self {
        let standing = Standing::Unreadable;
        Self { reference, issue: None, labelled: false, recorded: None, agent: None, standing }
    }

    /// The record.
    pub fn record(&self) -> Option<&Record> {
        self.recorded.as_ref().map(|recorded| &recorded.record)
    }

    /// The run's id, where anything tells it.
    pub fn id(&self) -> Option<RunId> {
        self.record().map(|record| record.run).or_else(|| self.agent.as_ref().map(|(_, report)| report.run))
    }
}

impl Fleet {
    /// When `afk stop` asked the agent of a run to end; `None` where it did not, or another turn was sent since.
    pub fn stopped_at(&self, record: &Record) -> Option<DateTime<Utc>> {
        self.orders.stopped_agents.get(&record.run).copied().filter(|at| *at >= record.turn_at)
    }

    /// Whether a login is that of afk itself.
    pub fn is_afk(&self, login: Option<&str>) -> bool {
        login.is_some_and(|login| login.eq_ignore_ascii_case(&self.afk))
    }

    /// The runs in flight; an issue may have several.
    pub fn runs_in_flight(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| run.standing.is_in_flight())
    }

    /// The repository of every issue in flight, one entry an issue: each takes a slot.
    pub fn in_flight(&self) -> Vec<String> {
        let issues: BTreeSet<&IssueRef> = self.runs_in_flight().map(|run| &run.reference).collect();
        issues.into_iter().map(|issue| issue.repo.clone()).collect()
    }

    /// The run in flight of an issue.
    pub fn run_of(&self, issue: &IssueRef) -> Option<&Run> {
        // Numbers tell most of them apart, and there may be very many to tell.
        self.runs_in_flight().find(|run| run.reference.number == issue.number && run.reference == *issue)
    }

    /// What the executors say of a run. `executor` is the one the record names; without it any of them may know.
    pub fn presence(&self, run: RunId, executor: Option<&str>) -> AgentPresence {
        if self.orders.abandoned.contains(&run) {
            return AgentPresence::None;
        }
        match self.agents.get(&run) {
            Some((_, report)) if report.is_live() => AgentPresence::Live,
            Some((_, report)) if report.status == AgentStatus::Gone => AgentPresence::None,
            Some(_) => AgentPresence::Ended,
            None if self.unreadable_agents.contains_key(&run) => AgentPresence::Unasked,
            None => {
                let asked = match executor {
                    // One that the settings no longer name cannot be asked either.
                    Some(executor) => self.asked.contains(executor),
                    None => self.unasked.is_empty(),
                };
                if asked { AgentPresence::None } else { AgentPresence::Unasked }
            }
        }
    }
}

/// Looks at the whole world: executors, one listing each; the lock label of every repository; the records of every
/// issue that a label, an agent or the last tick's memory leads to. Changes nothing.
///
/// # Errors
/// When the tracker or the installation itself cannot be asked; single repositories and issues fail alone.
pub async fn observe(tick: &Tick<'_>) -> PortResult<Fleet> {
    let world = tick.world;
    let mut fleet =
        Fleet { orders: world.installation.orders()?, afk: world.tracker.login().await?, ..Fleet::default() };
    for (name, executor) in &world.executors {
        match executor.list().await {
            Ok(roster) => {
                fleet.asked.insert(name.clone());
                fleet.elsewhere.extend(roster.elsewhere.iter().map(|(run, _)| *run));
                let unreadable = roster.unreadable.into_iter().chain(roster.elsewhere);
                fleet.unreadable_agents.extend(unreadable.map(|(run, error)| (run, error.message)));
                fleet.agents.extend(roster.agents.into_iter().map(|agent| (agent.run, (name.clone(), agent))));
            }
            Err(error) => {
                let about = format!("executor `{name}`");
                // Most of its errors say whose they are.
                let said = error.message.strip_prefix(&about).and_then(|rest| rest.strip_prefix(": "));
                tick.problem(&about, said.unwrap_or(&error.message));
                fleet.unasked.insert(name.clone(), error.message);
            }
        }
    }

    let live: Vec<IssueRef> =
        fleet.agents.values().filter(|(_, agent)| agent.is_live()).map(|(_, agent)| agent.issue.clone()).collect();
    let mut leads: BTreeSet<IssueRef> = live.into_iter().collect();
    for kind in [TickKind::Poll, TickKind::Watch] {
        // Only a hint where to look; without it the labels and the executors still lead to every run.
        fleet
            .hinted
            .extend(world.installation.heartbeat(kind).ok().flatten().into_iter().flat_map(|beat| beat.in_flight));
    }
    leads.extend(fleet.hinted.iter().cloned());
    // Without the list, what is known to be in flight is still followed.
    match world.tracker.repos(&tick.policy.allowlist.value).await {
        Ok(listed) => {
            for (pattern, error) in &listed.unreadable {
                tick.problem(format!("allowlist `{}`", clean_line(pattern, 150)), error);
            }
            fleet.repos = listed.names.into_iter().filter(|repo| tick.policy.enrolled(repo)).collect();
        }
        Err(error) => tick.problem("allowlist", &error),
    }
    let listed: BTreeSet<String> = fleet.repos.iter().cloned().collect();
    let more: BTreeSet<String> = leads.iter().map(|lead| lead.repo.clone()).collect();
    fleet.repos.extend(more.difference(&listed).cloned());

    let mut issues: BTreeMap<IssueRef, Option<Issue>> = leads.into_iter().map(|lead| (lead, None)).collect();
    let (mut unlisted, mut failures) = (BTreeSet::new(), Vec::new());
    for repo in fleet.repos.clone() {
        let label = tick.policy.rules(&repo).labels.in_progress.value.clone();
        match world.tracker.labelled(&repo, &label, false).await {
            Ok(listing) => {
                for unreadable in &listing.unreadable {
                    tick.problem(&unreadable.issue, &unreadable.error);
                    unlisted.extend(issues.contains_key(&unreadable.issue).then(|| unreadable.issue.clone()));
                }
                issues.extend(listing.issues.into_iter().map(|issue| (issue.reference.clone(), Some(issue))));
            }
            Err(error) => {
                failures.push((repo.clone(), error.message.clone()));
                unlisted.extend(issues.keys().filter(|lead| lead.repo == repo).cloned());
                fleet.unreadable.insert(repo, error.message);
            }
        }
    }
    tick.problems(failures);
    for (reference, mut issue) in issues {
        let mut unknown = false;
        if unlisted.contains(&reference) {
            // No listing tells whether a lead is locked, and it must not be forgotten: nothing else may lead there.
            match world.tracker.issue(&reference).await {
                Ok(found) => issue = found,
                Err(error) => {
                    tick.problem(&reference, &error);
                    unknown = true;
                }
            }
        }
        let mut runs = runs_of(tick, &fleet, &reference, issue, None).await;
        if runs.is_empty() && unknown {
            runs.push(Run::unreadable(reference));
        }
        fleet.runs.extend(runs);
    }
    Ok(fleet)
}

/// The runs of one issue. An agent that has ended and left no record counts where it is newer than every record, and
/// the issue carries the lock, was in flight before, or has the very arming that it answered.
pub async fn runs_of(
    tick: &Tick<'_>,
    fleet: &Fleet,
    reference: &IssueRef,
    issue: Option<Issue>,
    arming: Option<RunId>,
) -> Vec<Run> {
    let label = &tick.policy.rules(&reference.repo).labels.in_progress.value;
    let labelled = issue.as_ref().is_some_and(|issue| issue.has_label(label));
    let run = |recorded, agent, standing| Run {
        reference: reference.clone(),
        issue: issue.clone(),
        labelled,
        recorded,
        agent,
        standing,
    };
    let is_here = |agent: &AgentReport| agent.issue.number == reference.number && agent.issue == *reference;
    let agents_here: Vec<&(String, AgentReport)> = fleet.agents.values().filter(|(_, agent)| is_here(agent)).collect();
    let found = match records_of(tick, fleet, reference, issue.is_some()).await {
        Ok(found) => found,
        Err(error) => {
            tick.problem(reference, &error);
            return vec![run(None, agents_here.first().map(|agent| (*agent).clone()), Standing::Unreadable)];
        }
    };
    let gone = found.is_none();
    let records = found.unwrap_or_default();
    let known: BTreeSet<RunId> = records.iter().map(|recorded| recorded.record.run).collect();
    let newest_ended =
        records.iter().rfind(|recorded| recorded.record.outcome.is_some()).map(|recorded| recorded.record.run);
    let newest_record = records.iter().map(|recorded| recorded.record.dispatched_at).max();
    let any_active = records.iter().any(|recorded| recorded.record.outcome.is_none());
    let (live, ended): (Vec<_>, Vec<_>) = agents_here
        .into_iter()
        .filter(|(_, agent)| !known.contains(&agent.run) && fleet.presence(agent.run, None) != AgentPresence::None)
        .partition(|(_, agent)| agent.is_live());
    let hinted = !gone && fleet.hinted.contains(reference);
    let dispatched_at = |agent: &AgentReport| agent.assignment.as_ref().map(|assignment| assignment.dispatched_at);
    let newest_ended_agent = ended
        .into_iter()
        .filter(|(_, agent)| {
            let expected = (labelled && !any_active) || hinted || arming == Some(agent.run);
            // One that was never begun did nothing.
            expected && !agent.turns.is_empty() && dispatched_at(agent) > newest_record
        })
        .max_by_key(|(_, agent)| dispatched_at(agent));
    let unrecorded: Vec<&(String, AgentReport)> = live.into_iter().chain(newest_ended_agent).collect();
    let led_here = labelled || fleet.hinted.contains(reference);
    if led_here && !any_active && unrecorded.is_empty() && !fleet.unreadable_agents.is_empty() {
        match has_unreadable_agent(tick, fleet, reference, gone, &known).await {
            Ok(true) => return vec![run(None, None, Standing::Unclear)],
            Ok(false) => {}
            Err(error) => {
                tick.problem(reference, &error);
                return vec![run(None, None, Standing::Unreadable)];
            }
        }
    }
    let mut runs = Vec::new();
    for recorded in records {
        let record = &recorded.record;
        let state = if record.outcome.is_some() { RecordState::Ended } else { RecordState::Active };
        // The one lock label belongs to the run that goes on, else to the one whose record is still to be written, else
        // to the run that ended last.
        let ended_last = !any_active && unrecorded.is_empty() && newest_ended == Some(record.run);
        let lock = labelled && (state == RecordState::Active || ended_last);
        let presence = fleet.presence(record.run, Some(&record.executor));
        // One that lived on after its lock was given up holds its slot, also while nobody can tell whether it still does.
        let lock = lock || (ended_last && hinted && presence == AgentPresence::Unasked);
        let agent = fleet.agents.get(&record.run).filter(|_| presence != AgentPresence::None).cloned();
        runs.push(run(Some(recorded), agent, Standing::of(lock, state, presence)));
    }
    for agent in unrecorded {
        runs.push(run(None, Some(agent.clone()), Standing::Adopt));
    }
    runs.retain(|run| run.standing.is_in_flight());
    if runs.is_empty() && labelled {
        // Any executor that could not be asked may be the one that knows.
        let presence = if fleet.unasked.is_empty() { AgentPresence::None } else { AgentPresence::Unasked };
        runs.push(run(None, None, Standing::of(true, RecordState::None, presence)));
    }
    runs
}

/// Whether one of the agents that an executor cannot tell about answers an arming of this issue and left no record: its
/// id alone leads there. Of an issue that is gone nobody can tell any more, so any of them may.
async fn has_unreadable_agent(
    tick: &Tick<'_>,
    fleet: &Fleet,
    reference: &IssueRef,
    gone: bool,
    recorded: &BTreeSet<RunId>,
) -> PortResult<bool> {
    let mut unreadable = fleet.unreadable_agents.keys().filter(|run| !fleet.orders.abandoned.contains(*run));
    if gone {
        return Ok(unreadable.any(|run| !fleet.elsewhere.contains(run)));
    }
    let events = tick.world.tracker.label_events(reference).await?;
    let armed: BTreeSet<RunId> =
        events.iter().filter(|event| event.added).map(|event| RunId::of_arming(&event.arming)).collect();
    Ok(unreadable.any(|run| armed.contains(run) && !recorded.contains(run)))
}

/// The records of an issue; `None` where the issue is known to be gone. `listed`: this tick has seen it.
///
/// # Errors
/// When they cannot be read, or a newer afk has written some: then nothing may be touched.
async fn records_of(
    tick: &Tick<'_>,
    fleet: &Fleet,
    reference: &IssueRef,
    listed: bool,
) -> PortResult<Option<Vec<Recorded>>> {
    let comments = match tick.world.tracker.own_comments(reference).await {
        Ok(comments) => comments,
        // No comments where there is no issue. Of an issue that is there, it proves nothing.
        Err(error)
            if error.kind == PortErrorKind::NotFound
                && !listed
                && matches!(tick.world.tracker.issue(reference).await, Ok(None)) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    match tick.world.seal.read_all(reference, &fleet.afk, &comments) {
        (records, None) => Ok(Some(records)),
        (_, Some(version)) => Err(PortError::invalid(format!(
            "its record has version {version}, written by a newer afk; it is left alone"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn every_combination_of_label_record_and_agent_has_its_repair() {
        use AgentPresence as A;
        use RecordState as R;
        use Standing as S;
        let table = [
            // label, record, agent -> standing
            (true, R::Active, A::None, S::Active),
            (true, R::Active, A::Live, S::Active),
            (true, R::Active, A::Ended, S::Active),
            (true, R::Active, A::Unasked, S::Active),
            (false, R::Active, A::None, S::Active),
            (false, R::Active, A::Live, S::Active),
            (false, R::Active, A::Ended, S::Active),
            (false, R::Active, A::Unasked, S::Active),
            (true, R::None, A::None, S::Rebuild),
            (true, R::None, A::Live, S::Adopt),
            (true, R::None, A::Ended, S::Adopt),
            (true, R::None, A::Unasked, S::Unclear),
            (false, R::None, A::None, S::Finished),
            (false, R::None, A::Live, S::Adopt),
            (false, R::None, A::Ended, S::Adopt),
            (false, R::None, A::Unasked, S::Finished),
            (true, R::Ended, A::None, S::Release),
            (true, R::Ended, A::Live, S::Ending),
            (true, R::Ended, A::Ended, S::Release),
            (true, R::Ended, A::Unasked, S::Unclear),
            (false, R::Ended, A::None, S::Finished),
            (false, R::Ended, A::Live, S::Ending),
            (false, R::Ended, A::Ended, S::Finished),
            (false, R::Ended, A::Unasked, S::Finished),
        ];
        for (label, record, agent, expected) in table {
            assert_eq!(Standing::of(label, record, agent), expected, "{label} {record:?} {agent:?}");
        }
    }

    #[test]
    fn while_the_executor_cannot_be_asked_nothing_is_repaired() {
        for label in [true, false] {
            for record in [RecordState::None, RecordState::Ended] {
                let standing = Standing::of(label, record, AgentPresence::Unasked);
                assert!(matches!(standing, Standing::Unclear | Standing::Finished), "{standing:?}");
            }
        }
    }
}
