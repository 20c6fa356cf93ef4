//! §5: the next row of a run.

use std::time::Duration;

use afk::engine::evaluate::{Verdict, describe};
use afk::engine::step::*;
use afk::policy::facts::{AgentStatus, CiStatus, IssueStatus, RunFact, RunFacts};
use afk::policy::{Comparison, Condition, Matcher, Quantity, Rules, State, Transition};
use pretty_assertions::assert_eq;

use crate::builder::*;

const ON: Circumstances = Circumstances { kill_switch: false, enrolled: true };
const KILLED: Circumstances = Circumstances { kill_switch: true, enrolled: true };
const STRAY: Circumstances = Circumstances { kill_switch: false, enrolled: false };

/// A run that has pushed, is red, and whose agent has ended.
fn red() -> RunFacts {
    let mut facts = run();
    facts.pushed = Known(true);
    facts.landed = Known(true);
    facts.agent = AgentStatus::Idle;
    facts.ci = CiStatus::Red;
    facts.quiet = minutes(2);
    facts
}

fn green() -> RunFacts {
    RunFacts { ci: CiStatus::Green, ..red() }
}

fn outcome(state: &str, facts: &RunFacts, circumstances: Circumstances) -> String {
    match step(&Machine::new(&machine()), state, facts, circumstances) {
        Step::Wait => "wait".to_owned(),
        Step::Row(row) => row.name.clone(),
        Step::Held(row, why) => format!("held {} by {why:?}", row.name),
    }
}

#[test]
fn the_first_matching_row_of_the_state_wins() {
    let late = |facts: RunFacts| RunFacts { age: hours(24), ..facts };
    for (state, facts, expected) in [
        ("working", run(), "wait"),
        ("working", RunFacts { pushed: Known(true), ..run() }, "pushed"),
        ("working", late(RunFacts { pushed: Known(true), ..run() }), "pushed"),
        ("working", RunFacts { quiet: minutes(45), ..run() }, "stalled"),
        ("working", late(RunFacts { quiet: minutes(45), ..run() }), "overdue"),
        ("verifying", RunFacts { quiet: minutes(45), ..run() }, "wait"),
        ("verifying", green(), "landed"),
        ("verifying", late(green()), "landed"),
        ("verifying", red(), "fix-forward"),
        ("verifying", late(red()), "overdue"),
        ("verifying", RunFacts { attempts: 5, ..red() }, "freeze"),
        ("verifying", RunFacts { told: true, ..red() }, "freeze"),
        ("fixing", RunFacts { told: true, ..red() }, "wait"),
        ("fixing", red(), "corrected"),
        ("done", late(red()), "wait"),
        ("frozen", late(red()), "wait"),
    ] {
        assert_eq!(outcome(state, &facts, ON), expected, "{state}: {facts:?}");
    }
}

#[test]
fn a_row_whose_condition_is_unknown_does_not_match() {
    let unknown = || Unknown("the code host answered 500".to_owned());
    assert_eq!(outcome("working", &RunFacts { pushed: unknown(), ..run() }, ON), "wait");
    assert_eq!(outcome("working", &RunFacts { pushed: NotRead, ..run() }, ON), "wait");
    assert_eq!(outcome("working", &RunFacts { pushed: unknown(), quiet: minutes(45), ..run() }, ON), "stalled");
    assert_eq!(outcome("verifying", &RunFacts { landed: unknown(), ..green() }, ON), "wait");
}

#[test]
fn a_turn_is_held_while_the_kill_switch_is_on_and_no_later_row_is_tried() {
    // The later row `freeze` matches as well.
    assert_eq!(outcome("verifying", &red(), KILLED), "held fix-forward by KillSwitch");
    // Rows without a turn go on.
    assert_eq!(outcome("verifying", &green(), KILLED), "landed");
    assert_eq!(outcome("verifying", &RunFacts { told: true, ..red() }, KILLED), "freeze");
    assert_eq!(outcome("working", &RunFacts { pushed: Known(true), ..run() }, KILLED), "pushed");
}

#[test]
fn turns_and_closes_are_held_while_nobody_knows_whether_a_person_holds_the_run() {
    let unknown = || Unknown("403".to_owned());
    for (held, issue, why) in [
        (unknown(), Known(IssueStatus::Open), "HeldUnknown"),
        (NotRead, Known(IssueStatus::Open), "HeldUnknown"),
        (Known(false), Unknown("403".to_owned()), "IssueUnknown"),
        (Known(false), NotRead, "IssueUnknown"),
    ] {
        let doubtful = |facts| RunFacts { held: held.clone(), issue: issue.clone(), ..facts };
        assert_eq!(outcome("verifying", &doubtful(green()), ON), format!("held landed by {why}"));
        assert_eq!(outcome("verifying", &doubtful(red()), ON), format!("held fix-forward by {why}"));
        assert_eq!(outcome("verifying", &doubtful(red()), KILLED), "held fix-forward by KillSwitch");
        // What neither sends a turn nor closes is not held.
        assert_eq!(outcome("verifying", &doubtful(RunFacts { told: true, ..red() }), ON), "freeze");
        assert_eq!(outcome("working", &doubtful(RunFacts { pushed: Known(true), ..run() }), ON), "pushed");
    }
}

#[test]
fn a_repository_no_longer_enrolled_gets_no_turn_and_its_run_is_followed_to_the_end() {
    assert_eq!(outcome("verifying", &red(), STRAY), "freeze");
    assert_eq!(outcome("verifying", &green(), STRAY), "landed");
    assert_eq!(outcome("working", &RunFacts { pushed: Known(true), ..run() }, STRAY), "pushed");
}

fn names<'p>(rows: &[&'p Transition]) -> Vec<&'p str> {
    rows.iter().map(|row| row.name.as_str()).collect()
}

#[test]
fn rows_without_effects_follow_each_other_up_to_a_row_with_effects() {
    let machine = machine();
    for (state, facts, path, reached, end) in [
        ("working", red(), vec!["pushed"], "verifying", "fix-forward"),
        ("working", green(), vec!["pushed"], "verifying", "landed"),
        ("fixing", green(), vec!["corrected"], "verifying", "landed"),
        ("working", RunFacts { ci: CiStatus::Pending, ..red() }, vec!["pushed"], "verifying", "wait"),
        ("working", run(), vec![], "working", "wait"),
        ("done", red(), vec![], "done", "wait"),
    ] {
        let advance = Machine::new(&machine).advance(state, &facts, ON);
        assert_eq!((names(&advance.path), advance.state.as_str()), (path, reached));
        match advance.end {
            End::Act(row) => assert_eq!(row.name, end),
            other => assert_eq!((other, "wait"), (End::Wait, end)),
        }
        assert!(!advance.restarted);
    }
    let held = Machine::new(&machine).advance("working", &red(), KILLED);
    assert_eq!((names(&held.path), held.state.as_str()), (vec!["pushed"], "verifying"));
    assert!(matches!(held.end, End::Held(row, HeldBy::KillSwitch) if row.name == "fix-forward"));
}

#[test]
fn a_state_that_the_policy_no_longer_has_goes_on_from_the_initial_one_and_says_so() {
    let machine = machine();
    let advance = Machine::new(&machine).advance("in-review-by-ops", &green(), ON);
    assert!(advance.restarted);
    assert_eq!((names(&advance.path), advance.state.as_str()), (vec!["pushed"], "verifying"));
    assert!(matches!(advance.end, End::Act(row) if row.name == "landed"));
    assert_eq!(outcome("in-review-by-ops", &RunFacts { pushed: Known(true), ..run() }, ON), "pushed");
    assert!(trace(&machine, "in-review-by-ops", &run()).iter().any(|row| row.applies && row.row.name == "pushed"));
}

#[test]
fn a_row_without_effects_may_end_a_run() {
    let mut machine = machine();
    machine.transitions.insert(0, row("forget", &["working"], is(RunFact::Told, false), "done", None));
    machine.transitions.push(row("wake", &["done"], all(vec![]), "working", None));
    let advance = Machine::new(&machine).advance("working", &run(), ON);
    assert_eq!((names(&advance.path), advance.state.as_str(), advance.end), (vec!["forget"], "done", End::Wait));
}

#[test]
fn rows_without_effects_in_a_circle_are_noticed() {
    let state = |name: &str, initial| State { initial, ..state(name) };
    for targets in [vec!["a"], vec!["b", "a"], vec!["b", "c", "b"]] {
        let mut from = "a";
        let mut machine = Rules { states: vec![state("a", true), state("b", false), state("c", false)], ..rules() };
        for to in targets.iter().copied() {
            if !machine.transitions.iter().any(|row| row.from == [from]) {
                machine.transitions.push(row(&format!("{from}-{to}"), &[from], all(vec![]), to, None));
            }
            from = to;
        }
        let advance = Machine::new(&machine).advance("a", &run(), ON);
        assert_eq!((advance.path.len(), advance.end), (targets.len(), End::Circle));
        assert_eq!(Some(&advance.state.as_str()), targets.last());
    }
}

/// None of it may take longer than it is long: nobody would wait for the square of it.
#[test]
fn conditions_of_many_thousand_parts_are_decided_like_short_ones() {
    let seconds = |count: u64| Quantity::Duration(Duration::from_secs(count));
    let reached = |count| at_least(RunFact::Quiet, Duration::from_secs(count));
    let each = || (1..=20_000).map(reached).collect::<Vec<_>>();
    let one_of = |counts: &mut dyn Iterator<Item = u64>| {
        test(RunFact::Quiet, Matcher::OneOfQuantities(counts.map(seconds).collect()))
    };
    let long = [
        ("all", all(each()), 20_000),
        ("even", one_of(&mut (2..40_000).step_by(2)), 10),
        ("any", Condition::Any(each()), 1),
        ("none", crate::builder::not(Condition::Any(each())), 0),
    ];
    let transitions =
        long.iter().map(|(name, when, _)| row(name, &["working"], when.clone(), "working", None)).collect();
    let rules = Rules { transitions, ..machine() };
    let machine = Machine::new(&rules);
    for (name, _, quiet) in long {
        let facts = RunFacts { quiet: Duration::from_secs(quiet), ..run() };
        let Step::Row(row) = step(&machine, "working", &facts, ON) else { panic!("no row at {quiet} s") };
        assert_eq!(row.name, name);
    }
}

#[test]
fn many_rows_of_many_tests_of_one_fact_are_decided_like_few() {
    let list = |first: i64| Matcher::OneOfQuantities((first..first + 8).map(Quantity::Int).collect());
    let tests = |number: i64| (0..32).map(|part| test(RunFact::Attempts, list(1_000 * number + 10 * part))).collect();
    let never =
        (1..=64).map(|number| row(&format!("never-{number}"), &["working"], all(tests(number)), "working", None));
    let mut rules = machine();
    rules.transitions.splice(0..0, never);
    let stalled = RunFacts { quiet: minutes(45), ..run() };
    let Step::Row(row) = step(&Machine::new(&rules), "working", &stalled, ON) else { panic!("no row") };
    assert_eq!(row.name, "stalled");
}

#[test]
fn the_largest_value_reaches_every_bound_however_many_there_are() {
    let holds = |by, count: i64, attempts| {
        let compare = |bound| test(RunFact::Attempts, Matcher::Compare(by, Quantity::Int(bound)));
        let when = all((1..=count).map(compare).collect());
        let rules = Rules { transitions: vec![row("all", &["working"], when, "working", None)], ..machine() };
        step(&Machine::new(&rules), "working", &RunFacts { attempts, ..run() }, ON) != Step::Wait
    };
    for count in 1..=32 {
        assert!(holds(Comparison::Gte, count, count) && holds(Comparison::Gte, count, i64::MAX), "{count}");
        assert!(!holds(Comparison::Gte, count, count - 1), "{count}");
        assert!(holds(Comparison::Lt, count, 0), "{count}");
        assert!(!holds(Comparison::Lt, count, 1) && !holds(Comparison::Lt, count, i64::MAX), "{count}");
    }
}

#[test]
fn a_row_for_more_than_a_limit_is_due_a_whole_second_after_it() {
    let longer = test(RunFact::Quiet, Matcher::Compare(Comparison::Gt, Quantity::Duration(minutes(45))));
    let row = row("longer", &["working"], longer, "working", None);
    for (quiet, left) in [(minutes(45), 1), (minutes(45) + Duration::from_millis(300), 1), (minutes(44), 61)] {
        assert_eq!(due_in(&row, &RunFacts { quiet, ..run() }), Some(Duration::from_secs(left)), "{quiet:?}");
    }
}

#[test]
fn every_repository_has_the_state_machine_of_its_own_rules() {
    let named = |name: &str| {
        let transitions = vec![row(name, &["working"], all(vec![]), "working", Some("fix-forward"))];
        Rules { transitions, ..machine() }
    };
    let mut policy = shipped();
    policy.base = named("base");
    let overridden = |(pattern, name)| (patterns(&[pattern]).remove(0), named(name));
    policy.overrides = [("acme/site", "site"), ("acme/*", "acme")].map(overridden).to_vec();
    let machines = Machines::new(&policy);
    for _ in 0..2 {
        for (repo, expected) in [
            ("acme/app", "acme"),
            ("acme/site", "site"),
            ("ACME/Site", "site"),
            ("other/x", "base"),
            ("acme/b", "acme"),
        ] {
            match step(machines.of(repo), "working", &run(), ON) {
                Step::Row(row) => assert_eq!(row.name, expected, "{repo}"),
                other => panic!("{repo}: {other:?}"),
            }
        }
    }
}

#[test]
fn rules_without_states_wait() {
    assert_eq!(Machine::new(&rules()).advance("working", &red(), ON).end, End::Wait);
    assert_eq!(step(&Machine::new(&rules()), "working", &red(), ON), Step::Wait);
}

#[test]
fn the_checklist_ticks_what_holds_and_never_what_is_unknown() {
    let machine = machine();
    assert_eq!(checklist(&machine, &green()), [("Pushed", true), ("CI green", true)]);
    assert_eq!(checklist(&machine, &RunFacts { pushed: NotRead, ..red() }), [("Pushed", false), ("CI green", false)]);
}

#[test]
fn the_trace_shows_every_row_with_what_it_lacks() {
    let facts = RunFacts { landed: Unknown("500".to_owned()), ci: CiStatus::Pending, ..red() };
    let machine = machine();
    let rows: Vec<(&str, Verdict, bool, Vec<String>)> = trace(&machine, "verifying", &facts)
        .into_iter()
        .map(|row| (row.row.name.as_str(), row.verdict, row.applies, row.lacking.into_iter().map(describe).collect()))
        .collect();
    let lacking = |texts: &[&str]| strings(texts);
    assert_eq!(
        rows,
        [
            ("pushed", Verdict::Holds, false, lacking(&[])),
            ("corrected", Verdict::Holds, false, lacking(&[])),
            ("landed", Verdict::Fails, true, lacking(&["landed = true", "ci = green"])),
            ("overdue", Verdict::Fails, true, lacking(&["age >= 1d"])),
            ("fix-forward", Verdict::Fails, true, lacking(&["ci = red"])),
            ("freeze", Verdict::Fails, true, lacking(&["ci = red"])),
            ("stalled", Verdict::Fails, false, lacking(&["quiet >= 45m"])),
        ]
    );
}

#[test]
fn a_row_that_waits_for_time_alone_says_how_long() {
    let facts = RunFacts { age: hours(1), quiet: minutes(1), ..red() };
    let machine = machine();
    let due = |name: &str, facts: &RunFacts| due_in(machine.transition(name).unwrap(), facts);
    assert_eq!(due("overdue", &facts), Some(hours(23)));
    assert_eq!(due("overdue", &RunFacts { age: hours(30), ..run() }), Some(minutes(0)));
    assert_eq!(due("fix-forward", &facts), Some(minutes(1)));
    assert_eq!(due("fix-forward", &RunFacts { attempts: 5, ..facts.clone() }), None);
    assert_eq!(due("landed", &facts), None);
    assert_eq!(due("pushed", &facts), Some(minutes(0)));
}

#[test]
fn a_row_is_due_only_if_all_of_it_holds_at_one_moment() {
    let due = |when, facts: &RunFacts| due_in(&row("row", &["working"], when, "working", None), facts);
    let before = |fact, bound| not(at_least(fact, bound));
    let past = |fact, bound| test(fact, Matcher::Compare(Comparison::Gt, Quantity::Duration(bound)));
    let facts = RunFacts { age: minutes(50), quiet: minutes(10), ..red() };
    // Both grow: by the time one holds the other has ceased to.
    assert_eq!(due(all(vec![at_least(RunFact::Quiet, minutes(30)), before(RunFact::Age, hours(1))]), &facts), None);
    assert_eq!(
        due(all(vec![at_least(RunFact::Quiet, minutes(15)), before(RunFact::Age, hours(1))]), &facts),
        Some(minutes(5))
    );
    // The sooner of two ways, the later of two needs.
    let ways = vec![at_least(RunFact::Quiet, minutes(30)), at_least(RunFact::Age, hours(1))];
    assert_eq!(due(any(ways.clone()), &facts), Some(minutes(10)));
    assert_eq!(due(all(ways), &facts), Some(minutes(20)));
    assert_eq!(due(past(RunFact::Age, hours(1)), &facts), Some(minutes(10) + std::time::Duration::from_secs(1)));
    assert_eq!(due(at_least(RunFact::Age, hours(1)), &facts), Some(minutes(10)));
}

#[test]
fn only_durations_that_grow_make_a_row_due() {
    let due =
        |fact, facts: &RunFacts| due_in(&row("row", &["working"], at_least(fact, hours(1)), "working", None), facts);
    // The time of red grows while red, the wait for a verdict while there is none on a commit.
    assert_eq!(due(RunFact::RedFor, &red()), Some(hours(1)));
    assert_eq!(due(RunFact::RedFor, &green()), None);
    assert_eq!(due(RunFact::VerdictWait, &red()), None);
    assert_eq!(due(RunFact::VerdictWait, &green()), None);
    assert_eq!(due(RunFact::VerdictWait, &RunFacts { ci: CiStatus::Pending, ..red() }), Some(hours(1)));
    assert_eq!(due(RunFact::VerdictWait, &run()), None);
}

#[test]
fn the_next_thing_to_happen_by_itself_is_the_row_that_would_win_then() {
    let machine = machine();
    let next = |state: &str, facts: &RunFacts, circumstances| match Machine::new(&machine).next_due(
        state,
        facts,
        circumstances,
    ) {
        Some((left, Step::Row(row))) => format!("{} in {}m", row.name, left.as_secs() / 60),
        Some((left, Step::Held(row, why))) => format!("{} held by {why:?} in {}m", row.name, left.as_secs() / 60),
        other => format!("{other:?}"),
    };
    let facts = RunFacts { age: hours(1), quiet: minutes(5), ..run() };
    assert_eq!(next("working", &facts, ON), "stalled in 40m");
    assert_eq!(next("working", &RunFacts { age: hours(24) - minutes(3), ..facts.clone() }, ON), "overdue in 3m");
    assert_eq!(next("verifying", &facts, ON), "overdue in 1380m");
    assert_eq!(next("verifying", &RunFacts { quiet: minutes(1), ..red() }, ON), "fix-forward in 1m");
    assert_eq!(
        next("verifying", &RunFacts { quiet: minutes(1), ..red() }, KILLED),
        "fix-forward held by KillSwitch in 1m"
    );
    assert_eq!(next("verifying", &RunFacts { quiet: minutes(1), ..red() }, STRAY), "freeze in 1m");
    assert_eq!(next("done", &facts, ON), "None");
}
