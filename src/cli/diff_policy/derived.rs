//! Facts that a policy shapes: what was read under one policy is no answer to another that shapes it otherwise.

use crate::engine::select::Candidate;
use crate::policy::facts::{
    CiStatus, FactName, Facts, Given, IssueFact, IssueFacts, Observed, Reading, RunFact, RunFacts,
};
use crate::policy::{Policy, Rules, Stage, pattern};

/// Where facts come from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'p> {
    /// The policy that they were read under; `None`: neither of the two.
    pub policy: Option<&'p Policy>,
    /// As sentences call it: `the old`, `the new`, `another`.
    pub word: &'static str,
}

/// A fact that the other policy would have to read again, and the setting that shapes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost<F> {
    /// The fact.
    pub fact: F,
    /// The setting.
    pub setting: &'static str,
}

/// Why a fact cannot be told.
pub fn lost<F: FactName>(lost: Lost<F>, origin: Origin<'_>) -> String {
    format!("`{}`, established under {} {}", lost.fact.spec().name, origin.word, lost.setting)
}

/// An issue as `policy` sees it, as far as facts read under another allow; the others are not read.
pub fn issue(
    candidate: &Candidate,
    policy: &Policy,
    other: &Policy,
    origin: Origin<'_>,
) -> (Candidate, Vec<Lost<IssueFact>>) {
    let mut candidate = candidate.clone();
    let mut gone = Vec::new();
    let facts = &mut candidate.facts;
    let rules = policy.rules(&facts.repo);
    if let Observed::Known(labels) = &facts.labels {
        facts.priority = Observed::Known(rules.priority.of(labels));
    }
    if origin.policy.is_some_and(|origin| std::ptr::eq(origin, policy)) {
        return (candidate, gone);
    }
    let other = other.rules(&facts.repo);
    for fact in IssueFact::ALL {
        let Some(setting) = shapes_issue(*fact, rules, other) else { continue };
        if facts.read(*fact) == Reading::NotRead {
            continue;
        }
        let from = origin.policy.map(|origin| origin.rules(&facts.repo));
        match from.filter(|_| setting != READY).and_then(|from| follows(*fact, from, rules, facts)) {
            Some(value) => {
                facts.set(*fact, Given::Bool(value));
            }
            None => {
                unread(facts, *fact);
                gone.push(Lost { fact: *fact, setting });
            }
        }
    }
    (candidate, gone)
}

const READY: &str = "`labels.ready`";

/// The setting that makes the two establish a fact differently.
fn shapes_issue(fact: IssueFact, one: &Rules, other: &Rules) -> Option<&'static str> {
    use IssueFact::{AlreadyRun, ArmedBy, ArmedFor, AuthorTrusted, EditedSinceArmed, HasRun, Trusted};
    let differs = |of: fn(&Rules) -> &str| !pattern::same(of(one), of(other));
    match fact {
        ArmedBy | ArmedFor | Trusted | EditedSinceArmed | AlreadyRun if differs(|rules| &rules.labels.ready.value) => {
            Some(READY)
        }
        Trusted | AuthorTrusted if one.trust != other.trust => Some("`[trust]`"),
        EditedSinceArmed if one.edit_window != other.edit_window => Some("`limits.edit_window`"),
        HasRun if differs(|rules| &rules.labels.in_progress.value) => Some("`labels.in_progress`"),
        _ => None,
    }
}

/// The value that a fact has under other rules for certain: who was trusted is so where more are.
fn follows(fact: IssueFact, from: &Rules, to: &Rules, facts: &IssueFacts) -> Option<bool> {
    let value = match facts.read(fact) {
        Reading::Bool(value) => value,
        _ => return None,
    };
    match fact {
        IssueFact::Trusted | IssueFact::AuthorTrusted => {
            let who = if fact == IssueFact::Trusted { &facts.armed_by } else { &facts.author };
            let is_listed = |login: &String| to.trust.logins.iter().any(|one| pattern::same(one, login));
            if who.known().is_some_and(is_listed) {
                return Some(true);
            }
            let holds = |less: &Rules, more: &Rules| {
                within(&less.trust.permissions, &more.trust.permissions)
                    && within(&less.trust.logins, &more.trust.logins)
            };
            let is_kept = if value { holds(from, to) } else { holds(to, from) };
            is_kept.then_some(value)
        }
        // A longer window counts more edits.
        IssueFact::EditedSinceArmed => {
            let is_kept = if value { to.edit_window >= from.edit_window } else { to.edit_window <= from.edit_window };
            is_kept.then_some(value)
        }
        _ => None,
    }
}

fn within(less: &[String], more: &[String]) -> bool {
    less.iter().all(|one| more.iter().any(|other| pattern::same(one, other)))
}

fn unread(facts: &mut IssueFacts, fact: IssueFact) {
    match fact {
        IssueFact::ArmedBy => facts.armed_by = Observed::NotRead,
        IssueFact::ArmedFor => facts.armed_for = Observed::NotRead,
        IssueFact::Trusted => facts.trusted = Observed::NotRead,
        IssueFact::AuthorTrusted => facts.author_trusted = Observed::NotRead,
        IssueFact::EditedSinceArmed => facts.edited_since_armed = Observed::NotRead,
        IssueFact::AlreadyRun => facts.already_run = Observed::NotRead,
        IssueFact::HasRun => facts.has_run = Observed::NotRead,
        _ => {}
    }
}

/// Takes over what one reading lacks from another, where both would establish it alike.
pub fn fill(facts: &mut IssueFacts, others: &IssueFacts) {
    for fact in IssueFact::ALL {
        if facts.read(*fact) != Reading::NotRead {
            continue;
        }
        let given = match others.read(*fact) {
            Reading::Bool(value) => Given::Bool(value),
            Reading::Int(value) => Given::Int(value),
            Reading::Number(value) => Given::Number(value),
            Reading::Duration(value) => Given::Duration(value),
            Reading::Text(value) => Given::Text(value.to_owned()),
            Reading::Set(values) => Given::Set(values.to_vec()),
            Reading::Unknown(why) => Given::Unknown(why.to_owned()),
            Reading::NotRead => continue,
        };
        facts.set(*fact, given);
    }
}

/// Everything that a run may be for `policy`, as far as facts read under another allow.
pub fn runs(
    facts: &RunFacts,
    policy: &Policy,
    other: &Policy,
    origin: Origin<'_>,
) -> (Vec<RunFacts>, Vec<Lost<RunFact>>) {
    let mut facts = facts.clone();
    let rules = policy.rules(&facts.repo);
    if let Observed::Known(labels) = &facts.labels {
        facts.priority = Observed::Known(rules.priority.of(labels));
    }
    let mut all = vec![facts.clone()];
    let mut gone = Vec::new();
    if origin.policy.is_some_and(|origin| std::ptr::eq(origin, policy)) {
        return (all, gone);
    }
    let other = other.rules(&facts.repo);
    let from = origin.policy.map(|origin| origin.rules(&facts.repo));
    for fact in RunFact::ALL {
        let Some(setting) = shapes_run(*fact, rules, other) else { continue };
        if *fact == RunFact::TouchedProtected
            && let (Some(from), Some(value)) = (from, facts.touched_protected.known())
        {
            let (was, is) = (from.protect.patterns(), rules.protect.patterns());
            let (less, more) = if *value { (was, is) } else { (is, was) };
            if less.iter().all(|path| more.contains(path)) {
                continue;
            }
        }
        gone.push(Lost { fact: *fact, setting });
        let values = possible(*fact, &rules.stages);
        let with = |facts: &RunFacts| -> Vec<RunFacts> {
            let one = |value: &Given| {
                let mut facts = facts.clone();
                facts.set(*fact, value.clone()).then_some(facts)
            };
            values.iter().filter_map(one).collect()
        };
        all = all.iter().flat_map(with).collect();
    }
    (all, gone)
}

fn shapes_run(fact: RunFact, one: &Rules, other: &Rules) -> Option<&'static str> {
    let labels = |rules: &Rules| {
        let labels = &rules.labels;
        [&labels.ready, &labels.human, &labels.paused].map(|label| label.value.to_ascii_lowercase())
    };
    let stages = |rules: &Rules| -> Vec<_> {
        rules.stages.iter().map(|stage| (stage.name.value.clone(), stage.source.clone())).collect()
    };
    match fact {
        RunFact::TouchedProtected if one.protect.patterns() != other.protect.patterns() => Some("`protect.paths`"),
        RunFact::Ci | RunFact::GreenStages if stages(one) != stages(other) => Some("`[[ci.stages]]`"),
        RunFact::Held if labels(one) != labels(other) => Some("`[labels]`"),
        _ => None,
    }
}

/// Every value that rows tell apart.
fn possible(fact: RunFact, stages: &[Stage]) -> Vec<Given> {
    let unknown = || Given::Unknown("not read".to_owned());
    match fact {
        RunFact::Ci => CiStatus::WORDS.iter().map(|word| Given::Text((*word).to_owned())).collect(),
        RunFact::GreenStages => {
            let names: Vec<String> = stages.iter().map(|stage| stage.name.value.clone()).collect();
            let each = names.iter().map(|name| Given::Set(vec![name.clone()]));
            let mut sets: Vec<Given> = each.collect();
            sets.extend([Given::Set(Vec::new()), Given::Set(names), unknown()]);
            sets
        }
        _ => vec![Given::Bool(true), Given::Bool(false), unknown()],
    }
}
