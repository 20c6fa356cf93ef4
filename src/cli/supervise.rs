//! `afk supervise`: the process that watches over one agent.

use std::path::PathBuf;

use clap::Args;

use super::exit::{ExitStatus, Failure};
use super::output::Output;
use crate::adapters::command::supervise;

/// Watch over one agent process (afk starts this itself)
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The directory of the turn
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// Runs it, until the agent has ended.
///
/// # Errors
/// None: what goes wrong is written into the directory of the turn, for the next tick to read.
pub fn run(arguments: &Arguments, _out: &mut Output) -> Result<ExitStatus, Failure> {
    Ok(if supervise(&arguments.dir) { ExitStatus::Done } else { ExitStatus::CouldNotRun })
}

const AFTER_HELP: &str = "\
Exit codes:
  0  the agent ended and its end is written down
  2  the command line is wrong
  4  could not run

Examples:
  afk supervise .afk/runs/<run id>/turns/<turn id>";
