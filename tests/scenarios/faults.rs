//! What is missing, broken or in the way: the item fails alone, and the exit code tells.

use std::fs;

use pretty_assertions::assert_eq;

use super::Installation;

/// The quickstart's issue goes on; the other repository's trouble is named.
#[track_caller]
pub fn only_the_other_repository_is_skipped(afk: &Installation, trouble: &str) {
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
fn a_tick_that_takes_too_long_is_ended_and_the_next_one_does_what_is_left() {
    // One slow repository gets half of a tick.
    let afk = Installation::armed().second_repository("other");
    afk.write_issue_of("other", 1, "Say goodbye", "");
    afk.person_in("other", "ada").labels(1, "ready-for-agent");
    let slow = afk.git_before_the_real_one("while [ ! -e \"$(dirname \"$0\")/go\" ]; do sleep 0.1; done");
    let text = afk.read("afk.settings.toml");
    afk.write("afk.settings.toml", &format!("tick_deadline = \"2s\"\n{text}"));

    let ran = afk.afk_with(&["poll"], &[("PATH", &slow)]);
    assert!(ran.code == Some(4) && ran.stderr.contains("the tick ran into its deadline of 2 s"), "{ran}");
    assert_eq!(afk.issue(1).labels, ["ready-for-agent"]);
    assert!(afk.read("data/heartbeat-poll.json").contains("deadline"));

    afk.write("bin/go", "");
    afk.write("afk.settings.toml", &text);
    afk.dispatch();
    assert_eq!(afk.agents().len(), 2);
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
    let issue = afk.issue(1);

    let ran = afk.poll();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.contains("kill_switch is true"), "{ran}");
    assert_eq!(afk.files(), before);

    // It follows what is in flight, which is nothing; only its own data directory knows that it looked.
    let ran = afk.watch();
    assert_eq!(ran.code, Some(0), "{ran}");
    let data = afk.path("data");
    assert_eq!(afk.files().into_iter().filter(|file| !file.starts_with(&data)).collect::<Vec<_>>(), before);
    assert_eq!(afk.issue(1), issue);

    // Nor does it with the kill switch off: its allowlist is empty.
    let afk = afk.policy(&[("kill_switch = true", "kill_switch = false")]);
    let ran = afk.poll();
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(afk.issue(1), issue);
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

#[test]
fn a_record_that_is_lost_is_written_anew_and_forgets_no_correction() {
    let afk = Installation::armed().agent("wrong").hasty().policy(&[("attempts = 5", "attempts = 2")]);
    afk.dispatch();
    let mut lost = 0;
    let issue = afk.watch_until("over", |issue| {
        if issue.outcome().is_none() && !issue.comments.is_empty() && lost < 6 {
            afk.loses_comments(1);
            lost += 1;
        }
        afk.wait_until_quiet();
        issue.outcome().is_some() && !issue.has("agent-in-progress")
    });

    assert_eq!(lost, 6);
    assert_eq!(issue.state().as_deref(), Some("frozen"));
    assert_eq!((issue.attempts(), afk.invocations().len()), (2, 3), "the budget holds");
    assert!(issue.progress()[0].body.contains("was lost and written anew"), "{issue:#?}");
    assert_eq!(issue.progress().len(), 1);
}

/// A doorbell where nobody listens, beside the terminal.
fn with_a_dead_doorbell() -> (Installation, std::net::SocketAddr) {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let afk = Installation::armed()
        .agent("idle")
        .hasty()
        .settings(&[(
            "[doorbells.terminal]",
            "[doorbells.ops]\nkind = \"webhook\"\nurl = { variable = \"OPS_URL\" }\n\n[doorbells.terminal]",
        )])
        .variable("OPS_URL", format!("http://{address}/hook"));
    afk.dispatch();
    afk.wait_until_quiet();
    (afk, address)
}

#[test]
fn a_doorbell_that_is_down_holds_nothing_else_back_and_rings_once_it_is_up() {
    let (afk, address) = with_a_dead_doorbell();

    for _ in 0..2 {
        let ran = afk.watch();
        assert!(ran.code == Some(3) && ran.stdout.contains("doorbell `ops`"), "{ran}");
    }
    let issue = afk.issue(1);
    assert!(issue.has("ready-for-human") && issue.escalations().len() == 1, "{issue:#?}");
    assert_eq!(issue.outcome(), None, "not over while somebody is to be told");

    let listener = std::net::TcpListener::bind(address).unwrap();
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = vec![0; 64 * 1024];
        let length = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let issue = afk.watch_until_over();
    let request = server.join().unwrap();
    assert!(request.starts_with("POST /hook") && request.contains("greeter#1"), "{request}");
    assert_eq!((issue.state().as_deref(), issue.escalations().len()), (Some("needs-human"), 1));
    assert_eq!(afk.rings("needs-human"), 1, "the bell that rang does not ring again");
}

#[test]
fn a_doorbell_that_stays_down_is_given_up_and_that_is_said() {
    let (afk, _) = with_a_dead_doorbell();
    let afk = afk.policy(&[("effect_timeout       = \"1m\"", "effect_timeout       = \"1s\"")]);

    let issue = afk.watch_until_over();

    assert_eq!(issue.state().as_deref(), Some("needs-human"));
    assert!(issue.progress()[0].body.contains("Given up"), "{issue:#?}");
}
