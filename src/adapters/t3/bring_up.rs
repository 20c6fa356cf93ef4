//! Bringing a run up from wherever it is: project, thread, turn. Each step may have been taken before by somebody whose
//! answer was lost.

use uuid::Uuid;

use super::command::{Command, InteractionMode, ModelSelection, UserMessage};
use super::executor::T3Executor;
use super::memory::{Memory, RunDirectory, Sent};
use super::server::{DispatchError, Listing};
use super::status::Before;
use super::wire::{Project, Thread};
use crate::adapters::command::Workspaces;
use crate::engine::identity::{Purpose, RunId, project};
use crate::ports::{Assignment, PortError, PortErrorKind, PortResult};
use crate::text::clean_line;

/// How often one step is tried under another id, after a refusal that had no effect.
const MOST_TRIES: u32 = 3;
/// The most that T3 Code takes as one message, in UTF-16 units. One that is longer it accepts and never starts.
const TEXT_LIMIT: usize = 120_000;
/// Stands where something was cut out.
const CUT: &str = "\n\n[… afk left something out here: T3 Code takes no more than 120,000 characters …]\n\n";

/// A run that is changed: its lock is held meanwhile.
pub(super) struct Change<'a, W> {
    pub executor: &'a T3Executor<W>,
    pub run: RunId,
    pub directory: &'a RunDirectory,
    /// As it is now; [`Change::remember`] writes it down.
    pub memory: Memory,
}

impl<W: Workspaces> Change<'_, W> {
    /// Writes down what is remembered.
    pub fn remember(&self) -> PortResult<()> {
        self.directory.write(&self.memory)
    }

    fn id(&self, what: &str, n: u32) -> Uuid {
        self.run.derive(Purpose::Command { what }, n)
    }

    /// Project, thread and first turn, as far as they are not there. `again`: somebody has tried before.
    pub async fn bring_up(&mut self, assignment: &Assignment, again: bool) -> PortResult<()> {
        let worktree = self.executor.places.prepare(self.directory, assignment).await?;
        let mut listing = self.executor.listing().await?;
        if again && !listing.whole && thread_of(&listing, self.run).is_none() {
            // To make a thread that was made and put away since is accepted, and does nothing.
            listing = self.executor.everything().await?;
        }
        match thread_of(&listing, self.run) {
            Some(thread) => usable(self.executor, self.run, thread)?,
            None => self.make_thread(assignment, worktree, &listing).await?,
        }
        self.send(assignment.turn, &assignment.prompt, &assignment.runtime_mode, Before::default()).await
    }

    /// The id of the repository's project, made where there is none.
    async fn project(&mut self, repo: &str, listing: &Listing) -> PortResult<String> {
        let executor = self.executor;
        let root = executor.places.root(repo)?;
        let own = |n| project(&executor.controller, repo, n);
        if let Some(found) = project_at(listing, &root, own)? {
            return Ok(found);
        }
        let mut seen = listing.clone();
        let mut tries = 0;
        loop {
            tries += 1;
            // An id can be used once, also when its project was deleted.
            while seen.projects.iter().any(|project| project.id == own(self.memory.refused.project).to_string()) {
                self.memory.refused.project = self.memory.refused.project.saturating_add(1);
            }
            self.remember()?;
            let n = self.memory.refused.project;
            let command = Command::ProjectCreate {
                command_id: self.id("project", n),
                project_id: own(n),
                title: repo.to_owned(),
                workspace_root: root.clone(),
                created_at: self.memory.since,
            };
            let refusal = match executor.dispatch(&command).await {
                Ok(_) => return Ok(own(n).to_string()),
                Err(DispatchError::Malformed(error)) => {
                    let remedy = executor.places.remedy(repo, &root);
                    let message = format!("{error}: {remedy}");
                    return Err(PortError { message, ..error });
                }
                Err(DispatchError::Failed(error)) => return Err(error),
                Err(DispatchError::Refused(error)) => error,
            };
            seen = executor.everything().await?;
            // Another run of this repository was quicker.
            if let Some(found) = project_at(&seen, &root, own)? {
                return Ok(found);
            }
            if tries >= MOST_TRIES {
                return Err(refusal);
            }
            self.memory.refused.project = n.saturating_add(1);
        }
    }

    async fn make_thread(
        &mut self,
        assignment: &Assignment,
        worktree: Option<String>,
        listing: &Listing,
    ) -> PortResult<()> {
        let executor = self.executor;
        let repo = &assignment.issue.repo;
        let mut project = self.project(repo, listing).await?;
        let mut tries = 0;
        loop {
            tries += 1;
            let command = Command::ThreadCreate {
                command_id: self.id("thread", self.memory.refused.thread),
                thread_id: self.run.0,
                project_id: project.clone(),
                title: assignment.issue.to_string(),
                model_selection: ModelSelection {
                    instance_id: executor.provider.clone(),
                    model: assignment.model.clone(),
                },
                runtime_mode: assignment.runtime_mode.clone(),
                interaction_mode: InteractionMode::Default,
                branch: Some(executor.label(self.run)),
                worktree_path: worktree.clone(),
                created_at: self.memory.since,
            };
            let refusal = match executor.dispatch(&command).await {
                Ok(_) => return Ok(()),
                Err(DispatchError::Malformed(error) | DispatchError::Failed(error)) => return Err(error),
                Err(DispatchError::Refused(error)) => error,
            };
            let all = executor.everything().await?;
            if let Some(thread) = thread_of(&all, self.run) {
                return usable(self.executor, self.run, thread);
            }
            if tries >= MOST_TRIES {
                return Err(refusal);
            }
            self.memory.refused.thread = self.memory.refused.thread.saturating_add(1);
            self.remember()?;
            if !all.projects.iter().any(|known| known.id == project && !known.deleted) {
                // Somebody has deleted it since.
                project = self.project(repo, &all).await?;
            }
        }
    }

    /// Sends a turn that is not known to have been accepted.
    pub async fn send(&mut self, turn: Uuid, text: &str, runtime_mode: &str, before: Before) -> PortResult<()> {
        let (at, mut refused, is_new) = match self.memory.turn(turn) {
            Some(sent) => (sent.at, sent.refused, false),
            None => {
                let now = self.executor.clock.now();
                self.memory.turns.push(Sent::new(turn, now, before));
                (now, 0, true)
            }
        };
        let mut tries = 0;
        loop {
            tries += 1;
            self.remember()?;
            let command = Command::TurnStart {
                command_id: self.id(&format!("turn:{turn}"), refused),
                thread_id: self.run.0,
                message: UserMessage::new(turn, fitting(text)),
                runtime_mode: runtime_mode.to_owned(),
                interaction_mode: InteractionMode::Default,
                created_at: at,
            };
            let refusal = match self.executor.dispatch(&command).await {
                Ok(_) => return self.accepted(turn),
                Err(DispatchError::Failed(error)) if error.kind != PortErrorKind::Refused => return Err(error),
                Err(DispatchError::Malformed(error) | DispatchError::Failed(error)) => {
                    // Nothing was recorded anywhere, so there is nothing to look for either; unless an earlier try is
                    // what an answer was lost of.
                    if is_new {
                        self.memory.turns.retain(|known| known.id != turn);
                        self.remember()?;
                    }
                    return Err(error);
                }
                Err(DispatchError::Refused(error)) => error,
            };
            let thread = self.executor.read(self.run).await?.ok_or_else(|| gone(self.run))?;
            usable(self.executor, self.run, &thread)?;
            if thread.messages.asked.iter().any(|(id, _)| *id == turn) {
                return self.accepted(turn);
            }
            refused = refused.saturating_add(1);
            if let Some(sent) = self.memory.turn_mut(turn) {
                sent.refused = refused;
            }
            if tries >= MOST_TRIES {
                self.remember()?;
                return Err(refusal);
            }
        }
    }

    fn accepted(&mut self, turn: Uuid) -> PortResult<()> {
        let now = self.executor.clock.now();
        if let Some(sent) = self.memory.turn_mut(turn) {
            sent.accepted_at = Some(now);
        }
        self.memory.over = false;
        self.remember()
    }
}

/// A run's thread.
pub(super) fn thread_of(listing: &Listing, run: RunId) -> Option<&Thread> {
    let id = run.to_string();
    listing.threads.iter().find(|thread| thread.id == id)
}

/// Whether the thread is this installation's, and a turn on it would start: on an archived or deleted one it is accepted
/// and never does.
pub(super) fn usable<W: Workspaces>(executor: &T3Executor<W>, run: RunId, thread: &Thread) -> PortResult<()> {
    executor.is_own(run, thread)?;
    let state = match (thread.deleted, thread.archived) {
        (true, _) => "deleted",
        (_, true) => "archived",
        _ => return Ok(()),
    };
    Err(PortError::refused(format!("somebody has {state} the thread of run {run} in T3 Code")))
}

/// There is no thread any more.
pub(super) fn gone(run: RunId) -> PortError {
    PortError::not_found(format!("T3 Code has no thread of run {run}"))
}

/// The project at a folder: afk's own, where v0.0.27 has twins, or one that somebody made.
///
/// # Errors
/// Another installation has made it: agents of two of them would work in one folder.
fn project_at(listing: &Listing, root: &str, own: impl Fn(u32) -> Uuid) -> PortResult<Option<String>> {
    let plain = |path: &str| path.trim_end_matches('/').to_owned();
    let own: Vec<String> = (0..MOST_PROJECTS).map(|n| own(n).to_string()).collect();
    let is_own = |project: &&Project| own.contains(&project.id);
    // Only a derived id is of this version.
    let is_of_afk =
        |project: &&Project| Uuid::try_parse(&project.id).is_ok_and(|id| id.get_version() == Some(uuid::Version::Sha1));
    let there = |project: &&Project| !project.deleted && plain(&project.workspace_root) == plain(root);
    let there: Vec<&Project> = listing.projects.iter().filter(there).collect();
    if let Some(project) = there.iter().copied().find(is_own) {
        return Ok(Some(project.id.clone()));
    }
    match there.iter().copied().find(is_of_afk) {
        Some(_) => Err(PortError::refused(format!(
            "the project at `{}` in T3 Code was made by another installation of afk; each needs folders of its own \
             (docs/t3.md says what to do where they are the same)",
            clean_line(root, 200)
        ))),
        None => Ok(there.iter().map(|project| &project.id).min().cloned()),
    }
}

/// How many of a repository's projects are recognized by their ids, where people keep deleting them.
const MOST_PROJECTS: u32 = 8;

/// A text that T3 Code takes: what is too much is cut out of the middle, since instructions begin and end it.
fn fitting(text: &str) -> String {
    let units = |text: &str| text.encode_utf16().count();
    if units(text) <= TEXT_LIMIT {
        return text.to_owned();
    }
    let half = (TEXT_LIMIT - units(CUT)) / 2;
    let length = |letters: &mut dyn Iterator<Item = char>| {
        let mut used = 0;
        let fits = |letter: &char| {
            used += letter.len_utf16();
            used <= half
        };
        letters.take_while(fits).map(char::len_utf8).sum::<usize>()
    };
    let head = length(&mut text.chars());
    let tail = length(&mut text.chars().rev());
    let (head, tail) = (text.get(..head).unwrap_or_default(), text.get(text.len() - tail..).unwrap_or_default());
    format!("{head}{CUT}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn a_text_that_is_too_long_keeps_its_beginning_and_its_end() {
        for filling in ["x", "ä", "🦀"] {
            let text = format!("Do this.\n{}\nThen stop.", filling.repeat(TEXT_LIMIT));
            let sent = fitting(&text);
            let length = sent.encode_utf16().count();
            assert!((TEXT_LIMIT - 4..=TEXT_LIMIT).contains(&length), "{length}");
            assert!(sent.starts_with("Do this.\n") && sent.ends_with("\nThen stop.") && sent.contains(CUT));
        }
    }

    #[test]
    fn a_text_that_fits_stays_as_it_is() {
        for text in [String::new(), "short".to_owned(), "🦀".repeat(TEXT_LIMIT / 2)] {
            assert_eq!(fitting(&text), text);
        }
    }
}
