//! For each invariant an edit of the shipped policy that breaks it and nothing else: refused with its code, at the line
//! that is at fault, with a counterexample that `afk test-policy` runs.

use afk::policy::{Finding, InstalledNames, Policy, Severity, Source, Surroundings, check};
use afk::{cases, verify};
use pretty_assertions::assert_eq;

use crate::reproduce;

/// The invariant, what is replaced in the shipped policy, and the start of the line that is marked.
type Edit = (&'static str, &'static [(&'static str, &'static str)], &'static str);

const EDITS: &[Edit] = &[
    (
        "untrusted-dispatch",
        &[("require = { trusted = true }", "require = { any = [{ trusted = true }, { author_trusted = true }] }")],
        "require = { any = [{ trusted",
    ),
    (
        "unlisted-dispatch",
        &[
            (
                "require = { repo = { in = \"$allowlist\", not_in = \"$denylist\" } }",
                "require = { repo = { not_in = \"$denylist\" } }",
            ),
            ("denylist    = []", "denylist    = [\"acme/payments\"]"),
        ],
        "require = { repo = { not_in",
    ),
    (
        "double-dispatch",
        &[("require = { has_run = false }", "require = { any = [{ has_run = false }, { in_flight = { lt = 3 } }] }")],
        "require = { any = [{ has_run",
    ),
    (
        "blocked-dispatch",
        &[("require = { open_blockers = { empty = true } }", "require = { open_blockers = { lacks = \"#1\" } }")],
        "require = { open_blockers = { lacks",
    ),
    (
        "rearm-loop",
        &[(
            "require = { labels = { has_none = [\"$labels.human\", \"$labels.paused\"] } }",
            "require = { labels = { lacks = \"$labels.paused\" } }",
        )],
        "require = { labels = { lacks",
    ),
    (
        "unbounded-run",
        &[(
            "when   = { age = { gte = \"$limits.run_timeout\" } }",
            "when   = { age = { gte = \"$limits.run_timeout\" }, issue = \"open\" }",
        )],
        "",
    ),
    (
        "unverified-close",
        &[(
            "when = { landed = true, touched_protected = false, ci = \"green\", agent = \"idle\"",
            "when = { landed = true, touched_protected = false, ci = [\"green\", \"none\"], agent = \"idle\"",
        )],
        "name = \"landed\"",
    ),
    (
        "endless-fixing",
        &[(
            "attempts = { lt = \"$limits.fix_forward_attempts\" }\nany      = [{ attempts = 0 }, { red_for",
            "any      = [{ attempts = { lt = \"$limits.fix_forward_attempts\" } }, { red_for",
        )],
        "name = \"fix-forward\"",
    ),
    (
        "repeat-effects",
        &[("{ told = false }] }", "{ told = true }] }"), ("told     = false\n", "")],
        "name = \"fix-forward\"",
    ),
    (
        "spin",
        &[(
            "[[transitions]]\nname = \"corrected\"",
            "[[transitions]]\nname = \"back\"\nfrom = [\"verifying\"]\nwhen = { ci = \"pending\", age = { lt = \"1h\" } }\nto   = \"fixing\"\n\n[[transitions]]\nname = \"corrected\"",
        )],
        "name = \"",
    ),
    (
        "dead-gate",
        &[(
            "[[gates]]\nname    = \"blocked-by\"",
            "[[gates]]\nname    = \"again\"\nrequire = { trusted = true }\nmessage = \"no\"\n\n[[gates]]\nname    = \"blocked-by\"",
        )],
        "name    = \"again\"",
    ),
    (
        "dead-row",
        &[(
            "[[transitions]]\nname   = \"stalled\"",
            "[[transitions]]\nname   = \"late\"\nfrom   = [\"working\"]\nwhen   = { held = true, age = { gte = \"1h\" } }\nto     = \"needs-human\"\ndo     = \"escalate\"\nreason = \"late\"\n\n[[transitions]]\nname   = \"stalled\"",
        )],
        "name   = \"late\"",
    ),
    ("unreachable-state", &[("released    = {", "asleep      = { title = \"Asleep\" }\nreleased    = {")], "asleep"),
];

fn surroundings<T>(visit: impl FnOnce(&Surroundings<'_>) -> T) -> T {
    let prompt = |name: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(name);
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    };
    visit(&Surroundings { prompt: &prompt, installed: &InstalledNames::default() })
}

fn edited(edits: &[(&str, &str)]) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/afk.toml");
    let mut text = std::fs::read_to_string(path).unwrap();
    for (before, after) in edits {
        assert_eq!(text.matches(before).count(), 1, "{before}");
        text = text.replacen(before, after, 1);
    }
    text
}

fn proven(text: &str) -> (Policy, Vec<Finding>) {
    let checked = surroundings(|surroundings| check(text, "afk.toml", surroundings));
    let policy = checked.policy.unwrap_or_else(|| panic!("{:#?}", checked.findings));
    let findings = verify::prove(&policy).findings;
    (policy, findings)
}

#[test]
fn each_invariant_is_broken_alone_and_refused_where_it_is_broken() {
    for (code, edits, line) in EDITS {
        let text = edited(edits);
        let (policy, findings) = proven(&text);
        let codes: Vec<&str> = findings.iter().map(|finding| finding.code.name()).collect();
        assert!(!codes.is_empty() && codes.iter().all(|one| one == code), "{code}: {findings:#?}");
        let finding = &findings[0];
        let marked = text.lines().nth(policy.line(finding.span) - 1).unwrap();
        assert!(marked.trim_start().starts_with(line), "{code}: {marked}");
        for finding in &findings {
            reproduce::counterexample(&policy, finding).unwrap();
            let Some(shown) = reproduce::shown(finding) else { continue };
            // What must not be dispatched is, so a case of an issue fails; what happens to a run is what it expects.
            let source = |name: &str, text: &str| Source { name: name.to_owned(), text: text.to_owned() };
            let (source, tests) = (source("afk.toml", &text), source("example.test.toml", &shown));
            let run = surroundings(|surroundings| cases::run(&source, &tests, surroundings)).unwrap();
            assert_eq!(run.findings, [], "{shown}");
            assert!(!run.cases.is_empty(), "{shown}");
            let about_issues = shown.contains("issues =");
            assert!(run.cases.iter().all(|case| case.passed() != about_issues), "{code}: {shown}\n{:#?}", run.cases);
        }
        let safe = finding.severity == Severity::Error;
        assert_eq!(safe, !["dead-gate", "dead-row", "unreachable-state"].contains(code), "{code}");
    }
}
