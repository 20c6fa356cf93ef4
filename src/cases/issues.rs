//! A case of armed issues: which are dispatched in one tick, and what keeps the others.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::Difference;
use super::coverage::Covered;
use super::facts;
use super::file::{Played, Setting};
use super::keys::reader;
use super::trace::{self, Trace};
use crate::engine::select::{Candidate, Decision, Outcome, fired, select};
use crate::policy::check::reader::{Field, Name, Reader};
use crate::policy::check::report::{one_of, quoted};
use crate::policy::facts::{IssueFact, IssueFacts, Observed};
use crate::policy::{Code, Policy, Span, pattern};

const MAX_ISSUES: usize = 1000;
const MAX_IN_FLIGHT: usize = 1000;
/// What may fire besides gates.
const OTHERS: [&str; 4] = ["kill-switch", "paused", "slot", "capacity"];

/// What is expected of the issues, which are named by their index.
struct Expected {
    dispatch: Option<(Vec<usize>, Span)>,
    fired: Vec<(usize, String, Span)>,
}

/// Runs the case; `None` where it cannot be run, which has been reported.
pub fn play(
    setting: Setting<'_, '_>,
    issues: &Field<'_>,
    in_flight: Option<&Field<'_>>,
    expect: &Field<'_>,
    covered: &mut Covered,
) -> Option<Played> {
    let policy = setting.policy;
    let in_flight = match in_flight {
        Some(field) => repositories(field),
        None => Some(Vec::new()),
    };
    let counted = in_flight.as_deref().unwrap_or_default();
    let elements = issues.list(MAX_ISSUES)?;
    if elements.is_empty() {
        issues.out_of_range("the case has no issues", "write at least one: { repo = \"acme/app\", number = 1 }");
        return None;
    }
    let read: Vec<Option<Candidate>> = elements.iter().map(|field| candidate(setting, field, counted)).collect();
    let candidates: Vec<Candidate> = read.into_iter().collect::<Option<_>>()?;
    let distinct = distinct(&candidates, &elements);
    let expected = expected(setting, expect, &candidates)?;
    let in_flight = in_flight.filter(|_| distinct)?;

    let decisions = select(policy, &candidates, &in_flight);
    for (candidate, decision) in candidates.iter().zip(&decisions) {
        if let (Outcome::Gate(_), Some(gate)) = (decision.outcome, fired(policy, candidate, decision)) {
            covered.gates.insert(gate.to_owned());
        }
    }
    let traces = trace::issues(policy, &candidates, &decisions);
    Some((differences(policy, &candidates, &decisions, &expected), Trace::Issues(traces)))
}

fn repositories(field: &Field<'_>) -> Option<Vec<String>> {
    let repos: Vec<Option<String>> = field.list(MAX_IN_FLIGHT)?.iter().map(facts::repository).collect();
    repos.into_iter().collect()
}

fn candidate(setting: Setting<'_, '_>, field: &Field<'_>, in_flight: &[String]) -> Option<Candidate> {
    let table = field.table()?;
    let keys = Reader { what: "this issue", table, span: field.node.span, report: field.report };
    let repo = keys.required("repo", "repo = \"acme/app\"").map(|field| facts::repository(&field));
    let number = keys.required("number", "number = 1").map(|field| field.int());
    // Where one of them is wrong, the other facts are read all the same, for their errors.
    let repo = repo.flatten();
    let rules = setting.policy.rules(repo.as_deref().unwrap_or_default());
    let mut issue = IssueFacts::harmless(
        repo.as_deref().unwrap_or_default(),
        number.flatten().unwrap_or_default(),
        &rules.labels.ready.value,
    );
    let here = in_flight.iter().filter(|other| repo.as_ref().is_some_and(|repo| pattern::same(repo, other))).count();
    let count = |count: usize| Observed::Known(i64::try_from(count).unwrap_or(i64::MAX));
    issue.in_flight_in_repo = count(here);
    issue.in_flight = count(in_flight.len());
    facts::read::<IssueFact>(field, &["repo", "number"], rules, |fact, value| {
        issue.set(fact, value);
    })?;
    repo?;
    number??;
    Some(Candidate {
        armed_at: issue.armed_for.known().and_then(|past| ago(*past)),
        created_at: issue.age.known().and_then(|past| ago(*past)),
        facts: issue,
    })
}

/// A moment so long before the one moment at which all cases play.
fn ago(past: Duration) -> Option<DateTime<Utc>> {
    DateTime::<Utc>::UNIX_EPOCH.checked_sub_signed(TimeDelta::from_std(past).ok()?)
}

fn reference(candidate: &Candidate) -> String {
    trace::reference(&candidate.facts)
}

/// Whether no issue stands there twice.
fn distinct(candidates: &[Candidate], fields: &[Field<'_>]) -> bool {
    let mut distinct = true;
    for (index, (candidate, field)) in candidates.iter().zip(fields).enumerate() {
        let name = reference(candidate);
        if candidates.iter().take(index).any(|earlier| pattern::same(&reference(earlier), &name)) {
            let message = format!("{} is there twice", quoted(&name));
            field.report.error(Code::Duplicate, field.node.span, message, "give one of them another number");
            distinct = false;
        }
    }
    distinct
}

fn expected(setting: Setting<'_, '_>, expect: &Field<'_>, candidates: &[Candidate]) -> Option<Expected> {
    const KEYS: [&str; 2] = ["dispatch", "fired"];
    let keys = reader("what issues are expected to come to", expect.table()?, expect.node.span, &KEYS, expect.report);
    let sound = keys.table.keys().iter().all(|key| KEYS.contains(key));
    let dispatch = match keys.optional("dispatch") {
        Some(field) => {
            let names = field.texts(MAX_ISSUES)?;
            let issues: Vec<Option<usize>> =
                names.iter().map(|name| issue(setting, &name.value, name.span, candidates)).collect();
            Some((issues.into_iter().collect::<Option<Vec<usize>>>()?, field.span))
        }
        None => None,
    };
    let mut fired = Vec::new();
    if let Some(field) = keys.optional("fired") {
        for (name, entry) in field.table()?.in_order() {
            let issue = issue(setting, name, entry.key, candidates);
            let gate = Field { name: Name::of(name), node: &entry.node, span: entry.span(), report: expect.report };
            let repo = issue.and_then(|issue| candidates.get(issue)).map_or("", |issue| issue.facts.repo.as_str());
            let gates = setting.policy.rules(repo).gates.iter().map(|gate| gate.name.as_str());
            let known: Vec<&str> = gates.chain(OTHERS).collect();
            fired.push((issue, facts::name(&gate, "gate", &known), entry.span()));
        }
    }
    let fired: Vec<(usize, String, Span)> =
        fired.into_iter().map(|(issue, gate, span)| Some((issue?, gate?, span))).collect::<Option<_>>()?;
    if dispatch.is_none() && fired.is_empty() && sound {
        let message = "the case expects nothing, so it could never fail";
        expect.report.error(Code::MissingKey, expect.node.span, message, "add `dispatch` or `fired`");
        return None;
    }
    sound.then_some(Expected { dispatch, fired })
}

/// The issue of the case that an expectation names.
fn issue(setting: Setting<'_, '_>, name: &str, span: Span, candidates: &[Candidate]) -> Option<usize> {
    let found = candidates.iter().position(|candidate| pattern::same(&reference(candidate), name));
    if found.is_none() {
        let names: Vec<String> = candidates.iter().map(reference).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let message = format!("{} is no issue of this case", quoted(name));
        setting.report.error(Code::UnknownName, span, message, format!("write {}", one_of(&names)));
    }
    found
}

fn differences(
    policy: &Policy,
    candidates: &[Candidate],
    decisions: &[Decision],
    expected: &Expected,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    let names = |indices: &[usize]| -> String {
        let names: Vec<String> = indices.iter().filter_map(|index| candidates.get(*index)).map(reference).collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
    };
    if let Some((wanted, span)) = &expected.dispatch {
        let mut places: Vec<(usize, usize)> = decisions
            .iter()
            .enumerate()
            .filter_map(|(index, decision)| match decision.outcome {
                Outcome::Dispatch(place) => Some((place, index)),
                _ => None,
            })
            .collect();
        places.sort_unstable();
        let actual: Vec<usize> = places.into_iter().map(|(_, index)| index).collect();
        if actual != *wanted {
            differences.push(Difference {
                what: "dispatch".to_owned(),
                expected: names(wanted),
                actual: names(&actual),
                span: *span,
            });
        }
    }
    for (index, wanted, span) in &expected.fired {
        let (Some(candidate), Some(decision)) = (candidates.get(*index), decisions.get(*index)) else { continue };
        let actual = fired(policy, candidate, decision);
        if actual != Some(wanted.as_str()) {
            differences.push(Difference {
                what: format!("fired {}", reference(candidate)),
                expected: wanted.clone(),
                actual: actual.unwrap_or("none: it is dispatched").to_owned(),
                span: *span,
            });
        }
    }
    differences
}
