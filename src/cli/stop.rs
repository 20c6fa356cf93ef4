//! `afk stop`: the kill switch, or the end of one run.

use std::collections::BTreeSet;

use clap::Args;

use super::exit::{ExitStatus, Failure};
use super::output::{Output, WARN, printable};
use super::wiring::{self, Access};
use super::{Installed, issue, tick};
use crate::adapters::clock::SystemClock;
use crate::adapters::installation::{Installation, Orders};
use crate::adapters::policy_file;
use crate::engine::identity::RunId;
use crate::policy::InstalledNames;
use crate::ports::{Clock, IssueRef};
use crate::ticks::world::World;

/// Turn the kill switch of this installation on and end the live agents, or end one run
///
/// Can only ever make afk do less: the kill switch of the policy stays what it is.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// End the run of this issue only: `42`, `owner/name#42` or its address
    #[arg(long, value_name = "ISSUE")]
    pub issue: Option<String>,
    /// Take an earlier `afk stop` back; agents that were ended stay ended
    #[arg(long)]
    pub undo: bool,
    /// Which policy, of which installation.
    #[command(flatten)]
    pub installed: Installed,
}

/// Runs it.
///
/// # Errors
/// When the settings or the orders of this installation cannot be read, the data directory is another installation's, or
/// there is no such run; and when the order stands, but the agents cannot be asked.
pub fn run(arguments: &Arguments, out: &mut Output) -> Result<ExitStatus, Failure> {
    let settings = wiring::settings(&arguments.installed.settings.settings)?;
    let world = || wiring::world(&settings, &arguments.installed.policy.policy, Access::Beside);
    match &arguments.issue {
        None => {
            let installation = wiring::installation(&settings, Access::Beside)?;
            if arguments.undo { undo(&installation, out) } else { stop_all(&installation, world, out) }
        }
        Some(issue) => {
            let world = world()?;
            // A broken policy must not stand in the way of stopping.
            let loaded = policy_file::load(&arguments.installed.policy.policy, &InstalledNames::default());
            let policy = loaded.checked.policy.as_ref();
            let issue = tick::runtime()?.block_on(issue::resolve(issue, policy, &settings, &*world.tracker))?;
            stop_one(&world, &issue, arguments.undo, out)
        }
    }
}

/// The order first, so that a tick at work sees it before its next dispatch or turn, and that neither policy nor servers
/// stand in its way; then the agents.
fn stop_all(
    installation: &Installation,
    world: impl FnOnce() -> Result<World, Failure>,
    out: &mut Output,
) -> Result<ExitStatus, Failure> {
    let now = SystemClock.now();
    order(installation, |orders| orders.stopped_at = Some(orders.stopped_at.unwrap_or(now)))?;
    out.line("stopped: no new runs and no further turns, until `afk stop --undo`");
    match world() {
        Ok(world) => Ok(tick::runtime()?.block_on(interrupt(&world, |_| true, out))),
        Err(Failure { message, help, .. }) => {
            let message = format!("the agents at work were not asked to end: {message}");
            Err(Failure { status: ExitStatus::Partial, message, help }
                .help("once that is mended, the next `afk watch` asks them"))
        }
    }
}

fn undo(installation: &Installation, out: &mut Output) -> Result<ExitStatus, Failure> {
    let was = installation.orders()?.stopped_at;
    order(installation, |orders| orders.stopped_at = None)?;
    let rest = "agents that a stop ended stay ended, and the kill switch of the policy is what it is";
    out.line(match was {
        Some(_) => format!("the stop is taken back; {rest}"),
        None => format!("no `afk stop` is in force, so there is nothing to take back; {rest}"),
    });
    Ok(ExitStatus::Done)
}

fn stop_one(world: &World, issue: &IssueRef, undo: bool, out: &mut Output) -> Result<ExitStatus, Failure> {
    let runs = tick::runtime()?.block_on(active_runs(world, issue, out));
    if runs.is_empty() {
        return Err(
            Failure::usage(format!("`{issue}` has no run in flight")).help("`afk status` shows the runs there are")
        );
    }
    for run in &runs {
        order(&world.installation, |orders| {
            if undo {
                orders.stopped_runs.remove(run)
            } else {
                orders.stopped_runs.insert(*run)
            };
        })?;
        let what = if undo { "goes on" } else { "is taken back; the next `afk watch` releases it" };
        out.line(format_args!("{issue}: run {} {what}", run.short()));
    }
    if undo {
        return Ok(ExitStatus::Done);
    }
    Ok(tick::runtime()?.block_on(interrupt(world, |run| runs.contains(&run), out)))
}

/// The runs of an issue that have not ended, by record or by agent.
async fn active_runs(world: &World, issue: &IssueRef, out: &mut Output) -> BTreeSet<RunId> {
    let mut runs = BTreeSet::new();
    let recorded = match world.tracker.login().await {
        Ok(afk) => {
            world.tracker.own_comments(issue).await.map(|comments| world.seal.read_all(issue, &afk, &comments).0)
        }
        Err(error) => Err(error),
    };
    match recorded {
        Ok(records) => {
            let active = records.iter().filter(|recorded| recorded.record.outcome.is_none());
            runs.extend(active.map(|recorded| recorded.record.run));
        }
        // An issue that cannot be read must not keep its agent from being stopped.
        Err(error) => out.line(format_args!("{WARN}warning{WARN:#}: {}", printable(&error.message))),
    }
    for executor in world.executors.values() {
        // One that cannot be asked keeps no word of a person from being noted.
        let agents = executor.list().await.unwrap_or_default().agents;
        runs.extend(agents.iter().filter(|agent| agent.issue == *issue && agent.is_live()).map(|agent| agent.run));
    }
    runs
}

/// Asks the live agents to end; the next watch follows up.
async fn interrupt(world: &World, wanted: impl Fn(RunId) -> bool, out: &mut Output) -> ExitStatus {
    let mut status = ExitStatus::Done;
    let mut ended = BTreeSet::new();
    for (name, executor) in &world.executors {
        let agents = match executor.list().await {
            Ok(roster) => {
                for (run, why) in roster.unreadable.iter().filter(|(run, _)| wanted(*run)) {
                    out.line(format_args!(
                        "run {}: its agent cannot be asked: {}",
                        run.short(),
                        printable(&why.message)
                    ));
                    status = ExitStatus::Partial;
                }
                roster.agents
            }
            Err(error) => {
                out.line(format_args!("executor `{name}`: {}; `afk watch` tries again", printable(&error.message)));
                status = ExitStatus::Partial;
                continue;
            }
        };
        for agent in agents.iter().filter(|agent| agent.is_live() && wanted(agent.run)) {
            match executor.interrupt(agent.run).await {
                Ok(()) => {
                    ended.insert(agent.run);
                    out.line(format_args!(
                        "{}: agent {} was asked to end",
                        printable(&agent.issue.to_string()),
                        agent.run.short()
                    ));
                }
                Err(error) => {
                    out.line(format_args!(
                        "{}: {}; `afk watch` tries again",
                        printable(&agent.issue.to_string()),
                        printable(&error.message)
                    ));
                    status = ExitStatus::Partial;
                }
            }
        }
    }
    let now = world.clock.now();
    // Whoever asks later why a run ended is told, also once the stop is taken back.
    let noted = world.installation.give_orders(|orders| {
        for run in &ended {
            orders.stopped_agents.entry(*run).or_insert(now);
        }
    });
    if let Err(error) = noted.await {
        out.line(format_args!("{WARN}warning{WARN:#}: {}", printable(&error.message)));
    }
    status
}

fn order(installation: &Installation, change: impl FnOnce(&mut Orders)) -> Result<(), Failure> {
    Ok(tick::runtime()?.block_on(installation.give_orders(change))?)
}

const AFTER_HELP: &str = "\
Exit codes:
  0  done
  2  the command line is wrong, or there is no such run
  3  the order stands, and agents could not be asked to end: those named, or all
  4  could not run

Examples:
  afk stop
  afk stop --issue acme/app#42";
