//! Which of today's issues and runs two policies decide differently.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::snapshot::{Resting, Snapshot};
use crate::cli::queue;
use crate::engine::select::{Candidate, Decision, Outcome, fired, select};
use crate::engine::step::{Advance, Circumstances, End, advance};
use crate::policy::facts::Observed;
use crate::policy::{Effect, Policy, pattern};

/// Today under both policies.
#[derive(Debug)]
pub struct Today {
    /// When it was read.
    pub at: Option<DateTime<Utc>>,
    /// How many armed issues there were.
    pub issues: usize,
    /// How many runs.
    pub runs: usize,
    /// The new policy enrolls repositories that the old one does not: nobody looked there.
    pub is_partial: bool,
    /// What is decided differently: issues first.
    pub changes: Vec<Change>,
}

/// One issue or run that is decided differently.
#[derive(Debug)]
pub struct Change {
    /// `owner/name#N`.
    pub reference: String,
    /// Whether it is a run.
    pub is_run: bool,
    /// Under the old policy.
    pub before: String,
    /// Under the new policy.
    pub after: String,
    /// Under the new policy, in full.
    pub trace: String,
}

impl Today {
    /// The changes of issues, or of runs.
    pub fn of(&self, runs: bool) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.is_run == runs)
    }

    /// As JSON.
    pub fn document(&self) -> Value {
        let documents = |runs| -> Vec<Value> {
            let changes = self.of(runs).map(|change| {
                json!({
                    "issue": change.reference,
                    "before": change.before,
                    "after": change.after,
                    "trace": change.trace,
                })
            });
            changes.collect()
        };
        json!({
            "at": self.at,
            "issues_read": self.issues,
            "runs_read": self.runs,
            "repositories_unread": self.is_partial,
            "issues": documents(false),
            "runs": documents(true),
        })
    }
}

/// Decides today by both policies.
pub fn compare(old: &Policy, new: &Policy, snapshot: &Snapshot) -> Today {
    let (before, after) = (decide(old, snapshot), decide(new, snapshot));
    let mut changes = Vec::new();
    for (index, (was, is)) in before.iter().zip(&after).enumerate() {
        let Some(issue) = snapshot.issues.get(index).filter(|_| was.kind != is.kind) else { continue };
        changes.push(Change {
            reference: format!("{}#{}", issue.facts.repo, issue.facts.number),
            is_run: false,
            before: was.words.clone(),
            after: is.words.clone(),
            trace: is.trace.clone(),
        });
    }
    changes.extend(snapshot.runs.iter().filter(|run| !run.pending).filter_map(|run| of_run(old, new, run)));
    let lists = |policy: &Policy| -> Vec<String> { policy.allowlist.value.iter().map(ToString::to_string).collect() };
    let known = lists(old);
    Today {
        at: snapshot.at,
        issues: snapshot.issues.len(),
        runs: snapshot.runs.len(),
        is_partial: lists(new).iter().any(|pattern| !known.contains(pattern)),
        changes,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    NotArmed,
    Denied,
    Waits,
    Unread,
    Dispatched,
}

struct Decided {
    kind: Kind,
    words: String,
    trace: String,
}

/// Every issue of the snapshot under one policy.
fn decide(policy: &Policy, snapshot: &Snapshot) -> Vec<Decided> {
    let own: Vec<Candidate> = snapshot.issues.iter().map(|issue| under(policy, snapshot, issue)).collect();
    let armed: Vec<bool> = own.iter().map(|issue| is_armed(policy, issue)).collect();
    let candidates: Vec<Candidate> =
        own.iter().zip(&armed).filter(|(_, armed)| **armed).map(|(issue, _)| issue.clone()).collect();
    let mut decisions = select(policy, &candidates, &snapshot.in_flight).into_iter();
    own.iter()
        .zip(&armed)
        .map(|(issue, armed)| {
            let decision = if *armed { decisions.next() } else { None };
            decision.map_or_else(
                || Decided { kind: Kind::NotArmed, words: "not armed".to_owned(), trace: String::new() },
                |decision| told(policy, issue, &decision),
            )
        })
        .collect()
}

/// An issue with the facts that the policy itself shapes.
fn under(policy: &Policy, snapshot: &Snapshot, issue: &Candidate) -> Candidate {
    let mut issue = issue.clone();
    let facts = &mut issue.facts;
    if let Observed::Known(labels) = &facts.labels {
        facts.priority = Observed::Known(policy.rules(&facts.repo).priority.of(labels));
    }
    let count = |number: usize| Observed::Known(i64::try_from(number).unwrap_or(i64::MAX));
    let here = snapshot.in_flight.iter().filter(|repo| pattern::same(repo, &facts.repo)).count();
    facts.in_flight_in_repo = count(here);
    facts.in_flight = count(snapshot.in_flight.len());
    issue
}

fn is_armed(policy: &Policy, issue: &Candidate) -> bool {
    let ready = &policy.rules(&issue.facts.repo).labels.ready.value;
    issue.facts.labels.known().is_none_or(|labels| labels.iter().any(|label| pattern::same(label, ready)))
}

fn told(policy: &Policy, issue: &Candidate, decision: &Decision) -> Decided {
    let name = fired(policy, issue, decision).unwrap_or_default();
    let (kind, words) = match decision.outcome {
        Outcome::Dispatch(place) => (Kind::Dispatched, format!("dispatched (as number {place})")),
        Outcome::Unread => (Kind::Unread, "goes next, unless a fact not read yet denies it".to_owned()),
        Outcome::Slot(_) | Outcome::Capacity(_) => (Kind::Waits, format!("waits: {name}")),
        Outcome::Gate(_) | Outcome::KillSwitch | Outcome::Paused => (Kind::Denied, format!("denied: {name}")),
    };
    let gates = policy.rules(&issue.facts.repo).gates.iter().enumerate();
    let trace: Vec<String> =
        gates.map(|(gate, rule)| format!("{} {}", rule.name, queue::verdict(decision.trace.verdict(gate)))).collect();
    Decided { kind, words, trace: trace.join(" · ") }
}

fn of_run(old: &Policy, new: &Policy, run: &Resting) -> Option<Change> {
    let mut facts = run.facts.clone();
    let mut decide = |policy: &Policy| {
        let rules = policy.rules(&facts.repo).clone();
        if let Observed::Known(labels) = &facts.labels {
            facts.priority = Observed::Known(rules.priority.of(labels));
        }
        let circumstances =
            Circumstances { kill_switch: policy.kill_switch.value, enrolled: policy.enrolled(&facts.repo) };
        let advanced = advance(&rules, &run.state, &facts, circumstances);
        (comes_to(&rules, &advanced), words(&advanced))
    };
    let ((was, before), (is, after)) = (decide(old), decide(new));
    (was != is).then(|| Change {
        reference: format!("{}#{}", run.facts.repo, run.number),
        is_run: true,
        before: format!("{}: {before}", run.state),
        after: format!("{}: {after}", run.state),
        trace: format!("{} → {after}", run.state),
    })
}

/// The state in the end, and what is done for it.
fn comes_to(rules: &crate::policy::Rules, advanced: &Advance<'_>) -> (String, Vec<Effect>) {
    match advanced.end {
        End::Act(row) => (row.to.clone(), rules.effects(row).iter().map(|effect| effect.value.clone()).collect()),
        End::Wait | End::Held(..) | End::Circle => (advanced.state.clone(), Vec::new()),
    }
}

fn words(advanced: &Advance<'_>) -> String {
    let again = if advanced.restarted { " (goes on from the initial state)" } else { "" };
    let step = match (advanced.end, advanced.path.last()) {
        (End::Act(row), _) => format!("{} → {}", row.name, row.to),
        (End::Held(row, _), _) => format!("{} is held back", row.name),
        (End::Wait | End::Circle, Some(row)) => format!("{} → {}", row.name, row.to),
        (End::Wait | End::Circle, None) => "waits".to_owned(),
    };
    step + again
}
