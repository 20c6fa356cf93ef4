//! `afk status`: what is in flight, what waits, what needs a person.

use std::cmp::Ordering;
use std::io::IsTerminal;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;

use super::exit::{ExitStatus, Failure};
use super::explain::run::RunStory;
use super::explain::words::{Cell, moment, shown, table};
use super::findings::counted;
use super::looking::Looking;
use super::output::{BAD, FAINT, GOOD, Output, STRONG, WARN};
use super::queue::reason;
use super::{Format, FormatArguments, PolicyArguments, SettingsArguments};
use crate::adapters::http::api::Cost;
use crate::adapters::installation::{Heartbeat, TickKind};
use crate::engine::evaluate::Verdict;
use crate::engine::order;
use crate::engine::select::{Outcome, fired, sentence};
use crate::policy::{Policy, RepoPattern, short_revision};
use crate::ports::PortResult;
use crate::text::clean_line;
use crate::ticks::poll::foretell;
use crate::ticks::record::newest_ended;
use crate::ticks::survey::{Hindrance, Survey, survey};
use crate::ticks::world::Tick;

/// Show the runs in flight, the queue, and what waits for a person
///
/// Reads only, takes no lock; safe at any time.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Show it again and again, every few seconds, until interrupted
    #[arg(long, value_name = "INTERVAL", num_args = 0..=1, require_equals = true, default_missing_value = "5s", value_parser = interval)]
    pub watch: Option<Duration>,
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

/// The whole answer; `null` with a `why` where something is unknown.
#[derive(Debug, Serialize)]
struct Status {
    policy: PolicyStatus,
    read_at: DateTime<Utc>,
    last_poll: Beat,
    last_watch: Beat,
    runs: Vec<RunStory>,
    max_in_flight: usize,
    queue: Vec<Queued>,
    waiting_for_you: Vec<Waiting>,
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct PolicyStatus {
    file: String,
    revision: String,
    /// Why nothing is dispatched; `null`: the kill switch is off.
    kill_switch: Option<String>,
    allowlist: Vec<String>,
    denylist: Vec<String>,
    repositories: usize,
}

/// The last tick of a kind.
#[derive(Debug, Default, Serialize)]
struct Beat {
    at: Option<DateTime<Utc>>,
    result: Option<String>,
    calls: Option<u64>,
    /// What the tracker's server was asked; `null` where the tracker has no server.
    cost: Option<Cost>,
    problems: Vec<String>,
    /// Why nothing is known of it.
    why: Option<String>,
}

/// An armed issue without a run.
#[derive(Debug, Serialize)]
struct Queued {
    issue: String,
    title: String,
    /// The place in the next poll; `null`: it is not dispatched.
    place: Option<usize>,
    priority: Option<i64>,
    fired: Option<String>,
    /// Every gate that denies.
    denied_by: Vec<String>,
    why: String,
    /// Why its run could not be started, though the policy would take it; `null`: nothing is known to be missing.
    cannot_start: Option<String>,
    /// The last poll could not start its run, and why; the next one tries again.
    last_poll: Option<String>,
    /// `why`, with the name of what keeps it.
    #[serde(skip)]
    reason: String,
}

/// An issue that a person has to look at.
#[derive(Debug, Serialize)]
struct Waiting {
    issue: String,
    title: String,
    state: Option<String>,
    since: Option<DateTime<Utc>>,
    reason: Option<String>,
}

/// How many problems of the last tick are shown.
const PROBLEMS: usize = 5;
/// How much of a title a table shows, in bytes.
const TITLE: usize = 40;

fn interval(text: &str) -> Result<Duration, String> {
    match crate::policy::duration::parse(text)? {
        Duration::ZERO => Err("an interval of nothing would never rest; write \"5s\"".to_owned()),
        interval => Ok(interval),
    }
}

/// Runs it.
///
/// # Errors
/// When it cannot do its work.
pub fn run(arguments: &Arguments, out: &mut Output) -> Result<ExitStatus, Failure> {
    let Some(interval) = arguments.watch else { return show(arguments, out) };
    let redraw = arguments.format.format == Format::Human && std::io::stdout().is_terminal();
    loop {
        if redraw {
            // Clears the screen and what scrolled off it, and goes to its top.
            out.text("\u{1b}[H\u{1b}[2J\u{1b}[3J");
        }
        if let Err(failure) = show(arguments, out) {
            out.failure(&failure);
        }
        if out.is_broken() {
            return Ok(ExitStatus::Done);
        }
        std::thread::sleep(interval);
    }
}

fn show(arguments: &Arguments, out: &mut Output) -> Result<ExitStatus, Failure> {
    let format = arguments.format.format;
    let looking = match Looking::open(&arguments.policy, &arguments.settings, format, out)? {
        Ok(looking) => looking,
        Err(status) => return Ok(status),
    };
    let switched_off = looking.kill_switch.as_deref();
    let status = looking.look(async |tick| status(tick, switched_off).await)?;
    match format {
        Format::Json => out.json(&status),
        Format::Human => draw(&status, out),
    }
    let as_it_should_be = status.problems.is_empty() && status.queue.iter().all(|queued| queued.cannot_start.is_none());
    Ok(if as_it_should_be { ExitStatus::Done } else { ExitStatus::Partial })
}

async fn status(tick: &Tick<'_>, switched_off: Option<&str>) -> PortResult<Status> {
    let mut survey = survey(tick, None).await?;
    foretell(tick, &mut survey).await;
    let mut runs = Vec::new();
    for run in survey.fleet.runs_in_flight() {
        runs.push(RunStory::of(tick, &survey.fleet, run, switched_off.is_some()).await);
    }
    for run in runs.iter().filter(|run| run.stuck) {
        tick.problem(&run.issue, &run.waits_for);
    }
    let waiting_for_you = waiting(tick, &survey).await;
    let policy = tick.policy;
    let listed = |patterns: &[RepoPattern]| patterns.iter().map(ToString::to_string).collect();
    Ok(Status {
        policy: PolicyStatus {
            file: shown(&policy.source.name),
            revision: policy.revision.clone(),
            kill_switch: switched_off.map(shown),
            allowlist: listed(&policy.allowlist.value),
            denylist: listed(&policy.denylist.value),
            repositories: survey.fleet.repos.iter().filter(|repo| policy.enrolled(repo)).count(),
        },
        read_at: tick.world.clock.now(),
        last_poll: beat(tick, TickKind::Poll),
        last_watch: beat(tick, TickKind::Watch),
        runs,
        max_in_flight: policy.base.dispatch.max_in_flight.value,
        queue: queue(policy, &survey),
        waiting_for_you,
        problems: tick.report.borrow().problems.iter().map(|problem| shown(problem)).collect(),
    })
}

fn beat(tick: &Tick<'_>, kind: TickKind) -> Beat {
    let unknown = |why: String| Beat { why: Some(why), ..Beat::default() };
    match tick.world.installation.heartbeat(kind) {
        Ok(Some(Heartbeat { at, result, calls, cost, problems, .. })) => Beat {
            at: Some(at),
            result: Some(shown(&result)),
            calls: Some(calls),
            cost,
            problems: problems.iter().map(|problem| shown(problem)).collect(),
            why: None,
        },
        Ok(None) => unknown("never".to_owned()),
        Err(error) => unknown(shown(&error.message)),
    }
}

/// Armed issues without a run: what the next poll dispatches, then the others in the order of the policy.
fn queue(policy: &Policy, survey: &Survey) -> Vec<Queued> {
    let candidates = &survey.candidates;
    let place = |index: usize| match survey.decisions.get(index).map(|decision| decision.outcome) {
        Some(Outcome::Dispatch(place)) => Some(place),
        _ => None,
    };
    let waits = |index: &usize| {
        survey.armed.get(*index).is_some_and(|armed| survey.fleet.run_of(&armed.issue.reference).is_none())
    };
    let mut indices: Vec<usize> = (0..candidates.len()).filter(waits).collect();
    indices.sort_by(|left, right| match (place(*left), place(*right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => match (candidates.get(*left), candidates.get(*right)) {
            (Some(left), Some(right)) => order::compare(&policy.base.priority.order, left, right),
            _ => Ordering::Equal,
        },
    });
    let queued = indices.into_iter().filter_map(|index| {
        let (armed, decision) = (survey.armed.get(index)?, survey.decisions.get(index)?);
        let candidate = candidates.get(index)?;
        let gates = policy.rules(&armed.issue.reference.repo).gates.iter().enumerate();
        let denies = |gate| matches!(decision.trace.verdict(gate), Verdict::Fails | Verdict::Unknown);
        Some(Queued {
            issue: shown(&armed.issue.reference.to_string()),
            title: shown(&armed.issue.title),
            place: place(index),
            priority: candidate.facts.priority.known().copied(),
            fired: fired(policy, candidate, decision).map(str::to_owned),
            denied_by: gates.filter(|(gate, _)| denies(*gate)).map(|(_, gate)| gate.name.clone()).collect(),
            why: shown(&sentence(policy, candidates, index, decision)),
            cannot_start: survey.cannot_start(&armed.issue.reference).map(shown),
            last_poll: match survey.hindered.get(&armed.issue.reference) {
                Some(Hindrance::FailedAt(_, why)) => Some(shown(why)),
                _ => None,
            },
            reason: shown(&reason(policy, candidates, index, decision)),
        })
    });
    queued.collect()
}

/// The open issues that carry the label *human*; the newest record that has ended tells why.
async fn waiting(tick: &Tick<'_>, survey: &Survey) -> Vec<Waiting> {
    let fleet = &survey.fleet;
    let tracker = &tick.world.tracker;
    let mut waiting = Vec::new();
    for repo in fleet.repos.iter().filter(|repo| !fleet.unreadable.contains_key(*repo)) {
        let listing = match tracker.labelled(repo, &tick.policy.rules(repo).labels.human.value, true).await {
            Ok(listing) => listing,
            Err(error) => {
                tick.problem(repo, error);
                continue;
            }
        };
        for issue in listing.issues {
            let record = match tracker.own_comments(&issue.reference).await {
                Ok(comments) => {
                    let (records, _) = tick.world.seal.read_all(&issue.reference, &fleet.afk, &comments);
                    newest_ended(records)
                }
                Err(error) => {
                    tick.problem(&issue.reference, error);
                    None
                }
            };
            waiting.push(Waiting {
                issue: shown(&issue.reference.to_string()),
                title: shown(&issue.title),
                state: record.as_ref().map(|record| shown(&record.state)),
                since: record.as_ref().map(|record| record.since),
                reason: record.and_then(|record| record.reason).map(|reason| shown(&reason)),
            });
        }
    }
    waiting
}

fn draw(status: &Status, out: &mut Output) {
    draw_policy(status, out);
    draw_runs(status, out);
    out.line(format_args!("\n{STRONG}QUEUE ({} armed){STRONG:#}", status.queue.len()));
    let rows: Vec<Vec<Cell>> = status.queue.iter().map(queue_row).collect();
    out.text(table(&rows, 4, "  "));
    draw_waiting(status, out);
    if !status.problems.is_empty() {
        out.line(format_args!("\n{WARN}{}{WARN:#}:", counted(status.problems.len(), "problem")));
        for problem in &status.problems {
            out.line(format_args!("  {problem}"));
        }
    }
}

fn draw_policy(status: &Status, out: &mut Output) {
    let now = status.read_at;
    let policy = &status.policy;
    let switch = match &policy.kill_switch {
        None => format!("{GOOD}on{GOOD:#}"),
        Some(why) => format!("{WARN}off{WARN:#}: {why}"),
    };
    let allowlist = match policy.allowlist.as_slice() {
        [] => "allowlist is empty".to_owned(),
        list => format!("allowlist {} ({})", list.join(", "), repositories(policy.repositories)),
    };
    let denied = if policy.denylist.is_empty() { String::new() } else { format!(", {} denied", policy.denylist.len()) };
    out.line(format_args!(
        "policy     {}, revision {}, {switch} · {allowlist}{denied}",
        policy.file,
        short_revision(&policy.revision)
    ));
    out.line(format_args!(
        "last poll  {} · last watch {}",
        beat_in_words(&status.last_poll, now),
        beat_in_words(&status.last_watch, now)
    ));
    for (beat, kind) in [(&status.last_poll, TickKind::Poll), (&status.last_watch, TickKind::Watch)] {
        for problem in beat.problems.iter().take(PROBLEMS) {
            out.line(format_args!("           {WARN}last {} could not{WARN:#}: {problem}", kind.word()));
        }
        if let Some(more) = beat.problems.len().checked_sub(PROBLEMS).filter(|more| *more > 0) {
            out.line(format_args!("           and {more} more"));
        }
    }
    if policy.kill_switch.is_some() {
        out.line(
            "           nothing is dispatched and no turn is sent; the queue shows what would be decided otherwise",
        );
    }
}

fn draw_runs(status: &Status, out: &mut Output) {
    let now = status.read_at;
    out.line(format_args!("\n{STRONG}RUNS ({} of {}){STRONG:#}", status.runs.len(), status.max_in_flight));
    if !status.runs.is_empty() {
        let titles = ["", "issue", "title", "run", "state", "since", "waiting for", "next by itself", "agent"];
        let mut rows = vec![head(titles)];
        let mut any_trouble = false;
        for run in &status.runs {
            let trouble = run.stuck || run.standing != "active" || run.rows.is_empty();
            any_trouble |= trouble;
            rows.push(vec![
                if trouble { Cell::styled("!", BAD) } else { Cell::default() },
                shown(&run.issue).into(),
                clean_line(run.title.as_deref().unwrap_or("-"), TITLE).into(),
                run.run.as_deref().and_then(|run| run.get(..8)).unwrap_or("-").into(),
                shown(run.state.as_deref().unwrap_or(run.standing)).into(),
                run.since.map_or("-".to_owned(), |since| moment(since, now)).into(),
                waits_for(run).into(),
                deadline(run, now).into(),
                run.agent.as_str().into(),
            ]);
        }
        out.text(table(&rows, 6, "  "));
        if any_trouble {
            out.line(format_args!(
                "  {FAINT}! is not followed by the rows now; `afk explain --issue N` says why and what to do{FAINT:#}"
            ));
        }
    }
}

fn draw_waiting(status: &Status, out: &mut Output) {
    let now = status.read_at;
    out.line(format_args!("\n{STRONG}WAITING FOR YOU ({}){STRONG:#}", status.waiting_for_you.len()));
    let rows: Vec<Vec<Cell>> = status
        .waiting_for_you
        .iter()
        .map(|waiting| {
            vec![
                waiting.issue.as_str().into(),
                waiting.state.as_deref().unwrap_or("-").into(),
                waiting.since.map_or("-".to_owned(), |since| format!("since {}", moment(since, now))).into(),
                waiting.reason.as_deref().unwrap_or(&waiting.title).into(),
            ]
        })
        .collect();
    out.text(table(&rows, 3, "  "));
}

fn repositories(count: usize) -> String {
    if count == 1 { "1 repository".to_owned() } else { format!("{count} repositories") }
}

fn head<const N: usize>(titles: [&str; N]) -> Vec<Cell> {
    titles.into_iter().map(|title| Cell::styled(title, FAINT)).collect()
}

fn beat_in_words(beat: &Beat, now: DateTime<Utc>) -> String {
    match (beat.at, &beat.result, beat.calls) {
        (Some(at), Some(result), Some(calls)) => {
            let cost = match &beat.cost {
                Some(cost) => cost.to_string(),
                None => counted(usize::try_from(calls).unwrap_or(usize::MAX), "call"),
            };
            format!("{} {result}, {cost}", moment(at, now))
        }
        _ => beat.why.clone().unwrap_or_default(),
    }
}

fn waits_for(run: &RunStory) -> String {
    match (&run.pending, &run.next) {
        (Some(pending), _) => format!("finishing row {}: {}", pending.row, pending.remaining.join(", ")),
        (None, Some(next)) if next.due && next.held.is_some() => {
            format!("row {} is held: {}", next.row, next.held.unwrap_or_default())
        }
        _ => run.waits_for.clone(),
    }
}

fn deadline(run: &RunStory, now: DateTime<Utc>) -> String {
    match (&run.pending, &run.next) {
        (Some(pending), _) => {
            pending.given_up_at.map_or("next watch".to_owned(), |at| format!("given up {}", moment(at, now)))
        }
        (None, Some(next)) if next.due => format!("{} now", next.row),
        (None, Some(next)) => format!("{} {}", next.row, moment(next.at, now)),
        (None, None) => "none".to_owned(),
    }
}

fn queue_row(queued: &Queued) -> Vec<Cell> {
    let why = match (queued.place, &queued.cannot_start, &queued.last_poll) {
        (Some(_), Some(why), _) => format!("cannot be started: {why}"),
        (Some(_), None, Some(why)) => format!("is tried again in the next poll; the last one failed: {why}"),
        (Some(1), None, None) => "goes next".to_owned(),
        (Some(_), None, None) => "goes in the next poll".to_owned(),
        (None, ..) => {
            let fired = queued.fired.as_deref();
            let others: Vec<&str> =
                queued.denied_by.iter().map(String::as_str).filter(|gate| Some(*gate) != fired).collect();
            let others = if others.is_empty() { String::new() } else { format!("; {} too", others.join(", ")) };
            format!("{}{others}", queued.reason)
        }
    };
    let place = queued.place.filter(|_| queued.cannot_start.is_none());
    vec![
        place.map_or("-".to_owned(), |place| place.to_string()).into(),
        queued.issue.as_str().into(),
        clean_line(&queued.title, TITLE).into(),
        queued.priority.map_or("priority unknown".to_owned(), |priority| format!("priority {priority}")).into(),
        why.into(),
    ]
}

const AFTER_HELP: &str = "\
Exit codes:
  0  answered
  1  the policy is wrong
  2  the command line is wrong
  3  some items could not be read or started, or an agent does not end; they are named
  4  could not run

Examples:
  afk status --watch=10s
  afk status --format json";
