//! Which armed issues may be dispatched now, in which order, and why the others may not.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

use chrono::{DateTime, Utc};

use super::evaluate::{self, Verdict};
use super::order::{self, RepoHasher, RepoKey};
use super::plan::{Plan, Plans};
pub use super::trace::GateTrace;
use crate::policy::facts::{FactName, Facts, IssueFact, IssueFacts, Reading};
use crate::policy::{Condition, OrderKey, Policy, Span};

/// An armed issue, as `select` sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// What gates read.
    pub facts: IssueFacts,
    /// For `order`: when the *ready* label was applied; unknown comes last.
    pub armed_at: Option<DateTime<Utc>>,
    /// For `order`: when the issue was opened; unknown comes last.
    pub created_at: Option<DateTime<Utc>>,
}

/// What was decided on one issue, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What happens to it.
    pub outcome: Outcome,
    /// Every gate's verdict; none is read while the kill switch is on.
    pub trace: GateTrace,
}

/// What happens to an armed issue in this tick. Issues are named by their index in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is dispatched, as the n-th of this tick, counted from 1.
    Dispatch(usize),
    /// It would be dispatched, but for facts that nobody has read yet: read them and select again.
    Unread,
    /// This gate fired; the verdict in the trace says whether it denied or could not be established.
    Gate(usize),
    /// The repository's last slot goes to the issue of this index, or went to runs in flight (`None`).
    Slot(Option<usize>),
    /// A limit of the whole installation cut it off, or the last that goes before it in its repository.
    Capacity(CapacityLimit),
    /// The kill switch is on.
    KillSwitch,
    /// `[repos]` pauses its repository.
    Paused,
}

/// Which limit cut the tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapacityLimit {
    /// `dispatch.max_in_flight`.
    MaxInFlight,
    /// `dispatch.max_per_tick`.
    MaxPerTick,
}

/// Decides on every issue; the decisions are in the order of the input, and do not depend on it. `in_flight` names the
/// repository of every run in flight, one entry a run.
pub fn select(policy: &Policy, candidates: &[Candidate], in_flight: &[String]) -> Vec<Decision> {
    if policy.kill_switch.value {
        return vec![Decision { outcome: Outcome::KillSwitch, trace: GateTrace::default() }; candidates.len()];
    }
    let plans = Plans::new(policy);
    let ranking = Ranking { order: &policy.base.priority.order, candidates };
    let mut repos = Repos { plans: &plans, all: HashMap::default() };
    for name in in_flight {
        let repo = repos.named(name);
        repo.free = repo.free.saturating_sub(1);
    }

    let mut decisions = Vec::with_capacity(candidates.len());
    let mut eligible = Vec::with_capacity(candidates.len());
    for (index, candidate) in candidates.iter().enumerate() {
        let repo = repos.named(&candidate.facts.repo);
        let trace = repo.plan.trace(repo.trace, &candidate.facts);
        let outcome = if repo.plan.rules.paused.is_some() {
            Outcome::Paused
        } else if let Some(gate) = repo.plan.beyond.or_else(|| trace.fired()) {
            Outcome::Gate(gate)
        } else {
            repo.enter(index, &ranking);
            eligible.push((index, repo.id));
            Outcome::Slot(None)
        };
        decisions.push(Decision { outcome, trace });
    }

    let mut winners = Vec::new();
    let mut behind = vec![Outcome::Slot(None); repos.all.len()];
    for repo in repos.all.values_mut() {
        repo.settle(&ranking);
        winners.extend(repo.leaders.iter().map(|index| (*index, repo.id, repo.plan.bits)));
        if let Some(behind) = behind.get_mut(repo.id) {
            *behind = Outcome::Slot(repo.leaders.last().copied());
        }
    }
    winners.sort_unstable_by(|(left, ..), (right, ..)| ranking.compare(*left, *right));
    let dispatch = &policy.base.dispatch;
    let room = dispatch.max_in_flight.value.saturating_sub(in_flight.len());
    let (places, limit) = if room <= dispatch.max_per_tick.value {
        (room, CapacityLimit::MaxInFlight)
    } else {
        (dispatch.max_per_tick.value, CapacityLimit::MaxPerTick)
    };
    // Whoever does not go takes no slot from those behind it.
    for (_, repo, _) in winners.iter().skip(places) {
        if let Some(behind) = behind.get_mut(*repo) {
            *behind = Outcome::Capacity(limit);
        }
    }
    for (index, repo) in eligible {
        if let (Some(decision), Some(behind)) = (decisions.get_mut(index), behind.get(repo)) {
            decision.outcome = *behind;
        }
    }
    let mut dispatched: usize = 0;
    for (taken, (index, _, bits)) in winners.into_iter().enumerate() {
        let Some(decision) = decisions.get_mut(index) else { continue };
        decision.outcome = if taken >= places {
            Outcome::Capacity(limit)
        } else if decision.trace.lacks(bits) {
            Outcome::Unread
        } else {
            dispatched = dispatched.saturating_add(1);
            Outcome::Dispatch(dispatched)
        };
    }
    decisions
}

/// Every repository met so far.
struct Repos<'a> {
    plans: &'a Plans<'a>,
    all: HashMap<RepoKey<'a>, Repo<'a>, BuildHasherDefault<RepoHasher>>,
}

/// A repository, and the contest for its slots.
struct Repo<'a> {
    /// Counted from 0 in the order in which they were met.
    id: usize,
    plan: &'a Plan<'a>,
    /// With the gates that are the same for all its issues.
    trace: GateTrace,
    /// How many slots runs in flight leave.
    free: usize,
    /// The best eligible issues so far, among some that are not; after [`Repo::settle`] those that
    /// take one, best first.
    leaders: Vec<usize>,
    /// The last of them when all slots were taken: what is worse cannot win any more.
    bar: Option<usize>,
}

impl<'a> Repos<'a> {
    fn named(&mut self, name: &'a str) -> &mut Repo<'a> {
        let id = self.all.len();
        self.all.entry(RepoKey(name)).or_insert_with(|| {
            let plan = self.plans.of(name);
            Repo {
                id,
                plan,
                trace: plan.trace_of_repo(name),
                free: plan.rules.dispatch.slots_per_repo.value,
                leaders: Vec::new(),
                bar: None,
            }
        })
    }
}

impl Repo<'_> {
    /// Lets an eligible issue compete for a slot.
    fn enter(&mut self, index: usize, ranking: &Ranking<'_>) {
        let beaten = self.bar.is_some_and(|bar| ranking.compare(index, bar).is_gt());
        if self.free == 0 || beaten {
            return;
        }
        self.leaders.push(index);
        if self.leaders.len() >= self.free.saturating_mul(2) {
            self.settle(ranking);
        }
    }

    /// Keeps one issue a free slot, best first. Of several entries for the same issue only the best counts.
    fn settle(&mut self, ranking: &Ranking<'_>) {
        self.leaders.sort_unstable_by(|left, right| ranking.compare(*left, *right));
        if self.free > 1 {
            let mut seen = HashSet::new();
            self.leaders.retain(|index| seen.insert(ranking.number(*index)));
        }
        self.leaders.truncate(self.free);
        self.bar = if self.leaders.len() == self.free { self.leaders.last().copied() } else { None };
    }
}

/// The order of the issues by their index.
struct Ranking<'a> {
    order: &'a [OrderKey],
    candidates: &'a [Candidate],
}

impl Ranking<'_> {
    fn compare(&self, left: usize, right: usize) -> Ordering {
        match (self.candidates.get(left), self.candidates.get(right)) {
            (Some(one), Some(other)) => order::compare(self.order, one, other).then(left.cmp(&right)),
            _ => left.cmp(&right),
        }
    }

    fn number(&self, index: usize) -> Option<i64> {
        self.candidates.get(index).map(|candidate| candidate.facts.number)
    }
}

/// The place of an issue among those of its repository that no gate denies, counted from 1, and how many they are;
/// `None` where a gate denies it.
pub fn place_in_repo(
    policy: &Policy,
    candidates: &[Candidate],
    decisions: &[Decision],
    index: usize,
) -> Option<(usize, usize)> {
    let passed =
        |outcome| matches!(outcome, Outcome::Dispatch(_) | Outcome::Unread | Outcome::Slot(_) | Outcome::Capacity(_));
    let candidate = candidates.get(index)?;
    decisions.get(index).filter(|decision| passed(decision.outcome))?;
    let ranking = Ranking { order: &policy.base.priority.order, candidates };
    let queue = candidates.iter().zip(decisions).enumerate().filter(|(_, (other, decision))| {
        RepoKey(&other.facts.repo) == RepoKey(&candidate.facts.repo) && passed(decision.outcome)
    });
    let (before, all) = queue.fold((0_usize, 0_usize), |(before, all), (other, _)| {
        (before.saturating_add(usize::from(ranking.compare(other, index).is_lt())), all.saturating_add(1))
    });
    Some((before.saturating_add(1), all))
}

/// What fired, as test files call it: a gate by its name, `kill-switch`, `paused`, `slot` or `capacity`; `None` for an
/// issue that is dispatched, or would be but for facts not read.
pub fn fired<'p>(policy: &'p Policy, candidate: &Candidate, decision: &Decision) -> Option<&'p str> {
    match decision.outcome {
        Outcome::Dispatch(_) | Outcome::Unread => None,
        Outcome::Gate(gate) => policy.rules(&candidate.facts.repo).gates.get(gate).map(|gate| gate.name.as_str()),
        Outcome::Slot(_) => Some("slot"),
        Outcome::Capacity(_) => Some("capacity"),
        Outcome::KillSwitch => Some("kill-switch"),
        Outcome::Paused => Some("paused"),
    }
}

/// One sentence for people on what was decided about the issue of that index. It may quote untrusted text: clean it
/// before it is shown.
pub fn sentence(policy: &Policy, candidates: &[Candidate], index: usize, decision: &Decision) -> String {
    let Some(candidate) = candidates.get(index) else { return String::new() };
    let repo = &candidate.facts.repo;
    let rules = policy.rules(repo);
    let dispatch = &policy.base.dispatch;
    let limit =
        |name: &str, value: usize, span: Span| format!("dispatch.{name} = {value} ({})", policy.line_in_words(span));
    let unread = || -> Vec<&str> {
        let gates = rules.gates.iter().enumerate();
        let unread = gates.filter(|(gate, _)| decision.trace.verdict(*gate) == Verdict::NotRead);
        unread.map(|(_, gate)| gate.name.as_str()).collect()
    };
    match decision.outcome {
        Outcome::Dispatch(place) => format!("dispatched as number {place} of this tick"),
        Outcome::Unread => format!("goes next, once the facts for {} are read", unread().join(", ")),
        Outcome::Gate(gate) => {
            let Some(gate_rules) = rules.gates.get(gate) else { return String::new() };
            if decision.trace.verdict(gate) == Verdict::Fails {
                gate_rules.message.of_issue(&candidate.facts)
            } else {
                unestablished(&gate_rules.require, &candidate.facts)
            }
        }
        Outcome::Slot(winner) => {
            let lost = match winner.map(|winner| candidates.get(winner)) {
                Some(Some(winner)) => format!("behind {}#{}", winner.facts.repo, winner.facts.number),
                Some(None) => format!("behind another issue of {repo}"),
                None => {
                    let slots = &rules.dispatch.slots_per_repo;
                    format!("runs in flight fill {repo}: {}", limit("slots_per_repo", slots.value, slots.span))
                }
            };
            lost + &not_read(unread().len())
        }
        Outcome::Capacity(CapacityLimit::MaxInFlight) => {
            let limit = limit("max_in_flight", dispatch.max_in_flight.value, dispatch.max_in_flight.span);
            format!("{limit} is used up{}", not_read(unread().len()))
        }
        Outcome::Capacity(CapacityLimit::MaxPerTick) => {
            let limit = limit("max_per_tick", dispatch.max_per_tick.value, dispatch.max_per_tick.span);
            format!("{limit} is used up; it may go in the next tick{}", not_read(unread().len()))
        }
        Outcome::KillSwitch => "the kill switch is on".to_owned(),
        Outcome::Paused => match &rules.paused {
            Some(why) => format!("{repo} is paused: {} ({})", why.value, policy.line_in_words(why.span)),
            None => format!("{repo} is paused"),
        },
    }
}

/// That a gate may deny it all the same: nobody looked, because it cannot go now.
fn not_read(gates: usize) -> String {
    match gates {
        0 => String::new(),
        1 => " (1 gate not read yet)".to_owned(),
        many => format!(" ({many} gates not read yet)"),
    }
}

/// What a condition depends on that could not be established, and why.
fn unestablished(condition: &Condition<IssueFact>, facts: &IssueFacts) -> String {
    let mut reasons: Vec<String> = Vec::new();
    for test in evaluate::lacking(condition, facts) {
        if let Reading::Unknown(why) = facts.read(test.fact) {
            let reason = format!("`{}` cannot be established: {why}", test.fact.spec().name);
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
    }
    reasons.join("; ")
}
