//! Agents as they come: silent, stuck, wrong, in the way of their own judge.

use std::time::Instant;

use pretty_assertions::assert_eq;

use super::Installation;

const LOCK: &str = "agent-in-progress";
const HUMAN: &str = "ready-for-human";

/// Limits short enough for an agent that does not move.
const IMPATIENT: &[(&str, &str)] = &[
    ("stall_timeout        = \"2m\"", "stall_timeout        = \"1s\""),
    ("run_timeout          = \"10m\"", "run_timeout          = \"9m\""),
];

#[test]
fn an_agent_that_ends_without_pushing_hands_the_issue_to_a_person() {
    let afk = Installation::armed().agent("idle").hasty();

    afk.dispatch();
    let issue = afk.watch_until_over();

    assert_eq!(issue.state().as_deref(), Some("needs-human"));
    assert_eq!(issue.reason(), "the agent ended (idle) and pushed nothing");
    assert!(issue.open && issue.has(HUMAN) && !issue.has("ready-for-agent"), "{issue:#?}");
    assert!(issue.escalation().contains("Nothing to do, it seems."), "{issue:#?}");
    assert_eq!(afk.rings("needs-human"), 1);
    assert_eq!(afk.agent_of_run().turns, 1);
}

#[test]
fn an_agent_that_hangs_is_stopped_and_only_then_the_lock_released() {
    let afk = Installation::armed().agent("hangs").hasty().policy(IMPATIENT);

    afk.dispatch();
    let issue = afk.watch_until_state("needs-human");
    assert!(issue.reason().starts_with("no sign of life for "), "{issue:#?}");
    let issue = afk.watch_until_over();

    assert!(!afk.agent_of_run().live);
    assert!(issue.has(HUMAN) && !issue.has(LOCK), "{issue:#?}");
    assert_eq!(afk.rings("needs-human"), 1);
}

#[test]
fn an_agent_that_landed_and_does_not_end_is_stopped_and_the_issue_closed() {
    let afk = Installation::armed().agent("right_then_hangs").hasty().policy(IMPATIENT);

    afk.dispatch();
    let issue = afk.watch_until_over();

    assert_eq!(issue.state().as_deref(), Some("done"));
    assert!(!issue.open && !afk.agent_of_run().live, "{issue:#?}");
}

#[test]
fn commits_without_the_line_of_the_run_do_not_count_but_are_named() {
    let afk = Installation::armed().agent("without_trailer").hasty();

    afk.dispatch();
    let issue = afk.watch_until_over();

    assert_eq!(issue.state().as_deref(), Some("needs-human"));
    let head = crate::installation::git(&afk.path("greeter.git"), &["rev-parse", "--short=7", "main"]);
    let escalation = issue.escalation();
    assert!(escalation.contains("were not counted") && escalation.contains(head.trim()), "{escalation}");
}

#[test]
fn an_agent_that_changes_its_own_judge_is_judged_by_a_person() {
    let afk = Installation::armed().agent("judges_itself").hasty();

    afk.dispatch();
    let issue = afk.watch_until_over();

    assert_eq!(issue.state().as_deref(), Some("frozen"));
    assert_eq!(issue.reason(), "the run changed protected paths; a person must look");
    assert!(issue.open && issue.has(HUMAN), "{issue:#?}");
    assert_eq!(afk.agent_of_run().turns, 1);
}

#[test]
fn a_run_is_over_in_time_whatever_its_agent_does() {
    let afk = Installation::armed()
        .agent("hangs")
        .policy(&[("run_timeout          = \"10m\"", "run_timeout          = \"2s\"")]);

    let started = Instant::now();
    afk.dispatch();
    let issue = afk.watch_until_over();

    assert_eq!(issue.state().as_deref(), Some("frozen"));
    assert!(issue.reason().starts_with("not finished after "), "{}", issue.reason());
    assert!(started.elapsed().as_secs() >= 1);
}
