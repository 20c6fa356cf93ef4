//! `afk diff-policy`: what a change of the policy means.

use std::path::{Path, PathBuf};

use chrono::Utc;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::exit::{ExitStatus, Failure};
use super::output::{Output, STRONG};
use super::{PolicyArguments, SettingsArguments, findings, test_policy};
use crate::adapters::policy_file::Loaded;
use crate::policy::{Policy, Severity};
use crate::verify::difference::{Difference, Direction};
use crate::verify::{self, Outcome, Proofs};

mod derived;
mod human;
mod later;
mod links;
mod markdown;
mod snapshot;
mod source;
mod today;

use links::Links;
use source::{Named, Source};
use today::Today;

/// Say what a change of the policy means: which inputs are decided differently
///
/// Over every possible input, exactly: what is looser, what is tighter, which runs end differently, each with a smallest
/// example and its line. Then, with `--over` or `--live`, which of today's issues and runs are.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The policy before: a file, a revision such as `origin/main:policies/afk.toml`, or `builtin:standard`
    #[arg(value_name = "OLD")]
    pub old: String,
    /// The policy after, instead of the one that `--policy` names
    #[arg(value_name = "NEW")]
    pub new: Option<String>,
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyArguments,
    /// Hold today's issues and runs against both, from what `afk poll --dry-run --format json` wrote
    #[arg(long, value_name = "SNAPSHOT", conflicts_with = "live")]
    pub over: Option<PathBuf>,
    /// Hold today's issues and runs against both, read from the installation that `--settings` names
    #[arg(long)]
    pub live: bool,
    /// Which installation; only read with `--live`.
    #[command(flatten)]
    pub settings: SettingsArguments,
    /// End with 10 where decisions change, and with 11 where something is looser
    #[arg(long)]
    pub exit_code: bool,
    /// What the path of the new policy is appended to, for links to its lines [default: from GITHUB_SERVER_URL,
    /// GITHUB_REPOSITORY and GITHUB_SHA, where they are set]
    #[arg(long, value_name = "URL")]
    pub link_base: Option<String>,
    /// `human` for reading, `markdown` for a comment on a pull request, `json` for one JSON document
    #[arg(long, value_enum, default_value_t = Shape::Human, value_name = "FORMAT", help_heading = "Output")]
    pub format: Shape,
}

/// How a difference is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// For reading.
    Human,
    /// A comment on a pull request.
    Markdown,
    /// One JSON document.
    Json,
}

/// Everything there is to say.
struct Comparison<'a> {
    old: &'a Named<Policy>,
    new: &'a Named<Policy>,
    difference: Difference,
    proofs: Proofs,
    /// The findings of proofs that fail, drawn.
    wrong: Option<String>,
    /// What the tests beside the new policy come to.
    tests: Option<String>,
    /// Where it was asked for; `Err`: why there is none to compare.
    today: Option<Result<Today, String>>,
    links: Links,
}

/// Runs it.
///
/// # Errors
/// When a revision or the snapshot cannot be read, or the policies are too entangled to be compared.
pub fn run(arguments: &Arguments, out: &mut Output) -> Result<ExitStatus, Failure> {
    let new = arguments.new.clone().unwrap_or_else(|| arguments.policy.policy.display().to_string());
    let (old, new) = (source::load(&arguments.old)?, source::load(&new)?);
    let tests = match &new.source {
        Source::File(path) => test_policy::beside_in_words(Path::new(path), &new.value),
        Source::Revision(..) | Source::Standard => None,
    };
    let mut judged = new.value.clone();
    let target = new.source.clone();
    let show = |loaded, which, out: &mut Output| usable(loaded, which, &target, arguments.format, out);
    // One comment, and one document: where both are in error, the old one is shown.
    let Some(old) = show(old, "old", out) else { return Ok(ExitStatus::Findings) };
    let (old, new) = match (Some(old), show(new, "new", out)) {
        (Some(old), Some(new)) => (old, new),
        _ => return Ok(ExitStatus::Findings),
    };
    let links = Links::new(arguments.link_base.as_deref(), &new.source)?;
    let difference = verify::difference(&old.value, &new.value).map_err(|error| {
        Failure::could_not_run(format!("{error}: whether decisions change is not known"))
            .help("split conditions that combine many facts into several gates or rows, or change less at a time")
    })?;
    let reading = match (&arguments.over, arguments.live) {
        (Some(file), _) => Some(snapshot::read(file)?.map(today::Reading::Once)),
        (None, true) => match snapshot::live(arguments, &old.value, &new.value, out)? {
            Ok(both) => Some(Ok(today::Reading::Twice(Box::new(both)))),
            Err(status) => return Ok(status),
        },
        (None, false) => None,
    };
    let today = reading.map(|reading| reading.map(|read| today::compare(&old.value, &new.value, &read, Utc::now())));
    let proofs = verify::prove(&new.value);
    judged.prove(|_| proofs.clone());
    let is_sound = judged.checked.policy.is_some();
    if !is_sound && arguments.format == Shape::Human {
        findings::draw(&judged, out);
    }
    let wrong = (!is_sound).then(|| findings::drawings(&judged, findings::DRAWN));
    let comparison = Comparison { old: &old, new: &new, difference, proofs, wrong, tests, today, links };
    match arguments.format {
        Shape::Human => human::write(&comparison, out),
        Shape::Markdown => out.text(markdown::comment(&comparison)),
        Shape::Json => out.json(&document(&comparison)),
    }
    Ok(match (arguments.exit_code, &comparison.difference) {
        _ if !is_sound => ExitStatus::Findings,
        (true, difference) if difference.count(Direction::Looser) > 0 => ExitStatus::Looser,
        (true, difference) if !difference.is_equal() => ExitStatus::DecisionsChange,
        _ => ExitStatus::Done,
    })
}

/// The policy; `None` when it has errors, which were shown.
fn usable(
    loaded: Named<Loaded>,
    which: &str,
    target: &Source,
    format: Shape,
    out: &mut Output,
) -> Option<Named<Policy>> {
    if let Some(value) = loaded.value.checked.policy.clone() {
        return Some(Named { value, source: loaded.source });
    }
    let errors = findings::counted(findings::count(&loaded.value.checked.findings, Severity::Error), "error");
    match format {
        Shape::Json => out.json(&json!({
            "error": format!("the {which} policy cannot be used"),
            "file": loaded.value.source.name,
            "findings": findings::documents(&loaded.value),
        })),
        Shape::Markdown => {
            let name = super::output::printable(&loaded.value.source.name).into_owned();
            let said = format!("the {which} policy cannot be used: `{name}` has {errors}");
            let drawn = findings::drawings(&loaded.value, findings::DRAWN);
            out.text(markdown::unusable(target, &said, &drawn));
        }
        Shape::Human => {
            findings::draw(&loaded.value, out);
            let name = super::output::printable(&loaded.value.source.name).into_owned();
            out.line(format_args!("{STRONG}the {which} policy cannot be used{STRONG:#}: {name} has {errors}"));
        }
    }
    None
}

/// What proofs and tests of the new policy came to, in one line.
fn judged(comparison: &Comparison<'_>) -> String {
    let tests = comparison.tests.as_ref().map_or(String::new(), |tests| format!(" · tests: {tests}"));
    format!("checked: {} · not held against settings{tests}", proven(&comparison.proofs))
}

/// The invariants that the new policy breaks, and as bad as this.
fn broken(proofs: &Proofs, severity: Severity) -> Vec<&'static str> {
    let as_bad = |code| {
        let found = proofs.findings.iter().filter(|finding| finding.code == code);
        found.map(|finding| finding.severity).min() == Some(severity)
    };
    let broken = proofs.proofs.iter().filter(|proof| proof.outcome == Outcome::Broken && as_bad(proof.invariant));
    broken.map(|proof| proof.invariant.name()).collect()
}

fn proven(proofs: &Proofs) -> String {
    let count = |outcome| proofs.proofs.iter().filter(|proof| proof.outcome == outcome).count();
    let (all, holds) = (proofs.proofs.len(), count(Outcome::Holds));
    let mut line = format!("no errors, {holds} of {all} proofs hold");
    for (outcome, word) in [(Outcome::Waived, "waived"), (Outcome::Broken, "broken"), (Outcome::Undecided, "undecided")]
    {
        let names = proofs.proofs.iter().filter(|proof| proof.outcome == outcome).map(|proof| proof.invariant.name());
        let names: Vec<&str> = names.collect();
        if !names.is_empty() {
            line.push_str(&format!("; {word}: {}", names.join(", ")));
        }
    }
    if count(Outcome::Broken) + count(Outcome::Undecided) > 0 {
        line = line.replacen("no errors, ", "", 1);
    }
    line
}

fn document(comparison: &Comparison<'_>) -> Value {
    let Comparison { old, new, difference, proofs, wrong: _, tests, today, links } = comparison;
    let items = difference.items.iter().map(|item| {
        let sample = item.sample.as_ref().map(|sample| {
            let facts: serde_json::Map<String, Value> =
                sample.facts().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
            json!({
                "repo": sample.repo(),
                "allowlisted": sample.allowlisted(),
                "state": sample.state,
                "facts": facts,
                "before": sample.before,
                "after": sample.after,
            })
        });
        json!({
            "direction": item.direction.word(),
            "what": item.what,
            "repos": item.scopes,
            "details": item.details,
            "example": sample,
            "file": if item.place.is_old { "old" } else { "new" },
            "line": item.place.line,
            "url": links.to(item.place),
        })
    });
    let also = difference
        .also
        .iter()
        .map(|remark| json!({ "what": remark.what, "not_proven": remark.is_unproven, "lines": remark.lines }));
    json!({
        "old": { "source": old.source.shown(), "revision": old.value.revision },
        "new": { "source": new.source.shown(), "revision": new.value.revision },
        // What an agent does with another prompt, nobody can prove.
        "equal_in_meaning": difference.is_equal() && difference.unproven() == 0 && !difference.tells_otherwise(),
        "looser": difference.count(Direction::Looser),
        "tighter": difference.count(Direction::Tighter),
        "different": difference.count(Direction::Different),
        "changes": items.collect::<Vec<_>>(),
        "also": also.collect::<Vec<_>>(),
        "proofs": proofs.proofs.iter().map(|proof| json!({
            "invariant": proof.invariant.name(),
            "outcome": format!("{:?}", proof.outcome).to_ascii_lowercase(),
        })).collect::<Vec<_>>(),
        "tests": tests,
        "today": today.as_ref().and_then(|today| today.as_ref().ok()).map(Today::document),
        "no_today": today.as_ref().and_then(|today| today.as_ref().err()),
    })
}

const AFTER_HELP: &str = "\
Policies that differ only in comments, in the order of keys or in how a rule is written are said to be equal in meaning.
What an agent does with a changed prompt is not and cannot be proven.

Exit codes:
  0  answered, whether or not decisions change
  1  one of the policies is wrong (where only a proof of the new one fails, the rest is shown)
  2  the command line is wrong
  4  could not run, also where the two are too large to be compared exactly
  10 with `--exit-code`: decisions change, and none is looser
  11 with `--exit-code`: something is looser

Examples:
  afk diff-policy origin/main:policies/afk.toml
  afk diff-policy builtin:standard policies/afk.toml --over snapshot.json --format markdown";
