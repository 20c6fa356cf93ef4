//! The example of every code is true: laid into the policy that ships, it gives that finding, no other, and at the line
//! that it marks; mended, it does not.

mod support;

use std::collections::BTreeSet;

use afk::policy::finding::{Example, MARK, Within};
use afk::policy::{Code, Finding, InstalledNames, Surroundings, check};
use afk::verify;
use pretty_assertions::assert_eq;
use support::Test;

/// Codes whose example is no policy. Each has a test of its own: the first below, the second with the proofs, the last
/// in `src/cli/check_policy.rs` and `tests/schema.rs`.
const NOT_OF_A_POLICY: &[Code] = &[Code::Unreadable, Code::TooLargeToProve, Code::SchemaDisagrees];

/// Codes whose finding lies elsewhere than the edit that gives it, at a rule that was fine until then.
const ELSEWHERE: &[Code] = &[Code::UnboundedRun, Code::Spin, Code::SwitchedOff];

/// All that is said of a policy that lies where `file` does.
fn findings_of(file: &str, text: &str) -> Vec<Finding> {
    let folder = support::repository().join(file).parent().unwrap().to_owned();
    let prompt = |name: &str| std::fs::read_to_string(folder.join(name)).map_err(|error| error.to_string());
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let installed = InstalledNames {
        doorbells: names(&["ops"]),
        executors: names(&["t3", "agent"]),
        commands: names(&["test"]),
        repositories: names(&["acme/app"]),
    };
    let checked = check(text, file, &Surroundings { prompt: &prompt, installed: &installed });
    let proven = checked.policy.map(|policy| verify::prove(&policy).findings);
    checked.findings.into_iter().chain(proven.into_iter().flatten()).collect()
}

fn shipped(file: &str) -> String {
    std::fs::read_to_string(support::repository().join(file)).unwrap()
}

/// The policy with a part of an example in it.
fn laid_in(code: Code, file: &str, lines: &str, part: &str) -> String {
    let text = shipped(file);
    if lines.is_empty() {
        return format!("{text}\n{part}\n");
    }
    assert!(text.contains(lines), "{}: {file} has no longer the lines\n{lines}", code.name());
    text.replacen(lines, part, 1)
}

/// Codes with the lines of their findings, but for what the policy gives as it ships.
fn found(file: &str, text: &str) -> Vec<(Code, usize)> {
    let of_itself: BTreeSet<Code> = findings_of(file, &shipped(file)).iter().map(|finding| finding.code).collect();
    let source = afk::policy::Source { name: file.to_owned(), text: text.to_owned() };
    let line = |finding: &Finding| source.line_and_column(finding.span.start).0;
    let mut found: Vec<(Code, usize)> = findings_of(file, text)
        .iter()
        .filter(|finding| !of_itself.contains(&finding.code))
        .map(|finding| (finding.code, line(finding)))
        .collect();
    found.dedup();
    found
}

fn examples_of_policies() -> Vec<(Code, Example, &'static str, &'static str)> {
    let examples = Code::ALL.iter().map(|code| (*code, code.example()));
    examples
        .filter_map(|(code, example)| match example.within {
            Within::Policy { file, lines } => Some((code, example, file, lines)),
            Within::Shell | Within::Words => None,
        })
        .collect()
}

#[test]
fn every_code_has_an_example_and_few_of_them_are_no_policy() {
    for code in Code::ALL {
        let example = code.example();
        assert!(!example.broken.is_empty() && !example.mended.is_empty(), "{}", code.name());
        assert!(example.broken != example.mended && !example.mended.contains(MARK), "{}", code.name());
        let of_a_policy = matches!(example.within, Within::Policy { .. });
        assert_eq!(of_a_policy, !NOT_OF_A_POLICY.contains(code), "{}", code.name());
    }
}

#[test]
fn every_example_breaks_its_code_and_no_other_at_the_line_it_marks() {
    let mut wrong = Vec::new();
    for (code, example, file, lines) in examples_of_policies() {
        let text = laid_in(code, file, lines, example.broken);
        let marked = text.lines().position(|line| line.contains(MARK)).map(|index| index + 1);
        // What the policy gives as it ships is looked for by its line alone.
        if code == Code::DispatchesNothing {
            let found: Vec<Code> = findings_of(file, &text).iter().map(|finding| finding.code).collect();
            assert_eq!(found, [code]);
            continue;
        }
        let found = found(file, &text);
        let expected = match marked {
            Some(line) => vec![(code, line)],
            None if ELSEWHERE.contains(&code) => found.iter().map(|(_, line)| (code, *line)).collect(),
            None => panic!("{} marks no line", code.name()),
        };
        if found.is_empty() || found != expected {
            let said: Vec<String> = findings_of(file, &text).into_iter().map(|finding| finding.message).collect();
            wrong.push(format!("{}: expected {expected:?}, found {found:?}: {said:#?}", code.name()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_mended_example_is_sound() {
    let mut wrong = Vec::new();
    for (code, example, file, lines) in examples_of_policies() {
        let text = laid_in(code, file, lines, example.mended);
        if code == Code::DispatchesNothing {
            assert_eq!(findings_of(file, &text), []);
        }
        let found = found(file, &text);
        if !found.is_empty() {
            wrong.push(format!("{}: {found:?}", code.name()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_file_that_cannot_be_read_is_found_as_its_example_says() {
    let example = Code::Unreadable.example();
    let run = |command: &str| {
        let words = command.strip_prefix("afk ").unwrap().split(' ').chain(["--format", "json"]);
        Test::new().shipped_policy(&[]).args(words).run().json()
    };
    assert_eq!(run(example.broken)["findings"][0]["code"], "unreadable");
    assert_eq!(run(example.mended)["usable"], true);
}
