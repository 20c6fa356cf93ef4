//! What is missing, broken or in the way: the item fails alone, and the exit code tells.

use std::fs;

use pretty_assertions::assert_eq;

use crate::installation::Installation;

/// The quickstart's issue goes on; the other repository's trouble is named.
#[track_caller]
fn only_the_other_repository_is_skipped(afk: &Installation, trouble: &str) {
    let ran = afk.poll();
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stdout.contains(trouble), "{ran}");
    assert!(afk.issue(1).has("agent-in-progress"), "{ran}");
    let issue = afk.watch_until_over();
    assert_eq!(issue.state().as_deref(), Some("done"));
}

#[test]
fn a_repository_whose_git_is_broken_is_skipped_and_leaves_no_lock() {
    let afk = Installation::armed().agent("right").hasty().second_repository("aaa");
    afk.write_issue_of("aaa", 7, "Another one", "Greet ada by name.");
    afk.person_in("aaa", "ada").labels(7, "ready-for-agent");
    fs::remove_dir_all(afk.path("aaa.git")).unwrap();

    only_the_other_repository_is_skipped(&afk, "aaa#7");
    let issue = afk.issue_of("aaa", 7);
    assert_eq!((issue.labels.as_slice(), issue.comments.len()), (&["ready-for-agent".to_owned()][..], 0));
    assert_eq!(afk.agents().len(), 1, "nothing was begun for it");
}

#[test]
fn a_repository_whose_issues_are_missing_is_skipped() {
    let afk = Installation::armed().agent("right").hasty().second_repository("aaa");
    fs::remove_dir(afk.path("aaa-issues")).unwrap();

    only_the_other_repository_is_skipped(&afk, "aaa-issues");
}

#[test]
fn a_git_that_breaks_in_the_middle_of_a_run_closes_nothing_and_is_waited_for() {
    let afk = Installation::armed().agent("right").hasty();
    afk.dispatch();
    afk.wait_until_quiet();
    fs::rename(afk.path("greeter.git"), afk.path("elsewhere.git")).unwrap();

    for _ in 0..2 {
        let ran = afk.watch();
        assert!(ran.code == Some(3) && ran.stdout.contains("greeter"), "{ran}");
    }
    assert_eq!(afk.issue(1).state().as_deref(), Some("working"));
    assert!(afk.issue(1).open && afk.issue(1).has("agent-in-progress"));

    fs::rename(afk.path("elsewhere.git"), afk.path("greeter.git")).unwrap();
    assert_eq!(afk.watch_until_over().state().as_deref(), Some("done"));
}

#[test]
fn an_issue_file_that_makes_no_sense_is_skipped_beside_a_good_one() {
    let afk = Installation::armed().agent("right").hasty();
    afk.write("issues/0003.md", "+++\ntitle = \"unfinished\n");
    afk.write("issues/0004.md", "\u{0}\u{1b}[2J");

    let ran = afk.poll();
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stdout.contains("0003.md") && ran.stdout.contains("greeter#4"), "{ran}");
    assert!(!ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'), "{ran}");
    let issue = afk.watch_until_over();
    assert_eq!(issue.state().as_deref(), Some("done"));
}

#[test]
fn an_issue_file_that_breaks_in_the_middle_of_its_run_keeps_its_lock_until_it_is_mended() {
    let afk = Installation::armed().agent("right").hasty();
    afk.dispatch();
    afk.wait_until_quiet();
    let good = afk.read("issues/0001.md");
    afk.write("issues/0001.md", &good.replacen("title = ", "titel = ", 1));

    for _ in 0..2 {
        let ran = afk.watch();
        assert!(ran.code == Some(3) && ran.stdout.contains("0001.md"), "{ran}");
    }
    // Nor does another issue get the repository.
    afk.write_issue(2, "Another one", "Greet ada by name.");
    afk.arm(2, "ada");
    let ran = afk.poll();
    assert_eq!((ran.code, afk.agents().len()), (Some(3), 1), "{ran}");

    afk.write("issues/0001.md", &good);
    assert_eq!(afk.watch_until_over().state().as_deref(), Some("done"));
}

#[test]
fn an_executor_that_the_settings_do_not_have_takes_nothing_and_leaves_no_lock() {
    let afk = Installation::armed().policy(&[("executor     = \"toy\"", "executor     = \"toys\"")]);

    let ran = afk.poll();
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stdout.contains("the settings have no executor `toys`"), "{ran}");
    assert_eq!(afk.issue(1).labels, ["ready-for-agent"]);
    assert!(afk.agents().is_empty());
}

#[test]
fn an_executor_that_disappears_in_the_middle_of_a_run_is_no_reason_to_start_another_agent() {
    let afk = Installation::armed().agent("waits").hasty();
    afk.dispatch();
    let afk = afk
        .settings(&[("[executors.toy]", "[executors.toys]")])
        .policy(&[("executor     = \"toy\"", "executor     = \"toys\"")]);

    for _ in 0..2 {
        afk.watch();
        afk.poll();
    }
    assert_eq!(afk.invocations().len(), 1);
    afk.write("go", "");
}

#[test]
fn a_data_directory_that_cannot_be_written_to_ends_the_tick_before_it_does_anything() {
    let afk = Installation::armed();
    // A file in its place: permissions would not stop root.
    afk.write("data", "");

    for command in ["poll", "watch"] {
        let ran = afk.afk(&[command]);
        assert_eq!(ran.code, Some(4), "{ran}");
        assert!(ran.stderr.contains("data"), "{ran}");
    }
    assert_eq!(afk.issue(1).labels, ["ready-for-agent"]);
    assert!(afk.invocations().is_empty());
}

#[test]
fn settings_that_are_missing_are_an_error_that_says_what_to_do() {
    let afk = Installation::armed();
    fs::remove_file(afk.path("afk.settings.toml")).unwrap();
    for command in ["poll", "watch"] {
        let ran = afk.afk(&[command]);
        assert!(ran.code == Some(4) && ran.stderr.contains("afk.settings.toml"), "{ran}");
    }
}

#[test]
fn the_policy_that_ships_does_nothing_and_touches_nothing() {
    let afk = Installation::armed();
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    for file in ["afk.toml", "prompts/implement.md", "prompts/fix-forward.md"] {
        afk.write(&format!("policies/{file}"), &fs::read_to_string(shipped.join(file)).unwrap());
    }
    let before = afk.files();
    let issue = afk.read("issues/0001.md");

    let ran = afk.poll();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.contains("kill_switch is true"), "{ran}");
    assert_eq!(afk.files(), before);

    // It follows what is in flight, which is nothing; only its own data directory knows that it looked.
    let ran = afk.watch();
    assert_eq!(ran.code, Some(0), "{ran}");
    let data = afk.path("data");
    assert_eq!(afk.files().into_iter().filter(|file| !file.starts_with(&data)).collect::<Vec<_>>(), before);
    assert_eq!(afk.read("issues/0001.md"), issue);

    // Nor does it with the kill switch off: its allowlist is empty.
    let afk = afk.policy(&[("kill_switch = true", "kill_switch = false")]);
    let ran = afk.poll();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(afk.read("issues/0001.md"), issue);
    assert!(afk.agents().is_empty());
}

#[test]
fn a_dry_run_changes_nothing() {
    let afk = Installation::armed();
    let before = afk.files();
    let ran = afk.afk(&["poll", "--dry-run"]);
    assert!(ran.code == Some(0) && ran.stdout.contains("greeter#1"), "{ran}");
    assert_eq!(afk.files(), before);

    let afk = Installation::red_and_waiting_for_a_turn();
    let before = (afk.issue(1), afk.invocations());
    let ran = afk.afk(&["watch", "--dry-run"]);
    assert!(ran.code == Some(0) && ran.stdout.contains("fix-forward"), "{ran}");
    assert_eq!((afk.issue(1), afk.invocations()), before);
}
