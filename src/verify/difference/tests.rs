//! The comparison, held against the engine.

use std::time::Duration;

use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;
use crate::engine::select::{Candidate, Outcome, select};
use crate::engine::step::{Circumstances, End, advance};
use crate::policy::facts::{
    AgentStatus, CiStatus, FactName, Given, IssueFact, IssueFacts, IssueStatus, Observed, PullRequestStatus, RunFact,
    RunFacts,
};
use crate::policy::{
    Condition, Effect, InstalledNames, Matcher, Quantity, RepoList, RepoPattern, Rules, Surroundings, Test, check,
};
use crate::verify::domain::Chosen;

const SHIPPED: &str = include_str!("../../../policies/afk.toml");

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
    for text in [SHIPPED, include_str!("../../../examples/policies/classic.toml")] {
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
fn a_denylist_wins_over_a_wider_allowlist() {
    let allowed = &[("allowlist   = []", "allowlist   = [\"acme/*\"]")];
    let denied = &[allowed[0], ("denylist    = []", "denylist    = [\"acme/pay-*\"]")];
    let found = difference(&edited(allowed), &edited(denied)).unwrap();
    let told: Vec<_> = found.items.iter().map(|item| (item.direction, item.what.as_str(), item.place.line)).collect();
    // What follows from it for gates and for turns of runs is not said besides.
    assert_eq!(
        told,
        [(Direction::Tighter, "issues in `acme/pay-*` are no longer dispatched: it is on the denylist", 10)]
    );
    let found = difference(&edited(denied), &edited(allowed)).unwrap();
    let told: Vec<_> = found.items.iter().map(|item| (item.direction, item.what.as_str())).collect();
    assert_eq!(
        told,
        [(Direction::Looser, "issues in `acme/pay-*` may be dispatched: it is no longer on the denylist")]
    );
    // A repository that the wider entry has enrolled already is no news.
    let narrower = &[("allowlist   = []", "allowlist   = [\"acme/*\", \"acme/app\"]")];
    assert!(difference(&edited(allowed), &edited(narrower)).unwrap().is_equal());
}

const APP: (&str, &str) = ("allowlist   = []", "allowlist   = [\"app\"]");
const APP_AND_ACME: (&str, &str) = ("allowlist   = []", "allowlist   = [\"app\", \"acme/*\"]");
const PAYMENTS_DENIED: (&str, &str) = ("denylist    = []", "denylist    = [\"acme/payments\"]");

#[test]
fn what_is_enrolled_and_denied_in_one_edit_is_not_said_to_be_off_the_allowlist() {
    let except = "issues in `acme/*` except `acme/payments` (denylist) may be dispatched";
    let enrolled = (Direction::Looser, except.to_owned());
    for denied_before in [OPEN, PAYMENTS_DENIED] {
        assert_eq!(told(&[APP, denied_before], &[APP_AND_ACME, PAYMENTS_DENIED]), std::slice::from_ref(&enrolled));
    }
    let exactly = ("allowlist   = []", "allowlist   = [\"app\", \"acme/payments\"]");
    let found = difference(&edited(&[APP]), &edited(&[exactly, PAYMENTS_DENIED])).unwrap();
    assert_eq!(found.items, []);
    let also = "`acme/payments` is new on the allowlist: it is not enrolled, as the denylist names `acme/payments`";
    assert_eq!(found.also.iter().map(|one| one.what.as_str()).collect::<Vec<_>>(), [also]);
    assert_eq!(
        told(&[exactly, PAYMENTS_DENIED], &[APP]),
        [(
            Direction::Different,
            "`acme/payments` is on neither list any more: nothing is dispatched there, as before".to_owned()
        )]
    );
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

const OPEN: (&str, &str) = ("denylist    = []", "denylist    = []");
const OTHER_DENIED: (&str, &str) = ("denylist    = []", "denylist    = [\"other/*\"]");
const ACME: (&str, &str) = ("allowlist   = []", "allowlist   = [\"acme/*\"]");
const BOTH: (&str, &str) = ("allowlist   = []", "allowlist   = [\"acme/*\", \"other/*\"]");
const EDITS_PASS: (&str, &str) = (
    "require = { edited_since_armed = false }",
    "require = { any = [{ edited_since_armed = false }, { repo = { in = [\"other/*\"] } }] }",
);
const NO_BUDGET: (&str, &str) =
    ("when   = { cost_usd = { gt", "when   = { repo = { not_in = [\"other/*\"] }, cost_usd = { gt");

const NO_FIX: (&str, &str) = ("told     = false\n", "told     = false\nrepo     = { not_in = [\"other/*\"] }\n");

fn told(old: &[(&str, &str)], new: &[(&str, &str)]) -> Vec<(Direction, String)> {
    let found = difference(&edited(old), &edited(new)).unwrap();
    found.items.into_iter().map(|item| (item.direction, item.what)).collect()
}

#[test]
fn an_edit_of_the_denylist_hides_no_loosened_gate() {
    for allowed in [ACME, BOTH] {
        let (old, new) = (edited(&[allowed, OTHER_DENIED]), edited(&[allowed, OPEN, EDITS_PASS]));
        let found = difference(&old, &new).unwrap();
        let [list, gate] = found.items.as_slice() else { panic!("{found:?}") };
        assert_eq!((list.direction, gate.direction), (Direction::Looser, Direction::Looser));
        assert!(list.what.contains("no longer on the denylist"), "{list:?}");
        assert!(gate.what.starts_with("`unchanged` lets more issues pass"), "{gate:?}");
        assert_eq!(gate.sample.as_ref().unwrap().line(), "`other/app`: `edited_since_armed = true`");
        assert_eq!(found.also, []);
    }
}

#[test]
fn an_edit_of_the_denylist_hides_no_changed_row() {
    for allowed in [ACME, BOTH] {
        for (old, new) in [(OTHER_DENIED, OPEN), (OPEN, OTHER_DENIED)] {
            let found = difference(&edited(&[allowed, old]), &edited(&[allowed, new, NO_BUDGET])).unwrap();
            let is_of_list = |item: &&Item| item.what.contains("on the denylist");
            let (of_list, others): (Vec<&Item>, Vec<&Item>) = found.items.iter().partition(is_of_list);
            assert_eq!((of_list.len(), others.is_empty()), (1, false), "{found:?}");
            for item in others {
                assert!(item.what.starts_with("row `over-budget`: it "), "{item:?}");
                assert_eq!(item.sample.as_ref().unwrap().repo(), "other/app");
            }
            assert_eq!(found.also, []);
        }
    }
}

#[test]
fn a_row_that_sends_no_turn_to_denied_repositories_changes_nothing_for_them() {
    for (old, new) in [(OTHER_DENIED, OPEN), (OPEN, OTHER_DENIED)] {
        let found = difference(&edited(&[BOTH, old]), &edited(&[BOTH, new, NO_FIX])).unwrap();
        let [list] = found.items.as_slice() else { panic!("{found:?}") };
        assert!(list.what.contains("on the denylist"), "{list:?}");
        let row = |remark: &Remark| remark.what.starts_with("row `fix-forward`: it now also requires");
        assert!(found.also.iter().any(row), "{found:?}");
    }
}

#[test]
fn a_denylist_that_names_others_is_told_of_even_while_nothing_is_allowed() {
    assert_eq!(
        told(&[OTHER_DENIED], &[OPEN]),
        [(
            Direction::Looser,
            "`other/*` is no longer on the denylist: that changes nothing today, as it is not on the allowlist"
                .to_owned()
        )]
    );
    assert_eq!(
        told(&[ACME, OPEN], &[ACME, OTHER_DENIED]),
        [(
            Direction::Tighter,
            "`other/*` is now on the denylist: that changes nothing today, as it is not on the allowlist".to_owned()
        )]
    );
    // What another entry denies already is no news.
    let twice = ("denylist    = []", "denylist    = [\"other/*\", \"other/app\"]");
    assert_eq!(told(&[OTHER_DENIED], &[twice]), []);
}

#[test]
fn a_gate_that_lets_denied_repositories_pass_is_not_explained_by_the_denylist() {
    let pass =
        ("require = { trusted = true }", "require = { any = [{ trusted = true }, { repo = { in = \"$denylist\" } }] }");
    let open = ("in = \"$allowlist\", not_in = \"$denylist\"", "in = \"$allowlist\"");
    let told = told(&[BOTH, open, pass], &[BOTH, OTHER_DENIED, open, pass]);
    assert!(told.iter().any(|(way, what)| *way == Direction::Looser && what.contains("`trust`")), "{told:?}");
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
    let classic = policy(include_str!("../../../examples/policies/classic.toml"));
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

// What the comparison says and the engine does.

/// An edit of the rules, by numbers that are taken modulo what there is.
#[derive(Debug, Clone, Copy)]
enum Edit {
    DropGate(usize),
    NegateGate(usize),
    DropRow(usize),
    MoveRow(usize, usize),
    DropPart(usize, usize),
    NegatePart(usize, usize),
    Double(usize),
    Action(usize, usize),
    From(usize, usize),
    To(usize, usize),
    DropEffect(usize),
    Spare(usize, usize),
    SpareRow(usize, usize),
}

/// Repositories that edits speak of.
const LISTS: [&[&str]; 4] = [&[], &["other/*"], &["acme/app"], &["other/app", "acme/*"]];

fn list(index: usize, is_denylist: bool) -> RepoList {
    let patterns = LISTS[index % LISTS.len()].iter().map(|one| RepoPattern::parse(one).unwrap()).collect();
    RepoList { patterns, is_allowlist: false, is_denylist }
}

fn repo_in<F: FactName>(fact: F, index: usize) -> Condition<F> {
    Condition::Test(Test { fact, matcher: Matcher::In(list(index, false)), span: Span::default() })
}

/// The policy with this denylist.
fn denying(policy: &Policy, index: usize) -> Policy {
    let mut policy = policy.clone();
    policy.denylist.value = list(index, true).patterns;
    for gate in &mut policy.base.gates {
        gate.require = causes::under(&gate.require, &policy.denylist.value);
    }
    policy
}

fn apply(rules: &mut Rules, edit: Edit) {
    let rows = rules.transitions.len();
    match edit {
        Edit::DropGate(gate) => {
            rules.gates.remove(gate % rules.gates.len());
        }
        Edit::NegateGate(gate) => {
            let count = rules.gates.len();
            let gate = &mut rules.gates[gate % count];
            gate.require = Condition::Not(Box::new(gate.require.clone()));
        }
        Edit::DropRow(row) => {
            rules.transitions.remove(row % rows);
        }
        Edit::MoveRow(row, to) => {
            let row = rules.transitions.remove(row % rows);
            rules.transitions.insert(to % rows, row);
        }
        Edit::DropPart(row, part) => {
            if let Condition::All(parts) = &mut rules.transitions[row % rows].when {
                parts.remove(part % parts.len());
            }
        }
        Edit::NegatePart(row, part) => {
            if let Condition::All(parts) = &mut rules.transitions[row % rows].when {
                let count = parts.len();
                parts[part % count] = Condition::Not(Box::new(parts[part % count].clone()));
            }
        }
        Edit::Double(row) => double(&mut rules.transitions[row % rows].when),
        Edit::Action(row, action) => {
            let names: Vec<String> = rules.actions.keys().cloned().collect();
            let row = &mut rules.transitions[row % rows];
            if row.action.is_some() {
                row.action = Some(names[action % names.len()].clone());
            }
        }
        Edit::From(row, state) => {
            let states = ["working", "verifying", "fixing"];
            let row = &mut rules.transitions[row % rows];
            let state = states[state % 3].to_owned();
            match row.from.iter().position(|one| *one == state) {
                Some(index) => {
                    row.from.remove(index);
                }
                None if row.to != state => row.from.push(state),
                None => {}
            }
        }
        Edit::To(row, state) => {
            let row = &mut rules.transitions[row % rows];
            if row.action.is_some() {
                row.to = rules.states[state % rules.states.len()].name.clone();
            }
        }
        Edit::Spare(gate, repos) => {
            let count = rules.gates.len();
            let gate = &mut rules.gates[gate % count];
            gate.require = Condition::Any(vec![gate.require.clone(), repo_in(IssueFact::Repo, repos)]);
        }
        Edit::SpareRow(row, repos) => {
            let row = &mut rules.transitions[row % rows];
            let spared = Condition::Not(Box::new(repo_in(RunFact::Repo, repos)));
            row.when = Condition::All(vec![row.when.clone(), spared]);
        }
        Edit::DropEffect(action) => {
            let count = rules.actions.len();
            let effects = rules.actions.values_mut().nth(action % count).unwrap();
            effects.pop();
        }
    }
}

fn double(condition: &mut Condition<RunFact>) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter_mut().for_each(double),
        Condition::Not(part) => double(part),
        Condition::Test(test) => match &mut test.matcher {
            Matcher::Compare(_, Quantity::Duration(bound)) => *bound *= 2,
            Matcher::Compare(_, Quantity::Int(bound)) => *bound *= 2,
            Matcher::OneOf(words) if words.len() > 1 => {
                words.pop();
            }
            _ => {}
        },
    }
}

fn edits() -> impl Strategy<Value = Edit> {
    let number = 0..100_usize;
    prop_oneof![
        number.clone().prop_map(Edit::DropGate),
        number.clone().prop_map(Edit::NegateGate),
        number.clone().prop_map(Edit::DropRow),
        (number.clone(), number.clone()).prop_map(|(row, to)| Edit::MoveRow(row, to)),
        (number.clone(), number.clone()).prop_map(|(row, part)| Edit::DropPart(row, part)),
        (number.clone(), number.clone()).prop_map(|(row, part)| Edit::NegatePart(row, part)),
        number.clone().prop_map(Edit::Double),
        (number.clone(), number.clone()).prop_map(|(row, action)| Edit::Action(row, action)),
        (number.clone(), number.clone()).prop_map(|(row, state)| Edit::From(row, state)),
        (number.clone(), number.clone()).prop_map(|(row, state)| Edit::To(row, state)),
        (number.clone(), number.clone()).prop_map(|(gate, repos)| Edit::Spare(gate, repos)),
        (number.clone(), number.clone()).prop_map(|(row, repos)| Edit::SpareRow(row, repos)),
        number.prop_map(Edit::DropEffect),
    ]
}

/// The policy with this allowlist, wherever it is compared with, and without the kill switch.
fn enrolling(policy: &Policy, repo: Option<&str>) -> Policy {
    fn set(condition: &mut Condition<IssueFact>, list: &[RepoPattern]) {
        match condition {
            Condition::All(parts) | Condition::Any(parts) => parts.iter_mut().for_each(|part| set(part, list)),
            Condition::Not(part) => set(part, list),
            Condition::Test(test) => {
                if let Matcher::In(repos) | Matcher::NotIn(repos) = &mut test.matcher
                    && repos.is_allowlist
                {
                    repos.patterns = list.to_vec();
                }
            }
        }
    }
    let mut policy = policy.clone();
    let list: Vec<RepoPattern> = repo.iter().map(|repo| RepoPattern::parse(repo).unwrap()).collect();
    policy.base.gates.iter_mut().for_each(|gate| set(&mut gate.require, &list));
    policy.allowlist.value = list;
    policy.kill_switch.value = false;
    policy
}

fn is_dispatched(policy: &Policy, facts: &IssueFacts, allowlisted: bool) -> bool {
    let policy = enrolling(policy, allowlisted.then_some(facts.repo.as_str()));
    let trace = select(&policy, &[Candidate { facts: facts.clone(), armed_at: None, created_at: None }], &[]);
    matches!(trace[0].outcome, Outcome::Dispatch(_))
}

/// Where a run is after a tick, and what was done.
fn comes_to(policy: &Policy, state: &str, facts: &RunFacts, allowlisted: bool) -> (String, Vec<Effect>) {
    let rules = &policy.base;
    let enrolled = allowlisted && !policy.denylist.value.iter().any(|pattern| pattern.matches(&facts.repo));
    let advanced = advance(rules, state, facts, Circumstances { kill_switch: false, enrolled });
    match advanced.end {
        End::Act(row) => (row.to.clone(), rules.effects(row).iter().map(|effect| effect.value.clone()).collect()),
        _ => (advanced.state.clone(), Vec::new()),
    }
}

fn given(chosen: &Chosen) -> Given {
    match chosen.clone() {
        Chosen::Unknown => Given::Unknown("for the test".to_owned()),
        Chosen::Bool(value) => Given::Bool(value),
        Chosen::Int(value) => Given::Int(value),
        Chosen::Number(value) => Given::Number(value),
        Chosen::Seconds(seconds) => Given::Duration(Duration::from_secs(seconds)),
        Chosen::Text(text) => Given::Text(text),
        Chosen::Set(set) => Given::Set(set),
    }
}

fn differs(old: &Policy, new: &Policy, sample: &Sample) -> bool {
    let example = &sample.example;
    match &sample.state {
        None => {
            let mut facts = IssueFacts::harmless(&example.repo, 1, "ready-for-agent");
            for (name, chosen) in &example.facts {
                assert!(facts.set(IssueFact::named(name).unwrap(), given(chosen)));
            }
            is_dispatched(old, &facts, example.allowlisted) != is_dispatched(new, &facts, example.allowlisted)
        }
        Some(state) => {
            let mut facts = RunFacts::harmless(&example.repo, "ready-for-agent", "agent-in-progress");
            for (name, chosen) in &example.facts {
                assert!(facts.set(RunFact::named(name).unwrap(), given(chosen)));
            }
            comes_to(old, state, &facts, example.allowlisted) != comes_to(new, state, &facts, example.allowlisted)
        }
    }
}

fn observed<T: Clone + std::fmt::Debug + 'static>(values: Vec<T>) -> impl Strategy<Value = Observed<T>> {
    prop_oneof![
        5 => prop::sample::select(values).prop_map(Observed::Known),
        1 => Just(Observed::Unknown("for the test".to_owned())),
    ]
}

fn lengths() -> impl Strategy<Value = Duration> {
    prop::sample::select(vec![0, 60, 120, 240, 600, 900, 2_700, 3_600, 5_400, 7_200, 14_400, 86_400, 172_800])
        .prop_map(Duration::from_secs)
}

fn repos() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["acme/app", "other/app", "else/site"])
}

/// Issues as the axioms allow them.
fn issues() -> impl Strategy<Value = IssueFacts> {
    let flag = || observed(vec![true, false]);
    let labels = observed(vec![vec![], vec!["paused"], vec!["ready-for-human"], vec!["bug"]]);
    let blockers = observed(vec![vec![], vec!["acme/app#2".to_owned()]]);
    (flag(), flag(), flag(), flag(), labels, blockers, (0..3_i64, repos())).prop_map(
        |(trusted, has_run, already_run, edited, labels, open_blockers, (here, repo))| {
            let mut facts = IssueFacts::harmless(repo, 1, "ready-for-agent");
            let here = if has_run == Observed::Known(true) { here.max(1) } else { here };
            facts.labels =
                labels.map(|labels| labels.into_iter().chain(["ready-for-agent"]).map(str::to_owned).collect());
            facts.in_flight_in_repo = Observed::Known(here);
            facts.in_flight = Observed::Known(here);
            IssueFacts { trusted, has_run, already_run, edited_since_armed: edited, open_blockers, ..facts }
        },
    )
}

/// Runs as the axioms allow them.
fn runs() -> impl Strategy<Value = RunFacts> {
    use {AgentStatus as Agent, CiStatus as Ci, IssueStatus as Issue, PullRequestStatus as PullRequest};
    let agents =
        vec![Agent::Starting, Agent::Running, Agent::Waiting, Agent::Idle, Agent::Failed, Agent::Gone, Agent::Unknown];
    let requests =
        vec![PullRequest::None, PullRequest::Draft, PullRequest::Open, PullRequest::Merged, PullRequest::Closed];
    let of_agent = (
        prop::sample::select(agents),
        observed(vec![false, true]),
        observed(vec![Issue::Open, Issue::Closed, Issue::Gone]),
    );
    let of_code =
        (observed(vec![true, false]), observed(vec![true, false]), observed(requests), observed(vec![true, false]));
    let of_ci =
        (prop::sample::select(vec![Ci::None, Ci::Pending, Ci::Green, Ci::Red, Ci::Unknown]), 0..12_i64, any::<bool>());
    let times = (lengths(), lengths(), lengths(), lengths());
    (of_agent, of_code, of_ci, times, (observed(vec![0.0, 99.0, 150.0]), repos())).prop_map(
        |(of_agent, of_code, of_ci, times, (cost_usd, repo))| {
            let (agent, held, issue) = of_agent;
            let (pushed, landed, pull_request, touched) = of_code;
            let (ci, attempts, told) = of_ci;
            let (age, quiet, verdict_wait, red_for) = times;
            let mut facts = RunFacts::harmless(repo, "ready-for-agent", "agent-in-progress");
            facts = RunFacts {
                agent,
                held,
                issue,
                pull_request,
                touched_protected: touched,
                attempts,
                told,
                cost_usd,
                ..facts
            };
            facts.landed = landed;
            facts.pushed = if facts.landed == Observed::Known(true) { Observed::Known(true) } else { pushed };
            facts.ci = ci;
            if facts.pushed == Observed::Known(false) {
                facts.landed = Observed::Known(false);
                facts.ci = Ci::None;
            }
            if facts.ci == Ci::Green {
                facts.green_stages = Observed::Known(vec!["build".to_owned()]);
            }
            facts.age = age;
            facts.quiet = quiet.min(age);
            facts.red_for = if facts.ci == Ci::Red { red_for.min(age) } else { Duration::ZERO };
            let is_decided = matches!(facts.ci, Ci::Green | Ci::Red);
            facts.verdict_wait = if is_decided { Duration::ZERO } else { verdict_wait.min(age) };
            facts
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_example_is_decided_differently_and_nothing_is_missed(
        edits in prop::collection::vec(edits(), 0..4),
        denylists in (0..LISTS.len(), 0..LISTS.len()),
        issues in prop::collection::vec((issues(), prop::bool::weighted(0.9)), 300),
        runs in prop::collection::vec((runs(), prop::bool::weighted(0.9)), 600),
    ) {
        let old = denying(&policy(SHIPPED), denylists.0);
        // The old rules under the new denylist: what they decide alike is said of the denylist.
        let held = denying(&old, denylists.1);
        let mut new = held.clone();
        edits.iter().for_each(|edit| apply(&mut new.base, *edit));
        let found = difference(&old, &new).unwrap();
        for item in &found.items {
            if let Some(sample) = &item.sample {
                prop_assert!(differs(&old, &new, sample), "{}: {}", item.what, sample.line());
            }
        }
        let said = |state: Option<&str>| found.items.iter().any(|item| match state {
            None => item.sample.as_ref().is_some_and(|sample| sample.state.is_none()),
            Some(state) => item.details.iter().any(|detail| detail.starts_with(&format!("in `{state}`:"))),
        });
        let said_of_denylist = found.items.iter().any(|item| item.what.contains("on the denylist"));
        for (facts, listed) in &issues {
            let after = is_dispatched(&new, facts, *listed);
            if is_dispatched(&old, facts, *listed) != after {
                let is_explained = said_of_denylist && is_dispatched(&held, facts, *listed) == after;
                prop_assert!(is_explained || said(None), "{facts:?}");
            }
        }
        for (facts, listed) in &runs {
            for state in ["working", "verifying", "fixing"] {
                let after = comes_to(&new, state, facts, *listed);
                if comes_to(&old, state, facts, *listed) != after {
                    let is_explained = said_of_denylist && comes_to(&held, state, facts, *listed) == after;
                    prop_assert!(is_explained || said(Some(state)), "{state}: {facts:?}\n{found:?}");
                }
            }
        }
    }
}
