//! What happens to the threads of T3 Code: providers refuse and crash, the server restarts, and what it shows of a turn is
//! not what it seems.

use pretty_assertions::assert_eq;
use serde_json::json;

use super::Installation;
use crate::installation::{Issue, Threads};
use crate::t3_fake::{Generation, Phase};

const LOCK: &str = "agent-in-progress";

fn is_old(afk: &Installation) -> bool {
    afk.runner.fake.state().generation == Generation::V0_0_27
}

fn watch_some(afk: &Installation, state: &str) {
    for _ in 0..3 {
        let ran = afk.watch();
        assert_eq!(ran.code, Some(0), "{ran}");
        assert_eq!(afk.issue(1).state().as_deref(), Some(state), "{ran}");
    }
}

#[track_caller]
fn is_handed_over(issue: &Issue, reason: &str, words: &str) {
    assert_eq!(issue.state().as_deref(), Some("needs-human"));
    assert_eq!(issue.reason(), reason, "{issue:#?}");
    assert!(issue.escalation().contains(words), "{issue:#?}");
    assert!(issue.open && issue.has("ready-for-human") && !issue.has(LOCK), "{issue:#?}");
}

#[test]
fn a_server_that_restarts_in_mid_turn_ends_the_run() {
    let impatient = [
        ("stall_timeout        = \"2m\"", "stall_timeout        = \"1s\""),
        ("effect_timeout       = \"1m\"", "effect_timeout       = \"1s\""),
    ];
    let afk = Installation::armed().agent("hangs").hasty().policy(&impatient);
    afk.dispatch();
    afk.wait_until("at work", || afk.agent_of_run().turns == 1);
    afk.runner.fake.restart();

    let issue = afk.watch_until_over();
    if is_old(&afk) {
        // v0.0.27 says for ever that it runs.
        assert!(issue.reason().starts_with("no sign of life for "), "{issue:#?}");
        assert!(!issue.has(LOCK), "{issue:#?}");
    } else {
        is_handed_over(&issue, "the agent ended (failed) and pushed nothing", "did not survive a server restart");
    }
}

#[test]
fn a_corrective_turn_after_a_restart_brings_the_thread_back() {
    let afk = Installation::armed().agent("red_then_right").hasty();
    afk.dispatch();
    afk.wait_until("settled", || {
        afk.runner.fake.state().threads.iter().all(|thread| !thread.busy && !thread.checkpoints.is_empty())
    });
    afk.runner.fake.restart();

    assert_eq!(afk.watch_until_over().state().as_deref(), Some("done"));
    assert_eq!(afk.agent_of_run().turns, 2);
}

#[test]
fn a_turn_that_is_accepted_and_never_starts_hands_the_issue_to_a_person_and_is_stopped_when_it_starts_after_all() {
    let impatient = ("start_timeout        = \"1m\"", "start_timeout        = \"1s\"");
    let afk = Installation::armed().agent("hangs").hasty().policy(&[impatient]);
    afk.runner.fake.state().hold = Some(Phase::Accepted);
    afk.dispatch();

    // It has no turn yet that could be told to stop, and may get one: so the row is not done with, nor the lock off.
    let issue = afk.watch_until("handed over", |issue| issue.has("ready-for-human"));
    assert!(issue.has(LOCK), "{issue:#?}");
    afk.runner.fake.state().hold = None;
    afk.wait_until("at work", || afk.agent_of_run().turns == 1);
    let issue = afk.watch_until_over();
    assert_eq!((issue.state().as_deref(), issue.reason().as_str()), (Some("needs-human"), "the agent never started"));
    assert!(!afk.agent_of_run().live && !issue.has(LOCK), "{issue:#?}");
}

#[test]
fn a_thread_that_a_person_puts_away_before_its_turn_has_begun_is_gone() {
    for kind in ["thread.delete", "thread.archive"] {
        let afk = Installation::armed().agent("hangs").hasty();
        afk.runner.fake.state().hold = Some(Phase::Accepted);
        afk.dispatch();
        let thread = afk.agent_of_run().run;
        let put_away = json!({ "type": kind, "commandId": format!("ui {kind}"), "threadId": thread });
        assert_eq!(afk.runner.person(&put_away), 200);

        let issue = afk.watch_until_over();
        is_handed_over(&issue, "the agent ended (gone) and pushed nothing", "");
    }
}

#[test]
fn nothing_on_the_way_into_a_turn_is_its_end() {
    for phase in [Phase::Accepted, Phase::Starting, Phase::Ready] {
        let afk = Installation::armed().agent("right").hasty();
        afk.runner.fake.state().hold = Some(phase);
        afk.dispatch();
        watch_some(&afk, "working");

        afk.runner.fake.state().hold = None;
        assert_eq!(afk.watch_until_over().state().as_deref(), Some("done"), "{phase:?}");
    }
}

#[test]
fn the_end_of_a_turn_is_not_the_end_of_the_one_after_it() {
    for phase in [Phase::Accepted, Phase::Ready] {
        let afk = Installation::armed().agent("red_then_right").hasty();
        afk.dispatch();
        afk.watch_until_state("verifying");
        afk.wait_until("settled", || !afk.runner.fake.state().threads[0].busy);
        afk.runner.fake.state().hold = Some(phase);
        let issue = afk.watch_until_state("fixing");
        assert_eq!(issue.attempts(), 1);
        watch_some(&afk, "fixing");

        afk.runner.fake.state().hold = None;
        assert_eq!(afk.watch_until_over().state().as_deref(), Some("done"), "{phase:?}");
        assert_eq!(afk.agent_of_run().turns, 2);
    }
}

#[test]
fn an_end_counts_before_its_checkpoint_is_taken() {
    for agent in ["right", "idle"] {
        let afk = Installation::armed().agent(agent).hasty();
        afk.runner.fake.state().hold = Some(Phase::Ended);
        afk.dispatch();

        let issue = afk.watch_until_over();
        assert_eq!(issue.state().as_deref(), Some(if agent == "right" { "done" } else { "needs-human" }), "{issue:#?}");
    }
}

#[test]
fn an_agent_whose_process_dies_hands_the_issue_to_a_person() {
    let afk = Installation::armed().agent("dies").hasty();
    afk.dispatch();
    let issue = afk.watch_until_over();

    let words = if is_old(&afk) { "exited with code 3" } else { "Claude runtime stream failed" };
    is_handed_over(&issue, "the agent ended (failed) and pushed nothing", words);
}

#[test]
fn a_turn_that_the_provider_refuses_hands_the_issue_to_a_person() {
    let afk = Installation::armed().agent("right").hasty();
    afk.runner.fake.state().refusal = Some("the subscription has run out".to_owned());
    afk.dispatch();
    let issue = afk.watch_until_over();

    is_handed_over(&issue, "the agent ended (failed) and pushed nothing", "the subscription has run out");
}

#[test]
fn a_provider_that_the_server_cannot_start_hands_the_issue_to_a_person() {
    let named = |provider: &str| {
        let provider = format!("provider = \"{provider}\"");
        Installation::armed().settings(&[("provider = \"claudeAgent\"", &provider)]).hasty()
    };
    let afk = named("cursor");
    afk.dispatch();
    is_handed_over(&afk.watch_until_over(), "the agent ended (failed) and pushed nothing", "is disabled");
    for provider in ["claudeAgent", "codex"] {
        let afk = named(provider);
        afk.runner.fake.agent(&afk.path("nowhere"));
        afk.dispatch();
        is_handed_over(&afk.watch_until_over(), "the agent ended (failed) and pushed nothing", "");
    }
}

#[test]
fn an_agent_of_another_provider_is_followed_the_same_way() {
    let afk = Installation::armed().hasty().settings(&[("provider = \"claudeAgent\"", "provider = \"codex\"")]);
    afk.dispatch();
    assert_eq!(afk.watch_until_over().state().as_deref(), Some("done"));
    assert_eq!(afk.agent_of_run().turns, 2);
}

#[test]
fn an_agent_that_floods_its_output_is_followed_all_the_same() {
    let afk = Installation::armed().agent("floods");
    afk.dispatch();
    assert_eq!(afk.watch_until_over().state().as_deref(), Some("done"));
}

#[test]
fn an_issue_that_is_too_long_for_a_turn_is_cut_and_not_refused() {
    let afk = Installation::new().agent("right").hasty();
    afk.write_issue(1, "Long", &"And greet ada by name, please.\n".repeat(6000));
    afk.arm(1, "ada");
    afk.dispatch();

    assert_eq!(afk.watch_until_over().state().as_deref(), Some("done"));
    let prompt = &afk.agent_of_run().prompts[0];
    assert!(prompt.encode_utf16().count() <= 120_000, "{}", prompt.len());
    assert!(prompt.contains(&format!("AFK-Run: {}", afk.agent_of_run().run)), "{prompt:.2000}");
}
