//! `afk check-policy`: whether a policy can be used.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::exit::{ExitStatus, Failure};
use super::output::{BAD, GOOD, Output, STRONG, WARN, printable};
use super::{Format, FormatArguments, PolicyArguments, findings};
use crate::adapters::policy_file::{self, Loaded};
use crate::policy::{Code, Finding, Policy, Severity, Span, short_revision};
use crate::schema::Validator;

/// Check a policy: every finding of the file in one run
///
/// Each with its place, what to write instead, and a code that `afk explain --code CODE` explains. With an error in it,
/// `afk poll` and `afk watch` do nothing with the policy: a broken policy is a kill switch that is on.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The policy file, instead of the one that `--policy` names
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyArguments,
    /// How the result is written.
    #[command(flatten)]
    pub format: FormatArguments,
}

/// What this build does not do yet, and says.
const NO_PROOFS: &str = "the proofs of policy-language.md §6 are not part of this build yet";

/// Runs it.
///
/// # Errors
/// When the schema of this build is broken.
pub fn run(arguments: &Arguments, out: &mut Output) -> Result<ExitStatus, Failure> {
    let path = arguments.file.as_ref().unwrap_or(&arguments.policy.policy);
    let mut loaded = policy_file::load(path, None);
    let disagreement = disagreement(&loaded)?;
    loaded.checked.findings.extend(disagreement);
    match arguments.format.format {
        Format::Json => write_document(&loaded, out),
        Format::Human => write_report(&loaded, out),
    }
    Ok(if loaded.checked.policy.is_some() { ExitStatus::Done } else { ExitStatus::Findings })
}

fn write_document(loaded: &Loaded, out: &mut Output) {
    let count = |severity| findings::count(&loaded.checked.findings, severity);
    let policy = loaded.checked.policy.as_ref();
    out.json(&json!({
        "file": loaded.source.name,
        "usable": policy.is_some(),
        "revision": policy.map(|policy| &policy.revision),
        "counts": {
            "errors": count(Severity::Error),
            "warnings": count(Severity::Warning),
            "notes": count(Severity::Note),
        },
        "findings": findings::documents(loaded),
        "not_checked": [NO_PROOFS],
    }));
}

fn write_report(loaded: &Loaded, out: &mut Output) {
    findings::draw(loaded, out);
    let name = printable(&loaded.source.name);
    let errors = findings::count(&loaded.checked.findings, Severity::Error);
    let warnings = findings::count(&loaded.checked.findings, Severity::Warning);
    let notes = loaded.checked.findings.iter().filter(|finding| finding.severity == Severity::Note);
    let notes = notes.map(|finding| finding.message.as_str());
    let notes = notes.chain(loaded.checked.policy.as_ref().map(|_| NO_PROOFS));
    let notes: String = notes.map(|note| format!("{STRONG}note{STRONG:#}: {}\n", printable(note))).collect();
    let Some(policy) = &loaded.checked.policy else {
        let (errors, warnings) = (findings::counted(errors, "error"), findings::counted(warnings, "warning"));
        out.line(format_args!(
            "{notes}{name}: {BAD}{errors}{BAD:#}, {warnings}. `afk poll` and `afk watch` would do nothing with this policy"
        ));
        return;
    };
    let warnings = match warnings {
        0 => String::new(),
        count => format!(", {WARN}{}{WARN:#}", findings::counted(count, "warning")),
    };
    out.line(format_args!("{name}: {GOOD}ok{GOOD:#} (revision {}){warnings}", short_revision(&policy.revision)));
    out.line(format_args!("  {}", contents(policy)));
    out.text(notes);
}

fn contents(policy: &Policy) -> String {
    let rules = &policy.base;
    let mut contents = [
        findings::counted(rules.gates.len(), "gate"),
        findings::counted(rules.states.len(), "state"),
        findings::counted(rules.transitions.len(), "transition"),
        findings::counted(rules.prompts.len(), "prompt"),
    ]
    .join(", ");
    if !policy.overrides.is_empty() {
        contents.push_str("; ");
        contents.push_str(&findings::counted(policy.overrides.len(), "repo override"));
    }
    contents
}

/// The parser judges policies; the schema serves editors. Here both judge, and a document on which they differ is
/// itself a finding, since an editor would then show something else than what runs.
fn disagreement(loaded: &Loaded) -> Result<Option<Finding>, Failure> {
    let codes = || loaded.checked.findings.iter().filter(|one| one.severity == Severity::Error).map(|one| one.code);
    if codes().any(|code| matches!(code, Code::Unreadable | Code::Syntax | Code::TooLarge)) {
        return Ok(None);
    }
    let validator = Validator::new()
        .map_err(|error| Failure::could_not_run(format!("the JSON Schema of this build is broken: {error}")))?;
    let message = match validator.judge(&loaded.source.text) {
        Ok(Some(refusal)) if loaded.checked.policy.is_some() => format!(
            "the JSON Schema refuses `{}` by its rule `{}`, the parser accepts it",
            if refusal.at.is_empty() { "/" } else { &refusal.at },
            refusal.rule
        ),
        // Other errors may be beyond any schema; an unknown key never is.
        Ok(None) if codes().any(|code| code == Code::UnknownKey) => {
            "the parser refuses a key that the JSON Schema accepts".to_owned()
        }
        Ok(_) => return Ok(None),
        Err(error) => format!("the JSON Schema cannot be held against the text: {}", error.message()),
    };
    Ok(Some(Finding {
        code: Code::SchemaDisagrees,
        severity: Severity::Warning,
        message,
        file: loaded.source.name.clone(),
        span: Span::default(),
        label: String::new(),
        help: vec!["this is a defect of afk, not of the policy: please report it with the policy".to_owned()],
    }))
}

const AFTER_HELP: &str = "\
Exit codes:
  0  no errors; there may be warnings and notes
  1  errors
  2  the command line is wrong
  4  could not run

Examples:
  afk check-policy
  afk check-policy ops/afk.toml --format json";
