//! `afk demo`: one issue, from Markdown file to closed, with nothing mocked.

use clap::Args;

use super::exit::{ExitStatus, Failure};
use super::output::Output;
use std::path::PathBuf;

/// Watch one issue go through its whole life in a throwaway directory
///
/// Real git, real clones, real processes; only the agent is a toy. Nothing outside the directory is touched and no account
/// is needed.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// No pauses between the steps
    #[arg(long)]
    pub fast: bool,
    /// Build it here and leave it there, instead of in a new temporary directory
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// When it cannot do its work.
pub fn run(_arguments: &Arguments, _out: &mut Output) -> Result<ExitStatus, Failure> {
    // TO BE FILLED IN: the engine behind this command is not part of this build yet.
    Err(Failure::could_not_run("`afk demo` is not built yet"))
}

const AFTER_HELP: &str = "\
Exit codes:
  0  the demo ran to its end
  4  it could not run

Examples:
  afk demo
  afk demo --fast --dir /tmp/afk-demo";
