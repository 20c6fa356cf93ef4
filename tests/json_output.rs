//! `docs/json-output.md` lists the fields that the commands write, no more and no fewer.

mod installation;

use std::collections::{BTreeMap, BTreeSet};

use installation::Installation;
use serde_json::Value;

/// The fields of one heading of the page: name, type.
type Fields = Vec<(String, String)>;

fn page() -> BTreeMap<String, Fields> {
    let page = include_str!("../docs/json-output.md");
    let mut sections: BTreeMap<String, Fields> = BTreeMap::new();
    let mut heading = String::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")) {
            heading = title.replace('`', "").to_lowercase().replace(' ', "-").replace("--", "");
        } else if let Some(row) = line.strip_prefix("| `") {
            let mut cells = row.split(" | ");
            let name = cells.next().unwrap().trim_end_matches('`').to_owned();
            sections.entry(heading.clone()).or_default().push((name, cells.next().unwrap().to_owned()));
        }
    }
    sections
}

/// The fields of a section with those of the parts it points to: name, type.
fn fields(page: &BTreeMap<String, Fields>, section: &str) -> Fields {
    let mut all = Vec::new();
    for (name, kind) in page.get(section).unwrap_or_else(|| panic!("no section {section}: {:?}", page.keys())) {
        all.push((name.clone(), kind.clone()));
        if let Some((_, part)) = kind.split_once("](#") {
            let below = if kind.starts_with("list") { format!("{name}[].") } else { format!("{name}.") };
            let part = fields(page, part.split(')').next().unwrap());
            all.extend(part.into_iter().map(|(name, kind)| (format!("{below}{name}"), kind)));
        }
    }
    all
}

/// Every field of a document with whether anything stands there; `opaque` ones are not looked into.
fn seen(value: &Value, name: &str, opaque: &BTreeSet<String>, fields: &mut BTreeMap<String, bool>) {
    let full = match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        _ => true,
    };
    if !name.is_empty() && !name.ends_with("[]") {
        *fields.entry(name.to_owned()).or_default() |= full;
    }
    match value {
        _ if opaque.contains(name) => {}
        Value::Object(object) => {
            for (key, value) in object {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                seen(value, &name, opaque, fields);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| seen(value, &format!("{name}[]"), opaque, fields)),
        _ => {}
    }
}

/// Holds documents against the fields of a section.
fn hold(section: &str, documents: &[Value]) {
    let documented = fields(&page(), section);
    let opaque = documented.iter().filter(|(_, kind)| kind.contains("by name")).map(|(name, _)| name.clone()).collect();
    let mut found = BTreeMap::new();
    documents.iter().for_each(|document| seen(document, "", &opaque, &mut found));
    let names: BTreeSet<&str> = documented.iter().map(|(name, _)| name.as_str()).collect();
    let unsaid: Vec<&String> = found.keys().filter(|name| !names.contains(name.as_str())).collect();
    assert!(unsaid.is_empty(), "{section}: docs/json-output.md lacks {unsaid:?}");
    // What lies in something that was null or empty in all documents could not be seen.
    let hidden = |name: &str| found.iter().any(|(above, full)| !full && name.starts_with(above.as_str()));
    let gone: Vec<&&str> = names.iter().filter(|name| !found.contains_key(**name) && !hidden(name)).collect();
    assert!(gone.is_empty(), "{section}: nobody writes {gone:?}");
}

fn json(afk: &Installation, arguments: &[&str]) -> Value {
    let ran = afk.afk(&[arguments, &["--format", "json"]].concat());
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{ran}"))
}

#[test]
fn the_page_on_json_lists_the_fields_of_every_command_no_more_and_no_fewer() {
    let afk = Installation::armed();
    afk.write_issue(2, "the next one", "Greet louder.");
    afk.arm(2, "ada");
    let explain = |number: &str| json(&afk, &["explain", "--issue", number]);
    let (queued, doctor) = (explain("1"), json(&afk, &["doctor"]));
    let snapshot = json(&afk, &["poll", "--dry-run"]);
    let polled = json(&afk, &["poll"]);
    let (running, status) = (explain("1"), json(&afk, &["status"]));
    let during = json(&afk, &["poll", "--dry-run"]);
    afk.write("snapshot.json", &during.to_string());
    let watched = json(&afk, &["watch"]);
    afk.watch_until_over();
    hold("afk-explain-issue", &[queued, running, explain("1"), explain("2")]);
    hold("afk-status", &[status, json(&afk, &["status"])]);
    hold("afk-doctor", &[doctor]);
    hold("afk-poll-and-afk-watch", &[snapshot, polled, during, watched]);
    hold("afk-explain-code", json(&afk, &["explain", "--code"]).as_array().unwrap());
    hold("afk-facts", &[json(&afk, &["facts"])]);

    let cases = "[[cases]]\nname = \"wrong\"\nrun = { state = \"working\" }\nexpect.row = \"overdue\"\n\n\
                 [[cases]]\nname = \"no fact\"\nrun = { state = \"working\", nonsense = 1 }\nexpect.row = \"wait\"\n";
    afk.write("policies/afk.test.toml", cases);
    hold("afk-test-policy", &[json(&afk, &["test-policy"])]);
    afk.edit("policies/afk.toml", &[("slots_per_repo = 1", "slots_per_repo = 2")]);
    let against = ["diff-policy", "policies/old.toml", "--over", "snapshot.json"];
    afk.write("policies/old.toml", &afk.read("policies/afk.toml").replace("has_run = false", "has_run = true"));
    hold("afk-diff-policy", &[json(&afk, &against), json(&afk, &["diff-policy", "builtin:standard"])]);
    let usable = json(&afk, &["check-policy"]);
    afk.edit("policies/afk.toml", &[("kill_switch = false", "kill_switch = 7")]);
    hold("afk-check-policy", &[usable, json(&afk, &["check-policy"])]);
}
