//! What is read of a run: how its agent is.

use std::io;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::output::Progress;
use super::run::{Exit, RunDirectory, Started, TurnDirectory};
use crate::policy::facts::AgentStatus;
use crate::ports::AgentReport;
use crate::{files, text};

/// The most that is shown of an agent's last words.
const WORDS_LIMIT: usize = 2 * 1024;

/// Fills in everything but what the manifest says.
pub fn describe(directory: &RunDirectory, report: &mut AgentReport) -> io::Result<()> {
    // In this order: a turn that was seen begun is supervised or has its exit record, and no third thing.
    let begun = begun_turns(directory)?;
    let supervised = files::is_locked(&directory.lock())?;
    report.turns = begun.iter().map(|(id, _)| *id).collect();
    for (_, turn) in &begun {
        let progress = progress(turn);
        for milestone in progress.milestones {
            if !report.milestones.contains(&milestone) {
                report.milestones.push(milestone);
            }
        }
        if let Some(cost) = progress.cost_usd.filter(|cost| cost.is_finite() && *cost >= 0.0) {
            report.cost_usd = Some(report.cost_usd.unwrap_or(0.0) + cost);
        }
    }
    let Some((_, newest)) = begun.last() else {
        let first = report.assignment.as_ref().map(|assignment| directory.turn(assignment.turn));
        let interrupted = first.is_some_and(|first| files::exists(&first.interrupt()).unwrap_or(false));
        report.status = match (supervised, interrupted) {
            (true, _) => AgentStatus::Running,
            (false, true) => AgentStatus::Failed,
            (false, false) => AgentStatus::Starting,
        };
        return Ok(());
    };
    let exit = files::read_record::<Exit>(&newest.exit()).unwrap_or_else(|error| {
        tracing::warn!("an exit record cannot be read, so the turn counts as failed: {error}");
        None
    });
    report.status = match (supervised, &exit) {
        (true, _) => AgentStatus::Running,
        (false, Some(exit)) if exit.success => AgentStatus::Idle,
        (false, _) => AgentStatus::Failed,
    };
    let started = files::read_record::<Started>(&newest.started()).ok().flatten().map(|started| started.at);
    let ended = exit.as_ref().map(|exit| exit.at);
    report.last_activity = [started, last_output(newest), ended].into_iter().flatten().max();
    let words = progress(newest).last_words.or_else(|| exit.and_then(|exit| exit.message));
    report.last_words = words.map(|words| text::tail(&words, WORDS_LIMIT));
    Ok(())
}

/// The turns that were begun, first one first.
pub fn begun_turns(directory: &RunDirectory) -> io::Result<Vec<(Uuid, TurnDirectory)>> {
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
    files::read_record(&turn.progress()).ok().flatten().unwrap_or_default()
}

fn last_output(turn: &TurnDirectory) -> Option<DateTime<Utc>> {
    let metadata = turn.output().symlink_metadata().ok().filter(std::fs::Metadata::is_file)?;
    metadata.modified().ok().map(DateTime::from)
}
