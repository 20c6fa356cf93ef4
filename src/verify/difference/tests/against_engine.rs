//! The comparison, held against the engine: every example is decided differently, and nothing is missed.

use std::time::Duration;

use proptest::prelude::*;

use super::edits::{LISTS, apply, denying, edits};
use super::*;
use crate::engine::select::{Candidate, Outcome, select};
use crate::engine::step::{Circumstances, End, Machine};
use crate::policy::facts::{
    AgentStatus, CiStatus, FactName, Given, IssueFact, IssueFacts, IssueStatus, Observed, PullRequestStatus, RunFact,
    RunFacts,
};
use crate::policy::{Condition, Effect, Matcher, RepoList, RepoPattern};
use crate::verify::domain::Chosen;

/// The policy with this allowlist, wherever it is compared with, and without the kill switch.
fn enrolling(policy: &Policy, repo: Option<&str>) -> Policy {
    fn set(condition: &mut Condition<IssueFact>, list: &[RepoPattern]) {
        match condition {
            Condition::All(parts) | Condition::Any(parts) => parts.iter_mut().for_each(|part| set(part, list)),
            Condition::Not(part) => set(part, list),
            Condition::Test(test) => {
                if let Matcher::In(repos) | Matcher::NotIn(repos) = &mut test.matcher
                    && repos.is_allowlist
                {
                    *repos = RepoList::new(list.to_vec(), true, repos.is_denylist);
                }
            }
        }
    }
    let mut policy = policy.clone();
    let list: Vec<RepoPattern> = repo.iter().map(|repo| RepoPattern::parse(repo).unwrap()).collect();
    policy.base.gates.iter_mut().for_each(|gate| set(&mut gate.require, &list));
    policy.allowlist.value = list;
    policy.kill_switch.value = false;
    policy
}

fn is_dispatched(policy: &Policy, facts: &IssueFacts, allowlisted: bool) -> bool {
    let policy = enrolling(policy, allowlisted.then_some(facts.repo.as_str()));
    let trace = select(&policy, &[Candidate { facts: facts.clone(), armed_at: None, created_at: None }], &[]);
    matches!(trace[0].outcome, Outcome::Dispatch(_))
}

/// Where a run is after a tick, and what was done.
fn comes_to(policy: &Policy, state: &str, facts: &RunFacts, allowlisted: bool) -> (String, Vec<Effect>) {
    let rules = &policy.base;
    let enrolled = allowlisted && !policy.denylist.value.iter().any(|pattern| pattern.matches(&facts.repo));
    let advanced = Machine::new(rules).advance(state, facts, Circumstances { kill_switch: false, enrolled });
    match advanced.end {
        End::Act(row) => (row.to.clone(), rules.effects(row).iter().map(|effect| effect.value.clone()).collect()),
        _ => (advanced.state.clone(), Vec::new()),
    }
}

fn given(chosen: &Chosen) -> Given {
    match chosen.clone() {
        Chosen::Unknown => Given::Unknown("for the test".to_owned()),
        Chosen::Bool(value) => Given::Bool(value),
        Chosen::Int(value) => Given::Int(value),
        Chosen::Number(value) => Given::Number(value),
        Chosen::Seconds(seconds) => Given::Duration(Duration::from_secs(seconds)),
        Chosen::Text(text) => Given::Text(text),
        Chosen::Set(set) => Given::Set(set),
    }
}

fn differs(old: &Policy, new: &Policy, sample: &Sample) -> bool {
    let example = &sample.example;
    match &sample.state {
        None => {
            let mut facts = IssueFacts::harmless(&example.repo, 1, "ready-for-agent");
            for (name, chosen) in &example.facts {
                assert!(facts.set(IssueFact::named(name).unwrap(), given(chosen)));
            }
            is_dispatched(old, &facts, example.allowlisted) != is_dispatched(new, &facts, example.allowlisted)
        }
        Some(state) => {
            let mut facts = RunFacts::harmless(&example.repo, "ready-for-agent", "agent-in-progress");
            for (name, chosen) in &example.facts {
                assert!(facts.set(RunFact::named(name).unwrap(), given(chosen)));
            }
            comes_to(old, state, &facts, example.allowlisted) != comes_to(new, state, &facts, example.allowlisted)
        }
    }
}

fn observed<T: Clone + std::fmt::Debug + 'static>(values: Vec<T>) -> impl Strategy<Value = Observed<T>> {
    prop_oneof![
        5 => prop::sample::select(values).prop_map(Observed::Known),
        1 => Just(Observed::Unknown("for the test".to_owned())),
    ]
}

fn lengths() -> impl Strategy<Value = Duration> {
    prop::sample::select(vec![0, 60, 120, 240, 600, 900, 2_700, 3_600, 5_400, 7_200, 14_400, 86_400, 172_800])
        .prop_map(Duration::from_secs)
}

fn repos() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["acme/app", "other/app", "else/site"])
}

/// Issues as the axioms allow them.
fn issues() -> impl Strategy<Value = IssueFacts> {
    let flag = || observed(vec![true, false]);
    let labels = observed(vec![vec![], vec!["paused"], vec!["ready-for-human"], vec!["bug"]]);
    let blockers = observed(vec![vec![], vec!["acme/app#2".to_owned()]]);
    (flag(), flag(), flag(), flag(), labels, blockers, (0..3_i64, repos())).prop_map(
        |(trusted, has_run, already_run, edited, labels, open_blockers, (here, repo))| {
            let mut facts = IssueFacts::harmless(repo, 1, "ready-for-agent");
            let here = if has_run == Observed::Known(true) { here.max(1) } else { here };
            facts.labels =
                labels.map(|labels| labels.into_iter().chain(["ready-for-agent"]).map(str::to_owned).collect());
            facts.in_flight_in_repo = Observed::Known(here);
            facts.in_flight = Observed::Known(here);
            IssueFacts { trusted, has_run, already_run, edited_since_armed: edited, open_blockers, ..facts }
        },
    )
}

/// Runs as the axioms allow them.
fn runs() -> impl Strategy<Value = RunFacts> {
    use {AgentStatus as Agent, CiStatus as Ci, IssueStatus as Issue, PullRequestStatus as PullRequest};
    let agents =
        vec![Agent::Starting, Agent::Running, Agent::Waiting, Agent::Idle, Agent::Failed, Agent::Gone, Agent::Unknown];
    let requests =
        vec![PullRequest::None, PullRequest::Draft, PullRequest::Open, PullRequest::Merged, PullRequest::Closed];
    let of_agent = (
        prop::sample::select(agents),
        observed(vec![false, true]),
        observed(vec![Issue::Open, Issue::Closed, Issue::Gone]),
    );
    let of_code =
        (observed(vec![true, false]), observed(vec![true, false]), observed(requests), observed(vec![true, false]));
    let of_ci =
        (prop::sample::select(vec![Ci::None, Ci::Pending, Ci::Green, Ci::Red, Ci::Unknown]), 0..12_i64, any::<bool>());
    let times = (lengths(), lengths(), lengths(), lengths());
    (of_agent, of_code, of_ci, times, (observed(vec![0.0, 99.0, 150.0]), repos())).prop_map(
        |(of_agent, of_code, of_ci, times, (cost_usd, repo))| {
            let (agent, held, issue) = of_agent;
            let (pushed, landed, pull_request, touched) = of_code;
            let (ci, attempts, told) = of_ci;
            let (age, quiet, verdict_wait, red_for) = times;
            let mut facts = RunFacts::harmless(repo, "ready-for-agent", "agent-in-progress");
            facts = RunFacts {
                agent,
                held,
                issue,
                pull_request,
                touched_protected: touched,
                attempts,
                told,
                cost_usd,
                ..facts
            };
            facts.landed = landed;
            facts.pushed = if facts.landed == Observed::Known(true) { Observed::Known(true) } else { pushed };
            facts.ci = ci;
            if facts.pushed == Observed::Known(false) {
                facts.landed = Observed::Known(false);
                facts.ci = Ci::None;
            }
            if facts.ci == Ci::Green {
                facts.green_stages = Observed::Known(vec!["build".to_owned()]);
            }
            facts.age = age;
            facts.quiet = quiet.min(age);
            facts.red_for = if facts.ci == Ci::Red { red_for.min(age) } else { Duration::ZERO };
            let is_decided = matches!(facts.ci, Ci::Green | Ci::Red);
            facts.verdict_wait = if is_decided { Duration::ZERO } else { verdict_wait.min(age) };
            facts
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_example_is_decided_differently_and_nothing_is_missed(
        edits in prop::collection::vec(edits(), 0..4),
        denylists in (0..LISTS.len(), 0..LISTS.len()),
        issues in prop::collection::vec((issues(), prop::bool::weighted(0.9)), 300),
        runs in prop::collection::vec((runs(), prop::bool::weighted(0.9)), 600),
    ) {
        let old = denying(&policy(SHIPPED), denylists.0);
        // The old rules under the new denylist: what they decide alike is said of the denylist.
        let held = denying(&old, denylists.1);
        let mut new = held.clone();
        edits.iter().for_each(|edit| apply(&mut new.base, *edit));
        let found = difference(&old, &new).unwrap();
        for item in &found.items {
            if let Some(sample) = &item.sample {
                prop_assert!(differs(&old, &new, sample), "{}: {}", item.what, sample.line());
            }
        }
        let said = |state: Option<&str>| found.items.iter().any(|item| match state {
            None => item.sample.as_ref().is_some_and(|sample| sample.state.is_none()),
            Some(state) => item.details.iter().any(|detail| detail.starts_with(&format!("in `{state}`:"))),
        });
        let said_of_denylist = found.items.iter().any(|item| item.what.contains("on the denylist"));
        for (facts, listed) in &issues {
            let after = is_dispatched(&new, facts, *listed);
            if is_dispatched(&old, facts, *listed) != after {
                let is_explained = said_of_denylist && is_dispatched(&held, facts, *listed) == after;
                prop_assert!(is_explained || said(None), "{facts:?}");
            }
        }
        for (facts, listed) in &runs {
            for state in ["working", "verifying", "fixing"] {
                let after = comes_to(&new, state, facts, *listed);
                if comes_to(&old, state, facts, *listed) != after {
                    let is_explained = said_of_denylist && comes_to(&held, state, facts, *listed) == after;
                    prop_assert!(is_explained || said(Some(state)), "{state}: {facts:?}\n{found:?}");
                }
            }
        }
    }
}
