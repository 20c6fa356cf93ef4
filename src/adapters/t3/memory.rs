//! What afk remembers of a run in T3 Code: one record on disk, written before the call that it concerns.
//!
//! All of it can be lost without harm: every id is derived, and a command that was accepted does nothing when it comes
//! again.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::status::{Asked, Before};
use super::wire::Thread;
use crate::adapters::confined::{Directory, DirectoryLock};
use crate::ports::{Assignment, PortError, PortErrorKind, PortResult};

/// A [`Memory`].
const RUN: &str = "run.json";
/// Held by whoever changes the run.
const LOCK: &str = "lock";
/// The agent's clone, where T3 Code runs on this machine.
const WORKSPACE: &str = "workspace";
/// The clone in the making.
const HALF_WORKSPACE: &str = "workspace.partial";

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Who started it.
    pub controller: String,
    /// The name of the executor in the settings.
    pub executor: String,
    /// Everything to bring it up with; `None` where it was lost and the thread led here.
    pub assignment: Option<Assignment>,
    /// When project and thread were asked for first.
    pub since: DateTime<Utc>,
    /// How many commands of each kind were refused without effect: their ids stay refused.
    #[serde(default)]
    pub refused: Refused,
    /// Its turns, oldest first.
    #[serde(default)]
    pub turns: Vec<Sent>,
    /// By T3's id of a turn: how many interrupts of it were accepted.
    #[serde(default)]
    pub interrupts: BTreeMap<String, u32>,
    /// Somebody asked the agent to stop before it had its first turn: it never gets one.
    #[serde(default)]
    pub never_begin: bool,
    /// Its thread was seen archived or deleted, or is not there any more; listings need not look for it.
    #[serde(default)]
    pub over: bool,
    /// The state that afk does not know and has told about.
    #[serde(default)]
    pub strange: Option<String>,
}

/// How many commands were refused without effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Refused {
    /// To make the project.
    pub project: u32,
    /// To make the thread.
    pub thread: u32,
    /// To put the thread away.
    pub archive: u32,
}

/// A turn that T3 Code was asked for, or was about to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// afk's id; that of its message too.
    pub id: Uuid,
    /// How often it was refused without effect.
    pub refused: u32,
    /// When it was asked for first.
    pub at: DateTime<Utc>,
    /// When it was known to be accepted; `None`: it may have been, or not.
    pub accepted_at: Option<DateTime<Utc>>,
    /// What the thread showed before, so that what comes of this turn can be told from it.
    pub before: Before,
    /// When afk asked it to stop.
    pub interrupted_at: Option<DateTime<Utc>>,
    /// What was read of it after it had ended.
    pub ending: Option<Ending>,
}

/// What an agent left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The end of its last words.
    pub words: Option<String>,
    /// What it said it has reached.
    pub milestones: Vec<String>,
    /// Why it failed, where the thread itself says more than a listing does.
    pub failure: Option<String>,
}

impl Memory {
    /// Of a run that nothing is known of yet.
    pub fn new(controller: &str, executor: &str, assignment: Option<Assignment>, since: DateTime<Utc>) -> Self {
        Self {
            controller: controller.to_owned(),
            executor: executor.to_owned(),
            assignment,
            since,
            refused: Refused::default(),
            turns: Vec::new(),
            interrupts: BTreeMap::new(),
            never_begin: false,
            over: false,
            strange: None,
        }
    }

    /// A turn by afk's id.
    pub fn turn(&self, id: Uuid) -> Option<&Sent> {
        self.turns.iter().find(|turn| turn.id == id)
    }

    /// The same, to change it.
    pub fn turn_mut(&mut self, id: Uuid) -> Option<&mut Sent> {
        self.turns.iter_mut().find(|turn| turn.id == id)
    }

    /// Whether a turn is known to have been accepted: it is never sent again.
    pub fn accepted(&self, id: Uuid) -> bool {
        self.turn(id).is_some_and(|turn| turn.accepted_at.is_some())
    }

    /// Every turn that is known to have been accepted, oldest first.
    pub fn accepted_turns(&self) -> impl DoubleEndedIterator<Item = &Sent> {
        self.turns.iter().filter(|turn| turn.accepted_at.is_some())
    }

    /// Learns from what was said on the thread which turns were accepted although the answer was lost. Where all was
    /// forgotten, which there were.
    pub fn learn(&mut self, thread: &Thread, now: DateTime<Utc>) {
        for (id, at) in &thread.messages.asked {
            let at = at.unwrap_or(now);
            if let Some(turn) = self.turn_mut(*id) {
                turn.accepted_at.get_or_insert(now);
            } else if self.assignment.is_none() {
                // What it looked like before is forgotten: whatever is there now came of it.
                self.turns.push(Sent { accepted_at: Some(at), ..Sent::new(*id, at, Before::default()) });
            }
        }
        if self.assignment.is_none() {
            self.turns.sort_by_key(|turn| turn.at);
        }
    }
}

impl Sent {
    /// A turn that was not sent yet.
    pub fn new(id: Uuid, at: DateTime<Utc>, before: Before) -> Self {
        Self { id, refused: 0, at, accepted_at: None, before, interrupted_at: None, ending: None }
    }

    /// As its status is read from the thread.
    pub fn asked(&self) -> Asked {
        Asked {
            message: self.id,
            accepted: self.accepted_at,
            before: self.before.clone(),
            interrupted: self.interrupted_at.is_some(),
        }
    }
}

/// The directory of one run.
#[derive(Debug)]
pub struct RunDirectory(pub Directory);

impl RunDirectory {
    /// Nobody else changes the run while the answer lives.
    ///
    /// # Errors
    /// Somebody holds it for longer than ten seconds.
    pub async fn exclusively(&self) -> PortResult<DirectoryLock> {
        self.0.lock(LOCK).await
    }

    /// The same, `None` while somebody changes it.
    pub fn exclusively_now(&self) -> PortResult<Option<DirectoryLock>> {
        self.0.try_lock(LOCK)
    }

    /// What is remembered. What makes no sense counts as lost.
    ///
    /// # Errors
    /// It cannot be read, so that nobody can tell.
    pub fn read(&self) -> PortResult<Option<Memory>> {
        match self.0.read_json(RUN) {
            Err(error) if error.kind == PortErrorKind::Invalid => {
                tracing::warn!("what was remembered of a run is lost: {error}");
                Ok(None)
            }
            other => other,
        }
    }

    /// Remembers.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, memory: &Memory) -> PortResult<()> {
        self.0.put_json(RUN, memory)
    }

    /// The path of the agent's clone.
    pub fn workspace(&self) -> PathBuf {
        self.0.path_of(WORKSPACE)
    }

    /// The path of the clone in the making, `None` where it is made. What a crash left of it is thrown away.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn half_workspace(&self) -> PortResult<Option<PathBuf>> {
        if self.0.exists(WORKSPACE)? { Ok(None) } else { without(&self.0, HALF_WORKSPACE).map(Some) }
    }
}

/// The path of something in a directory, which is not there any more, or was not.
///
/// # Errors
/// It cannot be removed.
pub fn without(directory: &Directory, name: &str) -> PortResult<PathBuf> {
    let path = directory.path_of(name);
    if directory.exists(name)? {
        std::fs::remove_dir_all(&path)
            .map_err(|error| PortError::invalid(format!("cannot remove `{}`: {error}", path.display())))?;
    }
    Ok(path)
}
