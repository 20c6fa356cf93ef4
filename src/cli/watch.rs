//! `afk watch`: one tick over the runs in flight.

use clap::Args;

use super::tick;

/// Drive every run in flight one step further: one tick
///
/// Follows commits, CI and the agent, sends corrective turns, closes, escalates, releases locks. With the kill switch on it
/// sends no turn; runs still end.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// What both ticks take.
    #[command(flatten)]
    pub tick: tick::TickArguments,
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
