//! `afk init`: a first policy and settings for a repository.

use clap::Args;

use super::exit::{ExitStatus, Failure};
use super::output::Output;
use std::path::PathBuf;

/// Write a first policy, its prompts and the settings of this installation
///
/// The policy is disabled: nothing runs until the kill switch is off and a repository is on the allowlist. Files that exist
/// are left alone.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The directory to write into
    #[arg(value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
}

/// Runs it.
///
/// # Errors
/// When it cannot do its work.
pub fn run(_arguments: &Arguments, _out: &mut Output) -> Result<ExitStatus, Failure> {
    // TO BE FILLED IN: the engine behind this command is not part of this build yet.
    Err(Failure::could_not_run("`afk init` is not built yet"))
}

const AFTER_HELP: &str = "\
Exit codes:
  0  written, or there already
  2  the command line is wrong
  4  could not write

Examples:
  afk init
  afk init ../ops";
