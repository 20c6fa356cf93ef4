//! `afk check-policy`: whether a policy can be used.

use std::path::PathBuf;

use clap::Args;

use super::exit::{ExitStatus, Failure};
use super::output::Output;
use super::{FormatArguments, PolicyArguments};

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
    /// The settings of this installation: with them the doorbells of `[notify]` are checked too
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// How the result is written.
    #[command(flatten)]
    pub format: FormatArguments,
}

/// Runs it.
///
/// # Errors
/// When it cannot do its work.
pub fn run(_arguments: &Arguments, _out: &mut Output) -> Result<ExitStatus, Failure> {
    // TO BE FILLED IN: the engine behind this command is not part of this build yet.
    Err(Failure::could_not_run("`afk check-policy` is not built yet"))
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
