//! What a run looks like on disk: its paths and its records.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::adapters::confined::Directory;
use crate::engine::identity::RunId;
use crate::ports::{Assignment, PortResult};
use crate::settings::CommandExecutorSettings;

/// Leads a live agent back to its issue; written before anything else.
#[derive(Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Who started it.
    pub controller: String,
    /// The name of the executor in the settings.
    pub executor: String,
    /// Everything to bring it up with, and to write its record again.
    pub assignment: Assignment,
}

/// What the supervisor has to do.
#[derive(Debug, Serialize, Deserialize)]
pub struct Turn {
    /// The run.
    pub run: RunId,
    /// The how-manieth turn of the run, from 1.
    pub number: usize,
    /// The agent's argv, filled in.
    pub argv: Vec<String>,
    /// The prompt is in no argument, so it is the agent's standard input.
    pub prompt_on_stdin: bool,
    /// The settings of the moment.
    pub settings: CommandExecutorSettings,
}

/// The turn was accepted.
#[derive(Debug, Serialize, Deserialize)]
pub struct Started {
    /// When.
    pub at: DateTime<Utc>,
    /// The supervisor's process id, for people; nothing is decided by it.
    pub supervisor: u32,
}

/// How a turn ended.
#[derive(Debug, Serialize, Deserialize)]
pub struct Exit {
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub why: Why,
    /// The agent's exit code; `None` when a signal ended it or it never began.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether exit and output together mean that the turn worked out.
    pub success: bool,
    /// What else there is to say, for people.
    pub message: Option<String>,
}

/// Why a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The agent ended by itself.
    Exited,
    /// Somebody asked afk to stop it.
    Interrupted,
    /// The supervisor was told to end, by a signal.
    Terminated,
    /// The agent could not be started.
    NotStarted,
}

/// A [`Manifest`].
pub const MANIFEST: &str = "manifest.json";
/// Held by whoever changes the run.
pub const ENSURE_LOCK: &str = "ensure.lock";
/// Held by the supervisor while it lives.
pub const LOCK: &str = "lock";
/// The agent's clone.
pub const WORKSPACE: &str = "workspace";
/// The clone in the making.
pub const HALF_WORKSPACE: &str = "workspace.partial";
const TURNS: &str = "turns";
/// What the agent is told.
pub const PROMPT: &str = "prompt.md";
/// What the supervisor has to do: a [`Turn`].
pub const ORDER: &str = "turn.json";
/// A [`Started`].
pub const STARTED: &str = "started.json";
/// A [`super::output::Progress`].
pub const PROGRESS: &str = "progress.json";
/// The agent's output.
pub const OUTPUT: &str = "output.log";
/// There when somebody asked the agent to stop.
pub const INTERRUPT: &str = "interrupt";
/// An [`Exit`].
pub const EXIT: &str = "exit.json";
/// What the supervisor had to say.
pub const SUPERVISOR_LOG: &str = "supervisor.log";

/// The directory of one run.
#[derive(Debug)]
pub struct RunDirectory(pub Directory);

impl RunDirectory {
    /// The path of the agent's clone.
    pub fn workspace(&self) -> PathBuf {
        self.0.path_of(WORKSPACE)
    }
    /// The directory of a turn; `None` when it was never prepared.
    pub fn turn(&self, turn: Uuid) -> PortResult<Option<TurnDirectory>> {
        let Some(turns) = self.0.subdirectory(TURNS)? else { return Ok(None) };
        Ok(turns.subdirectory(&turn.to_string())?.map(TurnDirectory))
    }
    /// The same, made where there is none.
    pub fn make_turn(&self, turn: Uuid) -> PortResult<TurnDirectory> {
        self.0.make_subdirectory(TURNS)?.make_subdirectory(&turn.to_string()).map(TurnDirectory)
    }
    /// Whether a turn was ever begun: it is never begun again.
    pub fn accepted(&self, turn: Uuid) -> PortResult<bool> {
        self.turn(turn)?.map_or(Ok(false), |turn| turn.accepted())
    }
    /// Every turn that was ever prepared, with its number, first one first. What makes no sense is left out.
    pub fn turns(&self) -> PortResult<Vec<(Uuid, TurnDirectory)>> {
        let Some(directory) = self.0.subdirectory(TURNS)? else { return Ok(Vec::new()) };
        let mut turns = Vec::new();
        for id in directory.names()?.iter().filter_map(|name| Uuid::try_parse(name).ok()) {
            let Ok(Some(turn)) = self.turn(id) else { continue };
            if let Ok(Some(order)) = turn.0.read_json::<Turn>(ORDER) {
                turns.push((order.number, id, turn));
            }
        }
        turns.sort_by_key(|(number, id, _)| (*number, *id));
        Ok(turns.into_iter().map(|(_, id, turn)| (id, turn)).collect())
    }
}

/// The directory of one turn.
#[derive(Debug)]
pub struct TurnDirectory(pub Directory);

impl TurnDirectory {
    /// Whether the turn was ever begun.
    pub fn accepted(&self) -> PortResult<bool> {
        Ok(self.0.exists(STARTED)? || self.0.exists(EXIT)?)
    }
    /// Whether somebody asked the agent to stop.
    pub fn is_interrupted(&self) -> PortResult<bool> {
        self.0.exists(INTERRUPT)
    }
}
