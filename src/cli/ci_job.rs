//! `afk ci-job`: the process that judges one commit.

use std::path::PathBuf;

use clap::Args;

use super::exit::{ExitStatus, Failure};
use super::output::Output;
use crate::adapters::command::ci_job::run_ci_job;

/// Run one CI command on a commit (afk starts this itself)
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The directory of the job
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// Runs it, until the command has ended.
///
/// # Errors
/// None: what goes wrong is written into the directory of the job, for the next tick to read.
pub fn run(arguments: &Arguments, _out: &mut Output) -> Result<ExitStatus, Failure> {
    Ok(if run_ci_job(&arguments.dir) { ExitStatus::Done } else { ExitStatus::CouldNotRun })
}

const AFTER_HELP: &str = "\
Exit codes:
  0  the command ended and its verdict is written down
  2  the command line is wrong
  4  could not run

Examples:
  afk ci-job .afk/ci/<repository>/<commit>/<stage>";
