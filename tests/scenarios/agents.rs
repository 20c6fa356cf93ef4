//! Agents as they come: silent, stuck, broken, hostile.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use pretty_assertions::assert_eq;
use rustix::process::{Pid, test_kill_process};

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
    assert_eq!(issue.reason(), "the agent is idle and pushed nothing");
    assert!(issue.open && issue.has(HUMAN) && !issue.has("ready-for-agent"), "{issue:#?}");
    assert!(issue.escalation().contains("Nothing to do, it seems."), "{issue:#?}");
    assert_eq!(afk.rings("needs-human"), 1);
    assert_eq!(afk.agent_of_run().turns, 1);
}

#[test]
fn an_agent_that_crashes_hands_the_issue_to_a_person() {
    let afk = Installation::armed().agent("crashes").hasty();

    afk.dispatch();
    let issue = afk.watch_until_over();

    assert_eq!(issue.state().as_deref(), Some("needs-human"));
    assert_eq!(issue.reason(), "the agent is failed and pushed nothing");
    assert!(issue.escalation().contains("I cannot go on"), "{issue:#?}");
    assert_eq!(afk.agent_of_run().turns, 1);
}

#[test]
fn an_agent_that_cannot_be_started_hands_the_issue_to_a_person() {
    let afk = Installation::armed().hasty().settings(&[("[\"./agent.sh\", \"start\"]", "[\"./broken-agent\"]")]);
    afk.write("broken-agent", "#!/no/such/interpreter\n");
    fs::set_permissions(afk.path("broken-agent"), fs::Permissions::from_mode(0o755)).unwrap();

    afk.dispatch();
    let issue = afk.watch_until_over();

    assert_eq!(issue.state().as_deref(), Some("needs-human"));
    assert!(issue.escalation().contains("broken-agent"), "{issue:#?}");
}

#[test]
fn where_the_agent_or_its_judge_is_not_there_nothing_is_started() {
    for (from, to, said) in [
        ("[\"./agent.sh\", \"start\"]", "[\"./no-such-agent\"]", "no-such-agent"),
        ("[\"sh\", \"ci.sh\"]", "[\"no-such-judge\"]", "no-such-judge"),
        ("[ci.test]", "[ci.tests]", "stage `test`"),
    ] {
        let afk = Installation::armed().settings(&[(from, to)]);
        for foretelling in [["poll", "--dry-run"].as_slice(), &["explain", "--issue", "1"], &["status"]] {
            let foretold = afk.afk(foretelling);
            assert!(
                foretold.stdout.contains("it would not be dispatched") && foretold.stdout.contains(said),
                "{foretold}"
            );
        }
        let poll = afk.poll();
        assert_eq!(poll.code, Some(3), "{poll}");
        assert!(poll.stdout.contains("not dispatched") && poll.stdout.contains(said), "{poll}");
        assert_eq!(afk.agents().len(), 0);
        assert!(!afk.issue(1).has(LOCK) && afk.issue(1).comments.is_empty());
    }
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
fn an_agent_that_ignores_the_request_to_end_keeps_the_lock_until_it_is_dead() {
    let afk = Installation::armed().agent("stubborn").policy(IMPATIENT).settings(&[("\"1s\"", "\"2s\"")]);

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
fn an_agent_that_landed_and_does_not_end_is_stopped_and_the_issue_closed() {
    let afk = Installation::armed().agent("right_then_hangs").hasty().policy(IMPATIENT);

    afk.dispatch();
    let issue = afk.watch_until_over();

    assert_eq!(issue.state().as_deref(), Some("done"));
    assert!(!issue.open && !afk.agent_of_run().live, "{issue:#?}");
}

#[test]
fn an_agent_that_floods_its_output_is_followed_all_the_same() {
    let afk = Installation::armed()
        .agent("floods")
        .settings(&[("grace = \"1s\"", "grace = \"1s\"\noutput_limit_bytes = 100000")]);

    afk.dispatch();
    let issue = afk.watch_until_over();

    assert_eq!(issue.state().as_deref(), Some("done"));
    assert!(afk.agent_of_run().output_bytes() <= 100_000, "{}", afk.agent_of_run().output_bytes());
}

#[test]
fn what_an_agent_leaves_behind_is_dead_before_the_lock_is_released() {
    let afk = Installation::armed().agent("forks").hasty();

    afk.dispatch();
    let issue = afk.watch_until_over();

    assert_eq!(issue.state().as_deref(), Some("done"));
    let left: Vec<Pid> =
        afk.read("left-behind").lines().map(|id| Pid::from_raw(id.trim().parse().unwrap()).unwrap()).collect();
    assert_eq!(left.len(), 3);
    for process in left {
        assert!(test_kill_process(process).is_err(), "{process:?} outlived its run");
    }
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
    let clone = afk.agent_of_run().workspace("");
    std::process::Command::new("git").arg("status").current_dir(clone).output().unwrap();
    assert!(afk.path("canary").exists(), "the traps of this test do not work");
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
