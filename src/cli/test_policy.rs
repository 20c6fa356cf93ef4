//! `afk test-policy`: whether a policy decides as the cases beside it say.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::exit::{ExitStatus, Failure};
use super::explain::words::{Cell, shown, table};
use super::findings::{self, counted};
use super::output::{BAD, FAINT, GOOD, Output, STRONG, printable};
use super::{Format, FormatArguments, PolicyArguments};
use crate::adapters::policy_file::{self, Loaded};
use crate::cases::{self, CaseResult, Coverage, IssueTrace, RunTrace, TestRun, Trace};
use crate::policy::{Checked, Finding, InstalledNames, Policy, Source, Surroundings};

/// How the files are called that hold cases.
const ENDING: &str = ".test.toml";

/// Failures that are shown with their trace; one mistake in the policy may fail every case.
const TRACES: usize = 5;

/// Run the cases beside a policy, and say how much of it they cover
///
/// A case names issues or a run, by the facts that matter, and what the policy should decide. Nothing is read but the
/// policy, its prompts and the test files.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The test files [default: every `*.test.toml` beside the policy]
    #[arg(value_name = "FILES")]
    pub files: Vec<PathBuf>,
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyArguments,
    /// Fail where fewer percent of gates and rows are covered
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100), default_value_t = 0)]
    pub min_coverage: u8,
    /// How the result is written.
    #[command(flatten)]
    pub format: FormatArguments,
}

/// Everything that came of the tests of one policy.
struct Report<'a> {
    policy: &'a Policy,
    runs: &'a [TestRun],
    coverage: Coverage,
    minimum: usize,
}

impl Report<'_> {
    fn enough(&self) -> bool {
        self.coverage.percent() >= self.minimum
    }

    fn passed(&self) -> bool {
        self.enough() && self.runs.iter().all(TestRun::passed)
    }
}

/// Runs it.
///
/// # Errors
/// When there is no test file.
pub fn run(arguments: &Arguments, out: &mut Output) -> Result<ExitStatus, Failure> {
    let path = &arguments.policy.policy;
    let installed = InstalledNames::default();
    let loaded = policy_file::load_unproven(path, &installed);
    let Some(policy) = &loaded.checked.policy else {
        refuse(&loaded, arguments.format.format, out);
        return Ok(ExitStatus::Findings);
    };
    let files = if arguments.files.is_empty() { beside(path)? } else { arguments.files.clone() };
    let runs = run_files(path, &loaded, &files)?;
    let report = Report {
        policy,
        coverage: Coverage::of(policy, runs.iter().map(|run| &run.covered)),
        runs: &runs,
        minimum: usize::from(arguments.min_coverage),
    };
    match arguments.format.format {
        Format::Json => out.json(&document(&report)),
        Format::Human => draw(&report, out),
    }
    Ok(if report.passed() { ExitStatus::Done } else { ExitStatus::Findings })
}

/// Runs test files against a policy that has no errors.
fn run_files(path: &Path, loaded: &Loaded, files: &[PathBuf]) -> Result<Vec<TestRun>, Failure> {
    let installed = InstalledNames::default();
    let prompt = policy_file::prompts_beside(path);
    let surroundings = Surroundings { prompt: &prompt, installed: &installed };
    let mut runs = Vec::new();
    for file in files {
        runs.push(match policy_file::source(file) {
            Ok(tests) => cases::run(&loaded.source, &tests, &surroundings)
                .map_err(|_| Failure::could_not_run(format!("`{}` changed while it was read", path.display())))?,
            Err(finding) => unreadable(file, finding),
        });
    }
    Ok(runs)
}

/// What the tests beside a policy come to, in one line; `None` where there are none.
pub fn beside_in_words(path: &Path, loaded: &Loaded) -> Option<String> {
    let policy = loaded.checked.policy.as_ref()?;
    let runs = run_files(path, loaded, &beside(path).ok()?).ok()?;
    let cases = || runs.iter().flat_map(|run| &run.cases);
    let (all, passed) = (cases().count(), cases().filter(|case| case.passed()).count());
    let broken = runs.iter().filter(|run| !run.findings.is_empty()).map(|run| run.source.name.as_str());
    let broken: String = broken.map(|name| format!("`{name}` has errors, so not every case was run; ")).collect();
    let coverage = Coverage::of(policy, runs.iter().map(|run| &run.covered)).percent();
    Some(format!("{broken}{passed} of {all} pass, coverage {coverage} %"))
}

/// The test files beside a policy, by name.
fn beside(policy: &Path) -> Result<Vec<PathBuf>, Failure> {
    let folder = policy.parent().unwrap_or(Path::new(""));
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = fs::read_dir(listed)
        .and_then(|entries| entries.collect::<Result<Vec<_>, _>>())
        .map_err(|error| Failure::could_not_run(format!("`{}` cannot be listed: {error}", listed.display())))?;
    let mut files: Vec<PathBuf> = entries
        .into_iter()
        .map(|entry| entry.file_name())
        .filter(|name| name.to_string_lossy().ends_with(ENDING))
        .map(|name| folder.join(name))
        .collect();
    files.sort();
    if files.is_empty() {
        let first = policy.with_extension("test.toml");
        let message = format!("there is no test file beside `{}`", policy.display());
        return Err(Failure::could_not_run(message)
            .help(format!("write `{}`, for example:\n\n{EXAMPLE}", first.display()))
            .help("docs/testing-policies.md describes the format; or name a test file: afk test-policy FILE"));
    }
    Ok(files)
}

const EXAMPLE: &str = r#"    [policy]
    kill_switch = false
    allowlist   = ["acme/app"]

    [[cases]]
    name   = "a stranger may not arm an issue"
    issues = [{ repo = "acme/app", number = 1, trusted = false }]
    expect = { dispatch = [], fired = { "acme/app#1" = "trust" } }

    [[cases]]
    name   = "an agent at work is left alone"
    run    = { state = "working" }
    expect = { row = "wait" }
"#;

fn unreadable(file: &Path, mut finding: Finding) -> TestRun {
    if file.symlink_metadata().is_err() {
        finding.help = vec![format!("name a file that does exist, or leave it out for every `*{ENDING}`")];
    }
    let source = Source { name: file.display().to_string(), text: String::new() };
    TestRun { source, findings: vec![finding], cases: Vec::new(), covered: Default::default() }
}

/// A policy in error has no meaning that could be tested.
fn refuse(loaded: &Loaded, format: Format, out: &mut Output) {
    match format {
        Format::Json => out.json(&json!({
            "policy": loaded.source.name,
            "passed": false,
            "findings": findings::documents(loaded),
        })),
        Format::Human => {
            findings::draw(loaded, out);
            let name = printable(&loaded.source.name);
            out.line(format_args!("{name}: {BAD}errors{BAD:#}, so no case was run"));
        }
    }
}

/// A test file as findings are drawn from it.
fn as_loaded(run: &TestRun) -> Loaded {
    let checked = Checked { policy: None, fragments: None, findings: run.findings.clone(), prompts: Vec::new() };
    Loaded { source: run.source.clone(), checked, proofs: None }
}

fn document(report: &Report<'_>) -> Value {
    let files: Vec<Value> = report
        .runs
        .iter()
        .map(|run| {
            let line = |byte: usize| run.source.line_and_column(byte).0;
            let case = |case: &CaseResult| {
                let differences = case.differences.iter().map(|one| {
                    json!({
                        "what": one.what,
                        "expected": one.expected,
                        "actual": one.actual,
                        "line": line(one.span.start),
                    })
                });
                json!({
                    "name": case.name,
                    "line": line(case.span.start),
                    "passed": case.passed(),
                    "differences": differences.collect::<Vec<_>>(),
                    "trace": case.trace,
                })
            };
            json!({
                "file": run.source.name,
                "findings": findings::documents(&as_loaded(run)),
                "cases": run.cases.iter().map(case).collect::<Vec<_>>(),
            })
        })
        .collect();
    let cases = || report.runs.iter().flat_map(|run| &run.cases);
    json!({
        "policy": report.policy.source.name,
        "revision": report.policy.revision,
        "passed": report.passed(),
        "counts": {
            "cases": cases().count(),
            "failed": cases().filter(|case| !case.passed()).count(),
            "errors": report.runs.iter().map(|run| run.findings.len()).sum::<usize>(),
        },
        "files": files,
        "coverage": {
            "percent": report.coverage.percent(),
            "minimum": report.minimum,
            "gates": report.coverage.gates,
            "rows": report.coverage.rows,
        },
    })
}

fn draw(report: &Report<'_>, out: &mut Output) {
    let mut failures: usize = 0;
    for run in report.runs {
        findings::draw(&as_loaded(run), out);
        for case in run.cases.iter().filter(|case| !case.passed()) {
            failures = failures.saturating_add(1);
            draw_failure(run, case, failures <= TRACES, out);
        }
    }
    if failures > TRACES {
        out.line(format_args!(
            "note: only the first {TRACES} failures are shown with their trace; `--format json` has them all\n"
        ));
    }
    for run in report.runs {
        let failed = run.cases.iter().filter(|case| !case.passed()).count();
        let mut said = vec![match failed {
            0 if run.passed() => format!("{GOOD}{} passed{GOOD:#}", counted(run.cases.len(), "case")),
            _ => format!("{} passed", counted(run.cases.len().saturating_sub(failed), "case")),
        }];
        if failed > 0 {
            said.push(format!("{BAD}{failed} failed{BAD:#}"));
        }
        if !run.findings.is_empty() {
            said.push(format!("{BAD}{}{BAD:#} in the file", counted(run.findings.len(), "error")));
        }
        out.line(format_args!("{}: {}", printable(&run.source.name), said.join(", ")));
    }
    draw_coverage(report, out);
}

fn draw_coverage(report: &Report<'_>, out: &mut Output) {
    let Coverage { gates, rows } = &report.coverage;
    let name = printable(&report.policy.source.name);
    let covered = |rules: &[cases::Rule]| rules.iter().filter(|rule| rule.covered).count();
    let style = if report.enough() { GOOD } else { BAD };
    let percent = report.coverage.percent();
    out.line(format_args!(
        "{name}: {style}{percent} % covered{style:#}: {} of {} fired, {} of {} matched",
        covered(gates),
        counted(gates.len(), "gate"),
        covered(rows),
        counted(rows.len(), "row"),
    ));
    let missing = |what: &str, rules: &[cases::Rule]| -> Option<Vec<Cell>> {
        let missing = rules.iter().filter(|rule| !rule.covered);
        let missing: Vec<String> = missing.map(|rule| format!("{} (line {})", rule.name, rule.line)).collect();
        (!missing.is_empty()).then(|| vec![what.into(), missing.join(", ").into()])
    };
    let rows: Vec<Vec<Cell>> =
        [missing("gates not covered", gates), missing("rows not covered", rows)].into_iter().flatten().collect();
    out.text(table(&rows, 1, "  "));
    if !report.enough() {
        out.line(format_args!("{BAD}coverage is below{BAD:#} the {} % of --min-coverage", report.minimum));
    }
}

fn draw_failure(run: &TestRun, case: &CaseResult, traced: bool, out: &mut Output) {
    out.line(format_args!("{BAD}FAIL{BAD:#} {STRONG}{}{STRONG:#}", shown(&case.name)));
    out.line(format_args!("{FAINT}  --> {}{FAINT:#}", printable(&run.source.place(case.span.start))));
    let rows = case.differences.iter().flat_map(|one| {
        [("- expected", GOOD, &one.expected), ("+ actual", BAD, &one.actual)].map(|(side, style, value)| {
            vec![Cell::styled(side, style), shown(&one.what).into(), Cell::styled(shown(value), style)]
        })
    });
    out.text(format_args!("{}\n", table(&rows.collect::<Vec<_>>(), 2, "  ")));
    if !traced {
        return;
    }
    match &case.trace {
        Trace::Issues(issues) => issues.iter().for_each(|issue| draw_issue(issue, out)),
        Trace::Run(trace) => draw_run(trace, out),
    }
    out.line("");
}

fn draw_issue(issue: &IssueTrace, out: &mut Output) {
    let why = match &issue.fired {
        Some(fired) => format!("{fired}: {}", issue.why),
        None => issue.why.clone(),
    };
    out.line(format_args!("  {STRONG}{}{STRONG:#}  {}", shown(&issue.issue), shown(&why)));
    let rows = issue.gates.iter().map(|gate| {
        let verdict = match gate.verdict {
            "pass" => Cell::styled("pass", GOOD),
            "deny" => Cell::styled("DENY", BAD),
            other => Cell::styled(other, BAD),
        };
        let is_fired = issue.fired.as_ref() == Some(&gate.gate);
        let mark = if is_fired { Cell::styled(">", BAD) } else { Cell::default() };
        vec![
            mark,
            gate.gate.as_str().into(),
            verdict,
            shown(&gate.evidence.join(", ")).into(),
            gate.line.to_string().into(),
        ]
    });
    draw_table(["", "gate", "verdict", "evidence", "line"], rows.collect(), 3, out);
}

fn draw_run(trace: &RunTrace, out: &mut Output) {
    for state in &trace.states {
        out.line(format_args!("  in {STRONG}{}{STRONG:#}", shown(&state.state)));
        let first = state.rows.iter().position(|row| row.verdict == "matches");
        let rows = state.rows.iter().enumerate().map(|(index, row)| {
            let verdict = match row.verdict {
                "matches" => Cell::styled("matches", GOOD),
                other => other.into(),
            };
            let mark = if first == Some(index) { Cell::styled(">", BAD) } else { Cell::default() };
            let lacks = if row.lacks.is_empty() { "-".to_owned() } else { row.lacks.join(", ") };
            let line = row.line.to_string();
            vec![mark, row.row.as_str().into(), row.to.as_str().into(), verdict, shown(&lacks).into(), line.into()]
        });
        draw_table(["", "row", "to", "verdict", "lacks", "line"], rows.collect(), 4, out);
    }
    out.line(format_args!("  {}", shown(&trace.end)));
}

/// A table with a head; nothing where it has no rows.
fn draw_table<const N: usize>(head: [&str; N], rows: Vec<Vec<Cell>>, wraps: usize, out: &mut Output) {
    if rows.is_empty() {
        return;
    }
    let head: Vec<Cell> = head.into_iter().map(|title| Cell::styled(title, FAINT)).collect();
    let rows: Vec<Vec<Cell>> = std::iter::once(head).chain(rows).collect();
    out.text(table(&rows, wraps, "  "));
}

const AFTER_HELP: &str = "\
Exit codes:
  0  every case passed, and enough is covered
  1  a case failed, a test file or the policy has errors, or too little is covered
  2  the command line is wrong
  4  could not run; there is no test file

Examples:
  afk test-policy --min-coverage 100
  afk test-policy --policy examples/policies/classic.toml --format json";
