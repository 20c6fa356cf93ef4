//! Tests beside a policy: the format, every rule of it, and the cases that ship.

use std::path::Path;

use afk::cases::{Coverage, TestRun, Trace, run};
use afk::policy::Code;
use afk::policy::facts::{FactName, IssueFact, RunFact};
use afk::policy::{InstalledNames, Source, Surroundings, check};
use insta::assert_snapshot;
use pretty_assertions::assert_eq;
use proptest::prelude::*;

fn file(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn prompt(_: &str) -> Result<String, String> {
    Ok("do it".to_owned())
}

/// Runs test cases against a policy.
fn played(policy: &str, tests: &str) -> TestRun {
    let installed = InstalledNames::default();
    let surroundings = Surroundings { prompt: &prompt, installed: &installed };
    let policy = Source { name: "afk.toml".to_owned(), text: policy.to_owned() };
    let tests = Source { name: "afk.test.toml".to_owned(), text: tests.to_owned() };
    run(&policy, &tests, &surroundings).unwrap_or_else(|findings| panic!("{findings:#?}"))
}

/// Runs cases against the policy that ships, switched on for two repositories.
fn shipped(cases: &str) -> TestRun {
    let on = "[policy]\nkill_switch = false\nallowlist = [\"acme/app\", \"acme/site\"]\n";
    played(&file("policies/afk.toml"), &format!("{on}{cases}"))
}

/// What came out otherwise than expected, or is wrong with the file: a line each.
fn complaints(run: &TestRun) -> String {
    let findings = run.findings.iter().map(|finding| {
        let place = run.source.place(finding.span.start);
        format!("{place} {}: {} ({})", finding.code.name(), finding.message, finding.label)
    });
    let differences = run.cases.iter().flat_map(|case| {
        case.differences.iter().map(move |difference| {
            format!("{}: {}: expected {}, is {}", case.name, difference.what, difference.expected, difference.actual)
        })
    });
    findings.chain(differences).collect::<Vec<_>>().join("\n")
}

fn uncovered(policy: &str, tests: &str) -> (Vec<String>, usize, usize) {
    let (policy, tests) = (file(policy), file(tests));
    let run = played(&policy, &tests);
    assert_eq!(complaints(&run), "");
    let installed = InstalledNames::default();
    let surroundings = Surroundings { prompt: &prompt, installed: &installed };
    let checked = check(&policy, "afk.toml", &surroundings).policy.unwrap();
    let coverage = Coverage::of(&checked, [&run.covered]);
    let missing = coverage.gates.iter().chain(&coverage.rows).filter(|rule| !rule.covered);
    (missing.map(|rule| rule.name.clone()).collect(), coverage.percent(), run.cases.len())
}

#[test]
fn the_shipped_cases_cover_every_gate_and_row_of_the_shipped_policy() {
    let (missing, percent, cases) = uncovered("policies/afk.toml", "policies/afk.test.toml");
    assert_eq!((missing, percent), (Vec::new(), 100));
    assert!(cases >= 31, "{cases}");
}

#[test]
fn the_cases_of_the_classic_policy_cover_all_of_it() {
    let (missing, percent, _) = uncovered("examples/policies/classic.toml", "examples/policies/classic.test.toml");
    assert_eq!((missing, percent), (Vec::new(), 100));
}

#[test]
fn the_documented_examples_are_one_file_that_passes() {
    let page = file("docs/testing-policies.md");
    let blocks = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let run = played(&file("policies/afk.toml"), &blocks.collect::<String>());
    assert_eq!((complaints(&run).as_str(), run.cases.len()), ("", 5));
}

#[test]
fn the_documented_defaults_name_every_fact() {
    let page = file("docs/testing-policies.md");
    let (_, defaults) = page.split_once("## What a case leaves out").unwrap();
    let (of_issues, of_runs) = defaults.split_once("| of a run |").unwrap();
    for fact in IssueFact::ALL {
        assert!(of_issues.contains(&format!("`{}`", fact.spec().name)), "{fact:?}");
    }
    for fact in RunFact::ALL {
        assert!(of_runs.contains(&format!("`{}`", fact.spec().name)), "{fact:?}");
    }
}

#[test]
fn cases_are_as_cases_of_the_specification() {
    let run = shipped(
        r##"
        [[cases]]
        name      = "most urgent eligible issue takes the slot"
        policy    = { dispatch = { max_per_tick = 1 } }
        in_flight = ["acme/site"]
        issues = [
          { repo = "acme/app",  number = 1, priority = 1, open_blockers = ["#99"] },
          { repo = "acme/app",  number = 2, priority = 9 },
          { repo = "acme/site", number = 5, priority = 0 },
        ]
        expect.dispatch = ["acme/app#2"]
        expect.fired    = { "acme/app#1" = "blocked-by", "acme/site#5" = "repo-lock" }

        [[cases]]
        name   = "last corrective turn inside the budget"
        run    = { state = "verifying", agent = "idle", quiet = "2m", pushed = true, ci = "red", attempts = 4, red_for = "59m" }
        expect = { row = "fix-forward", to = "fixing", action = "fix-forward" }
        "##,
    );
    assert_eq!(complaints(&run), "");
    assert!(run.passed());
    assert_eq!(run.cases.len(), 2);
}

#[test]
fn what_comes_out_otherwise_is_said_with_its_trace() {
    let run = shipped(
        r#"
        [[cases]]
        name   = "two strangers"
        issues = [
          { repo = "acme/app", number = 1, trusted = false },
          { repo = "acme/app", number = 2, armed_by = { unknown = true }, trusted = { unknown = true } },
          { repo = "acme/site", number = 3 },
        ]
        expect = { dispatch = ["acme/app#1", "acme/app#2"], fired = { "acme/app#1" = "hold", "acme/site#3" = "slot" } }

        [[cases]]
        name   = "red"
        run    = { state = "working", agent = "idle", quiet = "2m", pushed = true, ci = "red", held = { unknown = true } }
        expect = { row = "freeze", to = "frozen", action = "freeze", held = "landed", path = ["freeze"] }

        [[cases]]
        name   = "green"
        run    = { state = "working", agent = "idle", quiet = "2m", pushed = true, ci = "green" }
        expect = { row = "wait", to = "working", action = "freeze", held = "landed", path = ["pushed"] }
        "#,
    );
    assert!(!run.passed());
    assert_snapshot!(complaints(&run), @r"
    two strangers: dispatch: expected acme/app#1, acme/app#2, is acme/site#3
    two strangers: fired acme/app#1: expected hold, is trust
    two strangers: fired acme/site#3: expected slot, is none: it is dispatched
    red: row: expected freeze, is pushed
    red: to: expected frozen, is verifying
    red: action: expected freeze, is none
    red: held: expected landed, is fix-forward
    red: path: expected freeze, is pushed
    green: row: expected wait, is landed
    green: to: expected working, is done
    green: action: expected freeze, is close
    green: held: expected landed, is none
    green: path: expected pushed, is pushed, landed
    ");
}

#[test]
fn a_held_run_neither_waits_nor_moves() {
    let on_hold = r#"run = { state = "verifying", pushed = true, ci = "green", agent = "idle", quiet = "2m", issue = { unknown = true } }"#;
    let run = shipped(&format!(
        r#"
        [[cases]]
        name = "held"
        {on_hold}
        expect = {{ held = "landed", path = [], to = "verifying" }}

        [[cases]]
        name = "does not wait"
        {on_hold}
        expect = {{ row = "wait" }}
        "#
    ));
    assert_snapshot!(complaints(&run), @"does not wait: row: expected wait, is none: landed is held");
}

#[test]
fn every_fact_can_be_written_and_those_that_may_be_unknown_as_unknown() {
    let run = shipped(
        r##"
        [[cases]]
        name = "an issue"
        issues = [{ repo = "acme/app", number = 1, labels = ["ready-for-agent"], armed_by = "ada", trusted = true, author = "bob",
            author_trusted = false, assignees = ["ada"], priority = -3, open_blockers = [], has_run = false,
            already_run = false, in_flight_in_repo = 0, in_flight = 3, edited_since_armed = false, age = "1d", armed_for = "1h30m" }]
        expect = { dispatch = ["acme/app#1"] }

        [[cases]]
        name = "an issue of which nothing is known"
        issues = [{ repo = "acme/app", number = 1, labels = { unknown = true }, armed_by = { unknown = true },
            trusted = { unknown = true }, author = { unknown = true }, author_trusted = { unknown = true },
            assignees = { unknown = true }, priority = { unknown = true }, open_blockers = { unknown = true },
            has_run = { unknown = true }, already_run = { unknown = true }, in_flight_in_repo = { unknown = true },
            in_flight = { unknown = true }, edited_since_armed = { unknown = true }, age = { unknown = true },
            armed_for = { unknown = true } }]
        expect = { dispatch = [], fired = { "acme/app#1" = "hold" } }

        [[cases]]
        name = "a run"
        run = { state = "verifying", enrolled = true, repo = "acme/app", labels = ["ready-for-agent"], priority = 1, agent = "idle",
            pushed = true, landed = true, pull_request = "merged", touched_protected = false, ci = "green", green_stages = ["build"],
            attempts = 2, told = false, age = "2h", quiet = "3m", verdict_wait = "0s", red_for = "0s", issue = "closed_by_push",
            held = false, milestones = ["worktree", "tests_green"], cost_usd = 100 }
        expect = { row = "landed" }

        [[cases]]
        name = "a run of which nothing is known"
        run = { state = "verifying", labels = { unknown = true }, priority = { unknown = true }, pushed = { unknown = true },
            landed = { unknown = true }, pull_request = { unknown = true }, touched_protected = { unknown = true },
            green_stages = { unknown = true }, issue = { unknown = true }, held = { unknown = true },
            milestones = { unknown = true }, cost_usd = { unknown = true } }
        expect = { row = "wait" }
        "##
        .replace(",\n            ", ", ")
        .as_str(),
    );
    assert_eq!(complaints(&run), "");
}

#[test]
fn landed_follows_pushed_and_runs_in_flight_are_counted_unless_the_case_says_otherwise() {
    let policy = file("policies/afk.toml").replacen(
        "[[gates]]",
        "[[gates]]\nname = \"few\"\nrequire = { in_flight = { lt = 2 } }\nmessage = \"busy\"\n\n[[gates]]",
        1,
    );
    let run = played(
        &policy,
        r#"
        [policy]
        kill_switch = false
        allowlist = ["acme/*"]

        [[cases]]
        name = "counted"
        in_flight = ["ACME/app", "acme/site"]
        issues = [{ repo = "acme/app", number = 1 }, { repo = "acme/app", number = 2, in_flight = 0 }, { repo = "acme/lib", number = 3, in_flight = 1 }]
        expect = { dispatch = ["acme/lib#3"], fired = { "acme/app#1" = "few", "acme/app#2" = "repo-lock" } }

        [[cases]]
        name = "landed follows pushed"
        run = { state = "verifying", pushed = true, ci = "green", agent = "idle", quiet = "2m" }
        expect = { row = "landed" }

        [[cases]]
        name = "unknown too"
        run = { state = "verifying", pushed = { unknown = true }, ci = "green", agent = "idle", quiet = "2m" }
        expect = { row = "wait" }

        [[cases]]
        name = "unless given"
        run = { state = "verifying", pushed = true, landed = false, pull_request = "open", ci = "green", agent = "idle", quiet = "2m" }
        expect = { row = "reviewable" }
        "#,
    );
    assert_eq!(complaints(&run), "");
}

#[test]
fn armed_at_and_created_at_follow_from_the_durations() {
    let policy =
        file("policies/afk.toml").replace(r#"["priority", "number"]"#, r#"["priority", "armed_at", "-created_at"]"#);
    let run = played(
        &policy,
        r#"
        [policy]
        kill_switch = false
        allowlist = ["acme/*"]
        dispatch.slots_per_repo = 5

        [[cases]]
        name = "longest armed first, then the youngest, unknown last"
        issues = [
          { repo = "acme/app", number = 1, armed_for = "1h" },
          { repo = "acme/app", number = 2, armed_for = "2h", age = "3d" },
          { repo = "acme/app", number = 3, armed_for = "2h", age = "2d" },
          { repo = "acme/lib", number = 4, armed_for = { unknown = true } },
        ]
        expect.dispatch = ["acme/app#3", "acme/app#2", "acme/app#1", "acme/lib#4"]
        "#,
    );
    assert_eq!(complaints(&run), "");
}

#[test]
fn an_overlay_merges_tables_and_replaces_the_rest() {
    let run = shipped(
        r#"
        [[cases]]
        name = "a limit of one case"
        policy = { limits.fix_forward_attempts = 0 }
        run = { state = "verifying", agent = "idle", quiet = "2m", pushed = true, ci = "red" }
        expect.row = "freeze"

        [[cases]]
        name = "not of the next"
        run = { state = "verifying", agent = "idle", quiet = "2m", pushed = true, ci = "red" }
        expect.row = "fix-forward"

        [[cases]]
        name = "over what the file lays over"
        policy = { allowlist = ["acme/other"], labels.ready = "go" }
        issues = [{ repo = "acme/app", number = 1 }, { repo = "acme/other", number = 2 }]
        expect = { dispatch = ["acme/other#2"], fired = { "acme/app#1" = "allowlist" } }

        [[cases]]
        name = "for one repository"
        policy.repos."acme/site".limits = { run_timeout = "48h" }
        run = { state = "working", repo = "acme/site", age = "47h" }
        expect.row = "wait"
        "#,
    );
    assert_eq!(complaints(&run), "");
}

#[test]
fn a_limit_that_a_test_lays_over_is_shown_at_its_place_in_the_test() {
    let run = shipped(
        r#"
        [[cases]]
        name = "cut"
        policy = { dispatch.max_per_tick = 0 }
        issues = [{ repo = "acme/app", number = 1 }]
        expect = { dispatch = [], fired = { "acme/app#1" = "capacity" } }
        "#,
    );
    let trace = serde_json::to_value(&run.cases.first().unwrap().trace).unwrap();
    assert_snapshot!(trace["issues"][0]["why"].as_str().unwrap(), @"dispatch.max_per_tick = 0 (line 7 of afk.test.toml) is used up; it may go in the next tick");
}

#[test]
fn cases_that_ask_for_the_same_policy_have_it_read_once_and_too_many_others_are_refused() {
    use std::fmt::Write;
    let cases = |hours: fn(usize) -> usize| {
        (0..700).fold(String::new(), |mut text, case| {
            let limit = hours(case);
            writeln!(text, "[[cases]]\nname = \"{case}\"\npolicy = {{ limits = {{ run_timeout = \"{limit}h\" }} }}")
                .unwrap();
            writeln!(text, "run = {{ state = \"working\" }}\nexpect = {{ row = \"wait\" }}").unwrap();
            text
        })
    };
    let run = shipped(&cases(|case| 9 + case % 2));
    assert_eq!((complaints(&run), run.cases.len()), (String::new(), 700));
    let run = shipped(&cases(|case| 9 + case));
    assert!(run.findings.iter().all(|finding| finding.code == Code::TooLarge), "{}", complaints(&run));
    assert!(!run.passed() && complaints(&run).contains("read again more often than this build does"));
}

#[test]
fn everything_wrong_with_a_test_file_is_said_at_its_place() {
    let run = shipped(
        r##"
[[cases]]
name = "key"
isues = []
kill_switch = false
run = { state = "working" }
expect = { row = "wait" }

[[cases]]
name = "key"
issues = [{ repo = "acme/app", number = 1 }, { repo = "ACME/app", number = 1 }]
expect = { dispatch = ["acme/app#2"], fired = { "acme/app#1" = "block-by", "acme/site#1" = "hold" } }

[[cases]]
name = "facts of an issue"
issues = [
  { repo = "acme/*", number = "1", trustd = true, priority = 1.5, labels = "x", age = 60, armed_for = "60", armed_by = "" },
  { number = 2, repo = { unknown = true }, assignees = { unknown = false } },
  { repo = "acme/app" },
  { number = 4 },
]
expect = { dispatch = [] }

[[cases]]
name = "facts of a run"
run = { state = "verifing", ci = "gren", green_stages = ["biuld"], milestones = ["done"], cost_usd = "1", quiet = { unknown = true }, enroled = true, trusted = true }
expect = { row = "fix-foward", to = "fixd", action = "frz", held = "wait", path = ["pushd", 1], rows = "x" }

[[cases]]
name = "nothing asked"
expect = { row = "wait" }

[[cases]]
name = "both asked"
issues = [{ repo = "acme/app", number = 1 }]
run = { state = "working" }
expect = { row = "wait" }

[[cases]]
name = "runs in flight beside a run"
in_flight = []
run = { state = "working" }
expect = { row = "wait" }

[[cases]]
name = "nothing expected of a run"
run = { state = "working" }
expect = {}

[[cases]]
name = "nothing expected of issues"
issues = [{ repo = "acme/app", number = 1 }]
expect = { fired = {} }

[[cases]]
name = "expectations of the other kind"
issues = [{ repo = "acme/app", number = 1 }]
expect = { row = "wait" }

[[cases]]
name = "no expectation"
run = { state = "working" }

[[cases]]
name = "no issue"
in_flight = ["acme/*", 7]
issues = []
expect.dispatch = []

[[cases]]
run = { repo = "acme/app" }
expect = { row = "wait" }
"##,
    );
    assert_eq!(run.cases.len(), 0);
    assert_snapshot!(complaints(&run), @r#"
    afk.test.toml:7:1 unknown-key: this case has no key `isues` (did you mean `issues`?)
    afk.test.toml:8:1 unknown-key: this case has no key `kill_switch` (to change the policy for a test, write it under `policy`: policy = { kill_switch = … })
    afk.test.toml:13:8 duplicate: two cases are called `key` (rename one of them)
    afk.test.toml:14:46 duplicate: `ACME/app#1` is there twice (give one of them another number)
    afk.test.toml:15:24 unknown-name: `acme/app#2` is no issue of this case (write `acme/app#1` or `ACME/app#1`)
    afk.test.toml:20:12 out-of-range: `acme/*` is not one repository (write "owner/name", or a bare "name")
    afk.test.toml:20:31 type-mismatch: `number` is a whole number; `"1"` is a text (write a whole number, without quotes)
    afk.test.toml:20:36 unknown-name: there is no issue fact `trustd` (did you mean `trusted`?)
    afk.test.toml:20:62 type-mismatch: `priority` is a whole number; `1.5` is a number (write a whole number, without quotes)
    afk.test.toml:20:76 type-mismatch: `labels` is a list; `"x"` is a text (write it in brackets: [ … ])
    afk.test.toml:20:87 type-mismatch: `age` is a duration; `60` is a number (write "90s", "45m", "2h", "1d" or "1h30m")
    afk.test.toml:20:103 type-mismatch: `armed_for` is a duration; `"60"` is a text (write "90s", "45m", "2h", "1d" or "1h30m")
    afk.test.toml:20:120 out-of-range: `armed_by` is empty (write a text)
    afk.test.toml:21:24 type-mismatch: `repo` is a text; this is a table (write it in double quotes)
    afk.test.toml:21:56 type-mismatch: `assignees` takes a value, or `{ unknown = true }`; this is another table (write the value itself)
    afk.test.toml:22:3 missing-key: this issue lacks `number` (add number = 1)
    afk.test.toml:23:3 missing-key: this issue lacks `repo` (add repo = "acme/app")
    afk.test.toml:29:17 unknown-name: there is no state `verifing` (did you mean `verifying`?)
    afk.test.toml:29:34 unknown-name: `ci` cannot be `gren` (did you mean `green`?)
    afk.test.toml:29:58 unknown-name: `biuld` of `green_stages` is no stage of the policy (did you mean `build`?)
    afk.test.toml:29:82 unknown-name: `done` of `milestones` is none of its words (write `worktree`, `tests_red` or `tests_green`)
    afk.test.toml:29:102 type-mismatch: `cost_usd` is a number; `"1"` is a text (write a number, such as 101.0)
    afk.test.toml:29:115 out-of-range: `quiet` always has a value, so it can never be unknown (write a value, or leave it out)
    afk.test.toml:29:135 unknown-name: there is no run fact `enroled` (did you mean `enrolled`?)
    afk.test.toml:29:151 unknown-name: there is no run fact `trusted` (`afk facts` lists all of them)
    afk.test.toml:30:18 unknown-name: there is no row `fix-foward` (did you mean `fix-forward`?)
    afk.test.toml:30:37 unknown-name: there is no state `fixd` (the policy has no such state, or no longer; name another, or remove the expectation)
    afk.test.toml:30:54 unknown-name: there is no action `frz` (the policy has no such action, or no longer; name another, or remove the expectation)
    afk.test.toml:30:68 unknown-name: there is no row `wait` (the policy has no such row, or no longer; name another, or remove the expectation)
    afk.test.toml:30:84 unknown-name: there is no row `pushd` (did you mean `pushed`?)
    afk.test.toml:30:93 type-mismatch: an entry of `path` is a text; `1` is a number (write it in double quotes)
    afk.test.toml:30:97 unknown-key: what a run is expected to do has no key `rows` (did you mean `row`?)
    afk.test.toml:32:1 missing-key: this case has neither `issues` nor `run` (add issues = [{ repo = "acme/app", number = 1 }], or run = { state = "…" })
    afk.test.toml:36:1 unknown-key: this case has both `issues` and `run` (make two cases of it)
    afk.test.toml:42:1 unknown-key: `in_flight` is for cases with `issues` (leave it out beside `run`)
    afk.test.toml:51:10 missing-key: the case expects nothing, so it could never fail (add `row`, `to`, `action`, `held`, `path` or `effects`)
    afk.test.toml:56:10 missing-key: the case expects nothing, so it could never fail (add `dispatch` or `fired`)
    afk.test.toml:61:12 unknown-key: what issues are expected to come to has no key `row` (remove it; known here: `dispatch`, `fired`)
    afk.test.toml:63:1 missing-key: this case lacks `expect` (add expect = { … }: what the policy should decide)
    afk.test.toml:69:14 out-of-range: `acme/*` is not one repository (write "owner/name", or a bare "name")
    afk.test.toml:69:24 type-mismatch: an entry of `in_flight` is a text; `7` is a number (write it in double quotes)
    afk.test.toml:70:10 out-of-range: the case has no issues (write at least one: { repo = "acme/app", number = 1 })
    afk.test.toml:73:1 missing-key: this case lacks `name` (add name = "what should happen")
    afk.test.toml:74:7 missing-key: this run lacks `state` (add state = "…": a state of the policy)
    "#);
}

#[test]
fn an_overlay_is_checked_like_a_policy_and_reported_at_the_case() {
    let run = shipped(
        r#"
[[cases]]
name = "a list of tables"
policy = { gates = [], transitions = [{ name = "x" }], ci.stages = [{ name = "test" }], actions.freeze = [] }
run = { state = "working" }
expect.row = "wait"

[[cases]]
name = "unknown keys and wrong types"
policy = { kill_swich = true, dispatch = { max_per_tick = "4" }, labels = 3 }
run = { state = "working" }
expect.row = "wait"

[[cases]]
name = "a limit that does not exist"
policy = { limits = { fix_foward_attempts = 0 } }
run = { state = "working" }
expect.row = "wait"

[[cases]]
name = "a mistake that shows elsewhere"
policy = { labels.ready = "paused" }
run = { state = "working" }
expect.row = "wait"

[[cases]]
name = "no table"
policy = true
run = { state = "working" }
expect.row = "wait"
"#,
    );
    assert_eq!(run.cases.len(), 0);
    assert_snapshot!(complaints(&run), @r#"
    afk.test.toml:7:12 out-of-range: `gates` is a list of tables, which a test may not replace (tests lay over single values and plain lists; change a list of tables in the policy)
    afk.test.toml:7:24 out-of-range: `transitions` is a list of tables, which a test may not replace (tests lay over single values and plain lists; change a list of tables in the policy)
    afk.test.toml:7:59 out-of-range: `ci.stages` is a list of tables, which a test may not replace (tests lay over single values and plain lists; change a list of tables in the policy)
    afk.test.toml:7:97 out-of-range: `actions.freeze` is a list of tables, which a test may not replace (tests lay over single values and plain lists; change a list of tables in the policy)
    afk.test.toml:13:12 unknown-key: the policy has no key `kill_swich` (did you mean `kill_switch`?)
    afk.test.toml:13:59 type-mismatch: `max_per_tick` is a whole number; `"4"` is a text (write a whole number, without quotes)
    afk.test.toml:13:75 type-mismatch: `labels` is a table; `3` is a number (write it as a table: { … })
    afk.test.toml:19:23 unused-limit: nothing refers to `limits.fix_foward_attempts` (did you mean `fix_forward_attempts`? else remove it, or use it as "$limits.fix_foward_attempts")
    afk.test.toml:25:1 duplicate: with this laid over it, the policy is wrong: `paused` plays two roles, `ready` and `paused` (choose another label; letter case does not count)
    afk.test.toml:31:10 type-mismatch: `policy` is a table; `true` is a bool (write it as a table: { … })
    "#);
}

#[test]
fn a_mistake_in_what_the_file_lays_over_is_said_once_and_no_case_is_run() {
    let run = played(
        &file("policies/afk.toml"),
        r#"
[policy]
limits.settle_time = 120

[[cases]]
name = "one"
run = { state = "working" }
expect.row = "wait"
"#,
    );
    assert_eq!(run.cases.len(), 0);
    assert_snapshot!(complaints(&run), @r#"afk.test.toml:3:22 type-mismatch: `limits.settle_time` is a duration; `120` is a number (write "120s", "120m" or "120h")"#);
}

#[test]
fn files_without_cases_are_an_error() {
    let of = |text: &str| complaints(&played(&file("policies/afk.toml"), text));
    assert_snapshot!(of(""), @"afk.test.toml:1:1 missing-key: the test file lacks `cases` (add [[cases]])");
    assert_snapshot!(of("cases = []"), @"afk.test.toml:1:9 out-of-range: the test file has no cases (write [[cases]])");
    assert_snapshot!(of("cases = 3"), @"afk.test.toml:1:9 type-mismatch: `cases` is a list; `3` is a number (write it in brackets: [ … ])");
    assert_snapshot!(of("[[case]]\nname = 'x'"), @r"
    afk.test.toml:1:1 missing-key: the test file lacks `cases` (add [[cases]])
    afk.test.toml:1:3 unknown-key: the test file has no key `case` (did you mean `cases`?)
    ");
    assert_snapshot!(of("[[cases]\nname = 'x'"), @"afk.test.toml:1:9 syntax: unclosed array table (write `]` here)");
}

#[test]
fn with_a_policy_in_error_no_case_is_run() {
    let installed = InstalledNames::default();
    let surroundings = Surroundings { prompt: &prompt, installed: &installed };
    let policy = Source { name: "afk.toml".to_owned(), text: "version = 1".to_owned() };
    let tests = Source { name: "afk.test.toml".to_owned(), text: file("policies/afk.test.toml") };
    let findings = run(&policy, &tests, &surroundings).unwrap_err();
    assert!(findings.iter().all(|finding| finding.file == "afk.toml"), "{findings:#?}");
}

#[test]
fn a_row_with_a_turn_lacks_the_enrolment_where_there_is_none() {
    let run = shipped(
        r#"
[[cases]]
name = "not enrolled"
run = { state = "verifying", enrolled = false, pushed = true, ci = "red", agent = "idle", quiet = "2m" }
expect = { row = "fix-forward" }
"#,
    );
    assert_snapshot!(complaints(&run), @"not enrolled: row: expected fix-forward, is freeze");
    let trace = serde_json::to_value(&run.cases.first().unwrap().trace).unwrap();
    let rows = trace["run"]["states"][0]["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["row"] == "fix-forward").unwrap();
    assert_eq!(row["verdict"], "no");
    assert_eq!(row["lacks"], serde_json::json!(["it sends a turn, and the repository is not enrolled"]));
}

#[test]
fn rows_that_go_in_a_circle_are_told_as_the_watch_would_stop_there() {
    let policy = file("policies/afk.toml").replacen(
        "[actions]",
        "[[transitions]]\nname = \"back\"\nfrom = [\"verifying\"]\nwhen = { pushed = true }\nto = \"working\"\n\n[actions]",
        1,
    );
    let run = played(
        &policy,
        r#"
[policy]
kill_switch = false

[[cases]]
name = "there and back"
run = { state = "working", pushed = true }
expect = { path = ["pushed"] }
"#,
    );
    assert_snapshot!(complaints(&run), @"there and back: path: expected pushed, is pushed, back");
    let trace = serde_json::to_value(&run.cases.first().unwrap().trace).unwrap();
    assert_snapshot!(trace["run"]["end"].as_str().unwrap(), @"rows without effects lead back to working: it goes in a circle");
}

#[test]
fn coverage_counts_what_fired_first_and_what_matched() {
    let run = shipped(
        r#"
[[cases]]
name = "two gates deny, the first fires"
issues = [{ repo = "acme/app", number = 1, trusted = false, already_run = true }]
expect.dispatch = []

[[cases]]
name = "a chain, and a row that is held"
run = { state = "working", pushed = true, ci = "green", agent = "idle", quiet = "2m", held = { unknown = true } }
expect = { row = "pushed", held = "landed" }
"#,
    );
    assert_eq!(complaints(&run), "");
    let names = |set: &std::collections::BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!((names(&run.covered.gates), names(&run.covered.rows)), ("trust".to_owned(), "landed pushed".to_owned()));
}

/// The text of a test file with one place of it overwritten.
fn damaged() -> impl Strategy<Value = String> {
    let text = file("policies/afk.test.toml");
    let pieces = prop_oneof![
        Just("{ unknown = true }".to_owned()),
        Just("[]".to_owned()),
        Just("-9223372036854775808".to_owned()),
        Just("\u{0}".to_owned()),
        Just("\"$limits.nothing\"".to_owned()),
        Just("36525d".to_owned()),
        "[\\[\\]{}=\",.#a-z0-9 \n]{0,12}",
        any::<String>(),
    ];
    (0..text.len(), 0..40_usize, pieces).prop_map(move |(at, length, piece)| {
        let start = text.floor_char_boundary(at);
        let end = text.floor_char_boundary((at + length).min(text.len())).max(start);
        format!("{}{piece}{}", &text[..start], &text[end..])
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_test_file_never_panics(text in damaged()) {
        let run = played(&file("policies/afk.toml"), &text);
        prop_assert!(run.findings.iter().all(|finding| finding.file == "afk.test.toml"));
    }

    #[test]
    fn garbage_never_panics(text in any::<String>()) {
        played(&file("policies/afk.toml"), &text);
    }
}

/// The shipped policy with one mistake in it, and which.
fn mistaken() -> Vec<(String, String)> {
    let text = file("policies/afk.toml");
    let mut mistaken = Vec::new();
    // Without one gate or row, for each of them.
    for header in ["[[gates]]\n", "[[transitions]]\n"] {
        for (start, _) in text.match_indices(header) {
            let rest = &text[start + header.len()..];
            let next = ["\n[[", "\n[states]", "\n[actions]"].iter().filter_map(|end| rest.find(end)).min().unwrap();
            let name = rest.split('"').nth(1).unwrap();
            mistaken.push((format!("without {name}"), format!("{}{}", &text[..start], &rest[next..])));
        }
    }
    for (before, after) in [
        ("touched_protected = false, ci = \"green\", agent = \"idle\"", "touched_protected = false, agent = \"idle\""),
        ("attempts = { lt = \"$limits.fix_forward_attempts\" }", "attempts = { gte = 0 }"),
        ("told     = false\n", ""),
        ("when = { pushed = true }\nto   = \"verifying\"", "when = { ci = \"red\" }\nto   = \"verifying\""),
        ("{ told = false }] }\nto   = \"verifying\"", "{ told = true }] }\nto   = \"verifying\""),
        ("when   = { age = { gte = \"$limits.run_timeout\" } }", "when   = { age = { lt = \"$limits.run_timeout\" } }"),
        (
            "to     = \"released\"\ndo     = \"stand-down\"\nreason = \"a person took",
            "to     = \"fixing\"\ndo     = \"stand-down\"\nreason = \"a person took",
        ),
        ("from = [\"fixing\"]\nwhen = { any", "from = [\"fixing\", \"verifying\"]\nwhen = { any"),
    ] {
        assert!(text.contains(before), "{before}");
        mistaken.push((format!("with {after:?}"), text.replacen(before, after, 1)));
    }
    mistaken
}

#[test]
fn counterexamples_of_the_proofs_are_cases_that_reproduce() {
    let installed = InstalledNames::default();
    let surroundings = Surroundings { prompt: &prompt, installed: &installed };
    let (mut issues, mut runs) = (0, 0);
    for (mistake, policy) in mistaken() {
        let Some(checked) = check(&policy, "afk.toml", &surroundings).policy else { continue };
        for finding in afk::verify::prove(&checked).findings {
            for (_, example) in finding.help.iter().filter_map(|help| help.split_once("[[cases]]")) {
                let run = played(&policy, &format!("[[cases]]{example}"));
                let told = format!("{mistake}, {}: {example}\n{}", finding.code.name(), complaints(&run));
                assert!(run.findings.is_empty() && !run.cases.is_empty(), "{told}");
                for case in &run.cases {
                    // What must not be dispatched is; what happens to a run is written as it happens.
                    match &case.trace {
                        Trace::Issues(_) => {
                            assert!(!case.passed(), "{told}");
                            issues += 1;
                        }
                        Trace::Run(_) => {
                            assert!(case.passed(), "{told}");
                            runs += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(issues >= 5 && runs >= 5, "{issues} {runs}");
}
