//! What can happen only where issues are files that anybody on the machine can break, remove or write.

use std::fs;

use pretty_assertions::assert_eq;

use super::Installation;
use super::faults::only_the_other_repository_is_skipped;

const LOCK: &str = "agent-in-progress";

#[test]
fn a_repository_whose_issues_are_missing_is_skipped() {
    let afk = Installation::armed().agent("right").hasty().second_repository("aaa");
    fs::remove_dir(afk.path("aaa-issues")).unwrap();

    only_the_other_repository_is_skipped(&afk, "aaa-issues");
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
fn with_a_record_key_not_even_a_comment_in_the_name_of_afk_is_believed_unsigned() {
    let afk = Installation::armed().agent("wrong").hasty();
    afk.write("record.key", "a key of thirty-two characters!!\n");
    let afk = afk.settings(&[("[tracker]\n", "[identity]\nrecord_keys = [{ file = \"record.key\" }]\n\n[tracker]\n")]);
    afk.dispatch();
    let record = afk.path("issues/0001.comments/0001.md");
    let honest = std::fs::read_to_string(&record).unwrap();
    assert!(!honest.contains("unsigned"), "{honest}");
    afk.wait_until_quiet();
    afk.watch();
    afk.wait_until_quiet();

    // The agent can write the file, as anybody can on one machine; the key is out of its sight.
    let verifying = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, verifying.replace("\"decisions\":0", "\"decisions\":0,\"outcome\":\"success\"")).unwrap();
    let ran = afk.watch();
    let issue = afk.issue(1);
    assert!(issue.open, "{ran} {issue:#?}");
    assert!(issue.has(LOCK), "a record that does not count releases nothing: {ran} {issue:#?}");
}
