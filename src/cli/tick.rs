//! What `poll`, `watch` and `serve` share: the policy, the kill switch, the lock, the deadline, the heartbeat.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value, json};
use tracing::Instrument;

use super::exit::{ExitStatus, Failure};
use super::output::{BAD, FAINT, Output, STRONG, WARN, printable};
use super::wiring::{self, Access};
use super::{Format, FormatArguments, Installed, alarm, findings, queue};
use crate::adapters::confined::DirectoryLock;
use crate::adapters::http::api::Cost;
use crate::adapters::http::is_loopback;
use crate::adapters::installation::{Heartbeat, Installation, TickKind};
use crate::adapters::policy_file::{self, Loaded};
use crate::policy::{InstalledNames, Policy, short_revision};
use crate::ports::{IssueRef, PortError};
use crate::settings::{ExecutorSettings, Settings};
use crate::ticks::fleet::{Fleet, Run};
use crate::ticks::poll::{foretell, poll};
use crate::ticks::survey::{Hindrance, Survey, survey};
use crate::ticks::watch::{look, watch};
use crate::ticks::world::{Report, Tick, World};

/// What `poll` and `watch` take.
#[derive(Debug, Args)]
pub struct TickArguments {
    /// Read and decide, change nothing: print what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Which policy, of which installation.
    #[command(flatten)]
    pub installed: Installed,
    /// How the result is written.
    #[command(flatten)]
    pub format: FormatArguments,
}

/// One tick, as the command line asks for it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Which tick.
    pub kind: TickKind,
    /// The policy file.
    pub policy: &'a Path,
    /// The settings file.
    pub settings: &'a Path,
    /// Change nothing.
    pub dry_run: bool,
    /// Read the facts of the runs in flight, too, so that what is written can be decided again.
    pub snapshot: bool,
}

impl<'a> Request<'a> {
    /// One tick of an installation.
    pub fn new(kind: TickKind, installed: &'a Installed, dry_run: bool) -> Self {
        Self {
            kind,
            policy: &installed.policy.policy,
            settings: &installed.settings.settings,
            dry_run,
            snapshot: false,
        }
    }
}

/// What a tick came to.
#[derive(Debug)]
pub enum Outcome {
    /// A poll, the queue as it decided it, and what [`Request::snapshot`] asks for besides.
    Polled(Box<Survey>, Map<String, Value>),
    /// A watch, and the issues that are still in flight, each with its state.
    Watched(Vec<(IssueRef, String)>),
}

/// What became of a request.
#[derive(Debug)]
pub enum Performed {
    /// The tick ran.
    Ran {
        /// By this policy.
        policy: Box<Policy>,
        /// With this result.
        outcome: Outcome,
        /// Having done this.
        report: Report,
        /// In so many calls to the edges.
        calls: u64,
        /// Which asked the tracker's server for this much.
        cost: Option<Cost>,
    },
    /// The kill switch is on, for this reason; nothing was done.
    SwitchedOff(Box<Policy>, String),
    /// The policy cannot be used; nothing was done.
    BrokenPolicy(Box<Loaded>),
}

/// Runs one tick, prints its result and leaves its heartbeat.
///
/// # Errors
/// When it could not run at all.
pub fn run(kind: TickKind, arguments: &TickArguments, out: &mut Output) -> Result<ExitStatus, Failure> {
    let format = arguments.format.format;
    let snapshot = arguments.dry_run && format == Format::Json;
    let request = Request { snapshot, ..Request::new(kind, &arguments.installed, arguments.dry_run) };
    Ok(match perform(request)? {
        Performed::Ran { policy, outcome, report, calls, cost } => {
            write(request, &policy, &outcome, &report, (calls, cost.as_ref()), format, out);
            if report.problems.is_empty() { ExitStatus::Done } else { ExitStatus::Partial }
        }
        Performed::SwitchedOff(policy, why) => {
            match format {
                Format::Json => {
                    out.json(&json!({ "tick": request.kind.word(), "revision": policy.revision, "switched_off": why }));
                }
                Format::Human => {
                    out.line(format_args!("switched off: {}; nothing was read or dispatched", printable(&why)))
                }
            }
            ExitStatus::Done
        }
        Performed::BrokenPolicy(loaded) => {
            match format {
                Format::Json => out.json(&json!({
                    "tick": request.kind.word(),
                    "switched_off": "the policy cannot be used",
                    "findings": findings::documents(&loaded),
                })),
                Format::Human => {
                    findings::draw(&loaded, out);
                    out.line(format_args!(
                        "{BAD}the policy cannot be used{BAD:#}: the kill switch counts as on, nothing was done"
                    ));
                }
            }
            ExitStatus::Findings
        }
    })
}

/// Runs one tick and leaves its heartbeat.
///
/// # Errors
/// When it could not run at all.
pub fn perform(request: Request<'_>) -> Result<Performed, Failure> {
    let loaded = policy_file::load(request.policy, &InstalledNames::default());
    let Some(policy) = loaded.checked.policy.clone() else {
        return broken_policy(request, loaded);
    };
    // A policy that is switched off costs nothing: no settings, no lock, no call.
    if request.kind == TickKind::Poll
        && let Some(why) = wiring::kill_switch_of_policy(&policy)
    {
        return Ok(Performed::SwitchedOff(Box::new(policy), why));
    }
    let settings = wiring::settings(request.settings)?;
    let loaded = policy_file::load(request.policy, &wiring::doorbells(&settings));
    let Some(mut policy) = loaded.checked.policy.clone() else {
        return broken_policy(request, loaded);
    };
    refuse_within_reach([request.policy, request.settings], &loaded, &settings)?;
    let installation = Installation::new(&settings.data);
    if let Some(why) = wiring::kill_switch(&policy, &installation)? {
        if request.kind == TickKind::Poll {
            return Ok(Performed::SwitchedOff(Box::new(policy), why));
        }
        policy.kill_switch.value = true;
    }
    let access = if request.dry_run { Access::ReadOnly } else { Access::Full };
    let world = wiring::world(&settings, request.policy, access)?;
    let _lock = if request.dry_run { None } else { Some(lock(&installation)?) };
    let span = tracing::info_span!("tick", kind = request.kind.word(), revision = %policy.revision);
    let ticking = tick(request, &policy, &world, settings.tick_deadline);
    let (outcome, report) = runtime()?.block_on(ticking.instrument(span.clone()));
    let _within = span.entered();
    if !request.dry_run {
        beat(request.kind, &policy, &world, &outcome, &report);
        alarm::forget(&installation);
    }
    let (calls, cost) = (world.calls.get(), (world.cost)());
    // What an edge remembers for the next tick is written when it goes, and the lock must still be held then.
    drop(world);
    tracing::info!(calls, cost = cost.as_ref().map(tracing::field::display), "tick is over");
    Ok(Performed::Ran { policy: Box::new(policy), outcome: outcome?, report, calls, cost })
}

/// The one runtime of a command: a tick does one thing at a time.
///
/// # Errors
/// When the system gives none.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::could_not_run(format!("cannot start the runtime: {error}")))
}

/// Takes the lock of the installation.
///
/// # Errors
/// When another command holds it, or the data directory cannot be written to.
pub fn lock(installation: &Installation) -> Result<DirectoryLock, Failure> {
    let lock = installation.lock()?;
    lock.ok_or_else(|| Failure::locked("another afk command is at work on this installation; nothing was done"))
}

/// One tick within its deadline. What it did before it ran into it is reported all the same.
async fn tick(
    request: Request<'_>,
    policy: &Policy,
    world: &World,
    deadline: Duration,
) -> (Result<Outcome, PortError>, Report) {
    let end = tokio::time::Instant::now() + deadline;
    let late = |_| PortError::unreachable(format!("the tick ran into its deadline of {} s", deadline.as_secs()));
    let begun = tokio::time::timeout_at(end, Tick::begin(policy, world)).await.map_err(late);
    let tick = match begun.flatten() {
        Ok(tick) => tick,
        Err(error) => return (Err(error), Report::default()),
    };
    let outcome = tokio::time::timeout_at(end, work(request, &tick)).await.map_err(late).flatten();
    (outcome, tick.into_report())
}

async fn work(request: Request<'_>, tick: &Tick<'_>) -> Result<Outcome, PortError> {
    let in_flight = |fleet: Fleet| {
        let state = |run: &Run| run.record().map_or("without a record".to_owned(), |record| record.state.clone());
        fleet.runs_in_flight().map(|run| (run.reference.clone(), state(run))).collect()
    };
    match (request.kind, request.dry_run) {
        (TickKind::Poll, true) => {
            let mut survey = survey(tick, None).await?;
            foretell(tick, &mut survey).await;
            for (issue, hindrance) in &survey.hindered {
                if let Hindrance::CannotStart(why) = hindrance {
                    tick.problem(issue, format_args!("cannot be started: {why}"));
                }
            }
            let snapshot = if request.snapshot {
                queue::snapshot(tick.policy, &survey, queue::runs(tick, &survey.fleet).await, tick.started)
            } else {
                Map::new()
            };
            Ok(Outcome::Polled(Box::new(survey), snapshot))
        }
        (TickKind::Poll, false) => poll(tick).await.map(|survey| Outcome::Polled(Box::new(survey), Map::new())),
        (TickKind::Watch, true) => look(tick).await.map(in_flight).map(Outcome::Watched),
        (TickKind::Watch, false) => watch(tick).await.map(in_flight).map(Outcome::Watched),
    }
}

/// Agents have full access to their workspace: what decides about them must not lie there, nor be reached through it.
///
/// # Errors
/// When one of the files, or a prompt of the policy, does.
pub fn refuse_within_reach(files: [&Path; 2], loaded: &Loaded, settings: &Settings) -> Result<(), Failure> {
    let real = |path: &Path| way_to(path).pop().unwrap_or_else(|| path.to_path_buf());
    let mut places = vec![settings.data.join("runs"), settings.data.join("t3")];
    for executor in settings.executors.values() {
        let ExecutorSettings::T3(t3) = executor else { continue };
        // On another machine a path is nothing to this one.
        places.extend(t3.checkouts.clone().filter(|_| is_loopback(&t3.url)));
    }
    let prompts = loaded.checked.prompts.iter().map(|prompt| Path::new(&prompt.name));
    for file in files.into_iter().chain(prompts) {
        let way = way_to(file);
        let in_between = |place: &PathBuf| way.iter().any(|step| step.starts_with(place));
        if let Some(place) = places.iter().map(|place| real(place)).find(in_between) {
            let how = if real(file).starts_with(&place) { "lies" } else { "is reached by a link" };
            return Err(Failure::could_not_run(format!(
                "`{}` {how} where agents work (`{}`)",
                file.display(),
                place.display()
            ))
            .help("keep policy, prompts and settings where no agent can write them"));
        }
    }
    Ok(())
}

/// Every place that the way to a file leads through, each link followed in its turn; the file itself comes last.
fn way_to(file: &Path) -> Vec<PathBuf> {
    let parts = |path: &Path| path.components().rev().map(|part| part.as_os_str().to_owned()).collect::<Vec<_>>();
    let mut ahead = parts(&std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf()));
    let (mut here, mut way, mut links) = (PathBuf::new(), Vec::new(), 0);
    while let Some(part) = ahead.pop() {
        if part == ".." {
            here.pop();
            continue;
        }
        here.push(part);
        way.push(here.clone());
        // As many as Linux follows; nobody can read what lies behind more.
        if links < 40
            && let Ok(target) = here.read_link()
        {
            links += 1;
            here.pop();
            ahead.extend(parts(&target));
        }
    }
    way
}

/// A broken policy is a kill switch that is on; and an alarm where agents are live.
fn broken_policy(request: Request<'_>, loaded: Loaded) -> Result<Performed, Failure> {
    if request.kind == TickKind::Watch && !request.dry_run {
        let settings = wiring::settings(request.settings)?;
        runtime()?.block_on(alarm::ring(&settings, request.policy, &loaded))?;
    }
    Ok(Performed::BrokenPolicy(Box::new(loaded)))
}

fn beat(kind: TickKind, policy: &Policy, world: &World, outcome: &Result<Outcome, PortError>, report: &Report) {
    let in_flight = match outcome {
        Ok(Outcome::Polled(survey, _)) => survey.fleet.runs_in_flight().map(|run| run.reference.clone()).collect(),
        Ok(Outcome::Watched(in_flight)) => in_flight.iter().map(|(issue, _)| issue.clone()).collect(),
        // What was known before is still where to look.
        Err(_) => world.installation.heartbeat(kind).ok().flatten().map(|beat| beat.in_flight).unwrap_or_default(),
    };
    let result = match outcome {
        Err(error) => error.message.clone(),
        Ok(_) if report.problems.is_empty() => "ok".to_owned(),
        Ok(_) => format!("{} could not be done", report.problems.len()),
    };
    let heartbeat = Heartbeat {
        tick: kind,
        at: world.clock.now(),
        revision: Some(policy.revision.clone()),
        result,
        problems: report.problems.iter().take(50).cloned().collect(),
        calls: world.calls.get(),
        cost: (world.cost)(),
        in_flight,
    };
    if let Err(error) = world.installation.beat(&heartbeat) {
        tracing::error!("{error}");
    }
}

fn write(
    request: Request<'_>,
    policy: &Policy,
    outcome: &Outcome,
    report: &Report,
    (calls, cost): (u64, Option<&Cost>),
    format: Format,
    out: &mut Output,
) {
    if format == Format::Json {
        let mut document = json!({
            "tick": request.kind.word(),
            "dry_run": request.dry_run,
            "revision": policy.revision,
            "events": report.events,
            "problems": report.problems,
            "calls": calls,
            "cost": cost,
        });
        if let (Outcome::Polled(survey, snapshot), Some(object)) = (outcome, document.as_object_mut()) {
            object.insert("issues".to_owned(), queue::documents(policy, survey));
            object.extend(snapshot.clone());
        }
        out.json(&document);
        return;
    }
    write_events(report, out);
    if let Outcome::Polled(survey, _) = outcome {
        queue::write(policy, survey, request.dry_run, report.problems.is_empty(), out);
    }
    if let Outcome::Watched(in_flight) = outcome {
        write_unchanged(in_flight, report, out);
    }
    write_problems(report, out);
    let dry_run = if request.dry_run { " (dry run: nothing was changed)" } else { "" };
    let cost = cost.map(|cost| format!(", {cost}")).unwrap_or_default();
    out.line(format_args!(
        "{FAINT}policy revision {}, {calls} calls to the edges{cost}{dry_run}{FAINT:#}",
        short_revision(&policy.revision)
    ));
}

/// What a tick did, a line each.
pub fn write_events(report: &Report, out: &mut Output) {
    for event in &report.events {
        let (issue, what, detail) = (printable(&event.issue), printable(&event.what), printable(&event.detail));
        match detail.trim() {
            "" => out.line(format_args!("{STRONG}{issue}{STRONG:#}  {}", what.trim_end())),
            detail => out.line(format_args!("{STRONG}{issue}{STRONG:#}  {what}  {FAINT}{detail}{FAINT:#}")),
        }
    }
}

/// The runs in flight that have no news.
fn write_unchanged(in_flight: &[(IssueRef, String)], report: &Report, out: &mut Output) {
    for (issue, state) in in_flight {
        if report.events.iter().all(|event| event.issue != issue.to_string()) {
            out.line(format_args!("{STRONG}{issue}{STRONG:#}  {}  {FAINT}nothing new{FAINT:#}", printable(state)));
        }
    }
    if in_flight.is_empty() && report.events.is_empty() {
        out.line("no run is in flight");
    }
}

/// What a tick could not do, a line each.
pub fn write_problems(report: &Report, out: &mut Output) {
    for problem in &report.problems {
        out.line(format_args!("{WARN}skipped{WARN:#}  {}", printable(problem)));
    }
}
