//! Schema and parser judge alike: over the corpus of good and bad policies, and over every policy that ships.
//!
//! A bad policy whose error no schema can see (a reference that leads nowhere, a machine without an end) begins with
//! the line `# schema: cannot see this`.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use afk::adapters::policy_file;
use afk::policy::{InstalledNames, Severity};
use afk::schema::{Validator, schema};
use pretty_assertions::assert_eq;
use serde_json::Value;

const NOT_TOML: &str = "not TOML";
const UNSEEN: &str = "# schema: cannot see this";

fn policies(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(support::repository().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .filter(|path| !path.to_string_lossy().ends_with(".test.toml"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{folder} holds no policy");
    paths
}

/// What each of the two says of a file: `None` where it accepts. What is not even TOML never gets to the schema.
fn verdicts(validator: &Validator, path: &Path) -> (Option<String>, Option<String>) {
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let installed = InstalledNames {
        doorbells: names(&["terminal", "ops"]),
        executors: names(&["local", "t3", "toy", "agent"]),
        commands: names(&["lint", "test"]),
        repositories: None,
    };
    let parser = policy_file::load(path, &installed).checked;
    let errors: Vec<&str> = parser
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.message.as_str())
        .collect();
    assert_eq!(errors.is_empty(), parser.policy.is_some(), "{}", path.display());
    let schema = match validator.judge(&fs::read_to_string(path).unwrap()) {
        Ok(refusal) => refusal.map(|refusal| format!("{} against {}", refusal.at, refusal.rule)),
        Err(_) => Some(NOT_TOML.to_owned()),
    };
    ((!errors.is_empty()).then(|| errors.join("; ")), schema)
}

#[test]
fn parser_and_schema_accept_every_good_policy() {
    let validator = Validator::new().unwrap();
    let shipped = [support::repository().join("policies/afk.toml")];
    let folders = ["tests/policies/good", "examples/policies"].into_iter().flat_map(policies);
    let refused: Vec<(PathBuf, _)> = shipped
        .into_iter()
        .chain(folders)
        .map(|path| (path.clone(), verdicts(&validator, &path)))
        .filter(|(_, verdicts)| *verdicts != (None, None))
        .collect();
    assert_eq!(refused, []);
}

#[test]
fn parser_and_schema_refuse_every_bad_policy() {
    let validator = Validator::new().unwrap();
    let mut wrong = Vec::new();
    for path in policies("tests/policies/bad") {
        let unseen = fs::read_to_string(&path).unwrap().starts_with(UNSEEN);
        let name = path.file_name().unwrap().display().to_string();
        match (verdicts(&validator, &path), unseen) {
            ((None, _), _) => wrong.push(format!("{name}: the parser accepts it")),
            ((Some(why), None), false) => wrong.push(format!("{name}: the schema accepts it, the parser: {why}")),
            ((_, Some(at)), true) if at != NOT_TOML => wrong.push(format!("{name}: the schema does see it: {at}")),
            _ => {}
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_schema_is_a_schema() {
    jsonschema::draft202012::meta::validate(&schema()).unwrap();
}

#[test]
fn every_key_has_a_hover_text_and_no_table_takes_keys_it_does_not_know() {
    fn look(at: &str, schema: &Value, wrong: &mut Vec<String>) {
        if let Some(properties) = schema["properties"].as_object() {
            if schema["additionalProperties"] != false && !schema["additionalProperties"].is_object() {
                wrong.push(format!("{at} takes any key"));
            }
            for (key, value) in properties {
                if value["description"].as_str().is_none_or(str::is_empty) && value["$ref"].is_null() {
                    wrong.push(format!("{at}/{key} has no description"));
                }
            }
        }
        match schema {
            Value::Object(entries) => {
                entries.iter().for_each(|(key, value)| look(&format!("{at}/{key}"), value, wrong))
            }
            Value::Array(values) => values.iter().for_each(|value| look(&format!("{at}/-"), value, wrong)),
            _ => {}
        }
    }
    let mut wrong = Vec::new();
    look("", &schema(), &mut wrong);
    assert_eq!(wrong, Vec::<String>::new());
}
