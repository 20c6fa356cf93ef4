//! `afk status`: what is in flight, what waits, what needs a person.

use clap::Args;

use super::exit::{ExitStatus, Failure};
use super::output::Output;
use super::{FormatArguments, PolicyArguments, SettingsArguments};

/// Show the runs in flight, the queue, and what waits for a person
///
/// Reads only; safe at any time.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
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
/// When it cannot do its work.
pub fn run(_arguments: &Arguments, _out: &mut Output) -> Result<ExitStatus, Failure> {
    // TO BE FILLED IN: the engine behind this command is not part of this build yet.
    Err(Failure::could_not_run("`afk status` is not built yet"))
}

const AFTER_HELP: &str = "\
Exit codes:
  0  answered
  1  the policy is wrong
  2  the command line is wrong
  3  some items could not be read; they are named
  4  could not run

Examples:
  afk status
  afk status --format json";
