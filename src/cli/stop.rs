//! `afk stop`: the kill switch, or the end of one run.

use clap::Args;

use super::SettingsArguments;
use super::exit::{ExitStatus, Failure};
use super::output::Output;

/// Turn the kill switch of this installation on and end the live agents, or end one run
///
/// Can only ever make afk do less: the kill switch of the policy stays what it is.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// End the run of this issue only: `42`, `owner/name#42` or its address
    #[arg(long, value_name = "ISSUE")]
    pub issue: Option<String>,
    /// Take an earlier `afk stop` back; agents that were ended stay ended
    #[arg(long)]
    pub undo: bool,
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
    Err(Failure::could_not_run("`afk stop` is not built yet"))
}

const AFTER_HELP: &str = "\
Exit codes:
  0  done
  2  the command line is wrong
  3  some agents could not be asked to stop; they are named
  4  could not run
  5  another tick holds the lock

Examples:
  afk stop
  afk stop --issue acme/app#42";
