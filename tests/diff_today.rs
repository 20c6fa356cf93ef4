//! `afk diff-policy --over` and `--live`: which of today's issues and runs two policies decide differently.

#[path = "support/local.rs"]
mod local;

use std::fs;

use local::Installation;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

/// An installation with one run at work, one issue behind it and one that a stranger armed; and its snapshot.
fn today() -> (Installation, Value) {
    let afk = Installation::new();
    afk.armed(1);
    afk.poll();
    afk.look_until("1", "agent running");
    afk.armed(2);
    afk.issue(
        3,
        "held",
        &format!("{}{}", local::event("ada", "labeled", "ready-for-agent"), local::event("ada", "labeled", "paused")),
        "",
    );
    let said = afk.afk(&["poll", "--dry-run", "--format", "json"]);
    fs::write(afk.path("snapshot.json"), &said.stdout).unwrap();
    let snapshot = serde_json::from_str(&said.stdout).unwrap();
    fs::copy(afk.path("policies/afk.toml"), afk.path("policies/before.toml")).unwrap();
    (afk, snapshot)
}

fn over(afk: &Installation, arguments: &[&str]) -> Value {
    let arguments = [&["diff-policy", "policies/before.toml", "--format", "json"], arguments].concat();
    let said = afk.afk(&arguments);
    serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", said.stdout, said.stderr))
}

#[test]
fn todays_issues_and_runs_are_decided_by_both() {
    let (afk, snapshot) = today();
    assert_eq!(snapshot["in_flight"], json!(["greeter"]));
    assert_eq!(snapshot["runs"][0]["state"], json!("working"));
    let same = over(&afk, &["--over", "snapshot.json"]);
    assert_eq!((&same["today"]["issues"], &same["today"]["runs"]), (&json!([]), &json!([])));
    assert_eq!((&same["today"]["issues_read"], &same["today"]["runs_read"]), (&json!(3), &json!(1)));

    // The run is older than the limit now, and there is a slot for another.
    afk.policy("run_timeout          = \"24h\"", "run_timeout          = \"1h\"");
    afk.policy("slots_per_repo = 1", "slots_per_repo = 2");
    let mut older = snapshot.clone();
    *older.pointer_mut("/runs/0/facts/age").unwrap() = json!("2h");
    fs::write(afk.path("snapshot.json"), older.to_string()).unwrap();
    let changed = over(&afk, &["--over", "snapshot.json"]);
    assert_eq!(changed["today"]["issues"][0]["issue"], json!("greeter#2"), "{changed}");
    assert_eq!(changed["today"]["issues"][0]["before"], json!("denied: repo-lock"));
    assert_eq!(changed["today"]["issues"][0]["after"], json!("goes next, unless a fact not read yet denies it"));
    assert_eq!(changed["today"]["runs"][0]["issue"], json!("greeter#1"), "{changed}");
    assert_eq!(changed["today"]["runs"][0]["before"], json!("working: waits"));
    assert_eq!(changed["today"]["runs"][0]["after"], json!("working: overdue → frozen"));
    // What is read now is what the new policy wants to know.
    let live = over(&afk, &["--live"]);
    assert_eq!(live["today"]["issues"][0]["issue"], json!("greeter#2"), "{live}");
    assert_eq!(live["today"]["issues"][0]["after"], json!("dispatched (as number 1)"));
    assert_eq!((&live["today"]["runs"], &live["today"]["runs_read"]), (&json!([]), &json!(1)));

    let said = afk.afk(&["diff-policy", "policies/before.toml", "--over", "snapshot.json", "--format", "markdown"]);
    assert!(said.stdout.contains("| `greeter#1` | working: waits | working: overdue → frozen |"), "{}", said.stdout);
    assert!(said.stdout.contains("<details><summary>Full traces of the"), "{}", said.stdout);
}

#[test]
fn the_installation_of_today_may_be_named_from_anywhere() {
    let (afk, _) = today();
    afk.policy("slots_per_repo = 1", "slots_per_repo = 2");
    let elsewhere = tempfile::tempdir().unwrap();
    let path = |name| afk.path(name).display().to_string();
    let (before, after, settings) =
        (path("policies/before.toml"), path("policies/afk.toml"), path("afk.settings.toml"));
    let arguments = ["diff-policy", &before, "--policy", &after, "--live", "--settings", &settings];
    let said = afk.afk_in(elsewhere.path(), &arguments);
    assert!(said.stdout.contains("today    greeter#2  "), "{}{}", said.stdout, said.stderr);
    let said = afk.afk(&["diff-policy", "policies/before.toml", "--live", "--settings", "nowhere.toml"]);
    assert_eq!((said.code, said.stderr.contains("nowhere.toml")), (4, true), "{}", said.stderr);
}

#[test]
fn a_snapshot_is_not_believed() {
    let (afk, snapshot) = today();
    let change = |path: &str, value: Value| {
        let mut snapshot = snapshot.clone();
        *snapshot.pointer_mut(path).unwrap() = value;
        snapshot.to_string()
    };
    let without = |key: &str| {
        let mut snapshot = snapshot.clone();
        snapshot.as_object_mut().unwrap().remove(key);
        snapshot.to_string()
    };
    for (text, said) in [
        ("no json".to_owned(), "not JSON"),
        ("[]".to_owned(), "it is not an object"),
        (without("runs"), "it has no `runs`"),
        (without("in_flight"), "it has no `in_flight`"),
        (change("/issues/0/facts/trusted", json!("yes")), "issue 1: fact `trusted` is no bool"),
        (change("/issues/1/facts/age", json!(7)), "issue 2: fact `age` is no duration"),
        (change("/issues/0/facts/repo", json!("a/b/c")), "`a/b/c` is not a repository"),
        (change("/issues/0/armed_at", json!("soon")), "`armed_at` is not a time"),
        (change("/runs/0/facts/agent", json!("asleep")), "run 1: fact `agent` is no enum"),
        (change("/runs/0/facts/told", json!({ "value": null, "why": "x" })), "fact `told` has no value"),
    ] {
        fs::write(afk.path("snapshot.json"), text).unwrap();
        let ran = afk.afk(&["diff-policy", "policies/before.toml", "--over", "snapshot.json"]);
        assert_eq!(ran.code, 4, "{said}: {}", ran.stdout);
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
    let hostile = change("/issues/2/facts/labels", json!(["ready-for-agent", "paused", "@all | <b> ``` \u{1b}[31m"]));
    let mut state = snapshot.clone();
    state["runs"][0]["state"] = json!("` @all #1 acme/app#2 https://evil.example <b> |");
    state["runs"][0]["facts"]["age"] = json!("2h");
    let state = state.to_string();
    let off = json!({ "switched_off": "` @all #1 acme/app#2 https://evil.example <b> |" }).to_string();
    afk.policy("\"$labels.human\", \"$labels.paused\"", "\"$labels.human\"");
    afk.policy("run_timeout          = \"24h\"", "run_timeout          = \"1h\"");
    for snapshot in [hostile, state, off] {
        fs::write(afk.path("snapshot.json"), &snapshot).unwrap();
        let ran = afk.afk(&["diff-policy", "policies/before.toml", "--over", "snapshot.json", "--format", "markdown"]);
        assert!(ran.stdout.contains("**Today**"), "{}{}", ran.stdout, ran.stderr);
        assert!(!snapshot.contains("https:") || ran.stdout.contains("`https://evil.example`"), "{}", ran.stdout);
        let mut prose = ran.stdout.lines().filter(|line| line.contains("**") || line.starts_with("| `"));
        assert!(
            prose.all(|line| line.split('`').step_by(2).all(|prose| !prose.contains(['@', '#', '<', '/']))),
            "{}",
            ran.stdout
        );
        assert!(!ran.stdout.contains(['@', '\u{1b}']) && !ran.stdout.contains("<b>"), "{}", ran.stdout);
    }
}

// What was read under one policy is no answer to the other.

fn told<'v>(document: &'v Value, list: &str, issue: &str) -> Option<&'v Value> {
    document["today"][list].as_array().unwrap().iter().find(|one| one["issue"] == json!(issue))
}

/// A snapshot with one issue that nothing holds back, every fact of it read, and nothing in flight.
fn free(afk: &Installation, snapshot: &Value, facts: &[(&str, Value)]) {
    let mut snapshot = snapshot.clone();
    snapshot["in_flight"] = json!([]);
    let issue = snapshot["issues"].as_array().unwrap().iter().find(|one| one["facts"]["number"] == json!(2)).unwrap();
    let mut issue = issue.clone();
    for (fact, value) in [
        ("armed_by", json!("ada")),
        ("trusted", json!(true)),
        ("has_run", json!(false)),
        ("already_run", json!(false)),
        ("edited_since_armed", json!(false)),
        ("open_blockers", json!([])),
    ] {
        issue["facts"][fact] = value;
    }
    for (fact, value) in facts {
        issue["facts"][*fact] = value.clone();
    }
    snapshot["issues"] = json!([issue]);
    fs::write(afk.path("snapshot.json"), snapshot.to_string()).unwrap();
}

#[test]
fn trust_of_the_old_policy_is_not_taken_for_trust_of_the_new() {
    let (afk, snapshot) = today();
    free(&afk, &snapshot, &[("trusted", json!(true))]);
    afk.policy("permissions = [\"admin\", \"maintain\", \"write\"]", "permissions = [\"admin\"]");
    let said = over(&afk, &["--over", "snapshot.json"]);
    assert_eq!(said["today"]["issues"], json!([]));
    assert_eq!(
        told(&said, "cannot_be_told", "greeter#2").unwrap()["why"],
        json!("hangs on `trusted`, established under the old `[trust]`")
    );
    let said = afk.afk(&["diff-policy", "policies/before.toml", "--over", "snapshot.json"]);
    assert!(!said.stdout.contains("none is decided differently"), "{}", said.stdout);
    assert!(said.stdout.contains("none is known to be decided differently; of 1 it cannot be told"), "{}", said.stdout);
    let said = afk.afk(&["diff-policy", "policies/before.toml", "--over", "snapshot.json", "--format", "markdown"]);
    assert!(said.stdout.contains("<summary>What cannot be told of today (1)</summary>"), "{}", said.stdout);
    assert!(!said.stdout.contains("no issue is decided differently"), "{}", said.stdout);
    // Whoever was not trusted is not where fewer are.
    free(&afk, &snapshot, &[("trusted", json!(false))]);
    assert_eq!(over(&afk, &["--over", "snapshot.json"])["today"]["cannot_be_told"], json!([]));
}

#[test]
fn a_login_that_is_trusted_now_is_known_from_the_snapshot() {
    let (afk, snapshot) = today();
    free(&afk, &snapshot, &[("trusted", json!(false)), ("armed_by", json!("mallory"))]);
    afk.policy("logins      = []", "logins      = [\"mallory\"]");
    let said = over(&afk, &["--over", "snapshot.json"]);
    let change = told(&said, "issues", "greeter#2").unwrap_or_else(|| panic!("{said}"));
    assert_eq!((&change["before"], &change["after"]), (&json!("denied: trust"), &json!("dispatched (as number 1)")));
}

#[test]
fn another_edit_window_leaves_open_whether_an_issue_was_edited() {
    let (afk, snapshot) = today();
    free(&afk, &snapshot, &[]);
    let window = fs::read_to_string(afk.path("policies/afk.toml")).unwrap();
    let window = window.lines().find(|line| line.starts_with("edit_window")).unwrap().to_owned();
    afk.policy(&window, "edit_window = \"9h\"");
    let said = over(&afk, &["--over", "snapshot.json"]);
    let why = told(&said, "cannot_be_told", "greeter#2").unwrap_or_else(|| panic!("{said}"));
    assert_eq!(why["why"], json!("hangs on `edited_since_armed`, established under the old `limits.edit_window`"));
}

#[test]
fn what_is_not_enrolled_is_not_dispatched_whatever_its_gates_say() {
    let (afk, snapshot) = today();
    free(&afk, &snapshot, &[]);
    afk.policy("denylist    = []", "denylist    = [\"greeter\"]");
    afk.policy("in = \"$allowlist\", not_in = \"$denylist\"", "in = \"$allowlist\"");
    afk.policy("slots_per_repo = 1", "slots_per_repo = 2");
    let waiver = "[[waivers]]\ninvariant = \"unlisted-dispatch\"\nreason = \"the denylist does it\"\n\n[actions] ";
    afk.policy("[actions] ", waiver);
    let said = over(&afk, &["--over", "snapshot.json"]);
    let change = told(&said, "issues", "greeter#2").unwrap_or_else(|| panic!("{said}"));
    assert_eq!(
        (&change["before"], &change["after"]),
        (&json!("dispatched (as number 1)"), &json!("denied: not enrolled"))
    );
    let explained = afk.afk(&["explain", "--issue", "greeter#2"]);
    let verdict = "NOT DISPATCHED: not enrolled: every gate lets it pass, but the denylist names `greeter`";
    assert!(explained.stdout.contains(verdict), "{}{}", explained.stdout, explained.stderr);
}

#[test]
fn what_could_not_be_read_of_an_issue_that_goes_is_mentioned() {
    let (afk, snapshot) = today();
    free(&afk, &snapshot, &[]);
    let mut snapshot: Value = serde_json::from_str(&fs::read_to_string(afk.path("snapshot.json")).unwrap()).unwrap();
    snapshot["problems"] = json!(["greeter#2: its events cannot be read", "greeter#3: nor can its"]);
    fs::write(afk.path("snapshot.json"), snapshot.to_string()).unwrap();
    afk.policy("logins      = []", "logins      = [\"mallory\"]");
    let said = over(&afk, &["--over", "snapshot.json"]);
    let unseen = json!(["not all could be read: greeter#2: its events cannot be read"]);
    assert_eq!(said["today"]["not_looked_at"], unseen, "{said}");
}

#[test]
fn a_new_gate_names_the_issues_that_wait_for_a_slot() {
    let (afk, _) = today();
    let gate =
        "[[gates]]\nname    = \"sized\"\nrequire = { labels = { has_any = [\"size/S\"] } }\nmessage = \"no\"\n\n";
    afk.policy("# ━━ 3.", &format!("{gate}# ━━ 3."));
    let said = over(&afk, &["--over", "snapshot.json"]);
    let change = told(&said, "issues", "greeter#2").unwrap_or_else(|| panic!("{said}"));
    assert_eq!(
        change["before"],
        json!("denied: repo-lock; once that is over: goes next, unless a fact not read yet denies it")
    );
    assert_eq!(change["after"], json!("denied: repo-lock; once that is over: denied: sized"));
    // What is held back by either is decided alike.
    assert_eq!(told(&said, "issues", "greeter#3"), None, "{said}");
}

#[test]
fn an_issue_that_hangs_on_a_fact_not_read_is_named() {
    let (afk, _) = today();
    afk.policy("require = { trusted = true }", "require = { any = [{ trusted = true }, { author_trusted = true }] }");
    let said = over(&afk, &["--over", "snapshot.json"]);
    let why = told(&said, "cannot_be_told", "greeter#2").unwrap_or_else(|| panic!("{said}"));
    assert_eq!(why["why"], json!("hangs on `trusted`, not read; `author_trusted`, not read"));
    assert_eq!(told(&said, "cannot_be_told", "greeter#3"), None, "{said}");
}

#[test]
fn a_run_hangs_on_what_another_ci_says() {
    let (afk, snapshot) = today();
    let mut pushed = snapshot.clone();
    pushed["runs"][0]["state"] = json!("verifying");
    for (fact, value) in [
        ("pushed", json!(true)),
        ("landed", json!(true)),
        ("agent", json!("idle")),
        ("quiet", json!("1h")),
        ("ci", json!("green")),
    ] {
        pushed["runs"][0]["facts"][fact] = value;
    }
    fs::write(afk.path("snapshot.json"), pushed.to_string()).unwrap();
    afk.policy("[protect]", "[[ci.stages]]\nname = \"lint\"\nsource = \"command\"\ncommand = \"lint\"\n\n[protect]");
    let said = over(&afk, &["--over", "snapshot.json"]);
    let why = told(&said, "cannot_be_told", "greeter#1").unwrap_or_else(|| panic!("{said}"));
    assert!(why["why"].as_str().unwrap().contains("`ci`, established under the old `[[ci.stages]]`"), "{said}");
}

#[test]
fn live_reads_what_is_armed_under_either_policy() {
    let (afk, _) = today();
    afk.issue(4, "other", &local::event("ada", "labeled", "agent"), "");
    afk.policy("ready       = \"ready-for-agent\"", "ready       = \"agent\"");
    let live = over(&afk, &["--live"]);
    assert_eq!(live["today"]["issues_read"], json!(4), "{live}");
    assert_eq!(told(&live, "issues", "greeter#2").unwrap()["after"], json!("not armed"), "{live}");
    assert_eq!(told(&live, "issues", "greeter#4").unwrap()["before"], json!("not armed"), "{live}");
    // A snapshot has only what the old policy saw, and that is said.
    let over = over(&afk, &["--over", "snapshot.json"]);
    assert_eq!(over["today"]["not_looked_at"], json!(["issues that carry only `agent` were not looked at"]), "{over}");
}

#[test]
fn a_snapshot_of_a_poll_that_was_switched_off_says_nothing_of_today() {
    let (afk, _) = today();
    afk.policy("run_timeout          = \"24h\"", "run_timeout          = \"1h\"");
    fs::write(afk.path("snapshot.json"), r#"{ "switched_off": "kill_switch is true" }"#).unwrap();
    let said = afk.afk(&["diff-policy", "policies/before.toml", "--over", "snapshot.json"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stdout.contains("TIGHTER  a run may take up to 1h (was 1d)"), "{}", said.stdout);
    let why = "today    not compared: the snapshot was taken while nothing was read: kill_switch is true\n";
    assert!(said.stdout.contains(why), "{}", said.stdout);
}

#[test]
fn a_snapshot_of_last_week_is_called_old() {
    let (afk, snapshot) = today();
    let mut old = snapshot.clone();
    old["at"] = json!("2020-01-01T00:00:00Z");
    for (snapshot, is_old) in [(old, true), (snapshot, false)] {
        fs::write(afk.path("snapshot.json"), snapshot.to_string()).unwrap();
        let said = afk.afk(&["diff-policy", "policies/before.toml", "--over", "snapshot.json"]);
        assert_eq!(said.stdout.contains("the snapshot is "), is_old, "{}", said.stdout);
    }
}
