//! The queue as a poll decided it: for people, and as the snapshot that other commands read.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::output::{FAINT, GOOD, Output, WARN, printable};
use crate::engine::select::{Candidate, Decision, Outcome, fired, sentence};
use crate::policy::facts::{FactName, Facts, Reading};
use crate::policy::{Policy, RepoPattern};
use crate::ticks::fleet::{Fleet, Standing};
use crate::ticks::survey::{Hindrance, Survey};
use crate::ticks::world::Tick;

/// One line an armed issue: what becomes of it, and why. `whole`: nothing was skipped.
pub fn write(policy: &Policy, survey: &Survey, dry_run: bool, whole: bool, out: &mut Output) {
    let candidates = &survey.candidates;
    for (index, (armed, decision)) in survey.armed.iter().zip(&survey.decisions).enumerate() {
        let reference = printable(&armed.issue.reference.to_string()).into_owned();
        match decision.outcome {
            Outcome::Dispatch(place) if dry_run => match survey.hindered.get(&armed.issue.reference) {
                // The problem says it.
                Some(Hindrance::CannotStart(_)) => {}
                Some(Hindrance::FailedAt(_, why)) => out.line(format_args!(
                    "{WARN}would try again{WARN:#}  {reference}  {FAINT}as number {place}; the last poll failed: {}{FAINT:#}",
                    printable(why)
                )),
                None => out
                    .line(format_args!("{GOOD}would dispatch{GOOD:#}  {reference}  {FAINT}as number {place}{FAINT:#}")),
            },
            // The event has said it.
            Outcome::Dispatch(_) => {}
            _ => {
                let why = reason(policy, candidates, index, decision);
                out.line(format_args!("not taken  {reference}  {}", printable(&why)));
            }
        }
    }
    if !survey.any_enrolled(policy) {
        out.line(none_enrolled(policy));
    } else if survey.armed.is_empty() {
        out.line(if whole { "no issue is armed" } else { "no armed issue was seen; what was skipped may have some" });
    }
}

/// Why an issue is not taken: the name of what keeps it, and one sentence.
pub fn reason(policy: &Policy, candidates: &[Candidate], index: usize, decision: &Decision) -> String {
    let name = candidates.get(index).and_then(|candidate| fired(policy, candidate, decision)).unwrap_or("-");
    let name = if matches!(decision.outcome, Outcome::Slot(_)) { "waits" } else { name };
    format!("{name}: {}", sentence(policy, candidates, index, decision))
}

/// That no repository is enrolled, and why.
pub fn none_enrolled(policy: &Policy) -> String {
    let list = |patterns: &[RepoPattern]| patterns.iter().map(|it| format!("\"{it}\"")).collect::<Vec<_>>().join(", ");
    match (policy.allowlist.value.as_slice(), policy.denylist.value.as_slice()) {
        ([], _) => "no repository is enrolled: the allowlist is empty".to_owned(),
        (allowed, []) => {
            format!("no repository is enrolled: the tracker has none that allowlist = [{}] names", list(allowed))
        }
        (allowed, denied) => format!(
            "no repository is enrolled: the tracker has none that allowlist = [{}] names and denylist = [{}] does not",
            list(allowed),
            list(denied)
        ),
    }
}

/// What `diff-policy --over` reads: every armed issue, and what is in flight.
pub fn snapshot(policy: &Policy, survey: &Survey, runs: Vec<Value>, at: DateTime<Utc>) -> Map<String, Value> {
    let mut snapshot = Map::new();
    snapshot.insert("at".to_owned(), json!(at));
    snapshot.insert("issues".to_owned(), documents(policy, survey));
    snapshot.insert("in_flight".to_owned(), json!(survey.fleet.in_flight()));
    snapshot.insert("runs".to_owned(), Value::Array(runs));
    snapshot
}

/// Every run that rows decide on, with its state and its facts.
pub async fn runs(tick: &Tick<'_>, fleet: &Fleet) -> Vec<Value> {
    let mut runs = Vec::new();
    for run in fleet.runs.iter().filter(|run| run.standing == Standing::Active) {
        let Some(record) = run.record() else { continue };
        let view = crate::ticks::facts::read(tick, fleet, run, record).await;
        runs.push(json!({
            "issue": run.reference.to_string(),
            "number": run.reference.number,
            "state": record.state,
            "pending": record.pending.is_some(),
            "facts": facts(&view.facts),
        }));
    }
    runs
}

/// Every armed issue with its facts, its decision and its trace.
pub fn documents(policy: &Policy, survey: &Survey) -> Value {
    let candidates = &survey.candidates;
    let read = survey.armed.iter().zip(candidates).zip(&survey.decisions).enumerate();
    let issues = read.map(|(index, ((armed, candidate), decision))| {
        let gates = &policy.rules(&armed.issue.reference.repo).gates;
        let trace: Map<String, Value> = gates
            .iter()
            .enumerate()
            .map(|(gate, rule)| (rule.name.clone(), json!(verdict(decision.trace.verdict(gate)))))
            .collect();
        json!({
            "issue": armed.issue.reference.to_string(),
            "title": crate::text::clean_line(&armed.issue.title, 300),
            "dispatch": match decision.outcome { Outcome::Dispatch(place) => json!(place), _ => Value::Null },
            "fired": fired(policy, candidate, decision),
            "why": sentence(policy, candidates, index, decision),
            "cannot_start": survey.cannot_start(&armed.issue.reference),
            "gates": trace,
            "facts": facts(&candidate.facts),
            "armed_at": candidate.armed_at,
            "created_at": candidate.created_at,
        })
    });
    Value::Array(issues.collect())
}

/// The verdict of a gate, as output calls it.
pub fn verdict(verdict: crate::engine::evaluate::Verdict) -> &'static str {
    use crate::engine::evaluate::Verdict;
    match verdict {
        Verdict::Holds => "pass",
        Verdict::Fails => "deny",
        Verdict::Unknown => "unknown",
        Verdict::NotRead => "not read",
    }
}

/// Facts as JSON: `null` with a `why` for every unknown.
pub fn facts<F: Facts>(facts: &F) -> Value
where
    F::Name: FactName,
{
    let values = F::Name::ALL.iter().map(|fact| (fact.spec().name.to_owned(), reading(facts.read(*fact))));
    Value::Object(values.collect())
}

fn reading(reading: Reading<'_>) -> Value {
    match reading {
        Reading::Bool(value) => json!(value),
        Reading::Int(value) => json!(value),
        Reading::Number(value) => json!(value),
        Reading::Duration(value) => json!(crate::policy::duration::format(value)),
        Reading::Text(value) => json!(crate::text::clean_line(value, 300)),
        Reading::Set(values) => {
            json!(values.iter().map(|value| crate::text::clean_line(value, 300)).collect::<Vec<_>>())
        }
        Reading::Unknown(why) => json!({ "value": null, "why": crate::text::clean_line(why, 500) }),
        Reading::NotRead => json!({ "value": null, "why": "not read" }),
    }
}
