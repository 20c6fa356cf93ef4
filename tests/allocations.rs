//! What deciding allocates: nothing for an issue that is denied, nothing for a run.

#[path = "engine/builder.rs"]
mod builder;

use afk::engine::select::{Candidate, Outcome, select};
use afk::engine::step::{Circumstances, Machine, Step};
use afk::policy::facts::AgentStatus;
use allocation_counter::measure;
use builder::{Known, hours, issue, machine, run, shipped, step, strings, with};
use pretty_assertions::assert_eq;

/// Issues of two repositories, each denied by another gate than the last.
fn denied(count: i64) -> Vec<Candidate> {
    (1..=count)
        .map(|number| {
            with(issue(["acme/app", "other/x"][usize::from(number % 2 == 0)], number), |facts| match number % 6 {
                1 => facts.trusted = Known(false),
                3 => facts.labels = Known(strings(&["ready-for-agent", "paused"])),
                _ => facts.open_blockers = Known(strings(&["#1"])),
            })
        })
        .collect()
}

#[test]
fn denying_an_issue_allocates_nothing() {
    let policy = shipped();
    let allocations = |issues: &[Candidate]| {
        let mut decisions = Vec::new();
        let measured = measure(|| decisions = select(&policy, issues, &[]));
        assert!(decisions.iter().all(|decision| matches!(decision.outcome, Outcome::Gate(_))));
        measured.count_total
    };
    let (few, many) = (denied(10), denied(10_000));
    assert_eq!(allocations(&many), allocations(&few), "the lists of the whole tick, and no more for more issues");
}

#[test]
fn the_next_row_of_a_run_is_found_without_an_allocation() {
    let rules = machine();
    let machine = Machine::new(&rules);
    let circumstances = Circumstances { kill_switch: false, enrolled: true };
    for state in ["working", "verifying", "fixing", "done", "dropped"] {
        let mut overdue = run();
        (overdue.agent, overdue.age, overdue.quiet) = (AgentStatus::Idle, hours(25), hours(3));
        let mut found = Step::Wait;
        let measured = measure(|| found = step(&machine, state, &overdue, circumstances));
        assert_eq!(found == Step::Wait, state == "done");
        assert_eq!(measured.count_total, 0);
    }
}
