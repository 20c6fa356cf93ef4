//! afk and a server of T3 Code that refuses commands, never answers, or takes the token for too little.

use pretty_assertions::assert_eq;
use serde_json::json;

use super::Installation;
use super::t3_lost::{dispatch_in_the_end, was_lived_once};
use crate::t3_fake::{Exchange, Fault, Generation, READ_ONLY, Trouble};

fn commands(log: &[Exchange], kind: &str) -> usize {
    log.iter().filter(|exchange| exchange.command.as_deref() == Some(kind)).count()
}

#[test]
fn a_command_that_was_refused_once_is_asked_for_under_another_id() {
    for what in ["project.create", "thread.create", "thread.turn.start"] {
        let afk = Installation::armed().agent("right").hasty();
        afk.runner.fake.trouble(Trouble::next(Fault::Refused, what));
        dispatch_in_the_end(&afk);
        was_lived_once(&afk, 1, what);
    }
}

#[test]
fn a_corrective_turn_that_was_refused_once_is_asked_for_under_another_id() {
    let afk = Installation::armed().agent("red_then_right").hasty();
    afk.dispatch();
    afk.runner.fake.trouble(Trouble::next(Fault::Refused, "thread.turn.start"));
    was_lived_once(&afk, 2, "thread.turn.start");
}

#[test]
fn an_interrupt_that_was_refused_once_is_asked_for_again() {
    let impatient = ("stall_timeout        = \"2m\"", "stall_timeout        = \"1s\"");
    let afk = Installation::armed().agent("hangs").hasty().policy(&[impatient]);
    afk.dispatch();
    afk.runner.fake.trouble(Trouble::next(Fault::Refused, "thread.turn.interrupt"));
    assert_eq!(afk.watch_until_over().state().as_deref(), Some("needs-human"));
    assert!(!afk.agent_of_run().live);
}

#[test]
fn a_thread_that_could_not_be_put_away_is_named_and_holds_nothing_back() {
    for (fault, put_away) in [(Fault::LostBefore, false), (Fault::LostAfter, true), (Fault::Refused, false)] {
        let afk = Installation::armed()
            .agent("idle")
            .hasty()
            .policy(&[("executor     = \"toy\"", "executor     = \"toy\"\narchive      = true")]);
        afk.dispatch();
        afk.wait_until_quiet();
        afk.runner.fake.trouble(Trouble::next(fault.clone(), "thread.archive"));
        let mut said = String::new();
        while afk.issue(1).has("agent-in-progress") {
            said = afk.watch().to_string();
        }

        assert!(said.contains("its agent's session was not put away"), "{fault:?}: {said}");
        assert_eq!(afk.issue(1).state().as_deref(), Some("needs-human"), "{fault:?}");
        assert_eq!(afk.runner.fake.state().threads[0].archived_at.is_some(), put_away, "{fault:?}");
        for command in ["watch", "poll"] {
            let ran = afk.afk(&[command]);
            assert_eq!(ran.code, Some(0), "{fault:?}: {ran}");
        }
    }
}

#[test]
fn one_listing_serves_any_number_of_runs() {
    let mut counts = Vec::new();
    for runs in [1_u64, 3] {
        let afk = Installation::armed().agent("waits").policy(&[("slots_per_repo = 1", "slots_per_repo = 3")]);
        for number in 2..=runs {
            afk.write_issue(number, "Another one", "Greet ada by name.");
            afk.arm(number, "ada");
        }
        afk.dispatch();
        afk.wait_until("at work", || afk.agents().iter().filter(|agent| agent.turns == 1).count() as u64 == runs);
        afk.watch();
        afk.runner.fake.take_log();
        assert_eq!(afk.watch().code, Some(0));
        let log = afk.runner.fake.take_log();
        let listings = log.iter().filter(|exchange| exchange.path.starts_with("/api/orchestration/"));
        let listings: Vec<&str> = listings.map(|exchange| exchange.path.as_str()).collect();
        if afk.runner.fake.state().generation == Generation::Main {
            assert_eq!(listings, ["/api/orchestration/shell"]);
        } else {
            // It is asked each time whether it can do better by now.
            assert_eq!(listings, ["/api/orchestration/shell", "/api/orchestration/snapshot"]);
        }
        counts.push(log.len());
        afk.write("go", "");
    }
    assert_eq!(counts[0], counts[1], "more runs, more requests");
}

#[test]
fn a_token_that_may_only_read_starts_nothing_and_the_missing_scope_is_named() {
    let afk = Installation::armed().variable("AFK_T3_TOKEN", READ_ONLY);
    let ran = afk.poll();
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.to_string().contains("`orchestration:operate`"), "{ran}");
    assert_eq!((afk.agents().len(), afk.issue(1).labels.len()), (0, 1));
}

#[test]
fn a_server_that_never_answers_is_waited_for_no_longer_than_the_settings_say() {
    let afk = Installation::armed().settings(&[("data = \"data\"", "data = \"data\"\ncall_timeout = \"3s\"\n#")]);
    afk.runner.fake.trouble(Trouble::always(Fault::Silent, ""));
    let ran = afk.poll();
    assert_eq!(ran.code, Some(3), "{ran}");
    assert_eq!((afk.agents().len(), afk.issue(1).labels.len()), (0, 1));
}

#[test]
fn a_project_that_a_person_deleted_is_made_anew() {
    let afk = Installation::armed().agent("right").hasty();
    afk.dispatch();
    afk.watch_until_over();
    let project = afk.runner.fake.state().projects[0].id.clone();
    let delete = json!({ "type": "project.delete", "commandId": "ui", "projectId": project, "force": true });
    assert_eq!(afk.runner.fake.person(&delete), 200);

    afk.write_issue(2, "The next one", "Greet ada by name.");
    afk.arm(2, "ada");
    afk.dispatch();
    afk.wait_until_quiet();
    afk.watch_until("free", |_| !afk.issue(2).has("agent-in-progress"));
    assert_eq!(afk.issue(2).state().as_deref(), Some("done"));
    assert_eq!(afk.runner.fake.state().projects.len(), 2);
}

#[test]
fn a_project_that_a_person_made_for_the_same_root_is_used() {
    let afk = Installation::armed().agent("right").hasty();
    // The checkout is there once afk has tried.
    afk.runner.fake.trouble(Trouble::next(Fault::LostBefore, "project.create"));
    assert_eq!(afk.poll().code, Some(3));
    let log = afk.runner.fake.take_log();
    assert_eq!(commands(&log, "project.create"), 1);
    let asked =
        log.into_iter().find_map(|exchange| exchange.body.filter(|body| body["type"] == "project.create")).unwrap();
    let mut mine = asked.clone();
    (mine["projectId"], mine["commandId"]) = (json!("of-a-person"), json!("ui"));
    assert_eq!(afk.runner.fake.person(&mine), 200);

    dispatch_in_the_end(&afk);
    afk.watch_until_over();
    assert_eq!(afk.runner.fake.state().projects.len(), 1);
    assert_eq!(afk.runner.fake.state().threads[0].project, "of-a-person");
}
