//! Findings as SARIF 2.1.0, for code scanning and for viewers.

use std::collections::HashMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::page::{capitalised, page};
use super::place::Place;
use super::{in_order, source_of};
use crate::adapters::policy_file::Loaded;
use crate::cli::output::printable;
use crate::policy::{Code, Finding, Source, Span};

/// Where the paths of the document begin.
const ROOT: &str = "%SRCROOT%";

/// The whole document. `unchecked`: what was not looked at.
pub fn document(loaded: &Loaded, unchecked: &[&str]) -> Value {
    let mut seen = HashMap::new();
    let results: Vec<Value> =
        in_order(loaded).into_iter().map(|finding| result(finding, source_of(loaded, finding), &mut seen)).collect();
    let was_read = !loaded.checked.findings.iter().any(|finding| finding.code == Code::Unreadable);
    let unchecked: Vec<Value> =
        unchecked.iter().map(|what| json!({ "level": "note", "message": message(what) })).collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "afk",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": Code::ALL.iter().copied().map(rule).collect::<Vec<_>>(),
            }},
            "columnKind": "utf16CodeUnits",
            "originalUriBaseIds": { ROOT: { "description": { "text": "the root of the repository" } } },
            "invocations": [{ "executionSuccessful": was_read, "toolConfigurationNotifications": unchecked }],
            "results": results,
        }],
    })
}

fn rule(code: Code) -> Value {
    let mut rule = json!({
        "id": code.name(),
        "shortDescription": { "text": format!("{}.", capitalised(code.what())) },
        "fullDescription": { "text": format!("{}.", capitalised(code.why())) },
        "help": {
            "text": format!("{}. {}.", capitalised(code.why()), capitalised(code.mend())),
            "markdown": page(code),
        },
    });
    if let Some(uri) = help_uri(env!("CARGO_PKG_REPOSITORY"), code) {
        rule["helpUri"] = uri.into();
    }
    rule
}

/// The page of a code, where this build knows a place where its repository can be read.
fn help_uri(repository: &str, code: Code) -> Option<String> {
    let known = repository.starts_with("https://");
    known.then(|| format!("{}/blob/HEAD/docs/diagnostics.md#{}", repository.trim_end_matches('/'), code.name()))
}

fn result(finding: &Finding, source: &Source, seen: &mut HashMap<String, usize>) -> Value {
    let place = Place::of(&finding.file);
    let mut artifact = json!({ "uri": place.uri() });
    if place.inside {
        artifact["uriBaseId"] = ROOT.into();
    }
    let mut location = json!({ "artifactLocation": artifact });
    if finding.span != Span::default() {
        location["region"] = region(source, finding.span);
    }
    let identity = identity(finding, source, &place);
    let earlier = seen.entry(identity.clone()).or_insert(0);
    *earlier += 1;
    json!({
        "ruleId": finding.code.name(),
        "ruleIndex": Code::ALL.iter().position(|code| *code == finding.code),
        "level": finding.severity.word(),
        "message": message(&super::sentences(finding)),
        "locations": [{ "physicalLocation": location }],
        "partialFingerprints": { "afk/v1": format!("{identity}:{earlier}") },
    })
}

/// What makes a finding the same one after lines were added elsewhere: its code, its file, and the text it marks.
fn identity(finding: &Finding, source: &Source, place: &Place) -> String {
    let marked = source.text.get(finding.span.start..finding.span.end).unwrap_or_default();
    let mut hasher = Sha256::new();
    for part in [finding.code.name(), &place.path, &finding.message, marked] {
        hasher.update(format!("{}\n{part}", part.len()));
    }
    hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Lines and columns, both from 1; columns count UTF-16 code units, the end is one past the last.
fn region(source: &Source, span: Span) -> Value {
    let (start_line, start_column) = line_and_column(source, span.start);
    let (end_line, end_column) = line_and_column(source, span.end.max(span.start));
    json!({ "startLine": start_line, "startColumn": start_column, "endLine": end_line, "endColumn": end_column })
}

fn line_and_column(source: &Source, byte: usize) -> (usize, usize) {
    let before = &source.text[..source.text.floor_char_boundary(byte)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].encode_utf16().count() + 1)
}

fn message(text: &str) -> Value {
    json!({ "text": literal(text) })
}

/// The text of a message, in which SARIF finds neither a placeholder nor a link (§3.11.5, §3.11.6).
fn literal(text: &str) -> String {
    printable(text).replace('{', "{{").replace('}', "}}").replace('[', "\\[").replace(']', "\\]")
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn columns_count_utf_16_code_units() {
        let source = Source { name: String::new(), text: "a = 1\nü = \"😀\" x".to_owned() };
        let end = source.text.len();
        assert_eq!(
            region(&source, Span { start: end - 1, end }),
            json!({ "startLine": 2, "startColumn": 10, "endLine": 2, "endColumn": 11 })
        );
    }

    #[test]
    fn a_rule_leads_to_its_page_where_the_repository_is_known() {
        let uri = help_uri("https://forge.example/afk/", Code::Spin);
        assert_eq!(uri.as_deref(), Some("https://forge.example/afk/blob/HEAD/docs/diagnostics.md#spin"));
        assert_eq!(help_uri("", Code::Spin), None);
    }

    #[test]
    fn nothing_in_a_text_is_a_placeholder_or_a_link() {
        assert_eq!(literal("{0} [x](y)"), "{{0}} \\[x\\](y)");
    }
}
