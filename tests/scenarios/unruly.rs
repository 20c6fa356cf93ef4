//! Agents that nobody wants on a machine of theirs: they fail, do not end when told to, and set traps.

use std::fs;
use std::time::Duration;

use pretty_assertions::assert_eq;

use super::Installation;

const LOCK: &str = "agent-in-progress";

/// Limits short enough for an agent that does not move.
const IMPATIENT: &[(&str, &str)] = &[
    ("stall_timeout        = \"2m\"", "stall_timeout        = \"1s\""),
    ("run_timeout          = \"10m\"", "run_timeout          = \"9m\""),
];

#[test]
fn an_agent_that_crashes_hands_the_issue_to_a_person() {
    let afk = Installation::armed().agent("crashes").hasty();

    afk.dispatch();
    let issue = afk.watch_until_over();

    assert_eq!(issue.state().as_deref(), Some("needs-human"));
    assert_eq!(issue.reason(), "the agent ended (failed) and pushed nothing");
    assert!(issue.escalation().contains("I cannot go on"), "{issue:#?}");
    assert_eq!(afk.agent_of_run().turns, 1);
}

#[test]
fn an_agent_that_ignores_the_request_to_end_keeps_the_lock_until_it_is_dead() {
    let afk = Installation::armed().agent("stubborn").policy(IMPATIENT).grace(Duration::from_secs(2));

    afk.dispatch();
    afk.wait_until("up", || afk.path("stubborn-is-up").exists());
    let issue = afk.watch_until_state("needs-human");
    assert!(afk.agent_of_run().live && issue.has(LOCK), "{issue:#?}");
    // Nobody else gets the repository meanwhile.
    afk.write_issue(2, "Another one", "Do it.");
    afk.arm(2, "ada");
    let ran = afk.poll();
    assert!(afk.agents().len() == 1 && ran.stdout.contains("greeter#2"), "{ran}");
    let issue = afk.watch_until("released", |issue| {
        assert!(issue.has(LOCK) || !afk.agent_of_run().live, "released under a live agent: {issue:#?}");
        !issue.has(LOCK)
    });

    assert!(!afk.agent_of_run().live, "{issue:#?}");
}

#[test]
fn nothing_that_an_agent_lays_out_for_git_is_ever_run() {
    let afk = Installation::armed().agent("sabotage").hasty();

    afk.dispatch();
    let issue = afk.watch_until("over", |issue| issue.outcome().is_some());

    let canary = fs::read_to_string(afk.path("canary")).unwrap_or_default();
    assert_eq!(canary, "", "code of the agent ran in afk");
    assert_eq!(issue.state().as_deref(), Some("done"), "{issue:#?}");
    // The traps were laid, and would have sprung.
    let clone = afk.agent_of_run().workspace.clone();
    std::process::Command::new("git").arg("status").current_dir(clone).output().unwrap();
    assert!(afk.path("canary").exists(), "the traps of this test do not work");
}
