//! `afk serve`: poll and watch on an interval.

use clap::Args;

use super::exit::{ExitStatus, Failure};
use super::output::Output;
use super::{PolicyArguments, SettingsArguments};

/// Poll and watch on the intervals of the settings, until it is told to stop
///
/// SIGTERM and Ctrl-C end it cleanly, after the tick at hand. The policy is read again at every tick. Agents live on while
/// it is stopped.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyArguments,
    /// Which installation.
    #[command(flatten)]
    pub settings: SettingsArguments,
}

/// Runs it.
///
/// # Errors
/// When it cannot do its work.
pub fn run(_arguments: &Arguments, _out: &mut Output) -> Result<ExitStatus, Failure> {
    // TO BE FILLED IN: the engine behind this command is not part of this build yet.
    Err(Failure::could_not_run("`afk serve` is not built yet"))
}

const AFTER_HELP: &str = "\
Exit codes:
  0  stopped as asked
  2  the command line is wrong
  4  could not run

Examples:
  afk serve
  afk -v --log-format json serve";
