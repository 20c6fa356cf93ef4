//! What only an executor with processes of its own can promise: nothing of an agent is left, and little of its words.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pretty_assertions::assert_eq;
use rustix::process::{Pid, test_kill_process};

use super::Installation;

const LOCK: &str = "agent-in-progress";

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
            assert!(foretold.stdout.contains("cannot be started") && foretold.stdout.contains(said), "{foretold}");
            for promise in ["would dispatch", "WOULD BE DISPATCHED", "goes next", "could not be read"] {
                assert!(!foretold.stdout.contains(promise), "{foretold}");
            }
        }
        let poll = afk.poll();
        assert_eq!(poll.code, Some(3), "{poll}");
        assert!(poll.stdout.contains("not dispatched") && poll.stdout.contains(said), "{poll}");
        assert_eq!(afk.agents().len(), 0);
        assert!(!afk.issue(1).has(LOCK) && afk.issue(1).comments.is_empty());
    }
}

#[test]
fn an_agent_that_floods_its_output_is_followed_all_the_same() {
    let afk = Installation::armed()
        .agent("floods")
        .settings(&[("grace = \"1s\"", "grace = \"1s\"\noutput_limit_bytes = 100000")]);

    afk.dispatch();
    let issue = afk.watch_until_over();

    assert_eq!(issue.state().as_deref(), Some("done"));
    assert!(afk.agent_of_run().output_bytes <= 100_000, "{}", afk.agent_of_run().output_bytes);
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
