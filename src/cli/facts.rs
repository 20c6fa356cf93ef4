//! `afk facts`: the catalogue of facts.

use clap::Args;

use super::FormatArguments;
use super::exit::{ExitStatus, Failure};
use super::output::Output;

/// List the facts that rules may read, and the names that prompts may use
///
/// Gates read the facts of an issue; transitions and the checklist read the facts of a run.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
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
    Err(Failure::could_not_run("`afk facts` is not built yet"))
}

const AFTER_HELP: &str = "\
Exit codes:
  0  printed
  2  the command line is wrong

Examples:
  afk facts
  afk facts --format json";
