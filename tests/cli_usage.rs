//! The command line itself: help, exit codes, streams, colours.

mod support;

use std::io::Read;
use std::process::{Command, Stdio};

use insta::assert_snapshot;
use support::Test;

const COMMANDS: [&str; 17] = [
    "demo",
    "init",
    "doctor",
    "check-policy",
    "test-policy",
    "diff-policy",
    "explain",
    "status",
    "poll",
    "watch",
    "serve",
    "stop",
    "abandon",
    "graph",
    "facts",
    "schema",
    "completions",
];

#[test]
fn every_command_says_its_exit_codes_and_two_examples() {
    for command in COMMANDS {
        let ran = Test::new().args([command, "--help"]).run();
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{command}");
        let (_, footer) = ran.stdout.split_once("Exit codes:\n").expect(command);
        let (codes, examples) = footer.split_once("Examples:\n").expect(command);
        assert!(codes.lines().filter(|line| !line.is_empty()).all(|line| line.starts_with("  ")), "{command}: {codes}");
        assert!(codes.contains("\n  4  ") || ["facts", "schema", "completions"].contains(&command), "{command}");
        let examples: Vec<&str> = examples.lines().filter(|line| line.starts_with("  afk ")).collect();
        assert_eq!(examples.len(), 2, "{command}");
        assert!(examples.iter().all(|example| example.contains(command)), "{command}: {examples:?}");
    }
}

#[test]
fn what_afk_starts_itself_is_not_offered() {
    let ran = Test::new().args(["--help"]).run();
    for command in COMMANDS {
        assert!(ran.stdout.contains(&format!("\n  {command} ")), "{command}");
    }
    assert!(!ran.stdout.contains("supervise") && !ran.stdout.contains("ci-job"));
}

#[test]
fn a_wrong_command_line_is_2_and_helps() {
    assert_snapshot!(Test::new().args(["chek-policy"]).run(), @r"
    exit code 2
    --- stdout
    --- stderr
    error: unrecognized subcommand 'chek-policy'

      tip: some similar subcommands exist: 'diff-policy', 'test-policy', 'check-policy'

    Usage: afk [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
    assert_snapshot!(Test::new().args(["explain"]).run(), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: name an issue or a code
      help: write `afk explain --issue 42` or `afk explain --code dead-row`
    "#);
    assert_snapshot!(Test::new().args(["facts", "--format", "yaml"]).run(), @r"
    exit code 2
    --- stdout
    --- stderr
    error: invalid value 'yaml' for '--format <FORMAT>'
      [possible values: human, json]

    For more information, try '--help'.
    ");
}

#[test]
fn afk_alone_shows_its_help_and_is_2() {
    let ran = Test::new().run();
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("Usage: afk [OPTIONS] <COMMAND>"));
}

#[test]
fn colours_are_off_in_a_pipe_and_on_where_they_are_asked_for() {
    let shown = |arguments: &[&str], variable: Option<(&'static str, &str)>| {
        let test = Test::new().args(["explain", "--code", "syntax"]).args(arguments.to_vec());
        variable.into_iter().fold(test, |test, (name, value)| test.variable(name, value)).run().stdout
    };
    assert!(!shown(&[], None).contains('\x1b'));
    assert!(!shown(&["--color", "never"], None).contains('\x1b'));
    assert!(!shown(&[], Some(("NO_COLOR", "1"))).contains('\x1b'));
    assert!(shown(&["--color", "always"], None).contains("\x1b[1msyntax\x1b[0m"));
    // What is asked for in so many words beats a variable.
    assert!(shown(&["--color", "always"], Some(("NO_COLOR", "1"))).contains('\x1b'));
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_afk"))
        .arg("schema")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Closed before anything is read: the schema is larger than any pipe.
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_afk")).arg("schema").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @"error: the result could not be written: No space left on device (os error 28)");
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = Test::new().args(["completions", shell]).run();
        assert_eq!(ran.code, 0);
        for command in COMMANDS {
            assert!(ran.stdout.contains(command), "{shell}: {command}");
        }
        assert!(!ran.stdout.contains("supervise") && !ran.stdout.contains("ci-job"), "{shell}: what afk starts itself");
    }
}

#[test]
fn nothing_that_is_said_commands_the_runner_of_a_workflow() {
    let ran = Test::new().args(["demo", "--color", "always", "x\n ::stop-commands::y\n##[group]z"]).run();
    assert_eq!(ran.code, 2);
    let plain = anstream::adapter::strip_str(&ran.stderr).to_string();
    assert!(plain.contains("\n :\\u003astop-commands::y\n#\\u0023[group]z"), "{plain}");

    let ran = Test::new().args(["check-policy", "--policy", "x\n::stop-commands::y\n##[group]z"]).run();
    for said in [&ran.stdout, &ran.stderr] {
        assert!(!said.lines().any(|line| line.trim_start().starts_with("::")) && !said.contains("##["), "{ran}");
    }
    let hostile = "max_per_tick   = \"\"\"\n::stop-commands::x\n  ::error::y ##[group]z\"\"\"";
    let policy = || Test::new().shipped_policy(&[("max_per_tick   = 4", hostile)]);
    for format in ["human", "json", "sarif"] {
        let ran = policy().args(["check-policy", "--format", format]).run();
        assert_eq!(ran.code, 1);
        assert!(ran.stdout.contains("stop-commands"), "{ran}");
        assert!(!ran.stdout.lines().any(|line| line.trim_start().starts_with("::")), "{ran}");
        assert!(!ran.stdout.contains("##["), "{ran}");
    }
    let ran = policy().args(["check-policy", "--format", "json"]).run();
    assert!(ran.json()["findings"][0]["message"].as_str().unwrap().contains("##[group]z"), "{ran}");
}
