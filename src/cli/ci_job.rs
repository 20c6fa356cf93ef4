//! `afk ci-job`: the process that judges one commit.

use clap::Args;

use super::exit::{ExitStatus, Failure};
use super::output::Output;
use std::path::PathBuf;

/// Run one CI command on a commit (afk starts this itself)
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The directory of the job
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// Runs it.
///
/// # Errors
/// When it cannot do its work.
pub fn run(_arguments: &Arguments, _out: &mut Output) -> Result<ExitStatus, Failure> {
    // TO BE FILLED IN: the engine behind this command is not part of this build yet.
    Err(Failure::could_not_run("`afk ci-job` is not built yet"))
}

const AFTER_HELP: &str = "\
Exit codes:
  0  the command ended and its verdict is written down
  4  could not run

Examples:
  afk ci-job .afk/ci/9ab3c1d";
