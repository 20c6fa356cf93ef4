//! `afk stop` and `afk abandon`: a person's word counts, whatever else is broken.

#[path = "support/local.rs"]
mod local;

use std::fs;

use local::Installation;
use pretty_assertions::assert_eq;

/// An installation with an agent at work on issue 1, and the id of its run.
fn at_work() -> (Installation, String) {
    let afk = Installation::new();
    afk.armed(1);
    afk.poll();
    afk.look_until("1", "agent running");
    let run = afk.explained("1")["runs"][0]["run"].as_str().expect("a run").to_owned();
    (afk, run)
}

#[test]
fn an_agent_is_given_up_although_its_executor_cannot_be_asked_any_more() {
    let (afk, run) = at_work();
    fs::rename(afk.path("data/runs"), afk.path("data/elsewhere")).expect("the runs");
    fs::write(afk.path("data/runs"), "not a folder").expect("a file");
    afk.watch();
    assert_eq!(
        afk.explained("1")["runs"][0]["standing"],
        "active",
        "nothing is concluded from an executor out of reach"
    );

    // The record of the issue knows the run.
    let said = afk.afk(&["abandon", &run[..8]]);
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    assert!(said.stdout.starts_with("warning: executor `toy`: "), "{}", said.stdout);
    afk.watch_until("1", "NEEDS-HUMAN: Handed to a person before anything was pushed (the agent ended (gone)");
    assert_eq!(afk.explained("1")["answer"], "ended", "no lock is left");

    fs::remove_file(afk.path("data/runs")).expect("a file");
    fs::rename(afk.path("data/elsewhere"), afk.path("data/runs")).expect("the runs");
}

#[test]
fn an_agent_that_cannot_be_read_is_named_and_a_persons_word_releases_its_lock() {
    let (afk, run) = at_work();
    let manifest = afk.path(&format!("data/runs/{run}/manifest.json"));
    let written = fs::read(&manifest).expect("a manifest");
    fs::write(&manifest, "nonsense").expect("a file");
    afk.happens(1, "ada", "unlabeled", "ready-for-agent");
    afk.watch();
    assert_eq!(afk.explained("1")["answer"], "run", "its lock is left");

    let stopped = afk.afk(&["stop"]);
    assert_eq!(stopped.code, 3, "{}{}", stopped.stdout, stopped.stderr);
    assert!(stopped.stdout.contains(&format!("run {}: its agent cannot be asked: ", &run[..8])), "{}", stopped.stdout);
    let said = afk.afk(&["abandon", &run]);
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    afk.watch();
    afk.watch();
    assert_eq!(afk.explained("1")["answer"], "ended", "no lock is left");
    fs::write(&manifest, written).expect("the manifest");
    afk.afk(&["stop"]);
}

#[test]
fn a_stop_is_taken_back_once() {
    let afk = Installation::new();
    for (arguments, said) in [
        (&["stop", "--undo"] as &[&str], "no `afk stop` is in force"),
        (&["stop"], "stopped: no new runs and no further turns"),
        (&["stop", "--undo"], "the stop is taken back"),
        (&["stop", "--undo"], "no `afk stop` is in force"),
    ] {
        let ran = afk.afk(arguments);
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.starts_with(said), "{arguments:?}: {}", ran.stdout);
    }
}

#[test]
fn a_stop_counts_although_nobody_can_tell_whose_the_agents_are() {
    let (afk, _) = at_work();
    let identity = afk.path("data/installation.json");
    let written = fs::read(&identity).expect("an identity");
    fs::write(&identity, "nonsense").expect("a file");
    let stopped = afk.afk(&["stop"]);
    assert_eq!(stopped.code, 3, "{}{}", stopped.stdout, stopped.stderr);
    assert!(stopped.stdout.starts_with("stopped: no new runs"), "{}", stopped.stdout);
    assert!(stopped.stderr.contains("the agents at work were not asked to end: "), "{}", stopped.stderr);

    fs::write(&identity, written).expect("the identity");
    afk.watch();
    let ended = afk.explained("1");
    assert!(ended.to_string().contains("afk stop"), "{ended}");
    let again = afk.afk(&["stop"]);
    assert_eq!(again.code, 0, "{}{}", again.stdout, again.stderr);
}

#[test]
fn a_policy_that_cannot_be_used_stands_in_nobodys_way_who_wants_to_stop() {
    for all in [true, false] {
        let (afk, run) = at_work();
        afk.policy("version = 1", "verison = 1");
        let arguments: &[&str] = if all { &["stop"] } else { &["stop", "--issue", "greeter#1"] };
        let ran = afk.afk(arguments);
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains(&format!("agent {} was asked to end", &run[..8])), "{}", ran.stdout);
    }
}
