//! The comparison: which edits it tells of, and how.

mod against_engine;
mod edits;
mod lists;

use pretty_assertions::assert_eq;

use super::*;
use crate::policy::{InstalledNames, Surroundings, check};

const SHIPPED: &str = include_str!("../../../../policies/afk.toml");

fn policy(text: &str) -> Policy {
    let prompt = |_: &str| Ok("Work on {{ ref }}.".to_owned());
    let installed = InstalledNames::default();
    let checked = check(text, "afk.toml", &Surroundings { prompt: &prompt, installed: &installed });
    checked.policy.unwrap_or_else(|| panic!("{:?}", checked.findings))
}

fn edited(changes: &[(&str, &str)]) -> Policy {
    let mut text = SHIPPED.to_owned();
    for (before, after) in changes {
        assert!(text.contains(before), "the shipped policy does not hold {before:?}");
        text = text.replacen(before, after, 1);
    }
    policy(&text)
}

fn what(changes: &[(&str, &str)]) -> Vec<String> {
    difference(&policy(SHIPPED), &edited(changes)).unwrap().items.into_iter().map(|item| item.what).collect()
}

#[test]
fn a_policy_does_not_differ_from_itself() {
    for text in [SHIPPED, include_str!("../../../../examples/policies/classic.toml")] {
        assert_eq!(difference(&policy(text), &policy(text)), Ok(Difference::default()));
    }
}

#[test]
fn what_only_looks_different_is_equal_in_meaning() {
    let commented = edited(&[("# ━━ 2. Gates", "# More.\n\n# ━━ 2. Gates")]);
    let found = difference(&policy(SHIPPED), &commented).unwrap();
    assert!(found.is_equal());
    assert_eq!(found.also.len(), 1, "{found:?}");
    assert_eq!(found.also[0].what, "comments, spacing or the order of keys");

    let rewritten = edited(&[("require = { trusted = true }", "require = { not = { trusted = false } }")]);
    let found = difference(&policy(SHIPPED), &rewritten).unwrap();
    assert!(found.is_equal());
    assert_eq!(found.also[0].what, "gate `trust`: it now requires `not (trusted = false)` (was `trusted = true`)");
}

#[test]
fn another_label_to_hold_issues_back_with_is_told_of_runs_too() {
    let found =
        difference(&policy(SHIPPED), &edited(&[("paused      = \"paused\"", "paused      = \"on-hold\"")])).unwrap();
    let of_runs = "putting `paused` on an issue no longer holds its run (row `taken-back`); `on-hold` does now";
    let item = found.items.iter().find(|item| item.what == of_runs).unwrap_or_else(|| panic!("{found:?}"));
    assert_eq!((item.direction, item.place.line), (Direction::Looser, 16));
    let ready = &[("ready       = \"ready-for-agent\"", "ready       = \"go\"")];
    let of_runs = "taking `ready-for-agent` off an issue no longer holds its run (row `taken-back`); `go` does now";
    assert!(what(ready).contains(&of_runs.to_owned()), "{:?}", what(ready));
    // Letter case does not tell labels apart.
    assert!(!what(&[("\"paused\"", "\"Paused\"")]).iter().any(|what| what.contains("holds its run")));
}

#[test]
fn many_entries_of_one_list_are_one_change() {
    let list = |count: usize| (0..count).map(|number| format!("\"u{number:04}\"")).collect::<Vec<_>>().join(", ");
    let logins = |count| format!("logins      = [{}]", list(count));
    assert_eq!(what(&[("logins      = []", &logins(5))]).len(), 5);
    let (many, turns) = (logins(3_000), ("fix_forward_attempts = 5", "fix_forward_attempts = 8"));
    let found = what(&[("logins      = []", &many), turns]);
    assert_eq!(found[0], "people called `u0000`, `u0001`, `u0002` and 2997 more may arm issues");
    assert!(found[1].starts_with("red CI gets up to 8 corrective turns") && found.len() == 2, "{found:?}");
    let enrolled = format!("allowlist   = [{}]", list(7).replace("\"u", "\"acme/u"));
    let found = difference(&policy(SHIPPED), &edited(&[("allowlist   = []", &enrolled)])).unwrap();
    assert_eq!(found.items[0].what, "issues in `acme/u0000`, `acme/u0001`, `acme/u0002` and 4 more may be dispatched");
    assert_eq!((found.items.len(), found.items[0].details.len(), found.also), (1, 5, vec![]));
    let paths = what(&[(
        "paths = [\".github/**\", \".forgejo/**\", \".woodpecker/**\", \".woodpecker.yml\", \"policies/**\", \"**/AGENTS.md\", \"**/CLAUDE.md\"]",
        "paths = []",
    )]);
    assert_eq!(
        paths[0],
        "`.github/**`, `.forgejo/**`, `.woodpecker/**` and 4 more are no longer protected: runs that change them are judged by CI alone"
    );
}

#[test]
fn of_long_texts_the_part_that_differs_is_shown() {
    let long = "A".repeat(400);
    let comment = |end: &str| format!("Nothing was reverted. {long} {end}");
    let (old, new) = (comment("keep it"), comment("drop it"));
    let found =
        difference(&edited(&[("Nothing was reverted.", &old)]), &edited(&[("Nothing was reverted.", &new)])).unwrap();
    let also = &found.also[0].what;
    assert!(
        also.starts_with("comment `frozen`: `…AAAA")
            && also.contains("A keep it` → `…AAAA")
            && also.ends_with("A drop it`"),
        "{also}"
    );
    let model = format!("model        = \"{}\"", "x".repeat(300));
    let found = what(&[("model        = \"claude-sonnet-4-6\"", &model)]);
    assert!(found[0].ends_with("xxx…` (was `claude-sonnet-4-6`)"), "{found:?}");
}

#[test]
fn the_plainest_example_leads() {
    let landed = (
        "touched_protected = false, ci = \"green\", agent = \"idle\"",
        "touched_protected = false, ci = [\"green\", \"red\"], agent = \"idle\"",
    );
    let found = difference(&policy(SHIPPED), &edited(&[landed])).unwrap();
    let item = found.items.iter().find(|item| item.direction == Direction::Looser).unwrap();
    assert!(
        item.what.contains(": in `verifying`: `fix-forward` (→ fixing) becomes `landed` (→ done), and "),
        "{item:?}"
    );

    let guard = SHIPPED.split_once("[[transitions]]\nname   = \"judge-changed\"").unwrap().1;
    let guard = format!("[[transitions]]\nname   = \"judge-changed\"{}", guard.split_once("# Success.").unwrap().0);
    let found = difference(
        &policy(SHIPPED),
        &edited(&[
            (&guard, ""),
            (
                "landed = true, touched_protected = false, ci = \"green\", agent = \"idle\"",
                "landed = true, ci = \"green\", agent = \"idle\"",
            ),
        ]),
    )
    .unwrap();
    for row in ["row `landed`", "row `judge-changed`"] {
        let item = found.items.iter().find(|item| item.what.starts_with(row)).unwrap();
        let line = item.sample.as_ref().unwrap().line();
        assert!(line.contains("touched_protected = true"), "{row}: {line}");
    }
}

#[test]
fn a_rule_that_is_written_otherwise_and_means_the_same_is_named() {
    let found = difference(&policy(SHIPPED), &edited(&[("lt = \"$dispatch.slots_per_repo\"", "lt = 1")])).unwrap();
    assert_eq!(found.items, []);
    let also: Vec<&str> = found.also.iter().map(|remark| remark.what.as_str()).collect();
    assert_eq!(also, ["a rule is written otherwise and means the same today: gate `repo-lock` (line 84)"]);
}

#[test]
fn a_rule_with_another_name_is_the_same_rule() {
    let named = [
        ("name    = \"hold\"", "name    = \"held-back\""),
        ("name   = \"taken-back\"", "name   = \"recalled\""),
        ("[FROZEN]", "[ICE]"),
    ];
    let found = difference(&policy(SHIPPED), &edited(&named)).unwrap();
    assert_eq!(found.items, []);
    let also: Vec<&str> = found.also.iter().map(|remark| remark.what.as_str()).collect();
    assert_eq!(also[..2], ["gate `hold` is called `held-back` now", "row `taken-back` is called `recalled` now"]);
    assert_eq!((also.len(), found.tells_otherwise()), (3, true));
}

#[test]
fn a_state_with_another_name_is_the_same_state() {
    let renamed = SHIPPED.replace("\"verifying\"", "\"checking\"").replace("verifying   =", "checking    =");
    let found = difference(&policy(SHIPPED), &policy(&renamed)).unwrap();
    let told: Vec<_> = found.items.iter().map(|item| item.what.as_str()).collect();
    assert_eq!(told, ["state `verifying` is called `checking` now; runs in it go on from `working`"]);
    assert_eq!(found.also, []);
}

#[test]
fn runs_of_a_state_that_is_gone_are_compared_with_those_of_the_initial_state() {
    let classic = policy(include_str!("../../../../examples/policies/classic.toml"));
    let found = difference(&classic, &policy(SHIPPED)).unwrap();
    let told = |what: &str| found.items.iter().any(|item| item.what.starts_with(what));
    assert!(told("row `overdue` is new: in `in-flight`: waiting becomes `overdue` (→ frozen)"), "{found:?}");
    assert!(told("state `in-flight` is gone; runs in it go on from `working`"), "{found:?}");
    assert!(told("state `fixing` is new: runs can come to rest in it"), "{found:?}");
    // No row that decides something is said to decide nothing.
    let idle: Vec<_> = found.also.iter().filter(|remark| remark.what.starts_with("row ")).collect();
    assert!(idle.iter().all(|remark| !remark.what.contains("`overdue`")), "{idle:?}");
}

#[test]
fn a_row_with_another_name_decides_nothing_else() {
    let found = difference(&policy(SHIPPED), &edited(&[("name   = \"overdue\"", "name   = \"too-old\"")])).unwrap();
    assert!(found.is_equal(), "{found:?}");
    let told: Vec<_> = found.also.iter().map(|remark| remark.what.as_str()).collect();
    assert_eq!(told, ["row `overdue` is called `too-old` now"]);
}

#[test]
fn the_line_is_the_one_of_the_constant_or_rule_that_was_edited() {
    let line = |needle: &str| SHIPPED.lines().position(|line| line.contains(needle)).unwrap() + 1;
    for (before, after, needle) in [
        ("run_timeout          = \"24h\"", "run_timeout          = \"48h\"", "run_timeout "),
        ("slots_per_repo = 1", "slots_per_repo = 2", "slots_per_repo = "),
        ("touched_protected = true", "touched_protected = false", "touched_protected = true"),
        ("permissions = [\"admin\", ", "permissions = [", "permissions = "),
        ("runtime_mode = \"full-access\"", "runtime_mode = \"ask\"", "runtime_mode ="),
        ("executor     = \"t3\"", "archive = true\nexecutor     = \"t3\"", "executor     = \"t3\""),
    ] {
        let found = difference(&policy(SHIPPED), &edited(&[(before, after)])).unwrap();
        assert!(found.items.iter().all(|item| item.place.line == line(needle)), "{needle}: {found:?}");
    }
}

#[test]
fn a_constant_is_blamed_only_where_it_changes_what_a_row_asks() {
    let start = SHIPPED.find("[[transitions]]\nname   = \"freeze\"").unwrap();
    let end = start + SHIPPED[start..].find("\n\n").unwrap() + 2;
    let freeze = &SHIPPED[start..end];
    let above = SHIPPED.find("[[transitions]]\nname = \"fix-forward\"").unwrap();
    let text = format!("{}{freeze}{}{}", &SHIPPED[..above], &SHIPPED[above..start], &SHIPPED[end..]);
    let moved = policy(&text.replace("fix_forward_attempts = 5 ", "fix_forward_attempts = 50"));
    let found = difference(&policy(SHIPPED), &moved).unwrap();
    let turns = found.items.iter().filter(|item| item.what.contains("corrective turns"));
    assert!(turns.clone().all(|item| item.direction == Direction::Looser), "{found:?}");
    let order = found.items.iter().find(|item| item.what.contains("stands in another place")).unwrap();
    assert_eq!(order.direction, Direction::Tighter, "{found:?}");
    assert!(found.also.iter().all(|remark| !remark.what.contains("order of the rows")), "{found:?}");
}

#[test]
fn an_example_says_what_a_test_case_would_take_otherwise() {
    let found =
        difference(&policy(SHIPPED), &edited(&[("fix_forward_attempts = 5", "fix_forward_attempts = 8")])).unwrap();
    let facts = found.items[0].sample.as_ref().unwrap().facts();
    assert!(
        facts.contains(&("pushed", "true".to_owned())) && facts.contains(&("landed", "false".to_owned())),
        "{facts:?}"
    );
}

#[test]
fn an_action_that_does_less_is_one_item_with_what_it_did_before_and_does_now() {
    let freeze = SHIPPED.lines().find(|line| line.starts_with("freeze  ")).unwrap();
    let found = difference(&policy(SHIPPED), &edited(&[(freeze, &freeze.replace(", \"interrupt\"", ""))])).unwrap();
    let told: Vec<_> = found.items.iter().map(|item| item.direction).collect();
    assert_eq!(told, [Direction::Looser], "{found:?}");
    let sample = found.items[0].sample.as_ref().unwrap();
    assert!(sample.before.contains("interrupt]") && !sample.after.contains("interrupt"), "{sample:?}");

    let closes = edited(&[("{ close = \"completed\" }, ", "")]);
    let found = difference(&policy(SHIPPED), &closes).unwrap();
    assert!(found.items.iter().all(|item| item.direction == Direction::Different), "{found:?}");
}

#[test]
fn what_a_state_counts_as_is_said_once() {
    let frozen = "Left as it is for a person\", outcome = \"human\"";
    let found = difference(&policy(SHIPPED), &edited(&[(frozen, &frozen.replace("human", "success"))])).unwrap();
    let told: Vec<_> = found.items.iter().map(|item| item.what.as_str()).collect();
    assert_eq!(told, ["state `frozen` counts as success (was human)"]);
    let line = SHIPPED.lines().position(|line| line.contains(frozen)).unwrap() + 1;
    assert_eq!((found.items[0].place.line, found.also), (line, Vec::new()));
}

#[test]
fn the_line_of_an_override_is_its_own() {
    let own = "[repos.\"acme/app\"]\nagent.model = \"other\"\nprotect.paths = [\"x/**\"]\npriority.default = 7\n# [repos.\"acme/app\"]";
    let new = edited(&[("# [repos.\"acme/app\"]", own)]);
    let found = difference(&policy(SHIPPED), &new).unwrap();
    let lines: Vec<&str> = new.source.text.lines().collect();
    for (what, needle) in
        [("`agent.model`", "agent.model"), ("protected", "protect.paths"), ("priority", "priority.default")]
    {
        let item = found.items.iter().find(|item| item.what.contains(what)).unwrap();
        assert!(lines[item.place.line - 1].starts_with(needle), "{item:?}");
    }
}

#[test]
fn an_override_is_compared_where_it_holds() {
    let own = (
        "# [repos.\"acme/app\"]\n# limits.run_timeout = \"48h\"",
        "[repos.\"acme/app\"]\nlimits.run_timeout = \"48h\"",
    );
    let paused = ("# [repos.\"acme/app\"]", "[repos.\"acme/app\"]\npaused = \"freeze\"\n# [repos.\"acme/app\"]");
    let found = difference(&policy(SHIPPED), &edited(&[own])).unwrap();
    assert!(!found.items.is_empty() && found.items.iter().all(|item| item.scopes == ["acme/app"]));
    assert_eq!(what(&[paused]), ["paused, nothing is dispatched: `freeze`"]);
}

#[test]
fn rules_too_entangled_to_compare_are_an_error() {
    // Each row asks whether the labels match in pairs that lie far apart in the order of the variables.
    let pairs: Vec<String> = (0..24)
        .map(|n| {
            format!(
                "{{ any = [{{ labels = {{ has_all = [\"a{n:02}\", \"z{:02}\"] }} }}, {{ labels = {{ has_none = [\"a{n:02}\", \"z{:02}\"] }} }}] }}",
                (n * 7) % 24,
                (n * 7) % 24
            )
        })
        .collect();
    let gate = format!(
        "[[gates]]\nname = \"pairs\"\nrequire = {{ all = [{}] }}\nmessage = \"no\"\n\n[[gates]]\nname    = \"blocked-by\"",
        pairs.join(", ")
    );
    let entangled = edited(&[("[[gates]]\nname    = \"blocked-by\"", &gate)]);
    assert_eq!(difference(&policy(SHIPPED), &entangled), Err(TooLarge { scope: None }));
}

#[test]
fn no_value_of_a_policy_can_be_edited_in_silence() {
    let old = policy(SHIPPED);
    let prompt = |_: &str| Ok("Work on {{ ref }}.".to_owned());
    let installed = InstalledNames::default();
    let surroundings = Surroundings { prompt: &prompt, installed: &installed };
    let mut edited = 0;
    let mut start = 0;
    for line in SHIPPED.split_inclusive('\n') {
        let code = line.split('#').next().unwrap();
        for (at, _) in code.match_indices(|letter: char| letter == '"' || letter.is_ascii_digit()) {
            // A text gets one more letter, a number one more digit; most are then something else that can be.
            let (place, more) = match code.as_bytes()[at] {
                b'"' => (start + at, "x"),
                _ => (start + at + 1, "1"),
            };
            let new = check(&format!("{}{more}{}", &SHIPPED[..place], &SHIPPED[place..]), "afk.toml", &surroundings);
            let Some(new) = new.policy else { continue };
            let found = difference(&old, &new).unwrap();
            let is_comment = |remark: &Remark| remark.what.starts_with("comments, ");
            assert!(!found.is_equal() || !found.also.iter().any(is_comment), "{line}: {more} at {at}: {found:?}");
            edited += 1;
        }
        start += line.len();
    }
    assert!(edited > 60, "{edited}");
}
