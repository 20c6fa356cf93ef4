//! The `command` executor: any agent command line, as a process of its own in a clone of its own.
//!
//! One directory per run, named by the run's id alone:
//!
//! ```text
//! <data>/runs/<run id>/
//!   manifest.json       the whole assignment, controller and executor; written first
//!   ensure.lock         held while somebody brings the run up or changes it
//!   lock                held by the supervisor while it lives: liveness is this lock, never a process id
//!   workspace/          the clone, complete or not there
//!   turns/<turn id>/
//!     prompt.md         what the agent is told
//!     turn.json         argv and settings of the turn, for the supervisor
//!     started.json      the turn was accepted; it is never started again
//!     progress.json     what the output said so far: session, milestones, cost, last words
//!     output.log        the output: its head and its tail
//!     interrupt         somebody asked the agent to stop
//!     exit.json         how it ended; written last
//!     supervisor.log    what the supervisor had to say
//! ```
//!
//! The agent may run as the same user and may write any of these. They are opened without following links and read
//! up to a bound; a directory that makes no sense costs its own run and no other.

pub mod ci;
pub mod ci_job;
mod executor;
mod listing;
mod log;
mod output;
mod processes;
mod program;
mod run;
mod supervisor;

use std::path::Path;
use std::rc::Rc;

use async_trait::async_trait;

use crate::ports::{PortError, PortResult};

pub use executor::CommandExecutor;
pub use output::milestone_in;
pub use supervisor::supervise;

/// What makes fresh clones for runs.
#[async_trait(?Send)]
pub trait Workspaces {
    /// Clones a repository into a directory that does not exist yet: `branch` checked out at `commit`, `origin` the
    /// real remote.
    ///
    /// # Errors
    /// When the remote cannot be reached or the commit does not exist; the directory may then be half made.
    async fn fresh_clone(&self, repo: &str, branch: &str, commit: &str, into: &Path) -> PortResult<()>;
}

/// Reads every form of the kill switch anew: why it is on, or `None`.
pub type KillSwitch = Rc<dyn Fn() -> Option<String>>;

/// Clones that start nothing where the kill switch went on while they were made: a large one takes minutes.
pub struct Attended<W> {
    /// What makes them.
    pub workspaces: W,
    /// Asked after each.
    pub kill_switch: KillSwitch,
}

impl<W> std::fmt::Debug for Attended<W> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Attended").finish_non_exhaustive()
    }
}

#[async_trait(?Send)]
impl<W: Workspaces> Workspaces for Attended<W> {
    async fn fresh_clone(&self, repo: &str, branch: &str, commit: &str, into: &Path) -> PortResult<()> {
        self.workspaces.fresh_clone(repo, branch, commit, into).await?;
        match (self.kill_switch)() {
            None => Ok(()),
            Some(why) => Err(PortError::refused(format!("the kill switch is on: {why}"))),
        }
    }
}

#[async_trait(?Send)]
impl<W: Workspaces + ?Sized> Workspaces for Rc<W> {
    async fn fresh_clone(&self, repo: &str, branch: &str, commit: &str, into: &Path) -> PortResult<()> {
        (**self).fresh_clone(repo, branch, commit, into).await
    }
}
