//! The executor: starts agents, sends them turns, asks them to stop, and puts their threads away.

use std::path::PathBuf;
use std::rc::Rc;

use async_trait::async_trait;
use reqwest::Url;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::bring_up::{Change, gone, thread_of, usable};
use super::command::Command;
use super::memory::{Memory, RunDirectory, Sent};
use super::places::Places;
use super::server::{DispatchError, Listing, MINT, Session, T3Server};
use super::status::{Before, status};
use super::token::TokenMemory;
use super::wire::Thread;
use crate::adapters::command::Workspaces;
use crate::adapters::http::Http;
use crate::adapters::http::api::Credential;
use crate::adapters::runs;
use crate::engine::identity::{Purpose, RunId};
use crate::policy::facts::AgentStatus;
use crate::ports::{Assignment, Clock, Executor, PortError, PortErrorDetail, PortResult, Roster};
use crate::settings::T3ExecutorSettings;
use crate::text::clean_line;

/// What a dispatcher needs of a token, and no more.
pub const SCOPES: [&str; 2] = ["orchestration:read", "orchestration:operate"];

/// Runs agents as threads of a T3 Code server; see [`super`].
pub struct T3Executor<W> {
    pub(super) name: String,
    pub(super) controller: String,
    pub(super) provider: String,
    pub(super) url: Url,
    pub(super) runs: PathBuf,
    pub(super) places: Places<W>,
    pub(super) clock: Rc<dyn Clock>,
    pub(super) keeps: bool,
    pub(super) environment: OnceCell<String>,
    token: TokenMemory,
    server: T3Server,
}

impl<W> std::fmt::Debug for T3Executor<W> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("T3Executor").field("name", &self.name).field("runs", &self.runs).finish_non_exhaustive()
    }
}

/// What an executor of T3 Code is made of.
pub struct Parts<W> {
    /// Where it remembers what it did, absolute; its own.
    pub folder: PathBuf,
    /// Its name in the settings.
    pub name: String,
    /// Whom it works for.
    pub controller: String,
    /// Where and what.
    pub settings: T3ExecutorSettings,
    /// What lets it in.
    pub credential: Rc<dyn Credential>,
    /// How it gets there.
    pub http: Rc<Http>,
    /// What makes clones on this machine.
    pub workspaces: W,
    /// What time it is.
    pub clock: Rc<dyn Clock>,
    /// Whether listings remember what they learn; a process that only looks leaves no trace.
    pub keeps: bool,
}

impl<W> std::fmt::Debug for Parts<W> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Parts").field("name", &self.name).field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl<W: Workspaces> T3Executor<W> {
    /// Puts it together.
    pub fn new(parts: Parts<W>) -> Self {
        let Parts { folder, name, controller, settings, credential, http, workspaces, clock, keeps } = parts;
        let places = match &settings.checkouts {
            Some(checkouts) => Places::There(checkouts.clone()),
            None => Places::Here { checkouts: folder.join("checkouts"), workspaces },
        };
        Self {
            server: T3Server::new(format!("executor `{name}`"), settings.url.clone(), credential.clone(), http),
            token: TokenMemory::new(folder.clone(), credential, keeps),
            runs: folder.join("runs"),
            provider: settings.provider,
            url: settings.url,
            environment: OnceCell::new(),
            name,
            controller,
            places,
            clock,
            keeps,
        }
    }

    /// Every thread that is neither archived nor deleted, perhaps more.
    pub(super) async fn listing(&self) -> PortResult<Listing> {
        self.explained(self.server.listing().await).await
    }

    /// Every thread there ever was.
    pub(super) async fn everything(&self) -> PortResult<Listing> {
        self.explained(self.server.everything().await).await
    }

    pub(super) async fn thread(&self, run: RunId) -> PortResult<Option<Thread>> {
        self.explained(self.server.thread(run.0).await).await
    }

    /// A run's thread with what was said in its newest turn.
    pub(super) async fn read(&self, run: RunId) -> PortResult<Option<Thread>> {
        match self.thread(run).await? {
            Some(thread) => Ok(Some(thread)),
            None => Ok(thread_of(&self.everything().await?, run).cloned()),
        }
    }

    pub(super) async fn dispatch(&self, command: &Command) -> Result<u64, DispatchError> {
        match self.server.dispatch(command).await {
            Err(DispatchError::Failed(error)) => {
                Err(DispatchError::Failed(self.explained::<()>(Err(error.clone())).await.err().unwrap_or(error)))
            }
            other => other,
        }
    }

    /// The server that it talks to.
    pub fn server(&self) -> T3Server {
        self.server.clone()
    }

    /// What the server says of the token, remembered.
    ///
    /// # Errors
    /// It cannot be reached, or does not know the token.
    pub async fn session(&self) -> PortResult<Session> {
        let session = self.server.session().await?;
        if !session.authenticated {
            let wrong = format!(
                "executor `{}`: T3 Code does not know the token; it comes from {}. `{MINT}` on the machine that T3 Code \
                 runs on makes another",
                self.name,
                self.token.source()
            );
            return self.explained(Err(PortError::refused(wrong).with(PortErrorDetail::Unauthorized))).await;
        }
        self.token.note(&session).await;
        Ok(session)
    }

    /// The part of links that names the server.
    pub(super) async fn environment(&self) -> PortResult<&String> {
        self.environment.get_or_try_init(|| async { Ok(self.server.environment().await?.id) }).await
    }

    /// An error of the server, with what is known of the token where that was refused.
    async fn explained<T>(&self, result: PortResult<T>) -> PortResult<T> {
        let Err(mut error) = result else { return result };
        if error.detail == Some(PortErrorDetail::Unauthorized)
            && let Some(fate) = self.token.fate(self.clock.now()).await
        {
            error.message = format!("{}; {fate}", error.message);
        }
        Err(error)
    }

    /// What is remembered of a run of this executor, if anything.
    ///
    /// # Errors
    /// It is another's.
    pub(super) fn memory(&self, run: RunId, directory: &RunDirectory) -> PortResult<Option<Memory>> {
        let Some(memory) = directory.read()? else { return Ok(None) };
        if memory.assignment.as_ref().is_some_and(|assignment| assignment.run != run) {
            tracing::warn!(%run, "what is remembered is of another run, so it counts as lost");
            return Ok(None);
        }
        if memory.controller != self.controller || memory.executor != self.name {
            return Err(PortError::refused(format!(
                "run {run} belongs to the executor `{}` of the installation `{}`",
                clean_line(&memory.executor, 100),
                clean_line(&memory.controller, 100)
            )));
        }
        Ok(Some(memory))
    }

    /// A run's thread as it is now, wherever it is listed; `None` where there is none.
    ///
    /// # Errors
    /// It is another installation's.
    async fn find(&self, run: RunId) -> PortResult<Option<Thread>> {
        let mut listing = self.listing().await?;
        if thread_of(&listing, run).is_none() && !listing.whole {
            listing = self.everything().await?;
        }
        let found = thread_of(&listing, run).cloned();
        found.iter().try_for_each(|thread| self.is_own(run, thread))?;
        Ok(found)
    }

    /// The label of a run's thread: the branch of the run, and whose run it is.
    pub(super) fn label(&self, run: RunId) -> String {
        format!("{}@{}", run.branch(), self.controller)
    }

    /// Refuses the thread of another installation. Whoever has taken its label off has a reason.
    pub(super) fn is_own(&self, run: RunId, thread: &Thread) -> PortResult<()> {
        match controller_of(run, thread) {
            Some(other) if other != self.controller => Err(PortError::refused(format!(
                "the thread of run {run} in T3 Code is of the installation `{}` of afk, and this one is `{}` (docs/t3.md says \
                 what to do where they are the same)",
                clean_line(other, 100),
                self.controller
            ))),
            _ => Ok(()),
        }
    }

    /// Accepted means written down: whether a thread is put away, a listing tells.
    fn is_put_away(&self, run: RunId, listing: Listing) -> PortResult<()> {
        match thread_of(&listing, run) {
            Some(thread) if !thread.is_away() => {
                Err(PortError::unreachable(format!("T3 Code has not put the thread of run {run} away yet")))
            }
            _ => Ok(()),
        }
    }

    /// What is remembered of a run whose thread is there, even where everything was forgotten.
    async fn recall(&self, run: RunId, directory: &RunDirectory) -> PortResult<Memory> {
        if let Some(memory) = self.memory(run, directory)? {
            return Ok(memory);
        }
        let now = self.clock.now();
        let mut memory = Memory::new(&self.controller, &self.name, None, now);
        if let Some(thread) = self.read(run).await? {
            memory.learn(&thread, now);
        }
        Ok(memory)
    }
}

/// Whose run it is, where the label of its thread says so.
pub(super) fn controller_of(run: RunId, thread: &Thread) -> Option<&str> {
    let whose = thread.branch.as_ref()?.strip_prefix(&run.branch())?;
    // Without a name it is somebody's who is not this afk.
    if whose.is_empty() { Some(whose) } else { whose.strip_prefix('@') }
}

#[async_trait(?Send)]
impl<W: Workspaces> Executor for T3Executor<W> {
    async fn can_start(&self) -> PortResult<()> {
        let session = self.session().await?;
        let missing: Vec<&str> =
            SCOPES.into_iter().filter(|scope| !session.scopes.iter().any(|granted| granted == scope)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(PortError::refused(format!(
            "executor `{}`: the token lacks the scope `{}`; it comes from {}",
            self.name,
            missing.join("` and `"),
            self.token.source()
        )))
    }

    async fn list(&self) -> PortResult<Roster> {
        self.roster().await
    }

    async fn ensure(&self, assignment: &Assignment) -> PortResult<()> {
        let run = assignment.run;
        let directory = RunDirectory(runs::make(&self.runs, run)?);
        let _lock = directory.exclusively().await?;
        let remembered = self.memory(run, &directory)?;
        let again = remembered.is_some();
        let mut memory =
            remembered.unwrap_or_else(|| Memory::new(&self.controller, &self.name, None, self.clock.now()));
        let assignment = memory.assignment.get_or_insert_with(|| assignment.clone()).clone();
        let is_done = memory.never_begin || memory.accepted(assignment.turn);
        let mut change = Change { executor: self, run, directory: &directory, memory };
        change.remember()?;
        if is_done {
            return Ok(());
        }
        change.bring_up(&assignment, again).await
    }

    async fn turn(&self, run: RunId, turn: Uuid, prompt: &str) -> PortResult<()> {
        let Some(thread) = self.find(run).await? else { return Err(gone(run)) };
        let directory = RunDirectory(runs::make(&self.runs, run)?);
        let _lock = directory.exclusively().await?;
        let mut memory = self.recall(run, &directory).await?;
        if memory.accepted(turn) {
            return Ok(());
        }
        usable(self, run, &thread)?;
        if memory.turns.iter().any(|sent| sent.accepted_at.is_none()) {
            // An answer was lost.
            if let Some(read) = self.read(run).await? {
                memory.learn(&read, self.clock.now());
            }
        }
        let newest = memory.accepted_turns().next_back().cloned();
        let mut change = Change { executor: self, run, directory: &directory, memory };
        change.remember()?;
        if change.memory.accepted(turn) {
            return Ok(());
        }
        let Some(newest) = newest else {
            return Err(PortError::refused(format!("run {run} has not had its first turn")));
        };
        match status(&thread, Some(&newest.asked()), self.clock.now()).status {
            AgentStatus::Idle | AgentStatus::Failed => {}
            _ => return Err(PortError::refused(format!("the agent of run {run} is still at work on a turn"))),
        }
        let runtime_mode = match &change.memory.assignment {
            Some(assignment) => assignment.runtime_mode.clone(),
            None => thread.runtime_mode.clone(),
        };
        change.send(turn, prompt, &runtime_mode, Before::of(&thread)).await
    }

    async fn interrupt(&self, run: RunId) -> PortResult<()> {
        let found = self.find(run).await?;
        if found.is_none() && runs::find(&self.runs, run)?.is_none() {
            return Ok(());
        }
        let directory = RunDirectory(runs::make(&self.runs, run)?);
        let _lock = directory.exclusively().await?;
        let memory = self.recall(run, &directory).await?;
        let mut change = Change { executor: self, run, directory: &directory, memory };
        let now = self.clock.now();
        let newest = change.memory.accepted_turns().next_back().map(Sent::asked);
        let is_accepted_and_unseen = newest.is_some_and(|newest| {
            found.as_ref().is_some_and(|thread| status(thread, Some(&newest), now).status == AgentStatus::Starting)
        });
        let at_work = |thread: &Thread| thread.is_in_flight() || thread.has_subagents_at_work();
        let unreadable = found.as_ref().and_then(Thread::unreadable);
        // Whether or not it was put away: it does no harm, and its agent may go on.
        let in_flight = found.filter(at_work);
        let memory = &mut change.memory;
        if memory.accepted_turns().next().is_none() {
            memory.never_begin = true;
        }
        let coming_up = || {
            Err(PortError::unreachable(format!(
                "the agent of run {run} is coming up and has no turn yet that could be told to stop; it is told later"
            )))
        };
        let Some(thread) = in_flight else {
            change.remember()?;
            if let Some(what) = unreadable {
                return Err(PortError::invalid(format!(
                    "T3 Code shows {what} of run {run} in a way that afk does not understand, so nothing can be told to stop"
                )));
            }
            return if is_accepted_and_unseen { coming_up() } else { Ok(()) };
        };
        let Some(turn_id) = thread.active_turn().map(str::to_owned) else {
            change.remember()?;
            return coming_up();
        };
        if let Some(newest) = memory.turns.last_mut() {
            newest.interrupted_at.get_or_insert(now);
        }
        let n = memory.interrupts.get(&turn_id).copied().unwrap_or(0);
        change.remember()?;
        let command = Command::TurnInterrupt {
            command_id: run.derive(Purpose::Command { what: &format!("interrupt:{turn_id}") }, n),
            thread_id: run.0,
            turn_id: turn_id.clone(),
            created_at: now,
        };
        let (counts, result) = match self.dispatch(&command).await {
            Ok(_) => (true, Ok(())),
            // Its id stays refused; asking again does no harm.
            Err(DispatchError::Refused(error)) => (true, Err(error)),
            Err(DispatchError::Malformed(error) | DispatchError::Failed(error)) => (false, Err(error)),
        };
        if counts {
            change.memory.interrupts.insert(turn_id, n.saturating_add(1));
            change.remember()?;
        }
        result
    }

    async fn archive(&self, run: RunId) -> PortResult<()> {
        let found = self.find(run).await?;
        let Some(thread) = found.filter(|thread| !thread.is_away()) else { return Ok(()) };
        let directory = RunDirectory(runs::make(&self.runs, run)?);
        let _lock = directory.exclusively().await?;
        let memory = self.recall(run, &directory).await?;
        let newest = memory.accepted_turns().next_back().map(Sent::asked);
        let status = status(&thread, newest.as_ref(), self.clock.now()).status;
        let never_begins = newest.is_none() && memory.never_begin && status == AgentStatus::Starting;
        let has_ended = matches!(status, AgentStatus::Idle | AgentStatus::Failed) || never_begins;
        if thread.is_in_flight() || !has_ended {
            return Err(PortError::refused(format!("the agent of run {run} is still at work; its thread stays")));
        }
        let mut change = Change { executor: self, run, directory: &directory, memory };
        change.remember()?;
        let n = change.memory.refused.archive;
        let command = Command::ThreadArchive {
            command_id: run.derive(Purpose::Command { what: "archive" }, n),
            thread_id: run.0,
        };
        let result = match self.dispatch(&command).await {
            Ok(_) => self.is_put_away(run, self.listing().await?),
            Err(DispatchError::Malformed(error) | DispatchError::Failed(error)) => return Err(error),
            Err(DispatchError::Refused(error)) => {
                change.memory.refused.archive = n.saturating_add(1);
                self.is_put_away(run, self.everything().await?).map_err(|_| error)
            }
        };
        change.memory.over = result.is_ok();
        change.remember()?;
        result
    }

    async fn dismiss(&self, run: RunId) -> PortResult<()> {
        runs::dismiss(&self.runs, run)
    }
}
