//! `afk explain`: why an issue is or is not taken, why a run waits, what a code means.

use clap::Args;

use super::exit::{ExitStatus, Failure};
use super::output::Output;
use super::{FormatArguments, PolicyArguments, SettingsArguments};

mod code;

/// Explain an issue, a run or a code
///
/// For an issue: every gate with its verdict, what would have to happen, and its place in the queue; for an issue with
/// a run: where it is and what happens next. This is the very code of `afk poll` over the real queue. For a code: what
/// a finding of `afk check-policy` means, why it matters, how to mend it.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
#[group(id = "subject", required = true, multiple = false, args = ["issue", "code"])]
pub struct Arguments {
    /// The issue: `42`, `owner/name#42` or its address
    #[arg(long, value_name = "ISSUE")]
    pub issue: Option<String>,
    /// The code of a finding; without a value: all of them
    #[arg(long, value_name = "CODE", num_args = 0..=1)]
    pub code: Option<Option<String>>,
    /// Read every fact, also those that cost calls and no longer matter
    #[arg(long, requires = "issue")]
    pub all: bool,
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyArguments,
    /// Which installation.
    #[command(flatten)]
    pub settings: SettingsArguments,
    /// How the result is written.
    #[command(flatten)]
    pub format: FormatArguments,
}

/// Runs it.
///
/// # Errors
/// When the code does not exist, or the world cannot be read.
pub fn run(arguments: &Arguments, out: &mut Output) -> Result<ExitStatus, Failure> {
    match &arguments.code {
        Some(code) => code::run(code.as_deref(), arguments.format.format, out),
        None => explain_issue(arguments, out),
    }
}

fn explain_issue(_arguments: &Arguments, _out: &mut Output) -> Result<ExitStatus, Failure> {
    // TO BE FILLED IN: the engine behind this command is not part of this build yet.
    Err(Failure::could_not_run("`afk explain --issue` is not built yet"))
}

const AFTER_HELP: &str = "\
Exit codes:
  0  answered
  1  the policy is wrong
  2  there is no such issue or code
  4  could not run

Examples:
  afk explain --issue acme/app#42
  afk explain --code wrong-matcher";
