//! The formats of findings that other programs read: SARIF and the workflow commands of GitHub Actions.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use support::{Ran, Test};

/// Mistakes of the shipped policy and one of a prompt.
const MISTAKES: [(&str, &str); 2] =
    [("max_per_tick   = 4", "max_per_tick   = \"4\""), ("require = { trusted = true }", "require = { trused = true }")];

/// Know one repository, and the executor of the shipped policy.
const SETTINGS: &str = r#"
[tracker]
kind = "local"
[repos."acme/app"]
issues = "issues"
git = "app.git"
[executors.t3]
kind = "command"
start = ["agent"]
resume = ["agent"]
"#;

fn check(test: Test, format: &str) -> Ran {
    test.args(["check-policy", "--format", format]).run()
}

/// The schema of OASIS, from the package of `serde-sarif`, which `Cargo.toml` names for this alone. Without it and
/// without a network a developer's test goes on, and says so; CI does not.
#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
fn official_schema() -> Option<Value> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(support::repository())
        .output()
        .unwrap();
    if !metadata.status.success() {
        let why = String::from_utf8_lossy(&metadata.stderr);
        let in_ci = ["CI", "AFK_CONTRACTS"].into_iter().any(|name| std::env::var_os(name).is_some());
        assert!(!in_ci, "CI must hold SARIF to its schema: {why}");
        eprintln!("SKIPPED: SARIF is not held to the schema of OASIS, because cargo could not fetch it: {why}");
        return None;
    }
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let mut packages = metadata["packages"].as_array().unwrap().iter();
    let package = packages.find(|package| package["name"] == "serde-sarif").unwrap();
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    let schema = fs::read_to_string(manifest.with_file_name("src").join("schema.json")).unwrap();
    Some(serde_json::from_str(&schema).unwrap())
}

/// Holds a document to the schema of OASIS.
fn sarif(test: Test) -> Value {
    let ran = check(test, "sarif");
    let document = ran.json();
    let Some(mut schema) = official_schema() else { return document };
    // The one pattern that is no regular expression of ECMA 262: a bracket is closed that was never opened.
    for part in ["run", "toolComponent"] {
        schema["definitions"][part]["properties"]["language"].as_object_mut().unwrap().remove("pattern").unwrap();
    }
    let validator = jsonschema::draft7::options().should_validate_formats(true).build(&schema).unwrap();
    let refusals: Vec<String> =
        validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert_eq!(refusals, Vec::<String>::new());
    assert!(!validator.is_valid(&json!({ "version": "2.1.0", "runs": [{}] })), "the schema refuses nothing");
    document
}

#[test]
fn sarif_names_every_finding_with_its_place_from_the_root_of_the_repository() {
    let test = Test::new()
        .shipped_policy(&MISTAKES)
        .file(".git/HEAD", "")
        .file("policies/prompts/fix-forward.md", "one\n😀 {{ comit }}.\n");
    let document = sarif(test);
    let run = &document["runs"][0];
    assert_eq!(run["columnKind"], "utf16CodeUnits");
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
    let results: Vec<String> = run["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| {
            let rule = result["ruleIndex"].as_u64().unwrap() as usize;
            assert_eq!(run["tool"]["driver"]["rules"][rule]["id"], result["ruleId"]);
            let place = &result["locations"][0]["physicalLocation"];
            assert_eq!(place["artifactLocation"]["uriBaseId"], "%SRCROOT%");
            let (level, rule) = (result["level"].as_str().unwrap(), result["ruleId"].as_str().unwrap());
            let uri = place["artifactLocation"]["uri"].as_str().unwrap();
            let region = &place["region"];
            let [line, column, end] =
                ["startLine", "startColumn", "endColumn"].map(|key| region[key].as_u64().unwrap());
            assert_eq!(region["endLine"], line);
            format!("{level} {rule} {uri} {line}:{column}-{end} {}", result["message"]["text"].as_str().unwrap())
        })
        .collect();
    assert_snapshot!(results.join("\n"), @r#"
    error type-mismatch policies/afk.toml 31:18-21 `max_per_tick` is a whole number; `"4"` is a text
    write a whole number, without quotes
    error unknown-name policies/afk.toml 90:13-19 there is no issue fact `trused`
    did you mean `trusted`?
    error bad-template policies/prompts/fix-forward.md 2:7-12 there is no `comit` in this prompt
    did you mean `{{{{ commit }}}}`?
    `afk facts` lists the names that prompts may use
    "#);
}

#[test]
fn a_finding_keeps_its_fingerprint_when_lines_are_added_above_it_and_no_two_share_one() {
    let fingerprints = |changes: &[(&str, &str)]| {
        let document = sarif(Test::new().shipped_policy(changes));
        let results = document["runs"][0]["results"].as_array().unwrap().clone();
        let prints: Vec<String> =
            results.iter().map(|result| result["partialFingerprints"]["afk/v1"].as_str().unwrap().to_owned()).collect();
        prints
    };
    let before = fingerprints(&MISTAKES);
    let moved = ("version = 1 ", "# a line\n# and another\nversion = 1 ");
    assert_eq!(before, fingerprints(&[moved, MISTAKES[0], MISTAKES[1]]));
    let twice = ("allowlist   = []", "allowlist   = [\"*\", \"*\"]");
    let mut all = fingerprints(&[twice, MISTAKES[0]]);
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!((all.len(), count), (3, 3));
}

#[test]
fn a_policy_that_cannot_be_read_is_a_finding_of_a_run_without_success() {
    let document = sarif(Test::new());
    let run = &document["runs"][0];
    assert_eq!(run["invocations"][0]["executionSuccessful"], false);
    assert_eq!(run["results"][0]["ruleId"], "unreadable");
    assert_eq!(run["results"][0]["locations"][0]["physicalLocation"]["region"], Value::Null);
}

#[test]
fn a_sound_policy_is_a_sarif_document_with_what_it_does_today() {
    let document = sarif(Test::new().shipped_policy(&[]));
    let results = document["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 1);
    assert_eq!(results[0]["level"], "note");
}

#[test]
fn github_gets_annotations_and_the_whole_report_in_the_summary_of_the_step() {
    let test = Test::new().shipped_policy(&MISTAKES).file("summary.md", "before\n");
    let summary = test.path("summary.md");
    let ran = check(test.variable("GITHUB_STEP_SUMMARY", &summary), "github");
    assert_snapshot!(ran, @r#"
    exit code 1
    --- stdout
    ::error file=policies/afk.toml,line=31,endLine=31,col=18,endColumn=21,title=type-mismatch::`max_per_tick` is a whole number; `"4"` is a text%0Awrite a whole number, without quotes
    ::error file=policies/afk.toml,line=90,endLine=90,col=13,endColumn=19,title=unknown-name::there is no issue fact `trused`%0Adid you mean `trusted`?
    "#);
    assert_snapshot!(fs::read_to_string(ran.folder.path().join("summary.md")).unwrap(), @r#"
    before
    ## afk check-policy: 2 errors in `policies/afk.toml`

    ```text
    error[type-mismatch]: `max_per_tick` is a whole number; `"4"` is a text
      --> policies/afk.toml:31:18
       |
    31 | max_per_tick   = "4"
       |                  ^^^ write a whole number, without quotes

    error[unknown-name]: there is no issue fact `trused`
      --> policies/afk.toml:90:13
       |
    90 | require = { trused = true }
       |             ^^^^^^ did you mean `trusted`?

    note: 6 of 14 proofs were not made because of the errors above
    policies/afk.toml: 2 errors, 0 warnings. `afk poll` and `afk watch` would do nothing with this policy
    ```
    "#);
}

#[test]
fn of_many_findings_github_gets_the_worst_and_is_told_how_many_more_there_are() {
    // A warning at the top of the file, and two dozen errors below it.
    let gates: String =
        (0..12).map(|number| format!("[[gates]]\nname = \"x{number}\"\nrequire = {{ n = 1 }}\n\n")).collect();
    let gates = format!("{gates}[states]\n");
    let changes = [("allowlist   = []", "allowlist   = [\"acme/ap\"]"), ("[states]\n", gates.as_str())];
    let test = Test::new().shipped_policy(&changes).file("afk.settings.toml", SETTINGS);
    let summary = test.path("summary.md");
    let ran = check(test.variable("GITHUB_STEP_SUMMARY", &summary), "github");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 11, "{}", ran.stdout);
    assert!(lines[..10].iter().all(|line| line.starts_with("::error file=")), "{}", ran.stdout);
    assert_snapshot!(lines[10], @r"::notice::15 more in the summary");
    let written = fs::read_to_string(ran.folder.path().join("summary.md")).unwrap();
    assert_eq!(written.matches("error[").count(), 24);

    let ran = check(Test::new().shipped_policy(&changes), "github");
    assert_snapshot!(ran.stdout.lines().last().unwrap(), @r"::notice::14 more in `afk check-policy --format human`");
}

#[test]
fn what_a_policy_says_neither_commands_the_runner_nor_writes_html() {
    let hostile = "\"::stop-commands::x\\n::error::y ``` <img src=x> @ada\"";
    let test = Test::new().shipped_policy(&[("max_per_tick   = 4", &format!("max_per_tick   = {hostile}"))]);
    let summary = test.path("summary.md");
    let ran = check(test.variable("GITHUB_STEP_SUMMARY", &summary), "github");
    assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.stdout);
    assert!(ran.stdout.starts_with("::error file=policies/afk.toml,line=31,"), "{}", ran.stdout);
    let written = fs::read_to_string(ran.folder.path().join("summary.md")).unwrap();
    let (before, block) = written.split_once("````text\n").expect("a fence longer than any in the report");
    let (block, after) = block.split_once("\n````\n").unwrap();
    assert!(block.contains("<img src=x> @ada") && !before.contains('<') && after.trim().is_empty(), "{written}");
}

#[test]
fn a_summary_that_cannot_be_written_is_said() {
    let test = Test::new().shipped_policy(&[]).variable("GITHUB_STEP_SUMMARY", "no/such/folder.md");
    let ran = check(test, "github");
    assert_eq!(ran.code, 4);
    assert_snapshot!(ran.stderr, @r"
    error: the summary `no/such/folder.md` cannot be written: No such file or directory (os error 2)
      help: the variable GITHUB_STEP_SUMMARY names it
    ");
}
