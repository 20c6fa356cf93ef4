//! What is sent to T3 Code.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// What T3 Code is told to do. Every id is afk's own; a command whose id was accepted before does nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum Command {
    /// A project at a folder that exists on T3's machine.
    #[serde(rename = "project.create")]
    ProjectCreate {
        /// Told apart by it.
        command_id: Uuid,
        /// The new project.
        project_id: Uuid,
        /// What people see.
        title: String,
        /// An absolute path.
        workspace_root: String,
        /// When it was decided.
        #[serde(serialize_with = "milliseconds")]
        created_at: DateTime<Utc>,
    },
    /// A thread of a project.
    #[serde(rename = "thread.create")]
    ThreadCreate {
        /// Told apart by it.
        command_id: Uuid,
        /// The new thread.
        thread_id: Uuid,
        /// A project's own id: afk's, or one that was there before.
        project_id: String,
        /// What people see.
        title: String,
        /// What the agent is.
        model_selection: ModelSelection,
        /// What the agent may do unasked.
        runtime_mode: String,
        /// How the agent works.
        interaction_mode: InteractionMode,
        /// A label; nothing is checked out.
        branch: Option<String>,
        /// Where the agent works, an absolute path; `None`: in the project's folder.
        worktree_path: Option<String>,
        /// When it was decided.
        #[serde(serialize_with = "milliseconds")]
        created_at: DateTime<Utc>,
    },
    /// A turn on a thread.
    #[serde(rename = "thread.turn.start")]
    TurnStart {
        /// Told apart by it.
        command_id: Uuid,
        /// The thread.
        thread_id: Uuid,
        /// What the agent is told.
        message: UserMessage,
        /// What the agent may do unasked; wins over the thread's.
        runtime_mode: String,
        /// How the agent works.
        interaction_mode: InteractionMode,
        /// When it was decided.
        #[serde(serialize_with = "milliseconds")]
        created_at: DateTime<Utc>,
    },
    /// The agent is asked to stop.
    #[serde(rename = "thread.turn.interrupt")]
    TurnInterrupt {
        /// Told apart by it.
        command_id: Uuid,
        /// The thread.
        thread_id: Uuid,
        /// T3's own id of the turn, as a listing shows it.
        turn_id: String,
        /// When it was decided.
        #[serde(serialize_with = "milliseconds")]
        created_at: DateTime<Utc>,
    },
    /// A thread is put away. Never while it runs.
    #[serde(rename = "thread.archive")]
    ThreadArchive {
        /// Told apart by it.
        command_id: Uuid,
        /// The thread.
        thread_id: Uuid,
    },
}

impl Command {
    /// The type, as T3 calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ProjectCreate { .. } => "project.create",
            Self::ThreadCreate { .. } => "thread.create",
            Self::TurnStart { .. } => "thread.turn.start",
            Self::TurnInterrupt { .. } => "thread.turn.interrupt",
            Self::ThreadArchive { .. } => "thread.archive",
        }
    }
}

/// What an agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelSelection {
    /// T3's provider instance.
    pub instance_id: String,
    /// Its model.
    pub model: String,
}

/// How an agent works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InteractionMode {
    /// It acts.
    Default,
}

/// What an agent is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserMessage {
    message_id: Uuid,
    role: &'static str,
    text: String,
    /// Always there, always empty: afk sends no images.
    attachments: [(); 0],
}

impl UserMessage {
    /// A message by its id, at most 120,000 UTF-16 units.
    pub fn new(message_id: Uuid, text: impl Into<String>) -> Self {
        Self { message_id, role: "user", text: text.into(), attachments: [] }
    }
}

/// ISO 8601 in UTC with milliseconds: T3 checks no times, and shows what it was sent.
fn milliseconds<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true))
}
