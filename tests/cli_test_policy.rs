//! `afk test-policy`.

mod support;

use insta::assert_snapshot;
use pretty_assertions::assert_eq;
use serde_json::json;
use support::{Test, repository};

const ON: &str = "[policy]\nkill_switch = false\nallowlist = [\"acme/app\"]\n";

fn shipped_tests() -> String {
    std::fs::read_to_string(repository().join("policies/afk.test.toml")).unwrap()
}

/// The shipped policy, with these cases beside it.
fn with_cases(cases: &str) -> Test {
    Test::new().shipped_policy(&[]).file("policies/afk.test.toml", format!("{ON}{cases}"))
}

#[test]
fn the_cases_beside_the_policy_are_run_and_their_coverage_is_said() {
    let test = Test::new().shipped_policy(&[]).file("policies/afk.test.toml", shipped_tests());
    assert_snapshot!(test.args(["test-policy", "--min-coverage", "100"]).run(), @r"
    exit code 0
    --- stdout
    policies/afk.test.toml: 60 cases passed
    policies/afk.toml: 100 % covered: 8 of 8 gates fired, 26 of 26 rows matched
    ");
}

#[test]
fn a_policy_that_breaks_a_case_is_shown_with_its_trace() {
    let test = Test::new().shipped_policy(&[]).file(
        "policies/afk.test.toml",
        shipped_tests().replace("fix_forward_attempts = 5", "fix_forward_attempts = 3"),
    );
    assert_snapshot!(test.args(["test-policy"]).run(), @r#"
    exit code 1
    --- stdout
    FAIL last corrective turn inside the budget
      --> policies/afk.test.toml:304:1
      - expected  row     fix-forward
      + actual    row     freeze
      - expected  to      fixing
      + actual    to      frozen
      - expected  action  fix-forward
      + actual    action  freeze

      in verifying
         row                     to         verdict  lacks                                                                     line
         taken-back              released   no       held = true (is false)                                                    124
         withdrawn               released   no       issue = closed or gone (is open)                                          132
         judge-changed           frozen     no       touched_protected = true (is false)                                       156
         landed                  done       no       ci = green (is red)                                                       171
         reviewable              in-review  no       landed = false (is true), pull_request = open (is none), ci = green (is   178
                                                     red)
         over-budget             frozen     unknown  cost_usd > 100 (is unknown)                                               188
         overdue                 frozen     no       age >= 1d (is 0s)                                                         196
         unreachable             frozen     no       agent = unknown (is idle), quiet >= 4h (is 2m)                            204
         needs-input-pushed      frozen     no       agent = waiting (is idle), quiet >= 15m (is 2m)                           256
         landed-agent-quiet      done       no       ci = green (is red), agent = starting or running (is idle), quiet >= 45m  264
                                                     (is 2m)
         reviewable-agent-quiet  in-review  no       landed = false (is true), pull_request = open (is none), ci = green (is   271
                                                     red), agent = starting or running (is idle), quiet >= 45m (is 2m)
         not-offered             frozen     no       landed = false (is true), pull_request = closed (is none), pull_request   279
                                                     = draft (is none), ci = green (is red)
         unfinished              frozen     no       ci = green (is red), agent = failed or gone (is idle)                     291
         unmerged                frozen     no       ci = green (is red), quiet >= 2h (is 2m)                                  299
         fix-forward             fixing     no       attempts < 3 (is 4)                                                       307
      >  freeze                  frozen     matches  -                                                                         320
         no-verdict              frozen     no       ci = none or pending or unknown (is red), verdict_wait >= 2h (is 0s)      349
      row freeze leads to frozen with action freeze

    policies/afk.test.toml: 59 cases passed, 1 failed
    policies/afk.toml: 100 % covered: 8 of 8 gates fired, 26 of 26 rows matched
    "#);
}

#[test]
fn issues_that_are_decided_otherwise_are_shown_gate_by_gate() {
    let test = with_cases(
        r#"
        [[cases]]
        name   = "armed by a stranger"
        issues = [{ repo = "acme/app", number = 1, trusted = false, armed_by = "mal\u001blory" }, { repo = "acme/app", number = 2 }]
        expect = { dispatch = ["acme/app#1"], fired = { "acme/app#2" = "slot" } }
        "#,
    );
    assert_snapshot!(test.args(["test-policy"]).run(), @r#"
    exit code 1
    --- stdout
    FAIL armed by a stranger
      --> policies/afk.test.toml:6:9
      - expected  dispatch          acme/app#1
      + actual    dispatch          acme/app#2
      - expected  fired acme/app#2  slot
      + actual    fired acme/app#2  none: it is dispatched

      acme/app#1  trust: ready-for-agent was applied by malory, who may not arm issues in acme/app
         gate        verdict  evidence                     line
         allowlist   pass     repo is acme/app             69
         hold        pass     labels is ready-for-agent    74
         in-flight   pass     has_run is false             79
         repo-lock   pass     in_flight_in_repo is 0       84
      >  trust       DENY     trusted = true (is false)    89
         once        pass     already_run is false         94
         unchanged   pass     edited_since_armed is false  99
         blocked-by  pass     open_blockers is none        104
      acme/app#2  dispatched as number 1 of this tick
        gate        verdict  evidence                     line
        allowlist   pass     repo is acme/app             69
        hold        pass     labels is ready-for-agent    74
        in-flight   pass     has_run is false             79
        repo-lock   pass     in_flight_in_repo is 0       84
        trust       pass     trusted is true              89
        once        pass     already_run is false         94
        unchanged   pass     edited_since_armed is false  99
        blocked-by  pass     open_blockers is none        104

    policies/afk.test.toml: 0 cases passed, 1 failed
    policies/afk.toml: 2 % covered: 1 of 8 gates fired, 0 of 26 rows matched
      gates not covered  allowlist (line 69), hold (line 74), in-flight (line 79), repo-lock
                         (line 84), once (line 94), unchanged (line 99), blocked-by (line 104)
      rows not covered   taken-back (line 124), withdrawn (line 132), pushed (line 142),
                         corrected (line 148), judge-changed (line 156), landed (line 171),
                         reviewable (line 178), over-budget (line 188), overdue (line 196),
                         unreachable (line 204), needs-input (line 214), never-started (line
                         222), stalled (line 230), gave-up (line 238), cannot-tell (line 246),
                         needs-input-pushed (line 256), landed-agent-quiet (line 264),
                         reviewable-agent-quiet (line 271), not-offered (line 279), unfinished
                         (line 291), unmerged (line 299), fix-forward (line 307), freeze (line
                         320), no-progress (line 333), stuck (line 341), no-verdict (line 349)
    "#);
}

#[test]
fn what_no_case_covers_is_listed_and_too_little_fails() {
    let case = "[[cases]]\nname = \"green\"\nrun = { state = \"in-flight\", pushed = true, ci = \"green\" }\nexpect = { row = \"green\" }\n";
    let policy = std::fs::read_to_string(repository().join("examples/policies/classic.toml")).unwrap();
    let policy = policy.replace("../../policies/prompts", "prompts");
    let test = || Test::new().shipped_policy(&[]).file("policies/classic.toml", &policy).file("one.test.toml", case);
    let ran = test()
        .args(["test-policy", "one.test.toml", "--policy", "policies/classic.toml", "--min-coverage", "12"])
        .run();
    assert_snapshot!(ran, @r"
    exit code 1
    --- stdout
    one.test.toml: 1 case passed
    policies/classic.toml: 11 % covered: 0 of 5 gates fired, 1 of 4 rows matched
      gates not covered  allowlist (line 51), hold (line 56), repo-lock (line 61), trust (line
                         66), blocked-by (line 71)
      rows not covered   correct (line 89), red (line 96), nothing-pushed (line 104)
    coverage is below the 12 % of --min-coverage
    ");
    let ran = test()
        .args(["test-policy", "one.test.toml", "--policy", "policies/classic.toml", "--min-coverage", "11"])
        .run();
    assert_eq!(ran.code, 0);
}

#[test]
fn a_mistake_in_a_test_file_is_drawn_and_fails() {
    let test = with_cases("[[cases]]\nname = \"x\"\nrun = { state = \"worknig\" }\nexpect = { row = \"wait\" }\n");
    assert_snapshot!(test.args(["test-policy"]).run(), @r#"
    exit code 1
    --- stdout
    error[unknown-name]: there is no state `worknig`
     --> policies/afk.test.toml:6:17
      |
    6 | run = { state = "worknig" }
      |                 ^^^^^^^^^ did you mean `working`?

    policies/afk.test.toml: 0 cases passed, 1 error in the file
    policies/afk.toml: 0 % covered: 0 of 8 gates fired, 0 of 26 rows matched
      gates not covered  allowlist (line 69), hold (line 74), in-flight (line 79), repo-lock
                         (line 84), trust (line 89), once (line 94), unchanged (line 99),
                         blocked-by (line 104)
      rows not covered   taken-back (line 124), withdrawn (line 132), pushed (line 142),
                         corrected (line 148), judge-changed (line 156), landed (line 171),
                         reviewable (line 178), over-budget (line 188), overdue (line 196),
                         unreachable (line 204), needs-input (line 214), never-started (line
                         222), stalled (line 230), gave-up (line 238), cannot-tell (line 246),
                         needs-input-pushed (line 256), landed-agent-quiet (line 264),
                         reviewable-agent-quiet (line 271), not-offered (line 279), unfinished
                         (line 291), unmerged (line 299), fix-forward (line 307), freeze (line
                         320), no-progress (line 333), stuck (line 341), no-verdict (line 349)
    "#);
}

#[test]
fn without_a_test_file_it_says_how_to_write_one() {
    assert_snapshot!(Test::new().shipped_policy(&[]).args(["test-policy"]).run(), @r#"
    exit code 4
    --- stdout
    --- stderr
    error: there is no test file beside `policies/afk.toml`
      help: write `policies/afk.test.toml`, for example:

        [policy]
        kill_switch = false
        allowlist   = ["acme/app"]

        [[cases]]
        name   = "a stranger may not arm an issue"
        issues = [{ repo = "acme/app", number = 1, trusted = false }]
        expect = { dispatch = [], fired = { "acme/app#1" = "trust" } }

        [[cases]]
        name   = "an agent at work is left alone"
        run    = { state = "working" }
        expect = { row = "wait" }

      help: docs/testing-policies.md describes the format; or name a test file: afk test-policy FILE
    "#);
}

#[test]
fn a_test_file_that_is_not_there_is_an_error() {
    assert_snapshot!(Test::new().shipped_policy(&[]).args(["test-policy", "nothing.test.toml"]).run(), @r#"
    exit code 1
    --- stdout
    error[unreadable]: `nothing.test.toml` does not exist
     |
     = help: name a file that does exist, or leave it out for every `*.test.toml`

    nothing.test.toml: 0 cases passed, 1 error in the file
    policies/afk.toml: 0 % covered: 0 of 8 gates fired, 0 of 26 rows matched
      gates not covered  allowlist (line 69), hold (line 74), in-flight (line 79), repo-lock
                         (line 84), trust (line 89), once (line 94), unchanged (line 99),
                         blocked-by (line 104)
      rows not covered   taken-back (line 124), withdrawn (line 132), pushed (line 142),
                         corrected (line 148), judge-changed (line 156), landed (line 171),
                         reviewable (line 178), over-budget (line 188), overdue (line 196),
                         unreachable (line 204), needs-input (line 214), never-started (line
                         222), stalled (line 230), gave-up (line 238), cannot-tell (line 246),
                         needs-input-pushed (line 256), landed-agent-quiet (line 264),
                         reviewable-agent-quiet (line 271), not-offered (line 279), unfinished
                         (line 291), unmerged (line 299), fix-forward (line 307), freeze (line
                         320), no-progress (line 333), stuck (line 341), no-verdict (line 349)
    "#);
}

#[test]
fn a_policy_in_error_runs_no_case() {
    let test = Test::new()
        .shipped_policy(&[("max_in_flight  = 8", "max_in_flight  = \"8\"")])
        .file("policies/afk.test.toml", shipped_tests());
    assert_snapshot!(test.args(["test-policy"]).run(), @r#"
    exit code 1
    --- stdout
    error[type-mismatch]: `max_in_flight` is a whole number; `"8"` is a text
      --> policies/afk.toml:30:18
       |
    30 | max_in_flight  = "8"
       |                  ^^^ write a whole number, without quotes

    policies/afk.toml: errors, so no case was run
    "#);
}

#[test]
fn json_says_the_same() {
    let case = r#"
[[cases]]
name = "waits"
run = { state = "working" }
expect = { row = "stalled" }
"#;
    let ran = with_cases(case).args(["test-policy", "--format", "json"]).run();
    let document = ran.json();
    assert_eq!(ran.code, 1);
    assert_eq!(document["passed"], false);
    assert_eq!(document["counts"], json!({ "cases": 1, "failed": 1, "errors": 0 }));
    assert_eq!(document["coverage"]["percent"], 0);
    assert_eq!(document["coverage"]["gates"][0], json!({ "name": "allowlist", "line": 69, "covered": false }));
    let case = &document["files"][0]["cases"][0];
    assert_eq!(case["differences"], json!([{ "what": "row", "expected": "stalled", "actual": "wait", "line": 8 }]));
    assert_eq!(case["trace"]["run"]["states"][0]["rows"][0]["lacks"], json!(["held = true (is false)"]));

    let broken = with_cases("[[cases]]\nname = 3").args(["test-policy", "--format", "json"]).run().json();
    assert_eq!(broken["files"][0]["findings"][0]["line"], 4);
    assert_eq!(broken["passed"], false);
}

#[test]
fn of_many_failures_the_first_five_have_their_trace_and_all_their_difference() {
    let tests = std::fs::read(support::repository().join("policies/afk.test.toml")).unwrap();
    let edit = [("to     = \"frozen\"", "to     = \"released\""); 8];
    let test = Test::new().shipped_policy(&edit).file("policies/afk.test.toml", tests);
    let ran = test.args(["test-policy"]).run();
    let count = |words: &str| ran.stdout.lines().filter(|line| line.starts_with(words)).count();
    assert!(count("FAIL ") > 5, "{ran}");
    assert_eq!(count("  in "), 5, "{ran}");
    assert_eq!(ran.stdout.matches("- expected").count(), ran.stdout.matches("+ actual").count(), "{ran}");
    assert!(ran.stdout.contains("note: only the first 5 failures are shown with their trace"), "{ran}");
}

#[test]
fn a_case_that_names_a_gate_that_is_gone_is_told_so() {
    let case = "[policy]\nkill_switch = false\nallowlist = [\"acme/app\"]\n[[cases]]\nname = \"a\"\n\
                issues = [{ repo = \"acme/app\", number = 1 }]\nexpect.fired = { \"acme/app#1\" = \"working-hours\" }\n";
    let test = Test::new().shipped_policy(&[]).file("policies/afk.test.toml", case);
    let ran = test.args(["test-policy"]).run();
    assert!(ran.stdout.contains("the policy has no such gate, or no longer"), "{ran}");
}
