//! `afk abandon`: a person's word that an agent is gone.

use clap::Args;

use super::exit::{ExitStatus, Failure};
use super::output::Output;
use super::{PolicyArguments, SettingsArguments};

/// Give a run up: your word that its agent is gone
///
/// For an agent that will not die, or one that its executor reports for ever: the lock of its repository is released without
/// waiting any longer. Nothing else is undone.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The run, as `afk status` shows it; its first digits are enough
    #[arg(value_name = "RUN")]
    pub run: String,
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
    Err(Failure::could_not_run("`afk abandon` is not built yet"))
}

const AFTER_HELP: &str = "\
Exit codes:
  0  released
  1  the policy is wrong
  2  there is no such run
  4  could not run
  5  another tick holds the lock

Examples:
  afk abandon 6c1f03d2
  afk abandon 6c1f03d2 --settings /etc/afk.settings.toml";
