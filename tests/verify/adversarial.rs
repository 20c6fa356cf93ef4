//! Policies made to be hard: each is decided, or refused as too large to prove; none is accepted unproven.

use std::fmt::Write;

use afk::policy::Code;
use afk::verify::{self, Outcome};

use crate::generated::{Dice, HEAD, RUNS, condition, policy};

const LIMITS: &str = "[limits]\nsettle_time = \"2m\"\neffect_timeout = \"1h\"\nedit_window = \"2m\"\nurgent = 1\ncorrections = 2\nrun_timeout = \"2h\"\n[dispatch]\nslots_per_repo = 1\nmax_in_flight = 8\nmax_per_tick = 4\n";
const GATE: &str = "[[gates]]\nname = \"sound\"\nrequire = { trusted = true, has_run = false, already_run = false, open_blockers = { empty = true }, labels = { has_none = [\"ready-for-human\", \"paused\"] }, in_flight_in_repo = { lt = 1 }, repo = { in = \"$allowlist\", not_in = \"$denylist\" } }\nmessage = \"no\"\n";
const STATES: &str =
    "[states]\ns0 = { title = \"zero\", initial = true }\ndone = { title = \"done\", outcome = \"success\" }\n";
const LAST: &str = "[[transitions]]\nname = \"last\"\nfrom = \"*\"\nwhen = { age = { gte = \"24h\" } }\nto = \"done\"\ndo = \"mark\"\n";

fn gate(name: &str, require: &str) -> String {
    format!("[[gates]]\nname = \"{name}\"\nrequire = {require}\nmessage = \"no\"\n")
}

fn row(name: &str, from: &str, when: &str, to: &str, action: &str) -> String {
    let action = if action.is_empty() { String::new() } else { format!("do = \"{action}\"\n") };
    format!("[[transitions]]\nname = \"{name}\"\nfrom = {from}\nwhen = {when}\nto = \"{to}\"\n{action}")
}

/// Proves a policy; whether it was decided.
fn decided(name: &str, text: &str) -> bool {
    let policy = policy(text).unwrap_or_else(|why| panic!("{name}: {why}"));
    let proofs = verify::prove(&policy);
    let refused = proofs.findings.iter().any(|finding| finding.code == Code::TooLargeToProve);
    let undecided = proofs.proofs.iter().filter(|proof| proof.outcome == Outcome::Undecided).count();
    assert_eq!(refused, undecided > 0, "{name}");
    if refused {
        // What was not decided is not said to hold.
        assert!(proofs.proofs.iter().all(|proof| proof.outcome != Outcome::Holds), "{name}");
    }
    !refused
}

#[test]
fn sixty_rows_over_all_facts_are_decided_or_refused() {
    for seed in 0..3 {
        let mut dice = Dice(seed);
        let mut text = format!("{HEAD}{LIMITS}{GATE}[states]\ns0 = {{ title = \"zero\", initial = true }}\n");
        for state in 1..8 {
            writeln!(text, "s{state} = {{ title = \"more\" }}").unwrap();
        }
        text += "done = { title = \"done\", outcome = \"success\" }\n";
        for index in 0..60 {
            let from = dice.roll(8);
            let to = dice.roll(8);
            let action = if from == to { "note" } else { dice.one(&["", "", "note", "turn", "close", "mark"]) };
            let parts: Vec<String> = (0..4).map(|_| condition(&mut dice, RUNS, 0)).collect();
            let when = format!("{{ any = [{}] }}", parts.join(", "));
            text += &row(&format!("r{index}"), &format!("[\"s{from}\"]"), &when, &format!("s{to}"), action);
        }
        text += LAST;
        decided(&format!("60 rows, {seed}"), &text);
    }
}

#[test]
fn sixty_four_gates_over_ten_labels_each_are_decided() {
    let mut text = format!("{HEAD}{LIMITS}");
    for index in 0..64 {
        let labels: Vec<String> = (0..10).map(|label| format!("\"l{index}-{label}\"")).collect();
        text += &gate(&format!("g{index}"), &format!("{{ labels = {{ has_none = [{}] }} }}", labels.join(", ")));
    }
    assert!(decided("64 gates", &format!("{text}{STATES}{LAST}")));
}

#[test]
fn pairs_that_no_order_of_the_facts_suits_are_refused() {
    let pairs: Vec<String> = (0..40)
        .map(|one| format!("{{ labels = {{ has = \"l{one}\" }}, assignees = {{ has = \"a{one}\" }} }}"))
        .collect();
    let hard = gate("pairs", &format!("{{ any = [{}] }}", pairs.join(", ")));
    let text = format!("{HEAD}{LIMITS}{GATE}{hard}{STATES}{LAST}");
    assert!(!decided("pairs", &text));
    // No row is to blame.
    let proofs = verify::prove(&policy(&text).unwrap());
    let finding = proofs.findings.iter().find(|finding| finding.code == Code::TooLargeToProve).unwrap();
    assert!(finding.label.starts_with("the gates from here on combine too many facts"), "{finding:?}");
    assert!(finding.span.start < text.find("[[transitions]]").unwrap(), "{finding:?}");
}

#[test]
fn two_hundred_and_fifty_six_overrides_are_decided_or_refused() {
    let mut text = format!("{HEAD}{LIMITS}");
    for index in 0..256 {
        writeln!(text, "[repos.\"acme/r{index}\"]\nlimits.run_timeout = \"{}s\"", index + 1).unwrap();
    }
    text += &format!("{GATE}{STATES}");
    for index in 0..10 {
        text += &row(
            &format!("r{index}"),
            "[\"s0\"]",
            &format!("{{ attempts = {{ gte = {} }}, quiet = {{ gte = \"$limits.run_timeout\" }} }}", 10 - index),
            "done",
            "mark",
        );
    }
    decided("256 overrides", &format!("{text}{LAST}"));
}

#[test]
fn hundreds_of_constants_are_decided_or_refused() {
    for count in [100, 1_000] {
        let mut text = format!("{HEAD}{LIMITS}{GATE}{STATES}");
        for (index, fact) in ["quiet", "red_for", "verdict_wait", "age"].into_iter().enumerate() {
            let all: Vec<String> = (0..count).map(|one| format!("\"{}s\"", 1 + one * 8 + index * 2)).collect();
            text +=
                &row(&format!("r{index}"), "[\"s0\"]", &format!("{{ {fact} = [{}] }}", all.join(", ")), "done", "mark");
        }
        decided(&format!("{count} constants"), &format!("{text}{LAST}"));
    }
}

#[test]
fn thousands_of_labels_are_refused() {
    let labels: Vec<String> = (0..5_000).map(|label| format!("\"l{label}\"")).collect();
    let hard = gate("labels", &format!("{{ labels = {{ has_none = [{}] }} }}", labels.join(", ")));
    assert!(!decided("5,000 labels", &format!("{HEAD}{LIMITS}{GATE}{hard}{STATES}{LAST}")));
}

#[test]
fn as_many_labels_as_fit_do_not_exhaust_the_stack() {
    let labels: Vec<String> = (0..970).map(|label| format!("\"l{label}\"")).collect();
    let each: Vec<String> = labels.iter().map(|label| format!("{{ labels = {{ has = {label} }} }}")).collect();
    let hard = gate("labels", &format!("{{ not = {{ all = [{}] }} }}", each.join(", ")));
    assert!(!decided("970 labels", &format!("{HEAD}{LIMITS}{GATE}{hard}{STATES}{LAST}")));
}

/// 63 active states, each with a row to some others.
fn web(action: &str) -> String {
    let mut text = format!("{HEAD}{LIMITS}{GATE}[states]\ns0 = {{ title = \"zero\", initial = true }}\n");
    for state in 1..63 {
        writeln!(text, "s{state} = {{ title = \"more\" }}").unwrap();
    }
    text += "done = { title = \"done\", outcome = \"success\" }\n";
    let mut index = 0;
    for from in 0..63 {
        for step in [1, 2, 5, 11] {
            let to = from + step;
            if to < 63 {
                let when = format!("{{ labels = {{ has = \"l{from}-{step}\" }} }}");
                text += &row(&format!("r{index}"), &format!("[\"s{from}\"]"), &when, &format!("s{to}"), action);
                index += 1;
            }
        }
    }
    text + LAST
}

#[test]
fn paths_through_sixty_four_states_are_decided_or_refused() {
    decided("64 states without effects", &web(""));
    decided("64 states with turns", &web("turn"));
}

#[test]
fn ten_thousand_repositories_on_the_denylist_are_decided_or_refused() {
    for star in ["", "*"] {
        let denied: Vec<String> = (0..10_000).map(|one| format!("\"acme/r{one}{star}\"")).collect();
        let text = format!("{HEAD}{LIMITS}{GATE}{STATES}{LAST}");
        let text = text.replacen("allowlist = []", &format!("allowlist = []\ndenylist = [{}]", denied.join(", ")), 1);
        decided(&format!("10,000 denied, r{star}"), &text);
    }
}

#[test]
fn patterns_inside_patterns_are_decided_or_refused() {
    // One pattern for each length of a name, in each gate another choice of them.
    let mut text = format!("{HEAD}{LIMITS}{GATE}");
    for index in 0..60_usize {
        let all: Vec<String> =
            (1..90).filter(|one| one % (index + 2) == 0).map(|one| format!("\"acme/{}*\"", "a".repeat(one))).collect();
        text += &gate(&format!("g{index}"), &format!("{{ repo = {{ not_in = [{}] }} }}", all.join(", ")));
    }
    decided("nested patterns", &format!("{text}{STATES}{LAST}"));
}

/// A policy with that many repositories denied, and that many overrides that the rows ask for.
fn denied(patterns: usize, length: usize, star: &str, overrides: usize) -> String {
    let filler = "r".repeat(length);
    let all: Vec<String> = (0..patterns).map(|one| format!("\"o{}/{filler}{one}{star}\"", one % 50)).collect();
    let head = HEAD.replacen("allowlist = []", &format!("allowlist = []\ndenylist = [{}]", all.join(", ")), 1);
    let repos: String =
        (0..overrides).map(|one| format!("[repos.\"o{one}/r\"]\nlimits.run_timeout = \"{}h\"\n", one + 1)).collect();
    let last = LAST.replace("24h", "$limits.run_timeout");
    format!("{head}{LIMITS}{repos}{GATE}{STATES}{last}")
}

#[test]
fn a_long_denylist_with_many_overrides_is_decided() {
    assert!(decided("300 denied, 20 overrides", &denied(300, 20, "", 20)));
}

#[test]
fn more_repositories_than_can_be_told_apart_are_refused() {
    assert!(!decided("3,000 prefixes denied, 50 overrides", &denied(3_000, 30, "*", 50)));
}

#[test]
fn labels_beyond_the_limit_are_refused_as_too_many() {
    let labels: Vec<String> = (0..1_000).map(|label| format!("\"l{label}\"")).collect();
    let gate = gate("labels", &format!("{{ labels = {{ has_none = [{}] }} }}", labels.join(", ")));
    let policy = policy(&format!("{HEAD}{LIMITS}{GATE}{gate}{STATES}{LAST}")).unwrap();
    let refused = verify::prove(&policy).findings.remove(0);
    assert_eq!(refused.message, "the rules name too many labels, logins and stages to be decided exactly");
    assert_eq!(refused.label, "the gates from here on name more than 1000 of them in all");
}
