//! Which of today's issues and runs two policies decide differently, and of which that cannot be told.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::derived::{self, Lost, Origin};
use super::later::{self, Later};
use super::snapshot::{Resting, Snapshot};
use crate::cli::queue;
use crate::engine::select::{Candidate, Decision, Outcome, fired, select};
use crate::engine::step::{Advance, Circumstances, End, Machine};
use crate::policy::facts::{IssueFact, Observed, RunFacts};
use crate::policy::{Effect, Policy, pattern};

/// From this age on it is said how old a snapshot is.
const OLD: TimeDelta = TimeDelta::days(1);

/// Today under both policies.
#[derive(Debug)]
pub struct Today {
    /// When it was read.
    pub at: Option<DateTime<Utc>>,
    /// How many whole hours ago that was, where it is a day or more.
    pub hours_old: Option<i64>,
    /// How many armed issues there were.
    pub issues: usize,
    /// How many runs.
    pub runs: usize,
    /// What nobody looked at, one sentence each.
    pub unseen: Vec<String>,
    /// What is decided differently: issues first.
    pub changes: Vec<Change>,
    /// What may be decided differently, and what that hangs on: issues first.
    pub untold: Vec<Untold>,
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

/// One issue or run of which it cannot be told whether it is decided differently.
#[derive(Debug)]
pub struct Untold {
    /// `owner/name#N`.
    pub reference: String,
    /// What that hangs on.
    pub why: String,
}

impl Today {
    /// The changes of issues, or of runs.
    pub fn of(&self, runs: bool) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.is_run == runs)
    }

    /// Whether everything was seen and could be told.
    pub fn is_whole(&self) -> bool {
        self.untold.is_empty() && self.unseen.is_empty()
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
        let untold = self.untold.iter().map(|untold| json!({ "issue": untold.reference, "why": untold.why }));
        json!({
            "at": self.at,
            "hours_old": self.hours_old,
            "issues_read": self.issues,
            "runs_read": self.runs,
            "not_looked_at": self.unseen,
            "issues": documents(false),
            "runs": documents(true),
            "cannot_be_told": untold.collect::<Vec<_>>(),
        })
    }
}

/// One issue, as each of the two policies sees it.
struct Seen {
    old: Candidate,
    new: Candidate,
    /// What either would have to read again, and why.
    lost: Vec<(Lost<IssueFact>, String)>,
}

/// What was read: once, or under each policy by itself.
#[derive(Debug)]
pub enum Reading {
    /// One snapshot, of either policy or of another.
    Once(Snapshot),
    /// Under the old policy, and under the new one.
    Twice(Box<(Snapshot, Snapshot)>),
}

/// Decides today by both policies.
pub fn compare(old: &Policy, new: &Policy, reading: &Reading, now: DateTime<Utc>) -> Today {
    let (read_old, read_new) = match reading {
        Reading::Once(snapshot) => (snapshot, snapshot),
        Reading::Twice(both) => (&both.0, &both.1),
    };
    let origin = |policy, word| Origin { policy: Some(policy), word };
    let (of_old, of_new) = match reading {
        Reading::Twice(_) => (origin(old, "the old"), origin(new, "the new")),
        Reading::Once(snapshot) => {
            let one = match snapshot.revision.as_deref() {
                Some(revision) if revision == old.revision => origin(old, "the old"),
                Some(revision) if revision == new.revision => origin(new, "the new"),
                _ => Origin { policy: None, word: "another" },
            };
            (one, one)
        }
    };
    let issues = issues(old, new, (read_old, of_old), (read_new, of_new));
    let before = decide(old, &issues.iter().map(|issue| issue.old.clone()).collect::<Vec<_>>(), &read_old.in_flight);
    let after = decide(new, &issues.iter().map(|issue| issue.new.clone()).collect::<Vec<_>>(), &read_new.in_flight);
    let (mut changes, mut untold) = (Vec::new(), Vec::new());
    for ((issue, was), is) in issues.iter().zip(&before).zip(&after) {
        let reference = format!("{}#{}", issue.old.facts.repo, issue.old.facts.number);
        let change = |before: String, after: String| Change {
            reference: reference.clone(),
            is_run: false,
            before,
            after,
            trace: is.trace.clone(),
        };
        let is_armed = was.kind != Kind::NotArmed && is.kind != Kind::NotArmed;
        let is_told = was.kind != Kind::Unread && is.kind != Kind::Unread;
        match later::compare(old, new, &issue.old, &issue.new, &issue.lost).filter(|_| is_armed) {
            Some(Later::HangsOn(why)) => {
                if is_told && was.kind != is.kind {
                    changes.push(change(was.words.clone(), is.words.clone()));
                }
                untold.push(Untold { reference: reference.clone(), why });
            }
            Some(Later::Differs { .. }) if is_told && was.kind != is.kind => {
                changes.push(change(was.words.clone(), is.words.clone()));
            }
            Some(Later::Differs { before, after }) => {
                let now = |decided: &Decided, later: String| match decided.kind {
                    Kind::Denied | Kind::Waits if decided.words == later => later,
                    Kind::Denied | Kind::Waits => format!("{}; once that is over: {later}", decided.words),
                    Kind::NotArmed | Kind::Unread | Kind::Dispatched => later,
                };
                changes.push(change(now(was, before), now(is, after)));
            }
            None if was.kind != is.kind => changes.push(change(was.words.clone(), is.words.clone())),
            None => {}
        }
    }
    for run in &read_old.runs {
        let twin =
            read_new.runs.iter().find(|one| is_same((&one.facts.repo, one.number), (&run.facts.repo, run.number)));
        let (twin, of_twin) = twin.map_or((run, of_old), |twin| (twin, of_new));
        if !run.pending {
            of_run((old, run, of_old), (new, twin, of_twin), &mut changes, &mut untold);
        }
    }
    let mut unseen = if matches!(reading, Reading::Once(_)) { unseen(old, new, of_old) } else { Vec::new() };
    for ((issue, was), is) in issues.iter().zip(&before).zip(&after) {
        if was.kind == Kind::Dispatched || is.kind == Kind::Dispatched {
            unseen.extend(troubled(issue, [read_old, read_new]));
        }
    }
    let at = read_old.at.or(read_new.at);
    let age = at.map(|at| now.signed_duration_since(at)).filter(|age| *age >= OLD);
    Today {
        at,
        hours_old: age.map(|age| age.num_hours()),
        issues: issues.len(),
        runs: read_old.runs.len(),
        unseen,
        changes,
        untold,
    }
}

/// What could not be read of an issue that is said to be dispatched.
fn troubled(issue: &Seen, read: [&Snapshot; 2]) -> BTreeSet<String> {
    let reference = format!("{}#{}: ", issue.old.facts.repo, issue.old.facts.number);
    let problems = read.into_iter().flat_map(|snapshot| &snapshot.problems);
    problems
        .filter(|problem| problem.starts_with(&reference))
        .map(|one| format!("not all could be read: {one}"))
        .collect()
}

fn is_same(one: (&str, i64), other: (&str, i64)) -> bool {
    one.1 == other.1 && pattern::same(one.0, other.0)
}

/// Every issue that is armed under either policy.
fn issues(old: &Policy, new: &Policy, of_old: (&Snapshot, Origin<'_>), of_new: (&Snapshot, Origin<'_>)) -> Vec<Seen> {
    let key = |issue: &Candidate| (issue.facts.repo.to_ascii_lowercase(), issue.facts.number);
    let olds: std::collections::BTreeMap<_, _> = of_old.0.issues.iter().map(|issue| (key(issue), issue)).collect();
    let news: std::collections::BTreeMap<_, _> = of_new.0.issues.iter().map(|issue| (key(issue), issue)).collect();
    let keys: BTreeSet<_> = olds.keys().chain(news.keys()).collect();
    let (old_in_flight, new_in_flight) = (InFlight::of(of_old.0), InFlight::of(of_new.0));
    let seen = keys.into_iter().filter_map(|key| {
        let (was, is) = (olds.get(key), news.get(key));
        // Each policy first reads what was read under itself, then what the other has for it.
        let side = |policy, other, own: Option<(&Candidate, Origin<'_>)>, foreign: Option<(&Candidate, Origin<'_>)>| {
            let (first, origin) = own.or(foreign)?;
            let (mut candidate, mut lost) = derived::issue(first, policy, other, origin);
            if let (Some(_), Some((second, origin))) = (own, foreign) {
                let (second, unusable) = derived::issue(second, policy, other, origin);
                derived::fill(&mut candidate.facts, &second.facts);
                candidate.armed_at = candidate.armed_at.or(second.armed_at);
                candidate.created_at = candidate.created_at.or(second.created_at);
                lost.extend(unusable.into_iter().filter(|one| is_unread(&candidate, one.fact)));
            }
            let lost = lost.into_iter().map(|one| (one, derived::lost(one, origin))).collect::<Vec<_>>();
            Some((candidate, lost))
        };
        let (was, is) = (was.map(|issue| (*issue, of_old.1)), is.map(|issue| (*issue, of_new.1)));
        let (mut old_side, mut lost) = side(old, new, was, is)?;
        let (mut new_side, more) = side(new, old, is, was)?;
        lost.extend(more);
        old_in_flight.count(&mut old_side);
        new_in_flight.count(&mut new_side);
        Some(Seen { old: old_side, new: new_side, lost })
    });
    seen.collect()
}

fn is_unread(candidate: &Candidate, fact: IssueFact) -> bool {
    use crate::policy::facts::{Facts, Reading};
    candidate.facts.read(fact) == Reading::NotRead
}

/// What is in flight, as a snapshot has it: by repository, in lower case.
struct InFlight(std::collections::HashMap<String, i64>);

impl InFlight {
    fn of(snapshot: &Snapshot) -> Self {
        let mut counts = std::collections::HashMap::new();
        for repo in &snapshot.in_flight {
            *counts.entry(repo.to_ascii_lowercase()).or_default() += 1;
        }
        Self(counts)
    }

    fn count(&self, issue: &mut Candidate) {
        let in_repo = self.0.get(&issue.facts.repo.to_ascii_lowercase()).copied().unwrap_or(0);
        issue.facts.in_flight_in_repo = Observed::Known(in_repo);
        issue.facts.in_flight = Observed::Known(self.0.values().sum());
    }
}

/// What a snapshot cannot hold, because the policy that it was taken under did not ask for it.
fn unseen(old: &Policy, new: &Policy, origin: Origin<'_>) -> Vec<String> {
    let asked = origin.policy.unwrap_or(old);
    let mut unseen = Vec::new();
    for (policy, word) in [(old, "old"), (new, "new")] {
        let known = asked.allowlist.value.iter().collect::<Vec<_>>();
        let freed = asked.denylist.value.iter().any(|pattern| !policy.denylist.value.contains(pattern));
        if freed || policy.allowlist.value.iter().any(|pattern| !known.contains(&pattern)) {
            unseen.push(format!("repositories that only the {word} policy enrolls were not looked at"));
        }
        let rules = |policy: &Policy| -> Vec<String> {
            let all = std::iter::once(&policy.base).chain(policy.overrides.iter().map(|(_, rules)| rules));
            all.map(|rules| rules.labels.ready.value.clone()).collect()
        };
        let ready = rules(asked);
        let other: BTreeSet<String> =
            rules(policy).into_iter().filter(|label| !ready.iter().any(|one| pattern::same(one, label))).collect();
        unseen.extend(other.iter().map(|label| {
            format!("issues that carry only `{}` were not looked at", crate::text::clean_line(label, 100))
        }));
    }
    unseen.dedup();
    unseen
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
fn decide(policy: &Policy, issues: &[Candidate], in_flight: &[String]) -> Vec<Decided> {
    // What is not enrolled takes nobody's place, whatever its gates say.
    let (enrolled, others): (Vec<Candidate>, Vec<Candidate>) = issues
        .iter()
        .filter(|issue| is_armed(policy, issue))
        .cloned()
        .partition(|issue| policy.enrolled(&issue.facts.repo));
    let mut decisions = select(policy, &enrolled, in_flight).into_iter();
    let mut of_others = select(policy, &others, in_flight).into_iter();
    let decide = |issue: &Candidate| {
        if !is_armed(policy, issue) {
            return Decided { kind: Kind::NotArmed, words: "not armed".to_owned(), trace: String::new() };
        }
        let decision = if policy.enrolled(&issue.facts.repo) { decisions.next() } else { of_others.next() };
        decision.map_or_else(
            || Decided { kind: Kind::Unread, words: later::GOES.to_owned(), trace: String::new() },
            |decision| told(policy, issue, &decision),
        )
    };
    issues.iter().map(decide).collect()
}

fn is_armed(policy: &Policy, issue: &Candidate) -> bool {
    let ready = &policy.rules(&issue.facts.repo).labels.ready.value;
    issue.facts.labels.known().is_none_or(|labels| labels.iter().any(|label| pattern::same(label, ready)))
}

fn told(policy: &Policy, issue: &Candidate, decision: &Decision) -> Decided {
    let name = fired(policy, issue, decision).unwrap_or_default();
    let (kind, words) = match decision.outcome {
        Outcome::Gate(_) | Outcome::KillSwitch | Outcome::Paused => (Kind::Denied, format!("denied: {name}")),
        _ if !policy.enrolled(&issue.facts.repo) => (Kind::Denied, "denied: not enrolled".to_owned()),
        Outcome::Dispatch(place) => (Kind::Dispatched, format!("dispatched (as number {place})")),
        Outcome::Unread => (Kind::Unread, later::GOES.to_owned()),
        Outcome::Slot(_) | Outcome::Capacity(_) => (Kind::Waits, format!("waits: {name}")),
    };
    let gates = policy.rules(&issue.facts.repo).gates.iter().enumerate();
    let trace: Vec<String> =
        gates.map(|(gate, rule)| format!("{} {}", rule.name, queue::verdict(decision.trace.verdict(gate)))).collect();
    Decided { kind, words, trace: trace.join(" · ") }
}

type Side<'a> = (&'a Policy, &'a Resting, Origin<'a>);

fn of_run(old: Side<'_>, new: Side<'_>, changes: &mut Vec<Change>, untold: &mut Vec<Untold>) {
    let (was, lost) = derived::runs(&old.1.facts, old.0, new.0, old.2);
    let (is, more) = derived::runs(&new.1.facts, new.0, old.0, new.2);
    let each = |(policy, run, _): Side<'_>, all: &[RunFacts]| {
        let repo = &run.facts.repo;
        let rules = policy.rules(repo);
        let circumstances = Circumstances { kill_switch: policy.kill_switch.value, enrolled: policy.enrolled(repo) };
        let machine = Machine::new(rules);
        let decide = |facts: &RunFacts| {
            let advanced = machine.advance(&run.state, facts, circumstances);
            (comes_to(rules, &advanced), words(&advanced))
        };
        all.iter().map(decide).collect::<Vec<_>>()
    };
    let (was, is) = (each(old, &was), each(new, &is));
    let Some(((first, before), (after_first, after))) = was.first().zip(is.first()) else { return };
    let reference = format!("{}#{}", old.1.facts.repo, old.1.number);
    let is_clear = |all: &[(_, _)], first| all.iter().all(|(one, _)| one == first);
    if !is_clear(&was, first) || !is_clear(&is, after_first) {
        let why = lost.iter().map(|one| derived::lost(*one, old.2));
        let why: BTreeSet<String> = why.chain(more.iter().map(|one| derived::lost(*one, new.2))).collect();
        let why = why.into_iter().collect::<Vec<_>>().join("; ");
        untold.push(Untold { reference, why: format!("run in `{}`: {why}", old.1.state) });
    } else if first != after_first {
        changes.push(Change {
            reference,
            is_run: true,
            before: format!("{}: {before}", old.1.state),
            after: format!("{}: {after}", new.1.state),
            trace: format!("{} → {after}", new.1.state),
        });
    }
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
