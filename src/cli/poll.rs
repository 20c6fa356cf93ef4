//! `afk poll`: one tick of dispatch.

use clap::Args;

use super::exit::{ExitStatus, Failure};
use super::output::Output;
use super::tick::{self, Request};
use super::{FormatArguments, PolicyArguments, SettingsArguments};
use crate::adapters::installation::TickKind;

/// Take the armed issues that the policy allows and start an agent on each: one tick
///
/// Doing it twice is doing it once. With the kill switch on it does nothing at all.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Read and decide, change nothing: print what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyArguments,
    /// Which installation.
    #[command(flatten)]
    pub settings: SettingsArguments,
    /// How the result is written.
    #[command(flatten)]
    pub format: FormatArguments,
}

/// Runs it.
///
/// # Errors
/// When it cannot do its work.
pub fn run(arguments: &Arguments, out: &mut Output) -> Result<ExitStatus, Failure> {
    let request = Request {
        kind: TickKind::Poll,
        policy: &arguments.policy.policy,
        settings: &arguments.settings.settings,
        dry_run: arguments.dry_run,
    };
    tick::run(request, arguments.format.format, out)
}

const AFTER_HELP: &str = "\
Exit codes:
  0  done (also when nothing was to be done, or the kill switch is on)
  1  the policy is wrong: nothing was done
  2  the command line is wrong
  3  some items were skipped; they are named
  4  could not run
  5  another tick holds the lock

Examples:
  afk poll --dry-run
  afk poll --policy ops/afk.toml --settings /etc/afk.settings.toml";
