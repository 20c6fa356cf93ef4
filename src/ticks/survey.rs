//! What `poll` would decide now, and why: the queue, read and judged. Changes nothing; `poll`, `explain` and `status`
//! all stand on it, so that an explanation is the very decision.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::engine::identity::RunId;
use crate::engine::order;
use crate::engine::select::{Candidate, Decision, Outcome, select};
use crate::policy::duration::since;
use crate::policy::facts::{IssueFact, IssueFacts, IssueStatus, Observed};
use crate::policy::{OrderBy, Policy, Rules};
use crate::ports::{Blocker, Edit, Issue, IssueRef, PortResult};

use super::arming::{self, Arming};
use super::fleet::{Fleet, observe, runs_of};
use super::world::Tick;

/// The queue of armed issues and what becomes of each.
#[derive(Debug)]
pub struct Survey {
    /// What is in flight.
    pub fleet: Fleet,
    /// Every armed issue, in the order of repository and number.
    pub armed: Vec<Armed>,
    /// The facts of each, for the engine.
    pub candidates: Vec<Candidate>,
    /// One decision an armed issue.
    pub decisions: Vec<Decision>,
    /// What stands in the way of those that are dispatched, where somebody asked for it: see [`super::poll::foretell`].
    pub hindered: BTreeMap<IssueRef, Hindrance>,
}

/// What stands in the way of a run that the policy would start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hindrance {
    /// It cannot be started, and why: the next poll skips it.
    CannotStart(String),
    /// The last poll, at that time, could not start it, and why; the next one tries again.
    FailedAt(DateTime<Utc>, String),
}

/// An armed issue and what was read of it.
#[derive(Debug, Clone)]
pub struct Armed {
    /// The issue.
    pub issue: Issue,
    /// Who armed it; `None` before that was read, where no event tells, and once a gate has denied it, unless somebody
    /// asks about it.
    pub arming: Option<Arming>,
    /// What the facts rest on, for people who ask about it.
    pub evidence: Evidence,
}

/// What the costly facts rest on.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Why the armer is trusted or not.
    pub trust: Option<String>,
    /// Every blocker, closed ones too.
    pub blockers: Vec<Blocker>,
    /// The last edit of the text.
    pub last_edit: Option<Edit>,
    /// The run that this arming has had already.
    pub earlier_run: Option<RunId>,
}

impl Armed {
    /// An issue of which only the listing is known.
    fn new(issue: Issue) -> Self {
        Self { issue, arming: None, evidence: Evidence::default() }
    }
}

/// The armed issues while they are read, in the order of repository and number; an entry of each an issue.
#[derive(Debug, Default)]
struct Queue {
    armed: Vec<Armed>,
    candidates: Vec<Candidate>,
    /// Whether the costly facts are still to be read.
    unread: Vec<bool>,
}

impl Queue {
    fn with_capacity(count: usize) -> Self {
        Self {
            armed: Vec::with_capacity(count),
            candidates: Vec::with_capacity(count),
            unread: Vec::with_capacity(count),
        }
    }

    fn remove(&mut self, indices: &BTreeSet<usize>) {
        for index in indices.iter().rev() {
            self.armed.remove(*index);
            self.candidates.remove(*index);
            self.unread.remove(*index);
        }
    }

    fn push(&mut self, armed: Armed, candidate: Candidate, unread: bool) {
        self.armed.push(armed);
        self.candidates.push(candidate);
        self.unread.push(unread);
    }

    fn into_entries(self) -> impl Iterator<Item = (Armed, Candidate, bool)> {
        self.armed.into_iter().zip(self.candidates).zip(self.unread).map(|((armed, it), unread)| (armed, it, unread))
    }

    fn entries(&mut self) -> impl Iterator<Item = (&mut Armed, &mut Candidate, &mut bool)> {
        let entries = self.armed.iter_mut().zip(&mut self.candidates).zip(&mut self.unread);
        entries.map(|((armed, candidate), unread)| (armed, candidate, unread))
    }
}

impl Survey {
    /// Why the run of an issue that is dispatched cannot be started.
    pub fn cannot_start(&self, issue: &IssueRef) -> Option<&str> {
        match self.hindered.get(issue) {
            Some(Hindrance::CannotStart(why)) => Some(why),
            _ => None,
        }
    }

    /// Whether a repository is enrolled at all, of those that the tracker shows.
    pub fn any_enrolled(&self, policy: &Policy) -> bool {
        self.fleet.repos.iter().any(|repo| policy.enrolled(repo))
    }

    /// The armed issues that are dispatched, in order.
    pub fn dispatched(&self) -> Vec<&Armed> {
        let mut chosen: Vec<(usize, &Armed)> = self
            .armed
            .iter()
            .zip(&self.decisions)
            .filter_map(|(armed, decision)| match decision.outcome {
                Outcome::Dispatch(place) => Some((place, armed)),
                _ => None,
            })
            .collect();
        chosen.sort_by_key(|(place, _)| *place);
        chosen.into_iter().map(|(_, armed)| armed).collect()
    }
}

/// Of how many issues that seem to go before the one that is asked about the costly facts are read: enough for the queue of
/// most repositories, and few enough for the budget of a server.
const RIVALS: usize = 10;

/// Reads the queue and decides. Costly facts are read only for issues that could win; and, for the issue that
/// `read_all` names, in any case, and for those that seem to go before it in its repository; that one is judged even where
/// its repository is not enrolled.
///
/// # Errors
/// When the tracker as a whole cannot be asked; single repositories and issues fail alone.
pub async fn survey(tick: &Tick<'_>, read_all: Option<&IssueRef>) -> PortResult<Survey> {
    let mut fleet = observe(tick).await?;
    let mut queue = armed_issues(tick, &fleet).await;
    if let Some(asked) = read_all.filter(|asked| queue.armed.iter().all(|armed| armed.issue.reference != **asked)) {
        let found = armed_elsewhere(tick, &fleet, asked).await;
        let mut all: Vec<_> = queue.into_entries().chain(found).collect();
        all.sort_by(|left, right| left.0.issue.reference.cmp(&right.0.issue.reference));
        queue = Queue::default();
        all.into_iter().for_each(|(armed, candidate, unread)| queue.push(armed, candidate, unread));
    }
    let is_asked = |armed: &Armed| read_all == Some(&armed.issue.reference);
    let by_arming = tick.policy.base.priority.order.iter().any(|key| key.by == OrderBy::ArmedAt);
    for (armed, candidate, unread) in queue.entries() {
        if is_asked(armed) && armed.issue.remembered {
            // Who asks wants to know how it is now.
            let rules = tick.policy.rules(&armed.issue.reference.repo);
            if let Ok(Some(issue)) = tick.world.tracker.issue(&armed.issue.reference).await
                && issue.status == IssueStatus::Open
                && issue.has_label(&rules.labels.ready.value)
            {
                *candidate = free_facts(tick, rules, &fleet, &issue);
                *armed = Armed::new(issue);
            }
        }
        if by_arming || is_asked(armed) {
            read_costly_facts(tick, &mut fleet, armed, candidate).await;
            *unread = false;
        }
    }
    let position = queue.armed.iter().position(is_asked);
    let asked = position.and_then(|index| queue.candidates.get(index)).cloned();
    let goes_before_asked = |candidate: &Candidate| {
        asked.as_ref().is_some_and(|asked| {
            asked.facts.repo.eq_ignore_ascii_case(&candidate.facts.repo)
                && order::compare(&tick.policy.base.priority.order, candidate, asked).is_lt()
        })
    };
    let mut rivals = RIVALS;
    let mut read = 0;
    loop {
        let before = read;
        let in_flight = fleet.in_flight();
        count_in_flight(&in_flight, &mut queue.candidates);
        let decisions = select(tick.policy, &queue.candidates, &in_flight);
        let is_next = |decision: &Decision| decision.outcome == Outcome::Unread;
        let read_any = decisions.iter().zip(&queue.unread).any(|(decision, unread)| is_next(decision) && *unread);
        // Behind those that were denied others come up, a few at a time. As many again as were read in vain are read
        // along, or a long queue would be selected from once for each few of it.
        let mut along = if read_any { read } else { 0 };
        for ((armed, candidate, unread), decision) in queue.entries().zip(&decisions) {
            let waits = matches!(decision.outcome, Outcome::Slot(_) | Outcome::Capacity(_));
            let may_wait = waits || lacks_room(tick.policy.rules(&armed.issue.reference.repo), decision.outcome);
            let is_rival = *unread && may_wait && rivals > 0 && goes_before_asked(candidate);
            if *unread && (is_next(decision) || is_rival || (waits && along > 0)) {
                if is_rival {
                    rivals -= 1;
                } else if waits {
                    along -= 1;
                }
                read_costly_facts(tick, &mut fleet, armed, candidate).await;
                *unread = false;
                read += 1;
            } else if matches!(decision.outcome, Outcome::Gate(_)) && !is_asked(armed) {
                // There may be very many of them. Without its text, it counts as remembered.
                armed.issue.body = String::new();
                armed.issue.remembered = true;
                armed.arming = None;
                armed.evidence = Evidence::default();
            }
        }
        if read == before && !read_chosen_anew(tick, &mut fleet, &mut queue, &decisions).await {
            let Queue { armed, candidates, .. } = queue;
            return Ok(Survey { fleet, armed, candidates, decisions, hindered: BTreeMap::new() });
        }
    }
}

/// Whether the gate that fired asks what is in flight, so that only time is in the way.
fn lacks_room(rules: &Rules, outcome: Outcome) -> bool {
    let Outcome::Gate(gate) = outcome else { return false };
    let mut asks = false;
    if let Some(gate) = rules.gates.get(gate) {
        let of_room = |fact| matches!(fact, IssueFact::InFlightInRepo | IssueFact::InFlight);
        gate.require.each_test(&mut |test| asks |= of_room(test.fact));
    }
    asks
}

/// What was remembered of an issue may deny it, never dispatch it: the chosen ones are read anew, and those that are no
/// longer armed leave the queue. Says whether there were any.
async fn read_chosen_anew(tick: &Tick<'_>, fleet: &mut Fleet, queue: &mut Queue, decisions: &[Decision]) -> bool {
    let (mut any, mut left) = (false, BTreeSet::new());
    for (index, ((armed, candidate, unread), decision)) in queue.entries().zip(decisions).enumerate() {
        if !(armed.issue.remembered && matches!(decision.outcome, Outcome::Dispatch(_))) {
            continue;
        }
        any = true;
        let reference = armed.issue.reference.clone();
        let rules = tick.policy.rules(&reference.repo);
        match tick.world.tracker.issue(&reference).await {
            Ok(Some(issue)) if issue.status == IssueStatus::Open && issue.has_label(&rules.labels.ready.value) => {
                *candidate = free_facts(tick, rules, fleet, &issue);
                *armed = Armed::new(issue);
                read_costly_facts(tick, fleet, armed, candidate).await;
                *unread = false;
            }
            Ok(_) => {
                left.insert(index);
            }
            Err(error) => {
                tick.problem(&reference, error);
                left.insert(index);
            }
        }
    }
    queue.remove(&left);
    any
}

async fn armed_issues(tick: &Tick<'_>, fleet: &Fleet) -> Queue {
    let mut found: BTreeMap<&String, Vec<(Armed, Candidate)>> = BTreeMap::new();
    let mut failures = Vec::new();
    for repo in fleet.repos.iter().filter(|repo| tick.policy.enrolled(repo) && !fleet.unreadable.contains_key(*repo)) {
        let rules = tick.policy.rules(repo);
        match tick.world.tracker.labelled(repo, &rules.labels.ready.value, true).await {
            Ok(listing) => {
                for unreadable in &listing.unreadable {
                    tick.problem(&unreadable.issue, &unreadable.error);
                }
                let entry = |issue: Issue| {
                    let facts = free_facts(tick, rules, fleet, &issue);
                    (Armed::new(issue), facts)
                };
                let mut armed: Vec<_> = listing.issues.into_iter().map(entry).collect();
                armed.sort_by_key(|(armed, _)| armed.issue.reference.number);
                armed.dedup_by_key(|(armed, _)| armed.issue.reference.number);
                found.insert(repo, armed);
            }
            Err(error) => failures.push((repo.clone(), error.message)),
        }
    }
    tick.problems(failures);
    // There may be very many of them, so none is held twice.
    let mut queue = Queue::with_capacity(found.values().map(Vec::len).sum());
    for (armed, candidate) in found.into_values().flatten() {
        queue.push(armed, candidate, true);
    }
    queue
}

/// An armed issue of a repository that is not listed because it is not enrolled: only somebody who asks about it sees
/// it, with the gate that denies it.
async fn armed_elsewhere(tick: &Tick<'_>, fleet: &Fleet, asked: &IssueRef) -> Option<(Armed, Candidate, bool)> {
    if tick.policy.enrolled(&asked.repo) {
        return None;
    }
    let rules = tick.policy.rules(&asked.repo);
    let issue = tick.world.tracker.issue(asked).await.ok().flatten()?;
    let armed = issue.status == IssueStatus::Open && issue.has_label(&rules.labels.ready.value);
    armed.then(|| {
        let facts = free_facts(tick, rules, fleet, &issue);
        (Armed::new(issue), facts, true)
    })
}

/// What the listing alone tells.
fn free_facts(tick: &Tick<'_>, rules: &Rules, fleet: &Fleet, issue: &Issue) -> Candidate {
    let now = tick.world.clock.now();
    Candidate {
        facts: IssueFacts {
            repo: issue.reference.repo.clone(),
            number: i64::try_from(issue.reference.number).unwrap_or(i64::MAX),
            labels: Observed::Known(issue.labels.clone()),
            armed_by: Observed::NotRead,
            trusted: Observed::NotRead,
            author: match &issue.author {
                Some(author) => Observed::Known(author.clone()),
                None => Observed::Unknown("the account is deleted".to_owned()),
            },
            author_trusted: Observed::NotRead,
            assignees: Observed::Known(issue.assignees.clone()),
            priority: Observed::Known(rules.priority.of(&issue.labels)),
            open_blockers: Observed::NotRead,
            // A record without label or live agent is found only when the comments are read.
            has_run: if fleet.run_of(&issue.reference).is_some() { Observed::Known(true) } else { Observed::NotRead },
            already_run: Observed::NotRead,
            in_flight_in_repo: Observed::NotRead,
            in_flight: Observed::NotRead,
            edited_since_armed: Observed::NotRead,
            age: Observed::Known(since(issue.created_at, now)),
            armed_for: Observed::NotRead,
        },
        armed_at: None,
        created_at: Some(issue.created_at),
    }
}

/// Slots are counted at the start of the tick, over everything that is known to be in flight.
fn count_in_flight(in_flight: &[String], candidates: &mut [Candidate]) {
    let known = |number: usize| Observed::Known(i64::try_from(number).unwrap_or(i64::MAX));
    // Issues of a repository come one after the other.
    let mut last: Option<(String, usize)> = None;
    for candidate in candidates {
        let facts = &mut candidate.facts;
        let here = match &last {
            Some((repo, count)) if *repo == facts.repo => *count,
            _ => in_flight.iter().filter(|repo| repo.eq_ignore_ascii_case(&facts.repo)).count(),
        };
        if last.as_ref().is_none_or(|(repo, _)| *repo != facts.repo) {
            last = Some((facts.repo.clone(), here));
        }
        facts.in_flight_in_repo = known(here);
        facts.in_flight = known(in_flight.len());
    }
}

/// Reads what each costs a call: the arming and what depends on it, the author's trust, the blockers, and earlier runs.
async fn read_costly_facts(tick: &Tick<'_>, fleet: &mut Fleet, armed: &mut Armed, candidate: &mut Candidate) {
    let reference = armed.issue.reference.clone();
    let rules = tick.policy.rules(&reference.repo);
    let events = tick.world.tracker.label_events(&reference).await;
    let arming = match &events {
        Ok(events) => arming::newest(events, &rules.labels).ok_or_else(|| {
            format!("no event tells who applied {}; take it off and put it back", rules.labels.ready.value)
        }),
        Err(error) => Err(error.message.clone()),
    };
    // afk locks an issue only when an agent was started: that outlives record and agent.
    let locked_before = match (&events, &arming) {
        (Ok(events), Ok(arming)) => events.iter().skip_while(|event| event.arming != arming.token).any(|event| {
            event.added && event.is_of(&rules.labels.in_progress.value) && fleet.is_afk(event.by.as_deref())
        }),
        _ => false,
    };
    match &arming {
        Ok(arming) => read_arming_facts(tick, &fleet.afk, armed, candidate, arming).await,
        Err(why) => {
            let facts = &mut candidate.facts;
            for fact in [&mut facts.trusted, &mut facts.edited_since_armed, &mut facts.already_run] {
                *fact = Observed::Unknown(why.clone());
            }
            facts.armed_by = Observed::Unknown(why.clone());
            facts.armed_for = Observed::Unknown(why.clone());
        }
    }
    let author = armed.issue.author.as_deref();
    candidate.facts.author_trusted = arming::trust_in(tick, &fleet.afk, &armed.issue, author).await.fact;
    candidate.facts.open_blockers = match tick.world.tracker.blockers(&reference).await {
        Ok(blockers) => {
            let open = blockers.iter().filter(|blocker| blocker.open).map(|blocker| blocker.reference.clone());
            let open = open.collect();
            armed.evidence.blockers = blockers;
            Observed::Known(open)
        }
        Err(error) => Observed::Unknown(error.message),
    };
    armed.arming = arming.ok();
    read_run_facts(tick, fleet, armed, candidate, locked_before).await;
}

/// What follows from who armed the issue, and when.
async fn read_arming_facts(tick: &Tick<'_>, afk: &str, armed: &mut Armed, candidate: &mut Candidate, arming: &Arming) {
    let reference = &armed.issue.reference;
    let rules = tick.policy.rules(&reference.repo);
    let facts = &mut candidate.facts;
    candidate.armed_at = Some(arming.at);
    facts.armed_for = Observed::Known(since(arming.at, tick.world.clock.now()));
    facts.armed_by = match &arming.by {
        Some(login) => Observed::Known(login.clone()),
        None => Observed::Unknown("the account is deleted".to_owned()),
    };
    let trusted = arming::trust_in(tick, afk, &armed.issue, arming.by.as_deref()).await;
    facts.trusted = trusted.fact;
    armed.evidence.trust = Some(trusted.evidence);
    facts.edited_since_armed = match tick.world.tracker.edits(reference).await {
        Ok(edits) => {
            armed.evidence.last_edit = edits.last().cloned();
            Observed::Known(arming::edited_since(arming, &edits, rules))
        }
        Err(error) => Observed::Unknown(error.message),
    };
}

/// Whether the issue has a run, and whether its arming had one. A run that only the comments lead to joins the fleet.
async fn read_run_facts(
    tick: &Tick<'_>,
    fleet: &mut Fleet,
    armed: &mut Armed,
    candidate: &mut Candidate,
    locked_before: bool,
) {
    let reference = &armed.issue.reference;
    let run = armed.arming.as_ref().map(|arming| arming.run);
    let facts = &mut candidate.facts;
    let comments = match tick.world.tracker.own_comments(reference).await {
        Ok(comments) => comments,
        Err(error) => {
            facts.already_run = Observed::Unknown(error.message.clone());
            if facts.has_run == Observed::NotRead {
                facts.has_run = Observed::Unknown(error.message);
            }
            return;
        }
    };
    let (records, newer) = tick.world.seal.read_all(reference, &fleet.afk, &comments);
    if let Some(run) = run {
        let already = records.iter().any(|recorded| recorded.record.run == run)
            || fleet.agents.contains_key(&run)
            || fleet.unreadable_agents.contains_key(&run)
            || locked_before;
        armed.evidence.earlier_run = already.then_some(run);
        facts.already_run = match fleet.unasked.iter().next() {
            // What cannot be asked may know this very arming.
            Some((name, why)) if !already => Observed::Unknown(format!("executor `{name}`: {why}")),
            _ => Observed::Known(already),
        };
    }
    if newer.is_some() {
        facts.has_run = Observed::Unknown("its record is written by a newer afk".to_owned());
    } else if fleet.run_of(reference).is_none() {
        let late = runs_of(tick, fleet, reference, Some(armed.issue.clone()), run).await;
        facts.has_run = Observed::Known(!late.is_empty());
        fleet.runs.extend(late);
    }
}
