//! `afk abandon`: a person's word that an agent is gone.

use std::collections::BTreeSet;

use clap::Args;
use uuid::Uuid;

use super::exit::{ExitStatus, Failure};
use super::output::{Output, WARN, printable};
use super::wiring::{self, Access};
use super::{Installed, tick};
use crate::engine::identity::RunId;

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
    /// Which policy, of which installation.
    #[command(flatten)]
    pub installed: Installed,
}

/// Runs it.
///
/// # Errors
/// When there is no such run, or more than one, or the orders cannot be written.
pub fn run(arguments: &Arguments, out: &mut Output) -> Result<ExitStatus, Failure> {
    let settings = wiring::settings(&arguments.installed.settings.settings)?;
    let world = wiring::world(&settings, &arguments.installed.policy.policy, Access::ReadOnly)?;
    let wanted = arguments.run.to_ascii_lowercase();
    let mut found = BTreeSet::new();
    let mut agents = Vec::new();
    for (name, executor) in &world.executors {
        match tick::runtime()?.block_on(executor.list()) {
            Ok(roster) => {
                found.extend(roster.unreadable.iter().map(|(run, _)| *run));
                found.extend(roster.agents.iter().map(|agent| agent.run));
                agents.extend(roster.agents);
            }
            // A server that is gone for good is what a person's word is for.
            Err(error) => {
                out.line(format_args!("{WARN}warning{WARN:#}: executor `{name}`: {}", printable(&error.message)));
            }
        }
    }
    found.retain(|run| run.to_string().starts_with(&wanted));
    // An agent that no executor shows any more can be named in full.
    found.extend(Uuid::parse_str(&wanted).ok().map(RunId));
    let run = match (found.pop_first(), found.pop_first()) {
        (Some(run), None) => run,
        (None, _) => {
            return Err(Failure::usage(format!("no executor knows a run `{}`", arguments.run))
                .help("`afk status` shows the runs; a whole id is taken at your word"));
        }
        (Some(_), Some(_)) => {
            return Err(Failure::usage(format!("more than one run begins with `{}`", arguments.run))
                .help("write more of its digits"));
        }
    };
    let order = world.installation.give_orders(|orders| {
        orders.abandoned.insert(run);
    });
    tick::runtime()?.block_on(order)?;
    if let Some(agent) = agents.iter().find(|agent| agent.run == run && agent.is_live()) {
        let seen = agent.last_activity.map_or("never".to_owned(), crate::ticks::progress::time);
        out.line(format_args!(
            "{WARN}warning{WARN:#}: its executor still shows it as {}, last sign of life {seen}; if it does live, it works on",
            agent.status.word()
        ));
    }
    out.line(format_args!("run {run}: its agent counts as gone; the next `afk watch` goes on from there"));
    Ok(ExitStatus::Done)
}

const AFTER_HELP: &str = "\
Exit codes:
  0  noted; the next `afk watch` goes on from there
  2  there is no such run
  4  could not run

Examples:
  afk abandon 6c1f03d2
  afk abandon 6c1f03d2 --settings /etc/afk.settings.toml";
