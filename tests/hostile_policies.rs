//! A policy may be anything at all: every command that reads one says what is wrong with it, and none does anything.

#[path = "support/local.rs"]
mod local;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

use local::Installation;
use pretty_assertions::assert_eq;
use serde_json::Value;

const MEGABYTE: usize = 1024 * 1024;

/// What lies where the policy should, and the code that it is found by.
fn lay(afk: &Installation, what: &str) -> &'static str {
    let path = afk.path(&format!("policies/{what}.toml"));
    let (text, code): (Vec<u8>, _) = match what {
        "nothing" => return "unreadable",
        "folder" => {
            fs::create_dir(path).expect("a folder");
            return "unreadable";
        }
        "link" => {
            symlink(afk.path("policies/afk.toml"), path).expect("a link");
            return "unreadable";
        }
        "pipe" => {
            assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo runs").success());
            return "unreadable";
        }
        "more-than-a-megabyte" => (b"#".repeat(MEGABYTE + 1), "unreadable"),
        "no-utf-8" => (b"version = 1 # \xff\xfe\n".to_vec(), "unreadable"),
        "nul" => (b"version = 1\n\0\0\nkill_switch = true\0\n".to_vec(), "syntax"),
        "nesting" => ([b"x = ".to_vec(), b"[".repeat(MEGABYTE - 4)].concat(), "too-large"),
        "many-gates" => ([b"version = 1\n".to_vec(), b"[[gates]]\n".repeat(100_000)].concat(), "too-large"),
        "empty" => (Vec::new(), "missing-key"),
        other => panic!("{other}"),
    };
    fs::write(path, text).expect("a file");
    code
}

#[test]
fn every_command_that_reads_a_policy_names_what_is_wrong_with_it_and_does_nothing() {
    let afk = Installation::new();
    afk.armed(1);
    let issue = fs::read_to_string(afk.path("issues/0001.md")).expect("an issue");
    let good = "policies/afk.toml";
    for what in [
        "nothing",
        "folder",
        "link",
        "pipe",
        "more-than-a-megabyte",
        "no-utf-8",
        "nul",
        "nesting",
        "many-gates",
        "empty",
    ] {
        let code = lay(&afk, what);
        let bad = format!("policies/{what}.toml");
        for (command, speaks_json) in [
            (vec!["check-policy", &bad], true),
            (vec!["test-policy", "--policy", &bad], true),
            (vec!["diff-policy", &bad, good], true),
            (vec!["diff-policy", good, &bad], true),
            (vec!["explain", "--issue", "1", "--policy", &bad], true),
            (vec!["status", "--policy", &bad], true),
            (vec!["poll", "--policy", &bad], true),
            (vec!["watch", "--policy", &bad], true),
            (vec!["poll", "--dry-run", "--policy", &bad], true),
            (vec!["watch", "--dry-run", "--policy", &bad], true),
            (vec!["graph", "--policy", &bad], false),
            (vec!["graph", "--issue", "1", "--policy", &bad], false),
        ] {
            let started = Instant::now();
            let ran = afk.afk(&command);
            let said = format!("afk {}\n{}{}", command.join(" "), ran.stdout, ran.stderr);
            assert_eq!(ran.code, 1, "{said}");
            assert!(
                ran.stdout.contains(&format!("error[{code}]: "))
                    && ran.stdout.contains("help: ") | ran.stdout.contains('^'),
                "{said}"
            );
            assert!(started.elapsed() < Duration::from_secs(20), "{said}");
            if speaks_json {
                let ran = afk.afk(&[&command[..], &["--format", "json"]].concat());
                let document: Value = serde_json::from_str(&ran.stdout).expect(&said);
                let findings = document["findings"].as_array().expect(&said);
                assert!(findings.iter().any(|finding| finding["code"] == code), "{said}");
                assert_eq!(ran.code, 1, "{said}");
            }
        }
        let doctor = afk.afk(&["doctor", "--policy", &bad]);
        assert!(doctor.code == 1 && doctor.stdout.contains("policy     FAIL  "), "{what}: {}", doctor.stdout);
        let stop = afk.afk(&["stop", "--undo", "--policy", &bad]);
        assert_eq!(stop.code, 0, "{what}: {}", stop.stderr);
    }
    assert_eq!(fs::read_to_string(afk.path("issues/0001.md")).expect("an issue"), issue);
    assert!(!afk.path("data/runs").exists());
}
