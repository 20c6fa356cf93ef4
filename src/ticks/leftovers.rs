//! What is left to do when a run is over and its lock released: putting its agent away. Nobody waits for it, and what
//! fails is tried again.

use chrono::TimeDelta;

use super::fleet::{AgentPresence, Fleet, Run};
use super::record::Record;
use super::world::Tick;
use crate::adapters::installation::Leftover;
use crate::ports::PortResult;

/// How long putting a session away is tried.
const PATIENCE: TimeDelta = TimeDelta::days(1);

/// How long an agent is listed after its run. A tracker may show an older text of the record for a while: the run is then
/// followed to its end once more, for which its agent has to be there, and idle.
const LISTED: TimeDelta = TimeDelta::hours(1);

/// Remembers that the agent of an ended run is to be put away.
///
/// # Errors
/// When that cannot be written down.
pub fn note(tick: &Tick<'_>, record: &Record) -> PortResult<()> {
    let installation = &tick.world.installation;
    let mut leftovers = installation.leftovers()?;
    if leftovers.iter().all(|leftover| leftover.run != record.run) {
        leftovers.push(Leftover {
            run: record.run,
            issue: record.reference(),
            executor: record.executor.clone(),
            archive: tick.policy.rules(&record.repo).agent.archive,
            failing_since: None,
            noted_at: tick.world.clock.now(),
        });
    }
    installation.set_leftovers(&leftovers)
}

/// Puts away the agents of ended runs that have ended as well, and dismisses them later. One that was abandoned or is gone
/// is only dismissed.
pub async fn put_away(tick: &Tick<'_>, fleet: &Fleet) {
    let installation = &tick.world.installation;
    let leftovers = match installation.leftovers() {
        Ok(leftovers) => leftovers,
        // Writing the list anew would forget those on it.
        Err(error) => return tick.problem("agents of ended runs", error),
    };
    let mut left = Vec::new();
    for mut leftover in leftovers {
        let presence = fleet.presence(leftover.run, Some(&leftover.executor));
        let goes_on = |run: &Run| run.standing.goes_on() && run.id() == Some(leftover.run);
        let has_ended = matches!(presence, AgentPresence::None | AgentPresence::Ended);
        if !has_ended || fleet.runs.iter().any(goes_on) {
            // An executor that the settings no longer have leaves nothing to do.
            left.extend(tick.world.executors.contains_key(&leftover.executor).then_some(leftover));
            continue;
        }
        let now = tick.world.clock.now();
        let is_due = now.signed_duration_since(leftover.noted_at) >= LISTED;
        let Err(error) = one(tick, &mut leftover, presence, is_due).await else {
            left.extend((!is_due).then_some(leftover));
            continue;
        };
        let is_first = leftover.failing_since.is_none();
        let since = *leftover.failing_since.get_or_insert(now);
        if now.signed_duration_since(since) >= PATIENCE {
            tick.problem(&leftover.issue, format!("its agent's session is not put away any more: {error}"));
            leftover.archive = false;
            if let Err(error) = one(tick, &mut leftover, presence, true).await {
                tracing::warn!(run = %leftover.run, "its directory goes on being read: {error}");
            }
            continue;
        }
        if is_first {
            tick.problem(
                &leftover.issue,
                format!("its agent's session was not put away, which is tried again for a day: {error}"),
            );
        }
        left.push(leftover);
    }
    if let Err(error) = installation.set_leftovers(&left) {
        tick.problem("agents of ended runs", error);
    }
}

async fn one(tick: &Tick<'_>, leftover: &mut Leftover, presence: AgentPresence, is_due: bool) -> PortResult<()> {
    let executor = tick.world.executor(&leftover.executor)?;
    if leftover.archive && presence == AgentPresence::Ended {
        executor.archive(leftover.run).await?;
        leftover.archive = false;
    }
    if is_due { executor.dismiss(leftover.run).await } else { Ok(()) }
}
