//! Findings as workflow commands of GitHub Actions, and the rest in the summary of the step.
//!
//! A line of the log that begins with `::` commands the runner, so nothing that a policy says ever begins a line: each
//! finding is one command, with every line break in it escaped. In the summary all of it lies in a fenced block, where
//! nothing is HTML, a link or a mention.

use std::fs::OpenOptions;
use std::io::Write as _;

use anstream::adapter::strip_str;

use super::place::Place;
use super::{counted, in_order, source_of};
use crate::adapters::policy_file::Loaded;
use crate::cli::exit::Failure;
use crate::cli::output::{Output, printable};
use crate::policy::{Finding, Severity, Source, Span};
use crate::text::harmless;

/// How many findings become annotations: GitHub shows no more of a step.
const ANNOTATIONS: usize = 10;

/// Writes annotations of the worst findings, and `report` into the summary of the step.
///
/// # Errors
/// When the summary cannot be written.
pub fn write(loaded: &Loaded, report: &str, out: &mut Output) -> Result<(), Failure> {
    let mut findings = in_order(loaded);
    findings.sort_by_key(|finding| finding.severity);
    for finding in findings.iter().take(ANNOTATIONS) {
        out.workflow_command(annotation(finding, source_of(loaded, finding)));
    }
    let summary = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty());
    if let Some(more) = findings.len().checked_sub(ANNOTATIONS).filter(|more| *more > 0) {
        let rest = if summary.is_some() { "in the summary" } else { "in `afk check-policy --format human`" };
        out.workflow_command(format_args!("::notice::{more} more {rest}"));
    }
    let Some(path) = summary else { return Ok(()) };
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(markdown(loaded, report).as_bytes()));
    written.map_err(|error| {
        Failure::could_not_run(format!("the summary `{}` cannot be written: {error}", path.display()))
            .help("the variable GITHUB_STEP_SUMMARY names it")
    })
}

/// `::error file=…,line=…::…`.
fn annotation(finding: &Finding, source: &Source) -> String {
    let command = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut properties = vec![("file", Place::of(&finding.file).path)];
    if finding.span != Span::default() {
        let (line, column) = source.line_and_column(finding.span.start);
        let (end_line, end_column) = source.line_and_column(finding.span.end);
        properties.push(("line", line.to_string()));
        properties.push(("endLine", end_line.to_string()));
        // GitHub takes columns only of places within one line.
        if line == end_line {
            properties.push(("col", column.to_string()));
            properties.push(("endColumn", end_column.to_string()));
        }
    }
    properties.push(("title", finding.code.name().to_owned()));
    let properties: Vec<String> =
        properties.into_iter().map(|(name, value)| format!("{name}={}", property(&value))).collect();
    format!("::{command} {}::{}", properties.join(","), data(&super::sentences(finding)))
}

/// As the toolkit of GitHub escapes a message.
fn data(text: &str) -> String {
    printable(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// As the toolkit of GitHub escapes a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

fn markdown(loaded: &Loaded, report: &str) -> String {
    let report = strip_str(report).to_string();
    let longest = report.split(|letter| letter != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    let errors = super::count(&loaded.checked.findings, Severity::Error);
    let verdict = if loaded.checked.policy.is_some() { "ok".to_owned() } else { counted(errors, "error") };
    let name = harmless(&loaded.source.name, 200);
    format!("## afk check-policy: {verdict} in `{name}`\n\n{fence}text\n{}\n{fence}\n\n", report.trim_end())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::policy::{Checked, Code};

    fn finding(message: &str) -> Finding {
        Finding {
            code: Code::UnknownKey,
            severity: Severity::Error,
            message: message.to_owned(),
            file: "/nowhere/a,b:c%.toml".to_owned(),
            span: Span { start: 2, end: 4 },
            label: "write it\notherwise".to_owned(),
            help: Vec::new(),
        }
    }

    fn source(text: &str) -> Source {
        Source { name: "/nowhere/a,b:c%.toml".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn an_annotation_is_one_line_whatever_a_policy_says() {
        let said = annotation(&finding("x\r\n::stop-commands::y\u{2028}::error::100%"), &source("a\nbcd\n"));
        assert_eq!(
            said,
            "::error file=/nowhere/a%2Cb%3Ac%25.toml,line=2,endLine=2,col=1,endColumn=3,title=unknown-key\
             ::x\\u{d}%0A::stop-commands::y\\u{2028}::error::100%25%0Awrite it%0Aotherwise"
        );
    }

    #[test]
    fn a_place_of_several_lines_has_no_columns() {
        let said = annotation(&finding("x"), &source("a\nb\ncd"));
        assert!(said.starts_with("::error file=/nowhere/a%2Cb%3Ac%25.toml,line=2,endLine=3,title="), "{said}");
    }

    #[test]
    fn nothing_leaves_the_block_of_the_summary() {
        let source = source("x");
        let checked = Checked { policy: None, fragments: None, findings: vec![finding("x")], prompts: Vec::new() };
        let loaded = Loaded { source: Source { name: "`<b>@ada`".to_owned(), ..source }, checked, proofs: None };
        let report = "\u{1b}[1merror\u{1b}[0m: ````\n````\n<img src=x> @ada [a](b)\n";
        assert_eq!(
            markdown(&loaded, report),
            "## afk check-policy: 1 error in `'‹b›＠ada'`\n\n\
             `````text\nerror: ````\n````\n<img src=x> @ada [a](b)\n`````\n\n"
        );
    }
}
