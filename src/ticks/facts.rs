//! The facts of a run: what executor, code host, CI and tracker say in this tick, over what the record remembers.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::engine::identity::Purpose;
use crate::engine::step::End;
use crate::policy::duration::since;
use crate::policy::facts::{AgentStatus, CiStatus, IssueStatus, Observed, RunFacts};
use crate::policy::{Rules, Stage};
use crate::ports::{AgentReport, FailedJob, Issue, LabelEvent, PortResult, RunCommits, RunRange, StageVerdict};

use super::fleet::{Fleet, Run};
use super::record::Record;
use super::watch::advance;
use super::world::Tick;

/// The facts of a run, and what was seen on the way that people are shown.
#[derive(Debug, Clone)]
pub struct RunView {
    /// What rows read.
    pub facts: RunFacts,
    /// The record, with what this tick saw written into it.
    pub record: Record,
    /// The issue; `None` when it is gone or could not be read, which the fact `issue` tells apart.
    pub issue: Option<Issue>,
    /// What the run brought to the code host.
    pub commits: Option<RunCommits>,
    /// Each stage and its verdict, in the order of the policy; the error where it could not be read.
    pub stages: Vec<(String, PortResult<StageVerdict>)>,
    /// The agent.
    pub agent: Option<AgentReport>,
    /// What was reported on the way.
    pub remarks: Vec<String>,
}

impl RunView {
    /// Whether the issue is known to be gone.
    pub fn is_gone(&self) -> bool {
        self.facts.issue == Observed::Known(IssueStatus::Gone)
    }

    /// The failed jobs of the newest commit.
    pub fn failures(&self) -> Vec<FailedJob> {
        self.stages
            .iter()
            .filter_map(|(_, verdict)| match verdict {
                Ok(StageVerdict::Red(jobs)) => Some(jobs.clone()),
                _ => None,
            })
            .flatten()
            .collect()
    }
}

/// What was seen of a run, all but the verdicts on its newest commit.
struct Sight<'t, 'w> {
    tick: &'t Tick<'w>,
    fleet: &'t Fleet,
    record: &'t Record,
    issue: IssueReading,
    agent: Option<&'t AgentReport>,
    agent_status: AgentStatus,
    commits: PortResult<RunCommits>,
}

/// Each stage and its verdict.
type Verdicts = Vec<(String, PortResult<StageVerdict>)>;

/// Reads everything that rows may ask of a run. What cannot be read is unknown, and not the end of it: a run of which
/// an answer is withheld for good still comes to its end by what is known.
///
/// A commit that was green is taken to be green still, for as long as no row is taken by it. Before one is, CI is asked
/// again: what was green may have turned red meanwhile.
pub async fn read(tick: &Tick<'_>, fleet: &Fleet, run: &Run, record: &Record) -> RunView {
    let issue = read_issue(tick, fleet, run, record).await;
    let agent = run.agent.as_ref().map(|(_, report)| report);
    let agent_status = agent_status(fleet, record, agent);
    let commits = tick.world.code.run_commits(&range(record)).await;
    let sight = Sight { tick, fleet, record, issue, agent, agent_status, commits };
    if let Some(green) = sight.green_before() {
        let view = sight.view(green);
        let advanced = advance(tick, record, &view.facts);
        if record.pending.is_none() && advanced.path.is_empty() && matches!(advanced.end, End::Wait) {
            return view;
        }
    }
    sight.view(sight.verdicts().await)
}

impl Sight<'_, '_> {
    fn rules(&self) -> &Rules {
        self.tick.policy.rules(&self.record.repo)
    }

    fn newest(&self) -> Option<&str> {
        let commits = self.commits.as_ref().ok()?;
        commits.commits.last().map(|commit| commit.sha.as_str())
    }

    /// Green of every stage, where the record says so of the newest commit, and by the same policy.
    fn green_before(&self) -> Option<Verdicts> {
        let (record, newest) = (self.record, self.newest()?);
        let is_green = record.commit.as_deref() == Some(newest)
            && record.undecided_since.is_none()
            && record.red_since.is_none()
            && record.revision == self.tick.policy.revision;
        let green = |stage: &Stage| (stage.name.value.clone(), Ok(StageVerdict::Green));
        is_green.then(|| self.rules().stages.iter().map(green).collect())
    }

    async fn verdicts(&self) -> Verdicts {
        let (rules, mut verdicts) = (self.rules(), Vec::new());
        let Some(newest) = self.newest() else { return verdicts };
        for stage in &rules.stages {
            let verdict = self.tick.world.ci.verdict(&self.record.repo, newest, stage, rules.settle_time).await;
            verdicts.push((stage.name.value.clone(), verdict));
        }
        verdicts
    }

    fn view(&self, stages: Verdicts) -> RunView {
        let (world, rules, agent, commits) = (self.tick.world, self.rules(), self.agent, &self.commits);
        let now = world.clock.now();
        let IssueReading { issue, status, held, remarks } = &self.issue;
        let ci = match commits {
            Ok(_) => fold(&stages),
            Err(_) => CiStatus::Unknown,
        };
        let labels = match (issue, status) {
            (Some(issue), _) => Observed::Known(issue.labels.clone()),
            (None, Observed::Unknown(why)) => Observed::Unknown(why.clone()),
            (None, _) => Observed::Unknown("the issue is gone".to_owned()),
        };
        let pushed = || Observed::from_result(commits.as_ref());
        let mut record = self.record.clone();
        remember(&mut record, self.agent_status, self.newest().map(str::to_owned), ci, now);
        let age = since(record.dispatched_at, now);
        // A clock that was put back must not make a run wait for longer than it lives.
        let waited = |start: DateTime<Utc>| since(start, now).min(age);
        believe_executor(&mut record, agent);
        let facts = RunFacts {
            repo: record.repo.clone(),
            priority: labels.clone().map(|labels| rules.priority.of(&labels)),
            labels,
            agent: self.agent_status,
            pushed: pushed().map(|commits| !commits.commits.is_empty()),
            landed: pushed().map(|commits| commits.landed),
            pull_request: pushed().map(|commits| commits.pull_request),
            touched_protected: pushed().map(|commits| {
                commits.commits.iter().flat_map(|commit| &commit.paths).any(|path| rules.protect.matches(path))
            }),
            ci,
            green_stages: match commits {
                Ok(_) => green_stages(&stages, &rules.stages),
                Err(error) => Observed::Unknown(error.message.clone()),
            },
            attempts: i64::from(record.attempts),
            told: record.told.as_deref() == Some(record.subject()),
            age,
            quiet: waited(quiet_since(&record, agent)),
            verdict_wait: record.undecided_since.map_or(Duration::ZERO, waited),
            red_for: match ci {
                CiStatus::Red => record.red_since.map_or(Duration::ZERO, waited),
                _ => Duration::ZERO,
            },
            issue: status.clone(),
            held: held.clone(),
            milestones: agent.map_or(Observed::Unknown("the executor does not show the agent".to_owned()), |agent| {
                match &agent.milestones {
                    Some(milestones) => Observed::Known(milestones.clone()),
                    None => {
                        Observed::Unknown("the executor does not show what an agent says while it works".to_owned())
                    }
                }
            }),
            cost_usd: agent
                .and_then(|agent| agent.cost_usd)
                .map_or(Observed::Unknown(format!("executor `{}` reports none", record.executor)), Observed::Known),
        };
        let mut remarks = remarks.clone();
        remarks.extend(world.executor(&record.executor).err().map(|error| error.message));
        if agent.is_none() && self.agent_status == AgentStatus::Unknown {
            remarks.extend(
                self.fleet.unreadable_agents.get(&record.run).map(|why| format!("its agent is unknown: {why}")),
            );
        }
        if let Err(error) = commits {
            remarks.push(error.message.clone());
        }
        remarks
            .extend(stages.iter().filter_map(|(_, verdict)| verdict.as_ref().err().map(|error| error.message.clone())));
        let (issue, commits) = (issue.clone(), commits.as_ref().ok().cloned());
        RunView { facts, record, issue, commits, stages, agent: agent.cloned(), remarks }
    }
}

/// Where the commits of a run are looked for.
pub fn range(record: &Record) -> RunRange {
    RunRange {
        repo: record.repo.clone(),
        number: record.issue,
        run: record.run,
        base: record.base.clone(),
        landing: record.landing,
    }
}

/// What the tracker says of a run's issue.
struct IssueReading {
    /// `None` when it is gone or could not be read.
    issue: Option<Issue>,
    status: Observed<IssueStatus>,
    held: Observed<bool>,
    /// What could not be read.
    remarks: Vec<String>,
}

async fn read_issue(tick: &Tick<'_>, fleet: &Fleet, run: &Run, record: &Record) -> IssueReading {
    let tracker = &tick.world.tracker;
    let reference = record.reference();
    let found = match &run.issue {
        Some(issue) => Ok(Some(issue.clone())),
        None => tracker.issue(&reference).await,
    };
    let status = found.as_ref().map(|issue| issue.as_ref().map_or(IssueStatus::Gone, |issue| issue.status));
    let events = match &found {
        Ok(None) => Ok(Vec::new()),
        Ok(Some(_)) | Err(_) => tracker.label_events(&reference).await,
    };
    let held = match &events {
        Ok(events) => Observed::Known(held(fleet, tick.policy.rules(&record.repo), record, events)),
        // `afk stop` is known without the tracker.
        Err(_) if fleet.orders.stopped_runs.contains(&record.run) => Observed::Known(true),
        Err(error) => Observed::Unknown(error.message.clone()),
    };
    let errors = [found.as_ref().err(), events.as_ref().err()];
    let remarks = errors.into_iter().flatten().map(|error| error.message.clone()).collect();
    IssueReading { status: Observed::from_result(status), held, remarks, issue: found.ok().flatten() }
}

/// The fact `agent`: how the newest turn is that afk asked for. A report on an older turn says nothing about it.
fn agent_status(fleet: &Fleet, record: &Record, agent: Option<&AgentReport>) -> AgentStatus {
    match agent {
        _ if fleet.orders.abandoned.contains(&record.run) => AgentStatus::Gone,
        // One that the settings no longer name cannot be asked either.
        _ if !fleet.asked.contains(&record.executor) => AgentStatus::Unknown,
        None if fleet.unreadable_agents.contains_key(&record.run) => AgentStatus::Unknown,
        None => AgentStatus::Gone,
        Some(agent) if agent.turns.contains(&record.turn) => agent.status,
        Some(_) => AgentStatus::Starting,
    }
}

/// Writes what this tick saw into the record, so that the next one can tell how long it has been so.
fn remember(record: &mut Record, agent: AgentStatus, newest: Option<String>, ci: CiStatus, now: DateTime<Utc>) {
    if record.agent != agent {
        record.agent = agent;
        record.agent_since = now;
    }
    if newest.is_some() && record.commit != newest {
        record.commit = newest;
        record.commit_at = Some(now);
        record.undecided_since = Some(now);
    }
    match ci {
        CiStatus::Green => {
            record.undecided_since = None;
            record.red_since = None;
        }
        CiStatus::Red => {
            record.undecided_since = None;
            record.red_since.get_or_insert(now);
        }
        CiStatus::None | CiStatus::Pending | CiStatus::Unknown => {
            if record.commit.is_some() {
                record.undecided_since.get_or_insert(now);
            }
        }
    }
}

/// Which turns there were, the executor knows best: a tracker may have put an older text of the record in the place of a
/// newer one.
fn believe_executor(record: &mut Record, agent: Option<&AgentReport>) {
    let Some(agent) = agent else { return };
    let corrections = u32::try_from(agent.turns.len().saturating_sub(1)).unwrap_or(u32::MAX);
    record.attempts = record.attempts.max(corrections);
    let about_this = record.run.derive(Purpose::CorrectiveTurn { red_commit: record.subject() }, 0);
    if agent.turns.contains(&about_this) {
        record.told = Some(record.subject().to_owned());
    }
}

fn quiet_since(record: &Record, agent: Option<&AgentReport>) -> DateTime<Utc> {
    [record.commit_at, agent.and_then(|agent| agent.last_activity)]
        .into_iter()
        .flatten()
        .fold(record.dispatched_at.max(record.turn_at).max(record.agent_since), DateTime::max)
}

/// Any red is red; any unknown unknown; all green green; all none none; else pending.
fn fold(stages: &[(String, PortResult<StageVerdict>)]) -> CiStatus {
    let any = |wanted: fn(&PortResult<StageVerdict>) -> bool| stages.iter().any(|(_, verdict)| wanted(verdict));
    let all = |wanted: fn(&PortResult<StageVerdict>) -> bool| stages.iter().all(|(_, verdict)| wanted(verdict));
    if any(|verdict| matches!(verdict, Ok(StageVerdict::Red(_)))) {
        CiStatus::Red
    } else if any(Result::is_err) {
        CiStatus::Unknown
    } else if all(|verdict| matches!(verdict, Ok(StageVerdict::None))) {
        CiStatus::None
    } else if all(|verdict| matches!(verdict, Ok(StageVerdict::Green))) {
        CiStatus::Green
    } else {
        CiStatus::Pending
    }
}

fn green_stages(read: &[(String, PortResult<StageVerdict>)], all: &[Stage]) -> Observed<Vec<String>> {
    if let Some(error) = read.iter().find_map(|(_, verdict)| verdict.as_ref().err()) {
        return Observed::Unknown(error.message.clone());
    }
    debug_assert!(read.is_empty() || read.len() == all.len());
    let green = read.iter().filter(|(_, verdict)| matches!(verdict, Ok(StageVerdict::Green)));
    Observed::Known(green.map(|(name, _)| name.clone()).collect())
}

/// Whether a person took the issue back: *human* or *paused* put on since the dispatch, or *ready* taken off since the
/// arming, by anyone but afk; or `afk stop` named the run. An absent label without such an event counts for nothing.
///
/// Trackers tell whole seconds, so the order of the events decides where it can: taking *ready* off and putting it
/// back arms anew, and does not hold the run of that very arming.
fn held(fleet: &Fleet, rules: &Rules, record: &Record, events: &[LabelEvent]) -> bool {
    let by_people = |event: &LabelEvent| !fleet.is_afk(event.by.as_deref());
    let armed = events.iter().position(|event| event.arming == record.arming);
    let taken_back = events.iter().enumerate().filter(|(_, event)| by_people(event)).any(|(index, event)| {
        let since_dispatch = event.at >= record.dispatched_at;
        let since_arming = armed.map_or(since_dispatch, |armed| index > armed);
        if event.added {
            since_dispatch
                && since_arming
                && (event.is_of(&rules.labels.human.value) || event.is_of(&rules.labels.paused.value))
        } else {
            since_arming && event.is_of(&rules.labels.ready.value)
        }
    });
    taken_back || fleet.orders.stopped_runs.contains(&record.run)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::ports::PortError;

    #[test]
    fn of_several_stages_red_counts_first_then_what_cannot_be_told() {
        let red = || Ok(StageVerdict::Red(Vec::new()));
        let pending = || Ok(StageVerdict::Pending(String::new()));
        let unknown = || Err(PortError::unreachable("away"));
        let (green, none) = (|| Ok(StageVerdict::Green), || Ok(StageVerdict::None));
        for (first, second, folded) in [
            (green(), green(), CiStatus::Green),
            (green(), none(), CiStatus::Pending),
            (green(), pending(), CiStatus::Pending),
            (none(), pending(), CiStatus::Pending),
            (none(), none(), CiStatus::None),
            (green(), unknown(), CiStatus::Unknown),
            (pending(), unknown(), CiStatus::Unknown),
            (green(), red(), CiStatus::Red),
            (pending(), red(), CiStatus::Red),
            (unknown(), red(), CiStatus::Red),
        ] {
            let stages = |one: PortResult<StageVerdict>, other| [("build".to_owned(), one), ("test".to_owned(), other)];
            assert_eq!(fold(&stages(first.clone(), second.clone())), folded, "{first:?} {second:?}");
            assert_eq!(fold(&stages(second, first)), folded);
        }
        assert_eq!(fold(&[]), CiStatus::None, "nothing is pushed");
    }
}
