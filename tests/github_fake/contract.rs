//! GitHub's own description of its REST API, and what was said held against it: every request that was sent, every
//! answer that was given.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use serde_json::{Value, json};

use super::log::Exchange;

/// The trimmed description.
pub struct Contract {
    document: Value,
    validators: Mutex<BTreeMap<String, &'static jsonschema::Validator>>,
}

/// Operations that the trimmed description lacks, in its form, from the full one (npm, @octokit/openapi 23.0.2, MIT).
const MORE: &str = include_str!("more_operations.json");

static CONTRACT: LazyLock<Option<Contract>> = LazyLock::new(Contract::read);

/// Where the contracts of the project lie.
fn directory() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/contracts");
    std::env::var_os("AFK_CONTRACTS").map_or_else(beside, PathBuf::from)
}

impl Contract {
    #[expect(clippy::print_stderr, reason = "a skipped test must say so")]
    fn read() -> Option<Self> {
        let path = directory().join("github/openapi-trimmed.json");
        let Ok(text) = std::fs::read_to_string(&path) else {
            let in_ci = ["CI", "AFK_CONTRACTS"].into_iter().any(|name| std::env::var_os(name).is_some());
            assert!(!in_ci, "CI must hold GitHub to its description: there is no {}", path.display());
            eprintln!("SKIPPED: nothing is held to GitHub's description, for there is no {}", path.display());
            return None;
        };
        let mut document: Value = serde_json::from_str(&text).unwrap();
        let more: Value = serde_json::from_str(MORE).unwrap();
        for part in ["paths", "schemas"] {
            let target = match part {
                "paths" => &mut document["paths"],
                _ => &mut document["components"]["schemas"],
            };
            for (key, value) in more[part].as_object().unwrap() {
                let there = target.as_object_mut().unwrap().entry(key.clone()).or_insert_with(|| json!({}));
                there.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
            }
        }
        Some(Self { document, validators: Mutex::default() })
    }

    /// The description; `None`, and that is said, where it is not there.
    pub fn open() -> Option<&'static Self> {
        CONTRACT.as_ref()
    }

    /// What of the exchanges the description does not allow.
    pub fn violations(&self, log: &[Exchange]) -> Vec<String> {
        let judged = log.iter().filter(|exchange| exchange.path != "/graphql");
        let mut found: Vec<String> = judged.flat_map(|exchange| self.judge(exchange)).collect();
        found.sort();
        found.dedup();
        found
    }

    fn judge(&self, exchange: &Exchange) -> Vec<String> {
        let what = format!("{} {}", exchange.method, exchange.path);
        let Some((template, operation)) = self.operation(exchange) else {
            return vec![format!("{what}: no operation of GitHub's")];
        };
        let mut violations = Vec::new();
        let parameters = self.parameters(template, operation);
        for (name, value) in &exchange.query {
            let Some(parameter) = parameters.iter().find(|known| known["in"] == "query" && known["name"] == *name)
            else {
                violations.push(format!("{what}: no parameter {name}"));
                continue;
            };
            violations.extend(self.text_violations(&format!("{what}: {name}"), &parameter["schema"], value));
        }
        for (part, value) in template.split('/').zip(exchange.path.split('/')) {
            let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) else { continue };
            if let Some(parameter) = parameters.iter().find(|known| known["in"] == "path" && known["name"] == name) {
                violations.extend(self.text_violations(&format!("{what}: {name}"), &parameter["schema"], value));
            }
        }
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        match (&exchange.body, schema.is_null()) {
            (Some(_), true) => violations.push(format!("{what}: takes no body")),
            // What is no JSON at all is recorded as no body.
            (None, false) if operation["requestBody"]["required"] == true && exchange.status != 400 => {
                violations.push(format!("{what}: lacks a body"));
            }
            (Some(body), false) => {
                violations.extend(self.schema_violations(&format!("{what}: request"), schema, body));
                // Schemas let pass what they do not know; GitHub ignores it, and a misspelt member does nothing.
                violations.extend(unknown_members(&what, schema, body));
            }
            _ => {}
        }
        if !exchange.spoilt {
            violations.extend(self.answer_violations(&what, operation, exchange));
        }
        violations
    }

    fn answer_violations(&self, what: &str, operation: &Value, exchange: &Exchange) -> Vec<String> {
        let status = exchange.status.to_string();
        // Real, though not declared: see the README of the contract.
        let undeclared = ["301", "304", "307", "400", "401", "403", "404", "410", "422", "429"];
        let response = self.deref(&operation["responses"][&status]);
        if response.is_null() {
            let known = undeclared.contains(&status.as_str());
            return if known { Vec::new() } else { vec![format!("{what}: {status} is no answer of GitHub's")] };
        }
        let Some(answer) = &exchange.answer else { return Vec::new() };
        let schema = response["content"]["application/json"]["schema"].clone();
        if schema.is_null() {
            return Vec::new();
        }
        let what = format!("{what}: answer {status}");
        if exchange.path.ends_with("/events") || exchange.path.ends_with("/timeline") {
            return answer.as_array().unwrap().iter().flat_map(|event| self.event_violations(&what, event)).collect();
        }
        self.schema_violations(&what, &schema, answer)
    }

    /// The unions of events take nearly anything, so each is held to the schema of its kind.
    fn event_violations(&self, what: &str, event: &Value) -> Vec<String> {
        let kind = event["event"].as_str().unwrap_or_default();
        let schema = match kind {
            "labeled" => "labeled-issue-event",
            "unlabeled" => "unlabeled-issue-event",
            "closed" | "reopened" => "state-change-issue-event",
            "renamed" => "renamed-issue-event",
            "commented" => "timeline-comment-event",
            other => return vec![format!("{what}: the contract has no event {other:?}")],
        };
        self.schema_violations(what, &json!({ "$ref": format!("#/components/schemas/{schema}") }), event)
    }

    /// The operation of a request, with the template of its path. Paths by id are those of the repository.
    fn operation(&self, exchange: &Exchange) -> Option<(&str, &Value)> {
        let path = match exchange.path.strip_prefix("/repositories/") {
            Some(rest) => {
                let rest = rest.split_once('/').map(|(_, rest)| format!("/{rest}")).unwrap_or_default();
                format!("/repos/OWNER/NAME{rest}")
            }
            None => exchange.path.clone(),
        };
        let segments: Vec<&str> = path.split('/').collect();
        let fits = |template: &str| {
            let parts: Vec<&str> = template.split('/').collect();
            let pairs = parts.len() == segments.len();
            pairs && parts.iter().zip(&segments).all(|(part, segment)| part.starts_with('{') || part == segment)
        };
        let paths = self.document["paths"].as_object().unwrap();
        // The one with the fewest variables is meant.
        let found = paths
            .iter()
            .filter(|(template, _)| fits(template))
            .min_by_key(|(template, _)| template.matches('{').count());
        let (template, operations) = found?;
        let operation = operations.get(exchange.method.to_lowercase())?;
        Some((template, operation))
    }

    fn parameters<'a>(&'a self, template: &str, operation: &'a Value) -> Vec<&'a Value> {
        let of_path = self.document["paths"][template]["parameters"].as_array();
        let of_operation = operation["parameters"].as_array();
        let both = of_path.into_iter().chain(of_operation).flatten();
        both.map(|parameter| self.deref(parameter)).collect()
    }

    fn deref<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.document.pointer(reference.trim_start_matches('#')).unwrap(),
            None => value,
        }
    }

    /// Holds a part of a URL, which is text, to a schema that may want a number.
    fn text_violations(&self, what: &str, schema: &Value, text: &str) -> Vec<String> {
        let kind = self.deref(schema)["type"].clone();
        let value = match kind.as_str() {
            Some("integer") => text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number)),
            Some("boolean") => text.parse::<bool>().map_or_else(|_| json!(text), |flag| json!(flag)),
            _ => json!(text),
        };
        self.schema_violations(what, schema, &value)
    }

    pub fn schema_violations(&self, what: &str, schema: &Value, value: &Value) -> Vec<String> {
        let validator = self.validator(schema);
        let errors = validator.iter_errors(value).filter(|error| {
            // GitHub sends conclusions that its description does not list.
            let place = error.instance_path().to_string();
            !(place.ends_with("/conclusion")
                && error.instance().as_str().is_some_and(|word| ["stale", "startup_failure"].contains(&word)))
        });
        errors.map(|error| format!("{what}{}: {:.300}", error.instance_path(), error.to_string())).collect()
    }

    fn validator(&self, schema: &Value) -> &'static jsonschema::Validator {
        let mut validators = self.validators.lock().unwrap();
        // Each is made once in the life of the process.
        validators.entry(schema.to_string()).or_insert_with(|| {
            let mut whole = json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "components": self.document["components"],
            });
            whole["allOf"] = json!([schema]);
            Box::leak(Box::new(jsonschema::draft202012::options().should_validate_formats(true).build(&whole).unwrap()))
        })
    }
}

/// The members of a body that no branch of its schema names.
fn unknown_members(what: &str, schema: &Value, body: &Value) -> Vec<String> {
    let mut known: Vec<&String> = Vec::new();
    let branches = ["oneOf", "anyOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten();
    for branch in std::iter::once(schema).chain(branches) {
        known.extend(branch["properties"].as_object().into_iter().flat_map(serde_json::Map::keys));
    }
    let members = body.as_object().into_iter().flat_map(serde_json::Map::keys);
    members
        .filter(|member| !known.contains(member))
        .map(|member| format!("{what}: request: no member {member}"))
        .collect()
}
