//! Whatever is lost between afk and a server of T3 Code, there is one of everything. On any server, somebody's real one too.

use pretty_assertions::assert_eq;

use super::Installation;
use crate::installation::{Lost, Threads};

/// Polls until the issue is dispatched: a lost answer may make a tick fail.
pub fn dispatch_in_the_end(afk: &Installation) {
    for _ in 0..4 {
        let ran = afk.poll();
        assert!(matches!(ran.code, Some(0 | 3)), "{ran}");
        if afk.issue(1).has("agent-in-progress") {
            return;
        }
    }
    panic!("it is not dispatched: {:#?}", afk.issue(1));
}

/// The run came to a good end after so many turns, and there is one of everything.
#[track_caller]
pub fn was_lived_once(afk: &Installation, turns: usize, what: &str) {
    let issue = afk.watch_until_over();
    assert_eq!((issue.state().as_deref(), issue.attempts() + 1), (Some("done"), turns as u64), "{what}");
    let agent = afk.agent_of_run();
    assert_eq!((agent.turns, agent.prompts.len(), afk.invocations().len()), (turns, turns, turns), "{what}");
    assert_eq!(afk.runner.projects(), 1, "{what}");
}

#[test]
fn whatever_answer_is_lost_while_an_agent_is_brought_up_there_is_one_of_everything() {
    for what in ["project.create", "thread.create", "thread.turn.start"] {
        for lost in [Lost::Request, Lost::Answer] {
            let afk = Installation::armed().agent("right").hasty();
            afk.runner.loses(lost, what, 1);
            dispatch_in_the_end(&afk);
            was_lived_once(&afk, 1, &format!("{what} {lost:?}"));
        }
    }
}

#[test]
fn an_answer_that_makes_no_sense_is_a_lost_one() {
    for lost in [Lost::BadGateway, Lost::Half] {
        let afk = Installation::armed().agent("right").hasty();
        afk.runner.loses(lost, "thread.turn.start", 1);
        dispatch_in_the_end(&afk);
        was_lived_once(&afk, 1, &format!("{lost:?}"));
    }
}

#[test]
fn a_server_that_is_away_in_mid_run_changes_nothing() {
    let afk = Installation::armed().agent("waits").hasty();
    afk.dispatch();
    afk.runner.loses(Lost::BadGateway, "", usize::MAX);
    for command in ["watch", "poll", "watch"] {
        let ran = afk.afk(&[command]);
        assert_eq!(ran.code, Some(3), "{ran}");
        assert_eq!(ran.to_string().matches("executor `toy`: ").count(), 1, "{ran}");
        assert!(ran.to_string().contains(" calls to the edges, toy: "), "{ran}");
    }
    assert_eq!(afk.issue(1).state().as_deref(), Some("working"));

    afk.runner.loses_nothing();
    afk.write("go", "");
    assert_eq!(afk.watch_until_over().state().as_deref(), Some("done"));
    assert_eq!((afk.agents().len(), afk.invocations().len()), (1, 1));
}

#[test]
fn whatever_is_lost_of_a_corrective_turn_there_is_one() {
    for lost in [Lost::Request, Lost::Answer] {
        let afk = Installation::armed().agent("red_then_right").hasty();
        afk.dispatch();
        afk.runner.loses(lost, "thread.turn.start", 1);
        was_lived_once(&afk, 2, &format!("{lost:?}"));
    }
}

#[test]
fn an_interrupt_that_is_lost_is_asked_for_again() {
    let impatient = ("stall_timeout        = \"2m\"", "stall_timeout        = \"1s\"");
    for lost in [Lost::Request, Lost::Answer] {
        let afk = Installation::armed().agent("hangs").hasty().policy(&[impatient]);
        afk.dispatch();
        afk.runner.loses(lost, "thread.turn.interrupt", 1);
        assert_eq!(afk.watch_until_over().state().as_deref(), Some("needs-human"), "{lost:?}");
        assert!(!afk.agent_of_run().live, "{lost:?}");
    }
}
