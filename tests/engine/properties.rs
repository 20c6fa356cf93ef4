//! What holds for every input.

use std::collections::HashMap;
use std::time::Duration;

use afk::engine::evaluate::{Verdict, evaluate, lacking};
use afk::engine::select::{Candidate, Outcome, place_in_repo, select, sentence};
use afk::engine::step::{Circumstances, End, Machine, Step, due_in, trace};
use afk::policy::facts::{AgentStatus, CiStatus, IssueFact, IssueFacts, IssueStatus, Observed, RunFact, RunFacts};
use afk::policy::{Comparison, Condition, Matcher, OrderBy, Policy, Quantity, Rules};
use proptest::prelude::{Just, Strategy, prop, prop_assert, prop_assert_eq, prop_compose, prop_oneof, proptest};

use crate::builder::*;

fn observed<T: Clone + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Observed<T>> {
    prop_oneof![
        12 => value.prop_map(Observed::Known),
        1 => Just(Observed::Unknown("no answer".to_owned())),
        1 => Just(Observed::NotRead),
    ]
}

prop_compose! {
    fn candidate()(
        repo in prop_oneof![Just("acme/app"), Just("acme/site"), Just("ACME/lib"), Just("acme/secret"), Just("other/x")],
        number in 1_i64..1_000,
        priority in observed(-2_i64..3),
        trusted in observed(prop::bool::weighted(0.8)),
        has_run in observed(prop::bool::weighted(0.1)),
        edited in observed(prop::bool::weighted(0.1)),
        blockers in observed(prop_oneof![5 => Just(vec![]), 1 => Just(vec!["#1".to_owned()])]),
        labels in observed(prop_oneof![5 => Just(vec![]), 1 => Just(vec!["Paused".to_owned()])]),
        armed in prop::option::of(0_i64..5),
    ) -> Candidate {
        let candidate = with(issue(repo, number), |facts| {
            facts.priority = priority;
            facts.trusted = trusted;
            facts.has_run = has_run;
            facts.edited_since_armed = edited;
            facts.open_blockers = blockers;
            facts.labels = labels;
        });
        Candidate { armed_at: armed.and_then(|at| chrono::DateTime::from_timestamp(at, 0)), ..candidate }
    }
}

/// Issues of different names.
fn queue() -> impl Strategy<Value = Vec<Candidate>> {
    prop::collection::vec(candidate(), 0..40).prop_map(|mut queue| {
        let mut seen = std::collections::HashSet::new();
        queue.retain(|one| seen.insert((one.facts.repo.clone(), one.facts.number)));
        queue
    })
}

prop_compose! {
    fn some_policy()(
        slots in 0_usize..4,
        own_slots in 0_usize..4,
        max_in_flight in 0_usize..8,
        max_per_tick in 0_usize..8,
        keys in prop::sample::subsequence(
            vec![by(OrderBy::Priority), descending(OrderBy::ArmedAt), descending(OrderBy::Number)], 0..=3),
    ) -> Policy {
        let mut policy = shipped();
        policy.base.priority.order = keys;
        policy.base.dispatch.slots_per_repo = located(slots);
        policy.base.dispatch.max_in_flight = located(max_in_flight);
        policy.base.dispatch.max_per_tick = located(max_per_tick);
        let mut own = policy.base.clone();
        own.dispatch.slots_per_repo = located(own_slots);
        policy.overrides = vec![(patterns(&["acme/site"]).remove(0), own)];
        policy
    }
}

fn in_flight() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(prop_oneof![Just("acme/app"), Just("Acme/Lib"), Just("gone/x")], 0..4)
        .prop_map(|repos| strings(&repos))
}

/// Outcomes by name, so that they can be compared whatever the order of the input.
fn by_name(policy: &Policy, candidates: &[Candidate], in_flight: &[String]) -> HashMap<(String, i64), String> {
    let name = |candidate: &Candidate| (candidate.facts.repo.clone(), candidate.facts.number);
    let decisions = select(policy, candidates, in_flight);
    let said = |index: usize| match decisions[index].outcome {
        Outcome::Slot(Some(winner)) => format!("behind {:?}", name(&candidates[winner])),
        other => format!("{other:?}"),
    };
    candidates
        .iter()
        .enumerate()
        .map(|(index, candidate)| {
            let place = place_in_repo(policy, candidates, &decisions, index);
            (name(candidate), format!("{} {:?} {place:?}", said(index), decisions[index].trace))
        })
        .collect()
}

proptest! {
    #[test]
    fn the_order_of_the_input_decides_nothing(
        policy in some_policy(),
        (queue, shuffled) in queue().prop_flat_map(|queue| (Just(queue.clone()), Just(queue).prop_shuffle())),
        in_flight in in_flight(),
    ) {
        prop_assert_eq!(by_name(&policy, &queue, &in_flight), by_name(&policy, &shuffled, &in_flight));
    }

    #[test]
    fn every_issue_gets_a_decision_and_a_sentence_within_every_limit(
        policy in some_policy(),
        // With duplicates.
        queue in prop::collection::vec(candidate(), 0..40),
        in_flight in in_flight(),
    ) {
        let before = (policy.clone(), queue.clone(), in_flight.clone());
        let decisions = select(&policy, &queue, &in_flight);
        prop_assert_eq!(&before, &(policy.clone(), queue.clone(), in_flight.clone()), "inputs are untouched");
        prop_assert_eq!(decisions.len(), queue.len());

        let key = |repo: &str| repo.to_ascii_lowercase();
        let mut taken: HashMap<String, usize> = HashMap::new();
        for repo in &in_flight {
            *taken.entry(key(repo)).or_default() += 1;
        }
        let full_before = taken.clone();
        let mut places = Vec::new();
        let mut dispatched = std::collections::HashSet::new();
        for (index, (candidate, decision)) in queue.iter().zip(&decisions).enumerate() {
            prop_assert!(!sentence(&policy, &queue, index, decision).is_empty());
            let repo = key(&candidate.facts.repo);
            match decision.outcome {
                Outcome::Dispatch(place) => {
                    for gate in 0..policy.base.gates.len() {
                        prop_assert_eq!(decision.trace.verdict(gate), Verdict::Holds);
                        prop_assert_eq!(evaluate(&policy.base.gates[gate].require, &candidate.facts), Verdict::Holds);
                    }
                    places.push(place);
                    prop_assert!(dispatched.insert((repo.clone(), candidate.facts.number)), "dispatched twice");
                    *taken.entry(repo).or_default() += 1;
                }
                Outcome::Unread => *taken.entry(repo).or_default() += 1,
                Outcome::Gate(gate) => {
                    let verdicts: Vec<Verdict> = (0..8).map(|gate| decision.trace.verdict(gate)).collect();
                    let first = verdicts.iter().position(|verdict| *verdict == Verdict::Fails)
                        .or_else(|| verdicts.iter().position(|verdict| *verdict == Verdict::Unknown));
                    prop_assert_eq!(Some(gate), first);
                }
                Outcome::Slot(_) | Outcome::Capacity(_) => prop_assert_eq!(decision.trace.fired(), None),
                Outcome::KillSwitch | Outcome::Paused => prop_assert!(false, "neither is on"),
            }
        }
        for (repo, count) in taken {
            let slots = policy.rules(&repo).dispatch.slots_per_repo.value;
            prop_assert!(count <= slots.max(full_before.get(&repo).copied().unwrap_or(0)), "{} in {}", count, repo);
        }
        places.sort_unstable();
        prop_assert!(places.len() <= policy.base.dispatch.max_per_tick.value);
        prop_assert!(places.is_empty() || places.len() + in_flight.len() <= policy.base.dispatch.max_in_flight.value);
        prop_assert_eq!(&places, &(1..=places.len()).collect::<Vec<_>>());
    }

    #[test]
    fn the_kill_switch_dispatches_nothing(mut policy in some_policy(), queue in queue(), in_flight in in_flight()) {
        policy.kill_switch = located(true);
        let decisions = select(&policy, &queue, &in_flight);
        prop_assert_eq!(decisions.len(), queue.len());
        prop_assert!(decisions.iter().all(|decision| decision.outcome == Outcome::KillSwitch));
    }

    #[test]
    fn no_better_issue_of_the_repository_is_passed_over(policy in some_policy(), queue in queue()) {
        let decisions = select(&policy, &queue, &[]);
        for decision in &decisions {
            if let Outcome::Slot(Some(winner)) = decision.outcome {
                prop_assert!(matches!(decisions[winner].outcome, Outcome::Dispatch(_) | Outcome::Unread));
            }
        }
        for (index, decision) in decisions.iter().enumerate() {
            if let Some((place, all)) = place_in_repo(&policy, &queue, &decisions, index) {
                let slots = policy.rules(&queue[index].facts.repo).dispatch.slots_per_repo.value;
                prop_assert!(place <= all);
                match decision.outcome {
                    Outcome::Slot(_) => prop_assert!(place > slots),
                    Outcome::Capacity(_) => {}
                    _ => prop_assert!(place <= slots),
                }
            }
        }
    }
}

fn condition() -> impl Strategy<Value = Condition<IssueFact>> {
    let leaf = prop_oneof![
        proptest::bool::ANY.prop_map(|wanted| is(IssueFact::Trusted, wanted)),
        proptest::bool::ANY.prop_map(|wanted| is(IssueFact::HasRun, wanted)),
        proptest::bool::ANY.prop_map(|wanted| is(IssueFact::EditedSinceArmed, wanted)),
        proptest::bool::ANY.prop_map(|wanted| test(IssueFact::OpenBlockers, Matcher::Empty(wanted))),
        (-2_i64..3).prop_map(|bound| below(IssueFact::Priority, bound)),
        // A matcher that no checked policy puts on this fact.
        Just(is(IssueFact::Repo, true)),
    ];
    leaf.prop_recursive(4, 24, 4, |part| {
        prop_oneof![
            prop::collection::vec(part.clone(), 0..4).prop_map(Condition::All),
            prop::collection::vec(part.clone(), 0..4).prop_map(Condition::Any),
            part.prop_map(crate::builder::not),
        ]
    })
}

fn known(facts: IssueFacts) -> IssueFacts {
    let settle = |fact: Observed<bool>| Known(fact.known().copied().unwrap_or(false));
    IssueFacts {
        trusted: settle(facts.trusted),
        has_run: settle(facts.has_run),
        edited_since_armed: settle(facts.edited_since_armed),
        priority: Known(facts.priority.known().copied().unwrap_or(0)),
        open_blockers: Known(facts.open_blockers.known().cloned().unwrap_or_default()),
        ..facts
    }
}

proptest! {
    #[test]
    fn de_morgan_and_double_negation(parts in prop::collection::vec(condition(), 0..4), one in candidate()) {
        let facts = &one.facts;
        let negated = || parts.iter().cloned().map(crate::builder::not).collect::<Vec<_>>();
        let both = || Condition::All(parts.clone());
        let either = || Condition::Any(parts.clone());
        prop_assert_eq!(evaluate(&crate::builder::not(both()), facts), evaluate(&Condition::Any(negated()), facts));
        prop_assert_eq!(evaluate(&crate::builder::not(either()), facts), evaluate(&Condition::All(negated()), facts));
        let twice = crate::builder::not(crate::builder::not(both()));
        prop_assert_eq!(evaluate(&twice, facts), evaluate(&both(), facts));
    }

    #[test]
    fn the_order_of_parts_and_a_repeated_part_change_nothing(
        (parts, shuffled) in prop::collection::vec(condition(), 0..4)
            .prop_flat_map(|parts| (Just(parts.clone()), Just(parts).prop_shuffle())),
        one in candidate(),
    ) {
        let facts = &one.facts;
        let doubled = [parts.clone(), shuffled.clone()].concat();
        for join in [Condition::All, Condition::Any] {
            let verdict = evaluate(&join(parts.clone()), facts);
            prop_assert_eq!(evaluate(&join(shuffled.clone()), facts), verdict);
            prop_assert_eq!(evaluate(&join(doubled.clone()), facts), verdict);
        }
    }

    #[test]
    fn learning_a_fact_never_turns_a_verdict_that_stands(condition in condition(), one in candidate()) {
        let verdict = evaluate(&condition, &one.facts);
        if matches!(verdict, Verdict::Holds | Verdict::Fails) {
            prop_assert_eq!(evaluate(&condition, &known(one.facts)), verdict);
        }
    }

    #[test]
    fn a_condition_lacks_nothing_exactly_when_it_holds_or_nothing_could_help(
        condition in condition(), one in candidate(),
    ) {
        let lacks = lacking(&condition, &one.facts);
        if evaluate(&condition, &one.facts) == Verdict::Holds {
            prop_assert!(lacks.is_empty());
        }
        if evaluate(&condition, &one.facts) == Verdict::Unknown {
            prop_assert!(!lacks.is_empty());
        }
    }
}

prop_compose! {
    fn run_facts()(
        agent in prop::sample::select(
            AgentStatus::WORDS.iter().filter_map(|word| AgentStatus::from_word(word)).collect::<Vec<_>>()),
        ci in prop::sample::select(
            CiStatus::WORDS.iter().filter_map(|word| CiStatus::from_word(word)).collect::<Vec<_>>()),
        pushed in observed(proptest::bool::ANY),
        landed in observed(proptest::bool::ANY),
        held in observed(proptest::bool::ANY),
        issue in observed(prop_oneof![Just(IssueStatus::Open), Just(IssueStatus::Gone)]),
        attempts in 0_i64..7,
        told in proptest::bool::ANY,
        age in 0_u64..30,
        quiet in 0_u64..60,
    ) -> RunFacts {
        RunFacts { agent, ci, pushed, landed, held, issue, attempts, told, age: hours(age), quiet: minutes(quiet), ..run() }
    }
}

fn circumstances() -> impl Strategy<Value = Circumstances> {
    (proptest::bool::ANY, proptest::bool::ANY)
        .prop_map(|(kill_switch, enrolled)| Circumstances { kill_switch, enrolled })
}

/// The machine, its rows in any order, some of them without effects.
fn machines() -> impl Strategy<Value = Rules> {
    let rows = machine().transitions;
    (Just(rows).prop_shuffle(), prop::collection::vec(prop::bool::weighted(0.3), 7)).prop_map(|(mut rows, bare)| {
        for (row, bare) in rows.iter_mut().zip(bare) {
            if bare {
                row.action = None;
            }
        }
        Rules { transitions: rows, ..machine() }
    })
}

/// One to three ways for a row to hold, none of them for most runs.
fn red_and_few_attempts() -> impl Strategy<Value = Condition<RunFact>> {
    prop::collection::vec(0_i64..4, 1..4).prop_map(|bounds| {
        let way = |bound| Condition::All(vec![one_of(RunFact::Ci, &["red"]), below(RunFact::Attempts, bound)]);
        Condition::Any(bounds.into_iter().map(way).collect())
    })
}

/// Conditions of every kind of test, some of which no table can hold.
fn run_condition() -> impl Strategy<Value = Condition<RunFact>> {
    let comparison = || {
        use Comparison::{Eq, Gt, Gte, Lt, Lte, Ne};
        prop::sample::select(vec![Lt, Lte, Gt, Gte, Eq, Ne])
    };
    let compare = |fact, by, bound| test(fact, Matcher::Compare(by, bound));
    let count = prop_oneof![9 => -1_i64..7, 1 => prop::sample::select(vec![i64::MIN, i64::MAX])];
    let leaf = prop_oneof![
        proptest::bool::ANY.prop_map(|wanted| is(RunFact::Pushed, wanted)),
        proptest::bool::ANY.prop_map(|wanted| is(RunFact::Told, wanted)),
        prop::sample::subsequence(AgentStatus::WORDS, 1..4).prop_map(|words| one_of(RunFact::Agent, &words)),
        prop::sample::subsequence(CiStatus::WORDS, 1..3).prop_map(|words| one_of(RunFact::Ci, &words)),
        Just(one_of(RunFact::Issue, &["gone"])),
        (comparison(), 0_u64..60).prop_map(move |(by, at)| compare(
            RunFact::Quiet,
            by,
            Quantity::Duration(minutes(at))
        )),
        (comparison(), count).prop_map(move |(by, at)| compare(RunFact::Attempts, by, Quantity::Int(at))),
        (comparison(), prop::sample::select(vec![-1.0, -0.0, 0.0, 1.0, f64::INFINITY]))
            .prop_map(move |(by, at)| compare(RunFact::CostUsd, by, Quantity::Number(at))),
        prop::collection::vec(0_i64..7, 1..3).prop_map(|counts| {
            test(RunFact::Attempts, Matcher::OneOfQuantities(counts.into_iter().map(Quantity::Int).collect()))
        }),
        Just(test(RunFact::Labels, Matcher::HasAny(strings(&["paused"])))),
        proptest::bool::ANY.prop_map(|wanted| test(RunFact::Labels, Matcher::Empty(wanted))),
        Just(test(RunFact::Milestones, Matcher::Empty(true))),
    ];
    leaf.prop_recursive(4, 24, 4, |part| {
        prop_oneof![
            prop::collection::vec(part.clone(), 0..4).prop_map(Condition::All),
            prop::collection::vec(part.clone(), 0..4).prop_map(Condition::Any),
            part.prop_map(crate::builder::not),
        ]
    })
}

proptest! {
    #[test]
    fn a_machine_finds_the_first_row_that_holds_by_its_condition(
        mut rules in machines(),
        conditions in prop::collection::vec(run_condition(), 0..40),
        before in prop::collection::vec(red_and_few_attempts(), 0..80),
        bounds in prop::collection::vec(0_u64..40, 0..40),
        runs in prop::collection::vec((
            prop::sample::select(vec!["working", "verifying", "fixing", "done", "frozen", "dropped"]),
            run_facts(),
            observed(prop::sample::select(vec![-1.0, -0.0, 0.0, 0.5, 1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY])),
            prop_oneof![9 => 0_i64..7, 1 => prop::sample::select(vec![i64::MIN, i64::MAX])],
            (prop_oneof![0_u64..42, 0_u64..3600], prop::sample::select(vec![0, 1, 500_000_000, 999_999_999]))
                .prop_map(|(seconds, nanoseconds)| Duration::new(seconds, nanoseconds)),
            observed(prop_oneof![Just(vec![]), Just(vec!["paused".to_owned()])]),
            circumstances(),
        ), 1..60),
    ) {
        // More than a table has bits for, and more bounds of one fact than a column has places for.
        let quiet = bounds.into_iter().map(|at| {
            let quiet = Matcher::OneOfQuantities(vec![Quantity::Duration(Duration::from_secs(at))]);
            Condition::All(vec![is(RunFact::Told, true), test(RunFact::Quiet, quiet)])
        });
        let conditions = before.into_iter().chain(quiet).chain(conditions);
        let further = conditions.enumerate().map(|(number, when)| {
            let from: &[&str] = if number % 3 == 0 { &["working", "fixing"] } else { &["verifying"] };
            let action = if number % 2 == 0 { "fix-forward" } else { "close" };
            row(&format!("further-{number}"), from, when, "frozen", Some(action))
        });
        rules.transitions.splice(0..0, further);
        let machine = Machine::new(&rules);
        for (state, facts, cost_usd, attempts, quiet, labels, circumstances) in runs {
            let facts = RunFacts { cost_usd, attempts, quiet, labels, ..facts };
            let state_or_initial = if state == "dropped" { "working" } else { state };
            let is_active = rules.state(state_or_initial).is_some_and(|state| state.outcome.is_none());
            let first = rules.transitions.iter().find(|row| {
                is_active
                    && row.from.iter().any(|from| from == state_or_initial)
                    && (circumstances.enrolled || row.action.as_deref() != Some("fix-forward"))
                    && evaluate(&row.when, &facts) == Verdict::Holds
            });
            let found = match step(&machine, state, &facts, circumstances) {
                Step::Wait => None,
                Step::Row(row) | Step::Held(row, _) => Some(row),
            };
            prop_assert_eq!(found, first);
        }
    }

    #[test]
    fn a_step_takes_the_first_row_that_matches(
        rules in machines(),
        state in prop::sample::select(vec!["working", "verifying", "fixing", "done", "frozen"]),
        facts in run_facts(),
        circumstances in circumstances(),
    ) {
        let rows = trace(&rules, state, &facts);
        prop_assert_eq!(rows.len(), rules.transitions.len());
        let first = rows.iter().find(|row| {
            let turn = row.row.action.as_deref() == Some("fix-forward");
            row.applies && row.verdict == Verdict::Holds && (circumstances.enrolled || !turn)
        });
        match step(&Machine::new(&rules), state, &facts, circumstances) {
            Step::Wait => prop_assert!(first.is_none()),
            Step::Row(row) => {
                prop_assert_eq!(first.map(|first| first.row), Some(row));
                if row.action.as_deref() == Some("fix-forward") {
                    prop_assert!(circumstances.enrolled && !circumstances.kill_switch);
                }
                if matches!(row.action.as_deref(), Some("fix-forward" | "close")) {
                    prop_assert!(facts.held.known().is_some() && facts.issue.known().is_some());
                }
            }
            Step::Held(row, _) => {
                prop_assert_eq!(first.map(|first| first.row), Some(row));
                prop_assert!(matches!(row.action.as_deref(), Some("fix-forward" | "close")));
            }
        }
        for row in rows {
            prop_assert_eq!(due_in(row.row, &facts) == Some(minutes(0)), row.verdict == Verdict::Holds);
            prop_assert_eq!(row.lacking.is_empty(), row.verdict == Verdict::Holds);
        }
    }

    #[test]
    fn advancing_ends_where_a_step_would(
        rules in machines(),
        state in prop::sample::select(vec!["working", "verifying", "fixing", "done", "frozen", "dropped"]),
        facts in run_facts(),
        circumstances in circumstances(),
    ) {
        let machine = Machine::new(&rules);
        let advance = machine.advance(state, &facts, circumstances);
        prop_assert!(advance.path.len() <= rules.states.len());
        prop_assert_eq!(advance.restarted, state == "dropped");
        let next = step(&machine, &advance.state, &facts, circumstances);
        match advance.end {
            End::Wait => prop_assert_eq!(next, Step::Wait),
            End::Act(row) => prop_assert_eq!(next, Step::Row(row)),
            End::Held(row, why) => prop_assert_eq!(next, Step::Held(row, why)),
            End::Circle => prop_assert!(advance.path.iter().all(|row| row.action.is_none())),
        }
        let due_now = machine.next_due(state, &facts, circumstances).map(|(left, _)| left) == Some(minutes(0));
        prop_assert_eq!(due_now, step(&machine, state, &facts, circumstances) != Step::Wait);
    }
}
