//! Mistakes as they happen in real edits of the shipped policy: each is named by `check-policy`, `test-policy` or
//! `diff-policy`, in words that an operator acts on.

mod support;

use pretty_assertions::assert_eq;
use support::{Ran, Test};

/// Who has to name the mistake.
#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    Check,
    Tests,
    Diff,
}
use By::{Check, Diff, Tests};

/// A mistake: its name, the edit, and who says what about it.
struct Mistake {
    name: &'static str,
    edit: &'static [(&'static str, &'static str)],
    named: &'static [(By, &'static str)],
}

const GATE_TRUST: &str = "[[gates]]\nname    = \"trust\"\nrequire = { trusted = true }\nmessage = \"{labels.ready} was applied by {armed_by}, who may not arm issues in {repo}\"\n\n";
const ROW_OVERDUE: &str = "[[transitions]]\nname   = \"overdue\"\nfrom   = \"*\"\nwhen   = { age = { gte = \"$limits.run_timeout\" } }\nto     = \"frozen\"\ndo     = \"freeze\"\nreason = \"not finished after {age}; agent {agent}, CI {ci}\"\n\n";
const ROW_JUDGE: &str = "[[transitions]]\nname   = \"judge-changed\"\nfrom   = [\"verifying\"]\nto     = \"frozen\"\ndo     = \"freeze\"\nreason = \"the run changed protected paths; a person must look\"\n[transitions.when]\ntouched_protected = true\nany = [\n  { agent = [\"idle\", \"failed\", \"gone\"], quiet = { gte = \"$limits.settle_time\" } },\n  { agent = [\"starting\", \"running\"], quiet = { gte = \"$limits.stall_timeout\" } },\n]\n\n";
const LANDED: &str = "when = { landed = true, touched_protected = false, ci = \"green\", agent = \"idle\", quiet = { gte = \"$limits.settle_time\" } }\nto   = \"done\"\ndo   = \"close\"";

const MISTAKES: &[Mistake] = &[
    Mistake {
        name: "a gate is deleted",
        edit: &[(GATE_TRUST, "")],
        named: &[
            (Check, "an issue armed by somebody who may not arm issues can be dispatched"),
            (Tests, "trust"),
            (
                Diff,
                "LOOSER   issues that `trust` held back may be dispatched: the gate is gone (it required `trusted = true`)",
            ),
        ],
    },
    Mistake {
        name: "`has_none` is typed as `has_any`",
        edit: &[("labels = { has_none = [", "labels = { has_any = [")],
        named: &[
            (Check, "rearm-loop"),
            (Diff, "LOOSER   `hold` lets more issues pass: it now requires `labels has_any [ready-for-human, paused]`"),
            (Diff, "TIGHTER  `hold` denies more issues"),
        ],
    },
    Mistake {
        name: "a label is dropped from a gate",
        edit: &[("[\"$labels.human\", \"$labels.paused\"]", "[\"$labels.human\"]")],
        named: &[
            (Check, "that a person holds back (label `paused`)"),
            (Diff, "for example `acme/app`: `labels = [\"paused\", \"ready-for-agent\"]`"),
        ],
    },
    Mistake {
        name: "the row with the run timeout is dropped",
        edit: &[(ROW_OVERDUE, "")],
        named: &[
            (Check, "unbounded-run"),
            (Diff, "LOOSER   row `overdue` is gone: in `working`: `overdue` (→ frozen) becomes waiting"),
        ],
    },
    Mistake {
        name: "a limit is dropped",
        edit: &[("run_timeout          = \"24h\"\n", "")],
        named: &[(Check, "`$limits.run_timeout` leads nowhere"), (Diff, "the new policy cannot be used")],
    },
    Mistake {
        name: "the row that guards the judge is dropped, and with it what the close asks",
        edit: &[
            (ROW_JUDGE, ""),
            (
                "when = { landed = true, touched_protected = false, ci = \"green\", agent = \"idle\"",
                "when = { landed = true, ci = \"green\", agent = \"idle\"",
            ),
        ],
        named: &[
            (Tests, "judge-changed"),
            (Diff, "row `landed`: it no longer requires `touched_protected = false`"),
            (Diff, "row `judge-changed` is gone"),
        ],
    },
    Mistake {
        name: "a row is moved up",
        edit: &[
            (ROW_OVERDUE, ""),
            (
                "# People first.\n\n",
                "# People first.\n\n[[transitions]]\nname   = \"overdue\"\nfrom   = \"*\"\nwhen   = { age = { gte = \"$limits.run_timeout\" } }\nto     = \"frozen\"\ndo     = \"freeze\"\nreason = \"not finished after {age}; agent {agent}, CI {ci}\"\n\n",
            ),
        ],
        named: &[(
            Diff,
            "row `overdue` stands in another place: in `working`: `taken-back` (→ released) becomes `overdue` (→ frozen)",
        )],
    },
    Mistake {
        name: "a corrective turn is sent about a commit that was told already",
        edit: &[("ci       = \"red\"\ntold     = false\n", "ci       = \"red\"\n")],
        named: &[(Diff, "LOOSER   row `fix-forward`: it no longer requires `told = false`")],
    },
    Mistake {
        name: "a row applies in more states",
        edit: &[
            (
                "name   = \"gave-up\"\nfrom   = [\"working\"]",
                "name   = \"gave-up\"\nfrom   = [\"working\", \"verifying\"]",
            ),
            ("when   = { pushed = false, agent = [\"idle\"", "when   = { agent = [\"idle\""),
        ],
        named: &[
            (Diff, "row `gave-up`: it no longer requires `pushed = false`; it now applies in `verifying` too"),
            (Tests, "gave-up"),
        ],
    },
    Mistake {
        name: "a comparison is flipped",
        edit: &[(
            "attempts = { lt = \"$limits.fix_forward_attempts\" }",
            "attempts = { gt = \"$limits.fix_forward_attempts\" }",
        )],
        named: &[
            (Check, "endless-fixing"),
            (Tests, "fix-forward"),
            (Diff, "row `fix-forward`: it now requires `attempts > 5` (was `attempts < 5`)"),
        ],
    },
    Mistake {
        name: "`lt` becomes `lte`",
        edit: &[(
            "attempts = { lt = \"$limits.fix_forward_attempts\" }",
            "attempts = { lte = \"$limits.fix_forward_attempts\" }",
        )],
        named: &[
            (Diff, "LOOSER   row `fix-forward`: it now requires `attempts <= 5` (was `attempts < 5`)"),
            (Diff, "attempts = 5"),
        ],
    },
    Mistake {
        name: "the settle time is dropped from a row",
        edit: &[(
            "agent = \"idle\", quiet = { gte = \"$limits.settle_time\" } }\nto   = \"done\"",
            "agent = \"idle\" }\nto   = \"done\"",
        )],
        named: &[
            (Diff, "LOOSER   row `landed`: it no longer requires `quiet >= 2m`"),
            (Diff, "waiting → `landed` (→ done)"),
        ],
    },
    Mistake {
        name: "an issue is closed although CI is not green",
        edit: &[(
            LANDED,
            "when = { landed = true, touched_protected = false, agent = \"idle\", quiet = { gte = \"$limits.settle_time\" } }\nto   = \"done\"\ndo   = \"close\"",
        )],
        named: &[(Check, "unverified-close"), (Diff, "LOOSER   row `landed`: it no longer requires `ci = green`")],
    },
    Mistake {
        name: "a protected path is dropped",
        edit: &[("\".github/**\", ", "")],
        named: &[(Diff, "LOOSER   `.github/**` is no longer protected: runs that change it are judged by CI alone")],
    },
    Mistake {
        name: "another executor",
        edit: &[("executor     = \"t3\"", "executor     = \"t4\"")],
        named: &[(Diff, "CHANGED  agents are started by executor `t4` (was `t3`)")],
    },
    Mistake {
        name: "another model",
        edit: &[("model        = \"claude-sonnet-4-6\"", "model        = \"claude-haiku\"")],
        named: &[(Diff, "CHANGED  `agent.model` is `claude-haiku` (was `claude-sonnet-4-6`)")],
    },
    Mistake {
        name: "readers may arm issues",
        edit: &[(
            "permissions = [\"admin\", \"maintain\", \"write\"]",
            "permissions = [\"admin\", \"maintain\", \"write\", \"read\"]",
        )],
        named: &[(Diff, "LOOSER   people with the permission `read` may arm issues")],
    },
    Mistake {
        name: "somebody is trusted by name",
        edit: &[("logins      = []", "logins      = [\"drive-by\"]")],
        named: &[(Diff, "LOOSER   people called `drive-by` may arm issues")],
    },
    Mistake {
        name: "more slots",
        edit: &[("slots_per_repo = 1", "slots_per_repo = 10")],
        named: &[(
            Diff,
            "LOOSER   up to 10 runs at a time in one repository (was 1): `repo-lock` lets more issues pass",
        )],
    },
    Mistake {
        name: "more runs at a time",
        edit: &[("max_in_flight  = 8", "max_in_flight  = 80")],
        named: &[(Diff, "LOOSER   up to 80 runs at a time everywhere (was 8)")],
    },
    Mistake {
        name: "fewer runs in a tick",
        edit: &[("max_per_tick   = 4", "max_per_tick   = 1")],
        named: &[(Diff, "TIGHTER  up to 1 new runs in one tick (was 4)")],
    },
    Mistake {
        name: "the kill switch is off and a whole owner is enrolled",
        edit: &[("kill_switch = true ", "kill_switch = false"), ("allowlist   = []", "allowlist   = [\"acme/*\"]")],
        named: &[(Diff, "LOOSER   the kill switch is off"), (Diff, "LOOSER   issues in `acme/*` may be dispatched")],
    },
    Mistake {
        name: "more corrective turns",
        edit: &[("fix_forward_attempts = 5", "fix_forward_attempts = 50")],
        named: &[(Diff, "LOOSER   red CI gets up to 50 corrective turns (was 5)")],
    },
    Mistake {
        name: "minutes typed as hours",
        edit: &[("fix_forward_time     = \"60m\"", "fix_forward_time     = \"60h\"")],
        named: &[(Diff, "LOOSER   `limits.fix_forward_time` is 2d12h (was 1h)")],
    },
    Mistake {
        name: "a budget without a unit is a hundred times larger",
        edit: &[("budget_usd           = 100.0", "budget_usd           = 10000.0")],
        named: &[(Diff, "LOOSER   a run may cost up to 10000 USD (was 100)")],
    },
    Mistake {
        name: "an action forgets to hand the issue over",
        edit: &[("freeze         = [\"reopen\", { add_label = \"human\" }, ", "freeze         = [\"reopen\", ")],
        named: &[(Diff, "CHANGED  action `freeze` no longer does `add_label human`")],
    },
    Mistake {
        name: "an action leaves the agent at work",
        edit: &[("{ notify = \"needs-human\" }, \"interrupt\"]", "{ notify = \"needs-human\" }]")],
        named: &[(Diff, "LOOSER   action `escalate` no longer does `interrupt`")],
    },
    Mistake {
        name: "a row leads to another state",
        edit: &[(
            "name   = \"withdrawn\"\nfrom   = \"*\"\nwhen   = { issue = [\"closed\", \"gone\"] }\nto     = \"released\"",
            "name   = \"withdrawn\"\nfrom   = \"*\"\nwhen   = { issue = [\"closed\", \"gone\"] }\nto     = \"done\"",
        )],
        named: &[(Diff, "row `withdrawn`: it leads to `done` (was `released`)"), (Tests, "withdrawn")],
    },
    Mistake {
        name: "only one of two closed issues counts",
        edit: &[("issue = [\"closed\", \"gone\"]", "issue = [\"closed\"]")],
        named: &[(Diff, "LOOSER   row `withdrawn`: it now requires `issue = closed` (was `issue = closed or gone`)")],
    },
    Mistake {
        name: "agents push where they opened pull requests",
        edit: &[("landing      = \"push\"", "landing      = \"pull_request\"")],
        named: &[(Diff, "TIGHTER  agents open a pull request (was: push to the default branch)")],
    },
    Mistake {
        name: "CI asks for one check only",
        edit: &[("require = \"all\"     ", "require = [\"lint\"]  ")],
        named: &[(Diff, "LOOSER   stage `build` asks for the checks `lint` (was all checks of the forge)")],
    },
    Mistake {
        name: "an invariant is waived",
        edit: &[("[actions] ", "[[waivers]]\ninvariant = \"unbounded-run\"\nreason = \"for now\"\n\n[actions] ")],
        named: &[
            (Check, "`unbounded-run` is waived, and holds"),
            (Diff, "LOOSER   `unbounded-run` is waived: `for now`"),
        ],
    },
    Mistake {
        name: "one repository gets rules of its own",
        edit: &[(
            "# [repos.\"acme/app\"]\n# limits.run_timeout = \"48h\"",
            "[repos.\"acme/app\"]\nlimits.run_timeout = \"48h\"",
        )],
        named: &[(Diff, "LOOSER   in acme/app: a run may take up to 2d (was 1d)")],
    },
    Mistake {
        name: "another label arms issues",
        edit: &[("ready       = \"ready-for-agent\"", "ready       = \"bug\"")],
        named: &[(Diff, "CHANGED  `labels.ready` is `bug` (was `ready-for-agent`): issues are armed by another label")],
    },
    Mistake {
        name: "issues are ordered by age",
        edit: &[("order   = [\"priority\", \"number\"]", "order   = [\"created_at\"]")],
        named: &[(Diff, "CHANGED  issues are ordered differently: by created_at (was priority, number)")],
    },
];

fn run(by: By, mistake: &Mistake) -> Ran {
    let tests = std::fs::read(support::repository().join("policies/afk.test.toml")).unwrap();
    let test = Test::new().shipped_policy(mistake.edit).file("policies/afk.test.toml", tests);
    match by {
        Check => test.args(["check-policy"]).run(),
        Tests => test.args(["test-policy"]).run(),
        Diff => test.args(["diff-policy", "builtin:standard", "--exit-code"]).run(),
    }
}

#[test]
fn every_mistake_is_named() {
    assert!(MISTAKES.len() >= 25);
    let mut unnamed = Vec::new();
    for mistake in MISTAKES {
        for by in [Check, Tests, Diff] {
            let wanted: Vec<&str> =
                mistake.named.iter().filter(|(one, _)| *one == by).map(|(_, words)| *words).collect();
            if wanted.is_empty() {
                continue;
            }
            let ran = run(by, mistake);
            for words in wanted.iter().filter(|words| !ran.stdout.contains(**words)) {
                unnamed.push(format!("{}, by {by:?}: {words}\n{ran}", mistake.name));
            }
            let is_warning = by == Check && ran.stdout.contains(": ok");
            if ran.code == 0 && !is_warning {
                unnamed.push(format!("{}, by {by:?}: exit code 0", mistake.name));
            }
        }
    }
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n----\n"));
}

#[test]
fn what_changes_nothing_is_equal_in_meaning() {
    for edit in [
        &[("# ━━ 2. Gates", "# A comment.\n# ━━ 2. Gates")][..],
        &[("max_in_flight  = 8\nmax_per_tick   = 4", "max_per_tick   = 4\nmax_in_flight  = 8")][..],
        &[("require = { trusted = true }", "require = { not = { trusted = false } }")][..],
        &[("{ ci = [\"none\", \"pending\", \"green\"] }", "{ ci = [\"green\", \"pending\", \"none\"] }")][..],
    ] {
        let ran = Test::new().shipped_policy(edit).args(["diff-policy", "builtin:standard", "--exit-code"]).run();
        assert_eq!(ran.code, 0, "{ran}");
        assert!(ran.stdout.starts_with("no decision changes: the two policies are equal in meaning\n"), "{ran}");
    }
}

#[test]
fn a_bracket_that_is_not_closed_is_one_error_at_its_opening() {
    const ORDER: &str = "order   = [\"priority\", \"number\"]";
    const ANY: &str = "  { agent = [\"idle\", \"failed\", \"gone\"], quiet = { gte = \"$limits.settle_time\" } },";
    let shipped = std::fs::read_to_string(support::repository().join("policies/afk.toml")).unwrap();
    // ¶ stands before the bracket.
    for (before, after, what) in [
        (ORDER, "order   = ¶[\"priority\", \"number\"", "array"),
        (ORDER, "order   = ¶[\n  \"priority\",\n  \"number\", # the last\n", "array"),
        ("logins      = []", "logins      = ¶[", "array"),
        ("when   = { held = true }", "when   = ¶{ held = true", "inline table"),
        ("from   = [\"working\"]", "from   = ¶[\"working\"", "array"),
        ("from   = [\"working\"]", "from   = { a = ¶[\"working\"", "array"),
        ("[\"$labels.human\", \"$labels.paused\"] }", "¶[\"$labels.human\", \"$labels.paused\" }", "array"),
        (
            "{ labels = { has_none = [\"$labels.human\", \"$labels.paused\"] } }",
            "¶{ labels = { has_none = [] }",
            "inline table",
        ),
        (ANY, &ANY.replacen(" } },", " },", 1).replacen('{', "¶{", 1), "inline table"),
        ("checklist = [", "checklist = ¶[[", "array"),
        // The last bracket of the file: nothing follows that it could take.
        ("title   = \"[FROZEN] {ref}: {reason}\"", "title   = ¶[\"a\"", "array"),
    ] {
        let marked = shipped.replacen(before, after, 1);
        let (head, _) = marked.split_once('¶').unwrap();
        let (line, column) =
            (head.matches('\n').count() + 1, head.chars().rev().take_while(|c| *c != '\n').count() + 1);
        let ran = Test::new().shipped_policy(&[(before, &after.replace('¶', ""))]).args(["check-policy"]).run();
        let errors: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with("error")).collect();
        assert_eq!(errors, [format!("error[syntax]: the {what} that is opened here is not closed")], "{ran}");
        assert!(ran.stdout.contains(&format!("--> policies/afk.toml:{line}:{column}\n")), "{line}:{column} {ran}");
    }
}

#[test]
fn what_stands_before_a_bracket_that_is_not_closed_is_judged() {
    let edit = [("fix_forward_attempts = 5", "fix_forward_attempts = -5"), ("paths = [\".github/**\",", "paths = [[")];
    let ran = Test::new().shipped_policy(&edit).args(["check-policy"]).run();
    let errors: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with("error")).collect();
    assert_eq!(errors.len(), 2, "{ran}");
    assert!(errors[0].starts_with("error[out-of-range]") && errors[1].contains("array"), "{ran}");
}

#[test]
fn the_shipped_tests_notice_what_the_proofs_allow() {
    let rows_from_anywhere = |name: &str, from: &str| {
        let equals =
            if name == "fix-forward" { "name = \"fix-forward\"\nfrom = " } else { "name   = \"gave-up\"\nfrom   = " };
        (format!("{equals}{from}"), format!("{equals}\"*\""))
    };
    let (gave_up, gave_up_anywhere) = rows_from_anywhere("gave-up", "[\"working\"]");
    let (fix_forward, fix_forward_anywhere) = rows_from_anywhere("fix-forward", "[\"verifying\"]");
    const FREEZE: &str = "freeze         = [\"reopen\", { add_label = \"human\" }, { remove_label = \"ready\" }, { comment = \"frozen\" }, { notify = \"frozen\" }, \"interrupt\"]";
    for (before, after) in [
        ("told     = false\n", ""),
        (", { told = false }] }", "] }"),
        (gave_up.as_str(), gave_up_anywhere.as_str()),
        (fix_forward.as_str(), fix_forward_anywhere.as_str()),
        ("cost_usd = { gt = \"$limits.budget_usd\" }", "cost_usd = { gte = \"$limits.budget_usd\" }"),
        (FREEZE, &FREEZE.replacen(", \"interrupt\"", "", 1)),
        (FREEZE, &FREEZE.replacen("{ add_label = \"human\" }, ", "", 1)),
    ] {
        let tests = std::fs::read(support::repository().join("policies/afk.test.toml")).unwrap();
        let test = Test::new().shipped_policy(&[(before, after)]).file("policies/afk.test.toml", tests);
        let ran = test.args(["test-policy"]).run();
        assert!(ran.code == 1 && ran.stdout.contains("FAIL"), "{before} -> {after}: {ran}");
    }
}

/// Everything that `check-policy` says: the heads of its findings, where they are, and what to write.
fn said_of(edit: &[(&str, &str)]) -> Vec<String> {
    let ran = Test::new().shipped_policy(edit).args(["check-policy", "--format", "json"]).run();
    let findings = ran.json()["findings"].as_array().expect("findings").clone();
    findings
        .iter()
        .filter(|finding| finding["severity"] != "note")
        .map(|finding| {
            let word = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
            format!("{} {}: {} ({})", finding["line"], word("code"), word("message"), word("label"))
        })
        .collect()
}

#[test]
fn a_limit_of_the_wrong_type_is_one_error_where_it_is_written() {
    let stall = "stall_timeout        = \"45m\"";
    for (after, described, label) in [
        ("stall_timeout        = 45", "`45` is a number", r#"write "45s", "45m" or "45h""#),
        ("stall_timeout        = 45.0", "`45.0` is a number", r#"write "45m""#),
        ("stall_timeout        = \"45 minutes\"", r#"`"45 minutes"` is a text"#, r#"write "45m""#),
        ("stall_timeout        = \"soon\"", r#"`"soon"` is a text"#, r#"write "45m""#),
    ] {
        let what = "`limits.stall_timeout` is a duration, for `quiet` is compared with it";
        assert_eq!(said_of(&[(stall, after)]), [format!("40 type-mismatch: {what}; {described} ({label})")]);
    }
    assert_eq!(
        said_of(&[("fix_forward_attempts = 5 ", "fix_forward_attempts = \"5\" ")]),
        ["34 type-mismatch: `limits.fix_forward_attempts` is a whole number, for `attempts` is compared with it; \
             `\"5\"` is a text (write a whole number, without quotes)"]
    );
    assert_eq!(
        said_of(&[("settle_time          = \"2m\"", "settle_time          = 120")]),
        [
            "36 type-mismatch: `limits.settle_time` is a duration; `120` is a number (write \"120s\", \"120m\" or \"120h\")"
        ]
    );
    // A limit that fits elsewhere is right, and the rule is wrong.
    let said = said_of(&[("age = { gte = \"$limits.run_timeout\" }", "age = { gte = \"$limits.budget_usd\" }")]);
    assert!(matches!(said.as_slice(), [one] if one.contains("bad-reference")), "{said:#?}");
}

#[test]
fn an_invariant_that_does_not_hold_is_named_where_they_are_counted() {
    let edit = [("run_timeout          = \"24h\"", "run_timeout          = \"5m\"")];
    let ran = Test::new().shipped_policy(&edit).args(["check-policy"]).run();
    assert!(ran.stdout.contains("13 of 14 invariants hold") && ran.stdout.contains("; not: dead-row\n"), "{ran}");
}

#[test]
fn a_table_that_is_written_twice_is_no_defect_of_afk() {
    let said = said_of(&[("[trust] ", "[labels]\nready = \"go\"\n\n[trust] ")]);
    assert_eq!(said, ["18 duplicate: `labels` is written twice (remove one of the two)"]);
}

#[test]
fn a_list_of_tables_with_single_brackets_is_said_once() {
    let label = "write [[gates]], in two brackets, above each of them";
    let said = said_of(&[("[[gates]]", "[gates]")]);
    assert_eq!(said, [format!("68 type-mismatch: `gates` is a list of tables; this is a table ({label})")]);
    let all: Vec<_> = (0..8).map(|_| ("[[gates]]", "[gates]")).collect();
    assert_eq!(said_of(&all), [format!("103 type-mismatch: `gates` is a list of tables; this is a table ({label})")]);
    let one = "[[gates]]\nname    = \"hold\"";
    let said = said_of(&[(one, &one.replace("[[gates]]", "[gates]"))]);
    assert_eq!(said, [format!("73 type-mismatch: `gates` is a list of tables; this is a table ({label})")]);
}

#[test]
fn a_merge_conflict_is_called_one() {
    let limit = "run_timeout          = \"24h\"\n";
    let conflict = format!("<<<<<<< HEAD\n{limit}=======\nrun_timeout          = \"12h\"\n>>>>>>> shorter\n");
    let said = said_of(&[(limit, &conflict)]);
    assert!(
        matches!(said.as_slice(), [one] if one.starts_with("43 syntax: this is a merge conflict that nobody resolved")),
        "{said:#?}"
    );
}

#[test]
fn a_pause_without_a_reason_is_asked_for_one() {
    let repo = |paused: &str| format!("# [repos.\"acme/app\"]\n[repos.\"acme/app\"]\npaused = {paused}\n");
    let enrolled = ("allowlist   = []", "allowlist   = [\"acme/*\"]");
    let said = said_of(&[enrolled, ("# [repos.\"acme/app\"]\n", &repo("true"))]);
    assert!(matches!(said.as_slice(), [one] if one.contains("write why: paused = \"release week\"")), "{said:#?}");
    let said = said_of(&[enrolled, ("# [repos.\"acme/app\"]\n", &repo("false"))]);
    assert!(matches!(said.as_slice(), [one] if one.contains("remove it")), "{said:#?}");
    assert_eq!(said_of(&[enrolled, ("# [repos.\"acme/app\"]\n", &repo("\"release week\""))]), Vec::<String>::new());
}

#[test]
fn emptied_trust_and_protection_are_warned_of() {
    let said = said_of(&[(
        "permissions = [\"admin\", \"maintain\", \"write\"]",
        "permissions = [\"write\", \"triage\", \"read\"]",
    )]);
    assert_eq!(said.len(), 2, "{said:#?}");
    for (said, word) in said.iter().zip(["triage", "read"]) {
        assert!(said.starts_with(&format!("19 open-trust: whoever has only `{word}` may arm issues")), "{said}");
    }
    let protected = "paths = [\".github/**\", \".forgejo/**\", \".woodpecker/**\", \".woodpecker.yml\", \"policies/**\", \"**/AGENTS.md\", \"**/CLAUDE.md\"]";
    let said = said_of(&[(protected, "paths = []")]);
    assert!(
        matches!(said.as_slice(), [one] if one.starts_with("59 nothing-protected: no path is protected")),
        "{said:#?}"
    );
}

#[test]
fn whatever_is_written_in_the_first_part_of_the_policy_the_shipped_tests_hold() {
    let tests = std::fs::read(support::repository().join("policies/afk.test.toml")).unwrap();
    for edit in [
        [
            ("slots_per_repo = 1", "slots_per_repo = 4"),
            ("settle_time          = \"2m\"", "settle_time          = \"3s\""),
        ],
        [
            ("slots_per_repo = 1", "slots_per_repo = 2"),
            ("settle_time          = \"2m\"", "settle_time          = \"1m\""),
        ],
        [("max_in_flight  = 8", "max_in_flight  = 1"), ("max_per_tick   = 4", "max_per_tick   = 1")],
        [
            ("fix_forward_attempts = 5 ", "fix_forward_attempts = 3 "),
            ("fix_forward_time     = \"60m\"", "fix_forward_time     = \"30m\""),
        ],
        [
            ("edit_window          = \"2m\"", "edit_window          = \"1h\""),
            ("start_timeout        = \"10m\"", "start_timeout        = \"3m\""),
        ],
        [
            ("input_timeout        = \"15m\"", "input_timeout        = \"1h\""),
            ("stall_timeout        = \"45m\"", "stall_timeout        = \"30m\""),
        ],
        [
            ("unreachable_timeout  = \"4h\"", "unreachable_timeout  = \"1h\""),
            ("verdict_timeout      = \"2h\"", "verdict_timeout      = \"30m\""),
        ],
        [
            ("run_timeout          = \"24h\"", "run_timeout          = \"48h\""),
            ("effect_timeout       = \"1h\"", "effect_timeout       = \"10m\""),
        ],
        [
            ("budget_usd           = 100.0", "budget_usd           = 10.0"),
            ("landing      = \"push\"", "landing      = \"pull_request\""),
        ],
        [
            ("human       = \"ready-for-human\"", "human       = \"needs-human\""),
            ("ready       = \"ready-for-agent\"", "ready       = \"go\""),
        ],
        [("order   = [\"priority\", \"number\"]", "order   = [\"-armed_at\"]"), ("default = 100", "default = 0")],
        [("kill_switch = true ", "kill_switch = false "), ("allowlist   = []", "allowlist   = [\"octo/*\"]")],
    ] {
        let test = Test::new().shipped_policy(&edit).file("policies/afk.test.toml", &tests);
        let ran = test.args(["test-policy", "--min-coverage", "100"]).run();
        assert_eq!(ran.code, 0, "{edit:?}: {ran}");
    }
}
