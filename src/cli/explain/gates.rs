//! Why an armed issue is or is not dispatched: every gate with its evidence, what has to happen, and its place.

use serde::Serialize;
use serde_json::Value;

use super::remedy::{self, Queued};
use super::words::{self, Cell, moment, ordinal, shown};
use crate::cli::output::{BAD, FAINT, GOOD, Output, STRONG};
use crate::cli::queue;
use crate::engine::evaluate::Verdict;
use crate::engine::select::{Candidate, Decision, Outcome, fired, place_in_repo, select, sentence};
use crate::policy::Policy;
use crate::policy::facts::Observed;
use crate::ticks::survey::{Hindrance, Survey};
use crate::ticks::world::Tick;

/// What becomes of an armed issue, as people are told.
#[derive(Debug, Serialize)]
pub struct QueueStory {
    /// The place among the issues that the next poll dispatches; `null`: it is not dispatched.
    pub dispatch: Option<usize>,
    /// The gate that fired, or `paused`, `slot`, `capacity`; `null`: none.
    pub fired: Option<String>,
    /// One sentence.
    pub why: String,
    /// Why its run could not be started, though the policy would take it; `null`: nothing is known to be missing.
    pub cannot_start: Option<String>,
    /// The last poll could not start its run, and why; the next one tries again.
    pub last_poll: Option<String>,
    /// Every gate, in file order.
    pub gates: Vec<GateStory>,
    /// All of it has to happen before it is dispatched.
    pub to_be_dispatched: Vec<String>,
    /// Its place among those of its repository that wait for a slot.
    pub place: Place,
    /// Every fact; `null` with a `why` where unknown.
    pub facts: Value,
}

/// One gate.
#[derive(Debug, Serialize)]
pub struct GateStory {
    /// Its name.
    pub gate: String,
    /// `pass`, `deny`, `unknown`.
    pub verdict: &'static str,
    /// It is the one that fired.
    pub fired: bool,
    /// What the verdict rests on.
    pub evidence: Vec<String>,
    /// What would make it pass; empty where it does.
    pub remedies: Vec<String>,
    /// The line of the policy.
    pub line: usize,
}

/// A place in a queue.
#[derive(Debug, Serialize)]
pub struct Place {
    /// The repository.
    pub repo: String,
    /// Counted from 1.
    pub number: usize,
    /// Of how many.
    pub of: usize,
    /// Who goes first, the next of them last.
    pub before: Vec<String>,
    /// Who comes after it.
    pub after: Vec<String>,
    /// Of how many of those that go first not every gate was read: they may be denied.
    pub unread: usize,
}

impl QueueStory {
    /// Tells what becomes of the armed issue at `index` of the survey. `switched_off`: why the kill switch is on.
    pub fn of(tick: &Tick<'_>, survey: &Survey, index: usize, switched_off: Option<&str>) -> Option<Self> {
        let armed = survey.armed.get(index)?;
        let decision = survey.decisions.get(index)?;
        let candidates = &survey.candidates;
        let candidate = candidates.get(index)?;
        let policy = tick.policy;
        let repo = &armed.issue.reference.repo;
        let rules = policy.rules(repo);
        let facts = &candidate.facts;
        let queued = Queued { tick, survey, armed, candidate, rules };
        let fired_gate = match decision.outcome {
            Outcome::Gate(gate) => Some(gate),
            _ => None,
        };
        let mut gates = Vec::new();
        for (number, gate) in rules.gates.iter().enumerate() {
            let verdict = decision.trace.verdict(number);
            let remedies = words::needs(&gate.require, facts, &|test, wanted| queued.remedies(test, wanted));
            gates.push(GateStory {
                gate: gate.name.clone(),
                verdict: queue::verdict(verdict),
                fired: fired_gate == Some(number),
                evidence: queued.evidence(&gate.require, verdict != Verdict::Holds),
                remedies,
                line: policy.line(gate.span),
            });
        }
        let mut to_be_dispatched = Vec::new();
        to_be_dispatched.extend(switched_off.map(turned_off));
        if !policy.enrolled(repo) && fired_gate.is_none() {
            to_be_dispatched.push(remedy::enrol(policy, repo));
        }
        for need in gates.iter().flat_map(|gate| &gate.remedies) {
            if !to_be_dispatched.contains(need) {
                to_be_dispatched.push(need.clone());
            }
        }
        to_be_dispatched.extend(queued.beyond_gates(decision.outcome));
        let cannot_start = survey.cannot_start(&armed.issue.reference).map(shown);
        to_be_dispatched
            .extend(cannot_start.as_ref().map(|why| format!("this is mended: {why}; `afk doctor` says how")));
        let last_poll = match survey.hindered.get(&armed.issue.reference) {
            Some(Hindrance::FailedAt(at, why)) => {
                Some(format!("the last poll, at {}, could not start it: {}", moment(*at, tick.started), shown(why)))
            }
            _ => None,
        };
        Some(Self {
            dispatch: match decision.outcome {
                Outcome::Dispatch(place) if policy.enrolled(repo) && cannot_start.is_none() => Some(place),
                _ => None,
            },
            last_poll,
            fired: fired(policy, candidate, decision).map(str::to_owned),
            why: shown(&match decision.outcome {
                // Whatever gates are waived: the repository is not even listed.
                Outcome::Dispatch(_) if !policy.enrolled(repo) => not_enrolled(policy, repo),
                _ => sentence(policy, candidates, index, decision),
            }),
            cannot_start,
            gates,
            to_be_dispatched,
            place: place(policy, survey, candidates.clone(), index),
            facts: queue::facts(facts),
        })
    }

    /// The first thing that is said.
    pub fn verdict(&self) -> String {
        if let Some(place) = self.dispatch {
            return match &self.last_poll {
                None => format!("WOULD BE DISPATCHED at the next poll, as number {place} of it"),
                Some(failed) => format!("WOULD BE TRIED AGAIN at the next poll, as number {place} of it: {failed}"),
            };
        }
        if let Some(why) = &self.cannot_start {
            return format!("NOT DISPATCHED: every gate lets it pass, and its run cannot be started: {why}");
        }
        let word = if self.gates.iter().any(|gate| gate.fired) { " fired" } else { "" };
        let fired = match self.fired.as_deref() {
            Some("slot") if word.is_empty() => "waits",
            Some(fired) => fired,
            None => "not enrolled",
        };
        let others: Vec<&str> = self
            .gates
            .iter()
            .filter(|gate| !gate.fired && matches!(gate.verdict, "deny" | "unknown"))
            .map(|gate| gate.gate.as_str())
            .collect();
        let others = match others.as_slice() {
            [] => String::new(),
            [only] => format!("; {only} denies too"),
            many => format!("; {} deny too", many.join(", ")),
        };
        match word.is_empty() {
            true => format!("NOT DISPATCHED: {fired}: {}{others}", self.why),
            false => format!("NOT DISPATCHED: {fired}{word}{others}"),
        }
    }
}

fn not_enrolled(policy: &Policy, repo: &str) -> String {
    let why = match policy.denylist.value.iter().find(|pattern| pattern.matches(repo)) {
        Some(pattern) => format!("the denylist names `{pattern}`"),
        None => format!("the allowlist does not name {repo}"),
    };
    format!("every gate lets it pass, but {why}")
}

/// The place an issue has, or would have, once its repository has a free slot and nothing else denies it: by the very
/// code that selects.
fn place(policy: &Policy, survey: &Survey, mut candidates: Vec<Candidate>, index: usize) -> Place {
    let repo = survey.armed.get(index).map(|armed| armed.issue.reference.repo.clone()).unwrap_or_default();
    let mut open = policy.clone();
    open.base.paused = None;
    open.overrides.iter_mut().for_each(|(_, rules)| rules.paused = None);
    for candidate in candidates.iter_mut().filter(|candidate| candidate.facts.repo.eq_ignore_ascii_case(&repo)) {
        candidate.facts.in_flight_in_repo = Observed::Known(0);
        candidate.facts.in_flight = Observed::Known(0);
    }
    let mut decisions: Vec<Decision> = select(&open, &candidates, &[]);
    if let Some(decision) = decisions.get_mut(index) {
        decision.outcome = Outcome::Slot(None);
    }
    let (number, of) = place_in_repo(&open, &candidates, &decisions, index).unwrap_or((1, 1));
    let mut others: Vec<(usize, String)> = Vec::new();
    let mut unread = 0_usize;
    let gates = open.rules(&repo).gates.len();
    for (other, candidate) in candidates.iter().enumerate() {
        if other != index
            && candidate.facts.repo.eq_ignore_ascii_case(&repo)
            && let Some((place, _)) = place_in_repo(&open, &candidates, &decisions, other)
        {
            let priority = candidate.facts.priority.known().map(|priority| format!(" (priority {priority})"));
            others.push((place, format!("#{}{}", candidate.facts.number, priority.unwrap_or_default())));
            let trace = decisions.get(other).map(|decision| decision.trace).unwrap_or_default();
            let is_unread = place < number && (0..gates).any(|gate| trace.verdict(gate) == Verdict::NotRead);
            unread += usize::from(is_unread);
        }
    }
    others.sort();
    let (before, after): (Vec<_>, Vec<_>) = others.into_iter().partition(|(place, _)| *place < number);
    let names = |places: Vec<(usize, String)>| places.into_iter().map(|(_, name)| name).collect();
    Place { repo, number, of, before: names(before), after: names(after), unread }
}

/// That the kill switch has to be turned off first.
pub fn turned_off(why: &str) -> String {
    format!("the kill switch is turned off: {}", shown(why))
}

/// How many neighbours in the queue are named.
const NEIGHBOURS: usize = 3;

/// Draws it.
pub fn draw(story: &QueueStory, out: &mut Output) {
    let style = if story.dispatch.is_some() && story.last_poll.is_none() { GOOD } else { STRONG };
    out.line(format_args!("{style}{}{style:#}\n", story.verdict()));
    let head = ["", "gate", "verdict", "evidence", "policy line"];
    let mut table = vec![head.into_iter().map(|title| Cell::styled(title, FAINT)).collect::<Vec<_>>()];
    for gate in &story.gates {
        let verdict = match gate.verdict {
            "deny" | "unknown" => Cell::styled("DENY", BAD),
            verdict => verdict.into(),
        };
        table.push(vec![
            if gate.fired { Cell::styled(">", BAD) } else { Cell::default() },
            gate.gate.as_str().into(),
            verdict,
            gate.evidence.join("; ").into(),
            gate.line.to_string().into(),
        ]);
    }
    out.text(words::table(&table, 3, "  "));
    if !story.to_be_dispatched.is_empty() {
        out.line("\nTo be dispatched, all of this must happen:");
        for (number, need) in story.to_be_dispatched.iter().enumerate() {
            out.line(format_args!("  {}. {need}", number + 1));
        }
    }
    let place = &story.place;
    let then = if story.to_be_dispatched.is_empty() { "Its" } else { "Then its" };
    let mut neighbours = Vec::new();
    if !place.before.is_empty() {
        let skipped = place.before.len().saturating_sub(NEIGHBOURS);
        let shown = place.before.get(skipped..).unwrap_or_default().join(", ");
        let more = if skipped > 0 { format!("{skipped} more, then ") } else { String::new() };
        neighbours.push(format!("{more}{shown} {} first", if place.before.len() == 1 { "goes" } else { "go" }));
    }
    if let Some(next) = place.after.first() {
        neighbours.push(format!("{next} after it"));
    }
    let neighbours = if neighbours.is_empty() { String::new() } else { format!(": {}", neighbours.join(", ")) };
    out.line(format_args!(
        "\n{then} place in {} is {} of {}{neighbours}.",
        shown(&place.repo),
        ordinal(place.number),
        place.of
    ));
    if place.unread > 0 {
        let (of_them, all) = (place.unread, place.before.len());
        out.line(format_args!(
            "{FAINT}{of_them} of {all} that go first may be denied: not every gate of theirs was read.{FAINT:#}"
        ));
    }
}
