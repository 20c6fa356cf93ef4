//! `afk status`, asked of a real installation.

#[path = "support/local.rs"]
mod local;

use std::fs;

use insta::assert_snapshot;
use local::{Installation, PUSHES_NOTHING, event, filtered};
use pretty_assertions::assert_eq;
use serde_json::Value;

fn status(afk: &Installation) -> Value {
    let said = afk.afk(&["status", "--format", "json"]);
    serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", said.stdout, said.stderr))
}

#[test]
fn before_the_first_tick_there_is_a_queue_and_nothing_else() {
    let afk = Installation::new();
    afk.armed(2);
    afk.issue(1, "untrusted", &event("mallory", "labeled", "ready-for-agent"), "");
    afk.issue(
        3,
        "urgent",
        &format!("{}{}", event("ada", "labeled", "ready-for-agent"), event("ada", "labeled", "priority:1")),
        "",
    );
    let said = afk.afk(&["status"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    filtered(&afk, || {
        assert_snapshot!(said.stdout, @r#"
        policy  policies/afk.toml, revision [revision], on · allowlist greeter (1 repository)
        last poll  never · last watch never

        RUNS (0 of 8)

        QUEUE (3 armed)
          1  greeter#3  urgent  priority 1  goes next
          -  greeter#1  untrusted  priority 100  waits: behind greeter#3 (5 gates not read yet)
          -  greeter#2  issue 2  priority 100  waits: behind greeter#3 (5 gates not read yet)

        WAITING FOR YOU (0)
        "#)
    });
}

#[test]
fn a_run_shows_what_it_waits_for_and_until_when_and_who_waits_behind_it() {
    let afk = Installation::new();
    afk.armed(1);
    afk.armed(2);
    afk.poll();
    afk.look_until("1", "agent running");
    let said = afk.afk(&["status"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    filtered(&afk, || {
        assert_snapshot!(said.stdout, @r#"
        policy  policies/afk.toml, revision [revision], on · allowlist greeter (1 repository)
        last poll  [time] ok, [some] calls · last watch never

        RUNS (1 of 8)
            issue  title  run  state  since  waiting for  next by itself  agent
            greeter#1  issue 1  [run]  working  [time]  Agent at work, nothing pushed yet  overdue [time]  running, quiet [long]

        QUEUE (1 armed)
          -  greeter#2  issue 2  priority 100  repo-lock: 1 of 1 slots of greeter are taken

        WAITING FOR YOU (0)
        "#)
    });

    afk.policy("kill_switch = false", "kill_switch = true");
    let off = afk.afk(&["status"]);
    assert_eq!(off.code, 0, "{}", off.stderr);
    let first: Vec<&str> = off.stdout.lines().take(3).collect();
    assert!(first[0].contains("off: kill_switch is true (policies/afk.toml, line 7)"), "{first:?}");
    assert!(first[2].contains("nothing is dispatched and no turn is sent"), "{first:?}");
    assert!(off.stdout.contains("  working  "), "{}", off.stdout);
}

#[test]
fn what_a_person_has_to_look_at_is_listed_until_the_label_is_taken_off() {
    let afk = Installation::new();
    afk.agent(PUSHES_NOTHING);
    afk.armed(1);
    afk.issue(2, "put there by hand", &event("ada", "labeled", "ready-for-human"), "");
    afk.poll();
    afk.watch_until("1", "NEEDS-HUMAN");
    filtered(&afk, || {
        assert_snapshot!(afk.afk(&["status"]).stdout, @r"
    policy  policies/afk.toml, revision [revision], on · allowlist greeter (1 repository)
    last poll  [time] ok, [some] calls · last watch [time] ok, [some] calls

    RUNS (0 of 8)

    QUEUE (0 armed)

    WAITING FOR YOU (2)
      greeter#1  needs-human  since [time]  the agent ended (idle) and pushed nothing
      greeter#2  -  -  put there by hand
    ")
    });
    afk.happens(1, "ada", "unlabeled", "ready-for-human");
    let waiting = &status(&afk)["waiting_for_you"];
    assert_eq!(waiting.as_array().map(Vec::len), Some(1), "{waiting}");
}

#[test]
fn an_executor_that_cannot_be_asked_is_a_problem_and_every_run_is_still_shown() {
    let afk = Installation::new();
    afk.armed(1);
    afk.poll();
    afk.look_until("1", "agent running");
    fs::rename(afk.path("data/runs"), afk.path("data/elsewhere")).expect("the runs");
    fs::write(afk.path("data/runs"), "not a folder").expect("a file");
    let said = afk.afk(&["status"]);
    assert_eq!(said.code, 3, "{}", said.stdout);
    assert!(
        said.stdout.contains("  working  ") && said.stdout.contains("1 problem:\n  executor `toy`: "),
        "{}",
        said.stdout
    );
    assert_eq!(status(&afk)["runs"][0]["facts"]["agent"], "unknown");
    fs::remove_file(afk.path("data/runs")).expect("a file");
    fs::rename(afk.path("data/elsewhere"), afk.path("data/runs")).expect("the runs");
}

#[test]
fn an_agent_that_does_not_end_is_stuck_and_a_person_is_told_what_to_say() {
    let afk = Installation::new();
    afk.agent("#!/bin/sh\ntrap '' TERM\ncat >/dev/null\nwhile :; do sleep 0.1; done\n");
    afk.settings("output      = \"text\"", "output      = \"text\"\ngrace       = \"20s\"");
    afk.policy("effect_timeout       = \"1m\"", "effect_timeout       = \"1s\"");
    afk.armed(1);
    afk.poll();
    afk.look_until("1", "agent running");
    afk.happens(1, "ada", "unlabeled", "ready-for-agent");
    afk.watch();
    afk.look_until("1", "if you know that it is gone: afk abandon");
    let said = afk.afk(&["status"]);
    assert_eq!(said.code, 3, "{}", said.stdout);
    let run = status(&afk)["runs"][0].clone();
    assert_eq!((&run["standing"], &run["stuck"]), (&Value::from("ending"), &Value::from(true)));
    assert!(said.stdout.contains(&format!("afk abandon {}", run["run"].as_str().expect("a run"))), "{}", said.stdout);
}

#[test]
fn a_broken_policy_is_shown_with_its_findings() {
    let afk = Installation::new();
    afk.policy("version = 1", "version = 99");
    let said = afk.afk(&["status", "--format", "json"]);
    assert_eq!(said.code, 1);
    let document: Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!(document["findings"][0]["code"], "unsupported-version");
}

#[test]
fn a_broken_policy_hides_no_agent_that_is_at_work() {
    let afk = Installation::new();
    afk.armed(1);
    afk.poll();
    afk.look_until("1", "agent running");
    let run = status(&afk)["runs"][0]["run"].as_str().expect("a run").to_owned();
    afk.policy("version = 1", "version = 99");
    let said = afk.afk(&["status"]);
    assert_eq!(said.code, 1);
    assert!(
        said.stdout.contains(&format!("greeter#1: agent of run {run} is running, and nobody follows it")),
        "{}",
        said.stdout
    );
    assert_eq!(status(&afk)["agents"][0]["run"], Value::from(run));
}

#[test]
fn that_afk_stop_ended_an_agent_is_told_wherever_people_look_also_once_it_is_taken_back() {
    let afk = Installation::new();
    afk.agent("#!/bin/sh\ntrap '' TERM\ncat >/dev/null\nfor turn in 1 2 3 4 5 6 7 8 9 10; do sleep 0.3; done\n");
    afk.settings("output      = \"text\"", "output      = \"text\"\ngrace       = \"20s\"");
    afk.armed(1);
    afk.poll();
    afk.look_until("1", "agent running");
    assert!(afk.afk(&["stop"]).stdout.contains("was asked to end"));
    let asked = afk.afk(&["status"]).stdout;
    assert!(asked.contains("running, asked to end"), "{asked}");
    assert!(afk.explain("1").stdout.contains("`afk stop` asked its agent to end, "));

    assert!(afk.afk(&["stop", "--undo"]).stdout.starts_with("the stop is taken back"));
    assert!(afk.afk(&["stop", "--undo"]).stdout.starts_with("no `afk stop` is in force"));
    let ended = afk.watch_until("1", "NEEDS-HUMAN");
    assert!(ended.contains("; `afk stop` ended it"), "{ended}");
    assert!(ended.contains("\n`afk stop` ended its agent, "), "{ended}");
    let waiting = status(&afk)["waiting_for_you"][0]["reason"].as_str().expect("a reason").to_owned();
    assert!(waiting.ends_with("; `afk stop` ended it"), "{waiting}");
    let comments: String = fs::read_dir(afk.path("issues/0001.comments"))
        .expect("comments")
        .map(|comment| fs::read_to_string(comment.expect("a comment").path()).expect("a comment"))
        .collect();
    assert!(comments.contains("If the work is fine as it is: close the issue."), "{comments}");
    assert!(
        comments.contains("see that neither `ready-for-human` nor `paused` is on, then put `ready-for-agent` on anew")
    );
}

#[test]
fn only_a_run_that_may_still_be_at_work_is_given_up() {
    let afk = Installation::new();
    afk.agent(PUSHES_NOTHING);
    afk.armed(1);
    afk.poll();
    let ended = afk.watch_until("1", "NEEDS-HUMAN");
    let run = ended.split_once("\nrun ").expect("a run").1.get(..36).expect("a whole id").to_owned();
    for (name, said) in [
        (run.as_str(), "has ended, and so has its agent"),
        (&run[..8], "has ended, and so has its agent"),
        (&run[..1], "too short"),
        ("01234567-89ab-5cde-8f01-23456789abcd", "there is no run"),
        ("zzzz", "there is no run"),
    ] {
        let refused = afk.afk(&["abandon", name]);
        assert_eq!(refused.code, 2, "{name}: {}{}", refused.stdout, refused.stderr);
        assert!(refused.stderr.contains(said), "{name}: {}", refused.stderr);
    }
    let stopped = afk.afk(&["stop", "--issue", "1"]);
    assert_eq!(stopped.code, 2, "{}{}", stopped.stdout, stopped.stderr);
}

#[test]
fn watching_draws_again_until_nobody_reads_any_more() {
    use std::io::{BufRead, BufReader};
    let afk = Installation::new();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_afk"))
        .args(["status", "--watch=1s"])
        .current_dir(afk.home.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("afk runs");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let drawn = lines.map_while(Result::ok).filter(|line| line.starts_with("policy")).take(2).count();
    assert_eq!(drawn, 2);
    // The pipe is closed now.
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}
