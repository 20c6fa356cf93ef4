//! Good and bad policies, each bad one with the findings it must give: `# expect: code [file] line:column` at its top.
//! The same files hold the schema to the parser; `# schema: cannot see this` marks mistakes beyond any JSON schema.

use std::path::{Path, PathBuf};

use afk::policy::{Checked, Code, Finding, InstalledNames, Severity, Source, Surroundings, check};
use afk::verify;
use pretty_assertions::assert_eq;

fn corpus(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies").join(kind);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn check_file(path: &Path) -> (Source, Checked) {
    let text = std::fs::read_to_string(path).unwrap();
    let beside = path.parent().unwrap();
    let prompt = |name: &str| std::fs::read_to_string(beside.join(name)).map_err(|error| error.kind().to_string());
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let installed = InstalledNames {
        doorbells: names(&["terminal"]),
        executors: names(&["local"]),
        commands: names(&["lint", "test"]),
        repositories: names(&["acme/app", "app"]),
    };
    let checked = check(&text, "policy.toml", &Surroundings { prompt: &prompt, installed: &installed });
    (Source { name: "policy.toml".to_owned(), text }, checked)
}

fn errors<'c>(checked: &'c Checked, policy: &'c Source) -> Vec<(&'c Finding, String)> {
    let placed = |finding: &'c Finding| {
        let file = checked.prompts.iter().find(|file| file.name == finding.file);
        let (line, column) = file.unwrap_or(policy).line_and_column(finding.span.start);
        let file = file.map(|file| format!("{} ", file.name)).unwrap_or_default();
        (finding, format!("{} {file}{line}:{column}", finding.code.name()))
    };
    checked.findings.iter().filter(|finding| finding.severity == Severity::Error).map(placed).collect()
}

#[test]
fn good_policies_are_accepted() {
    let files = corpus("good");
    assert!(files.len() >= 8);
    for path in files {
        let (source, checked) = check_file(&path);
        assert_eq!(errors(&checked, &source), vec![], "{}", path.display());
        let warned = checked.findings.iter().any(|finding| finding.severity == Severity::Warning);
        assert!(!warned, "{}: {:?}", path.display(), checked.findings);
        assert!(checked.policy.is_some());
    }
}

#[test]
fn bad_policies_give_exactly_the_expected_findings_at_the_expected_places() {
    let files = corpus("bad");
    assert!(files.len() >= 60);
    let mut wrong = Vec::new();
    for path in files {
        let (source, checked) = check_file(&path);
        let expected: Vec<&str> = source.text.lines().filter_map(|line| line.strip_prefix("# expect: ")).collect();
        assert!(!expected.is_empty(), "{} expects nothing", path.display());
        let found = errors(&checked, &source);
        let places: Vec<&str> = found.iter().map(|(_, place)| place.as_str()).collect();
        if places != expected || checked.policy.is_some() {
            let details: Vec<String> = found
                .iter()
                .map(|(finding, place)| format!("{place} {} / {}", finding.message, finding.label))
                .collect();
            wrong.push(format!("{}\n  expected {expected:?}\n  found {details:#?}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_error_says_what_to_write_instead() {
    for path in corpus("bad") {
        let (source, checked) = check_file(&path);
        for (finding, place) in errors(&checked, &source) {
            let what = format!("{}: {place} {}", path.display(), finding.message);
            assert!(!finding.message.is_empty() && !finding.label.is_empty(), "{what}");
            assert!(!finding.message.ends_with('.') && !finding.label.ends_with('.'), "{what}");
            assert!(!finding.message.starts_with(char::is_uppercase), "{what}");
            assert!(finding.message.chars().chain(finding.label.chars()).all(|letter| !letter.is_control()), "{what}");
            assert!(finding.span.start <= finding.span.end, "{what}");
        }
    }
}

#[test]
fn the_corpus_has_a_file_for_every_code_that_a_check_of_the_text_can_give() {
    let texts: String = corpus("bad").iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for code in Code::ALL {
        // The first is about the file rather than its text, the last a defect of afk, the others no errors.
        let beside = [
            Code::Unreadable,
            Code::DispatchesNothing,
            Code::UnusedLimit,
            Code::OpenTrust,
            Code::NothingProtected,
            Code::UnmatchedAllowlist,
            Code::UnmatchedOverride,
            Code::SchemaDisagrees,
        ];
        // What only the proofs can give has examples in `tests/examples_of_codes.rs` and policies in `tests/verify`.
        let proven = verify::INVARIANTS.contains(code) || matches!(code, Code::SwitchedOff | Code::TooLargeToProve);
        if !beside.contains(code) && !proven {
            assert!(texts.contains(&format!("# expect: {} ", code.name())), "no bad policy for {}", code.name());
        }
    }
}
