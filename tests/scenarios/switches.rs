//! What operators change in the middle of a run: the kill switch in all its forms, and the policy.

use pretty_assertions::assert_eq;

use super::Installation;

const OFF: (&str, &str) = ("kill_switch = false", "kill_switch = true ");
const ON: (&str, &str) = ("kill_switch = true ", "kill_switch = false");

/// With the switch on, a corrective turn that is due is not sent, and an armed issue not taken.
#[track_caller]
fn does_not_start_anything(afk: &Installation, variables: &[(&str, &str)]) {
    for _ in 0..2 {
        let ran = afk.afk_with(&["watch"], variables);
        assert_eq!(ran.code, Some(0), "{ran}");
        let ran = afk.afk_with(&["poll"], variables);
        assert_eq!(ran.code, Some(0), "{ran}");
        assert!(ran.stdout.contains("switched off"), "{ran}");
    }
    assert_eq!((afk.agents().len(), afk.invocations().len()), (1, 1));
    assert_eq!((afk.issue(1).state().as_deref(), afk.issue(1).attempts()), (Some("verifying"), 0));
}

/// Once it is off again, the run goes on where it stood.
#[track_caller]
fn goes_on(afk: &Installation) {
    afk.watch_until_state("fixing");
    assert_eq!((afk.invocations().len(), afk.issue(1).attempts()), (2, 1));
}

fn with_a_second_issue() -> Installation {
    let afk = Installation::red_and_waiting_for_a_turn().second_repository("other");
    afk.write_issue_of("other", 7, "Another one", "Greet ada by name.");
    afk.person_in("other", "ada").labels(7, "ready-for-agent");
    afk
}

#[test]
fn the_kill_switch_of_the_policy_holds_turns_and_dispatches_back() {
    let afk = with_a_second_issue().policy(&[OFF]);
    does_not_start_anything(&afk, &[]);
    goes_on(&afk.policy(&[ON]));
}

#[test]
fn the_kill_switch_of_the_environment_holds_turns_and_dispatches_back() {
    let afk = with_a_second_issue();
    does_not_start_anything(&afk, &[("AFK_KILL_SWITCH", "true")]);
    goes_on(&afk);
}

#[test]
fn afk_stop_holds_turns_and_dispatches_back_until_it_is_taken_back() {
    let afk = with_a_second_issue();
    assert_eq!(afk.afk(&["stop"]).code, Some(0));
    does_not_start_anything(&afk, &[]);
    assert_eq!(afk.afk(&["stop", "--undo"]).code, Some(0));
    goes_on(&afk);
}

#[test]
fn the_environment_can_turn_the_kill_switch_on_but_never_off() {
    let afk = with_a_second_issue().policy(&[OFF]);
    does_not_start_anything(&afk, &[("AFK_KILL_SWITCH", "false")]);
}

#[test]
fn a_kill_switch_that_is_neither_on_nor_off_is_an_error() {
    let afk = with_a_second_issue();
    for command in ["watch", "poll"] {
        let ran = afk.afk_with(&[command], &[("AFK_KILL_SWITCH", "maybe")]);
        assert_eq!(ran.code, Some(4), "{ran}");
        assert!(ran.stderr.contains("AFK_KILL_SWITCH is not a boolean"), "{ran}");
    }
    assert_eq!((afk.agents().len(), afk.invocations().len()), (1, 1));
}

#[test]
fn afk_stop_ends_live_agents() {
    let afk = Installation::armed().agent("hangs").hasty();
    afk.dispatch();
    assert!(afk.agent_of_run().live);

    let ran = afk.afk(&["stop"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    afk.wait_until_quiet();
    // Nothing was pushed: the policy hands it to a person, which the kill switch does not hold back.
    assert_eq!(afk.watch_until_over().state().as_deref(), Some("needs-human"));
}

#[test]
fn with_the_kill_switch_on_a_run_is_still_followed_to_its_end() {
    let afk = Installation::armed().agent("right").hasty();
    afk.dispatch();
    let afk = afk.policy(&[OFF]);
    let issue = afk.watch_until_over();
    assert_eq!(issue.state().as_deref(), Some("done"));
    assert!(!issue.open);
}

#[test]
fn a_kill_switch_that_is_turned_on_in_the_middle_of_a_watch_holds_back_its_turn() {
    let afk = Installation::red_and_waiting_for_a_turn();
    // By the time the commits are read, the policy was long read.
    let path = afk.git_before_the_real_one(&format!(
        "sed -i.bak 's/^kill_switch = false/kill_switch = true /' '{}'",
        afk.path("policies/afk.toml").display()
    ));
    let ran = afk.afk_with(&["watch"], &[("PATH", &path)]);
    assert!(ran.code == Some(3) && ran.stdout.contains("the kill switch is on"), "{ran}");
    assert_eq!((afk.invocations().len(), afk.issue(1).attempts()), (1, 0));

    goes_on(&afk.policy(&[ON]));
}

#[test]
fn a_kill_switch_that_is_turned_on_in_the_middle_of_a_poll_holds_back_the_dispatch_at_hand() {
    let afk = Installation::armed().agent("idle").second_repository("other");
    afk.write_issue_of("other", 7, "Another one", "Greet ada by name.");
    afk.person_in("other", "ada").labels(7, "ready-for-agent");
    let path = afk.git_before_the_real_one(&format!(
        "sed -i.bak 's/^kill_switch = false/kill_switch = true /' '{}'",
        afk.path("policies/afk.toml").display()
    ));

    let ran = afk.afk_with(&["poll"], &[("PATH", &path)]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(afk.agents().len(), 0, "{ran}");
    assert!(ran.stdout.contains("not dispatched"), "{ran}");
}

#[test]
fn a_kill_switch_that_is_turned_on_while_the_agent_s_clone_is_made_starts_no_agent() {
    let afk = Installation::armed().agent("idle");
    let path = afk.git_before_the_real_one(&format!(
        "case \"$*\" in *' checkout '*) sed -i.bak 's/^kill_switch = false/kill_switch = true /' '{}';; esac",
        afk.path("policies/afk.toml").display()
    ));
    let ran = afk.afk_with(&["poll"], &[("PATH", &path)]);
    assert!(ran.code == Some(3) && ran.stdout.contains("the kill switch is on"), "{ran}");
    assert_eq!(afk.invocations().len(), 0, "{ran}");

    let afk = afk.policy(&[ON]);
    assert_eq!(afk.poll().code, Some(0));
    afk.wait_until_quiet();
    assert_eq!((afk.agents().len(), afk.invocations().len()), (1, 1));
}

#[test]
fn a_policy_that_breaks_while_agents_work_rings_once_and_touches_nothing() {
    let afk = Installation::armed().agent("waits").hasty();
    afk.dispatch();
    let good = afk.read("policies/afk.toml");
    let before = afk.issue(1);

    let afk = afk.policy(&[("[dispatch]", "[dispach]")]);
    for _ in 0..3 {
        let ran = afk.watch();
        assert_eq!(ran.code, Some(1), "{ran}");
        let ran = afk.poll();
        assert_eq!(ran.code, Some(1), "{ran}");
    }
    assert_eq!(afk.rings("policy-broken"), 1);
    assert_eq!(afk.issue(1), before);
    assert!(afk.agent_of_run().live);

    afk.write("policies/afk.toml", &good);
    assert_eq!(afk.watch().code, Some(0));
    let afk = afk.policy(&[("[dispatch]", "[dispach]")]);
    afk.watch();
    assert_eq!(afk.rings("policy-broken"), 2, "mended, and broken again");

    afk.write("policies/afk.toml", &good);
    afk.write("go", "");
    assert_eq!(afk.watch_until_over().state().as_deref(), Some("done"));
}

#[test]
fn a_missing_policy_is_a_kill_switch_that_is_on() {
    let afk = Installation::armed();
    std::fs::remove_file(afk.path("policies/afk.toml")).unwrap();
    for command in ["poll", "watch"] {
        let ran = afk.afk(&[command]);
        assert!(matches!(ran.code, Some(1 | 4)), "{ran}");
    }
    assert!(afk.agents().is_empty());
}

#[test]
fn a_run_whose_state_the_policy_no_longer_has_goes_on_from_the_initial_state_and_says_so() {
    let afk = Installation::armed().agent("right").hasty();
    afk.dispatch();
    afk.wait_until_quiet();
    afk.watch();
    assert_eq!(afk.issue(1).state().as_deref(), Some("verifying"));
    afk.wait_until_quiet();

    let afk = afk.policy(&[("verifying", "checking")]);
    let ran = afk.watch();
    assert!(ran.code == Some(3) && ran.stdout.contains("no state `verifying` any more"), "{ran}");
    let issue = afk.watch_until_over();
    assert_eq!(issue.state().as_deref(), Some("done"));
    assert_eq!(afk.agent_of_run().turns, 1);
}

#[test]
fn an_ended_run_stays_ended_when_the_policy_no_longer_has_its_state() {
    let afk = Installation::armed().agent("right").hasty();
    afk.dispatch();
    let issue = afk.watch_until_over();

    let afk = afk.policy(&[("done ", "landed "), ("\"done\"\ndo   =", "\"landed\"\ndo   =")]);
    for command in ["watch", "poll"] {
        let ran = afk.afk(&[command]);
        assert_eq!(ran.code, Some(0), "{ran}");
    }
    assert_eq!(afk.issue(1), issue);
}

#[test]
fn a_run_of_a_repository_that_is_no_longer_listed_is_followed_to_its_end_without_further_turns() {
    let afk = Installation::red_and_waiting_for_a_turn().policy(&[("= [\"greeter\"]", "= []")]);

    let issue = afk.watch_until_over();
    assert_eq!(issue.state().as_deref(), Some("frozen"));
    assert_eq!((issue.attempts(), afk.invocations().len()), (0, 1));
}

#[test]
fn a_repository_on_the_denylist_gets_no_further_turns_either() {
    let afk = Installation::red_and_waiting_for_a_turn().policy(&[("denylist    = []", "denylist    = [\"greeter\"]")]);

    let issue = afk.watch_until_over();
    assert_eq!((issue.state().as_deref(), afk.invocations().len()), (Some("frozen"), 1));
}

#[test]
fn serve_takes_an_issue_through_its_whole_life_and_ends_when_asked() {
    let afk = Installation::armed()
        .hasty()
        .settings(&[("data = \"data\"", "data = \"data\"\npoll_interval = \"1s\"\nwatch_interval = \"1s\"\n#")]);
    let serving = afk.start(&["serve"]);
    afk.wait_until("closed", || !afk.issue(1).open && !afk.issue(1).has("agent-in-progress"));

    let ran = serving.terminate();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(afk.issue(1).state().as_deref(), Some("done"));
}

#[test]
fn a_doorbell_that_missed_the_alarm_of_a_broken_policy_rings_later_and_no_other_rings_again() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let afk = Installation::armed()
        .agent("waits")
        .hasty()
        .settings(&[(
            "[doorbells.terminal]",
            "[doorbells.ops]\nkind = \"webhook\"\nurl = { variable = \"OPS_URL\" }\n\n[doorbells.terminal]",
        )])
        .variable("OPS_URL", format!("http://{address}/hook"));
    afk.dispatch();
    let afk = afk.policy(&[("[dispatch]", "[dispach]")]);
    afk.watch();

    let listener = std::net::TcpListener::bind(address).unwrap();
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = vec![0; 64 * 1024];
        let length = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    afk.watch();
    let request = server.join().unwrap();
    assert!(request.contains("policy-broken"), "{request}");
    // Nobody listens any more: another ring would fail, and be heard of at the next.
    afk.watch();
    assert_eq!(afk.rings("policy-broken"), 1);
    assert!(!afk.read("data/doorbells.json").contains("ops"));
}
