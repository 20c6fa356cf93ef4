//! `afk watch`: one tick over the runs in flight.

use clap::Args;

use super::exit::{ExitStatus, Failure};
use super::output::Output;
use super::tick::{self, Request};
use super::{FormatArguments, PolicyArguments, SettingsArguments};
use crate::adapters::installation::TickKind;

/// Drive every run in flight one step further: one tick
///
/// Follows commits, CI and the agent, sends corrective turns, closes, escalates, releases locks. With the kill switch on it
/// sends no turn; runs still end.
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
        kind: TickKind::Watch,
        policy: &arguments.policy.policy,
        settings: &arguments.settings.settings,
        dry_run: arguments.dry_run,
    };
    tick::run(request, arguments.format.format, out)
}

const AFTER_HELP: &str = "\
Exit codes:
  0  done (also when nothing is in flight)
  1  the policy is wrong: nothing was done
  2  the command line is wrong
  3  some items were skipped; they are named
  4  could not run
  5  another tick holds the lock

Examples:
  afk watch --dry-run
  afk watch --format json";
