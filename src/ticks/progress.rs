//! The one progress comment of a run: what people see, and the record at its end.
//!
//! Absolute times only, so that the text changes only when something did; no `@`, so that it pings nobody.

use chrono::{DateTime, Utc};

use crate::engine::step;
use crate::policy::facts::{PullRequestStatus, RunFact};
use crate::policy::{
    Comparison, Condition, Labels, Landing, Matcher, Quantity, Rules, RunOutcome, Stage, StageSource, Transition,
};
use crate::ports::{PortError, PortResult, StageVerdict};
use crate::text::{self, harmless};

use super::facts::RunView;
use super::fleet::Run;
use super::record::{Record, Recorded, words};
use super::world::Tick;

/// Writes the comment of a run, with its record: creates it, or edits it where its text changed. Without a `view` of the
/// run, what a comment says to people stays as it is.
///
/// # Errors
/// When the tracker refuses, or the record has grown too large to be written.
pub async fn save(tick: &Tick<'_>, run: &mut Run, record: Record, view: Option<&RunView>) -> PortResult<()> {
    let tracker = &tick.world.tracker;
    let block = tick.world.seal.write(&record).ok_or_else(|| {
        PortError::invalid(format!(
            "the record of run {} is larger than {} bytes",
            record.run.short(),
            super::record::MAX_BYTES
        ))
    })?;
    let said = match (&run.recorded, view) {
        (Some(recorded), None) => words(&recorded.body).to_owned(),
        _ => text_of(tick.policy.rules(&record.repo), &record, view),
    };
    let body = format!("{said}\n{block}");
    let (comment, twins) = match &run.recorded {
        Some(recorded) => {
            if recorded.body.trim_end() != body {
                tracker.edit_comment(&run.reference, &recorded.comment, &body).await?;
            }
            (recorded.comment.clone(), recorded.twins.clone())
        }
        None => (tracker.create_comment(&run.reference, &body).await?, Vec::new()),
    };
    run.recorded = Some(Recorded { comment, body, record, twins });
    Ok(())
}

/// Says in each twin of a progress comment that it is one. Nobody edits it any more: it would show for ever that an
/// agent is at work. Without its record it is no twin any longer, so this happens once.
pub async fn retire_twins(tick: &Tick<'_>, run: &mut Run) {
    let Some(recorded) = &mut run.recorded else { return };
    let said = format!(
        "This is a copy of the progress comment of run {}, left by an answer that was lost. The older one goes on.",
        recorded.record.run
    );
    for twin in std::mem::take(&mut recorded.twins) {
        match tick.world.tracker.edit_comment(&run.reference, &twin, &said).await {
            Ok(()) => {
                let why = "an answer was lost, and there were two; the newer one says so now";
                tick.event(&run.reference, "second progress comment", why);
            }
            Err(error) => tick.problem(&run.reference, format!("a second progress comment is there still: {error}")),
        }
    }
}

fn text_of(rules: &Rules, record: &Record, view: Option<&RunView>) -> String {
    let title = rules.state(&record.state).map_or(record.state.as_str(), |state| state.title.as_str());
    let reason = record.reason.as_deref().filter(|reason| !title.eq_ignore_ascii_case(reason));
    let mut said = match (record.outcome, reason) {
        (None, _) => format!("**An agent is working on this.** {title}.\n"),
        (Some(_), None) => format!("**{title}.**\n"),
        (Some(RunOutcome::Success), Some(reason)) => format!("**{title}:** {reason}.\n"),
        (Some(_), Some(reason)) => format!("**{title}:** {reason}. Nothing was reverted.\n"),
    };
    if let Some(view) = view {
        said.push('\n');
        for (line, ticked) in step::checklist(rules, &view.facts) {
            said.push_str(&format!("- [{}] {line}\n", if ticked { 'x' } else { ' ' }));
        }
    }
    said.push_str("\n| | |\n|---|---|\n");
    let mut row = |name: &str, value: String| said.push_str(&format!("| {name} | {value} |\n"));
    let armed_by = record.armed_by.as_deref().map_or("somebody".to_owned(), |login| harmless(login, 60));
    row(
        "Started",
        format!("{}, because {armed_by} applied `{}`", time(record.dispatched_at), rules.labels.ready.value),
    );
    if record.rebuilt {
        row("Record", "was lost and written anew; what it does not say is unknown".to_owned());
    }
    if let Some((end, _)) = record.outcome.is_none().then(|| ends_at_the_latest(rules, record)).flatten() {
        row("Ends at the latest", time(end));
    }
    if let Some(view) = view {
        if let Some(commits) = commits(view) {
            row("Commits", commits);
        }
        if let Some(pull_request) = pull_request(record, view) {
            row("Pull request", pull_request);
        }
        for (name, verdict) in view.stages.iter().filter_map(|(name, verdict)| Some((name, verdict.as_ref().ok()?))) {
            row(&format!("CI `{name}`"), verdict_in_words(verdict));
        }
        if let Some(link) = view.agent.as_ref().and_then(|agent| agent.link.as_deref()) {
            row("Watch it", text::clean_line(link, 500));
        }
    }
    if record.attempts > 0 {
        row("Corrections", record.attempts.to_string());
    }
    for given_up in &record.given_up {
        row("Given up", harmless(given_up, 300));
    }
    let (ready, paused) = (&rules.labels.ready.value, &rules.labels.paused.value);
    match record.outcome {
        None => said.push_str(&format!("\n**To stop it:** take `{ready}` off, or add `{paused}`. ")),
        Some(RunOutcome::Success) => said.push('\n'),
        Some(RunOutcome::Human | RunOutcome::Cancelled) => {
            said.push_str(&format!("\n**To let an agent try again:** {}. ", try_again(&rules.labels)))
        }
    }
    let (run, revision) = (record.run, crate::policy::short_revision(&record.revision));
    said.push_str(&format!(
        "**To ask why:** `afk explain --issue {}`\n\n<sub>run {run} · policy {revision}</sub>",
        record.reference()
    ));
    said
}

/// What a person does to get an issue another run, whatever labels it carries by then.
pub fn try_again(labels: &Labels) -> String {
    format!(
        "see that neither `{}` nor `{}` is on, then put `{}` on anew, taking it off first where it is on",
        labels.human.value, labels.paused.value, labels.ready.value
    )
}

/// The moment at which a row matches whatever else happens, and the row: one that asks for nothing but the run's age.
pub fn ends_at_the_latest<'p>(rules: &'p Rules, record: &Record) -> Option<(DateTime<Utc>, &'p Transition)> {
    let bound = |condition: &Condition<RunFact>| match condition {
        Condition::Test(test) if test.fact == RunFact::Age => match test.matcher {
            Matcher::Compare(Comparison::Gte | Comparison::Gt, Quantity::Duration(bound)) => Some(bound),
            _ => None,
        },
        _ => None,
    };
    let rows = rules.transitions.iter().filter(|row| row.from.contains(&record.state));
    let bounds = rows.filter_map(|row| match &row.when {
        Condition::All(parts) => match parts.as_slice() {
            [only] => Some((bound(only)?, row)),
            _ => None,
        },
        condition => Some((bound(condition)?, row)),
    });
    let (bound, row) = bounds.min_by_key(|(bound, _)| *bound)?;
    Some((record.dispatched_at.checked_add_signed(chrono::TimeDelta::from_std(bound).ok()?)?, row))
}

/// The commits of a run, for people: short hashes, oldest first.
pub fn commits(view: &RunView) -> Option<String> {
    let commits = &view.commits.as_ref()?.commits;
    let shown: Vec<String> =
        commits.iter().rev().take(10).rev().map(|commit| format!("`{}`", short_commit(&commit.sha))).collect();
    let more = commits.len().saturating_sub(shown.len());
    match (shown.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(shown.join(", ")),
        (false, more) => Some(format!("{more} more, {}", shown.join(", "))),
    }
}

/// The pull request of a run that lands by one, for people.
pub fn pull_request(record: &Record, view: &RunView) -> Option<String> {
    let commits = view.commits.as_ref().filter(|_| record.landing == Landing::PullRequest)?;
    Some(match (commits.pull_request, &commits.pull_request_url) {
        (PullRequestStatus::None, _) => format!("none from the branch `{}`", record.run.branch()),
        (status, Some(url)) => format!("{}, {}", status.word(), harmless(url, 300)),
        (status, None) => status.word().to_owned(),
    })
}

/// What to do about a commit that nothing reports on, for people; `None` where something does, or afk itself asks for
/// the verdict.
pub fn unjudged(rules: &Rules, view: &RunView) -> Option<String> {
    let record = &view.record;
    let commit = short_commit(record.commit.as_deref()?);
    let is_silent = |stage: &Stage| {
        matches!(stage.source, StageSource::Checks { .. })
            && view.stages.iter().any(|(name, verdict)| *name == stage.name.value && *verdict == Ok(StageVerdict::None))
    };
    if !rules.stages.iter().any(is_silent) {
        return None;
    }
    let branch = record.default_branch.as_deref().map_or("the default branch".to_owned(), |name| harmless(name, 60));
    let landed = view.commits.as_ref().is_some_and(|commits| commits.landed);
    let remedy = match record.landing {
        Landing::Push => format!(
            "let CI run on pushes to {branch}; where it runs on pull requests only, set `landing = \"pull_request\"` \
             under [agent] of the policy"
        ),
        Landing::PullRequest if landed => format!("let CI run on pushes to {branch} too"),
        Landing::PullRequest => format!("let CI run on pull requests into {branch}"),
    };
    Some(format!("No check reports on `{commit}`. If it stays so: {remedy}"))
}

/// A verdict for people.
pub fn verdict_in_words(verdict: &StageVerdict) -> String {
    match verdict {
        StageVerdict::None => "none".to_owned(),
        StageVerdict::Pending(how_far) => {
            format!("pending: {}", harmless(how_far, 120)).trim_end_matches([' ', ':']).to_owned()
        }
        StageVerdict::Green => "green".to_owned(),
        StageVerdict::Red(jobs) => {
            let names: Vec<String> = jobs.iter().take(5).map(|job| format!("`{}`", harmless(&job.name, 80))).collect();
            format!("red: {}", names.join(", "))
        }
    }
}

/// The first seven digits of a commit.
pub fn short_commit(sha: &str) -> &str {
    sha.get(..7).unwrap_or(sha)
}

/// A time for people, absolute.
pub fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}
