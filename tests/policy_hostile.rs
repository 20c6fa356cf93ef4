//! Whatever the text: a clear answer, quickly; never a panic, a hang or a flood.

use std::path::Path;
use std::time::{Duration, Instant};

use afk::policy::{Checked, Code, InstalledNames, Severity, Surroundings, check};
use proptest::prelude::*;

fn judge(text: &str) -> Checked {
    let prompt = |_: &str| Ok("Resolve {{ ref }}.".to_owned());
    check(text, "policy.toml", &Surroundings { prompt: &prompt, installed: &InstalledNames::default() })
}

fn shipped() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/afk.toml")).unwrap()
}

/// Judges on a thread with the smallest stack that tests get, and holds the answer to what every answer must be.
fn refused(text: String) -> Vec<Code> {
    let checked = std::thread::Builder::new()
        .stack_size(2 * 1024 * 1024)
        .spawn(move || {
            let start = Instant::now();
            let checked = judge(&text);
            // A second or two in a debug build; a quadratic reader takes minutes.
            assert!(start.elapsed() < Duration::from_secs(30), "took {:?}", start.elapsed());
            checked
        })
        .unwrap()
        .join()
        .unwrap();
    assert!(checked.policy.is_none());
    assert!(checked.findings.len() <= 201, "{} findings", checked.findings.len());
    for finding in &checked.findings {
        assert!(finding.message.len() < 1_000 && finding.label.len() < 2_000, "{finding:?}");
    }
    checked.findings.iter().filter(|finding| finding.severity == Severity::Error).map(|finding| finding.code).collect()
}

const MEGABYTE: usize = 1024 * 1024;

fn fill(piece: &str) -> String {
    piece.repeat(MEGABYTE / piece.len())
}

#[test]
fn a_megabyte_of_nesting_is_refused_before_it_is_parsed() {
    for piece in ["[", "{a=", "a.", "[a.", "x=[{a=", "\"a\".", "[[", "a=[[", "not={"] {
        // An opening bracket at the start of a line is a header, which does not nest.
        let expected = if piece.starts_with("[") && !piece.contains('.') { Code::Syntax } else { Code::TooLarge };
        assert_eq!(refused(fill(piece)).first(), Some(&expected), "{piece}");
        assert_eq!(refused(format!("x = {}", fill(piece).split_off(8))).first(), Some(&Code::TooLarge), "x = {piece}");
    }
}

#[test]
fn a_megabyte_of_garbage_ends_in_syntax_errors() {
    for piece in
        ["]", "}", "\0", "\"", "'", "=", ",", "\n[", "\n[]", "\n[[", "a\n", "a=\n", "\"\"\"", "\\", "#", "\r", "x=1 "]
    {
        assert!(!refused(fill(piece)).is_empty(), "{piece:?}");
    }
}

#[test]
fn a_megabyte_of_repetition_ends_in_clear_errors() {
    for piece in ["[a]\n", "a=1\n", "[[a]]\n", "[[gates]]\n", "[a.b.c]\n", "é=1\n", "[[gates.require]]\n"] {
        assert!(!refused(fill(piece)).is_empty(), "{piece:?}");
    }
}

#[test]
fn more_than_a_megabyte_is_refused() {
    assert_eq!(refused("#".repeat(MEGABYTE + 1)), [Code::TooLarge]);
}

#[test]
fn a_hundred_thousand_gates_are_refused_once() {
    let gates: String = (0..100_000).map(|_| "[[gates]]\n").collect();
    assert!(refused(format!("version = 1\n{gates}")).contains(&Code::TooLarge));
}

#[test]
fn a_hundred_thousand_unknown_keys_do_not_flood() {
    let keys: String = (0..100_000).map(|n| format!("k{n}=1\n")).collect();
    assert_eq!(refused(keys).len(), 200);
    let states: String = (0..40_000).map(|n| format!("s{n}={{title='x'}}\n")).collect();
    assert!(
        refused(format!("{}\n", shipped().replace("[states]", &format!("[states]\n{states}"))))
            .contains(&Code::TooLarge)
    );
    let limits: String = (0..40_000).map(|n| format!("l{n}=1\n")).collect();
    let twice = format!(
        "{}\n[repos.\"acme/app\".limits]\n{limits}",
        shipped().replace("[agent]", &format!("{limits}\n[agent]"))
    );
    assert!(!refused(twice).is_empty());
}

#[test]
fn lists_cannot_be_multiplied_by_references() {
    let list: String = (0..9_000).map(|n| format!("\"acme/r{n}\",")).collect();
    let entries: String = (0..6_000).map(|_| "{repo={in=\"$allowlist\"}},").collect();
    let text = shipped()
        .replace("allowlist   = []", &format!("allowlist = [{list}]"))
        .replace("require = { has_run = false }", &format!("require = {{ any = [{entries}] }}"));
    assert!(refused(text).contains(&Code::TooLarge));
    let long = "x".repeat(400_000);
    let entries: String = (0..6_000).map(|_| "{labels={has=\"$agent.model\"}},").collect();
    let text = shipped()
        .replace("claude-sonnet-4-6", &long)
        .replace("require = { has_run = false }", &format!("require = {{ any = [{entries}] }}"));
    assert!(refused(text).contains(&Code::TooLarge));
    let text =
        shipped().replace("claude-sonnet-4-6", &long).replace("{repo} is not enrolled", &"{agent.model}".repeat(6_000));
    assert!(refused(text).contains(&Code::TooLarge));
}

#[test]
fn many_limits_deep_down_are_looked_at_once() {
    let (deep, ends) = ("abcdefgh = { ".repeat(60), " }".repeat(60));
    let limits = "\"$limits.stall\", ".repeat(45_000);
    let row = format!("[[transitions]]\nname = \"deep\"\nwhen = {{ {deep}z = [{limits}]{ends} }}\n\n");
    let text = shipped().replacen("[[transitions]]", &format!("{row}[[transitions]]"), 1);
    assert!(text.len() < 1024 * 1024, "{}", text.len());
    refused(text);
}

#[test]
fn overrides_cannot_multiply_a_large_policy() {
    let overrides: String = (0..250).map(|n| format!("[repos.\"acme/r{n}\"]\npaused = 'x'\n")).collect();
    let sound = format!("{}\n{overrides}", shipped());
    let start = Instant::now();
    assert_eq!(judge(&sound).policy.unwrap().overrides.len(), 250);
    assert!(start.elapsed() < Duration::from_secs(30), "took {:?}", start.elapsed());
    assert!(refused(format!("{sound}\n#{}", "x".repeat(500_000))).contains(&Code::TooLarge));
    let many: String = (0..20_000).map(|n| format!("[repos.\"acme/r{n}\"]\n")).collect();
    assert!(refused(format!("{}\n{many}", shipped())).contains(&Code::TooLarge));
}

#[test]
fn hostile_text_in_a_policy_reaches_messages_bounded_and_without_control_characters() {
    let text = shipped().replace("\"ready-for-agent\"", "\"\\u001b[31m\\u0000,\"") + "\n\"\\u001b[2J\" = 1\n";
    for finding in judge(&text).findings {
        assert!(!finding.message.contains(['\u{1b}', '\0']), "{}", finding.message);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_gets_an_answer(text in "\\PC{0,400}") {
        prop_assert!(judge(&text).policy.is_none());
    }

    #[test]
    fn any_toml_like_text_gets_an_answer(text in "([a-z_]{1,8}( = |\\.|\\]|\\[|\\{|\\}|\"|\n|'|,|[0-9]|\\$|\u{1b}|é)){0,80}") {
        let checked = judge(&text);
        prop_assert!(checked.policy.is_none() && !checked.findings.is_empty());
    }

    #[test]
    fn a_mutated_policy_is_used_or_refused_with_an_error(
        at in 0.0..1.0f64, length in 0usize..40, insert in "[\\[\\]{}=\",.$a-z0-9 \n]{0,6}",
    ) {
        let mut text = shipped();
        let mut start = (text.len() as f64 * at) as usize;
        while !text.is_char_boundary(start) { start -= 1; }
        let mut end = (start + length).min(text.len());
        while !text.is_char_boundary(end) { end += 1; }
        text.replace_range(start..end, &insert);
        let checked = judge(&text);
        let errors = checked.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
        prop_assert_eq!(checked.policy.is_some(), errors == 0);
        for finding in &checked.findings {
            prop_assert!(finding.span.start <= finding.span.end && finding.span.end <= text.len());
            prop_assert!(text.is_char_boundary(finding.span.start) && text.is_char_boundary(finding.span.end));
        }
    }

    #[test]
    fn a_line_taken_out_of_a_policy_is_missed_or_was_optional(line in 0usize..480) {
        let text: String = shipped().split_inclusive('\n').enumerate().filter(|(n, _)| *n != line).map(|(_, l)| l).collect();
        let checked = judge(&text);
        let errors = checked.findings.iter().any(|finding| finding.severity == Severity::Error);
        prop_assert_eq!(checked.policy.is_some(), !errors);
    }
}
