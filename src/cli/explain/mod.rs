//! `afk explain`: why an issue is or is not taken, why a run waits, what a code means.

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;

use super::exit::{ExitStatus, Failure};
use super::issue;
use super::looking::Looking;
use super::output::{FAINT, Output, STRONG, WARN};
use super::{Format, FormatArguments, PolicyArguments, SettingsArguments};
use crate::policy::facts::IssueStatus;
use crate::policy::{RunOutcome, short_revision};
use crate::ports::{Issue, IssueRef, PortErrorKind, PortResult};
use crate::text::clean_line;
use crate::ticks::fleet::{Fleet, runs_of};
use crate::ticks::poll::foretell;
use crate::ticks::progress::short_commit;
use crate::ticks::record::{self, Record};
use crate::ticks::survey::survey;
use crate::ticks::world::Tick;
use gates::QueueStory;
use run::RunStory;
use words::{moment, shown};

mod code;
mod gates;
mod remedy;
pub mod run;
pub mod words;

/// Explain an issue, a run or a code
///
/// For an issue: every gate with its verdict, what would have to happen, and its place in the queue; for an issue with
/// a run: where it is and what happens next. This is the very code of `afk poll` over the real queue. For a code: what
/// a finding of `afk check-policy` means, why it matters, how to mend it.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
#[command(override_usage = "afk explain [OPTIONS] <--issue <ISSUE>|--code [<CODE>]>")]
#[group(id = "subject", multiple = false, args = ["issue", "code", "bare"])]
pub struct Arguments {
    /// The issue: `42`, `owner/name#42` or its address
    #[arg(long, value_name = "ISSUE")]
    pub issue: Option<String>,
    /// The code of a finding; without a value: all of them
    #[arg(long, value_name = "CODE", num_args = 0..=1)]
    pub code: Option<Option<String>>,
    /// What is written without `--issue`, so that it can be said what to write.
    #[arg(value_name = "ISSUE", hide = true)]
    pub bare: Option<String>,
    /// Which policy.
    #[command(flatten)]
    pub policy: PolicyArguments,
    /// Which installation.
    #[command(flatten)]
    pub settings: SettingsArguments,
    /// How the result is written.
    #[command(flatten)]
    pub format: FormatArguments,
}

/// Runs it.
///
/// # Errors
/// When the code does not exist, or the world cannot be read.
pub fn run(arguments: &Arguments, out: &mut Output) -> Result<ExitStatus, Failure> {
    if let Some(bare) = &arguments.bare {
        let bare = clean_line(bare, 100);
        let option = if code::exists(&bare) { "code" } else { "issue" };
        return Err(Failure::usage(format!("`{bare}` may be an issue or a code"))
            .help(format!("write `afk explain --{option} {bare}`")));
    }
    match (&arguments.code, &arguments.issue) {
        (Some(code), _) => code::run(code.as_deref(), arguments.format.format, out),
        (None, Some(issue)) => explain_issue(arguments, issue, out),
        (None, None) => Err(Failure::usage("name an issue or a code")
            .help("write `afk explain --issue 42` or `afk explain --code dead-row`")),
    }
}

/// All that is known about why an issue is where it is.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// `owner/name#N`.
    pub issue: String,
    /// Its title; `null` where the issue cannot be read.
    pub title: Option<String>,
    /// Where people see it.
    pub url: Option<String>,
    /// The policy file.
    pub policy: String,
    /// Its revision.
    pub revision: String,
    /// When the facts were read.
    pub read_at: DateTime<Utc>,
    /// Why the kill switch is on; `null` when it is off.
    pub kill_switch: Option<String>,
    /// Which kind of answer this is.
    pub answer: Answer,
    /// The answer in one sentence.
    pub verdict: String,
    /// The runs of the issue that are in flight.
    pub runs: Vec<RunStory>,
    /// The run that ended last; `null` where none did.
    pub ended: Option<Ended>,
    /// What poll decides on it; `null` where it is not armed.
    pub queue: Option<QueueStory>,
    /// What a person can do, where neither a run nor the queue tells.
    pub what_to_do: Vec<String>,
    /// What could not be read.
    pub problems: Vec<String>,
}

/// The kinds of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is armed, and `queue` tells what becomes of it.
    Queued,
    /// A run is in flight.
    Run,
    /// Its run has ended, and nobody armed it again.
    Ended,
    /// Nobody armed it.
    NotArmed,
    /// It is closed.
    Closed,
    /// There is no such issue.
    Missing,
    /// It cannot be read.
    Unreadable,
}

/// A run that has ended.
#[derive(Debug, Serialize)]
pub struct Ended {
    /// Its id.
    pub run: String,
    /// The state it ended in.
    pub state: String,
    /// The title of that state; `null` where the policy no longer has it.
    pub title: Option<String>,
    /// How it ended.
    pub outcome: Option<RunOutcome>,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
    /// When it began.
    pub dispatched_at: DateTime<Utc>,
    /// Its newest commit.
    pub commit: Option<String>,
    /// Corrective turns that the agent was sent.
    pub attempts: u32,
    /// Effects that failed for too long.
    pub given_up: Vec<String>,
    /// When `afk stop` asked its agent to end; `null`: it did not.
    pub stopped_at: Option<DateTime<Utc>>,
}

fn explain_issue(arguments: &Arguments, text: &str, out: &mut Output) -> Result<ExitStatus, Failure> {
    let format = arguments.format.format;
    let explanation = match of_issue(text, &arguments.policy, &arguments.settings, format, out)? {
        Ok((_, explanation)) => explanation,
        Err(status) => return Ok(status),
    };
    match format {
        Format::Json => out.json(&explanation),
        Format::Human => draw(&explanation, out),
    }
    Ok(if explanation.answer == Answer::Unreadable { ExitStatus::Partial } else { ExitStatus::Done })
}

/// Finds the issue that is meant, and tells all about it. The inner `Err` is the status to end with: the policy cannot be
/// used, and the reader has been told so.
///
/// # Errors
/// When the text names no issue, the settings are wrong, or the world cannot be read.
pub fn of_issue(
    text: &str,
    policy: &PolicyArguments,
    settings: &SettingsArguments,
    format: Format,
    out: &mut Output,
) -> Result<Result<(Looking, Explanation), ExitStatus>, Failure> {
    let looking = match Looking::open(policy, settings, format, out)? {
        Ok(looking) => looking,
        Err(status) => return Ok(Err(status)),
    };
    let reference = super::tick::runtime()?.block_on(issue::resolve(
        text,
        Some(&looking.policy),
        &looking.settings,
        &*looking.world.tracker,
    ))?;
    let switched_off = looking.kill_switch.as_deref();
    let explanation = looking.look(async |tick| explanation(tick, reference, switched_off).await)?;
    Ok(Ok((looking, explanation)))
}

/// The very code of poll, over the real queue, and what it means for one issue.
async fn explanation(tick: &Tick<'_>, asked: IssueRef, switched_off: Option<&str>) -> PortResult<Explanation> {
    let found = tick.world.tracker.issue(&asked).await;
    let reference = match &found {
        Ok(Some(issue)) => issue.reference.clone(),
        _ => asked,
    };
    let mut survey = survey(tick, Some(&reference)).await?;
    foretell(tick, &mut survey).await;
    let fleet = &survey.fleet;
    let mut in_flight: Vec<_> = fleet.runs_in_flight().filter(|run| run.reference == reference).cloned().collect();
    if in_flight.is_empty() && found.is_ok() {
        // A record without a label: only its own issue leads to it.
        let issue = found.as_ref().ok().and_then(Clone::clone);
        in_flight = runs_of(tick, fleet, &reference, issue, None).await;
    }
    let mut runs = Vec::new();
    for run in &in_flight {
        runs.push(RunStory::of(tick, fleet, run, switched_off.is_some()).await);
    }
    let index = survey.armed.iter().position(|armed| armed.issue.reference == reference);
    let queue = index.and_then(|index| QueueStory::of(tick, &survey, index, switched_off));
    let ended = match &found {
        Ok(Some(_)) => newest_ended(tick, fleet, &reference).await,
        _ => None,
    };
    let (answer, verdict, mut what_to_do) = conclude(tick, &reference, &found, &runs, queue.as_ref(), ended.as_ref());
    if let Some(why) = switched_off.filter(|_| !what_to_do.is_empty()) {
        what_to_do.insert(0, gates::turned_off(why));
    }
    let mut problems = problems_of(tick, &reference);
    // The answer has said it.
    problems.retain(|problem| problem.rsplit_once(": ").is_none_or(|(_, end)| !verdict.ends_with(end)));
    let issue = found.ok().flatten();
    Ok(Explanation {
        issue: shown(&reference.to_string()),
        title: issue.as_ref().map(|issue| shown(&issue.title)),
        url: issue.as_ref().map(|issue| shown(&issue.url)),
        policy: shown(&tick.policy.source.name),
        revision: tick.policy.revision.clone(),
        read_at: tick.world.clock.now(),
        kill_switch: switched_off.map(shown),
        answer,
        verdict,
        runs,
        ended: ended.map(|record| told(tick, fleet, &record)),
        queue,
        what_to_do,
        problems,
    })
}

/// What could not be read, but for other issues: they are not what was asked about.
fn problems_of(tick: &Tick<'_>, reference: &IssueRef) -> Vec<String> {
    let of_another = |problem: &str| {
        let issue = problem.split_once(": ").map_or("", |(about, _)| about);
        issue.contains('#') && issue != reference.to_string()
    };
    tick.report.borrow().problems.iter().filter(|problem| !of_another(problem)).map(|problem| shown(problem)).collect()
}

async fn newest_ended(tick: &Tick<'_>, fleet: &Fleet, reference: &IssueRef) -> Option<Record> {
    let comments = tick.world.tracker.own_comments(reference).await.ok()?;
    let (records, _) = tick.world.seal.read_all(reference, &fleet.afk, &comments);
    record::newest_ended(records)
}

fn told(tick: &Tick<'_>, fleet: &Fleet, record: &Record) -> Ended {
    let title = tick.policy.rules(&record.repo).state(&record.state).map(|state| state.title.clone());
    Ended {
        run: record.run.to_string(),
        state: shown(&record.state),
        title,
        outcome: record.outcome,
        reason: record.reason.as_deref().map(shown),
        at: record.since,
        dispatched_at: record.dispatched_at,
        commit: record.commit.clone(),
        attempts: record.attempts,
        given_up: record.given_up.iter().map(|given_up| shown(given_up)).collect(),
        stopped_at: fleet.stopped_at(record),
    }
}

/// Which answer it is, in one sentence, and what a person can do.
fn conclude(
    tick: &Tick<'_>,
    reference: &IssueRef,
    found: &PortResult<Option<Issue>>,
    runs: &[RunStory],
    queue: Option<&QueueStory>,
    ended: Option<&Record>,
) -> (Answer, String, Vec<String>) {
    if let Some(run) = runs.first() {
        let state = run.state.as_deref().unwrap_or(run.standing);
        return (Answer::Run, format!("{}: {}", shown(state).to_uppercase(), run.waits_for), Vec::new());
    }
    if let Some(queue) = queue {
        return (Answer::Queued, queue.verdict(), Vec::new());
    }
    let policy = tick.policy;
    let rules = policy.rules(&reference.repo);
    let mut to_do = Vec::new();
    if !policy.enrolled(&reference.repo) {
        to_do.push(remedy::enrol(policy, &reference.repo));
    }
    let issue = match found {
        Ok(Some(issue)) => issue,
        Ok(None) => {
            return (Answer::Missing, "NO SUCH ISSUE: it was deleted or moved away, or never was".to_owned(), to_do);
        }
        Err(error) if error.kind == PortErrorKind::NotFound && !policy.enrolled(&reference.repo) => {
            let verdict =
                format!("NOT DISPATCHED: {} is not enrolled, and the tracker does not list it", shown(&reference.repo));
            to_do.push(shown(&error.message));
            return (Answer::Missing, verdict, to_do);
        }
        Err(error) => {
            return (Answer::Unreadable, format!("CANNOT BE READ: {}", shown(&error.message)), to_do);
        }
    };
    let ready = &rules.labels.ready.value;
    let who = remedy::who_may_arm(rules, &reference.repo);
    let armed = issue.has_label(ready);
    let closed = match issue.status {
        IssueStatus::Open => None,
        IssueStatus::ClosedByPush => Some("closed by a commit, a merge or afk"),
        IssueStatus::Closed | IssueStatus::Gone => Some("closed by a person"),
    };
    if closed.is_some() {
        to_do.push("a person opens the issue again".to_owned());
    }
    for held in [&rules.labels.human.value, &rules.labels.paused.value] {
        if issue.has_label(held) {
            to_do.push(format!("a person takes {held} off"));
        }
    }
    match (armed, ended.is_some()) {
        (true, false) => {}
        (true, true) => to_do.push(format!("{who} takes {ready} off and puts it back")),
        (false, _) => to_do.push(format!("{who} puts {ready} on")),
    }
    if let Some(record) = ended {
        let now = tick.world.clock.now();
        let title = rules.state(&record.state).map_or(String::new(), |state| format!(": {}", state.title));
        let new = |reason: &&str| !title.to_lowercase().ends_with(&reason.to_lowercase());
        let reason =
            record.reason.as_deref().filter(new).map(|reason| format!(" ({})", shown(reason))).unwrap_or_default();
        let verdict = format!(
            "{}{title}{reason}. The run ended {}",
            shown(&record.state).to_uppercase(),
            moment(record.since, now)
        );
        return (Answer::Ended, verdict, to_do);
    }
    match closed {
        Some(how) => (Answer::Closed, format!("NOT DISPATCHED: it is {how}; only open issues are taken"), to_do),
        // The queue lists whatever is open, armed and of a repository that can be read.
        None if armed => {
            (Answer::Unreadable, format!("CANNOT BE READ: {} could not be listed", shown(&reference.repo)), to_do)
        }
        None => (Answer::NotArmed, format!("NOT ARMED: it does not carry {ready}"), to_do),
    }
}

fn draw(explanation: &Explanation, out: &mut Output) {
    let now = explanation.read_at;
    let title = explanation.title.as_deref().unwrap_or("");
    out.line(format_args!("{STRONG}{}{STRONG:#}  {title}", explanation.issue).to_string().trim_end());
    out.line(format_args!(
        "{FAINT}policy {}, revision {} · facts read {}{FAINT:#}\n",
        explanation.policy,
        short_revision(&explanation.revision),
        now.format("%Y-%m-%d %H:%M:%SZ")
    ));
    // An issue whose run is over but for its lock is in the queue as well.
    let goes_on = explanation.runs.iter().any(|run| matches!(run.standing, "active" | "adopt" | "rebuild"));
    if let Some(why) = &explanation.kill_switch {
        let then = match explanation.queue {
            Some(_) if !goes_on => "; with it off this would be decided:",
            _ => "; until it is off nothing is dispatched and no turn is sent",
        };
        out.line(format_args!("{WARN}kill switch is on{WARN:#}: {why}{then}\n"));
    }
    for run in &explanation.runs {
        run::draw(run, now, out);
        out.line("");
    }
    match &explanation.queue {
        Some(queue) if !goes_on => gates::draw(queue, out),
        _ if explanation.runs.is_empty() => {
            out.line(format_args!("{STRONG}{}{STRONG:#}", explanation.verdict));
            if let Some(ended) = &explanation.ended {
                out.line(format_args!(
                    "{FAINT}run {} · dispatched {} · {} · corrections: {}{FAINT:#}",
                    ended.run,
                    moment(ended.dispatched_at, now),
                    ended
                        .commit
                        .as_deref()
                        .map_or("no commit".to_owned(), |commit| format!("commit {}", short_commit(commit))),
                    ended.attempts,
                ));
                if let Some(at) = ended.stopped_at {
                    out.line(format_args!("`afk stop` ended its agent, {}", moment(at, now)));
                }
                for given_up in &ended.given_up {
                    out.line(format_args!("{WARN}given up{WARN:#}: {given_up}"));
                }
                if ended.outcome == Some(RunOutcome::Human) {
                    out.line("what its agent said last is in the comment that handed the issue over");
                }
            }
            if !explanation.what_to_do.is_empty() {
                let again = if explanation.ended.is_some() { "To let an agent try again" } else { "To be dispatched" };
                out.line(format_args!("\n{again}, all of this must happen:"));
                for (number, step) in explanation.what_to_do.iter().enumerate() {
                    out.line(format_args!("  {}. {step}", number + 1));
                }
            }
        }
        _ => {}
    }
    if !explanation.problems.is_empty() {
        out.line("");
    }
    for problem in &explanation.problems {
        out.line(format_args!("{WARN}could not be read{WARN:#}: {problem}"));
    }
}

const AFTER_HELP: &str = "\
Exit codes:
  0  answered; that an issue does not exist or is not enrolled is an answer
  1  the policy is wrong
  2  the text names no issue or could mean several, or there is no such code
  3  the issue could not be read
  4  could not run

Examples:
  afk explain --issue acme/app#42
  afk explain --code wrong-matcher";
