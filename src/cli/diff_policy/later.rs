//! What becomes of an armed issue once there is room for it: gates that ask what is in flight are taken as passed.

use super::derived::Lost;
use crate::engine::evaluate::{Verdict, evaluate, lacking};
use crate::engine::select::Candidate;
use crate::policy::facts::{FactName, Facts, IssueFact, IssueFacts, Observed, Reading};
use crate::policy::{Condition, Gate, Policy, Rules};

/// Where every fact that was read speaks for it.
pub const GOES: &str = "goes next, unless a fact not read yet denies it";

/// How two policies differ on an issue.
#[derive(Debug, PartialEq, Eq)]
pub enum Later {
    /// They decide it differently.
    Differs {
        /// Under the old policy.
        before: String,
        /// Under the new policy.
        after: String,
    },
    /// That cannot be told: it hangs on these facts.
    HangsOn(String),
}

/// Compares the gates that the two do not have in common; `None`: they decide it alike.
pub fn compare(
    old: &Policy,
    new: &Policy,
    was: &Candidate,
    is: &Candidate,
    lost: &[(Lost<IssueFact>, String)],
) -> Option<Later> {
    let (mut was, mut is) = (was.facts.clone(), is.facts.clone());
    for facts in [&mut was, &mut is] {
        facts.in_flight_in_repo = Observed::Known(0);
        facts.in_flight = Observed::Known(0);
    }
    let (old, new) = (old.rules(&was.repo), new.rules(&is.repo));
    let is_alike = |fact: IssueFact| was.read(fact) == is.read(fact) && lost.iter().all(|(one, _)| one.fact != fact);
    let is_common = |gate: &Gate, others: &Rules| {
        let asks = facts_of(&gate.require);
        asks.iter().all(|fact| is_alike(*fact))
            && others.gates.iter().any(|other| same_condition(&gate.require, &other.require))
    };
    let (common, of_old): (Vec<&Gate>, Vec<&Gate>) = old.gates.iter().partition(|gate| is_common(gate, new));
    let of_new: Vec<&Gate> = new.gates.iter().filter(|gate| !is_common(gate, old)).collect();
    let shared = verdict(&common, &was);
    if matches!(shared, Verdict::Fails | Verdict::Unknown) {
        return None;
    }
    let denies = |verdict| matches!(verdict, Verdict::Fails | Verdict::Unknown);
    let (before, after) = (verdict(&of_old, &was), verdict(&of_new, &is));
    if before == Verdict::NotRead || after == Verdict::NotRead {
        let mut why = unread(&of_old, &was, lost);
        why.extend(unread(&of_new, &is, lost).into_iter().filter(|one| !why.contains(one)).collect::<Vec<_>>());
        return Some(Later::HangsOn(format!("hangs on {}", why.join("; "))));
    }
    if denies(before) == denies(after) {
        return None;
    }
    let words = |gates: &[&Gate], facts: &IssueFacts, verdict| match gates
        .iter()
        .find(|gate| denies(evaluate(&gate.require, facts)))
    {
        Some(gate) if denies(verdict) => format!("denied: {}", gate.name),
        _ if shared == Verdict::NotRead => GOES.to_owned(),
        _ => "may be dispatched".to_owned(),
    };
    Some(Later::Differs { before: words(&of_old, &was, before), after: words(&of_new, &is, after) })
}

/// What gates come to together: a denial weighs more than what was not read.
fn verdict(gates: &[&Gate], facts: &IssueFacts) -> Verdict {
    let mut worst = Verdict::Holds;
    for gate in gates {
        match evaluate(&gate.require, facts) {
            Verdict::Fails => return Verdict::Fails,
            Verdict::Unknown => worst = Verdict::Unknown,
            Verdict::NotRead if worst == Verdict::Holds => worst = Verdict::NotRead,
            Verdict::NotRead | Verdict::Holds => {}
        }
    }
    worst
}

/// The facts that were not read, each with the reason.
fn unread(gates: &[&Gate], facts: &IssueFacts, lost: &[(Lost<IssueFact>, String)]) -> Vec<String> {
    let mut why: Vec<String> = Vec::new();
    for test in gates.iter().flat_map(|gate| lacking(&gate.require, facts)) {
        if facts.read(test.fact) == Reading::NotRead {
            let known = lost.iter().find(|(one, _)| one.fact == test.fact).map(|(_, why)| why.clone());
            let said = known.unwrap_or_else(|| format!("`{}`, not read", test.fact.spec().name));
            if !why.contains(&said) {
                why.push(said);
            }
        }
    }
    why
}

fn facts_of(condition: &Condition<IssueFact>) -> Vec<IssueFact> {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().flat_map(facts_of).collect(),
        Condition::Not(part) => facts_of(part),
        Condition::Test(test) => vec![test.fact],
    }
}

/// Whether two conditions are the same, wherever they stand.
fn same_condition(one: &Condition<IssueFact>, other: &Condition<IssueFact>) -> bool {
    match (one, other) {
        (Condition::All(ours), Condition::All(theirs)) | (Condition::Any(ours), Condition::Any(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(one, other)| same_condition(one, other))
        }
        (Condition::Not(one), Condition::Not(other)) => same_condition(one, other),
        (Condition::Test(one), Condition::Test(other)) => one.fact == other.fact && one.matcher == other.matcher,
        _ => false,
    }
}
