//! What one would write by hand who knows the eight gates and the 26 rows of the shipped policy, and nothing else, by
//! heart: plain Rust over the same facts, with the collections of the standard library. [`Short`] notes the gate that fired
//! and looks no further, so it makes no trace; [`Traced`] looks at every gate and notes every verdict, as afk does.
//! Neither knows overrides, pauses, several slots, orders, kill switch, or where in the policy a verdict comes from.

use std::collections::HashSet;
use std::time::Duration;

use afk::engine::select::{Candidate, Outcome};
use afk::policy::facts::{AgentStatus, CiStatus, IssueStatus, Observed, PullRequestStatus, RunFacts};

use crate::{Engine, contest, world};

use Observed::Known;

/// Stops at the first gate that fails.
pub struct Short(HashSet<String>);

/// Notes the verdict of every gate.
pub struct Traced(HashSet<String>);

/// Verdicts of the eight gates, a bit each.
#[derive(Default, Clone, Copy)]
struct Trace {
    failed: u8,
    unknown: u8,
    not_read: u8,
}

impl Trace {
    #[inline]
    fn note<T>(&mut self, gate: usize, fact: &Observed<T>, holds: impl FnOnce(&T) -> bool) {
        match fact {
            Known(value) => self.failed |= u8::from(!holds(value)) << gate,
            Observed::Unknown(_) => self.unknown |= 1 << gate,
            Observed::NotRead => self.not_read |= 1 << gate,
        }
    }

    fn fired(self) -> Option<usize> {
        let fires = if self.failed == 0 { self.unknown } else { self.failed };
        (fires != 0).then(|| fires.trailing_zeros() as usize)
    }
}

impl Engine for Short {
    type Issues = Vec<Candidate>;
    type Runs = Vec<(&'static str, RunFacts)>;
    type Decisions = Vec<Outcome>;

    fn prepare() -> Self {
        Self(world::allowlist().into_iter().collect())
    }

    fn issues(issues: Vec<Candidate>) -> Self::Issues {
        issues
    }

    fn runs(&mut self, runs: Self::Runs) -> Self::Runs {
        runs
    }

    fn select(&mut self, issues: &Self::Issues, in_flight: &[String]) -> Vec<Outcome> {
        contest::select(issues, in_flight, |_, issue| first_gate(&self.0, issue))
    }

    fn outcomes(decisions: Vec<Outcome>) -> Vec<Outcome> {
        decisions
    }

    fn step(&mut self, runs: &Self::Runs) -> Vec<Option<usize>> {
        runs.iter().map(|(state, facts)| row(state, facts)).collect()
    }
}

impl Engine for Traced {
    type Issues = Vec<Candidate>;
    type Runs = Vec<(&'static str, RunFacts)>;
    type Decisions = (Vec<Outcome>, Vec<[u8; 3]>);

    fn prepare() -> Self {
        Self(world::allowlist().into_iter().collect())
    }

    fn issues(issues: Vec<Candidate>) -> Self::Issues {
        issues
    }

    fn runs(&mut self, runs: Self::Runs) -> Self::Runs {
        runs
    }

    fn select(&mut self, issues: &Self::Issues, in_flight: &[String]) -> Self::Decisions {
        let mut traces = Vec::with_capacity(issues.len());
        let outcomes = contest::select(issues, in_flight, |_, issue| {
            let trace = every_gate(&self.0, issue);
            traces.push([trace.failed, trace.unknown, trace.not_read]);
            trace.fired()
        });
        (outcomes, traces)
    }

    fn outcomes((outcomes, _): Self::Decisions) -> Vec<Outcome> {
        outcomes
    }

    fn step(&mut self, runs: &Self::Runs) -> Vec<Option<usize>> {
        runs.iter().map(|(state, facts)| row(state, facts)).collect()
    }
}

fn holds_back(label: &String) -> bool {
    label == "ready-for-human" || label == "paused"
}

fn first_gate(allowlist: &HashSet<String>, issue: &Candidate) -> Option<usize> {
    let facts = &issue.facts;
    if !allowlist.contains(&facts.repo) {
        return Some(0);
    }
    let mut unknown = None;
    match &facts.labels {
        Known(labels) if labels.iter().any(holds_back) => return Some(1),
        Known(_) => {}
        _ => unknown = unknown.or(Some(1)),
    }
    match facts.has_run {
        Known(true) => return Some(2),
        Known(false) => {}
        _ => unknown = unknown.or(Some(2)),
    }
    match facts.in_flight_in_repo {
        Known(count) if count >= 1 => return Some(3),
        Known(_) => {}
        _ => unknown = unknown.or(Some(3)),
    }
    match facts.trusted {
        Known(false) => return Some(4),
        Known(true) => {}
        _ => unknown = unknown.or(Some(4)),
    }
    match facts.already_run {
        Known(true) => return Some(5),
        Known(false) => {}
        _ => unknown = unknown.or(Some(5)),
    }
    match facts.edited_since_armed {
        Known(true) => return Some(6),
        Known(false) => {}
        _ => unknown = unknown.or(Some(6)),
    }
    match &facts.open_blockers {
        Known(blockers) if !blockers.is_empty() => return Some(7),
        Known(_) => {}
        _ => unknown = unknown.or(Some(7)),
    }
    unknown
}

fn every_gate(allowlist: &HashSet<String>, issue: &Candidate) -> Trace {
    let facts = &issue.facts;
    let mut trace = Trace { failed: u8::from(!allowlist.contains(&facts.repo)), ..Trace::default() };
    trace.note(1, &facts.labels, |labels| !labels.iter().any(holds_back));
    trace.note(2, &facts.has_run, |has_run| !has_run);
    trace.note(3, &facts.in_flight_in_repo, |count| *count < 1);
    trace.note(4, &facts.trusted, |trusted| *trusted);
    trace.note(5, &facts.already_run, |already_run| !already_run);
    trace.note(6, &facts.edited_since_armed, |edited| !edited);
    trace.note(7, &facts.open_blockers, Vec::is_empty);
    trace
}

const SETTLE: Duration = Duration::from_secs(2 * 60);
const START: Duration = Duration::from_secs(10 * 60);
const INPUT: Duration = Duration::from_secs(15 * 60);
const STALL: Duration = Duration::from_secs(45 * 60);
const UNREACHABLE: Duration = Duration::from_secs(4 * 3600);
const VERDICT: Duration = Duration::from_secs(2 * 3600);
const RUN: Duration = Duration::from_secs(24 * 3600);
const FIX_FORWARD: Duration = Duration::from_secs(60 * 60);

/// The first of the rows that matches, counted from 0.
fn row(state: &str, facts: &RunFacts) -> Option<usize> {
    use AgentStatus::{Failed, Gone, Idle, Running, Starting, Waiting};
    let (agent, ci, quiet) = (facts.agent, facts.ci, facts.quiet);
    if facts.held == Known(true) {
        return Some(0);
    }
    if matches!(facts.issue, Known(IssueStatus::Closed | IssueStatus::Gone)) {
        return Some(1);
    }
    let (working, verifying, fixing) = (state == "working", state == "verifying", state == "fixing");
    let ended = matches!(agent, Idle | Failed | Gone);
    let at_work = matches!(agent, Starting | Running);
    let spent = || facts.cost_usd.known().is_some_and(|cost| *cost > 100.0);
    let unreachable = || agent == AgentStatus::Unknown && quiet >= UNREACHABLE;
    let no_verdict =
        || matches!(ci, CiStatus::None | CiStatus::Pending | CiStatus::Unknown) && facts.verdict_wait >= VERDICT;
    if working {
        return if facts.pushed == Known(true) {
            Some(2)
        } else if spent() {
            Some(7)
        } else if facts.age >= RUN {
            Some(8)
        } else if unreachable() {
            Some(9)
        } else if agent == Waiting && quiet >= INPUT {
            Some(10)
        } else if agent == Starting && quiet >= START {
            Some(11)
        } else if agent == Running && quiet >= STALL {
            Some(12)
        } else if facts.pushed == Known(false) && ended && quiet >= SETTLE {
            Some(13)
        } else if ended && quiet >= VERDICT {
            Some(14)
        } else {
            None
        };
    }
    if fixing {
        return if matches!(ci, CiStatus::None | CiStatus::Pending | CiStatus::Green) || !facts.told {
            Some(3)
        } else if spent() {
            Some(7)
        } else if facts.age >= RUN {
            Some(8)
        } else if unreachable() {
            Some(9)
        } else if agent == Waiting && quiet >= INPUT {
            Some(15)
        } else if ci == CiStatus::Red && ended && quiet >= SETTLE {
            Some(23)
        } else if agent == Starting && quiet >= START || agent == Running && quiet >= STALL {
            Some(24)
        } else if no_verdict() {
            Some(25)
        } else {
            None
        };
    }
    if !verifying {
        return None;
    }
    let (green, red) = (ci == CiStatus::Green, ci == CiStatus::Red);
    let landed = facts.landed == Known(true);
    let open = || facts.landed == Known(false) && facts.pull_request == Known(PullRequestStatus::Open);
    let untouched = || facts.touched_protected == Known(false);
    if facts.touched_protected == Known(true) && (ended && quiet >= SETTLE || at_work && quiet >= STALL) {
        Some(4)
    } else if landed && untouched() && green && agent == Idle && quiet >= SETTLE {
        Some(5)
    } else if open() && green && agent == Idle && quiet >= SETTLE {
        Some(6)
    } else if spent() {
        Some(7)
    } else if facts.age >= RUN {
        Some(8)
    } else if unreachable() {
        Some(9)
    } else if agent == Waiting && quiet >= INPUT {
        Some(15)
    } else if landed && untouched() && green && at_work && quiet >= STALL {
        Some(16)
    } else if open() && green && at_work && quiet >= STALL {
        Some(17)
    } else if facts.landed == Known(false)
        && ended
        && quiet >= SETTLE
        && match facts.pull_request {
            Known(PullRequestStatus::Closed) => true,
            Known(PullRequestStatus::Draft) => green,
            _ => false,
        }
    {
        Some(18)
    } else if green && matches!(agent, Failed | Gone) && quiet >= SETTLE {
        Some(19)
    } else if green && (agent == Idle || at_work) && quiet >= VERDICT {
        Some(20)
    } else if red
        && !facts.told
        && matches!(agent, Idle | Failed)
        && quiet >= SETTLE
        && facts.attempts < 5
        && (facts.attempts == 0 || facts.red_for < FIX_FORWARD)
    {
        Some(21)
    } else if red && (ended && quiet >= SETTLE || at_work && quiet >= STALL) {
        Some(22)
    } else if no_verdict() {
        Some(25)
    } else {
        None
    }
}
