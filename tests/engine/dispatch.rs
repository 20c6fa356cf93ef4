//! §4: which armed issues are dispatched, and what fired for the others.

use afk::engine::evaluate::Verdict;
use afk::engine::select::{
    Candidate, CapacityLimit, Decision, GateTrace, Outcome, fired, place_in_repo, select, sentence,
};
use afk::policy::facts::{IssueFact, IssueFacts};
use afk::policy::{OrderBy, Policy, Rules};
use chrono::DateTime;
use pretty_assertions::assert_eq;

use crate::builder::*;

/// The dispatched issues in order, as test files name them.
fn dispatched(candidates: &[Candidate], decisions: &[Decision]) -> Vec<String> {
    let mut places: Vec<(usize, String)> = candidates
        .iter()
        .zip(decisions)
        .filter_map(|(candidate, decision)| match decision.outcome {
            Outcome::Dispatch(place) => Some((place, format!("{}#{}", candidate.facts.repo, candidate.facts.number))),
            _ => None,
        })
        .collect();
    places.sort();
    places.into_iter().map(|(_, name)| name).collect()
}

fn order_of(policy: &Policy, candidates: &[Candidate]) -> Vec<String> {
    dispatched(candidates, &select(policy, candidates, &[]))
}

fn fired_for(policy: &Policy, candidates: &[Candidate], in_flight: &[&str]) -> Vec<Option<String>> {
    let decisions = select(policy, candidates, &strings(in_flight));
    candidates
        .iter()
        .zip(&decisions)
        .map(|(candidate, decision)| fired(policy, candidate, decision).map(ToOwned::to_owned))
        .collect()
}

fn sentence_for(policy: &Policy, candidates: &[Candidate], index: usize, in_flight: &[&str]) -> String {
    sentence(policy, candidates, index, &select(policy, candidates, &strings(in_flight))[index])
}

#[test]
fn the_truth_table_of_trust_allowlist_blocked_locked_and_killed() {
    for case in 0_u8..32 {
        let [trusted, listed, blocked, locked, killed] = std::array::from_fn(|bit| case >> bit & 1 == 1);
        let mut policy = shipped();
        policy.kill_switch = located(killed);
        let candidate = with(issue(if listed { "acme/app" } else { "other/app" }, 1), |facts| {
            facts.trusted = Known(trusted);
            facts.open_blockers = Known(if blocked { strings(&["#99"]) } else { Vec::new() });
            facts.in_flight_in_repo = Known(i64::from(locked));
        });
        let expected = if killed {
            Some("kill-switch")
        } else if !listed {
            Some("allowlist")
        } else if locked {
            Some("repo-lock")
        } else if !trusted {
            Some("trust")
        } else if blocked {
            Some("blocked-by")
        } else {
            None
        };
        let decisions = select(&policy, std::slice::from_ref(&candidate), &[]);
        assert_eq!(fired(&policy, &candidate, &decisions[0]), expected, "case {case:05b}");
        assert_eq!(decisions[0].outcome == Outcome::Dispatch(1), expected.is_none(), "case {case:05b}");
        // The trace holds every gate, whichever fired; none while the kill switch is on.
        let denies = |gate| decisions[0].trace.verdict(gate) == Verdict::Fails;
        assert_eq!(
            [0, 3, 4, 7].map(denies),
            [!listed, locked, !trusted, blocked].map(|denied| denied && !killed),
            "case {case:05b}"
        );
    }
}

#[test]
fn the_kill_switch_stops_everything_before_any_gate() {
    let mut policy = shipped();
    policy.kill_switch = located(true);
    let candidates = [issue("acme/app", 1), issue("other/app", 2)];
    for decision in select(&policy, &candidates, &[]) {
        assert_eq!(decision, Decision { outcome: Outcome::KillSwitch, trace: GateTrace::default() });
    }
    assert_eq!(sentence_for(&policy, &candidates, 0, &[]), "the kill switch is on");
}

#[test]
fn a_paused_repository_gets_no_new_run_and_says_why() {
    let mut policy = shipped();
    let paused = Rules { paused: Some(located("code freeze until Monday".to_owned())), ..policy.base.clone() };
    policy.overrides = vec![(patterns(&["acme/app"]).remove(0), paused)];
    let candidates = [issue("ACME/app", 1), issue("acme/site", 2)];
    assert_eq!(fired_for(&policy, &candidates, &[]), [Some("paused".to_owned()), None]);
    assert_eq!(sentence_for(&policy, &candidates, 0, &[]), "ACME/app is paused: code freeze until Monday (line 1)");
}

#[test]
fn each_gate_denies_and_says_so() {
    type Change = fn(&mut afk::policy::facts::IssueFacts);
    let cases: [(&str, Change, &str); 10] = [
        ("allowlist", |facts| facts.repo = "other/app".to_owned(), "other/app is not enrolled"),
        ("allowlist", |facts| facts.repo = "acme/secret".to_owned(), "acme/secret is not enrolled"),
        (
            "hold",
            |facts| facts.labels = Known(strings(&["Ready-For-Human", "bug"])),
            "a person holds this issue: it carries Ready-For-Human, bug",
        ),
        ("hold", |facts| facts.labels = Known(strings(&["paused"])), "a person holds this issue: it carries paused"),
        ("in-flight", |facts| facts.has_run = Known(true), "a run of this issue is still in flight"),
        ("repo-lock", |facts| facts.in_flight_in_repo = Known(1), "1 slots of acme/app are taken"),
        ("trust", |facts| facts.trusted = Known(false), "armed by mara, who may not arm issues in acme/app"),
        ("once", |facts| facts.already_run = Known(true), "this arming already had its run"),
        ("unchanged", |facts| facts.edited_since_armed = Known(true), "edited after mara armed it"),
        ("blocked-by", |facts| facts.open_blockers = Known(strings(&["#40", "#41"])), "blocked by #40, #41"),
    ];
    let policy = shipped();
    for (name, change, said) in cases {
        let candidates = [with(issue("acme/app", 1), change)];
        assert_eq!(fired_for(&policy, &candidates, &[]), [Some(name.to_owned())]);
        assert_eq!(sentence_for(&policy, &candidates, 0, &[]), said);
    }
}

#[test]
fn the_first_known_denial_fires_even_behind_an_unknown_one() {
    let policy = shipped();
    let candidate = with(issue("acme/app", 1), |facts| {
        facts.labels = Unknown("the tracker answered 500".to_owned());
        facts.trusted = NotRead;
        facts.already_run = Known(true);
        facts.open_blockers = Known(strings(&["#40"]));
    });
    let decision = select(&policy, std::slice::from_ref(&candidate), &[]).remove(0);
    assert_eq!(fired(&policy, &candidate, &decision), Some("once"));
    let verdicts: Vec<Verdict> = (0..8).map(|gate| decision.trace.verdict(gate)).collect();
    use Verdict::{Fails, Holds};
    assert_eq!(verdicts, [Holds, Verdict::Unknown, Holds, Holds, Verdict::NotRead, Fails, Holds, Fails]);
}

#[test]
fn a_gate_that_cannot_be_established_denies_and_says_what() {
    let policy = shipped();
    let candidates = [with(issue("acme/app", 1), |facts| {
        facts.trusted = Unknown("GET /permission answered 403".to_owned());
        facts.edited_since_armed = NotRead;
    })];
    assert_eq!(fired_for(&policy, &candidates, &[]), [Some("trust".to_owned())]);
    let said = sentence_for(&policy, &candidates, 0, &[]);
    assert_eq!(said, "`trusted` cannot be established: GET /permission answered 403");
}

#[test]
fn an_issue_whose_facts_are_not_read_keeps_its_place_until_they_are() {
    let mut policy = shipped();
    policy.base.dispatch.max_per_tick = located(1);
    let mut candidates = [
        with(urgent("acme/app", 1, 0), |facts| facts.edited_since_armed = NotRead),
        urgent("acme/app", 2, 1),
        with(urgent("acme/site", 3, 2), |facts| facts.trusted = NotRead),
    ];
    let outcomes = |candidates: &[Candidate]| {
        select(&policy, candidates, &[]).into_iter().map(|decision| decision.outcome).collect::<Vec<_>>()
    };
    let beyond = Outcome::Capacity(CapacityLimit::MaxPerTick);
    assert_eq!(outcomes(&candidates), [Outcome::Unread, Outcome::Slot(Some(0)), beyond]);
    assert_eq!(fired_for(&policy, &candidates, &[]), [None, Some("slot".to_owned()), Some("capacity".to_owned())]);
    assert_eq!(sentence_for(&policy, &candidates, 0, &[]), "goes next, once the facts for unchanged are read");
    candidates[0].facts.edited_since_armed = Known(true);
    assert_eq!(outcomes(&candidates), [Outcome::Gate(6), Outcome::Dispatch(1), beyond]);
    candidates[0].facts.edited_since_armed = Known(false);
    assert_eq!(outcomes(&candidates), [Outcome::Dispatch(1), Outcome::Slot(Some(0)), beyond]);
}

#[test]
fn the_most_urgent_eligible_issue_takes_the_slot_and_the_others_name_it() {
    let policy = shipped();
    let candidates = [
        with(urgent("acme/app", 1, 1), |facts| facts.open_blockers = Known(strings(&["#99"]))),
        urgent("acme/app", 2, 9),
        urgent("ACME/App", 3, 3),
        urgent("acme/site", 5, 0),
    ];
    let decisions = select(&policy, &candidates, &[]);
    assert_eq!(dispatched(&candidates, &decisions), ["acme/site#5", "ACME/App#3"]);
    assert_eq!(decisions[1].outcome, Outcome::Slot(Some(2)));
    assert_eq!(sentence_for(&policy, &candidates, 1, &[]), "behind ACME/App#3");
    let places: Vec<_> = (0..4).map(|index| place_in_repo(&policy, &candidates, &decisions, index)).collect();
    assert_eq!(places, [None, Some((2, 2)), Some((1, 2)), Some((1, 1))]);
    assert_eq!(place_in_repo(&policy, &candidates, &decisions, 4), None);
}

#[test]
fn an_issue_that_lost_its_slot_before_its_gates_were_read_is_not_called_eligible() {
    let policy = shipped();
    let behind = |change: fn(&mut IssueFacts)| {
        sentence_for(&policy, &[urgent("acme/app", 1, 1), with(urgent("acme/app", 2, 2), change)], 1, &[])
    };
    assert_eq!(behind(|_| ()), "behind acme/app#1");
    assert_eq!(behind(|facts| facts.trusted = NotRead), "behind acme/app#1 (1 gate not read yet)");
    let late = |facts: &mut IssueFacts| {
        facts.trusted = NotRead;
        facts.edited_since_armed = NotRead;
        facts.open_blockers = NotRead;
    };
    assert_eq!(behind(late), "behind acme/app#1 (3 gates not read yet)");
    let in_flight = [with(urgent("acme/app", 2, 2), late)];
    assert_eq!(
        sentence_for(&policy, &in_flight, 0, &["acme/app"]),
        "runs in flight fill acme/app: dispatch.slots_per_repo = 1 (line 1) (3 gates not read yet)"
    );
}

#[test]
fn runs_in_flight_take_slots() {
    let mut policy = shipped();
    let candidates = [issue("acme/app", 1), issue("acme/app", 2), issue("acme/app", 3)];
    for (slots, in_flight, expected) in [
        (1, vec!["acme/app"], vec![]),
        (1, vec!["acme/site"], vec!["acme/app#1"]),
        (2, vec!["ACME/app"], vec!["acme/app#1"]),
        (2, vec![], vec!["acme/app#1", "acme/app#2"]),
        (2, vec!["acme/app", "acme/app", "acme/app"], vec![]),
        (9, vec![], vec!["acme/app#1", "acme/app#2", "acme/app#3"]),
        (0, vec![], vec![]),
    ] {
        policy.base.dispatch.slots_per_repo = located(slots);
        let decisions = select(&policy, &candidates, &strings(&in_flight));
        assert_eq!(dispatched(&candidates, &decisions), expected, "{slots} slots, {in_flight:?}");
    }
    policy.base.dispatch.slots_per_repo = located(1);
    let said = sentence_for(&policy, &candidates, 0, &["acme/app"]);
    assert_eq!(said, "runs in flight fill acme/app: dispatch.slots_per_repo = 1 (line 1)");
}

#[test]
fn the_issue_that_took_the_last_slot_is_named() {
    let mut policy = shipped();
    policy.base.dispatch.slots_per_repo = located(2);
    let candidates = [urgent("acme/app", 1, 5), urgent("acme/app", 2, 1), urgent("acme/app", 3, 3)];
    let decisions = select(&policy, &candidates, &[]);
    assert_eq!(decisions[0].outcome, Outcome::Slot(Some(2)));
}

#[test]
fn limits_of_the_installation_cut_the_tail_and_are_named() {
    let mut policy = shipped();
    let candidates = [urgent("acme/a", 1, 3), urgent("acme/b", 1, 2), urgent("acme/c", 1, 1)];
    for (max_in_flight, max_per_tick, in_flight, expected, limit) in [
        (8, 2, 0, 2, CapacityLimit::MaxPerTick),
        (8, 0, 0, 0, CapacityLimit::MaxPerTick),
        // The tighter one is named, also for the issues far behind it.
        (2, 1, 0, 1, CapacityLimit::MaxPerTick),
        (3, 1, 1, 1, CapacityLimit::MaxPerTick),
        (2, 1, 1, 1, CapacityLimit::MaxInFlight),
        (2, 8, 0, 2, CapacityLimit::MaxInFlight),
        (4, 8, 2, 2, CapacityLimit::MaxInFlight),
        (4, 8, 9, 0, CapacityLimit::MaxInFlight),
    ] {
        policy.base.dispatch.max_in_flight = located(max_in_flight);
        policy.base.dispatch.max_per_tick = located(max_per_tick);
        let decisions = select(&policy, &candidates, &vec!["other/app".to_owned(); in_flight]);
        assert_eq!(dispatched(&candidates, &decisions), ["acme/c#1", "acme/b#1"][..expected]);
        assert_eq!(decisions[0].outcome, Outcome::Capacity(limit));
    }
    assert_eq!(sentence_for(&policy, &candidates, 0, &["x"; 9]), "dispatch.max_in_flight = 4 (line 1) is used up");
    policy.base.dispatch.max_per_tick = located(1);
    assert_eq!(
        sentence_for(&policy, &candidates, 0, &[]),
        "dispatch.max_per_tick = 1 (line 1) is used up; it may go in the next tick"
    );
    assert_eq!(sentence_for(&policy, &candidates, 2, &[]), "dispatched as number 1 of this tick");
}

#[test]
fn nobody_is_told_to_wait_for_an_issue_that_does_not_go() {
    let mut policy = shipped();
    policy.base.dispatch.max_in_flight = located(2);
    policy.base.dispatch.slots_per_repo = located(2);
    let denied_later = |facts: &mut IssueFacts| facts.trusted = NotRead;
    let candidates = [
        with(urgent("acme/app", 1, 1), denied_later),
        with(urgent("acme/app", 2, 2), denied_later),
        urgent("acme/app", 3, 3),
        urgent("acme/site", 4, 4),
    ];
    let outcomes = |in_flight: &[&str]| {
        let decisions = select(&policy, &candidates, &strings(in_flight));
        decisions.into_iter().map(|decision| decision.outcome).collect::<Vec<_>>()
    };
    let used_up = Outcome::Capacity(CapacityLimit::MaxInFlight);
    assert_eq!(outcomes(&["acme/lib", "acme/lib"]), [used_up; 4]);
    // One of two goes: the third has a slot to wait for, and it is not the slot that keeps it.
    assert_eq!(outcomes(&["acme/lib"]), [Outcome::Unread, used_up, used_up, used_up]);
    assert_eq!(outcomes(&["acme/app"]), [Outcome::Unread, Outcome::Slot(Some(0)), Outcome::Slot(Some(0)), used_up]);
    let behind = Outcome::Slot(Some(1));
    assert_eq!(outcomes(&[]), [Outcome::Unread, Outcome::Unread, behind, used_up]);
}

#[test]
fn order_is_priority_then_number_then_repository() {
    let candidates = [
        urgent("acme/b", 1, 0),
        urgent("acme/A", 1, 0),
        urgent("acme/c", 9, -3),
        urgent("acme/d", 2, 0),
        with(issue("acme/e", 1), |facts| facts.priority = Unknown("no".to_owned())),
        urgent("acme/f", 1, i64::MAX),
        urgent("acme/g", 1, i64::MIN),
    ];
    let expected = ["acme/g#1", "acme/c#9", "acme/A#1", "acme/b#1", "acme/d#2", "acme/f#1", "acme/e#1"];
    assert_eq!(order_of(&shipped(), &candidates), expected);
}

#[test]
fn order_follows_the_keys_of_the_policy() {
    let at = |candidate: Candidate, armed, created| Candidate {
        armed_at: DateTime::from_timestamp(armed, 0),
        created_at: DateTime::from_timestamp(created, 0),
        ..candidate
    };
    let candidates = [
        at(urgent("acme/a", 1, 2), 100, 50),
        at(urgent("acme/b", 2, 1), 300, 10),
        at(urgent("acme/c", 3, 2), 200, 30),
        issue("acme/d", 4),
    ];
    for (order, expected) in [
        (vec![], "abcd"),
        (vec![descending(OrderBy::Number)], "dcba"),
        (vec![by(OrderBy::ArmedAt)], "acbd"),
        (vec![descending(OrderBy::ArmedAt)], "bcad"),
        (vec![by(OrderBy::CreatedAt)], "bcad"),
        (vec![descending(OrderBy::CreatedAt)], "acbd"),
        (vec![by(OrderBy::Priority)], "dbac"),
        (vec![descending(OrderBy::Priority)], "acbd"),
        (vec![by(OrderBy::Priority), descending(OrderBy::Number)], "dbca"),
        (vec![by(OrderBy::Priority), descending(OrderBy::ArmedAt)], "dbca"),
    ] {
        let mut policy = shipped();
        policy.base.priority.order = order.clone();
        let repos: String = order_of(&policy, &candidates).iter().filter_map(|name| name.chars().nth(5)).collect();
        assert_eq!(repos, expected, "{order:?}");
    }
}

#[test]
fn every_permutation_of_five_issues_is_decided_alike() {
    let issues = [
        urgent("acme/app", 1, 0),
        urgent("acme/app", 2, -1),
        urgent("acme/site", 1, 0),
        with(urgent("acme/lib", 1, -5), |facts| facts.trusted = Known(false)),
        urgent("acme/lib", 2, 0),
    ];
    let mut policy = shipped();
    policy.base.dispatch.max_per_tick = located(2);
    let mut permutations = vec![vec![]];
    for _ in 0..5 {
        permutations = permutations
            .into_iter()
            .flat_map(|start: Vec<usize>| {
                (0..5)
                    .filter(|next| !start.contains(next))
                    .map(|next| [start.clone(), vec![next]].concat())
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    assert_eq!(permutations.len(), 120);
    for permutation in permutations {
        let candidates: Vec<Candidate> = permutation.iter().map(|index| issues[*index].clone()).collect();
        let decisions = select(&policy, &candidates, &[]);
        assert_eq!(dispatched(&candidates, &decisions), ["acme/app#2", "acme/site#1"]);
        for (index, decision) in permutation.iter().zip(&decisions) {
            let name = fired(&policy, &issues[*index], decision);
            assert_eq!(name, [Some("slot"), None, None, Some("trust"), Some("capacity")][*index]);
        }
    }
}

#[test]
fn an_issue_listed_twice_is_dispatched_once() {
    let mut policy = shipped();
    for slots in [1, 2, 5] {
        policy.base.dispatch.slots_per_repo = located(slots);
        let candidates =
            [urgent("acme/app", 1, 2), urgent("acme/app", 1, 1), urgent("ACME/app", 1, 1), urgent("acme/app", 7, 3)];
        let expected = ["acme/app#1", "acme/app#7"];
        assert_eq!(order_of(&policy, &candidates), expected[..slots.min(2)]);
    }
}

#[test]
fn overrides_give_a_repository_slots_and_gates_of_its_own() {
    let mut policy = shipped();
    let mut own = policy.base.clone();
    own.dispatch.slots_per_repo = located(2);
    own.gates = vec![gate("quiet-repo", is(IssueFact::AuthorTrusted, true), "{author} is unknown here")];
    policy.overrides = vec![(patterns(&["other/*"]).remove(0), own)];
    let stranger = with(issue("other/app", 3), |facts| facts.author_trusted = Known(false));
    let candidates =
        [issue("other/app", 1), issue("other/app", 2), stranger, issue("acme/app", 1), issue("acme/app", 2)];
    let fired = fired_for(&policy, &candidates, &[]);
    assert_eq!(fired, [None, None, Some("quiet-repo".to_owned()), None, Some("slot".to_owned())]);
    assert_eq!(sentence_for(&policy, &candidates, 2, &[]), "ola is unknown here");
}

#[test]
fn more_gates_than_a_trace_holds_deny_everything() {
    let mut policy = shipped();
    policy.base.gates =
        (0..65).map(|number| gate(&format!("gate-{number}"), is(IssueFact::HasRun, false), "")).collect();
    assert_eq!(fired_for(&policy, &[issue("acme/app", 1)], &[]), [Some("gate-64".to_owned())]);
    policy.base.gates.truncate(64);
    assert_eq!(fired_for(&policy, &[issue("acme/app", 1)], &[]), [None]);
    policy.base.gates[63] = gate("last", is(IssueFact::HasRun, true), "");
    assert_eq!(fired_for(&policy, &[issue("acme/app", 1)], &[]), [Some("last".to_owned())]);
}

#[test]
fn a_policy_without_gates_holds_no_issue_back() {
    assert_eq!(order_of(&policy(rules()), &[issue("any/app", 1)]), ["any/app#1"]);
}

#[test]
fn a_trace_keeps_every_verdict_apart() {
    let mut trace = GateTrace::default();
    let verdicts = [Verdict::Unknown, Verdict::Holds, Verdict::Fails, Verdict::NotRead];
    for gate in 0..GateTrace::CAPACITY {
        trace.set(gate, verdicts[(gate + 1) % 4]);
        trace.set(gate, verdicts[gate % 4]);
    }
    trace.set(GateTrace::CAPACITY, Verdict::Fails);
    for gate in 0..GateTrace::CAPACITY {
        assert_eq!(trace.verdict(gate), verdicts[gate % 4]);
    }
    assert_eq!(trace.verdict(GateTrace::CAPACITY), Verdict::NotRead);
    assert_eq!(trace.fired(), Some(2));
}

#[test]
fn a_gate_on_a_yes_or_no_fact_reads_that_fact() {
    type Slot = fn(&mut afk::policy::facts::IssueFacts) -> &mut afk::policy::facts::Observed<bool>;
    let facts: [(IssueFact, Slot); 5] = [
        (IssueFact::Trusted, |facts| &mut facts.trusted),
        (IssueFact::AuthorTrusted, |facts| &mut facts.author_trusted),
        (IssueFact::HasRun, |facts| &mut facts.has_run),
        (IssueFact::AlreadyRun, |facts| &mut facts.already_run),
        (IssueFact::EditedSinceArmed, |facts| &mut facts.edited_since_armed),
    ];
    for (fact, slot) in facts {
        // Two gates want the same, one the opposite, one wraps it.
        let gates = [is(fact, true), is(fact, false), is(fact, true), not(is(fact, true))];
        let gates = gates.map(|require| gate("gate", require, "")).to_vec();
        let policy = policy(Rules { gates, ..rules() });
        use Verdict::{Fails, Holds};
        for (reading, verdicts) in [
            (Known(true), [Holds, Fails, Holds, Fails]),
            (Known(false), [Fails, Holds, Fails, Holds]),
            (Unknown("no".to_owned()), [Verdict::Unknown; 4]),
            (NotRead, [Verdict::NotRead; 4]),
        ] {
            let candidate = with(issue("acme/app", 1), |facts| *slot(facts) = reading);
            let trace = select(&policy, &[candidate], &[])[0].trace;
            assert_eq!([0, 1, 2, 3].map(|gate| trace.verdict(gate)), verdicts, "{fact:?}");
        }
    }
}

#[test]
fn a_repository_is_the_same_whatever_its_case_and_length() {
    for (one, other, same) in [
        ("a/b", "A/B", true),
        ("a/b", "a/c", false),
        ("acme/app", "Acme/App", true),
        ("acme/service-one", "ACME/SERVICE-ONE", true),
        ("acme/service-1", "acme/service-2", false),
        // The bit that tells lower case from upper tells these apart too.
        ("acme/a-b", "acme/a\rb", false),
    ] {
        let candidates = [urgent(one, 1, 0), urgent(other, 2, 1)];
        let outcome = select(&policy(rules()), &candidates, &[])[1].outcome;
        assert_eq!(outcome, if same { Outcome::Slot(Some(0)) } else { Outcome::Dispatch(2) }, "{one} and {other}");
    }
}
