//! `afk poll`: one tick of dispatch.

use clap::Args;

use super::tick;

/// Take the armed issues that the policy allows and start an agent on each: one tick
///
/// Doing it twice is doing it once. With the kill switch on it does nothing at all.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// What both ticks take.
    #[command(flatten)]
    pub tick: tick::TickArguments,
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
