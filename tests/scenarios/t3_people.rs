//! What people and operators do in T3 Code while an agent works there: they answer, delete, archive, and change the token. On
//! any server, somebody's real one too.

use std::fs;
use std::time::Instant;

use chrono::{SecondsFormat, Utc};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::Installation;
use crate::installation::{Issue, Runner, Threads};

const LOCK: &str = "agent-in-progress";

/// A person does something to the one thread in the web UI.
fn person(afk: &Installation, kind: &str, fields: Value) {
    let thread = afk.agent_of_run().run;
    let mut command = json!({ "type": kind, "commandId": format!("ui {kind} {thread}"), "threadId": thread });
    for (name, value) in fields.as_object().unwrap() {
        command[name] = value.clone();
    }
    assert_eq!(afk.runner.person(&command), 200, "{command}");
}

/// What the first activity of a kind says, once the thread shows one.
fn wait_for(afk: &Installation, kind: &str) -> Value {
    let thread = afk.agent_of_run().run;
    let found = || afk.runner.activities(&thread).into_iter().find(|activity| activity["kind"] == kind);
    afk.wait_until(kind, || found().is_some());
    found().unwrap()["payload"].take()
}

fn stamp() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn watch_some(afk: &Installation, state: &str) {
    for _ in 0..3 {
        let ran = afk.watch();
        assert_eq!(ran.code, Some(0), "{ran}");
        assert_eq!(afk.issue(1).state().as_deref(), Some(state), "{ran}");
    }
}

#[track_caller]
fn is_handed_over(issue: &Issue, reason: &str) {
    assert_eq!(issue.state().as_deref(), Some("needs-human"));
    assert_eq!(issue.reason(), reason, "{issue:#?}");
    assert!(issue.open && issue.has("ready-for-human") && !issue.has(LOCK), "{issue:#?}");
}

#[test]
fn an_agent_that_waits_for_a_person_hands_the_issue_to_one() {
    for (agent, kind) in [("asks_for_leave", "approval.requested"), ("asks_a_question", "user-input.requested")] {
        let impatient = ("input_timeout        = \"1m\"", "input_timeout        = \"1s\"");
        let afk = Installation::armed().agent(agent).hasty().policy(&[impatient]);
        afk.dispatch();
        wait_for(&afk, kind);

        let issue = afk.watch_until_over();
        is_handed_over(&issue, "the agent waits for an answer");
        assert!(!afk.agent_of_run().live);
    }
}

#[test]
fn an_agent_that_a_person_answered_in_t3_goes_on() {
    for (agent, requested, respond) in [
        ("asks_for_leave", "approval.requested", "thread.approval.respond"),
        ("asks_a_question", "user-input.requested", "thread.user-input.respond"),
    ] {
        let afk = Installation::armed().agent(agent).hasty();
        afk.dispatch();
        let asked = wait_for(&afk, requested);
        watch_some(&afk, "working");

        let mut answer = json!({ "requestId": asked["requestId"], "createdAt": stamp() });
        match asked["questions"][0]["id"].as_str() {
            Some(question) => answer["answers"] = json!({ question: "red" }),
            None => answer["decision"] = json!("accept"),
        }
        person(&afk, respond, answer);
        assert_eq!(afk.watch_until_over().state().as_deref(), Some("done"));
    }
}

#[test]
fn a_thread_that_a_person_puts_away_under_its_agent_keeps_the_lock_until_somebody_knows_that_it_has_ended() {
    let impatient = ("unreachable_timeout  = \"2m\"", "unreachable_timeout  = \"1s\"");
    for kind in ["thread.delete", "thread.archive"] {
        let afk = Installation::armed().agent("hangs").hasty().policy(&[impatient]);
        afk.dispatch();
        afk.wait_until("at work", || afk.agent_of_run().turns == 1);
        person(&afk, kind, json!({}));

        // T3 Code records nothing more of it, so nobody can see it end.
        afk.watch_until_state("frozen");
        for _ in 0..2 {
            afk.watch();
            assert!(afk.issue(1).has(LOCK), "{:#?}", afk.issue(1));
        }
        let ran = afk.afk(&["abandon", &afk.agent_of_run().run.to_string()]);
        assert_eq!(ran.code, Some(0), "{ran}");
        let issue = afk.watch_until_over();
        assert!(!issue.has(LOCK), "{issue:#?}");
        // Nobody sent it anything: that would be accepted, and never start.
        assert_eq!(afk.agent_of_run().prompts.len(), 1);
    }
}

#[test]
fn an_installation_that_lost_its_identity_takes_no_agent_for_gone_and_goes_on_once_it_is_put_back() {
    let afk = Installation::armed().agent("waits").hasty();
    afk.dispatch();
    let run = afk.agent_of_run().run;
    let identity = afk.read("data/installation.json");
    fs::remove_file(afk.path("data/installation.json")).unwrap();
    fs::remove_file(afk.path(format!("data/t3/toy/runs/{run}/run.json"))).unwrap();
    for _ in 0..3 {
        afk.watch();
        let issue = afk.issue(1);
        assert!(issue.state().as_deref() == Some("working") && issue.has("agent-in-progress"), "{issue:#?}");
    }
    let said = afk.afk(&["explain", "--issue", &afk.reference(1)]).to_string();
    let lost = serde_json::from_str::<serde_json::Value>(&identity).unwrap()["id"].as_str().unwrap().to_owned();
    assert!(said.contains(&format!("of the installation `{lost}` of afk")), "{said}");

    afk.write("data/installation.json", &identity);
    afk.write("go", "");
    assert_eq!(afk.watch_until_over().state().as_deref(), Some("done"));
    assert_eq!((afk.agents().len(), afk.invocations().len()), (1, 1));
}

#[test]
fn a_red_run_whose_thread_is_put_away_gets_no_turn() {
    let afk = Installation::red_and_waiting_for_a_turn();
    person(&afk, "thread.archive", json!({}));

    let issue = afk.watch_until_over();
    assert_eq!((issue.state().as_deref(), afk.agent_of_run().prompts.len()), (Some("frozen"), 1), "{issue:#?}");
}

#[test]
fn a_provider_that_the_server_does_not_have_hands_the_issue_to_a_person() {
    let afk = Installation::armed().hasty();
    let settings = afk.read("afk.settings.toml");
    let provider = settings.lines().find(|line| line.starts_with("provider")).unwrap();
    let afk = afk.settings(&[(provider, "provider = \"nosuch\"")]);
    afk.dispatch();

    let issue = afk.watch_until_over();
    is_handed_over(&issue, "the agent ended (failed) and pushed nothing");
    assert!(issue.escalation().contains("unknown provider instance"), "{issue:#?}");
}

#[test]
fn a_message_that_is_finished_in_mid_turn_is_no_end() {
    let afk = Installation::armed().agent("talks_and_waits").hasty();
    afk.dispatch();
    afk.wait_until("talking", || afk.path("talked").exists());
    afk.wait_until("heard", || afk.agent_of_run().output_bytes > 0);
    watch_some(&afk, "working");

    afk.write("go", "");
    assert_eq!(afk.watch_until_over().state().as_deref(), Some("done"));
    assert_eq!(afk.agent_of_run().turns, 1);
}

#[test]
fn a_thread_is_put_away_after_its_run_where_the_policy_says_so() {
    let afk = Installation::armed()
        .agent("right")
        .hasty()
        .policy(&[("executor     = \"toy\"", "executor     = \"toy\"\narchive      = true")]);
    afk.dispatch();
    afk.watch_until_over();
    let (started, thread) = (Instant::now(), afk.agent_of_run().run);
    while !afk.runner.is_archived(&thread) {
        assert!(started.elapsed() < afk.runner.patience(), "it is not put away");
        assert_eq!(afk.watch().code, Some(0));
    }

    assert_eq!(afk.runner.sent("thread.archive"), 1);
    for _ in 0..2 {
        assert_eq!(afk.watch().code, Some(0));
    }
    assert_eq!(afk.poll().code, Some(0));
}

#[test]
fn a_token_that_counts_no_more_in_mid_run_is_said_so_and_the_run_goes_on_with_another() {
    let afk = Installation::armed().agent("waits").hasty();
    afk.dispatch();
    afk.runner.token_counts(false);

    for command in ["watch", "poll"] {
        let ran = afk.afk(&[command]);
        assert_eq!(ran.code, Some(3), "{ran}");
        let said = ran.to_string();
        assert!(said.contains("token") && said.contains("t3 auth session issue"), "{ran}");
    }
    assert_eq!(afk.issue(1).state().as_deref(), Some("working"));

    afk.runner.token_counts(true);
    afk.write("go", "");
    assert_eq!(afk.watch_until_over().state().as_deref(), Some("done"));
    assert_eq!(afk.invocations().len(), 1);
}

#[test]
fn a_run_that_afk_forgot_is_followed_to_its_end() {
    let afk = Installation::armed().agent("waits").hasty();
    afk.dispatch();
    let run = afk.agent_of_run().run;
    fs::remove_file(afk.path(format!("data/t3/toy/runs/{run}/run.json"))).unwrap();
    assert_eq!(afk.watch().code, Some(0));

    afk.write("go", "");
    assert_eq!(afk.watch_until_over().state().as_deref(), Some("done"));
    assert_eq!((afk.agents().len(), afk.invocations().len()), (1, 1));
}
