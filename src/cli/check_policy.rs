//! `afk check-policy`: whether a policy can be used.

use std::path::PathBuf;
use std::sync::LazyLock;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::exit::{ExitStatus, Failure};
use super::output::{BAD, GOOD, Output, STRONG, WARN, printable};
use super::{PolicyArguments, findings, wiring};
use crate::adapters::policy_file::{self, Loaded};
use crate::policy::{Code, Finding, InstalledNames, Policy, Severity, Span, short_revision};
use crate::schema::Validator;
use crate::settings::DEFAULT_FILE;
use crate::verify::{self, AXIOMS, INVARIANTS, Outcome, Proof};

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
    /// The settings of this installation, to check the names that the policy takes from them [default:
    /// afk.settings.toml, where there is one]
    #[arg(long, value_name = "FILE", env = "AFK_SETTINGS", hide_env_values = true)]
    pub settings: Option<PathBuf>,
    /// End with 1 where there are warnings, as with errors: for the CI of a policy, where no rule may do nothing
    #[arg(long)]
    pub deny_warnings: bool,
    /// Say of each invariant how many regions of the input space were decided, and which facts mattered
    #[arg(long, help_heading = "Output")]
    pub proofs: bool,
    /// `human` for reading, `json` for one JSON document, `sarif` for code scanning, `github` for annotations and the
    /// step summary of GitHub Actions
    #[arg(long, value_enum, default_value_t = FindingFormat::Human, value_name = "FORMAT", help_heading = "Output")]
    pub format: FindingFormat,
}

/// How findings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FindingFormat {
    /// For reading.
    Human,
    /// One JSON document.
    Json,
    /// One SARIF 2.1.0 document.
    Sarif,
    /// Workflow commands, and the step summary.
    Github,
}

/// What is left out without settings.
const NO_SETTINGS: &str =
    "executor, CI commands, doorbells and repositories are held against the settings only with `--settings FILE`";

/// Runs it.
///
/// # Errors
/// When settings are named and wrong, the schema of this build is broken, or the summary of a step cannot be written.
pub fn run(arguments: &Arguments, out: &mut Output) -> Result<ExitStatus, Failure> {
    let path = arguments.file.as_ref().unwrap_or(&arguments.policy.policy);
    let default = || Some(PathBuf::from(DEFAULT_FILE)).filter(|default| default.symlink_metadata().is_ok());
    let settings = arguments.settings.clone().or_else(default);
    let installed = match &settings {
        Some(file) => wiring::installed(&wiring::settings(file)?),
        None => InstalledNames::default(),
    };
    let mut loaded = policy_file::load_unproven(path, &installed);
    let with_evidence = arguments.proofs || arguments.format == FindingFormat::Json;
    loaded.prove(if with_evidence { verify::prove_with_evidence } else { verify::prove });
    let disagreement = disagreement(&loaded)?;
    loaded.checked.findings.extend(disagreement);
    let settings = settings.map(|file| file.display().to_string());
    let mut unchecked = Vec::new();
    unchecked.extend(not_proven(&loaded));
    if settings.is_none() && loaded.checked.policy.is_some() {
        unchecked.push(NO_SETTINGS.to_owned());
    }
    let unchecked: Vec<&str> = unchecked.iter().map(String::as_str).collect();
    let settings = settings.as_deref();
    match arguments.format {
        FindingFormat::Human => {
            out.text(report(&loaded, settings, &unchecked, findings::DRAWN));
            if arguments.proofs {
                out.text(proof_table(loaded.proofs.as_deref().unwrap_or_default()));
            }
        }
        FindingFormat::Json => write_document(&loaded, settings, &unchecked, out),
        FindingFormat::Sarif => out.json(&findings::sarif::document(&loaded, &unchecked)),
        FindingFormat::Github => {
            findings::github::write(&loaded, &report(&loaded, settings, &unchecked, usize::MAX), out)?;
        }
    }
    let warnings = findings::count(&loaded.checked.findings, Severity::Warning);
    let denied = loaded.checked.policy.is_none() || (arguments.deny_warnings && warnings > 0);
    Ok(if denied { ExitStatus::Findings } else { ExitStatus::Done })
}

fn write_document(loaded: &Loaded, settings: Option<&str>, unchecked: &[&str], out: &mut Output) {
    let count = |severity| findings::count(&loaded.checked.findings, severity);
    let policy = loaded.checked.policy.as_ref();
    out.json(&json!({
        "file": loaded.source.name,
        "settings": settings,
        "usable": policy.is_some(),
        "revision": policy.map(|policy| &policy.revision),
        "counts": {
            "errors": count(Severity::Error),
            "warnings": count(Severity::Warning),
            "notes": count(Severity::Note),
        },
        "proofs": loaded.proofs.as_ref().map(|proofs| proofs.iter().map(proof_document).collect::<Vec<_>>()),
        "findings": findings::documents(loaded),
        "not_checked": unchecked,
    }));
}

/// What people read, with at most so many findings drawn.
fn report(loaded: &Loaded, settings: Option<&str>, unchecked: &[&str], drawn: usize) -> String {
    let drawings = findings::drawings(loaded, drawn);
    let name = printable(&loaded.source.name);
    let errors = findings::count(&loaded.checked.findings, Severity::Error);
    let warnings = findings::count(&loaded.checked.findings, Severity::Warning);
    let notes = loaded.checked.findings.iter().filter(|finding| finding.severity == Severity::Note);
    let held_against = settings.map(|file| format!("checked against the settings `{file}`"));
    let notes = notes.map(|finding| finding.message.as_str()).chain(held_against.as_deref());
    let notes = notes.chain(unchecked.iter().copied());
    let notes: String = notes.map(|note| format!("{STRONG}note{STRONG:#}: {}\n", printable(note))).collect();
    let Some(policy) = &loaded.checked.policy else {
        let (errors, warnings) = (findings::counted(errors, "error"), findings::counted(warnings, "warning"));
        let mut codes =
            loaded.checked.findings.iter().filter(|one| one.severity == Severity::Error).map(|one| one.code);
        let consequence = if codes.all(|code| matches!(code, Code::MissingExecutor | Code::MissingCommand)) {
            "`afk poll` and `afk watch` would fail wherever they need these names"
        } else {
            "`afk poll` and `afk watch` would do nothing with this policy"
        };
        return format!("{drawings}{notes}{name}: {BAD}{errors}{BAD:#}, {warnings}. {consequence}\n");
    };
    let warnings = match warnings {
        0 => String::new(),
        count => format!(", {WARN}{}{WARN:#}", findings::counted(count, "warning")),
    };
    let revision = short_revision(&policy.revision);
    let proofs = proven(loaded.proofs.as_deref().unwrap_or_default());
    let contents = contents(policy);
    format!("{drawings}{name}: {GOOD}ok{GOOD:#} (revision {revision}){warnings}\n  {contents}\n  {proofs}\n{notes}")
}

/// How many invariants could not be decided, because what they ask of is in error.
fn not_proven(loaded: &Loaded) -> Option<String> {
    let (all, made) = (INVARIANTS.len(), loaded.proofs.as_ref().map_or(0, Vec::len));
    let unreadable = loaded.checked.findings.iter().any(|one| matches!(one.code, Code::Unreadable));
    (made < all && !unreadable)
        .then(|| format!("{} of {all} proofs were not made because of the errors above", all - made))
}

/// How many invariants hold, in one line, and which do not.
fn proven(proofs: &[Proof]) -> String {
    let count = |outcome| proofs.iter().filter(|proof| proof.outcome == outcome).count();
    let (holds, all) = (count(Outcome::Holds), proofs.len());
    let waived = findings::counted(count(Outcome::Waived), "waiver");
    let broken = proofs.iter().filter(|proof| matches!(proof.outcome, Outcome::Broken | Outcome::Undecided));
    let broken: Vec<&str> = broken.map(|proof| proof.invariant.name()).collect();
    let broken = if broken.is_empty() { String::new() } else { format!("; not: {}", broken.join(", ")) };
    format!(
        "{holds} of {all} invariants hold for every input, with the kill switch off and any allowlist; {waived}{broken}"
    )
}

/// What each proof came to, and what it was decided on.
fn proof_table(proofs: &[Proof]) -> String {
    let mut text = String::new();
    for proof in proofs {
        let outcome = match proof.outcome {
            Outcome::Holds => format!("{GOOD}holds{GOOD:#}    "),
            Outcome::Broken => format!("{BAD}broken{BAD:#}   "),
            Outcome::Waived => format!("{WARN}waived{WARN:#}   "),
            Outcome::Undecided => format!("{BAD}undecided{BAD:#}"),
        };
        let evidence = &proof.evidence;
        let regions = match evidence.regions {
            few @ ..1_000_000 => few.to_string(),
            many => format!("{many:.1e}"),
        };
        text +=
            &format!("  {:<18} {outcome} {regions} regions of {}\n", proof.invariant.name(), evidence.facts.join(", "));
    }
    text + "  assumed of facts that hang together:\n" + &AXIOMS.map(|axiom| format!("    - {axiom}\n")).concat()
}

fn proof_document(proof: &Proof) -> Value {
    json!({
        "invariant": proof.invariant.name(),
        "outcome": match proof.outcome {
            Outcome::Holds => "holds",
            Outcome::Broken => "broken",
            Outcome::Waived => "waived",
            Outcome::Undecided => "undecided",
        },
        "regions": u64::try_from(proof.evidence.regions).ok(),
        "facts": proof.evidence.facts,
    })
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
    // Never dropped: taking it apart takes a tenth of the time of building it.
    static VALIDATOR: LazyLock<Result<Validator, String>> = LazyLock::new(Validator::new);
    let validator = VALIDATOR
        .as_ref()
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
        // What the parser names itself (a key twice, a number beyond 64 bits) is no document that a schema could judge.
        Err(_) if loaded.checked.policy.is_none() => return Ok(None),
        Ok(_) => return Ok(None),
        // No TOML to other parsers: what is written twice, which was reported.
        Err(_) if loaded.checked.policy.is_none() => return Ok(None),
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
  afk check-policy ops/afk.toml --format github";

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> Loaded {
        policy_file::load(
            &PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/policies/afk.toml")),
            &InstalledNames::default(),
        )
    }

    fn said(loaded: &Loaded) -> Option<String> {
        disagreement(loaded).unwrap().map(|finding| finding.message)
    }

    #[test]
    fn schema_and_parser_agree_on_the_shipped_policy() {
        assert_eq!(said(&shipped()), None);
    }

    #[test]
    fn a_policy_that_only_the_parser_accepts_is_a_finding() {
        let mut loaded = shipped();
        loaded.source.text = loaded.source.text.replace("max_per_tick   = 4", "max_per_tick   = -4");
        assert_eq!(
            said(&loaded).as_deref(),
            Some(
                "the JSON Schema refuses `/dispatch/max_per_tick` by its rule \
                 `/properties/dispatch/properties/max_per_tick/minimum`, the parser accepts it"
            )
        );
    }

    #[test]
    fn a_key_that_only_the_schema_accepts_is_a_finding() {
        let mut loaded = shipped();
        loaded.checked.policy = None;
        loaded.checked.findings = vec![Finding {
            code: Code::UnknownKey,
            severity: Severity::Error,
            message: String::new(),
            file: String::new(),
            span: Span::default(),
            label: String::new(),
            help: Vec::new(),
        }];
        assert_eq!(said(&loaded).as_deref(), Some("the parser refuses a key that the JSON Schema accepts"));
    }
}
