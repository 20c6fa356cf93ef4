//! `afk check-policy`, as an operator meets it in a terminal and in CI.

mod support;

use std::os::unix::fs::symlink;
use std::process::Command;

use insta::assert_snapshot;
use pretty_assertions::assert_eq;
use serde_json::json;
use support::{Ran, Test};

/// The shipped policy with changes, checked. The revision moves with every word of it, so it is not shown.
fn check(changes: &[(&str, &str)]) -> Ran {
    without_revision(Test::new().shipped_policy(changes).args(["check-policy"]).run())
}

fn without_revision(mut ran: Ran) -> Ran {
    if let Some((before, rest)) = ran.stdout.split_once("(revision ") {
        let (revision, after) = rest.split_at(8);
        assert!(revision.chars().all(|digit| digit.is_ascii_hexdigit()), "{revision}");
        ran.stdout = format!("{before}(revision …{after}");
    }
    ran
}

#[test]
fn the_shipped_policy_is_fine_and_does_nothing() {
    assert_snapshot!(check(&[]), @r#"
    exit code 0
    --- stdout
    policies/afk.toml: ok (revision …)
      8 gates, 8 states, 26 transitions, 2 prompts
      14 of 14 invariants hold for every input, with the kill switch off and any allowlist; 0 waivers
    note: this policy dispatches nothing: kill_switch is true (line 8), allowlist is empty (line 9)
    note: executor, CI commands, doorbells and repositories are held against the settings only with `--settings FILE`
    "#);
}

#[test]
fn what_is_switched_on_is_not_said_to_do_nothing() {
    let on = [("kill_switch = true", "kill_switch = false"), ("allowlist   = []", "allowlist   = [\"acme/app\"]")];
    assert_snapshot!(check(&on), @r#"
    exit code 0
    --- stdout
    policies/afk.toml: ok (revision …)
      8 gates, 8 states, 26 transitions, 2 prompts
      14 of 14 invariants hold for every input, with the kill switch off and any allowlist; 0 waivers
    note: executor, CI commands, doorbells and repositories are held against the settings only with `--settings FILE`
    "#);
}

#[test]
fn a_policy_that_can_start_no_run_says_why() {
    const ON: [(&str, &str); 2] =
        [("kill_switch = true", "kill_switch = false"), ("allowlist   = []", "allowlist   = [\"acme/app\"]")];
    const OWN: (&str, &str) = ("# [repos.\"acme/app\"]", "[repos.\"acme/app\"]\ndispatch.slots_per_repo = 1");
    const NO_SLOTS: (&str, &str) = ("slots_per_repo = 1", "slots_per_repo = 0");
    for (edit, why) in [
        (&[("max_in_flight  = 8", "max_in_flight  = 0")][..], "max_in_flight is 0 (line "),
        (&[("max_per_tick   = 4", "max_per_tick   = 0")][..], "max_per_tick is 0 (line "),
        (&[NO_SLOTS][..], "slots_per_repo is 0 (line "),
        (&[NO_SLOTS, OWN][..], ""),
    ] {
        let ran = check(&[&ON[..], edit].concat());
        assert_eq!(ran.code, 0, "{ran}");
        let said = format!("note: this policy dispatches nothing: {why}");
        assert_eq!(ran.stdout.contains(&said), !why.is_empty(), "{why}{ran}");
    }
}

#[test]
fn an_override_that_no_entry_of_the_allowlist_matches_is_a_warning() {
    for (allowlist, name, said) in [
        ("\"acme/app\"", "acme/ap", "did you mean `acme/app`?"),
        ("\"app\"", "acme/payments", "add it to the allowlist, or remove the override"),
        ("\"acme/*\"", "other/*", "add it to the allowlist, or remove the override"),
        ("\"acme/app\"", "ACME/App", ""),
        ("\"acme/a*\"", "acme/*", ""),
        ("\"acme/*\"", "acme/app", ""),
        ("", "acme/ap", ""),
    ] {
        let ran = check(&[
            ("allowlist   = []", &format!("allowlist   = [{allowlist}]")),
            ("# [repos.\"acme/app\"]", &format!("[repos.\"{name}\"]\nlimits.run_timeout = \"48h\"")),
        ]);
        assert_eq!(ran.code, 0, "{ran}");
        let warning = format!("warning[unmatched-override]: `[repos.\"{name}\"]` matches no entry of the allowlist");
        assert_eq!(ran.stdout.contains(&warning), !said.is_empty(), "{allowlist} {name}: {ran}");
        assert!(ran.stdout.contains(said), "{allowlist} {name}: {ran}");
    }
}

#[test]
fn a_command_that_the_settings_lack_may_be_added_there() {
    let stage = [("source  = \"checks\" ", "source  = \"command\" "), ("require = \"all\" ", "command = \"end2end\" ")];
    let test = Test::new().shipped_policy(&stage).file("afk.settings.toml", SETTINGS);
    let ran = test.args(["check-policy"]).run();
    let label = "add `[ci.end2end]` to the settings, or correct the name; there is `lint`";
    assert!(ran.stdout.contains(label), "{ran}");
}

#[test]
fn every_error_is_drawn_with_its_place_and_what_to_write() {
    let changes = [
        ("max_per_tick   = 4", "max_per_tick   = \"4\""),
        ("require = { trusted = true }", "require = { trused = true }"),
        ("red_for = { lt = \"$limits.fix_forward_time\" }", "red_for = { lt = 60 }"),
    ];
    assert_snapshot!(check(&changes), @r#"
    exit code 1
    --- stdout
    error[type-mismatch]: `max_per_tick` is a whole number; `"4"` is a text
      --> policies/afk.toml:31:18
       |
    31 | max_per_tick   = "4"
       |                  ^^^ write a whole number, without quotes

    error[unknown-name]: there is no issue fact `trused`
      --> policies/afk.toml:90:13
       |
    90 | require = { trused = true }
       |             ^^^^^^ did you mean `trusted`?

    error[type-mismatch]: `red_for` is a duration; `60` is a number
       --> policies/afk.toml:317:50
        |
    317 | any      = [{ attempts = 0 }, { red_for = { lt = 60 } }]
        |                                                  ^^ write "60s", "60m" or "60h"

    note: 14 of 14 proofs were not made because of the errors above
    policies/afk.toml: 3 errors, 0 warnings. `afk poll` and `afk watch` would do nothing with this policy
    "#);
}

#[test]
fn programs_get_one_document() {
    let test = Test::new().shipped_policy(&[("max_per_tick   = 4", "max_per_tick   = -4")]);
    assert_snapshot!(test.args(["check-policy", "--format", "json"]).run(), @r#"
    exit code 1
    --- stdout
    {
      "file": "policies/afk.toml",
      "settings": null,
      "usable": false,
      "revision": null,
      "counts": {
        "errors": 1,
        "warnings": 0,
        "notes": 0
      },
      "proofs": [
        {
          "invariant": "unbounded-run",
          "outcome": "holds",
          "regions": 571405363200,
          "facts": [
            "repo",
            "agent",
            "pushed",
            "landed",
            "pull_request",
            "touched_protected",
            "ci",
            "attempts",
            "told",
            "age",
            "quiet",
            "verdict_wait",
            "red_for",
            "issue",
            "held",
            "cost_usd"
          ]
        },
        {
          "invariant": "unverified-close",
          "outcome": "holds",
          "regions": 3968092800,
          "facts": [
            "agent",
            "pushed",
            "landed",
            "pull_request",
            "touched_protected",
            "ci",
            "told",
            "age",
            "quiet",
            "verdict_wait",
            "issue",
            "held",
            "cost_usd"
          ]
        },
        {
          "invariant": "endless-fixing",
          "outcome": "holds",
          "regions": 571405363200,
          "facts": [
            "repo",
            "agent",
            "pushed",
            "landed",
            "pull_request",
            "touched_protected",
            "ci",
            "attempts",
            "told",
            "age",
            "quiet",
            "verdict_wait",
            "red_for",
            "issue",
            "held",
            "cost_usd"
          ]
        },
        {
          "invariant": "repeat-effects",
          "outcome": "holds",
          "regions": 571405363200,
          "facts": [
            "repo",
            "agent",
            "pushed",
            "landed",
            "pull_request",
            "touched_protected",
            "ci",
            "attempts",
            "told",
            "age",
            "quiet",
            "verdict_wait",
            "red_for",
            "issue",
            "held",
            "cost_usd"
          ]
        },
        {
          "invariant": "spin",
          "outcome": "holds",
          "regions": 571405363200,
          "facts": [
            "repo",
            "agent",
            "pushed",
            "landed",
            "pull_request",
            "touched_protected",
            "ci",
            "attempts",
            "told",
            "age",
            "quiet",
            "verdict_wait",
            "red_for",
            "issue",
            "held",
            "cost_usd"
          ]
        },
        {
          "invariant": "dead-row",
          "outcome": "holds",
          "regions": 571405363200,
          "facts": [
            "repo",
            "agent",
            "pushed",
            "landed",
            "pull_request",
            "touched_protected",
            "ci",
            "attempts",
            "told",
            "age",
            "quiet",
            "verdict_wait",
            "red_for",
            "issue",
            "held",
            "cost_usd"
          ]
        },
        {
          "invariant": "unreachable-state",
          "outcome": "holds",
          "regions": 571405363200,
          "facts": [
            "repo",
            "agent",
            "pushed",
            "landed",
            "pull_request",
            "touched_protected",
            "ci",
            "attempts",
            "told",
            "age",
            "quiet",
            "verdict_wait",
            "red_for",
            "issue",
            "held",
            "cost_usd"
          ]
        },
        {
          "invariant": "dead-end",
          "outcome": "holds",
          "regions": 571405363200,
          "facts": [
            "repo",
            "agent",
            "pushed",
            "landed",
            "pull_request",
            "touched_protected",
            "ci",
            "attempts",
            "told",
            "age",
            "quiet",
            "verdict_wait",
            "red_for",
            "issue",
            "held",
            "cost_usd"
          ]
        }
      ],
      "findings": [
        {
          "code": "out-of-range",
          "severity": "error",
          "message": "`max_per_tick` counts something; `-4` is negative",
          "file": "policies/afk.toml",
          "line": 31,
          "column": 18,
          "end": {
            "line": 31,
            "column": 20
          },
          "label": "write 0 or more; 0 switches it off",
          "help": []
        }
      ],
      "not_checked": [
        "6 of 14 proofs were not made because of the errors above"
      ]
    }
    "#);
    let document = Test::new().shipped_policy(&[]).args(["check-policy", "--format", "json"]).run().json();
    assert_eq!(document["usable"], true);
    assert_eq!(document["revision"].as_str().map(str::len), Some(64));
    assert_eq!(document["findings"][0]["code"], "dispatches-nothing");
}

#[test]
fn a_finding_in_a_prompt_points_into_the_prompt() {
    let test = Test::new().shipped_policy(&[]).file("policies/prompts/fix-forward.md", "one\nMend {{ comit }}.\n");
    assert_snapshot!(test.args(["check-policy"]).run(), @r"
    exit code 1
    --- stdout
    error[bad-template]: there is no `comit` in this prompt
     --> policies/prompts/fix-forward.md:2:9
      |
    2 | Mend {{ comit }}.
      |         ^^^^^ did you mean `{{ commit }}`?
      |
      = help: `afk facts` lists the names that prompts may use

    policies/afk.toml: 1 error, 0 warnings. `afk poll` and `afk watch` would do nothing with this policy
    ");
}

const SETTINGS: &str = r#"
[tracker]
kind = "local"
[repos."acme/app"]
issues = "issues"
git = "app.git"
[executors.agents]
kind = "command"
start = ["agent"]
resume = ["agent"]
[ci.lint]
command = ["true"]
[doorbells.terminal]
kind = "terminal"
"#;

#[test]
fn names_of_the_settings_are_held_against_them() {
    let changes = [
        ("kill_switch = true", "kill_switch = false"),
        ("allowlist   = []", "allowlist   = [\"app\", \"acme/*\", \"acme/web\"]"),
        ("executor     = \"t3\"", "executor     = \"agent\""),
        ("source  = \"checks\" ", "source  = \"command\" "),
        ("require = \"all\" ", "command = \"lnt\" "),
        ("# [repos.\"acme/app\"]", "[repos.\"acme/app\"]\nagent.executor = \"opus\""),
    ];
    let test = Test::new().shipped_policy(&changes).file("afk.settings.toml", SETTINGS);
    assert_snapshot!(test.args(["check-policy"]).run(), @r#"
    exit code 1
    --- stdout
    warning[unmatched-allowlist]: `app` matches no repository of the settings
     --> policies/afk.toml:9:16
      |
    9 | allowlist   = ["app", "acme/*", "acme/web"]                            # "acme/app", or "acme/*"
      |                ^^^^^ did you mean `acme/app`?

    warning[unmatched-allowlist]: `acme/web` matches no repository of the settings
     --> policies/afk.toml:9:33
      |
    9 | allowlist   = ["app", "acme/*", "acme/web"]                            # "acme/app", or "acme/*"
      |                                 ^^^^^^^^^^ add it under [repos] of the settings; there is `acme/app`

    error[missing-executor]: the settings have no executor `agent`
      --> policies/afk.toml:48:16
       |
    48 | executor     = "agent"
       |                ^^^^^^^ did you mean `agents`?

    error[missing-command]: the settings have no CI command `lnt`
      --> policies/afk.toml:56:11
       |
    56 | command = "lnt"                             # better: the names that must be green, ["build", "test"]
       |           ^^^^^ did you mean `lint`?

    error[missing-executor]: the settings have no executor `opus`
      --> policies/afk.toml:63:18
       |
    63 | agent.executor = "opus"
       |                  ^^^^^^ add `[executors.opus]` to the settings, or correct the name; there is `agents`

    note: checked against the settings `afk.settings.toml`
    note: 8 of 14 proofs were not made because of the errors above
    policies/afk.toml: 3 errors, 2 warnings. `afk poll` and `afk watch` would fail wherever they need these names
    "#);
}

#[test]
fn settings_are_named_by_flag_or_variable_or_lie_here() {
    let held_against = |files: &[&str], arguments: &[&str], variable: Option<&str>| {
        let test = Test::new().shipped_policy(&[("executor     = \"t3\"", "executor     = \"agents\"")]);
        let test = files.iter().fold(test, |test, file| test.file(file, SETTINGS)).args(["check-policy"]);
        let test = variable
            .into_iter()
            .fold(test.args(arguments.to_vec()), |test, value| test.variable("AFK_SETTINGS", value));
        let ran = test.run();
        let note = ran.stdout.lines().find_map(|line| line.strip_prefix("note: checked against the settings "));
        (ran.code, note.map(str::to_owned))
    };
    let files = ["afk.settings.toml", "of-flag", "of-variable"];
    assert_eq!(held_against(&[], &[], None), (0, None));
    assert_eq!(held_against(&files, &[], None), (0, Some("`afk.settings.toml`".to_owned())));
    assert_eq!(held_against(&files, &[], Some("of-variable")), (0, Some("`of-variable`".to_owned())));
    let flag = ["--settings", "of-flag"];
    assert_eq!(held_against(&files, &flag, Some("of-variable")), (0, Some("`of-flag`".to_owned())));
    // Settings that are named must be there.
    assert_eq!(held_against(&[], &flag, None), (4, None));
}

#[test]
fn the_policy_is_named_by_argument_flag_or_variable_in_that_order() {
    let named = |arguments: &[&str], variable: Option<&str>| {
        let test = Test::new().args(["check-policy"]).args(arguments.to_vec());
        variable.into_iter().fold(test, |test, value| test.variable("AFK_POLICY", value)).run().stdout
    };
    assert!(named(&[], None).contains("`policies/afk.toml` does not exist"));
    assert!(named(&[], Some("of-variable")).contains("`of-variable` does not exist"));
    assert!(named(&["--policy", "of-flag"], Some("of-variable")).contains("`of-flag` does not exist"));
    assert!(named(&["of-argument", "--policy", "of-flag"], None).contains("`of-argument` does not exist"));
    assert!(named(&["of-argument"], Some("of-variable")).contains("`of-argument` does not exist"));
}

#[test]
fn a_file_that_is_not_there_says_what_to_do() {
    assert_snapshot!(Test::new().args(["check-policy", "nope.toml"]).run(), @r"
    exit code 1
    --- stdout
    error[unreadable]: `nope.toml` does not exist
     |
     = help: name a file that does, with `--policy`, or run `afk init`

    nope.toml: 1 error, 0 warnings. `afk poll` and `afk watch` would do nothing with this policy
    ");
}

#[test]
fn only_a_regular_file_named_directly_is_read() {
    let test = Test::new().file("real.toml", "version = 1\n").args(["check-policy", "link.toml"]);
    symlink("real.toml", test.path("link.toml")).unwrap();
    assert_snapshot!(test.run(), @r"
    exit code 1
    --- stdout
    error[unreadable]: `link.toml` is a symbolic link to `real.toml`
     |
     = help: name that file directly: a link can be turned elsewhere without a review

    link.toml: 1 error, 0 warnings. `afk poll` and `afk watch` would do nothing with this policy
    ");

    let refused = |name: &str| {
        let test = Test::new().args(["check-policy", name]);
        assert!(Command::new("mkfifo").arg(test.path("pipe")).status().unwrap().success());
        std::os::unix::net::UnixListener::bind(test.path("socket")).unwrap();
        let ran = test.run();
        assert_eq!(ran.code, 1);
        ran.stdout.lines().next().unwrap().to_owned()
    };
    // The pipe has nobody at its other end: who opened it would wait for ever.
    assert_eq!(refused("pipe"), "error[unreadable]: `pipe` is a named pipe");
    assert_eq!(refused("socket"), "error[unreadable]: `socket` is a socket");
    assert_eq!(refused("/dev/zero"), "error[unreadable]: `/dev/zero` is a device");
    assert_eq!(refused("."), "error[unreadable]: `.` is a directory");
}

#[test]
fn what_is_no_text_is_refused_with_its_place() {
    let refused = |content: &[u8]| Test::new().file("x.toml", content).args(["check-policy", "x.toml"]).run();
    assert_snapshot!(refused(b"version = 1\n# caf\xe9\n"), @r"
    exit code 1
    --- stdout
    error[unreadable]: `x.toml` is not UTF-8: byte 0xe9 at line 2, column 6
     |
     = help: save it as UTF-8

    x.toml: 1 error, 0 warnings. `afk poll` and `afk watch` would do nothing with this policy
    ");
    assert_snapshot!(refused(b"version = 1\nkill_switch = \"\0\"\n"), @r#"
    exit code 1
    --- stdout
    error[syntax]: invalid basic string
     --> x.toml:2:16
      |
    2 | kill_switch = "�"
      |                ^ remove the NUL byte

    note: 14 of 14 proofs were not made because of the errors above
    x.toml: 1 error, 0 warnings. `afk poll` and `afk watch` would do nothing with this policy
    "#);
    let large = refused(&vec![b'#'; 2 * 1024 * 1024]);
    assert!(large.stdout.starts_with("error[unreadable]: `x.toml` is larger than 1 MiB\n"), "{large}");
}

#[test]
fn a_prompt_behind_a_link_is_refused() {
    let test = Test::new().shipped_policy(&[("prompts/implement.md", "prompts/link.md")]).args(["check-policy"]);
    symlink("/etc/passwd", test.path("policies/prompts/link.md")).unwrap();
    assert_snapshot!(test.run(), @r#"
    exit code 1
    --- stdout
    error[missing-prompt]: prompt `prompts/link.md` cannot be read: `policies/prompts/link.md` is a symbolic link to `/etc/passwd`
       --> policies/afk.toml:380:15
        |
    380 | implement   = "prompts/link.md"
        |               ^^^^^^^^^^^^^^^^^ create it, or correct the path, which is relative to the policy file

    policies/afk.toml: 1 error, 0 warnings. `afk poll` and `afk watch` would do nothing with this policy
    "#);
}

#[test]
fn the_text_of_a_policy_cannot_drive_the_terminal() {
    let hostile = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}\u{2066}\u{200b}\u{e0041}";
    let test = Test::new()
        .file(
            "x.toml",
            format!("version = 1 # {hostile}\n\"{hostile}\" = '{hostile}'\nkill_switch = 1 # {hostile}\r\n"),
        )
        .args(["check-policy", "x.toml"]);
    let ran = test.run();
    assert_eq!(ran.code, 1);
    let wild: Vec<char> = ran
        .stdout
        .chars()
        .filter(|letter| *letter != '\n' && (letter.is_control() || afk::text::is_invisible(*letter)))
        .collect();
    assert_eq!(wild, Vec::<char>::new());
}

#[test]
fn a_long_line_is_drawn_around_the_place() {
    let before: String = (0..4_000).map(|n| format!("\"acme/a{n}\", ")).collect();
    let text = format!("allowlist = [{before}7, {before}]\n");
    let ran = Test::new().file("x.toml", text).args(["check-policy", "x.toml"]).run();
    let drawn: Vec<&str> = ran.stdout.lines().filter(|line| line.contains("7, \"acme/a0\"")).collect();
    assert_eq!(drawn.len(), 1, "{ran}");
    assert!(ran.stdout.lines().all(|line| line.chars().count() < 1_000));
    assert!(!ran.stdout.contains("\\u"), "what is left out is drawn plainly: {ran}");
}

#[test]
fn what_is_wrong_with_the_text_is_not_called_a_defect_of_afk() {
    for (before, after) in [
        ("kill_switch = true", "kill_switch = true\nkill_switch = false"),
        ("slots_per_repo = 1", "slots_per_repo = 99999999999999999999"),
    ] {
        let ran = Test::new().shipped_policy(&[(before, after)]).args(["check-policy", "--format", "json"]).run();
        assert_eq!(
            (ran.code, ran.json()["counts"].clone()),
            (1, json!({ "errors": 1, "warnings": 0, "notes": 0 })),
            "{ran}"
        );
    }
}

#[test]
fn many_findings_are_cut_aloud() {
    let keys: String = (0..150).map(|n| format!("key{n} = 1\n")).collect();
    let ran = Test::new().file("x.toml", keys).args(["check-policy", "x.toml"]).run();
    assert_eq!(ran.stdout.matches("\nerror[").count() + 1, 100);
    assert!(ran.stdout.contains("more findings; `--format json` lists all"), "{ran}");
}

#[test]
fn a_place_at_the_very_end_is_drawn() {
    for text in ["version = ", "version = \"", "version = 1\n[labels", "x = [", "é", "", "\n", "\u{feff}"] {
        let ran = Test::new().file("x.toml", text).args(["check-policy", "x.toml"]).run();
        assert_eq!(ran.code, 1, "{text:?}: {ran}");
        assert!(ran.stdout.starts_with("error["), "{text:?}: {ran}");
        let drawn: Vec<&str> = ran.stdout.split("error[").skip(1).collect();
        assert!(drawn.iter().all(|one| one.contains("--> x.toml:")), "{text:?}: {ran}");
    }
}

#[test]
fn a_megabyte_of_nonsense_ends_in_an_error_soon() {
    let texts = [
        "[[gates]]\n".repeat(100_000),
        format!("x = {}", "[".repeat(1_000_000)),
        format!("x = {}", "{a=".repeat(300_000)),
        format!("[{}]", "a.".repeat(500_000)),
        format!("kill_switch = \"{}\"", "é".repeat(500_000)),
        (0..50_000).map(|n| format!("k{n}.a = 1\n")).collect(),
    ];
    for text in texts {
        let started = std::time::Instant::now();
        let ran = Test::new().file("x.toml", &text).args(["check-policy", "x.toml"]).run();
        let head: String = text.chars().take(20).collect();
        assert_eq!(ran.code, 1, "{head}: {ran}");
        assert!(ran.stdout.len() < 200_000, "{head}: {} bytes", ran.stdout.len());
        assert!(started.elapsed().as_secs() < 20, "{head}: {:?}", started.elapsed());
    }
}

#[test]
fn warnings_are_denied_where_that_is_asked_for() {
    let dead = [(
        "[[ci.stages]]",
        "[[gates]]\nname = \"twice\"\nrequire = { trusted = true }\nmessage = \"no\"\n\n[[ci.stages]]",
    )];
    let checked = |arguments: &[&str]| {
        let test = Test::new().shipped_policy(&dead).args(["check-policy", "--format", "json"]);
        test.args(arguments.iter().copied()).run()
    };
    assert_eq!(checked(&[]).code, 0);
    assert_eq!(checked(&["--deny-warnings"]).code, 1);
}
