//! By which policy something was decided can be told afterwards: its revision is everywhere.

#[path = "support/local.rs"]
mod local;

use std::fs;

use local::{Installation, PUSHES_NOTHING};
use pretty_assertions::assert_eq;
use serde_json::Value;

fn revision(afk: &Installation) -> String {
    let checked = afk.afk(&["check-policy", "--format", "json"]);
    let document: Value = serde_json::from_str(&checked.stdout).expect("JSON");
    document["revision"].as_str().expect("a revision").to_owned()
}

/// A tick with all that it says; every line of its log names the revision.
fn tick(afk: &Installation, kind: &str, revision: &str) -> Value {
    let ran = afk.afk(&["-vv", "--log-format", "json", kind, "--format", "json"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let lines: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with('{')).collect();
    assert!(lines.iter().any(|line| line.contains("tick is over")), "{}", ran.stderr);
    for line in lines {
        let logged: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(logged["span"]["revision"], revision, "{line}");
    }
    serde_json::from_str(&ran.stdout).expect("JSON")
}

#[test]
fn every_decision_record_and_line_of_the_log_names_the_revision_of_the_policy() {
    let afk = Installation::new();
    afk.agent(PUSHES_NOTHING);
    afk.armed(1);
    let first = revision(&afk);
    let comment = || {
        let entry = fs::read_dir(afk.path("issues/0001.comments")).expect("comments").next().expect("a comment");
        fs::read_to_string(entry.expect("an entry").path()).expect("a text")
    };

    assert_eq!(tick(&afk, "poll", &first)["revision"], first);
    assert!(comment().contains(&format!("\"revision\":\"{first}\"")), "{}", comment());
    assert!(comment().contains(&format!("policy {}</sub>", &first[..8])), "{}", comment());
    assert_eq!(tick(&afk, "watch", &first)["revision"], first);
    assert_eq!(afk.explained("1")["revision"], first);

    // Another prompt is another revision, and today's policy drives the run.
    fs::write(afk.path("policies/prompts/implement.md"), "Resolve {{ ref }}.").expect("a prompt");
    let second = revision(&afk);
    assert_ne!(first, second);
    assert_eq!(tick(&afk, "watch", &second)["revision"], second);
    assert!(comment().contains(&format!("\"revision\":\"{second}\"")), "{}", comment());
    for beat in ["data/heartbeat-poll.json", "data/heartbeat-watch.json"] {
        let beat: Value = serde_json::from_str(&fs::read_to_string(afk.path(beat)).expect("a file")).expect("JSON");
        assert!([&first, &second].iter().any(|revision| beat["revision"] == **revision), "{beat}");
    }
}
