//! What there is of runs: one listing for all of them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::bring_up::thread_of;
use super::executor::{T3Executor, controller_of};
use super::memory::{Ending, Memory, RunDirectory};
use super::server::Listing;
use super::status::{Reading, status};
use super::wire::Thread;
use crate::adapters::command::Workspaces;
use crate::adapters::runs;
use crate::engine::identity::RunId;
use crate::policy::facts::AgentStatus;
use crate::ports::{AgentReport, IssueRef, PortError, PortResult, Roster};
use crate::text::clean_line;

/// The most threads that one listing reads one by one.
const MOST_READ: usize = 5;
/// No id of a server is longer.
const LONGEST_ENVIRONMENT: usize = 100;
/// The most that is said of a title.
const SAID: usize = 100;

/// A run that something is known of.
struct Known {
    directory: RunDirectory,
    memory: Memory,
}

/// One look at all runs.
struct Look<'a, W> {
    executor: &'a T3Executor<W>,
    listing: Listing,
    /// How many threads were read one by one.
    read: usize,
    environment: Option<String>,
    now: DateTime<Utc>,
}

impl<W: Workspaces> T3Executor<W> {
    /// Every run of this executor.
    pub(super) async fn roster(&self) -> PortResult<Roster> {
        let mut roster = Roster::default();
        let mut known = BTreeMap::new();
        for run in runs::in_use(&self.runs)? {
            match self.known(run) {
                Ok(Some(one)) => drop(known.insert(run, one)),
                Ok(None) => {}
                Err(error) => roster.unreadable.push((run, error)),
            }
        }
        let mut listing = self.listing().await?;
        let missing = |run: RunId, listing: &Listing| thread_of(listing, run).is_none();
        let sought = |(run, one): (&RunId, &Known)| {
            let asked = !one.memory.turns.is_empty() && !one.memory.over;
            (asked && missing(*run, &listing)).then_some(*run)
        };
        let sought: Vec<RunId> = known.iter().filter_map(sought).collect();
        let lost = |run: RunId, error: PortError, known: &mut BTreeMap<RunId, Known>, roster: &mut Roster| {
            known.remove(&run);
            roster.unreadable.push((run, error));
        };
        if !sought.is_empty() && !listing.whole {
            match self.everything().await {
                Ok(all) => {
                    let gone = |thread: &Thread| sought.iter().any(|run| thread.may_be(*run));
                    listing.threads.extend(all.threads.into_iter().filter(gone));
                }
                Err(error) => {
                    // The others are as they were listed.
                    sought.iter().for_each(|run| lost(*run, error.clone(), &mut known, &mut roster));
                }
            }
        }
        for run in sought {
            let is_hidden = missing(run, &listing) && listing.threads.iter().any(|thread| thread.may_be(run));
            if is_hidden && known.contains_key(&run) {
                let error = PortError::invalid("T3 Code shows a thread without an id, which may be its own");
                lost(run, error, &mut known, &mut roster);
            }
        }
        let dismissed = runs::dismissed(&self.runs)?;
        let found: Vec<(RunId, Thread)> = listing
            .threads
            .iter()
            .filter(|thread| !thread.is_away())
            .filter_map(|thread| Some((run_of(thread)?, thread.clone())))
            .filter(|(run, _)| !dismissed.contains(run))
            .filter(|(run, thread)| {
                // Unless it is remembered: then it is said of the run.
                let strange = self.is_own(*run, thread).err().filter(|_| !known.contains_key(run));
                roster.elsewhere.extend(strange.clone().map(|error| (*run, error)));
                strange.is_none()
            })
            .filter(|(run, _)| !known.contains_key(run) && !roster.unreadable.iter().any(|(other, _)| other == run))
            .collect();
        let environment = if known.is_empty() && found.is_empty() { None } else { self.link_part().await };
        let mut look = Look { executor: self, listing, read: 0, environment, now: self.clock.now() };
        let mut known: Vec<(RunId, Known)> = known.into_iter().collect();
        // The newest are read first: of old ones there may be many that nothing can be learnt of any more.
        known.sort_by_key(|(_, one)| Reverse(one.memory.since));
        for (run, one) in known {
            match look.report(run, one).await {
                Ok(report) => roster.agents.extend(report),
                Err(error) => roster.unreadable.push((run, error)),
            }
        }
        for (run, thread) in found {
            match look.report_forgotten(run, &thread).await {
                Ok(report) => roster.agents.push(report),
                Err(error) => roster.unreadable.push((run, error)),
            }
        }
        roster.agents.sort_by_key(|report| report.run);
        roster.unreadable.sort_by_key(|(run, _)| *run);
        Ok(roster)
    }

    fn known(&self, run: RunId) -> PortResult<Option<Known>> {
        let Some(directory) = runs::find(&self.runs, run)?.map(RunDirectory) else { return Ok(None) };
        Ok(self.memory(run, &directory)?.map(|memory| Known { directory, memory }))
    }

    /// Links are a convenience: without them everything else goes on.
    async fn link_part(&self) -> Option<String> {
        let environment = self.environment().await;
        let id = environment.inspect_err(|error| tracing::warn!("no links to agents: {error}")).ok()?;
        // It ends up in comments: nothing but an id is one.
        let is_id = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        let fits = (1..=LONGEST_ENVIRONMENT).contains(&id.len()) && id.chars().all(is_id);
        if !fits {
            tracing::warn!("no links to agents: T3 Code calls itself `{}`", clean_line(id, SAID));
        }
        fits.then(|| id.clone())
    }
}

impl<W: Workspaces> Look<'_, W> {
    /// A run that is remembered.
    async fn report(&mut self, run: RunId, one: Known) -> PortResult<Option<AgentReport>> {
        let Known { directory, mut memory } = one;
        let thread = thread_of(&self.listing, run).cloned();
        thread.iter().try_for_each(|thread| self.executor.is_own(run, thread))?;
        let issue = memory.assignment.as_ref().map(|assignment| assignment.issue.clone());
        let issue = issue.or_else(|| issue_of(&thread.as_ref()?.title));
        let Some(issue) = issue else {
            // Forgotten, and no thread either: nobody can tell what it was about.
            return if thread.is_none() { Ok(None) } else { Err(untitled(thread.as_ref())) };
        };
        if let Some(thread) = &thread {
            self.learn(run, &directory, &mut memory, thread).await;
        }
        let reading = self.reading(&memory, thread.as_ref());
        let ended_away = |thread: &Thread| thread.is_away() && !thread.is_in_flight() && thread.unreadable().is_none();
        let over = !memory.turns.is_empty() && thread.as_ref().is_none_or(ended_away);
        if over != memory.over {
            memory.over = over;
            self.note(&directory, |memory| memory.over = over);
        }
        if reading.strange != memory.strange {
            if let Some(strange) = &reading.strange {
                tracing::warn!(%run, "T3 Code: {strange}");
            }
            memory.strange.clone_from(&reading.strange);
            self.note(&directory, |memory| memory.strange.clone_from(&reading.strange));
        }
        if let Some(thread) = &thread {
            self.read_ending(run, &directory, &mut memory, thread, reading.status).await;
        }
        Ok(Some(self.describe(run, issue, &memory, thread.as_ref(), reading)))
    }

    /// A run that nothing is remembered of, although its thread is there.
    async fn report_forgotten(&mut self, run: RunId, thread: &Thread) -> PortResult<AgentReport> {
        let executor = self.executor;
        let issue = issue_of(&thread.title).ok_or_else(|| untitled(Some(thread)))?;
        let mut memory = Memory::new(&executor.controller, &executor.name, None, self.now);
        memory.learn(thread, self.now);
        if memory.turns.is_empty()
            && let Some(read) = self.read_one(run).await
        {
            memory.learn(&read, self.now);
        }
        if executor.keeps && !memory.turns.is_empty() {
            let written = runs::make(&executor.runs, run).map(RunDirectory).and_then(|directory| {
                let lock = directory.exclusively_now()?;
                let free = lock.is_some() && directory.read()?.is_none();
                if free { directory.write(&memory) } else { Ok(()) }
            });
            if let Err(error) = written {
                tracing::debug!(%run, "what was found of it is not remembered: {error}");
            }
        }
        let reading = self.reading(&memory, Some(thread));
        Ok(self.describe(run, issue, &memory, Some(thread), reading))
    }

    fn reading(&self, memory: &Memory, thread: Option<&Thread>) -> Reading {
        let newest = memory.accepted_turns().next_back();
        let plain = |status| Reading { status, words: None, strange: None };
        match (thread, newest) {
            (Some(thread), Some(newest)) => status(thread, Some(&newest.asked()), self.now),
            // At work although no turn is known: the answer to it was lost.
            (Some(thread), None) if thread.is_in_flight() || thread.is_away() => status(thread, None, self.now),
            // Its thread was there, or it would not have had a turn.
            (None, None) if memory.over => plain(AgentStatus::Gone),
            (_, None) if memory.never_begin => plain(AgentStatus::Failed),
            (_, None) => plain(AgentStatus::Starting),
            (None, Some(_)) => plain(AgentStatus::Gone),
        }
    }

    /// Which turns were accepted although the answer was lost.
    async fn learn(&mut self, run: RunId, directory: &RunDirectory, memory: &mut Memory, thread: &Thread) {
        let now = self.now;
        if memory.turns.last().is_none_or(|newest| newest.accepted_at.is_some()) {
            return;
        }
        let read = if says_much(thread) { Some(thread.clone()) } else { self.read_one(run).await };
        let Some(read) = read else { return };
        let before = memory.clone();
        memory.learn(&read, now);
        if *memory != before {
            self.note(directory, |memory| memory.learn(&read, now));
        }
    }

    /// What the agent left behind, read once a turn after it has ended.
    async fn read_ending(
        &mut self,
        run: RunId,
        directory: &RunDirectory,
        memory: &mut Memory,
        thread: &Thread,
        listed: AgentStatus,
    ) {
        let Some(newest) = memory.accepted_turns().next_back().cloned() else { return };
        if !has_ended(listed) || newest.ending.is_some() || says_much(thread) {
            return;
        }
        let Some(read) = self.read_one(run).await else { return };
        let reading = status(&read, Some(&newest.asked()), self.now);
        if !has_ended(reading.status) {
            // It went on meanwhile.
            return;
        }
        let ending = Ending { failure: reading.words, ..ending_of(&read) };
        let keep = |memory: &mut Memory| {
            if let Some(turn) = memory.turn_mut(newest.id) {
                turn.ending = Some(ending.clone());
            }
        };
        keep(memory);
        self.note(directory, keep);
    }

    /// Reads one thread, as long as a listing may. What fails is left to the next one.
    async fn read_one(&mut self, run: RunId) -> Option<Thread> {
        if self.read >= MOST_READ {
            return None;
        }
        self.read += 1;
        let read = self.executor.thread(run).await;
        read.inspect_err(|error| tracing::warn!(%run, "what its agent said is not known: {error}")).ok().flatten()
    }

    /// Remembers what was learnt, unless somebody else is changing the run: then the next listing does.
    fn note(&self, directory: &RunDirectory, change: impl FnOnce(&mut Memory)) {
        if !self.executor.keeps {
            return;
        }
        let noted = directory.exclusively_now().and_then(|lock| {
            let Some(_lock) = lock else { return Ok(()) };
            let Some(mut memory) = directory.read()? else { return Ok(()) };
            change(&mut memory);
            directory.write(&memory)
        });
        if let Err(error) = noted {
            tracing::warn!("what was learnt of a run is not remembered: {error}");
        }
    }

    fn describe(
        &self,
        run: RunId,
        issue: IssueRef,
        memory: &Memory,
        thread: Option<&Thread>,
        reading: Reading,
    ) -> AgentReport {
        let newest = memory.accepted_turns().next_back();
        let shown = thread.filter(|thread| says_much(thread)).map(ending_of);
        let ending = shown.as_ref().or_else(|| newest?.ending.as_ref());
        let earlier = memory.turns.iter().filter_map(|turn| turn.ending.as_ref());
        let last_words = ending.map(|ending| {
            let failed = reading.status == AgentStatus::Failed;
            let why = failed.then(|| ending.failure.clone().or_else(|| reading.words.clone())).flatten();
            why.or_else(|| ending.words.clone())
        });
        let milestones = ending.map(|ending| {
            let mut all: Vec<String> = Vec::new();
            for milestone in earlier.chain([ending]).flat_map(|ending| &ending.milestones) {
                if !all.contains(milestone) {
                    all.push(milestone.clone());
                }
            }
            all
        });
        let by_this_clock =
            |at: DateTime<Utc>| self.listing.clock.and_then(|ahead| at.checked_sub_signed(ahead)).unwrap_or(at);
        // Until the agent moves, T3 shows the time of the command, which is of this machine's clock and not of its own.
        let last_activity = thread.and_then(|thread| thread.updated_at).map(by_this_clock);
        let link = self.environment.as_ref().filter(|_| thread.is_some_and(|thread| !thread.deleted));
        AgentReport {
            run,
            issue,
            assignment: memory.assignment.clone(),
            turns: memory.accepted_turns().map(|turn| turn.id).collect(),
            status: reading.status,
            last_activity: last_activity
                .map(|at| newest.and_then(|turn| turn.accepted_at).map_or(at, |told| at.max(told))),
            milestones,
            cost_usd: None,
            last_words: last_words.flatten().or(reading.words),
            link: link.and_then(|environment| {
                let mut url = self.executor.url.clone();
                url.path_segments_mut().ok()?.pop_if_empty().extend([environment.as_str(), &run.to_string()]);
                Some(url.into())
            }),
        }
    }
}

fn has_ended(status: AgentStatus) -> bool {
    matches!(status, AgentStatus::Idle | AgentStatus::Failed)
}

/// Whether the thread was listed with what was said on it.
fn says_much(thread: &Thread) -> bool {
    !thread.messages.asked.is_empty() || thread.messages.last.is_some()
}

fn ending_of(thread: &Thread) -> Ending {
    let words = thread.messages.last.as_ref().map(|said| said.words.clone());
    let words = words.filter(|words| !words.is_empty());
    Ending { words, milestones: thread.messages.milestones.clone(), failure: None }
}

/// The run of a thread that an afk has made: its label says that it is one.
fn run_of(thread: &Thread) -> Option<RunId> {
    let run = RunId(Uuid::try_parse(&thread.id).ok()?);
    controller_of(run, thread).map(|_| run)
}

/// The issue of a thread: `owner/name#N`.
fn issue_of(title: &str) -> Option<IssueRef> {
    let (repo, number) = title.trim().rsplit_once('#')?;
    crate::adapters::git::directory_name(repo).ok()?;
    Some(IssueRef { repo: repo.to_owned(), number: number.parse().ok()? })
}

fn untitled(thread: Option<&Thread>) -> PortError {
    let title = thread.map(|thread| clean_line(&thread.title, SAID)).unwrap_or_default();
    PortError::invalid(format!(
        "its thread in T3 Code is called `{title}`, which is no issue; give it back its title, `owner/name#N`"
    ))
}
