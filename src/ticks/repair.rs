//! Bringing label and record back in line with what an executor knows. `docs/how-it-works.md` shows the table.

use crate::engine::identity::{Purpose, RunId};
use crate::policy::facts::{AgentStatus, IssueStatus};
use crate::ports::{Assignment, LabelEvent, PortError, PortResult};

use super::arming;
use super::fleet::{Fleet, Run, Standing};
use super::progress;
use super::record::Record;
use super::world::Tick;

/// Adopts a run that only its executor knows, or writes the record of a lock that lost it. Whatever else a run stands
/// at is left alone.
///
/// # Errors
/// When the tracker cannot be read or written; the run is tried again in the next tick.
pub async fn repair(tick: &Tick<'_>, fleet: &Fleet, run: &mut Run) -> PortResult<()> {
    match run.standing {
        Standing::Adopt => adopt(tick, run).await,
        Standing::Rebuild => rebuild(tick, fleet, run).await,
        _ => Ok(()),
    }
}

async fn adopt(tick: &Tick<'_>, run: &mut Run) -> PortResult<()> {
    let Some((executor, agent)) = run.agent.clone() else { return Ok(()) };
    if run.issue.is_none() {
        run.issue = tick.world.tracker.issue(&run.reference).await?;
    }
    if run.issue.is_none() {
        // No issue, no record, no policy that could decide: an agent that nobody asked for must not go on.
        tick.problem(&run.reference, format!("the issue is gone; stopping its agent {}", agent.run.short()));
        return tick.world.executor(&executor)?.interrupt(agent.run).await;
    }
    let Some(assignment) = agent.assignment.as_ref().filter(|said| RunId::of_arming(&said.arming) == agent.run) else {
        return Err(PortError::invalid(format!("agent {} does not say which arming it answers", agent.run.short())));
    };
    // What an executor says may be what an agent wrote. The tracker knows who armed what.
    let events = tick.world.tracker.label_events(&run.reference).await?;
    let ready = &tick.policy.rules(&run.reference.repo).labels.ready.value;
    let armed = events.iter().find(|event| event.arming == assignment.arming && event.added && event.is_of(ready));
    let Some(armed) = armed.map(arming::of_event) else {
        return Err(PortError::invalid(format!(
            "agent {} answers an arming that the issue never had; it is left alone and locks the repository (`afk \
             abandon {}`, once it is gone)",
            agent.run.short(),
            agent.run
        )));
    };
    let was_cut_short = agent.status == AgentStatus::Starting && agent.turns.is_empty();
    if was_cut_short && !bring_up(tick, run, &executor, assignment, &events).await? {
        return Ok(());
    }
    let mut record = Record {
        armed_by: armed.by,
        // Not before the arming and not ahead of now, whatever the executor says.
        dispatched_at: assignment.dispatched_at.clamp(armed.at.min(tick.started), tick.started),
        ..Record::of_dispatch(tick.policy, &executor, assignment)
    };
    // A first turn and no more is a dispatch that was cut short: nothing is lost. With more, the record is; what the
    // agent was sent is not.
    record.rebuilt = agent.turns.len() > 1;
    if let Some(newest) = agent.turns.last() {
        record.turn = *newest;
        record.attempts = u32::try_from(agent.turns.len().saturating_sub(1)).unwrap_or(u32::MAX);
    }
    lock(tick, run).await?;
    progress::save(tick, run, record, None).await?;
    run.standing = Standing::Active;
    let id = agent.run.short();
    if was_cut_short {
        let detail = format!("run {id}, executor `{executor}`; an earlier tick began it and could not bring it up");
        tick.event(&run.reference, "dispatched", detail);
    } else {
        tick.event(&run.reference, "adopted", format!("run {id}, known to executor `{executor}`"));
    }
    Ok(())
}

/// Goes on with a dispatch that was cut short before the agent began, if it is still wanted; whether the agent is up.
async fn bring_up(
    tick: &Tick<'_>,
    run: &Run,
    executor: &str,
    assignment: &Assignment,
    events: &[LabelEvent],
) -> PortResult<bool> {
    let executor = tick.world.executor(executor)?;
    let labels = &tick.policy.rules(&run.reference.repo).labels;
    let wanted = tick.policy.enrolled(&run.reference.repo)
        && arming::newest(events, labels).is_some_and(|arming| arming.run == assignment.run)
        && run.issue.as_ref().is_some_and(|issue| {
            issue.status == IssueStatus::Open
                && !issue.has_label(&labels.human.value)
                && !issue.has_label(&labels.paused.value)
        });
    if !wanted {
        tick.event(&run.reference, "not begun", "nobody wants this run any more");
        return executor.interrupt(assignment.run).await.map(|()| false);
    }
    let switched_off = tick.policy.kill_switch.value.then(|| "in the policy".to_owned());
    if let Some(why) = switched_off.or_else(|| (tick.world.kill_switch)()) {
        tick.event(&run.reference, "not begun", format!("the kill switch is on: {why}"));
        return Ok(false);
    }
    executor.ensure(assignment).await?;
    Ok(true)
}

async fn rebuild(tick: &Tick<'_>, fleet: &Fleet, run: &mut Run) -> PortResult<()> {
    let rules = tick.policy.rules(&run.reference.repo);
    let label = &rules.labels.in_progress.value;
    let events = tick.world.tracker.label_events(&run.reference).await?;
    let Some((index, locked)) = events.iter().enumerate().rfind(|(_, event)| event.added && event.is_of(label)) else {
        return Err(PortError::invalid(format!(
            "it carries {label}, and no event tells who put it there; take it off by hand"
        )));
    };
    if !fleet.is_afk(locked.by.as_deref()) {
        return Err(PortError::invalid(format!("{label} was not put there by afk; take it off by hand")));
    }
    let armed = events.iter().take(index).rfind(|event| event.added && event.is_of(&rules.labels.ready.value));
    let Some(arming) = armed.map(arming::of_event) else {
        tick.world.tracker.remove_label(&run.reference, label).await?;
        run.standing = Standing::Finished;
        tick.event(&run.reference, "unlocked", "no record, no agent, and nobody armed it");
        return Ok(());
    };
    let assignment = Assignment {
        run: arming.run,
        issue: run.reference.clone(),
        arming: arming.token,
        armed_by: arming.by,
        dispatched_at: locked.at,
        base: String::new(),
        default_branch: String::new(),
        model: String::new(),
        runtime_mode: String::new(),
        turn: arming.run.derive(Purpose::FirstTurn, 0),
        prompt: String::new(),
        brief_sha256: String::new(),
    };
    let lost = Record {
        base: None,
        default_branch: None,
        brief_sha256: None,
        agent: AgentStatus::Gone,
        agent_since: tick.world.clock.now(),
        rebuilt: true,
        ..Record::of_dispatch(tick.policy, &rules.agent.executor.value, &assignment)
    };
    progress::save(tick, run, lost, None).await?;
    run.standing = Standing::Active;
    tick.event(&run.reference, "record rebuilt", "locked, and neither a record nor an agent; the policy decides");
    Ok(())
}

/// Puts the lock label on, where it is missing.
///
/// # Errors
/// Those of the tracker.
pub async fn lock(tick: &Tick<'_>, run: &mut Run) -> PortResult<()> {
    if !run.labelled {
        let label = &tick.policy.rules(&run.reference.repo).labels.in_progress.value;
        tick.world.tracker.add_label(&run.reference, label).await?;
        run.labelled = true;
    }
    Ok(())
}
