//! The whole life of a run.

use pretty_assertions::assert_eq;

use super::Installation;

const READY: &str = "ready-for-agent";
const LOCK: &str = "agent-in-progress";
const HUMAN: &str = "ready-for-human";

#[test]
fn an_issue_is_taken_red_corrected_landed_and_closed() {
    let afk = Installation::armed();

    afk.dispatch();
    let issue = afk.issue(1);
    assert_eq!(issue.labels, [READY, LOCK]);
    assert_eq!(issue.state().as_deref(), Some("working"));
    assert!(issue.progress()[0].body.contains("because ada applied"), "{issue:#?}");

    let issue = afk.watch_until_over();
    assert_eq!(issue.state().as_deref(), Some("done"));
    assert_eq!(issue.outcome().as_deref(), Some("success"));
    assert_eq!(issue.attempts(), 1);
    assert_eq!((issue.open, issue.closed_by.as_deref()), (false, Some("afk")));
    assert_eq!(
        issue.events,
        [
            "ada +ready-for-agent",
            "afk +agent-in-progress",
            "afk closed completed",
            "afk -ready-for-agent",
            // The lock last of all.
            "afk -agent-in-progress",
        ]
    );
    assert_eq!(issue.comments.len(), 1, "one progress comment and nothing else: {issue:#?}");
    assert_eq!(afk.rings("done"), 1);
    assert_eq!(
        afk.commits(),
        ["Test that a person is greeted by name", "Greet people by name", "Set the name off with a comma"]
    );
    let agent = afk.agent_of_run();
    assert_eq!((agent.turns, agent.live), (2, false));
    let run = &agent.run;
    assert_eq!(afk.invocations(), [format!("{run} start"), format!("{run} resume")], "the same agent, both times");
    let prompts = agent.prompts.clone();
    assert!(prompts[0].contains("It should greet ada by name."), "{}", prompts[0]);
    assert!(prompts[0].contains(&format!("AFK-Run: {run}")), "{}", prompts[0]);
    assert!(prompts[1].contains("expected: hi, ada") && prompts[1].contains("got: hi ada"), "{}", prompts[1]);

    // It is over: nothing is done again.
    let ran = afk.poll();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(afk.watch().code, Some(0));
    assert_eq!(afk.issue(1), issue);
    assert_eq!(afk.agents(), [agent]);
}

#[test]
fn an_agent_that_is_right_at_once_needs_no_second_turn() {
    let afk = Installation::armed().agent("right");

    afk.dispatch();
    let issue = afk.watch_until_over();

    assert_eq!(issue.state().as_deref(), Some("done"));
    assert_eq!((issue.attempts(), afk.agent_of_run().turns), (0, 1));
    assert_eq!(issue.comments.len(), 1);
    assert_eq!(afk.rings("done"), 1);
}

#[test]
fn an_agent_that_stays_red_gets_its_turns_and_then_the_issue_is_a_persons() {
    let afk = Installation::armed().agent("wrong").policy(&[("attempts = 5", "attempts = 2")]);

    afk.dispatch();
    let issue = afk.watch_until_over();

    assert_eq!(issue.state().as_deref(), Some("frozen"));
    assert_eq!(issue.outcome().as_deref(), Some("human"));
    assert_eq!(issue.attempts(), 2);
    assert_eq!(afk.commits(), ["Try again, turn start", "Try again, turn resume", "Try again, turn resume"]);
    assert_eq!(afk.agent_of_run().turns, 3, "the first, and one about each red commit but the last");
    assert!(issue.open && !issue.has(READY) && !issue.has(LOCK) && issue.has(HUMAN), "{issue:#?}");
    assert_eq!(issue.events.last().map(String::as_str), Some("afk -agent-in-progress"));
    let escalation = issue.escalation();
    assert!(escalation.starts_with("@ada this needs you: **CI is red after 2 corrections"), "{escalation}");
    assert!(escalation.contains("This time it must be right."), "{escalation}");
    assert_eq!(issue.progress().len(), 1);
    assert_eq!((afk.rings("frozen"), afk.rings("done")), (1, 0));
}

#[test]
fn a_correction_that_brings_no_commit_is_not_asked_for_again() {
    let afk = Installation::armed().agent("wrong_then_idle");

    afk.dispatch();
    let issue = afk.watch_until_over();

    assert_eq!(issue.state().as_deref(), Some("frozen"));
    assert_eq!(issue.reason(), "CI is red, and no commit came after 1 corrections");
    assert_eq!((issue.attempts(), afk.agent_of_run().turns), (1, 2));
}

#[test]
fn an_issue_that_a_commit_closed_is_opened_again_where_it_was_not_solved() {
    let afk = Installation::armed().agent("wrong").policy(&[("attempts = 5", "attempts = 0")]);

    afk.dispatch();
    afk.watch_until_state("verifying");
    // In the name of whoever pushed; here that is afk's own login.
    afk.is_closed_by_a_commit(1);
    let issue = afk.watch_until_over();

    assert_eq!(issue.state().as_deref(), Some("frozen"));
    assert!(issue.open && issue.events.contains(&"afk reopened".to_owned()), "{issue:#?}");
}

#[test]
fn an_escalated_issue_is_not_taken_again_until_a_person_arms_it_anew() {
    let afk = Installation::armed().agent("idle");
    afk.dispatch();
    afk.watch_until_state("needs-human");

    // Whoever puts the ready label back without looking gets nothing.
    afk.arm(1, "ada");
    let ran = afk.poll();
    assert!(ran.stdout.contains("hold"), "{ran}");
    assert_eq!(afk.agents().len(), 1);

    afk.person("ada").unlabels(1, HUMAN);
    afk.dispatch();
    let issue = afk.watch_until("over again", |issue| issue.records().len() == 2 && !issue.has(LOCK));
    let [first, second] = issue.records().try_into().unwrap();
    assert_ne!(first["run"], second["run"]);
    assert_eq!(afk.agents().len(), 2);
}

#[test]
fn one_arming_gets_one_run_however_often_it_is_polled() {
    // A policy whose escalation leaves the issue armed.
    let escalation = "escalate       = [{ add_label = \"human\" }, { remove_label = \"ready\" }, ";
    let afk = Installation::armed().agent("idle").policy(&[(escalation, "escalate = [")]);
    afk.dispatch();
    let issue = afk.watch_until_over();
    assert!(issue.has(READY), "{issue:#?}");

    for _ in 0..3 {
        let ran = afk.poll();
        assert!(ran.code == Some(0) && ran.stdout.contains("once"), "{ran}");
    }
    assert_eq!((afk.agents().len(), afk.invocations().len()), (1, 1));
}
