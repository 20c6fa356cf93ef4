//! `afk supervise`: the process that watches over one agent.

use clap::Args;

use super::exit::{ExitStatus, Failure};
use super::output::Output;
use std::path::PathBuf;

/// Watch over one agent process (afk starts this itself)
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The directory of the run
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// Runs it.
///
/// # Errors
/// When it cannot do its work.
pub fn run(_arguments: &Arguments, _out: &mut Output) -> Result<ExitStatus, Failure> {
    // TO BE FILLED IN: the engine behind this command is not part of this build yet.
    Err(Failure::could_not_run("`afk supervise` is not built yet"))
}

const AFTER_HELP: &str = "\
Exit codes:
  0  the agent ended and its end is written down
  4  could not run

Examples:
  afk supervise .afk/runs/6c1f03d2";
