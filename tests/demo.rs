//! `afk demo`, as a newcomer runs it: with the real binary, real git and real processes.

mod support;

use support::Test;

#[test]
fn the_demo_takes_one_issue_to_closed_and_refuses_the_other() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("demo");
    let ran = Test::new().args(["demo", "--fast", "--dir"]).args([directory.to_str().unwrap()]).run();
    assert_eq!(ran.code, 0, "{ran}");
    let mut rest = ran.stdout.as_str();
    for expected in [
        "greeter#1: dispatched",
        "working → verifying",
        "CI red",
        "verifying → fixing",
        "fixing → verifying",
        "CI green",
        "verifying → done",
        "greeter#2: not taken, trust",
        "Done.",
    ] {
        let (_, after) =
            rest.split_once(expected).unwrap_or_else(|| panic!("`{expected}` is missing or too early in\n{ran}"));
        rest = after;
    }
    assert!(ran.stderr.contains("[DONE] greeter#1 landed"), "{ran}");

    let issue = std::fs::read_to_string(directory.join("issues/0001.md")).unwrap();
    assert!(issue.contains("closed = \"completed\""), "{issue}");
    assert!(issue.contains("unlabeled = \"agent-in-progress\""), "{issue}");
    let other = std::fs::read_to_string(directory.join("issues/0002.md")).unwrap();
    assert!(!other.contains("by = \"afk\""), "{other}");
    let comments = std::fs::read_dir(directory.join("issues/0001.comments")).unwrap().count();
    assert_eq!(comments, 1, "one progress comment and no other");
}

#[test]
fn a_directory_that_holds_something_is_left_alone() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("mine"), "precious").unwrap();
    let ran = Test::new().args(["demo", "--fast", "--dir"]).args([place.path().to_str().unwrap()]).run();
    assert_eq!(ran.code, 4, "{ran}");
    assert!(ran.stderr.contains("is not empty"), "{ran}");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
}
