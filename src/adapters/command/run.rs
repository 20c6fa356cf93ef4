//! What a run looks like on disk: its paths and its records.

use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::engine::identity::RunId;
use crate::files;
use crate::ports::Assignment;
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

/// The directory of one run.
#[derive(Debug, Clone)]
pub struct RunDirectory(pub PathBuf);

impl RunDirectory {
    /// The directory of a run below the root of all of them.
    pub fn new(root: &Path, run: RunId) -> Self {
        Self(root.join(run.to_string()))
    }
    /// The record that is written first.
    pub fn manifest(&self) -> PathBuf {
        self.0.join("manifest.json")
    }
    /// Held by whoever changes the run.
    pub fn ensure_lock(&self) -> PathBuf {
        self.0.join("ensure.lock")
    }
    /// Held by the supervisor while it lives.
    pub fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }
    /// The agent's clone.
    pub fn workspace(&self) -> PathBuf {
        self.0.join("workspace")
    }
    /// The clone in the making.
    pub fn half_workspace(&self) -> PathBuf {
        self.0.join("workspace.partial")
    }
    /// The directory of a turn.
    pub fn turn(&self, turn: Uuid) -> TurnDirectory {
        TurnDirectory(self.0.join("turns").join(turn.to_string()))
    }
    /// Every turn that was ever prepared, with its number, first one first. What makes no sense is left out.
    pub fn turns(&self) -> io::Result<Vec<(Uuid, TurnDirectory)>> {
        let entries = match std::fs::read_dir(self.0.join("turns")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut turns = Vec::new();
        for entry in entries {
            let Some(id) = entry?.file_name().to_str().and_then(|name| Uuid::try_parse(name).ok()) else { continue };
            let directory = self.turn(id);
            if let Ok(Some(turn)) = files::read_record::<Turn>(&directory.order()) {
                turns.push((turn.number, id, directory));
            }
        }
        turns.sort_by_key(|(number, id, _)| (*number, *id));
        Ok(turns.into_iter().map(|(_, id, directory)| (id, directory)).collect())
    }
}

/// The directory of one turn.
#[derive(Debug, Clone)]
pub struct TurnDirectory(pub PathBuf);

impl TurnDirectory {
    /// What the agent is told.
    pub fn prompt(&self) -> PathBuf {
        self.0.join("prompt.md")
    }
    /// What the supervisor has to do: a [`Turn`].
    pub fn order(&self) -> PathBuf {
        self.0.join("turn.json")
    }
    /// A [`Started`].
    pub fn started(&self) -> PathBuf {
        self.0.join("started.json")
    }
    /// A [`super::output::Progress`].
    pub fn progress(&self) -> PathBuf {
        self.0.join("progress.json")
    }
    /// The agent's output.
    pub fn output(&self) -> PathBuf {
        self.0.join("output.log")
    }
    /// There when somebody asked the agent to stop.
    pub fn interrupt(&self) -> PathBuf {
        self.0.join("interrupt")
    }
    /// An [`Exit`].
    pub fn exit(&self) -> PathBuf {
        self.0.join("exit.json")
    }
    /// What the supervisor had to say.
    pub fn supervisor_log(&self) -> PathBuf {
        self.0.join("supervisor.log")
    }
    /// Whether the turn was ever begun: it is never begun again.
    pub fn accepted(&self) -> io::Result<bool> {
        Ok(files::exists(&self.started())? || files::exists(&self.exit())?)
    }
}
