//! What a test of a gate rests on, and what would change its verdict: told by the fact that it reads, never by the
//! name of the gate.

use super::words::{after, is, moment, shown, tests};
use crate::engine::evaluate::describe;
use crate::engine::select::{Candidate, CapacityLimit, Outcome};
use crate::policy::facts::{FactName, Facts, IssueFact, Reading};
use crate::policy::{Comparison, Condition, Matcher, Policy, Quantity, Rules, Test};
use crate::ticks::fleet::Run;
use crate::ticks::progress::ends_at_the_latest;
use crate::ticks::survey::{Armed, Survey};
use crate::ticks::world::Tick;

/// An armed issue among the others.
#[derive(Debug, Clone, Copy)]
pub struct Queued<'a, 'w> {
    /// The tick that looks.
    pub tick: &'a Tick<'w>,
    /// The queue.
    pub survey: &'a Survey,
    /// The issue.
    pub armed: &'a Armed,
    /// Its facts.
    pub candidate: &'a Candidate,
    /// The rules of its repository.
    pub rules: &'a Rules,
}

/// `enrol it: …`.
pub fn enrol(policy: &Policy, repo: &str) -> String {
    let denied = policy.denylist.value.iter().find(|pattern| pattern.matches(repo));
    match denied {
        Some(pattern) => {
            format!(
                "{} is not denied: take \"{pattern}\" off denylist (line {})",
                shown(repo),
                policy.line(policy.denylist.span)
            )
        }
        None => {
            format!("{} is enrolled: put it on allowlist (line {})", shown(repo), policy.line(policy.allowlist.span))
        }
    }
}

/// Who may arm issues, by `[trust]`.
pub fn who_may_arm(rules: &Rules, repo: &str) -> String {
    let mut who = Vec::new();
    if !rules.trust.permissions.is_empty() {
        who.push(format!("somebody with permission {} in {}", either(&rules.trust.permissions), shown(repo)));
    }
    if !rules.trust.logins.is_empty() {
        let logins: Vec<String> = rules.trust.logins.iter().map(|login| format!("@{login}")).collect();
        who.push(either(&logins));
    }
    if who.is_empty() { "nobody (`[trust]` is empty)".to_owned() } else { who.join(", or ") }
}

/// `a, b or c`.
pub fn either(words: &[String]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

impl Queued<'_, '_> {
    /// What a gate rests on: of all that it reads, or, where it denies, of what makes it.
    pub fn evidence(&self, require: &Condition<IssueFact>, denies: bool) -> Vec<String> {
        let facts = &self.candidate.facts;
        let lacking = crate::engine::evaluate::lacking(require, facts);
        let read = if denies { lacking } else { tests(require) };
        let mut said: Vec<String> = Vec::new();
        for test in read {
            if let Some(evidence) = self.evidence_of(test)
                && !said.contains(&evidence)
            {
                said.push(evidence);
            }
        }
        if said.is_empty() {
            said.push("holds for every issue".to_owned());
        }
        said
    }

    fn evidence_of(&self, test: &Test<IssueFact>) -> Option<String> {
        let facts = &self.candidate.facts;
        let evidence = &self.armed.evidence;
        let now = self.tick.world.clock.now();
        let reading = facts.read(test.fact);
        if let Reading::Unknown(_) | Reading::NotRead = reading {
            let fact = test.fact.spec().name;
            return Some(format!("`{fact}` {}", is(reading)));
        }
        Some(match test.fact {
            IssueFact::Repo => match &test.matcher {
                Matcher::In(list) => match list.patterns().iter().find(|pattern| pattern.matches(&facts.repo)) {
                    Some(pattern) => format!("{} matches \"{pattern}\"", shown(&facts.repo)),
                    None => format!("{} is not on the list", shown(&facts.repo)),
                },
                Matcher::NotIn(list) => {
                    let pattern = list.patterns().iter().find(|pattern| pattern.matches(&facts.repo))?;
                    format!("{} matches \"{pattern}\" of the list of exceptions", shown(&facts.repo))
                }
                _ => shown(&facts.repo),
            },
            IssueFact::Trusted => {
                let login = facts.armed_by.known().map_or("somebody".to_owned(), |login| format!("@{}", shown(login)));
                let why = evidence.trust.as_deref().map(shown).unwrap_or_default();
                format!("{login} applied {}, {why}", self.rules.labels.ready.value)
            }
            IssueFact::OpenBlockers if evidence.blockers.is_empty() => "blocked by nothing".to_owned(),
            IssueFact::OpenBlockers => {
                let said = evidence.blockers.iter().map(|blocker| {
                    let state = if blocker.open { "open" } else { "closed" };
                    format!("{} is {state} ({})", shown(&blocker.reference), shown(&blocker.evidence))
                });
                said.collect::<Vec<_>>().join("; ")
            }
            IssueFact::HasRun => match self.run() {
                Some(run) => self.holder(run),
                None => "no run in flight".to_owned(),
            },
            IssueFact::AlreadyRun => {
                let armed = self.armed.arming.as_ref().map(|arming| format!("armed {}, ", moment(arming.at, now)));
                let armed = armed.unwrap_or_default();
                match evidence.earlier_run {
                    Some(run) => format!("{armed}and that arming had run {}", run.short()),
                    None => format!("{armed}no run for this arming yet"),
                }
            }
            IssueFact::InFlightInRepo => {
                let holders: Vec<String> = self.holders(true).map(|run| self.holder(run)).collect();
                let slots = self.rules.dispatch.slots_per_repo.value;
                let taken = facts.in_flight_in_repo.known().copied().unwrap_or_default();
                let holders = if holders.is_empty() { String::new() } else { format!(": {}", holders.join("; ")) };
                format!("{taken} of {slots} slots taken{holders}")
            }
            IssueFact::EditedSinceArmed => match (&evidence.last_edit, &self.armed.arming) {
                (None, _) => "text never edited".to_owned(),
                (Some(edit), arming) => {
                    let by =
                        edit.by.as_deref().map_or("a deleted account".to_owned(), |login| format!("@{}", shown(login)));
                    let when = arming.as_ref().map(|arming| {
                        let order = if edit.at > arming.at { "after" } else { "before" };
                        format!(", {order} it was armed {}", moment(arming.at, now))
                    });
                    format!("text last edited {} by {by}{}", moment(edit.at, now), when.unwrap_or_default())
                }
            },
            IssueFact::Labels => match facts.labels.known() {
                Some(labels) => format!("labels: {}", shown(&labels.join(", "))),
                None => return None,
            },
            fact => {
                let value = is(reading);
                format!("{} {}", fact.spec().name, value.strip_prefix("is ").unwrap_or(&value))
            }
        })
    }

    /// What would give a test the verdict that it should have: all of it.
    pub fn remedies(&self, test: &Test<IssueFact>, wanted: bool) -> Vec<String> {
        let open = self.armed.evidence.blockers.iter().filter(|blocker| blocker.open);
        let closed = open.map(|blocker| {
            let (name, place) = (shown(&blocker.reference), shown(&blocker.evidence));
            format!("{name} is closed, or no longer named as a blocker ({place})")
        });
        let known = self.candidate.facts.open_blockers.known().is_some();
        match (test.fact, &test.matcher) {
            (IssueFact::OpenBlockers, Matcher::Empty(value)) if *value == wanted && known => closed.collect(),
            _ => vec![self.remedy(test, wanted)],
        }
    }

    fn remedy(&self, test: &Test<IssueFact>, wanted: bool) -> String {
        let facts = &self.candidate.facts;
        let ready = &self.rules.labels.ready.value;
        let repo = &self.armed.issue.reference.repo;
        let fact = test.fact.spec().name;
        let again = format!("takes {ready} off and puts it back");
        if let Reading::Unknown(why) = facts.read(test.fact) {
            return format!("`{fact}` can be established: {}", shown(why));
        }
        match (test.fact, &test.matcher) {
            (IssueFact::Labels, matcher) => {
                self.label_remedy(matcher, wanted).unwrap_or_else(|| self.in_words(test, wanted))
            }
            (IssueFact::Trusted, Matcher::Is(value)) if *value == wanted => {
                format!("{} {again}", who_may_arm(self.rules, repo))
            }
            (IssueFact::AlreadyRun, Matcher::Is(value)) if *value != wanted => {
                format!("{} {again}: a new arming gets a new run", who_may_arm(self.rules, repo))
            }
            (IssueFact::EditedSinceArmed, Matcher::Is(value)) if *value != wanted => {
                format!("{} reads the text as it is now, then {again}", who_may_arm(self.rules, repo))
            }
            (IssueFact::HasRun, Matcher::Is(value)) if *value != wanted => match self.run() {
                Some(run) => self.end_of(run),
                None => "its run ends".to_owned(),
            },
            (
                IssueFact::InFlightInRepo | IssueFact::InFlight,
                Matcher::Compare(Comparison::Lt | Comparison::Lte, bound),
            ) if wanted => self.ends(test.fact == IssueFact::InFlightInRepo, *bound, test),
            (IssueFact::Repo, Matcher::In(list)) if wanted && list.is_allowlist => {
                let policy = self.tick.policy;
                format!(
                    "{} is enrolled: put it on allowlist (line {})",
                    shown(repo),
                    policy.line(policy.allowlist.span)
                )
            }
            (IssueFact::Repo, Matcher::NotIn(list)) if wanted && list.patterns() == self.tick.policy.denylist.value => {
                enrol(self.tick.policy, repo)
            }
            (
                IssueFact::Age | IssueFact::ArmedFor,
                Matcher::Compare(Comparison::Gt | Comparison::Gte, Quantity::Duration(bound)),
            ) if wanted => {
                let now = self.tick.world.clock.now();
                let reached = match facts.read(test.fact) {
                    Reading::Duration(value) => after(now, bound.saturating_sub(value)),
                    _ => None,
                };
                let at = reached.map(|at| format!(", at {}", moment(at, now))).unwrap_or_default();
                format!("time passes until {}{at}", shown(&describe(test)))
            }
            _ => self.in_words(test, wanted),
        }
    }

    /// A test about which nothing better is known.
    fn in_words(&self, test: &Test<IssueFact>, wanted: bool) -> String {
        let becomes = if wanted { "becomes true" } else { "stops being true" };
        let line = self.tick.policy.line(test.span);
        format!(
            "`{}` {becomes} (line {line}; {} {})",
            shown(&describe(test)),
            test.fact.spec().name,
            is(self.candidate.facts.read(test.fact))
        )
    }

    fn label_remedy(&self, matcher: &Matcher, wanted: bool) -> Option<String> {
        let carried = self.candidate.facts.labels.known()?;
        let carries = |label: &&String| carried.iter().any(|one| one.eq_ignore_ascii_case(label));
        let list = |labels: Vec<&String>| labels.into_iter().map(|label| shown(label)).collect::<Vec<_>>();
        Some(match (matcher, wanted) {
            (Matcher::HasNone(labels), true) | (Matcher::HasAny(labels), false) => {
                format!("a person takes {} off", list(labels.iter().filter(carries).collect()).join(" and "))
            }
            (Matcher::HasAny(labels), true) | (Matcher::HasNone(labels), false) => {
                format!("a person puts {} on", either(&list(labels.iter().collect())))
            }
            (Matcher::HasAll(labels), true) => {
                let missing = labels.iter().filter(|label| !carries(label)).collect();
                format!("a person puts {} on", list(missing).join(" and "))
            }
            (Matcher::HasAll(labels), false) => {
                format!("a person takes {} off", either(&list(labels.iter().collect())))
            }
            _ => return None,
        })
    }

    /// What must happen besides, where no gate denies.
    pub fn beyond_gates(&self, outcome: Outcome) -> Option<String> {
        let policy = self.tick.policy;
        let dispatch = &policy.base.dispatch;
        match outcome {
            Outcome::Slot(Some(winner)) => {
                let winner = self.survey.armed.get(winner)?;
                Some(format!("{} goes first, and its run ends", shown(&self.name(&winner.issue.reference))))
            }
            Outcome::Slot(None) => {
                Some(self.holders(true).map(|run| self.end_of(run)).collect::<Vec<_>>().join("; or "))
            }
            Outcome::Capacity(CapacityLimit::MaxInFlight) => Some(self.room()),
            Outcome::Gate(_) if self.survey.fleet.in_flight().len() >= dispatch.max_in_flight.value => {
                Some(self.room())
            }
            Outcome::Capacity(CapacityLimit::MaxPerTick) => Some(format!(
                "a later poll: dispatch.max_per_tick = {} is used up by issues that go first (line {})",
                dispatch.max_per_tick.value,
                policy.line(dispatch.max_per_tick.span)
            )),
            Outcome::Paused => {
                let paused = self.rules.paused.as_ref()?;
                Some(format!(
                    "`paused` of the repository is taken out of the policy (line {}): {}",
                    policy.line(paused.span),
                    shown(&paused.value)
                ))
            }
            Outcome::Dispatch(_) | Outcome::Unread | Outcome::Gate(_) | Outcome::KillSwitch => None,
        }
    }

    /// That the whole installation has room for one more run.
    fn room(&self) -> String {
        let policy = self.tick.policy;
        let limit = &policy.base.dispatch.max_in_flight;
        let taken = self.survey.fleet.in_flight().len();
        let line = policy.line(limit.span);
        let why = if taken >= limit.value {
            format!("dispatch.max_in_flight = {} is used up (line {line})", limit.value)
        } else {
            format!(
                "{taken} are in flight, and issues that go first take what dispatch.max_in_flight = {} leaves (line {line})",
                limit.value
            )
        };
        match self.holders(false).collect::<Vec<_>>().as_slice() {
            [only] => format!("{}; {why}", self.end_of(only)),
            _ => format!("a run ends: {why}"),
        }
    }

    /// The run of this issue.
    fn run(&self) -> Option<&Run> {
        self.survey.fleet.run_of(&self.armed.issue.reference)
    }

    /// The runs that take slots, one an issue: of the repository, or of all.
    fn holders(&self, here: bool) -> impl Iterator<Item = &Run> {
        let repo = &self.armed.issue.reference.repo;
        let mut seen = std::collections::BTreeSet::new();
        self.survey
            .fleet
            .runs_in_flight()
            .filter(move |run| (!here || run.reference.repo.eq_ignore_ascii_case(repo)) && seen.insert(&run.reference))
    }

    /// `#37`, or with its repository where that is another.
    fn name(&self, reference: &crate::ports::IssueRef) -> String {
        if reference.repo.eq_ignore_ascii_case(&self.armed.issue.reference.repo) {
            format!("#{}", reference.number)
        } else {
            reference.to_string()
        }
    }

    /// `#37, verifying, since 13:21Z`.
    fn holder(&self, run: &Run) -> String {
        let now = self.tick.world.clock.now();
        let name = shown(&self.name(&run.reference));
        match run.record() {
            Some(record) => format!("{name}, {}, since {}", shown(&record.state), moment(record.since, now)),
            None => format!("{name}, locked"),
        }
    }

    /// The end of a run, and when it comes at the latest.
    fn end_of(&self, run: &Run) -> String {
        let name = shown(&self.name(&run.reference));
        let policy = self.tick.policy;
        let end = run
            .record()
            .filter(|record| record.outcome.is_none())
            .and_then(|record| ends_at_the_latest(policy.rules(&record.repo), record));
        match end {
            Some((at, row)) => format!(
                "the run of {name} ends: by itself, at the latest {} (row {}, line {})",
                moment(at, self.tick.world.clock.now()),
                row.name,
                policy.line(row.span)
            ),
            None => format!("{name} is unlocked: afk explain --issue {}", shown(&run.reference.to_string())),
        }
    }

    /// As many runs as are too many have to end.
    fn ends(&self, here: bool, bound: Quantity, test: &Test<IssueFact>) -> String {
        let facts = &self.candidate.facts;
        let (Quantity::Int(bound), Some(taken)) =
            (bound, if here { &facts.in_flight_in_repo } else { &facts.in_flight }.known())
        else {
            return self.in_words(test, true);
        };
        let ends: Vec<String> = self.holders(here).map(|run| self.end_of(run)).collect();
        match (ends.as_slice(), taken.saturating_sub(bound)) {
            ([], _) => self.in_words(test, true),
            ([only], _) => only.clone(),
            (many, _) => format!("enough of these runs end that {}: {}", shown(&describe(test)), many.join("; ")),
        }
    }
}
