//! Every invariant of policy-language.md §6 by plain search: each combination of representative values is put to the
//! engine, one after the other. Nothing in here knows how `afk::verify` does it.

use std::collections::{BTreeMap, BTreeSet};

use afk::engine::evaluate::{Verdict, evaluate};
use afk::engine::select::{Candidate, Outcome, select};
use afk::engine::step::{Advance, Circumstances, End, Machine};
use afk::policy::facts::{CiStatus, FactName, IssueFact, IssueFacts, Observed, RunFact, RunFacts};
use afk::policy::{
    Condition, Effect, GateRules, Matcher, Policy, RepoList, RepoPattern, Rules, RunRules, Test, Transition,
};

use crate::values::{Settable, Value, combinations, tests, values};

/// Repositories of every class that the patterns of the generated policies can tell apart.
const REPOS: [&str; 10] = [
    "acme/app",
    "acme/web",
    "acme/we",
    "acme/wex",
    "acme/web-",
    "acme/web-1",
    "acme/zz",
    "other/x",
    "other/y",
    "third/y",
];

/// More inputs than this are not worth the time.
pub const MAX_INPUTS: usize = 1_000;

/// The policy as it would be read with the kill switch off, and this on the allowlist.
pub fn with_allowlist(policy: &Policy, listed: Option<&str>) -> Policy {
    fn rewrite<F>(condition: &mut Condition<F>, list: &[RepoPattern]) {
        match condition {
            Condition::All(parts) | Condition::Any(parts) => parts.iter_mut().for_each(|part| rewrite(part, list)),
            Condition::Not(part) => rewrite(part, list),
            Condition::Test(Test { matcher: Matcher::In(names) | Matcher::NotIn(names), .. }) if names.is_allowlist => {
                *names = RepoList::new(list.to_vec(), true, names.is_denylist);
            }
            Condition::Test(_) => {}
        }
    }
    let list: Vec<RepoPattern> = listed.iter().map(|repo| RepoPattern::parse(repo).unwrap()).collect();
    let mut policy = policy.clone();
    policy.kill_switch.value = false;
    policy.allowlist.value.clone_from(&list);
    for rules in std::iter::once(&mut policy.base).chain(policy.overrides.iter_mut().map(|(_, rules)| rules)) {
        rules.gates.iter_mut().for_each(|gate| rewrite(&mut gate.require, &list));
        rules.transitions.iter_mut().for_each(|row| rewrite(&mut row.when, &list));
    }
    policy
}

/// What is broken, in the names of the codes; and what is dead, by its name.
pub type Judgement = BTreeSet<String>;

/// Everything that does not hold; `None` where there are too many inputs.
pub fn judge(policy: &Policy) -> Option<Judgement> {
    let repos: Vec<&str> = if reads_repositories(policy) { REPOS.to_vec() } else { vec!["third/y"] };
    // The rules of a repository, by the place of its override.
    let mut areas: BTreeMap<Option<usize>, Vec<&str>> = BTreeMap::new();
    for repo in repos {
        let own = policy.overrides.iter().position(|(pattern, _)| pattern.matches(repo));
        areas.entry(own.filter(|own| differs(policy, *own))).or_default().push(repo);
    }
    let mut judgement = Judgement::new();
    let (mut fired, mut matched, mut visited) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for repos in areas.values() {
        issues(policy, repos, &mut judgement, &mut fired)?;
        runs(policy, repos, &mut judgement, &mut matched, &mut visited)?;
    }
    for (index, gate) in policy.base.gates.iter().enumerate() {
        if !fired.contains(&index) {
            judgement.insert(format!("dead-gate {}", gate.name));
        }
    }
    for row in &policy.base.transitions {
        if !matched.contains(&row.name) && row.from.iter().any(|state| visited.contains(state)) {
            judgement.insert(format!("dead-row {}", row.name));
        }
    }
    for state in &policy.base.states {
        if !visited.contains(&state.name) {
            judgement.insert(format!("unreachable-state {}", state.name));
        }
    }
    Some(judgement)
}

/// Whether an override changes a rule; else its repositories are judged with those that have none.
fn differs(policy: &Policy, own: usize) -> bool {
    let changed = |rules: &Rules| {
        (RunRules::from(rules), GateRules::from(rules)) != (RunRules::from(&policy.base), GateRules::from(&policy.base))
    };
    let (pattern, rules) = &policy.overrides[own];
    let inside = |wide: &RepoPattern| !wide.is_exact() && pattern.is_exact() && wide.matches(&pattern.to_string());
    changed(rules) || policy.overrides.iter().any(|(wide, rules)| inside(wide) && changed(rules))
}

fn reads_repositories(policy: &Policy) -> bool {
    let mut gates = Vec::new();
    policy.base.gates.iter().for_each(|gate| tests(&gate.require, &mut gates));
    let mut rows = Vec::new();
    policy.base.transitions.iter().for_each(|row| tests(&row.when, &mut rows));
    !policy.denylist.value.is_empty()
        || !policy.overrides.is_empty()
        || gates.iter().any(|test| test.fact == IssueFact::Repo)
        || rows.iter().any(|test| test.fact == RunFact::Repo)
}

fn known<T: PartialEq>(observed: &Observed<T>, wanted: T) -> bool {
    *observed == Observed::Known(wanted)
}

/// The axioms on issues.
pub fn possible_issue(facts: &IssueFacts, rules: &Rules) -> bool {
    let ready = &rules.labels.ready.value;
    let labels = facts.labels.known().is_none_or(|labels| labels.iter().any(|one| one.eq_ignore_ascii_case(ready)));
    let here = facts.in_flight_in_repo.known();
    let at_most = |less: Option<&i64>, more: Option<&i64>| less.zip(more).is_none_or(|(less, more)| less <= more);
    let armed = facts.armed_for.known().zip(facts.age.known()).is_none_or(|(armed, age)| armed <= age);
    labels
        && at_most(here, facts.in_flight.known())
        && !(known(&facts.has_run, true) && here.is_some_and(|count| *count < 1))
        && armed
}

/// Which invariants a dispatch of this issue would break.
pub fn forbidden(facts: &IssueFacts, rules: &Rules, enrolled: bool) -> Vec<&'static str> {
    let slots = i64::try_from(rules.dispatch.slots_per_repo.value).unwrap();
    let carries = |label: &str| {
        facts.labels.known().is_none_or(|labels| labels.iter().any(|one| one.eq_ignore_ascii_case(label)))
    };
    let mut broken = Vec::new();
    let mut unless = |holds: bool, code| {
        if !holds {
            broken.push(code);
        }
    };
    unless(known(&facts.trusted, true), "untrusted-dispatch");
    unless(enrolled, "unlisted-dispatch");
    let free = facts.in_flight_in_repo.known().is_some_and(|count| *count < slots);
    unless(known(&facts.has_run, false) && free, "double-dispatch");
    unless(known(&facts.open_blockers, Vec::new()), "blocked-dispatch");
    let left_alone = carries(&rules.labels.human.value) || carries(&rules.labels.paused.value);
    unless(known(&facts.already_run, false) && !left_alone, "rearm-loop");
    broken
}

fn issues(policy: &Policy, repos: &[&str], judgement: &mut Judgement, fired: &mut BTreeSet<usize>) -> Option<()> {
    let rules = policy.rules(repos[0]);
    let mut all = Vec::new();
    rules.gates.iter().for_each(|gate| tests(&gate.require, &mut all));
    let slots = i64::try_from(rules.dispatch.slots_per_repo.value).unwrap();
    let names = &rules.labels;
    let labels = [&names.ready, &names.human, &names.paused].map(|label| label.value.clone());
    let domain = |fact: IssueFact| {
        let numbers: &[i64] = if fact == IssueFact::InFlightInRepo { &[slots, 1] } else { &[] };
        values::<IssueFacts>(fact, &all, numbers, if fact == IssueFact::Labels { &labels } else { &[] })
    };
    let read: BTreeSet<IssueFact> = all.iter().map(|test| test.fact).filter(|fact| *fact != IssueFact::Repo).collect();
    let domains: Vec<(IssueFact, Vec<Value>)> = read.iter().map(|fact| (*fact, domain(*fact))).collect();
    let inputs: usize = domains.iter().map(|(_, values)| values.len()).product::<usize>() * repos.len() * 2;
    if inputs > MAX_INPUTS {
        return None;
    }
    // What no gate reads is as the axioms mind least.
    let mut base = IssueFacts::harmless("third/y", 1, &names.ready.value);
    for fact in [IssueFact::InFlightInRepo, IssueFact::InFlight, IssueFact::Age, IssueFact::ArmedFor] {
        base.put(fact, &Value::Unknown);
    }
    for repo in repos {
        for listed in [true, false] {
            let policy = with_allowlist(policy, listed.then_some(*repo));
            let rules = policy.rules(repo);
            let mut candidates = Vec::new();
            base.repo = (*repo).to_owned();
            combinations(&base, &domains, &mut |facts| {
                if possible_issue(facts, rules) {
                    candidates.push(Candidate { facts: facts.clone(), armed_at: None, created_at: None });
                }
            });
            let decisions = select(&policy, &candidates, &[]);
            for (candidate, decision) in candidates.iter().zip(&decisions) {
                let facts = &candidate.facts;
                if let Outcome::Gate(gate) = decision.outcome {
                    fired.insert(gate);
                    continue;
                }
                assert!(rules.gates.iter().all(|gate| evaluate(&gate.require, facts) == Verdict::Holds));
                let enrolled = policy.enrolled(repo);
                judgement.extend(forbidden(facts, rules, enrolled).into_iter().map(str::to_owned));
                for fact in IssueFact::ALL.iter().filter(|fact| !read.contains(fact) && **fact != IssueFact::Repo) {
                    for value in domain(*fact) {
                        let mut facts = facts.clone();
                        facts.put(*fact, &value);
                        if possible_issue(&facts, rules) {
                            judgement.extend(forbidden(&facts, rules, enrolled).into_iter().map(str::to_owned));
                        }
                    }
                }
            }
        }
    }
    Some(())
}

/// The axioms on runs.
pub fn possible_run(facts: &RunFacts, rules: &Rules) -> bool {
    let stages: Vec<&String> = rules.stages.iter().map(|stage| &stage.name.value).collect();
    let green = facts.green_stages.known();
    let all_green = green.is_some_and(|green| stages.iter().all(|stage| green.contains(stage)));
    let none_green = green.is_some_and(|green| !stages.iter().any(|stage| green.contains(stage)));
    let unpushed = known(&facts.pushed, false);
    let (is_green, is_red) = (facts.ci == CiStatus::Green, facts.ci == CiStatus::Red);
    (!unpushed || (known(&facts.landed, false) && facts.ci == CiStatus::None && none_green))
        && (!known(&facts.landed, true) || known(&facts.pushed, true))
        && all_green == is_green
        && (is_red || facts.red_for.is_zero())
        && (!(is_green || is_red) || facts.verdict_wait.is_zero())
        && [facts.quiet, facts.verdict_wait, facts.red_for].iter().all(|length| *length <= facts.age)
}

pub fn has(rules: &Rules, row: &Transition, wanted: impl Fn(&Effect) -> bool) -> bool {
    rules.effects(row).iter().any(|effect| wanted(&effect.value))
}

pub fn sends_turn(rules: &Rules, row: &Transition) -> bool {
    has(rules, row, |effect| matches!(effect, Effect::Turn(_)))
}

pub fn closes(rules: &Rules, row: &Transition) -> bool {
    has(rules, row, |effect| matches!(effect, Effect::Close(_)))
}

/// One input of a run: its facts, and the policy with the allowlist that goes with it.
struct Input<'p> {
    policy: &'p Policy,
    facts: RunFacts,
}

impl<'p> Input<'p> {
    fn tick(&self, state: &str) -> Advance<'p> {
        tick(self.policy, state, &self.facts)
    }

    /// `age` and `attempts`, which never fall.
    fn moment(&self) -> Moment {
        (self.facts.age.as_secs(), self.facts.attempts)
    }
}

type Moment = (u64, i64);

fn tick<'p>(policy: &'p Policy, state: &str, facts: &RunFacts) -> Advance<'p> {
    let circumstances = Circumstances { kill_switch: false, enrolled: policy.enrolled(&facts.repo) };
    Machine::new(policy.rules(&facts.repo)).advance(state, facts, circumstances)
}

/// Where a run is after a tick.
fn after(advance: &Advance<'_>) -> String {
    if let End::Act(row) = advance.end { row.to.clone() } else { advance.state.clone() }
}

fn run_domains(rules: &Rules) -> Vec<(RunFact, Vec<Value>)> {
    use RunFact as F;
    let mut all = Vec::new();
    rules.transitions.iter().for_each(|row| tests(&row.when, &mut all));
    let mut read: BTreeSet<RunFact> = all.iter().map(|test| test.fact).filter(|fact| *fact != F::Repo).collect();
    let turns = rules.transitions.iter().any(|row| sends_turn(rules, row));
    let delicate = turns || rules.transitions.iter().any(|row| closes(rules, row));
    if delicate {
        read.extend([F::Held, F::Issue, F::Ci]);
    }
    if turns {
        read.extend([F::Attempts, F::Told]);
    }
    if read.iter().any(|fact| [F::GreenStages, F::RedFor, F::VerdictWait].contains(fact)) {
        read.insert(F::Ci);
    }
    let stages: Vec<String> = rules.stages.iter().map(|stage| stage.name.value.clone()).collect();
    let domain = |fact: RunFact| {
        let values = values::<RunFacts>(fact, &all, &[], if fact == F::GreenStages { &stages } else { &[] });
        let asked = all.iter().any(|test| test.fact == fact);
        match fact {
            // Turns are counted one by one, so every number up to the largest constant has its place.
            F::Attempts => {
                let most = values.iter().map(|value| if let Value::Int(value) = value { *value } else { 0 }).max();
                (0..=most.unwrap_or(0).max(1)).map(Value::Int).collect()
            }
            F::Issue if !asked => vec![Value::Text("open".to_owned()), Value::Unknown],
            F::Held if !asked => vec![Value::Bool(false), Value::Unknown],
            F::Ci if !asked => ["none", "green", "red"].map(|word| Value::Text(word.to_owned())).to_vec(),
            _ => values,
        }
    };
    read.iter().map(|fact| (*fact, domain(*fact))).collect()
}

fn inputs<'p>(policies: &'p [Policy], repos: &[&str], policy: &Policy) -> Option<Vec<Input<'p>>> {
    use RunFact as F;
    let rules = policy.rules(repos[0]);
    let domains = run_domains(rules);
    let count: usize = domains.iter().map(|(_, values)| values.len()).product::<usize>() * policies.len();
    if count > MAX_INPUTS {
        return None;
    }
    let read = |fact: RunFact| domains.iter().any(|(one, _)| *one == fact);
    let stages: Vec<String> = rules.stages.iter().map(|stage| stage.name.value.clone()).collect();
    let mut found = Vec::new();
    for (index, policy) in policies.iter().enumerate() {
        let repo = repos[index / 2];
        // What no row reads is as the axioms mind least.
        let mut base = RunFacts::harmless(repo, &rules.labels.ready.value, &rules.labels.in_progress.value);
        base.pushed = Observed::Known(true);
        base.age = std::time::Duration::from_secs(u64::from(u32::MAX));
        combinations(&base, &domains, &mut |facts| {
            let mut facts = facts.clone();
            if !read(F::GreenStages) {
                facts.green_stages =
                    Observed::Known(if facts.ci == CiStatus::Green { stages.clone() } else { Vec::new() });
            }
            if possible_run(&facts, rules) {
                found.push(Input { policy, facts });
            }
        });
    }
    Some(found)
}

fn runs(
    policy: &Policy,
    repos: &[&str],
    judgement: &mut Judgement,
    matched: &mut BTreeSet<String>,
    visited: &mut BTreeSet<String>,
) -> Option<()> {
    let policies: Vec<Policy> =
        repos.iter().flat_map(|repo| [with_allowlist(policy, Some(repo)), with_allowlist(policy, None)]).collect();
    let rules = policy.rules(repos[0]);
    let inputs = inputs(&policies, repos, policy)?;
    let last = inputs.iter().map(|input| input.facts.age).max()?;
    let most = inputs.iter().map(|input| input.facts.attempts).max()?;

    // Every tick of every state that a run can be in at its start: `reached` holds the earliest moments.
    let mut reached: BTreeMap<String, BTreeSet<Moment>> = BTreeMap::new();
    let start = rules.initial_state().unwrap().name.clone();
    reached.entry(start.clone()).or_default().insert((0, 0));
    let ticks: BTreeMap<&str, Vec<_>> = rules
        .states
        .iter()
        .filter(|state| state.outcome.is_none())
        .map(|state| (state.name.as_str(), inputs.iter().map(|input| input.tick(&state.name)).collect()))
        .collect();
    let can_be = |reached: &BTreeMap<String, BTreeSet<Moment>>, state: &str, (age, attempts): Moment| {
        reached.get(state).is_some_and(|moments| moments.iter().any(|(from, count)| *from <= age && *count <= attempts))
    };
    loop {
        let before: usize = reached.values().map(BTreeSet::len).sum();
        for (state, ticks) in &ticks {
            for (input, tick) in inputs.iter().zip(ticks) {
                let to = after(tick);
                if can_be(&reached, state, input.moment()) && !can_be(&reached, &to, input.moment()) {
                    reached.entry(to).or_default().insert(input.moment());
                }
            }
        }
        if before == reached.values().map(BTreeSet::len).sum::<usize>() {
            break;
        }
    }
    // A run that was begun under another policy may be in any state: what must not be holds there too.
    let anywhere: Vec<(&str, &Input<'_>, &Advance<'_>)> = ticks
        .iter()
        .flat_map(|(state, ticks)| inputs.iter().zip(ticks).map(|(input, tick)| (*state, input, tick)))
        .collect();
    let real: Vec<(&str, &Input<'_>, &Advance<'_>)> =
        anywhere.iter().filter(|(state, input, _)| can_be(&reached, state, input.moment())).copied().collect();

    visited.extend(reached.keys().cloned());
    for (_, _, tick) in &real {
        for row in &tick.path {
            matched.insert(row.name.clone());
            visited.insert(row.to.clone());
        }
        match tick.end {
            End::Act(row) | End::Held(row, _) => {
                matched.insert(row.name.clone());
            }
            End::Circle | End::Wait => {}
        }
    }
    for (state, input, tick) in &anywhere {
        if tick.end == End::Circle {
            judgement.insert("spin".to_owned());
        }
        if let End::Act(row) = tick.end {
            if closes(rules, row) && input.facts.ci != CiStatus::Green {
                judgement.insert("unverified-close".to_owned());
            }
            if sends_turn(rules, row) && input.facts.attempts == most {
                judgement.insert("endless-fixing".to_owned());
            }
            if repeats(input, state, &input.facts, &BTreeSet::new()) {
                judgement.insert("repeat-effects".to_owned());
            }
        }
    }

    // From which moments on a state has a way to an end.
    let mut ends: BTreeMap<&str, BTreeSet<Moment>> = BTreeMap::new();
    let terminal = |state: &str| rules.state(state).is_some_and(|state| state.outcome.is_some());
    let has_way = |ends: &BTreeMap<&str, BTreeSet<Moment>>, state: &str, (age, attempts): Moment| {
        terminal(state)
            || ends.get(state).is_some_and(|moments| moments.iter().any(|(by, count)| age <= *by && attempts <= *count))
    };
    loop {
        let before: usize = ends.values().map(BTreeSet::len).sum();
        for (state, input, tick) in &real {
            let moment = input.moment();
            if has_way(&ends, &after(tick), moment) && !has_way(&ends, state, moment) {
                ends.entry(state).or_default().insert(moment);
            }
        }
        if before == ends.values().map(BTreeSet::len).sum::<usize>() {
            break;
        }
    }
    let rests: BTreeSet<&str> = reached.keys().map(String::as_str).filter(|state| !terminal(state)).collect();
    let stranded: Vec<&str> = rests
        .into_iter()
        .filter(|state| !real.iter().any(|(one, input, _)| one == state && has_way(&ends, state, input.moment())))
        .collect();
    if !stranded.is_empty() {
        judgement.insert("dead-end".to_owned());
    }

    // Old runs: a circle of ticks on which neither `age` nor `attempts` has to change.
    for attempts in 0..=most {
        let mut edges: BTreeSet<(&str, String)> = BTreeSet::new();
        for (state, input, tick) in &anywhere {
            let here = input.facts.age == last && input.facts.attempts == attempts && !stranded.contains(state);
            if here && !matches!(tick.end, End::Held(..)) {
                edges.insert((state, after(tick)));
            }
        }
        loop {
            let starts: BTreeSet<String> = edges.iter().map(|(from, _)| (*from).to_owned()).collect();
            let before = edges.len();
            edges.retain(|(_, to)| starts.contains(to));
            if edges.len() == before {
                break;
            }
        }
        if !edges.is_empty() {
            judgement.insert("unbounded-run".to_owned());
        }
    }
    Some(())
}

/// Whether facts that stay as they are carry out the same row twice; a turn may be accepted or given up.
fn repeats(input: &Input<'_>, state: &str, facts: &RunFacts, done: &BTreeSet<String>) -> bool {
    let rules = input.policy.rules(&facts.repo);
    let End::Act(row) = tick(input.policy, state, facts).end else { return false };
    let mut done = done.clone();
    if !done.insert(row.name.clone()) {
        return true;
    }
    if rules.state(&row.to).is_some_and(|state| state.outcome.is_some()) {
        return false;
    }
    let turn = sends_turn(rules, row);
    let accepted: &[i64] = if turn { &[0, 1] } else { &[0] };
    accepted.iter().any(|accepted| {
        let mut facts = facts.clone();
        facts.told |= turn;
        facts.attempts = facts.attempts.saturating_add(*accepted);
        repeats(input, &row.to, &facts, &done)
    })
}
