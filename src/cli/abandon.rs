//! `afk abandon`: a person's word that an agent is gone.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use uuid::Uuid;

use super::exit::{ExitStatus, Failure};
use super::output::{Output, WARN, printable};
use super::wiring::{self, Access};
use super::{Installed, tick};
use crate::adapters::installation::TickKind;
use crate::engine::identity::RunId;
use crate::ports::IssueRef;
use crate::ticks::world::World;

/// The fewest digits that name a run: fewer may be a slip.
const SHORTEST: usize = 4;

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
    if wanted.len() < SHORTEST {
        return Err(Failure::usage(format!("`{wanted}` is too short to name a run"))
            .help("write the digits that `afk status` shows"));
    }
    let (mut agents, mut unreadable, mut asked) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for (name, executor) in &world.executors {
        match tick::runtime()?.block_on(executor.list()) {
            Ok(roster) => {
                unreadable.extend(roster.unreadable.iter().chain(&roster.elsewhere).map(|(run, _)| *run));
                agents.extend(roster.agents);
                asked.insert(name.clone());
            }
            Err(error) => {
                out.line(format_args!("{WARN}warning{WARN:#}: executor `{name}`: {}", printable(&error.message)));
            }
        }
    }
    let issues = agents.iter().map(|agent| agent.issue.clone());
    let records = tick::runtime()?.block_on(records(&world, issues.collect()));
    let mut found: BTreeSet<RunId> = agents.iter().map(|agent| agent.run).collect();
    found.extend(unreadable.iter().chain(records.keys()));
    found.retain(|run| run.to_string().starts_with(&wanted));
    if asked.len() < world.executors.len() {
        // What cannot be asked may know an agent that is named in full.
        found.extend(Uuid::parse_str(&wanted).ok().map(RunId));
    }
    let run = match (found.pop_first(), found.pop_first()) {
        (Some(run), None) => run,
        (None, _) => {
            return Err(Failure::usage(format!("there is no run `{}`", printable(&arguments.run)))
                .help("`afk status` shows the runs, and the agents at work where the policy cannot be used"));
        }
        (Some(_), Some(_)) => {
            return Err(Failure::usage(format!("more than one run begins with `{}`", arguments.run))
                .help("write more of its digits"));
        }
    };
    let is_live = agents.iter().any(|agent| agent.run == run && agent.is_live());
    let has_ended = records.get(&run).is_some_and(|(ended, executor)| *ended && asked.contains(executor));
    // Of an agent that cannot be read only a person can know that it has ended.
    if has_ended && !is_live && !unreadable.contains(&run) {
        return Err(Failure::usage(format!("run {run} has ended, and so has its agent"))
            .help("there is nothing to give up; `afk status` shows the runs in flight"));
    }
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

/// The runs that the records of some issues, and of those that were in flight last, tell of; whether each has ended, and
/// its executor.
async fn records(world: &World, mut issues: BTreeSet<IssueRef>) -> BTreeMap<RunId, (bool, String)> {
    for kind in [TickKind::Poll, TickKind::Watch] {
        let beat = world.installation.heartbeat(kind).ok().flatten();
        issues.extend(beat.into_iter().flat_map(|beat| beat.in_flight));
    }
    let mut runs = BTreeMap::new();
    let Ok(afk) = world.tracker.login().await else { return runs };
    for issue in issues {
        let Ok(comments) = world.tracker.own_comments(&issue).await else { continue };
        let (records, _) = world.seal.read_all(&issue, &afk, &comments);
        let told = records.into_iter().map(|recorded| recorded.record);
        runs.extend(told.map(|record| (record.run, (record.outcome.is_some(), record.executor))));
    }
    runs
}

const AFTER_HELP: &str = "\
Exit codes:
  0  noted; the next `afk watch` goes on from there
  2  there is no such run, or it has ended and so has its agent
  4  could not run

Examples:
  afk abandon 6c1f03d2
  afk abandon 6c1f03d2 --settings /etc/afk.settings.toml";
