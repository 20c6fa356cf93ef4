//! `afk graph`, as its user meets it.

mod support;

#[path = "support/local.rs"]
mod local;

use std::collections::BTreeSet;

use insta::assert_snapshot;
use local::Installation;
use pretty_assertions::assert_eq;
use support::Test;

/// Titles that mean something to Mermaid, Markdown, HTML, YAML or DOT.
const HOSTILE: [(&str, &str); 3] = [
    ("Agent at work, nothing pushed yet", r#"\"]; x -> y [label=\"\\\" \\N \\"#),
    ("Pushed, waiting for CI", "<script>&lt;b&gt; --> end: %% {{ #35; }} ; note [*]"),
    ("CI was red, the agent is correcting it", "**a** `b` 1. c\\n state \\\"x\\\" as y\\u202e | ::: é 🦀"),
];

fn drawn(changes: &[(&str, &str)], format: &str) -> String {
    let ran = Test::new().shipped_policy(changes).args(["graph", "--format", format]).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    ran.stdout
}

/// A small machine.
fn classic(format: &str) -> String {
    let policy = support::repository().join("examples/policies/classic.toml");
    let policy = std::fs::read_to_string(policy).unwrap().replace("../../policies/prompts/", "prompts/");
    let ran =
        Test::new().shipped_policy(&[]).file("policies/afk.toml", policy).args(["graph", "--format", format]).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    ran.stdout
}

#[test]
fn a_small_machine_as_mermaid() {
    assert_snapshot!(classic("mermaid"), @r##"
    stateDiagram-v2
        state "in-flight" as s_in_flight
        s_in_flight: An agent has it
        state "done" as s_done
        s_done: Landed
        state "frozen" as s_frozen
        s_frozen: CI stayed red, left as it is
        state "needs-human" as s_needs_human
        s_needs_human: Nothing was pushed

        [*] --> s_in_flight
        s_in_flight --> s_done: 1 green / close
        s_in_flight --> s_in_flight: 2 correct / correct
        s_in_flight --> s_frozen: 3 red / hand-over
        s_in_flight --> s_needs_human: 4 nothing-pushed / hand-over
        s_done --> [*]: success
        s_frozen --> [*]: human
        s_needs_human --> [*]: human

        classDef success fill:#dafbe1,stroke:#1a7f37,color:#1f2328
        class s_done success
        classDef human fill:#fff8c5,stroke:#9a6700,color:#1f2328
        class s_frozen,s_needs_human human
    "##);
}

#[test]
fn a_small_machine_as_dot() {
    assert_snapshot!(classic("dot"), @r##"
    digraph afk {
        graph [fontname="sans-serif"]
        node [shape=box, style="rounded,filled", fillcolor=white, fontname="sans-serif"]
        edge [fontname="sans-serif", fontsize=10]

        "[start]" [shape=point, width=0.2, fillcolor=black, label=""]
        "in-flight" [label="in-flight\nAn agent has it"]
        "done" [label="done\nLanded\n(success)", peripheries=2, fillcolor="#dafbe1"]
        "frozen" [label="frozen\nCI stayed red, left as it is\n(human)", peripheries=2, fillcolor="#fff8c5"]
        "needs-human" [label="needs-human\nNothing was pushed\n(human)", peripheries=2, fillcolor="#fff8c5"]

        "[start]" -> "in-flight"
        "in-flight" -> "done" [label="1 green / close\l"]
        "in-flight" -> "in-flight" [label="2 correct / correct\l"]
        "in-flight" -> "frozen" [label="3 red / hand-over\l"]
        "in-flight" -> "needs-human" [label="4 nothing-pushed / hand-over\l"]
    }
    "##);
}

#[test]
fn every_row_stands_on_an_arrow_and_rows_of_every_active_state_stand_on_one() {
    let policy: toml::Table = std::fs::read_to_string("policies/afk.toml").unwrap().parse().unwrap();
    for format in ["mermaid", "dot"] {
        let drawn = drawn(&[], format);
        let shown: Vec<String> = drawn
            .lines()
            .filter(|line| line.contains("->"))
            .filter_map(|line| line.split_once(": ").or_else(|| line.split_once("[label=\"")))
            .flat_map(|(_, label)| label.replace("\\l", "<br/>").split("<br/>").map(str::to_owned).collect::<Vec<_>>())
            .collect();
        for (index, row) in policy["transitions"].as_array().unwrap().iter().enumerate() {
            let row_and_number = format!("{} {}", index + 1, row["name"].as_str().unwrap());
            let times = shown.iter().filter(|line| line.split(" / ").next() == Some(&*row_and_number)).count();
            assert_eq!(times, row["from"].as_array().map_or(1, Vec::len), "{format}: {row_and_number}\n{drawn}");
        }
    }
}

#[test]
fn an_operators_title_is_shown_and_never_obeyed() {
    for format in ["mermaid", "dot"] {
        let (plain, hostile) = (drawn(&[], format), drawn(&HOSTILE, format));
        let lines = |drawn: &str| drawn.lines().map(|line| line.split(['"', ':']).next().unwrap().to_owned()).collect();
        let (plain_lines, hostile_lines): (Vec<String>, Vec<String>) = (lines(&plain), lines(&hostile));
        assert_eq!(plain_lines, hostile_lines, "{format}: another structure\n{hostile}");
        assert!(!hostile.contains('\u{202e}'), "{format}");
        if format == "mermaid" {
            let allowed = |letter: char| letter.is_alphanumeric() || " ,./-#;".contains(letter);
            for line in hostile.lines().filter(|line| line.starts_with("    s_") && line.contains(": ")) {
                let text = line.split_once(": ").unwrap().1.replace("<br/>", " ");
                assert!(text.chars().all(allowed) && !text.contains("--"), "{line}");
            }
        }
    }
}

#[test]
fn a_policy_that_cannot_be_used_is_not_drawn() {
    let ran = Test::new().shipped_policy(&[("to   = \"verifying\"", "to   = \"nowhere\"")]).args(["graph"]).run();
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("nowhere") && !ran.stdout.contains("stateDiagram"), "{}", ran.stdout);
}

/// The lines in which two drawings differ, those of the second.
fn added(before: &str, after: &str) -> Vec<String> {
    let before: BTreeSet<&str> = before.lines().collect();
    let lines = after.lines().filter(|line| !before.contains(line));
    lines
        .map(|line| line.trim().replace("#58;", ":").replace("#35;", "#").replace("#40;", "(").replace("#41;", ")"))
        .collect()
}

#[test]
fn where_a_run_stands_is_marked_and_so_is_the_row_that_is_next() {
    let afk = Installation::new();
    afk.armed(1);
    afk.issue(2, "not armed", "", "");
    let plain = afk.afk(&["graph"]).stdout;

    let unarmed = afk.afk(&["graph", "--issue", "2"]);
    assert_eq!(unarmed.code, 0, "{}", unarmed.stderr);
    assert_eq!(
        added(&plain, &unarmed.stdout),
        ["---", "title: \"greeter#2 NOT ARMED: it does not carry ready-for-agent\"", "---",]
    );

    afk.poll();
    let running = afk.afk(&["graph", "--issue", "greeter#1"]);
    assert_eq!(running.code, 0, "{}", running.stderr);
    local::filtered(&afk, || {
        assert_snapshot!(added(&plain, &running.stdout).join("\n"), @r##"
        ---
        title: "greeter#1 WORKING: Agent at work, nothing pushed yet"
        ---
        state "▶ working" as s_working
        any_active --> s_frozen: 8 over-budget<br/>▶ 9 overdue (at [time], if nothing else happens)<br/>10 unreachable<br/>/ freeze
        classDef here fill:#ddf4ff,stroke:#0969da,stroke-width:3px,color:#1f2328
        class s_working here
        "##);
    });
    let dot = afk.afk(&["graph", "--issue", "1", "--format", "dot"]).stdout;
    assert!(dot.contains("\"working\" [label=\"▶ working\\nAgent at work, nothing pushed yet\", color="), "{dot}");

    afk.happens(1, "ada", "unlabeled", "ready-for-agent");
    let taken_back = added(&plain, &afk.afk(&["graph", "--issue", "1"]).stdout).join("\n");
    assert!(taken_back.contains("any_active --> s_released: ▶ 1 taken-back (at the next watch)"), "{taken_back}");
}
