//! What is read of a run: how its agent is.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::output::Progress;
use super::run::{EXIT, Exit, LOCK, OUTPUT, PROGRESS, RunDirectory, STARTED, Started, TurnDirectory};
use crate::policy::facts::AgentStatus;
use crate::ports::{AgentReport, PortResult};
use crate::text;

/// The most that is shown of an agent's last words.
const WORDS_LIMIT: usize = 2 * 1024;

/// Fills in everything but what the manifest says.
pub fn describe(directory: &RunDirectory, report: &mut AgentReport) -> PortResult<()> {
    // In this order: a turn that was seen begun is supervised or has its exit record, and no third thing.
    let begun = begun_turns(directory)?;
    let supervised = directory.0.is_locked(LOCK)?;
    report.turns = begun.iter().map(|(id, _)| *id).collect();
    for (_, turn) in &begun {
        let progress = progress(turn);
        let milestones = report.milestones.get_or_insert_default();
        for milestone in progress.milestones {
            if !milestones.contains(&milestone) {
                milestones.push(milestone);
            }
        }
        if let Some(cost) = progress.cost_usd.filter(|cost| cost.is_finite() && *cost >= 0.0) {
            report.cost_usd = Some(report.cost_usd.unwrap_or(0.0) + cost);
        }
    }
    let Some((_, newest)) = begun.last() else {
        let first = report.assignment.as_ref().and_then(|assignment| directory.turn(assignment.turn).ok()?);
        let interrupted = first.is_some_and(|first| first.is_interrupted().unwrap_or(false));
        report.status = match (supervised, interrupted) {
            (true, _) => AgentStatus::Running,
            (false, true) => AgentStatus::Failed,
            (false, false) => AgentStatus::Starting,
        };
        return Ok(());
    };
    let exit = newest.0.read_json::<Exit>(EXIT).unwrap_or_else(|error| {
        tracing::warn!("an exit record cannot be read, so the turn counts as failed: {error}");
        None
    });
    report.status = match (supervised, &exit) {
        (true, _) => AgentStatus::Running,
        (false, Some(exit)) if exit.success => AgentStatus::Idle,
        (false, _) => AgentStatus::Failed,
    };
    let started = newest.0.read_json::<Started>(STARTED).ok().flatten().map(|started| started.at);
    let ended = exit.as_ref().map(|exit| exit.at);
    report.last_activity = [started, last_output(newest), ended].into_iter().flatten().max();
    let words = progress(newest).last_words.or_else(|| exit.and_then(|exit| exit.message));
    report.last_words = words.map(|words| text::tail(&words, WORDS_LIMIT));
    Ok(())
}

/// The turns that were begun, first one first.
pub fn begun_turns(directory: &RunDirectory) -> PortResult<Vec<(Uuid, TurnDirectory)>> {
    let mut begun = Vec::new();
    for (id, turn) in directory.turns()? {
        if turn.accepted()? {
            begun.push((id, turn));
        }
    }
    Ok(begun)
}

/// What is known of a turn's output: nothing, when that cannot be read.
pub fn progress(turn: &TurnDirectory) -> Progress {
    turn.0.read_json(PROGRESS).ok().flatten().unwrap_or_default()
}

fn last_output(turn: &TurnDirectory) -> Option<DateTime<Utc>> {
    turn.0.file(OUTPUT).ok()??.metadata().ok()?.modified().ok().map(DateTime::from)
}
